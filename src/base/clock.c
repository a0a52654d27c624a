#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { CLOCK_PAIRS = 10000 };

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void read_source(char *out, size_t size)
{
	CLEANUP_FD int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
				 O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

void clock_measure(struct clock_cost *out)
{
	CLEANUP_FREE uint32_t *step = malloc(CLOCK_PAIRS * sizeof(*step));
	struct timespec res = { 0 };

	memset(out, 0, sizeof(*out));
	clock_getres(CLOCK_MONOTONIC, &res);
	out->resolution_ns = (uint64_t)res.tv_sec * NS_PER_SEC + (uint64_t)res.tv_nsec;
	read_source(out->source, sizeof(out->source));
	if (!step)
		return;
	for (int i = 0; i < CLOCK_PAIRS; i++) {
		uint64_t a = clock_now();
		uint64_t d = clock_now() - a;

		step[i] = d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
	}
	qsort(step, CLOCK_PAIRS, sizeof(*step), compare_u32);
	out->overhead_ns_p50 = step[CLOCK_PAIRS / 2];
}

void clock_rfc3339(char out[32])
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(out + n, 32 - n, ".%03uZ", (unsigned)(ts.tv_nsec / 1000000) % 1000);
}
