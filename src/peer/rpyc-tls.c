#include "peer/rpyc-tls.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD = 16384 };

struct rpyc_tls {
	struct http_handle *handle;
	rpyc_tls_done *done;
	void *ctx;
	/* One record. It stays where it is until it was taken: TLS wants the very same bytes again. */
	char record[RECORD];
	size_t filled;
};

static void connected(void *ctx, const struct http_curl_result *r)
{
	struct rpyc_tls *t = ctx;

	t->done(t->ctx, r);
}

static const struct http_handle_ops ops = { .done = connected };

int rpyc_tls_new(struct rpyc_tls **out, struct http_curl *curl, const struct http_place *place,
		 rpyc_tls_done *done, void *ctx, struct err *e)
{
	CLEANUP(rpyc_tls_free) struct rpyc_tls *t = calloc(1, sizeof(*t));

	if (!t)
		return err_nomem(e);
	t->done = done;
	t->ctx = ctx;
	if (http_handle_new(&t->handle, curl, place, &ops, t, e) < 0)
		return -1;
	*out = TAKE(t);
	return 0;
}

void rpyc_tls_free(struct rpyc_tls *t)
{
	if (!t)
		return;
	http_handle_free(t->handle);
	free(t);
}

int rpyc_tls_connect(struct rpyc_tls *t, struct err *e)
{
	t->filled = 0;
	return http_curl_connect(t->handle, e);
}

int rpyc_tls_fd(const struct rpyc_tls *t)
{
	return http_handle_fd(t->handle);
}

void rpyc_tls_close(struct rpyc_tls *t)
{
	t->filled = 0;
	http_handle_drop(t->handle);
}

static void fill(struct rpyc_tls *t, const struct iovec *v, size_t n)
{
	for (size_t i = 0; i < n && t->filled < RECORD; i++) {
		size_t room = RECORD - t->filled, len = v[i].iov_len < room ? v[i].iov_len : room;

		memcpy(t->record + t->filled, v[i].iov_base, len);
		t->filled += len;
	}
}

ssize_t rpyc_tls_send(struct rpyc_tls *t, const struct iovec *v, size_t n)
{
	ssize_t sent;

	if (t->filled == 0)
		fill(t, v, n);
	sent = http_handle_send(t->handle, t->record, t->filled);
	if (sent > 0)
		t->filled = 0; /* what was not taken of it comes again */
	return sent;
}

ssize_t rpyc_tls_recv(struct rpyc_tls *t, void *to, size_t size, bool *eof)
{
	return http_handle_recv(t->handle, to, size, eof);
}
