/* iperf-session - a test as an operation of the engine */
#pragma once

#include "io/session.h"
#include "peer/iperf-client.h"

/*
 * One operation is one whole test, run in a thread of its own while the loop waits; the test's streams have their own threads
 * too. The outcome's times are those of the traffic. When it is over, `finished` gets the report (also of a failed test) in
 * the loop's thread and takes what it wants of it; the rest is released after it.
 */
struct iperf_session_plan {
	struct iperf_client_plan client;
	void (*finished)(void *ctx, struct iperf_report *r, const struct err *failure);
	void *ctx;
	struct err dead; /* kind set: the server was found unreachable, and is not asked again */
};

/* The plan is borrowed. */
int iperf_session_new(const struct iperf_session_plan *p, struct loop *loop, struct session **out,
		      struct err *e) ERR_MUST_CHECK;
