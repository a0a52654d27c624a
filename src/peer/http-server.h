/* http-server - the builtin HTTP server: a target that is always there, on libmicrohttpd */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/sock.h"

struct http_server_params {
	const char *host; /* NULL: 127.0.0.1 */
	uint16_t port;	  /* 0: the kernel chooses */
	unsigned max_connections;
	uint64_t max_body; /* of /echo, which is held in memory; more is answered with 413 */
};
#define HTTP_SERVER_DEFAULT \
	{ \
		.max_connections = 4096, .max_body = UINT64_C(64) << 20 \
	}

struct http_server_stats {
	uint64_t requests, refused; /* refused: answered with a status that is no 2xx */
};

struct http_server;
/*
 *   GET /ping          "pong"
 *   GET /null          204, no body: the null responder
 *   POST /echo         the body
 *   POST /upload       the number of bytes that came, in decimal
 *   GET /download/N    N bytes, the same ones each time
 *   GET /compute/N     the sum of the squares below N, modulo 2^64
 * Anything else is 404, another method 405. Binds; nothing is served before http_server_run. One thread, epoll.
 */
int http_server_open(struct http_server **out, const struct http_server_params *p,
		     struct err *e) ERR_MUST_CHECK;
const struct addr *http_server_address(const struct http_server *s);
/* Serves until the user asks to stop. */
int http_server_run(struct http_server *s, struct err *e) ERR_MUST_CHECK;
void http_server_stats(const struct http_server *s, struct http_server_stats *out);
void http_server_close(struct http_server *s);
CLEANUP_PTR(struct http_server, http_server_close)
