#include "peer/relay-tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

enum { BUFFER = 64 << 10, ACCEPTS_AT_ONCE = 16 };

static const uint64_t accept_pause_ns = 100 * NS_PER_MS;

struct conn;

/* One of the two sockets, and what was read from it and not yet written to the other. */
struct side {
	struct conn *conn;
	struct side *other;
	struct watch watch;
	int fd;
	bool ended; /* nothing more will be read */
	uint64_t *written;
	size_t from, to;
	uint8_t bytes[BUFFER];
};

struct conn {
	struct relay_tcp *relay;
	struct conn *next;
	uint32_t number;
	struct side client, server;
};

struct relay_tcp {
	struct loop *loop;
	struct addr target;
	unsigned max;
	int fd;
	struct watch watch;
	struct timer resume;
	struct conn *conns;
	const struct relay_tcp_tap *tap;
	struct relay_tcp_counts counts;
};

static void conn_free(struct conn *c)
{
	struct relay_tcp *r = c->relay;
	struct conn **at = &r->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	r->counts.active--;
	if (r->tap)
		r->tap->ended(r->tap->ctx, c->number, clock_now());
	loop_remove(&c->client.watch);
	loop_remove(&c->server.watch);
	fd_close(&c->client.fd);
	fd_close(&c->server.fd);
	free(c);
}

/* Whoever is left hears what became of the other. */
static void conn_reset(struct conn *c)
{
	const struct linger at_once = { .l_onoff = 1 };

	c->relay->counts.failed++;
	setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (c->server.fd >= 0)
		setsockopt(c->server.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	conn_free(c);
}

static int update_side(struct side *s, struct err *e)
{
	uint32_t events = 0;

	if (!s->ended && s->from == s->to)
		events |= EPOLLIN;
	if (s->other->from < s->other->to)
		events |= EPOLLOUT;
	return loop_modify(&s->watch, events, e);
}

/* After each event: all that can be waited for now. */
static void update(struct conn *c)
{
	bool drained = c->client.from == c->client.to && c->server.from == c->server.to;
	struct err ignored;

	if (c->client.ended && c->server.ended && drained)
		conn_free(c);
	else if (update_side(&c->client, &ignored) < 0 || update_side(&c->server, &ignored) < 0)
		conn_reset(c);
}

static bool is_later(int sys)
{
	return sys == EAGAIN || sys == EINTR;
}

/* What was read goes on to the other side, and after it the end. False when that side is gone. */
static bool pass_on(struct side *s)
{
	while (s->from < s->to) {
		ssize_t n = send(s->other->fd, s->bytes + s->from, s->to - s->from, MSG_NOSIGNAL);

		if (n < 0)
			return is_later(errno);
		s->from += (size_t)n;
		*s->written += (uint64_t)n;
	}
	s->from = s->to = 0;
	return !s->ended || shutdown(s->other->fd, SHUT_WR) == 0 || errno == ENOTCONN;
}

/* One of two packets that follow each other may wait for the acknowledgement of the first: it goes out at once. */
static void acknowledge_at_once(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static bool read_and_tell(struct side *s, const struct relay_tcp_tap *tap)
{
	uint64_t read_ns = clock_now();
	ssize_t n;
	bool ok;

	n = read(s->fd, s->bytes, BUFFER);
	if (n < 0)
		return is_later(errno);
	s->ended = n == 0;
	s->from = 0;
	s->to = (size_t)n;
	ok = pass_on(s);
	if (n)
		tap->bytes(tap->ctx, s->conn->number, s == &s->conn->client, read_ns, clock_now(),
			   s->bytes, (size_t)n);
	if (tap->quickack)
		acknowledge_at_once(s->fd);
	return ok;
}

static bool read_side(struct side *s)
{
	const struct relay_tcp_tap *tap = s->conn->relay->tap;
	ssize_t n;

	if (tap)
		return read_and_tell(s, tap);
	n = read(s->fd, s->bytes, BUFFER);

	if (n < 0)
		return is_later(errno);
	s->ended = n == 0;
	s->from = 0;
	s->to = (size_t)n;
	return pass_on(s);
}

static void side_ready(struct watch *w, uint32_t events)
{
	struct side *s = CONTAINER_OF(w, struct side, watch);
	bool ok = true;

	if (events & EPOLLOUT)
		ok = pass_on(s->other);
	/* an error or a hang-up shows in the read */
	if (ok && events & ~(uint32_t)EPOLLOUT && !s->ended && s->from == s->to)
		ok = read_side(s);
	else if (ok && events & EPOLLERR)
		ok = false;
	if (ok)
		update(s->conn);
	else
		conn_reset(s->conn);
}

static void connected(struct watch *w, uint32_t events)
{
	struct side *s = CONTAINER_OF(w, struct side, watch);
	struct err why;

	(void)events;
	if (sock_connected(s->fd, &s->conn->relay->target, &why) < 0) {
		conn_reset(s->conn);
		return;
	}
	w->ready = side_ready;
	update(s->conn);
}

static void side_init(struct conn *c, struct side *s, struct side *other, uint64_t *written)
{
	s->conn = c;
	s->other = other;
	s->written = written;
	s->fd = -1;
}

static void prepare(int fd)
{
	sock_nodelay(fd, true);
	sock_keepalive(fd, 60, 10, 6);
}

/* Takes fd over. */
static void greet(struct relay_tcp *r, int fd)
{
	struct conn *c = r->counts.active < r->max ? calloc(1, sizeof(*c)) : NULL;
	struct err ignored;

	if (!c) {
		r->counts.refused++;
		close(fd);
		return;
	}
	c->relay = r;
	c->next = r->conns;
	r->conns = c;
	c->number = (uint32_t)r->counts.connections++;
	r->counts.active++;
	if (r->tap)
		r->tap->opened(r->tap->ctx, c->number, clock_now());
	side_init(c, &c->client, &c->server, &r->counts.bytes_to_server);
	side_init(c, &c->server, &c->client, &r->counts.bytes_to_client);
	c->client.fd = fd;
	prepare(fd);
	if (sock_connect(&c->server.fd, &r->target, &ignored) < 0 ||
	    loop_add(r->loop, &c->client.watch, fd, 0, side_ready, &ignored) < 0 ||
	    loop_add(r->loop, &c->server.watch, c->server.fd, EPOLLOUT, connected, &ignored) < 0) {
		conn_reset(c);
		return;
	}
	prepare(c->server.fd);
}

static void resume(struct timer *t, uint64_t now)
{
	struct relay_tcp *r = CONTAINER_OF(t, struct relay_tcp, resume);
	struct err ignored;

	if (loop_modify(&r->watch, EPOLLIN, &ignored) < 0)
		timer_set(r->loop, t, now + accept_pause_ns, resume);
}

static void knock(struct watch *w, uint32_t events)
{
	struct relay_tcp *r = CONTAINER_OF(w, struct relay_tcp, watch);
	struct err e;

	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int fd;

		if (sock_accept(r->fd, &fd, NULL, &e) < 0) {
			/* without descriptors left it would be told again and again that somebody waits */
			if (loop_modify(&r->watch, 0, &e) == 0)
				timer_set(r->loop, &r->resume, loop_now(r->loop) + accept_pause_ns,
					  resume);
			return;
		}
		if (fd < 0)
			return;
		greet(r, fd);
	}
}

int relay_tcp_open(struct relay_tcp **out, struct loop *l, int listener, const struct addr *target,
		   unsigned max, struct err *e)
{
	CLEANUP(relay_tcp_close) struct relay_tcp *r = calloc(1, sizeof(*r));

	if (!r) {
		close(listener);
		return err_nomem(e);
	}
	r->loop = l;
	r->target = *target;
	r->max = max;
	r->fd = listener;
	if (loop_add(l, &r->watch, r->fd, EPOLLIN, knock, e) < 0)
		return -1;
	*out = TAKE(r);
	return 0;
}

void relay_tcp_tap(struct relay_tcp *r, const struct relay_tcp_tap *tap)
{
	r->tap = tap;
}

const struct relay_tcp_counts *relay_tcp_counts(const struct relay_tcp *r)
{
	return &r->counts;
}

void relay_tcp_close(struct relay_tcp *r)
{
	if (!r)
		return;
	while (r->conns)
		conn_free(r->conns);
	timer_cancel(r->loop, &r->resume);
	loop_remove(&r->watch);
	fd_close(&r->fd);
	free(r);
}
