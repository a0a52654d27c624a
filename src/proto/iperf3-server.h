/* iperf3-server - the server's side of the control connection behind the cookie, without the connection */
#pragma once

#include "proto/iperf3.h"

enum iperf3_server_event {
	IPERF3_SERVER_MORE,    /* nothing to do until more bytes come */
	IPERF3_SERVER_PARAMS,  /* `params` are read: iperf3_server_accept or _refuse */
	IPERF3_SERVER_END,     /* the client ends the test: stop, then iperf3_server_exchange */
	IPERF3_SERVER_RESULTS, /* the client's results are in `peer`: iperf3_server_results */
	IPERF3_SERVER_DONE,    /* over */
};

/*
 * Bytes of the client go in by iperf3_server_feed in any cut, iperf3_server_next says what they mean, and `out` holds
 * what must be sent. Failures: "parameters" (`out` then holds the SERVER_ERROR that tells the client), "client-terminated",
 * "closed", "protocol".
 */
struct iperf3_server {
	uint8_t state; /* what we said last */
	bool ended;
	struct buf in, out;
	struct iperf3_params params;
	struct iperf3_results peer;
};

/* `out` asks for the parameters then. */
int iperf3_server_init(struct iperf3_server *s, struct err *e) ERR_MUST_CHECK;
void iperf3_server_done(struct iperf3_server *s);
CLEANUP_OBJ(struct iperf3_server, iperf3_server_done)

int iperf3_server_feed(struct iperf3_server *s, const void *bytes, size_t len,
		       struct err *e) ERR_MUST_CHECK;
int iperf3_server_next(struct iperf3_server *s, enum iperf3_server_event *out,
		       struct err *e) ERR_MUST_CHECK;
int iperf3_server_eof(const struct iperf3_server *s, struct err *e) ERR_MUST_CHECK;

int iperf3_server_accept(struct iperf3_server *s, struct err *e) ERR_MUST_CHECK;
/* SERVER_ERROR with iperf3's i_errno and the system's. */
void iperf3_server_refuse(struct iperf3_server *s, int32_t code, int32_t sys);
/* All streams are there: TEST_START and TEST_RUNNING in one go. */
int iperf3_server_start(struct iperf3_server *s, struct err *e) ERR_MUST_CHECK;
int iperf3_server_exchange(struct iperf3_server *s, struct err *e) ERR_MUST_CHECK;
int iperf3_server_results(struct iperf3_server *s, const struct iperf3_results *ours,
			  struct err *e) ERR_MUST_CHECK;
/* SERVER_TERMINATE. */
void iperf3_server_terminate(struct iperf3_server *s);
