/* clock - monotonic nanoseconds */
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* CLOCK_MONOTONIC in ns. 23-28 ns a call where the vDSO serves it. */
static inline uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* What the clock is and what a reading costs; measured by back-to-back pairs. */
struct clock_cost {
	uint64_t overhead_ns_p50; /* median difference of two successive readings */
	uint64_t resolution_ns;	  /* clock_getres() */
	char source[32];	  /* /sys/.../current_clocksource, "" when unreadable */
};

/* Takes about 0.5 ms (10,000 pairs). */
void clock_measure(struct clock_cost *out);

/* Wall-clock time as RFC 3339 in UTC with milliseconds; out holds at least 32 bytes. */
void clock_rfc3339(char out[32]);

/* The difference b - a, 0 where b is earlier. */
static inline uint64_t ns_since(uint64_t a, uint64_t b)
{
	return b > a ? b - a : 0;
}
