/* iperf-server - an iperf3 server: one test at a time or several, and nobody can keep it from the next one */
#pragma once

#include "base/cleanup.h"
#include "io/sock.h"
#include "peer/iperf-test.h"

/* A test that ended, for whoever prints or records it; valid during the call. */
struct iperf_server_event {
	const struct addr *client;
	const struct iperf3_params *params;	    /* NULL: the test did not get so far */
	const struct iperf3_results *ours, *theirs; /* NULL likewise */
	const struct err *failure;		    /* NULL: it was complete */
	uint64_t duration_ns;			    /* of the whole visit */
};

struct iperf_server_params {
	const char *host; /* NULL: loopback */
	uint16_t port;	  /* 0: any */
	uint32_t max_clients;
	bool one_off;
	uint64_t
		idle_timeout_ns; /* a test without any byte for so long is ended; and with --one-off a server without a client */
	uint64_t step_timeout_ns; /* of each step of the protocol */
	uint64_t
		rate_limit; /* bits per second that a client may ask for, over all streams; 0: any */
	const char *file;   /* of TCP streams: sent, or written; NULL: a pattern, or nowhere */
	int stop_fd;	    /* readable: tell the clients and end */
	/* From threads of the server, one at a time. */
	void (*ended)(void *ctx, const struct iperf_server_event *ev);
	void *ctx;
};

struct iperf_server_counts {
	uint64_t tests, complete, failed, busy, strangers;
};

struct iperf_server;
int iperf_server_open(struct iperf_server **out, const struct iperf_server_params *p,
		      struct err *e) ERR_MUST_CHECK;
const struct addr *iperf_server_address(const struct iperf_server *s);
/* Serves until stop_fd, or with one_off until the first client is done. With one_off its failure is returned. */
int iperf_server_run(struct iperf_server *s, struct err *e) ERR_MUST_CHECK;
void iperf_server_counts(const struct iperf_server *s, struct iperf_server_counts *out);
void iperf_server_free(struct iperf_server *s);
CLEANUP_PTR(struct iperf_server, iperf_server_free)
