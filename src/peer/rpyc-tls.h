/* rpyc-tls - the bytes of an RPyC connection through TLS: libcurl connects and encrypts, frames are gathered into records */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "peer/http-curl.h"

struct rpyc_tls;

/* How the connecting ended, from the loop; never from inside rpyc_tls_connect. */
typedef void rpyc_tls_done(void *ctx, const struct http_curl_result *r);

/* place: "https://HOST:PORT", with `raw`; borrowed. Several may share the libcurl state of a loop. */
int rpyc_tls_new(struct rpyc_tls **out, struct http_curl *curl, const struct http_place *place,
		 rpyc_tls_done *done, void *ctx, struct err *e) ERR_MUST_CHECK;
/* Closes, too. */
void rpyc_tls_free(struct rpyc_tls *t);
CLEANUP_PTR(struct rpyc_tls, rpyc_tls_free)

int rpyc_tls_connect(struct rpyc_tls *t, struct err *e) ERR_MUST_CHECK;
/* To be watched; -1 where there is none. */
int rpyc_tls_fd(const struct rpyc_tls *t);
/* At once; a connection that is being made is given up. */
void rpyc_tls_close(struct rpyc_tls *t);

/*
 * The next bytes to send, in pieces: how many were taken (> 0), 0 where none can be now, -1 where the peer is gone. After 0
 * the same bytes must come again, at the front of what is given then.
 */
ssize_t rpyc_tls_send(struct rpyc_tls *t, const struct iovec *v, size_t n);
/* > 0 bytes; 0 none now, wait only then: more may lie decrypted where no poll sees it; -1 with *eof: closed, or lost. */
ssize_t rpyc_tls_recv(struct rpyc_tls *t, void *to, size_t size, bool *eof);
