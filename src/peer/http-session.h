/* http-session - HTTP requests as operations of the engine, by our own loop or by libcurl's */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/session.h"
#include "io/sock.h"
#include "peer/group.h"
#include "peer/http-curl.h"

/* What happened in a window, summed over the sessions of a case. */
struct http_tally {
	uint64_t requests; /* sent as a whole, also those that failed then */
	uint64_t opened,
		reused; /* connections opened in the window; requests on one that had carried another */
	uint64_t closed; /* connections that the server ended, or said it would */
	uint64_t
		stalls; /* pauses of 35 ms or more within a response: Nagle's algorithm waiting for a delayed ACK */
	uint64_t sent_bytes, received_bytes; /* heads included; by libcurl: bodies only */
	unsigned version;		     /* 10, 11, 20: of the last response */
	char server[64];		     /* its Server field, as it came */
};

/* What must come back; anything else is the failure "corrupt". */
enum http_check {
	HTTP_ANY,
	HTTP_EXACT,  /* expect[0..expect_len) */
	HTTP_STEADY, /* expect_len bytes, the same ones each time */
	HTTP_COUNT, /* where there are numbers in it, expect_len is one of them: what the server says it took */
};

/* One request. `head` is its bytes up to the empty line (proto/http.h), for our own loop. All text is borrowed. */
struct http_exchange {
	const char *head;
	size_t head_len;
	const void *body; /* NULL: none */
	uint64_t body_len;
	enum http_check check;
	const void *expect;
	uint64_t expect_len;
};

enum http_work {
	HTTP_CONNECT, /* an operation is a TCP connection, closed again after its time */
	HTTP_READY,   /* a connection (DNS, TCP, TLS) and the first byte of an answer on it */
	HTTP_REQUEST, /* the exchanges, one after the other, on a connection that stays open where the server lets it */
};

/* Names of the marks that HTTP_READY and `fresh` requests set: "phase.dns", "phase.tcp", "phase.tls", "phase.answer", NULL. */
extern const char *const http_phases[];

/* Shared by all sessions of a case; not changed while one lives. */
struct http_plan {
	struct http_place place;
	struct addr address; /* of the host, for connections that need no TLS */
	enum http_work work;
	const char *method;
	const char *const
		*field; /* "Name: value" lines beside Host and Content-Length, for libcurl */
	size_t n_fields;
	const struct http_exchange
		*exchange; /* of one operation; at least one but for HTTP_CONNECT */
	size_t n_exchanges;
	bool fast;  /* our own loop and parser for HTTP/1.1; else libcurl does it all */
	bool fresh; /* a new connection for each operation */
	bool connect_first; /* libcurl's, which connects with a request only: a session opens with the first exchange */
	bool alone; /* one session in its thread, closed loop: wait in the socket, not in epoll */
	bool count_sent, count_received; /* which bodies an outcome's bytes are */
	unsigned sessions;		 /* how many at once, at most */
	struct groups groups;		 /* own: what the sessions of a thread share */
};

int http_plan_init(struct http_plan *p, struct err *e) ERR_MUST_CHECK;
/* After the last session was freed. */
void http_plan_done(struct http_plan *p);
/*
 * A new session; *answered (may be NULL) counts the operations that succeeded. A connection that the server has closed is made anew as part of the operation that needs it. Words of
 * failures: http-NNN (a status that is no 2xx), refused, dns, tls, connect, timeout, closed (in the middle), bad-answer
 * (no HTTP), corrupt (another body than expected).
 */
int http_session_new(struct http_plan *p, struct loop *loop, uint64_t *answered,
		     struct session **out, struct err *e) ERR_MUST_CHECK;
/* Between windows, when no session is being driven: sums and clears what was counted. */
void http_plan_collect(struct http_plan *p, struct http_tally *out);
