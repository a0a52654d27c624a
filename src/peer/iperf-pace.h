/* iperf-pace - a token bucket: when may the next bytes go */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes leave at `rate` bits per second from `begin` on. What a stall costs is caught up only as far as `depth_ns` goes, and at twice the
 * rate: more would be a burst that no rate asked for, and that no receive buffer has room for. All times in ns; rate 0: never a wait.
 */
struct iperf_pace {
	double ns_per_byte, depth_ns;
	double due_ns;	 /* after `begin_ns`: when the next byte is due */
	double floor_ns; /* and not before this */
	uint64_t begin_ns;
};

static inline void iperf_pace_init(struct iperf_pace *p, uint64_t rate, uint64_t depth_ns,
				   uint64_t now_ns)
{
	p->ns_per_byte = rate ? 8e9 / (double)rate : 0;
	p->depth_ns = (double)depth_ns;
	p->due_ns = p->floor_ns = 0;
	p->begin_ns = now_ns;
}

/* How long until something may go, in ns; 0: now. */
static inline uint64_t iperf_pace_wait(struct iperf_pace *p, uint64_t now_ns)
{
	double now = (double)(now_ns - p->begin_ns), at;

	if (p->due_ns < now - p->depth_ns)
		p->due_ns = now - p->depth_ns;
	at = p->due_ns > p->floor_ns ? p->due_ns : p->floor_ns;
	return at > now ? (uint64_t)(at - now) : 0;
}

/* How many units of `size` bytes are due now (after iperf_pace_wait gave 0), at least 1 and at most `most`. */
static inline unsigned iperf_pace_units(const struct iperf_pace *p, uint64_t now_ns, uint64_t size,
					unsigned most)
{
	double ready;

	if (p->ns_per_byte <= 0)
		return most;
	ready = ((double)(now_ns - p->begin_ns) - p->due_ns) / (p->ns_per_byte * (double)size) + 1;
	return ready < 1 ? 1 : ready > most ? most : (unsigned)ready;
}

static inline void iperf_pace_sent(struct iperf_pace *p, uint64_t bytes, uint64_t now_ns)
{
	double takes = p->ns_per_byte * (double)bytes;

	p->due_ns += takes;
	p->floor_ns = (double)(now_ns - p->begin_ns) + takes / 2;
}
