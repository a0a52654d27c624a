#include "peer/rpyc-link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/rpyc-exception.h"

enum {
	PIECES_AT_ONCE = 16,
	KEEP_BYTES = 1 << 18,
	OWED_MAX = 100000, /* requests of a server that answers nothing of ours */
	QUEUE_MAX = RPYC_PAYLOAD_MAX,
};

void rpyc_link_init(struct rpyc_link *l, struct loop *loop, const struct rpyc_link_ops *ops,
		    struct rpyc_zip *zip, struct rpyc_tally *tally, size_t max)
{
	*l = (struct rpyc_link){ .ops = ops, .loop = loop, .zip = zip, .tally = tally, .fd = -1 };
	rpyc_reader_init(&l->in, zip, max);
}

static void forget(struct rpyc_link *l)
{
	rpyc_reader_clear(&l->in);
	buf_clear(&l->out);
	l->n_pieces = l->first_piece = l->first_done = 0;
	l->n_pending = l->pending_off = 0;
	l->next_seq = 0;
	l->owed = 0;
	l->layout_seen = RPYC_LAYOUT_NONE;
}

void rpyc_link_close(struct rpyc_link *l)
{
	loop_remove(&l->watch);
	if (l->tls)
		rpyc_tls_close(l->tls);
	else if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->connecting = false;
}

void rpyc_link_done(struct rpyc_link *l)
{
	if (!l->ops)
		return;
	rpyc_link_close(l);
	rpyc_tls_free(l->tls);
	l->tls = NULL;
	rpyc_reader_done(&l->in);
	buf_done(&l->out);
	free(l->piece);
	free(l->pending);
	l->piece = NULL;
	l->pending = NULL;
}

bool rpyc_link_is_open(const struct rpyc_link *l)
{
	return l->fd >= 0 && !l->connecting;
}

size_t rpyc_link_awaited(const struct rpyc_link *l)
{
	return l->n_pending - l->pending_off;
}

static void fail(struct rpyc_link *l, const char *word, const char *detail)
{
	if (l->fd < 0 && !l->connecting)
		return;
	rpyc_link_close(l);
	l->ops->failed(l, word, detail);
}

static const char *word_of(const struct err *e)
{
	switch (e->sys) {
	case ECONNREFUSED:
		return "refused";
	case ECONNRESET:
	case EPIPE:
		return "reset";
	default:
		return "connect";
	}
}

static void ready(struct watch *w, uint32_t events);

static void tls_connected(void *ctx, const struct http_curl_result *r)
{
	struct rpyc_link *l = ctx;
	struct err e = { 0 };

	if (r->failure) {
		fail(l, r->failure, r->detail);
		return;
	}
	l->fd = rpyc_tls_fd(l->tls);
	if (loop_add(l->loop, &l->watch, l->fd, EPOLLIN, ready, &e) < 0) {
		fail(l, "connect", e.msg);
		return;
	}
	sock_nodelay(l->fd, true);
	l->connecting = false;
	l->tcp_ns = r->tcp_ns;
	l->tls_ns = r->tls_ns;
	l->tally->opened++;
	l->ops->connected(l);
}

int rpyc_link_use_tls(struct rpyc_link *l, struct http_curl *curl, const struct http_place *place,
		      struct err *e)
{
	return rpyc_tls_new(&l->tls, curl, place, tls_connected, l, e);
}

void rpyc_link_connect(struct rpyc_link *l, const struct addr *server)
{
	struct err e = { 0 };

	rpyc_link_close(l);
	forget(l);
	l->generation++;
	l->server = *server;
	l->connecting = true;
	l->received_at_ns = 0;
	if (l->tls) {
		if (rpyc_tls_connect(l->tls, &e) < 0)
			fail(l, "connect", e.msg);
		return;
	}
	if (sock_connect(&l->fd, server, &e) < 0 ||
	    loop_add(l->loop, &l->watch, l->fd, EPOLLOUT, ready, &e) < 0) {
		fail(l, e.kind == ERR_TARGET ? word_of(&e) : "connect", e.msg);
		return;
	}
	sock_nodelay(l->fd, true);
}

/* What stands behind a bound that is not the protocol's. */
static void *grow(void *array, size_t *room, size_t n, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *to;

	if (n < *room)
		return array;
	to = reallocarray(array, more, size);
	if (to)
		*room = more;
	return to;
}

static void add_piece(struct rpyc_link *l, const void *outside, size_t at, size_t len)
{
	struct rpyc_piece *piece = grow(l->piece, &l->piece_room, l->n_pieces, sizeof(*piece));

	if (!piece) {
		buf_reserve(&l->out, SIZE_MAX); /* seen at the flush */
		return;
	}
	l->piece = piece;
	if (len)
		piece[l->n_pieces++] = (struct rpyc_piece){ outside, at, len, false };
}

static void expect(struct rpyc_link *l, int64_t seq, uint64_t tag)
{
	struct rpyc_pending *pending;

	if (l->pending_off && l->n_pending == l->pending_room) {
		memmove(l->pending, l->pending + l->pending_off,
			(l->n_pending - l->pending_off) * sizeof(*pending));
		l->n_pending -= l->pending_off;
		l->pending_off = 0;
	}
	pending = grow(l->pending, &l->pending_room, l->n_pending, sizeof(*pending));
	if (!pending || l->n_pending >= RPYC_LINK_PENDING_MAX) {
		buf_reserve(&l->out, SIZE_MAX);
		return;
	}
	l->pending = pending;
	pending[l->n_pending++] = (struct rpyc_pending){ seq, tag };
}

/* The frame begins where the last one's bytes of `out` ended. */
int64_t rpyc_link_begin(struct rpyc_link *l)
{
	size_t at;

	rpyc_frame_begin(&l->out, &at);
	l->split = 0;
	return l->next_seq++;
}

void rpyc_link_outside(struct rpyc_link *l)
{
	l->split = l->out.len;
}

/* Where the frame that is being made begins: behind all pieces of `out`. */
static size_t frame_start(const struct rpyc_link *l)
{
	for (size_t i = l->n_pieces; i > l->first_piece; i--)
		if (!l->piece[i - 1].outside)
			return l->piece[i - 1].at + l->piece[i - 1].len;
	return 0;
}

static void add_frame(struct rpyc_link *l, const void *outside, size_t len)
{
	size_t at = frame_start(l), split = l->split ? l->split : l->out.len;
	int packed = 0;

	if (rpyc_frame_end(&l->out, at, len) < 0)
		return;
	if (l->compress)
		packed = rpyc_frame_compress(&l->out, at, split, outside, len, l->zip);
	if (packed != 0) {
		if (packed < 0)
			buf_reserve(&l->out, SIZE_MAX);
		l->tally->compressed++;
		add_piece(l, NULL, at, l->out.len - at);
		return;
	}
	add_piece(l, NULL, at, split - at);
	if (len)
		add_piece(l, outside, 0, len);
	add_piece(l, NULL, split, l->out.len - split);
}

static void end_frame(struct rpyc_link *l, const void *outside, size_t len)
{
	add_frame(l, outside, len);
	if (l->n_pieces)
		l->piece[l->n_pieces - 1].ends = true;
}

void rpyc_link_end(struct rpyc_link *l, uint64_t tag, const void *outside, size_t len)
{
	end_frame(l, outside, len);
	expect(l, l->next_seq - 1, tag);
	l->tally->requests++;
}

void rpyc_link_end_silent(struct rpyc_link *l)
{
	end_frame(l, NULL, 0);
}

static void all_sent(struct rpyc_link *l)
{
	struct err e;

	l->n_pieces = l->first_piece = l->first_done = 0;
	buf_clear(&l->out);
	if (l->out.cap > KEEP_BYTES)
		buf_done(&l->out);
	if (loop_modify(&l->watch, EPOLLIN, &e) < 0)
		fail(l, "connect", e.msg);
}

/* Takes n bytes that the kernel took off the queue. */
static void sent(struct rpyc_link *l, size_t n)
{
	l->tally->sent_bytes += n;
	while (n > 0) {
		struct rpyc_piece *p = &l->piece[l->first_piece];
		size_t step = p->len - l->first_done < n ? p->len - l->first_done : n;

		l->first_done += step;
		n -= step;
		if (l->first_done == p->len) {
			l->first_piece++;
			l->first_done = 0;
		}
	}
}

/* With TLS a frame at most: a server that asks its socket, as RPyC does, does not see a second one in the same record. */
static ssize_t send_some(struct rpyc_link *l)
{
	struct iovec v[PIECES_AT_ONCE];
	struct msghdr h = { .msg_iov = v };
	size_t done = l->first_done;

	for (size_t i = l->first_piece; i < l->n_pieces && h.msg_iovlen < PIECES_AT_ONCE; i++) {
		const struct rpyc_piece *p = &l->piece[i];
		const uint8_t *from = p->outside ? p->outside : (uint8_t *)l->out.data + p->at;

		v[h.msg_iovlen].iov_base = (void *)(uintptr_t)(from + done);
		v[h.msg_iovlen++].iov_len = p->len - done;
		done = 0;
		if (l->tls && p->ends)
			break;
	}
	if (l->tls)
		return rpyc_tls_send(l->tls, v, h.msg_iovlen);
	return h.msg_iovlen == 1 ? send(l->fd, v[0].iov_base, v[0].iov_len, MSG_NOSIGNAL)
				 : sendmsg(l->fd, &h, MSG_NOSIGNAL);
}

void rpyc_link_flush(struct rpyc_link *l)
{
	struct err e = { 0 };

	if (l->fd < 0 || l->connecting)
		return;
	if (l->out.failed) {
		fail(l, "memory", "a request that is too long, or no memory for it");
		return;
	}
	if (l->n_pieces == 0)
		return;
	while (l->first_piece < l->n_pieces) {
		ssize_t n = send_some(l);

		if (n > 0) {
			sent(l, (size_t)n);
			continue;
		}
		if (n < 0 && l->tls) {
			fail(l, "reset", "the connection broke while sending");
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || errno == EAGAIN) {
			if (loop_modify(&l->watch, EPOLLIN | EPOLLOUT, &e) < 0)
				fail(l, "connect", e.msg);
			return;
		}
		err_sys(&e, ERR_TARGET, "sending");
		fail(l, word_of(&e), e.msg);
		return;
	}
	all_sent(l);
}

/* The tag of a request that is waited for; answers come in order, or nearly so. */
static bool take_pending(struct rpyc_link *l, int64_t seq, uint64_t *tag)
{
	for (size_t i = l->pending_off; i < l->n_pending; i++) {
		if (l->pending[i].seq != seq)
			continue;
		*tag = l->pending[i].tag;
		memmove(l->pending + l->pending_off + 1, l->pending + l->pending_off,
			(i - l->pending_off) * sizeof(*l->pending));
		l->pending_off++;
		if (l->pending_off == l->n_pending)
			l->pending_off = l->n_pending = 0;
		return true;
	}
	return false;
}

/* What servers ask of clients: the root of a service that has none, references to be dropped, a ping. */
static void serve(struct rpyc_link *l, const struct rpyc_message *m)
{
	size_t at;

	if (m->handler == RPYC_CLOSE) {
		fail(l, "closed", "the server closed the connection");
		return;
	}
	if (++l->owed > OWED_MAX) {
		fail(l, "bad-answer", "the server only asks and never answers");
		return;
	}
	l->tally->served++;
	rpyc_frame_begin(&l->out, &at);
	l->split = 0;
	if (m->handler == RPYC_GETROOT || m->handler == RPYC_DEL) {
		rpyc_put_reply(&l->out, l->layout, m->seq);
		rpyc_put_value_box(&l->out);
		brine_put_none(&l->out);
	} else if (m->handler == RPYC_PING) {
		struct rpyc_args args;
		struct rpyc_box box;

		rpyc_put_reply(&l->out, l->layout, m->seq);
		rpyc_put_value_box(&l->out);
		if (rpyc_args_open(&m->args, &args) && rpyc_args_next(&args, &box) &&
		    box.label == RPYC_VALUE)
			brine_put_value(&l->out, &box.value);
		else
			brine_put_none(&l->out);
	} else {
		rpyc_put_exception(&l->out, l->layout, m->seq, "builtins", "AttributeError",
				   "mpbench offers no objects", "mpbench");
	}
	end_frame(l, NULL, 0);
	rpyc_link_flush(l);
}

static void bad(struct rpyc_link *l, const char *word, const char *what, const char *which)
{
	char detail[ERR_MSG_MAX];

	snprintf(detail, sizeof(detail), "%s%s", what, which);
	fail(l, word, detail);
}

static void take_frame(struct rpyc_link *l, const struct rpyc_frame *f)
{
	struct rpyc_message m;
	const char *why = NULL;
	uint64_t tag;

	l->tally->compressed += f->compressed;
	if (rpyc_message_parse(&m, f->payload, f->len, &why) < 0) {
		bad(l, "bad-answer", "no RPyC message: ", why);
		return;
	}
	l->layout_seen = m.layout;
	if (m.layout != l->layout) {
		bad(l, "version", "the server speaks RPyC ",
		    m.layout == RPYC_LAYOUT_6 ? "6 or later, not 5" : "5 or earlier, not 6");
		return;
	}
	if (m.type == RPYC_REQUEST) {
		serve(l, &m);
		return;
	}
	if (!take_pending(l, m.seq, &tag)) {
		fail(l, "wrong-seq", "an answer to a request that was not made");
		return;
	}
	l->owed = 0;
	l->tally->exceptions += m.type == RPYC_EXCEPTION;
	l->ops->answer(l, tag, &m);
}

/* Owners may close the link, and connect it anew, in every callback. */
static void take_frames(struct rpyc_link *l)
{
	unsigned generation = l->generation;
	struct rpyc_frame f;
	struct err e = { 0 };

	while (l->fd >= 0 && l->generation == generation) {
		int rc = rpyc_reader_next(&l->in, &f, &e);

		if (rc == 0)
			return;
		if (rc < 0)
			fail(l, e.kind == ERR_TARGET ? "bad-answer" : "memory", e.msg);
		else
			take_frame(l, &f);
	}
}

static void arm_quick_ack(struct rpyc_link *l)
{
	const int one = 1;

	/* Not sticky: the kernel turns it off again on its own. Bytes that wait for more of ours are acknowledged
	 * now, or the other side's Nagle would wait 40 ms for it. */
	setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

static void note_received(struct rpyc_link *l, size_t n, bool inside)
{
	uint64_t now = loop_now(l->loop);

	rpyc_reader_filled(&l->in, n);
	l->tally->received_bytes += n;
	if (inside && now - l->received_at_ns >= RPYC_STALL_NS)
		l->tally->stalls++;
	l->received_at_ns = now;
	if (!l->first_ns)
		l->first_ns = now;
}

/* As rpyc_tls_recv. */
static ssize_t get(struct rpyc_link *l, void *to, size_t room, bool *orderly)
{
	ssize_t n;

	if (l->tls)
		return rpyc_tls_recv(l->tls, to, room, orderly);
	do
		n = recv(l->fd, to, room, 0);
	while (n < 0 && errno == EINTR);
	*orderly = n == 0 || errno != ECONNRESET;
	return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

static void receive(struct rpyc_link *l)
{
	bool inside = rpyc_reader_pending(&l->in) > 0;
	unsigned generation = l->generation;

	for (;;) {
		size_t room = 0;
		void *to = rpyc_reader_room(&l->in, &room);
		bool orderly = true;
		ssize_t n;

		if (!to) {
			fail(l, "memory", "no memory for an answer");
			return;
		}
		n = get(l, to, room, &orderly);
		if (n == 0)
			return;
		if (n < 0) {
			fail(l, orderly ? "closed" : "reset",
			     inside ? "the connection ended inside a frame"
				    : "the server closed the connection");
			return;
		}
		note_received(l, (size_t)n, inside);
		take_frames(l);
		if (l->fd < 0 || l->generation != generation)
			return;
		inside = rpyc_reader_pending(&l->in) > 0;
		if (inside || rpyc_link_awaited(l))
			arm_quick_ack(l);
		if ((size_t)n < room && !l->tls)
			return;
	}
}

static void ready(struct watch *w, uint32_t events)
{
	struct rpyc_link *l = CONTAINER_OF(w, struct rpyc_link, watch);
	unsigned generation;
	struct err e = { 0 };

	if (l->connecting) {
		if (sock_connected(l->fd, &l->server, &e) < 0) {
			fail(l, word_of(&e), e.msg);
			return;
		}
		l->connecting = false;
		l->tally->opened++;
		if (loop_modify(&l->watch, EPOLLIN, &e) < 0)
			fail(l, "connect", e.msg);
		else
			l->ops->connected(l);
		return;
	}
	generation = l->generation;
	if (events & EPOLLOUT)
		rpyc_link_flush(l);
	if (l->fd >= 0 && l->generation == generation && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		receive(l);
}
