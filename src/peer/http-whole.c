/* http-whole - requests that libcurl does as a whole: HTTP/2, proxies, and its own figure beside ours */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "peer/http-group.h"
#include "proto/http.h"

struct whole_session {
	struct session base;
	struct http_plan *plan;
	struct http_group *group;
	uint64_t *answered;
	struct http_handle *handle;
	bool opening;
	size_t at; /* exchange of the operation */
	uint64_t began_ns;
	struct http_body body;
	struct outcome o;
	char detail[ERR_MSG_MAX];
};

static void begin_exchange(struct whole_session *s);

static struct whole_session *session_of(struct session *s)
{
	return CONTAINER_OF(s, struct whole_session, base);
}

static void answer(struct whole_session *s)
{
	s->base.done(&s->base, &s->o);
}

static void fail(struct whole_session *s, const char *word, const char *detail)
{
	if (detail != s->detail)
		snprintf(s->detail, sizeof(s->detail), "%s", detail);
	s->o.failure = word;
	s->o.detail = s->detail;
	s->o.done_ns = loop_now(s->base.loop);
	answer(s);
}

static void count(struct whole_session *s, const struct http_curl_result *r)
{
	struct http_tally *t = &s->group->tally;

	t->requests++;
	t->opened += r->connections;
	t->reused += r->connections == 0;
	t->version = r->version ? r->version : t->version;
	t->sent_bytes += s->plan->exchange[s->at].body_len;
	t->received_bytes += s->body.bytes;
}

static void note_times(struct whole_session *s, const struct http_curl_result *r)
{
	uint64_t at = s->began_ns;

	if (!s->o.first_ns && r->first_ns)
		s->o.first_ns = at + r->first_ns;
	if (!s->plan->fresh && s->plan->work != HTTP_READY)
		return;
	s->o.mark_ns[0] = at + r->dns_ns;
	s->o.mark_ns[1] = at + r->tcp_ns;
	s->o.mark_ns[2] = r->tls_ns ? at + r->tls_ns : 0;
	s->o.mark_ns[3] = s->o.first_ns;
}

static void end_operation(struct whole_session *s)
{
	s->o.done_ns = loop_now(s->base.loop);
	if (s->o.first_ns > s->o.done_ns)
		s->o.first_ns = s->o.done_ns;
	if (s->plan->work == HTTP_READY && s->o.first_ns)
		s->o.done_ns = s->o.first_ns;
	if (s->answered)
		++*s->answered;
	answer(s);
}

static void request_done(void *ctx, const struct http_curl_result *r)
{
	struct whole_session *s = ctx;
	const struct http_exchange *x = &s->plan->exchange[s->at];
	const char *word = r->status ? http_status_word(r->status) : NULL;

	count(s, r);
	if (s->opening && (r->status || !r->failure)) {
		/* whatever it says: the connection stands */
		s->o.first_ns = s->o.done_ns = loop_now(s->base.loop);
		answer(s);
		return;
	}
	note_times(s, r);
	if (s->body.why[0]) {
		fail(s, "corrupt", s->body.why);
		return;
	}
	if (r->failure) {
		fail(s, r->failure, r->detail);
		return;
	}
	if (word) {
		snprintf(s->detail, sizeof(s->detail), "status %u for %s %s", r->status,
			 s->plan->method, s->plan->place.url);
		fail(s, word, s->detail);
		return;
	}
	if (!http_body_end(&s->body, s->group, x)) {
		fail(s, "corrupt", s->body.why);
		return;
	}
	s->o.bytes += s->plan->count_sent ? x->body_len : 0;
	s->o.bytes += s->plan->count_received ? s->body.bytes : 0;
	if (++s->at < s->plan->n_exchanges)
		begin_exchange(s);
	else
		end_operation(s);
}

static bool body_came(void *ctx, unsigned status, const void *data, size_t len)
{
	struct whole_session *s = ctx;

	if (s->opening)
		return true;
	return status / 100 != 2 ||
	       http_body_take(&s->body, s->group, &s->plan->exchange[s->at], data, len);
}

static void server_came(void *ctx, const char *name, size_t len)
{
	struct http_tally *t = &((struct whole_session *)ctx)->group->tally;

	if (t->server[0])
		return;
	len = len < sizeof(t->server) - 1 ? len : sizeof(t->server) - 1;
	memcpy(t->server, name, len);
	t->server[len] = '\0';
}

static const struct http_handle_ops handle_ops = {
	.done = request_done,
	.body = body_came,
	.server = server_came,
};

static void begin_exchange(struct whole_session *s)
{
	const struct http_plan *p = s->plan;
	const struct http_exchange *x = &p->exchange[s->at];
	struct http_job job = { .method = p->method,
				.field = p->field,
				.n_fields = p->n_fields,
				.body = x->body,
				.body_bytes = x->body_len,
				.fresh = p->fresh || p->work == HTTP_READY };
	struct err e = { 0 };

	http_body_begin(&s->body);
	s->began_ns = loop_now(s->base.loop);
	if (http_curl_request(s->handle, &job, &e) < 0)
		fail(s, "curl", e.msg);
}

static void session_start(struct session *base)
{
	struct whole_session *s = session_of(base);

	memset(&s->o, 0, sizeof(s->o));
	s->opening = false;
	s->at = 0;
	s->o.sent_ns = loop_now(base->loop);
	begin_exchange(s);
}

static void answer_at_once(struct session *base)
{
	struct whole_session *s = session_of(base);

	memset(&s->o, 0, sizeof(s->o));
	s->o.sent_ns = s->o.first_ns = s->o.done_ns = loop_now(base->loop);
	answer(s);
}

/* libcurl connects only with a request, so the first one is not an operation. */
static void session_open(struct session *base)
{
	struct whole_session *s = session_of(base);

	if (!s->plan->connect_first || s->plan->fresh || s->plan->work == HTTP_READY) {
		answer_at_once(base);
		return;
	}
	session_start(base);
	s->opening = true;
}

static void session_cancel(struct session *base)
{
	struct whole_session *s = session_of(base);

	http_handle_drop(s->handle);
	base->broken = true;
}

static void session_free(struct session *base)
{
	struct whole_session *s = session_of(base);

	http_handle_free(s->handle);
	http_body_done(&s->body, s->group);
	http_group_leave(s->plan, s->group);
	free(s);
}

static const struct session_ops session_ops = {
	.open = session_open,
	.start = session_start,
	.cancel = session_cancel,
	.close = answer_at_once,
	.free = session_free,
};

int http_whole_session_new(struct http_plan *p, struct http_group *g, struct loop *loop,
			   uint64_t *answered, struct session **out, struct err *e)
{
	struct whole_session *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->base.ops = &session_ops;
	s->base.loop = loop;
	s->plan = p;
	s->group = g;
	s->answered = answered;
	if (http_handle_new(&s->handle, g->curl, &p->place, &handle_ops, s, e) < 0) {
		free(s);
		return -1;
	}
	*out = &s->base;
	return 0;
}
