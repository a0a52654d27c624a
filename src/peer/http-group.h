/* http-group - what the HTTP sessions of one thread share: libcurl's state, a receive buffer, counts */
#pragma once

#include "peer/http-session.h"

enum { HTTP_RECEIVE_SIZE = 256 << 10 };
#define HTTP_STALL_NS UINT64_C(35000000)

struct http_group {
	struct group base;
	struct http_curl *curl;
	char *received; /* HTTP_RECEIVE_SIZE */
	/* HTTP_STEADY: the body that all others are compared with, once `recorder` has had it whole */
	uint8_t *record;
	bool recorded;
	const struct http_body *recorder;
	struct http_tally tally;
};

/* The group of that loop, made for its first session. */
int http_group_join(struct http_plan *p, struct loop *loop, struct http_group **out,
		    struct err *e) ERR_MUST_CHECK;
/* The last one's memory goes; its counts stay for http_plan_collect. */
void http_group_leave(struct http_plan *p, struct http_group *g);

/* A session whose requests libcurl does as a whole; takes its place in the group over. */
int http_whole_session_new(struct http_plan *p, struct http_group *g, struct loop *loop,
			   uint64_t *answered, struct session **out, struct err *e) ERR_MUST_CHECK;

/*
 * How far a body is as expected, from zeroed memory. http_body_take returns false at the first byte that is not;
 * http_body_end when bytes are lacking. `why` is then one line for people. http_body_done before its memory goes.
 */
struct http_body {
	uint64_t bytes;
	char text[64]; /* how it begins, for HTTP_COUNT */
	char why[96];
};
void http_body_begin(struct http_body *b);
bool http_body_take(struct http_body *b, struct http_group *g, const struct http_exchange *x,
		    const void *data, size_t len);
bool http_body_end(struct http_body *b, struct http_group *g, const struct http_exchange *x);
void http_body_done(struct http_body *b, struct http_group *g);
