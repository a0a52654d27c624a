#include "peer/http-session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "peer/http-group.h"
#include "proto/http.h"

/* A session that waits in its socket looks at the loop's other business this often. */
enum { SLICE_MS = 20 };

enum link { LINK_NONE, LINK_CURL, LINK_CONNECTING, LINK_OPEN };

struct http_session {
	struct session base;
	struct http_plan *plan;
	struct http_group *group;
	uint64_t *answered;
	struct http_handle *handle; /* made when libcurl has to connect for the first time */
	enum link link;
	int fd;
	bool own_fd, tls; /* whose the descriptor is; whether bytes go through libcurl */
	struct watch watch;
	struct timer kick; /* waiting in the socket begins from the loop */
	bool opening, busy, driving;
	bool carried,
		retried;  /* the connection has served a request; this request was sent twice */
	size_t at;	  /* exchange of the operation */
	uint64_t sent;	  /* bytes of its request */
	uint64_t came_ns; /* when its last piece came */
	struct http_body body;
	struct outcome o;
	char detail[ERR_MSG_MAX];
	struct http_response r;
};

static void begin_exchange(struct http_session *s);
static void read_some(struct http_session *s);
static void drive(struct timer *t, uint64_t now);

static struct http_session *session_of(struct session *s)
{
	return CONTAINER_OF(s, struct http_session, base);
}

static const struct http_exchange *exchange(const struct http_session *s)
{
	return &s->plan->exchange[s->at];
}

static uint64_t request_bytes(const struct http_exchange *x)
{
	return x->head_len + x->body_len;
}

static void link_drop(struct http_session *s)
{
	loop_remove(&s->watch);
	if (s->own_fd)
		fd_close(&s->fd);
	else if (s->handle)
		http_handle_drop(s->handle);
	s->fd = -1;
	s->own_fd = s->carried = false;
	s->link = LINK_NONE;
}

static void answer(struct http_session *s)
{
	s->busy = s->opening = false;
	s->base.done(&s->base, &s->o);
}

/* The operation, or the opening, has failed; the connection goes with it. */
static void fail(struct http_session *s, const char *word, const char *detail)
{
	if (detail != s->detail)
		snprintf(s->detail, sizeof(s->detail), "%s", detail);
	link_drop(s);
	s->o.failure = word;
	s->o.detail = s->detail;
	s->o.done_ns = loop_now(s->base.loop);
	answer(s);
}

static void end_operation(struct http_session *s, uint64_t now)
{
	struct http_plan *p = s->plan;

	s->o.done_ns = now;
	if (p->work == HTTP_READY)
		s->o.done_ns = s->o.first_ns;
	if (p->work == HTTP_READY || p->fresh) {
		s->o.mark_ns[3] = s->o.first_ns;
		link_drop(s);
	}
	if (s->answered && !s->o.failure)
		++*s->answered;
	answer(s);
}

/* The response has come as a whole; what follows it in the input belongs to nobody. */
static void end_exchange(struct http_session *s, uint64_t now, bool extra)
{
	struct http_tally *t = &s->group->tally;
	const char *word = http_status_word(s->r.status);

	t->version = 10 + s->r.minor;
	t->received_bytes += s->r.wire_bytes;
	t->closed += !s->r.keep_alive;
	s->carried = true;
	/* an answer before the request was sent leaves the rest of it unsent */
	if (!s->r.keep_alive || extra || s->sent < request_bytes(exchange(s)))
		link_drop(s);
	if (word) {
		snprintf(s->detail, sizeof(s->detail), "status %u for %s %s", s->r.status,
			 s->plan->method, s->plan->place.url);
		s->o.failure = word;
		s->o.detail = s->detail;
	} else if (!http_body_end(&s->body, s->group, exchange(s))) {
		fail(s, "corrupt", s->body.why);
		return;
	}
	if (s->plan->count_sent)
		s->o.bytes += exchange(s)->body_len;
	if (s->plan->count_received)
		s->o.bytes += s->r.body_bytes;
	if (!word && ++s->at < s->plan->n_exchanges)
		begin_exchange(s);
	else
		end_operation(s, now);
}

/* The peer is gone. A connection that it closed while no request was under way is no failure of this one. */
static void lost(struct http_session *s, bool orderly)
{
	enum http_event ev;

	if (!s->busy) {
		link_drop(s);
		return;
	}
	if (s->carried && http_response_is_empty(&s->r) && !s->retried && !exchange(s)->body) {
		s->retried = true;
		s->group->tally.closed++;
		link_drop(s);
		begin_exchange(s);
		return;
	}
	ev = orderly ? http_response_eof(&s->r) : HTTP_BAD;
	if (ev == HTTP_END)
		end_exchange(s, loop_now(s->base.loop), false);
	else
		fail(s, "closed", s->r.why ? s->r.why : "the connection was reset");
}

/* Bytes of the peer, all of a response or some of it. Returns false when they ended it. */
static bool take(struct http_session *s, const char *data, size_t len, uint64_t now)
{
	const char *piece;
	size_t piece_len;

	for (;;) {
		switch (http_response_next(&s->r, &data, &len, &piece, &piece_len)) {
		case HTTP_MORE:
			return true;
		case HTTP_HEAD:
			break;
		case HTTP_BODY:
			if (s->r.status / 100 == 2 &&
			    !http_body_take(&s->body, s->group, exchange(s), piece, piece_len)) {
				fail(s, "corrupt", s->body.why);
				return false;
			}
			break;
		case HTTP_END:
			end_exchange(s, now, len > 0);
			return false;
		default:
			fail(s, "bad-answer", s->r.why);
			return false;
		}
	}
}

static ssize_t receive(struct http_session *s, bool *eof)
{
	ssize_t n;

	*eof = false;
	if (s->tls)
		return http_handle_recv(s->handle, s->group->received, HTTP_RECEIVE_SIZE, eof);
	n = recv(s->fd, s->group->received, HTTP_RECEIVE_SIZE, s->driving ? 0 : MSG_DONTWAIT);
	if (n > 0)
		return n;
	*eof = n == 0;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* The rest of a response comes at once where nothing waits for our ACK: 40 ms are not to be ours. */
static void ack_now(const struct http_session *s)
{
	int one = 1;

	setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

static void read_some(struct http_session *s)
{
	bool more = true, eof;

	while (more) {
		ssize_t n = receive(s, &eof);
		uint64_t now;

		if (n == 0)
			return;
		if (n < 0) {
			lost(s, eof);
			return;
		}
		if (!s->busy) {
			/* nobody asked: whatever it is, the next answer must not begin with it */
			link_drop(s);
			return;
		}
		now = loop_now(s->base.loop);
		if (!s->o.first_ns)
			s->o.first_ns = now;
		if (s->came_ns && now - s->came_ns >= HTTP_STALL_NS)
			s->group->tally.stalls++;
		s->came_ns = now;
		more = take(s, s->group->received, (size_t)n, now);
		if (more && !s->tls) {
			ack_now(s);
			return;
		}
	}
}

static void wait_for(struct http_session *s, uint32_t events)
{
	struct err unseen;

	/* one that waits in its socket is watched only where it cannot send */
	if (s->plan->alone && !s->tls && events == EPOLLIN)
		events = 0;
	if (s->watch.loop && loop_modify(&s->watch, events, &unseen) < 0)
		return; /* the time-out will tell */
}

/* What the kernel takes now; head and body in one call where they are small or lie side by side. */
static ssize_t transmit(struct http_session *s, const struct http_exchange *x)
{
	uint64_t at = s->sent - x->head_len;
	bool joined = x->body == x->head + x->head_len;
	struct iovec iov[2];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 1 };
	ssize_t n;

	if (s->sent < x->head_len || joined) {
		iov[0].iov_base = (char *)(uintptr_t)x->head + s->sent;
		iov[0].iov_len = (joined ? request_bytes(x) : x->head_len) - s->sent;
		if (x->body && !joined) {
			iov[1].iov_base = (char *)(uintptr_t)x->body;
			iov[1].iov_len = x->body_len;
			m.msg_iovlen = 2;
		}
	} else {
		iov[0].iov_base = (char *)(uintptr_t)x->body + at;
		iov[0].iov_len = x->body_len - at;
	}
	if (s->tls)
		return http_handle_send(s->handle, iov[0].iov_base, iov[0].iov_len);
	if (m.msg_iovlen == 1)
		n = send(s->fd, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void send_some(struct http_session *s)
{
	const struct http_exchange *x = exchange(s);

	while (s->sent < request_bytes(x)) {
		ssize_t n = transmit(s, x);

		if (n == 0) {
			wait_for(s, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			/* it may have said why before it closed */
			wait_for(s, EPOLLIN);
			read_some(s);
			return;
		}
		s->sent += (uint64_t)n;
		s->group->tally.sent_bytes += (uint64_t)n;
	}
	s->group->tally.requests++;
	s->group->tally.reused += s->carried;
	wait_for(s, EPOLLIN);
	if (s->plan->alone && !s->tls && !s->driving)
		timer_set(s->base.loop, &s->kick, loop_now(s->base.loop), drive);
}

/* Waits in the socket for a slice of time, operation after operation, then lets the loop look at the rest. */
static void drive(struct timer *t, uint64_t now)
{
	struct http_session *s = CONTAINER_OF(t, struct http_session, kick);
	uint64_t until = now + SLICE_MS * NS_PER_MS;

	s->driving = true;
	while (s->busy && s->link == LINK_OPEN && s->sent == request_bytes(exchange(s)) &&
	       loop_now(s->base.loop) < until)
		read_some(s);
	s->driving = false;
	/* not at 0: a timer that is always the first one would keep the time-outs from firing */
	if (s->busy && s->link == LINK_OPEN && s->sent == request_bytes(exchange(s)))
		timer_set(s->base.loop, &s->kick, loop_now(s->base.loop), drive);
}

/* The connection stands, and is ours to use. */
static void link_open(struct http_session *s)
{
	struct timeval slice = { .tv_usec = SLICE_MS * 1000 };

	s->link = LINK_OPEN;
	s->group->tally.opened++;
	sock_nodelay(s->fd, true);
	if (s->plan->alone && !s->tls) {
		int flags = fcntl(s->fd, F_GETFL);

		setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice));
		if (flags >= 0 && fcntl(s->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
			return; /* then it only spins a little */
	}
}

static void after_link(struct http_session *s)
{
	if (s->opening) {
		s->o.done_ns = s->o.first_ns = loop_now(s->base.loop);
		answer(s);
	} else {
		begin_exchange(s);
	}
}

static void connected(struct http_session *s)
{
	struct err e = { 0 };

	if (sock_connected(s->fd, &s->plan->address, &e) < 0) {
		fail(s,
		     e.sys == ECONNREFUSED ? "refused"
		     : e.sys == ETIMEDOUT  ? "timeout"
					   : "connect",
		     e.msg);
		return;
	}
	s->o.mark_ns[1] = loop_now(s->base.loop);
	if (s->plan->work == HTTP_CONNECT) {
		s->o.done_ns = s->o.first_ns = s->o.mark_ns[1];
		s->group->tally.opened++;
		link_drop(s);
		answer(s);
		return;
	}
	link_open(s);
	after_link(s);
}

static void link_ready(struct watch *w, uint32_t events)
{
	struct http_session *s = CONTAINER_OF(w, struct http_session, watch);

	if (s->link == LINK_CONNECTING) {
		connected(s);
		return;
	}
	if (events & EPOLLOUT && s->busy && s->sent < request_bytes(exchange(s)))
		send_some(s);
	if (events & ~(uint32_t)EPOLLOUT && s->link == LINK_OPEN)
		read_some(s);
}

static void curl_connected(void *ctx, const struct http_curl_result *r)
{
	struct http_session *s = ctx;
	struct err e = { 0 };

	if (r->failure) {
		fail(s, r->failure, r->detail);
		return;
	}
	s->fd = http_handle_fd(s->handle);
	if (loop_add(s->base.loop, &s->watch, s->fd, EPOLLIN, link_ready, &e) < 0) {
		fail(s, "connect", e.msg);
		return;
	}
	if (s->o.sent_ns) {
		/* a name that needed no query, a connection on this machine: all may be less than the clock's tick */
		s->o.mark_ns[0] = s->o.sent_ns + r->dns_ns;
		s->o.mark_ns[1] = s->o.sent_ns + r->tcp_ns;
		s->o.mark_ns[2] = r->tls_ns ? s->o.sent_ns + r->tls_ns : 0;
	}
	s->tls = s->plan->place.tls;
	link_open(s);
	after_link(s);
}

static const struct http_handle_ops curl_ops = { .done = curl_connected };

static int connect_by_curl(struct http_session *s, struct err *e)
{
	if (!s->handle &&
	    http_handle_new(&s->handle, s->group->curl, &s->plan->place, &curl_ops, s, e) < 0)
		return -1;
	s->link = LINK_CURL;
	s->own_fd = false;
	return http_curl_connect(s->handle, e);
}

static int connect_plain(struct http_session *s, struct err *e)
{
	if (sock_connect(&s->fd, &s->plan->address, e) < 0)
		return -1;
	s->own_fd = true;
	s->tls = false;
	s->link = LINK_CONNECTING;
	return loop_add(s->base.loop, &s->watch, s->fd, EPOLLOUT, link_ready, e);
}

/* libcurl resolves and does TLS; where neither is wanted it would only cost time. */
static void link_make(struct http_session *s, bool by_curl)
{
	struct err e = { 0 };

	link_drop(s);
	if ((by_curl || s->plan->place.tls) && s->plan->work != HTTP_CONNECT) {
		if (connect_by_curl(s, &e) == 0)
			return;
	} else if (connect_plain(s, &e) == 0) {
		return;
	}
	fail(s, e.sys == ECONNREFUSED ? "refused" : "connect", e.msg);
}

static void begin_exchange(struct http_session *s)
{
	struct http_tally *t = &s->group->tally;

	s->sent = 0;
	s->came_ns = 0;
	http_body_begin(&s->body);
	http_response_init(&s->r,
			   s->plan->method[0] == 'H' && strcmp(s->plan->method, "HEAD") == 0);
	if (!t->server[0]) {
		s->r.server = t->server;
		s->r.server_size = sizeof(t->server);
	}
	if (s->link == LINK_OPEN)
		send_some(s);
	else
		link_make(s, s->plan->work == HTTP_READY);
}

static void session_start(struct session *base)
{
	struct http_session *s = session_of(base);

	memset(&s->o, 0, sizeof(s->o));
	s->busy = true;
	s->at = 0;
	s->retried = false;
	s->o.sent_ns = loop_now(base->loop);
	if (s->plan->work == HTTP_CONNECT)
		link_make(s, false);
	else
		begin_exchange(s);
}

static void session_open(struct session *base)
{
	struct http_session *s = session_of(base);

	memset(&s->o, 0, sizeof(s->o));
	s->opening = true;
	s->o.sent_ns = loop_now(base->loop);
	if (s->plan->work == HTTP_REQUEST && !s->plan->fresh) {
		link_make(s, true);
		return;
	}
	s->o.first_ns = s->o.done_ns = s->o.sent_ns;
	answer(s);
}

static void session_cancel(struct session *base)
{
	struct http_session *s = session_of(base);

	s->busy = s->opening = false;
	timer_cancel(base->loop, &s->kick);
	link_drop(s);
	base->broken = true;
}

static void session_close(struct session *base)
{
	struct http_session *s = session_of(base);

	memset(&s->o, 0, sizeof(s->o));
	link_drop(s);
	s->o.sent_ns = s->o.first_ns = s->o.done_ns = loop_now(base->loop);
	answer(s);
}

static void session_free(struct session *base)
{
	struct http_session *s = session_of(base);

	timer_cancel(base->loop, &s->kick);
	link_drop(s);
	http_handle_free(s->handle);
	http_body_done(&s->body, s->group);
	http_group_leave(s->plan, s->group);
	free(s);
}

static void session_stalled(struct session *base, char *out, size_t size)
{
	struct http_session *s = session_of(base);

	if (s->link == LINK_CURL || s->link == LINK_CONNECTING)
		snprintf(out, size, "no connection in time");
	else if (s->link == LINK_OPEN && s->busy && s->sent < request_bytes(exchange(s)))
		snprintf(out, size, "%llu of %llu bytes of the request taken in time",
			 (unsigned long long)s->sent,
			 (unsigned long long)request_bytes(exchange(s)));
	else if (http_response_is_empty(&s->r))
		snprintf(out, size, "no answer in time");
	else
		snprintf(out, size, "the answer stopped after %llu bytes",
			 (unsigned long long)s->r.wire_bytes);
}

static const struct session_ops session_ops = {
	.open = session_open,
	.start = session_start,
	.cancel = session_cancel,
	.close = session_close,
	.free = session_free,
	.stalled = session_stalled,
};

static int fast_session_new(struct http_plan *p, struct http_group *g, struct loop *loop,
			    uint64_t *answered, struct session **out, struct err *e)
{
	struct http_session *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->base.ops = &session_ops;
	s->base.loop = loop;
	s->plan = p;
	s->group = g;
	s->answered = answered;
	s->fd = -1;
	*out = &s->base;
	return 0;
}

int http_session_new(struct http_plan *p, struct loop *loop, uint64_t *answered,
		     struct session **out, struct err *e)
{
	struct http_group *g;
	int rc;

	if (http_group_join(p, loop, &g, e) < 0)
		return -1;
	if (p->fast || p->work == HTTP_CONNECT)
		rc = fast_session_new(p, g, loop, answered, out, e);
	else
		rc = http_whole_session_new(p, g, loop, answered, out, e);
	if (rc < 0)
		http_group_leave(p, g);
	return rc;
}
