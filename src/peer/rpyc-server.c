#include "peer/rpyc-server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/stream.h"
#include "peer/rpyc-service.h"
#include "proto/rpyc.h"

enum { PENDING_HIGH = 1 << 20, KEEP_BYTES = 1 << 18, FILLER_LEN = 1 << 18 };
#define ACCEPT_AGAIN (100 * NS_PER_MS)

struct connection {
	struct rpyc_server *server;
	struct stream stream;
	struct rpyc_reader in;
	struct rpyc_service service;
	struct timer burial; /* frees it outside its own callbacks */
	struct connection *next, **link;
	bool dead;
};

struct rpyc_server {
	struct loop *loop;
	struct rpyc_server_params params;
	int fd;
	struct watch watch;
	struct timer again; /* accepts again when descriptors ran out */
	struct connection *first;
	uint32_t n_connections;
	struct rpyc_zip *zip;
	struct buf out;	 /* the answer that is being made */
	uint8_t *filler; /* FILLER_LEN */
	struct rpyc_server_counts counts;
};

static void bury(struct timer *t, uint64_t now)
{
	struct connection *c = CONTAINER_OF(t, struct connection, burial);

	(void)now;
	timer_cancel(c->server->loop, t);
	stream_done(&c->stream);
	rpyc_reader_done(&c->in);
	rpyc_service_done(&c->service);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->server->n_connections--;
	free(c);
}

static void end(struct connection *c, bool refused)
{
	if (c->dead)
		return;
	c->dead = true;
	c->server->counts.refused += refused;
	stream_done(&c->stream);
	timer_set(c->server->loop, &c->burial, loop_now(c->server->loop), bury);
}

/* The answer of one request, sent at once. -1: the connection is of no use any more. */
static int answer(struct connection *c, const struct rpyc_message *m)
{
	struct rpyc_server *s = c->server;
	size_t at;
	int rc = 0;

	buf_clear(&s->out);
	rpyc_frame_begin(&s->out, &at);
	if (rpyc_service_answer(&c->service, m, &s->out) < 0)
		return -1;
	if (rpyc_frame_end(&s->out, at, 0) < 0)
		return -1;
	if (s->params.compress)
		rc = rpyc_frame_compress(&s->out, at, s->out.len - 1, NULL, 0, s->zip);
	if (rc < 0 || stream_write(&c->stream, s->out.data, s->out.len) < 0)
		return -1;
	if (s->out.cap > KEEP_BYTES)
		buf_done(&s->out);
	return 0;
}

static bool take_frame(struct connection *c, const struct rpyc_frame *f)
{
	struct rpyc_message m;
	const char *why;

	if (rpyc_message_parse(&m, f->payload, f->len, &why) < 0) {
		end(c, true);
		return false;
	}
	/* nothing was asked of the client: replies of it mean nothing */
	if (m.type != RPYC_REQUEST)
		return true;
	c->server->counts.requests++;
	if (m.handler == RPYC_CLOSE) {
		end(c, false);
		return false;
	}
	if (answer(c, &m) < 0) {
		end(c, true);
		return false;
	}
	return true;
}

/* Whole frames that have come, as long as their answers are taken. */
static void serve(struct connection *c)
{
	struct rpyc_frame f;
	struct err e;

	while (stream_pending(&c->stream) <= PENDING_HIGH) {
		int rc = rpyc_reader_next(&c->in, &f, &e);

		if (rc < 0)
			end(c, true);
		if (rc <= 0 || !take_frame(c, &f))
			return;
	}
	stream_pause(&c->stream, true);
}

static void readable(struct stream *stream)
{
	struct connection *c = CONTAINER_OF(stream, struct connection, stream);
	size_t room = 0;
	void *to = rpyc_reader_room(&c->in, &room);
	ssize_t n = to ? stream_read(stream, to, room) : -1;

	if (n < 0) {
		end(c, false);
		return;
	}
	rpyc_reader_filled(&c->in, (size_t)n);
	serve(c);
}

static void drained(struct stream *stream)
{
	struct connection *c = CONTAINER_OF(stream, struct connection, stream);

	if (stream->failed) {
		end(c, false);
		return;
	}
	stream_pause(stream, false);
	serve(c);
}

static void gone(struct stream *stream, bool dead)
{
	if (dead)
		end(CONTAINER_OF(stream, struct connection, stream), false);
}

static const struct stream_ops stream_ops = { readable, drained, gone };

static int welcome(struct rpyc_server *s, int fd, struct err *e)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return err_nomem(e);
	}
	c->server = s;
	sock_nodelay(fd, true);
	if (stream_init(&c->stream, s->loop, fd, 2 * (size_t)s->params.max_payload + PENDING_HIGH,
			&stream_ops, e) < 0) {
		free(c);
		return -1;
	}
	rpyc_reader_init(&c->in, s->zip, (size_t)s->params.max_payload);
	rpyc_service_init(&c->service, s->filler, FILLER_LEN, (size_t)s->params.max_payload - 64);
	c->next = s->first;
	c->link = &s->first;
	if (c->next)
		c->next->link = &c->next;
	s->first = c;
	s->n_connections++;
	s->counts.connections++;
	return 0;
}

static void accept_again(struct timer *t, uint64_t now)
{
	struct rpyc_server *s = CONTAINER_OF(t, struct rpyc_server, again);
	struct err e;

	(void)now;
	if (loop_modify(&s->watch, EPOLLIN, &e) < 0)
		timer_set(s->loop, t, loop_now(s->loop) + ACCEPT_AGAIN, accept_again);
}

static void acceptable(struct watch *w, uint32_t events)
{
	struct rpyc_server *s = CONTAINER_OF(w, struct rpyc_server, watch);
	struct err e;
	int fd = -1;

	(void)events;
	for (;;) {
		if (sock_accept(s->fd, &fd, NULL, &e) < 0) {
			/* without descriptors the listener would be ready for ever */
			if (loop_modify(w, 0, &e) == 0)
				timer_set(s->loop, &s->again, loop_now(s->loop) + ACCEPT_AGAIN,
					  accept_again);
			return;
		}
		if (fd < 0)
			return;
		if (s->n_connections >= s->params.max_connections) {
			s->counts.refused++;
			close(fd);
		} else if (welcome(s, fd, &e) < 0) {
			s->counts.refused++;
		}
	}
}

static void fill(uint8_t *p, size_t n)
{
	uint64_t state = 1;

	for (size_t i = 0; i < n; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(state >> 56);
	}
}

int rpyc_server_open(struct rpyc_server **out, struct loop *loop,
		     const struct rpyc_server_params *p, struct addr *bound, struct err *e)
{
	CLEANUP(rpyc_server_close) struct rpyc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->loop = loop;
	s->params = *p;
	s->fd = -1;
	s->filler = malloc(FILLER_LEN);
	if (!s->filler)
		return err_nomem(e);
	fill(s->filler, FILLER_LEN);
	if (rpyc_zip_new(&s->zip, e) < 0 || sock_listen(&s->fd, p->host, p->port, bound, e) < 0 ||
	    loop_add(loop, &s->watch, s->fd, EPOLLIN, acceptable, e) < 0)
		return -1;
	*out = TAKE(s);
	return 0;
}

void rpyc_server_close(struct rpyc_server *s)
{
	if (!s)
		return;
	while (s->first)
		bury(&s->first->burial, 0);
	timer_cancel(s->loop, &s->again);
	loop_remove(&s->watch);
	if (s->fd >= 0)
		close(s->fd);
	rpyc_zip_free(s->zip);
	buf_done(&s->out);
	free(s->filler);
	free(s);
}

struct rpyc_server_counts rpyc_server_counts(const struct rpyc_server *s)
{
	return s->counts;
}
