/* http-curl - libcurl on our loop: connections that are made and handed over, and requests that it does as a whole */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/loop.h"

enum http_version { HTTP_VERSION_11, HTTP_VERSION_2 };

/* Where and how, shared by all requests of a case; text is borrowed. */
struct http_place {
	const char *url;	/* "https://host:8443/path", what libcurl is given */
	bool tls, insecure;	/* insecure: any certificate will do */
	const char *cacert;	/* file of trusted certificates; NULL: the system's */
	const char *cert, *key; /* files of the client's own certificate and its key; NULL: none */
	const char *proxy;	/* NULL: none, whatever the environment says */
	bool raw; /* only for http_curl_connect: what is spoken is not HTTP, and not offered as such */
	enum http_version version;
};

/* A whole request; text and body are borrowed until it is done. */
struct http_job {
	const char *method;
	const char *const *field; /* "Name: value" lines; n_fields of them */
	size_t n_fields;
	const void *body; /* NULL: none */
	uint64_t body_bytes;
	bool fresh; /* a connection of its own, not kept */
};

/* What libcurl says of something that is over. Times count from its start; 0: not reached. */
struct http_curl_result {
	const char *failure; /* literal, NULL: libcurl is content */
	const char *detail;  /* valid during the call */
	uint64_t dns_ns, tcp_ns, tls_ns, first_ns, total_ns;
	unsigned status;
	unsigned version;     /* 10, 11, 20; 0: unknown */
	unsigned connections; /* that it had to open */
};

struct http_curl;
struct http_handle;

/*
 * done  the connection stands, the request is over, or neither could be; may begin another with the same handle
 * body  a piece of the body of an answer with that status; false gives the request up (done follows)
 * All are called from the loop, never from inside http_curl_connect and http_curl_request.
 */
struct http_handle_ops {
	void (*done)(void *ctx, const struct http_curl_result *r);
	bool (*body)(void *ctx, unsigned status, const void *data, size_t len);
	void (*server)(void *ctx, const char *name, size_t len); /* may be NULL */
};

/* All handles of a loop share one; `connections` is how many it may keep open. Not for other threads. */
int http_curl_new(struct http_curl **out, struct loop *loop, unsigned connections,
		  struct err *e) ERR_MUST_CHECK;
/* After all its handles. */
void http_curl_free(struct http_curl *c);

int http_handle_new(struct http_handle **out, struct http_curl *c, const struct http_place *place,
		    const struct http_handle_ops *ops, void *ctx, struct err *e) ERR_MUST_CHECK;
/* Closes its connection, also in the middle of something. */
void http_handle_free(struct http_handle *h);
CLEANUP_PTR(struct http_handle, http_handle_free)

/* Connects (DNS, TCP, proxy, TLS) and hands the connection over: after done without a failure the three below are
 * legal until http_handle_drop. */
int http_curl_connect(struct http_handle *h, struct err *e) ERR_MUST_CHECK;
/* Non-blocking; watch it as you like, but do not close it. */
int http_handle_fd(const struct http_handle *h);
/* > 0 bytes; 0 would block; -1 the peer is gone or TLS failed. What arrives may lie decrypted in libcurl, where no
 * poll sees it: read until 0 before waiting, unless everything awaited has come. */
ssize_t http_handle_send(struct http_handle *h, const void *data, size_t len);
/* As above; *eof is set where the peer has closed in good order (-1 is returned then). */
ssize_t http_handle_recv(struct http_handle *h, void *data, size_t size, bool *eof);
/* Closes the connection, or gives up what is under way (done is not called); the handle can begin again. */
void http_handle_drop(struct http_handle *h);

/* A whole request by libcurl on a connection it keeps. */
int http_curl_request(struct http_handle *h, const struct http_job *job,
		      struct err *e) ERR_MUST_CHECK;

/* "libcurl/7.88.1 OpenSSL/3.0.19 nghttp2/1.52.0" */
const char *http_curl_version(void);
