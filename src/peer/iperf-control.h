/* iperf-control - bytes of a control connection, with a bound on every wait */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct iperf_control {
	int fd;	       /* non-blocking, TCP_NODELAY */
	int cancel_fd; /* readable: give up; -1: none */
};

enum iperf_control_news {
	IPERF_CONTROL_BYTES, /* room holds some */
	IPERF_CONTROL_END,   /* the peer closed */
	IPERF_CONTROL_TIMEOUT,
	IPERF_CONTROL_WOKEN, /* extra_fd is readable */
};

/* Sends all of `out` and empties it; at most timeout_ns. */
int iperf_control_flush(const struct iperf_control *c, struct buf *out, uint64_t timeout_ns,
			struct err *e) ERR_MUST_CHECK;
/* Waits until something is there. extra_fd may be -1. A reset connection is an end. ERR_TARGET "cancelled" on cancel_fd. */
int iperf_control_wait(const struct iperf_control *c, int extra_fd, uint64_t timeout_ns, void *room,
		       size_t size, size_t *got, enum iperf_control_news *news,
		       struct err *e) ERR_MUST_CHECK;
