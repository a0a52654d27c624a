#include "peer/http-server.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "io/loop.h"

enum { PATTERN_SIZE = 1 << 16, COMPUTE_MAX = 100000000, BLOCK_SIZE = 1 << 16 };

struct http_server {
	struct http_server_params params;
	struct addr bound;
	struct loop *loop;
	struct watch watch;
	struct timer timer;
	struct MHD_Daemon *daemon;
	struct MHD_Response *pong, *nothing, *unknown, *wrong_method, *too_large;
	struct http_server_stats stats;
	char pattern[PATTERN_SIZE];
};

enum route { ROUTE_PING, ROUTE_NULL, ROUTE_ECHO, ROUTE_UPLOAD, ROUTE_DOWNLOAD, ROUTE_COMPUTE };

/* One request, from its head to its answer. */
struct request {
	enum route route;
	uint64_t number; /* of /download and /compute */
	uint64_t came;	 /* bytes of the body */
	struct buf body;
	struct MHD_Response *refusal; /* shared; NULL: none */
	unsigned status;
};

static void refuse(struct request *r, unsigned status, struct MHD_Response *why)
{
	r->status = status;
	r->refusal = why;
}

static bool has_number(const char *path, const char *before, uint64_t max, uint64_t *out)
{
	size_t n = strlen(before);
	struct err unseen;

	return strncmp(path, before, n) == 0 && num_parse_u64(path + n, out, &unseen) == 0 &&
	       *out <= max;
}

static bool find_route(struct request *r, const char *path)
{
	if (strcmp(path, "/ping") == 0)
		r->route = ROUTE_PING;
	else if (strcmp(path, "/null") == 0)
		r->route = ROUTE_NULL;
	else if (strcmp(path, "/echo") == 0)
		r->route = ROUTE_ECHO;
	else if (strcmp(path, "/upload") == 0)
		r->route = ROUTE_UPLOAD;
	else if (has_number(path, "/download/", INT64_MAX, &r->number))
		r->route = ROUTE_DOWNLOAD;
	else if (has_number(path, "/compute/", COMPUTE_MAX, &r->number))
		r->route = ROUTE_COMPUTE;
	else
		return false;
	return true;
}

static struct request *request_new(struct http_server *s, const char *path, const char *method)
{
	struct request *r = calloc(1, sizeof(*r));
	bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	bool writes = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;

	if (!r)
		return NULL;
	s->stats.requests++;
	buf_init(&r->body, s->params.max_body);
	r->status = MHD_HTTP_OK;
	if (!find_route(r, path))
		refuse(r, MHD_HTTP_NOT_FOUND, s->unknown);
	else if (r->route == ROUTE_ECHO || r->route == ROUTE_UPLOAD ? !writes : !reads)
		refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, s->wrong_method);
	return r;
}

static void take_body(struct http_server *s, struct request *r, const char *data, size_t len)
{
	r->came += len;
	if (r->refusal || r->route != ROUTE_ECHO)
		return;
	if (buf_add(&r->body, data, len) < 0) {
		buf_done(&r->body);
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, s->too_large);
	}
}

static ssize_t more_pattern(void *ctx, uint64_t at, char *out, size_t max)
{
	const struct http_server *s = ctx;
	size_t from = at % PATTERN_SIZE, n = PATTERN_SIZE - from;

	n = n < max ? n : max;
	memcpy(out, s->pattern + from, n);
	return (ssize_t)n;
}

static struct MHD_Response *number_response(uint64_t number)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRIu64, number);

	return MHD_create_response_from_buffer((size_t)n, text, MHD_RESPMEM_MUST_COPY);
}

static struct MHD_Response *make_response(struct http_server *s, struct request *r)
{
	uint64_t sum = 0;
	size_t len;

	switch (r->route) {
	case ROUTE_ECHO:
		len = r->body.len;
		return MHD_create_response_from_buffer(len, buf_take(&r->body),
						       MHD_RESPMEM_MUST_FREE);
	case ROUTE_UPLOAD:
		return number_response(r->came);
	case ROUTE_DOWNLOAD:
		if (r->number <= PATTERN_SIZE)
			return MHD_create_response_from_buffer((size_t)r->number, s->pattern,
							       MHD_RESPMEM_PERSISTENT);
		return MHD_create_response_from_callback(r->number, BLOCK_SIZE, more_pattern, s,
							 NULL);
	default:
		for (uint64_t i = 0; i < r->number; i++)
			sum += i * i;
		return number_response(sum);
	}
}

static enum MHD_Result reply(struct http_server *s, struct MHD_Connection *c, struct request *r)
{
	struct MHD_Response *made;
	enum MHD_Result rc;

	s->stats.refused += r->refusal != NULL;
	if (r->refusal)
		return MHD_queue_response(c, r->status, r->refusal);
	if (r->route == ROUTE_PING)
		return MHD_queue_response(c, MHD_HTTP_OK, s->pong);
	if (r->route == ROUTE_NULL)
		return MHD_queue_response(c, MHD_HTTP_NO_CONTENT, s->nothing);
	made = make_response(s, r);
	if (!made)
		return MHD_NO;
	rc = MHD_queue_response(c, MHD_HTTP_OK, made);
	MHD_destroy_response(made);
	return rc;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *path,
			      const char *method, const char *version, const char *data,
			      size_t *len, void **state)
{
	struct http_server *s = ctx;
	struct request *r = *state;

	(void)version;
	if (!r) {
		*state = request_new(s, path, method);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*len) {
		take_body(s, r, data, *len);
		*len = 0;
		return MHD_YES;
	}
	return reply(s, c, r);
}

static void request_over(void *ctx, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct request *r = *state;

	(void)ctx;
	(void)c;
	(void)why;
	if (r)
		buf_done(&r->body);
	free(r);
	*state = NULL;
}

static struct MHD_Response *fixed(const char *text)
{
	return MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
					       MHD_RESPMEM_PERSISTENT);
}

static int start(struct http_server *s, int listener, struct err *e)
{
	for (size_t i = 0; i < PATTERN_SIZE; i++)
		s->pattern[i] = (char)(i * 131 + (i >> 8) * 7);
	s->pong = fixed("pong");
	s->nothing = fixed("");
	s->unknown = fixed("no such path: /ping /null /echo /upload /download/N /compute/N\n");
	s->wrong_method = fixed("POST /echo and /upload, GET the others\n");
	s->too_large = fixed("more than this server holds\n");
	if (!s->pong || !s->nothing || !s->unknown || !s->wrong_method || !s->too_large)
		return err_nomem(e);
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TURBO, 0, NULL, NULL, handle, s, MHD_OPTION_LISTEN_SOCKET,
		listener, MHD_OPTION_CONNECTION_LIMIT, s->params.max_connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(48 << 10), MHD_OPTION_NOTIFY_COMPLETED,
		request_over, NULL, MHD_OPTION_END);
	if (!s->daemon)
		return err_set(e, ERR_MACHINE, "http", "libmicrohttpd cannot serve here");
	return 0;
}

int http_server_open(struct http_server **out, const struct http_server_params *p, struct err *e)
{
	CLEANUP(http_server_close) struct http_server *s = calloc(1, sizeof(*s));
	CLEANUP_FD int listener = -1;

	if (!s)
		return err_nomem(e);
	s->params = *p;
	if (loop_new(&s->loop, e) < 0 ||
	    sock_listen(&listener, p->host, p->port, &s->bound, e) < 0 || start(s, listener, e) < 0)
		return -1;
	fd_take(&listener); /* the daemon closes it */
	*out = TAKE(s);
	return 0;
}

const struct addr *http_server_address(const struct http_server *s)
{
	return &s->bound;
}

static void serve(struct http_server *s);

static void timer_fired(struct timer *t, uint64_t now)
{
	(void)now;
	serve(CONTAINER_OF(t, struct http_server, timer));
}

static void daemon_ready(struct watch *w, uint32_t events)
{
	(void)events;
	serve(CONTAINER_OF(w, struct http_server, watch));
}

static void serve(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(s->daemon);
	if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
		timer_set(s->loop, &s->timer, loop_now(s->loop) + ms * NS_PER_MS, timer_fired);
	else
		timer_cancel(s->loop, &s->timer);
}

int http_server_run(struct http_server *s, struct err *e)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	enum loop_end why;
	int rc;

	if (!info || loop_add(s->loop, &s->watch, info->epoll_fd, EPOLLIN, daemon_ready, e) < 0)
		return err_set(e, ERR_MACHINE, "http", "libmicrohttpd has no epoll here");
	serve(s);
	rc = loop_run(s->loop, 0, &why, e);
	loop_remove(&s->watch);
	return rc;
}

void http_server_stats(const struct http_server *s, struct http_server_stats *out)
{
	*out = s->stats;
}

void http_server_close(struct http_server *s)
{
	if (!s)
		return;
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	if (s->loop)
		timer_cancel(s->loop, &s->timer);
	MHD_destroy_response(s->pong);
	MHD_destroy_response(s->nothing);
	MHD_destroy_response(s->unknown);
	MHD_destroy_response(s->wrong_method);
	MHD_destroy_response(s->too_large);
	loop_free(s->loop);
	free(s);
}
