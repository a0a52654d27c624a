/* rpyc-service - what the builtin RPyC server does: requests in, replies out; no descriptor, no clock */
#pragma once

#include "proto/rpyc-refs.h"

/*
 * Its root has ping() -> 'pong', echo(x) -> x, upload(data) -> len(data), download(n) -> n bytes that do not shrink,
 * add(a, b), compute(n) -> the sum of squares below n, thing() -> a new object with .x and .hello(name), things(n) -> a
 * tuple of n of them, live() -> how many objects this connection holds, fail() raises ValueError('boom'), const = 1234. Nothing is
 * evaluated, and nothing of the client's is called.
 */
struct rpyc_service {
	struct rpyc_refs refs;
	const uint8_t *filler; /* what downloads repeat: `filler_len` bytes, borrowed */
	size_t filler_len, download_max;
	int64_t next_id;
	uint64_t calls, exceptions;
};
enum { RPYC_SERVICE_OBJECTS_MAX = 1 << 20, RPYC_SERVICE_COMPUTE_MAX = 10000000 };

/* One for each connection. */
void rpyc_service_init(struct rpyc_service *s, const uint8_t *filler, size_t filler_len,
		       size_t download_max);
void rpyc_service_done(struct rpyc_service *s);
CLEANUP_OBJ(struct rpyc_service, rpyc_service_done)

/* Appends the payload that answers a REQUEST other than CLOSE, in its layout. 0; -1 without memory (or an answer beyond
 * what `out` takes). */
int rpyc_service_answer(struct rpyc_service *s, const struct rpyc_message *m, struct buf *out);
