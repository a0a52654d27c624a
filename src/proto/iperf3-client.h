/* iperf3-client - the client's side of the control connection, without the connection */
#pragma once

#include "proto/iperf3.h"

enum iperf3_client_event {
	IPERF3_CLIENT_MORE,    /* nothing to do until more bytes come */
	IPERF3_CLIENT_CREATE,  /* open the streams */
	IPERF3_CLIENT_START,   /* set up clocks */
	IPERF3_CLIENT_RUN,     /* send and receive until iperf3_client_end */
	IPERF3_CLIENT_RESULTS, /* the server wants our results: iperf3_client_results */
	IPERF3_CLIENT_PEER,    /* the server's results are in `peer` */
	IPERF3_CLIENT_DONE,    /* over: send what is in `out`, then close */
};

/*
 * Bytes of the server go in by iperf3_client_feed in any cut, iperf3_client_next says what they mean, and `out` holds
 * what must be sent (the caller empties it). Failures, with the err's code: "busy" (ACCESS_DENIED); "server-error",
 * "server-error-short", "server-error-bare" (SERVER_ERROR with 8, 4 or no bytes of reason); "server-terminated"; "protocol"; and
 * where the connection ended too early: "closed-at-once", "refused-params" (right after the parameters), "closed-in-setup",
 * "closed-before-test", "closed-in-test", "closed-after-test" (TEST_END was said), "closed-before-results", "closed-after-results".
 */
struct iperf3_client {
	uint8_t state; /* last state byte of the server; 0: none yet */
	bool failing;  /* SERVER_ERROR came: its reason is awaited */
	bool ended, results_sent, have_peer;
	const char *params; /* JSON, borrowed */
	size_t params_len;
	struct buf in, out;
	struct iperf3_results peer;
};

/* `out` holds the cookie then. */
int iperf3_client_init(struct iperf3_client *c, const uint8_t cookie[IPERF3_COOKIE],
		       const char *params, size_t params_len, struct err *e) ERR_MUST_CHECK;
void iperf3_client_done(struct iperf3_client *c);
CLEANUP_OBJ(struct iperf3_client, iperf3_client_done)

int iperf3_client_feed(struct iperf3_client *c, const void *bytes, size_t len,
		       struct err *e) ERR_MUST_CHECK;
int iperf3_client_next(struct iperf3_client *c, enum iperf3_client_event *out,
		       struct err *e) ERR_MUST_CHECK;
/* The connection ended, or nothing came any more behind a SERVER_ERROR: 0 where that is all right (after DONE), else -1 with the reason. */
int iperf3_client_eof(const struct iperf3_client *c, struct err *e) ERR_MUST_CHECK;

/* Ends the test (TEST_END). */
int iperf3_client_end(struct iperf3_client *c, struct err *e) ERR_MUST_CHECK;
int iperf3_client_results(struct iperf3_client *c, const struct iperf3_results *ours,
			  struct err *e) ERR_MUST_CHECK;
/* Gives up (CLIENT_TERMINATE). */
void iperf3_client_terminate(struct iperf3_client *c);
/* What the server has not done yet, for the message of a time-out. */
const char *iperf3_client_waits_for(const struct iperf3_client *c);
