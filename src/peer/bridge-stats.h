/* bridge-stats - what a bridge counts about itself */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/histogram.h"

/* One direction. `added_ns`: from the moment before the read(2) that brought bytes to the moment after they were all
 * with the kernel again, by our own clock; what had to be queued counts until its queue was empty. */
struct bridge_way {
	uint64_t bytes, pieces, queued;
	uint64_t min_ns, max_ns;
	uint64_t waiting_ns; /* when the oldest queued piece was read; 0: none waits */
	struct histogram added_ns;
};

struct bridge_stats {
	struct bridge_way to_client, to_device;
	uint64_t sessions, refused, denied, watchers;
	uint64_t dropped_bytes; /* of the device, while no client had the link */
	uint64_t client_reads;	/* system calls, of clients that are over */
};

/* `wakeups`: waits that brought something; `reads`: of clients and the device together, with those that found nothing. */
struct bridge_calls {
	uint64_t wakeups, reads;
};

int bridge_stats_init(struct bridge_stats *s, struct err *e) ERR_MUST_CHECK;
void bridge_stats_done(struct bridge_stats *s);
/* A piece of len bytes that was read at read_ns (0: made here, not timed) has been written, or `queued`. */
void bridge_way_add(struct bridge_way *w, size_t len, uint64_t read_ns, bool queued);
/* The queue is empty. */
void bridge_way_drained(struct bridge_way *w);
