#include "peer/tftp-session.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/tftp-gather.h"
#include "peer/tftp-group.h"
#include "peer/tftp-socket.h"
#include "peer/tftp-spin.h"
#include "proto/netascii.h"

const char *const tftp_sub_names[] = { "block_rtt", "client_turnaround", NULL };

enum {
	/* A session that waits in its socket looks at the loop's other business this often. */
	SLICE_MS = 20,
	DALLY_NS = 300000000,
	SILENT_MAX = 3,
};

/* One transfer and its socket. A session has two: the present one, and the one before, which dallies. */
struct transfer {
	struct tftp_session *session;
	int fd;
	struct watch watch;
	struct timer timer;
	struct tftp_client client;
	struct impair *out, *in;
	struct impair_counts out_counted, in_counted; /* already in the tally */
	struct tftp_gather gather;
	struct netascii text;
	uint64_t text_bytes; /* decoded so far */
	uint64_t acked_ns; /* when the packet left that the next DATA answers; 0: none is awaited */
	uint64_t came_ns;  /* when the batch being handled was received */
	uint32_t drops;	   /* SO_RXQ_OVFL as last seen */
	bool joined, live;
	int unreachable; /* errno */
	char corrupt[96];
};

struct tftp_session {
	struct session base; /* first: tftp_session_client */
	struct tftp_plan *plan;
	struct tftp_group *group;
	struct sub_sink *sink;
	struct tftp_client_params params;
	struct transfer slot[2];
	unsigned now; /* slot of the present transfer */
	bool busy, closing;
	struct tftp_spin spin;
	struct timer kick; /* waiting in the socket begins from the loop, and the dally ends */
	uint64_t sent_ns;
	char detail[256];
	char name[];
};

static struct tftp_session *session_of(struct session *s)
{
	return CONTAINER_OF(s, struct tftp_session, base);
}

/* What the bad link did since the last call. */
static void count_link(struct transfer *t)
{
	struct tftp_tally *tally = &t->session->group->tally;

	if (!t->out)
		return;
	tftp_group_add_impair(&tally->out, impair_counts(t->out), &t->out_counted);
	tftp_group_add_impair(&tally->in, impair_counts(t->in), &t->in_counted);
	t->out_counted = *impair_counts(t->out);
	t->in_counted = *impair_counts(t->in);
}

static void transfer_close(struct transfer *t)
{
	struct tftp_session *s = t->session;

	if (!t->live)
		return;
	loop_remove(&t->watch);
	timer_cancel(s->base.loop, &t->timer);
	if (t->out) {
		/* the last ACK is on its way still */
		impair_flush(t->out);
		count_link(t);
	}
	impair_free(t->out);
	impair_free(t->in);
	fd_close(&t->fd);
	memset(t, 0, sizeof(*t));
	t->session = s;
	t->fd = -1;
}

/* A packet of ours onto the wire. */
static void transmit(void *ctx, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct transfer *t = ctx;

	t->session->group->tally.send_calls++;
	if (sendto(t->fd, bytes, len, MSG_DONTWAIT, (const struct sockaddr *)&to->sa, to->len) <
		    0 &&
	    (errno == ENETUNREACH || errno == EHOSTUNREACH || errno == ECONNREFUSED))
		t->unreachable = errno;
}

static void put(struct transfer *t, const struct addr *to, const void *packet, size_t len)
{
	if (t->out)
		impair_put(t->out, to, packet, len);
	else
		transmit(t, to, packet, len);
}

static uint64_t stamp(const struct transfer *t)
{
	return loop_now(t->session->base.loop);
}

static void client_send(void *ctx, const void *packet, size_t len)
{
	struct transfer *t = ctx;
	struct tftp_session *s = t->session;
	struct addr to = s->plan->server;
	uint8_t op = ((const uint8_t *)packet)[1];
	uint64_t now;

	if (t->client.has_peer && op != TFTP_RRQ && op != TFTP_WRQ)
		tftp_socket_peer(&s->plan->server, &t->client.peer, &to);
	put(t, &to, packet, len);
	if (op != TFTP_ACK)
		return;
	s->group->tally.ack_packets++;
	if (s->plan->no_timing)
		return;
	now = stamp(t);
	if (t->came_ns)
		s->sink->record(s->sink, TFTP_SUB_TURNAROUND, ns_since(t->came_ns, now));
	t->acked_ns = t->client.timeouts ? 0 : now;
}

static void client_reject(void *ctx, const void *packet, size_t len)
{
	struct transfer *t = ctx;

	if (t->session->group->from)
		put(t, t->session->group->from, packet, len);
}

static void format_block(const struct transfer *t, uint64_t index, uint8_t *out, uint32_t len)
{
	const struct tftp_sender *tx = &t->client.tx;

	tftp_format_header(out, TFTP_DATA, tftp_wire(index, tx->rollover));
	memcpy(out + TFTP_HEADER, t->session->plan->content->bytes + (index - 1) * tx->blksize,
	       len);
}

static void watch_writable(struct transfer *t, bool on)
{
	struct err ignored;

	/* one that waits in its socket has no watch: its time-out sends again */
	if (t->watch.loop && loop_modify(&t->watch, EPOLLIN | (on ? EPOLLOUT : 0), &ignored) < 0)
		return;
}

/* One run of blocks that the kernel cuts apart; returns how many went out. */
static uint32_t send_run(struct transfer *t, const struct addr *to, uint64_t first, uint32_t count)
{
	struct dgram_out *out = &t->session->group->out;
	const struct tftp_sender *tx = &t->client.tx;
	uint32_t size = TFTP_HEADER + tx->blksize, last = tftp_sender_length(tx, first + count - 1);
	uint8_t *room = dgram_out_reserve(out, to, size, count);
	unsigned unsent = 0;

	if (!room)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		format_block(t, first + i, room + (size_t)i * size,
			     i + 1 < count ? tx->blksize : last);
	dgram_out_commit(out, (size_t)(count - 1) * size + TFTP_HEADER + last);
	if (dgram_out_flush(out, t->fd, &unsent) < 0 && unsent)
		watch_writable(t, true);
	return unsent < count ? count - unsent : 0;
}

static uint32_t client_send_blocks(void *ctx, uint64_t first, uint32_t count)
{
	struct transfer *t = ctx;
	struct tftp_session *s = t->session;
	uint32_t size = TFTP_HEADER + t->client.tx.blksize, done = 0;
	struct addr to;

	tftp_socket_peer(&s->plan->server, &t->client.peer, &to);
	s->group->tally.data_packets += count;
	while (done < count) {
		uint32_t n = dgram_out_fits(size), sent;

		n = n < count - done ? n : count - done;
		if (t->out || !s->group->out.segment)
			n = 1;
		if (t->out) {
			uint32_t len = tftp_sender_length(&t->client.tx, first + done);

			format_block(t, first + done, s->group->packet, len);
			impair_put(t->out, &to, s->group->packet, TFTP_HEADER + len);
			sent = 1;
		} else {
			sent = send_run(t, &to, first + done, n);
		}
		done += sent;
		if (sent < n)
			break;
	}
	t->acked_ns = t->client.timeouts ? 0 : stamp(t);
	return done;
}

static void check(struct transfer *t, uint64_t offset, const uint8_t *data, size_t len)
{
	struct tftp_content *c = t->session->plan->content;
	int64_t at = tftp_content_check(c, offset, data, len);

	if (at < 0)
		return;
	tftp_content_describe(c, (uint64_t)at, t->corrupt, sizeof(t->corrupt));
	tftp_client_abort(&t->client, TFTP_CORRUPT, t->corrupt, t->came_ns);
}

static void check_text(struct transfer *t, const uint8_t *data, size_t len, bool last)
{
	uint8_t plain[2048];

	do {
		size_t n = len < sizeof(plain) - 2 ? len : sizeof(plain) - 2;
		size_t m = netascii_decode(&t->text, plain, data, n, last && n == len);

		check(t, t->text_bytes, plain, m);
		t->text_bytes += m;
		data += n;
		len -= n;
	} while (len);
}

static void client_deliver(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct transfer *t = ctx;
	struct tftp_session *s = t->session;

	s->group->tally.data_packets++;
	if (t->acked_ns) {
		s->sink->record(s->sink, TFTP_SUB_BLOCK_RTT, ns_since(t->acked_ns, t->came_ns));
		t->acked_ns = 0;
	}
	if (s->params.mode == TFTP_NETASCII)
		check_text(t, data, len, t->client.rx.finished);
	else
		check(t, offset, data, len);
}

static const struct tftp_client_ops ops = {
	.send = client_send,
	.send_blocks = client_send_blocks,
	.reject = client_reject,
	.deliver = client_deliver,
};

/* What a finished transfer must still be asked: is it all of the file? */
static void check_whole(struct transfer *t)
{
	struct tftp_content *c = t->session->plan->content;
	uint64_t got =
		t->session->params.mode == TFTP_NETASCII ? t->text_bytes : t->client.rx.bytes;

	if (t->client.state != TFTP_FINISHED || t->client.params->write ||
	    t->client.params->probe || c->recording || got == c->size)
		return;
	t->client.state = TFTP_FAILED;
	t->client.failure = got < c->size ? TFTP_SHORT : TFTP_CORRUPT;
	snprintf(t->client.text, sizeof(t->client.text), "%" PRIu64 " of %" PRIu64 " bytes came",
		 got, c->size);
}

static void session_answer(struct tftp_session *s, struct transfer *t)
{
	struct outcome o = { 0 };
	const struct tftp_client *c = &t->client;

	s->busy = false;
	check_whole(t);
	tftp_group_count(s->group, c);
	count_link(t);
	o.sent_ns = s->sent_ns;
	o.done_ns = c->done_ns > s->sent_ns ? c->done_ns : s->sent_ns;
	o.first_ns = c->first_ns;
	o.bytes = tftp_client_bytes(c);
	s->group->silent = c->failure == TFTP_NO_REPLY ? s->group->silent + 1 : 0;
	s->base.broken = s->group->silent > SILENT_MAX + s->group->base.members;
	if (c->state != TFTP_FINISHED) {
		o.failure = tftp_client_word(c);
		o.detail = tftp_client_describe(c, s->detail, sizeof(s->detail));
	}
	s->base.done(&s->base, &o);
}

/* Whether a lost last ACK is worth waiting for: only where packets were seen to be lost. */
static bool should_dally(const struct transfer *t)
{
	const struct tftp_client *c = &t->client;

	return c->state == TFTP_FINISHED && !c->params->write && !c->params->probe &&
	       (t->out || c->timeouts || c->rx.gaps || c->rx.duplicates);
}

static void transfer_ready(struct watch *w, uint32_t events);
static void transfer_expired(struct timer *timer, uint64_t now);

static int begin_watch(struct transfer *t, struct err *e)
{
	if (t->watch.loop)
		return 0;
	return loop_add(t->session->base.loop, &t->watch, t->fd, EPOLLIN, transfer_ready, e);
}

/* The present transfer ended: its socket stays as long as it is of use, then the answer goes out (which may start the next). */
static void finish(struct tftp_session *s)
{
	struct transfer *t = &s->slot[s->now];
	struct err ignored;

	timer_cancel(s->base.loop, &t->timer);
	if (!should_dally(t) || begin_watch(t, &ignored) < 0) {
		if (t->watch.loop)
			loop_remove(&t->watch);
	}
	session_answer(s, t);
}

static void settle(struct transfer *t)
{
	struct tftp_session *s = t->session;

	if (t != &s->slot[s->now] || !s->busy)
		return;
	if (t->unreachable && !tftp_client_over(&t->client))
		tftp_client_abort(&t->client, TFTP_UNREACHABLE, strerror(t->unreachable), stamp(t));
	if (tftp_client_over(&t->client)) {
		finish(s);
		return;
	}
	/* the deadline moves with each packet: the timer is only set when it would come too late */
	if (t->watch.loop && (!timer_is_set(&t->timer) || t->timer.at_ns > t->client.deadline_ns))
		timer_set(s->base.loop, &t->timer, t->client.deadline_ns, transfer_expired);
}

static void transfer_expired(struct timer *timer, uint64_t now)
{
	struct transfer *t = CONTAINER_OF(timer, struct transfer, timer);

	t->acked_ns = t->came_ns = 0;
	tftp_client_expire(&t->client, now);
	settle(t);
}

/* A datagram that came through the bad link, or straight from the socket. */
static void arrive(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct transfer *t = ctx;
	struct tftp_tid tid;

	tftp_socket_tid(from, &tid);
	t->session->group->from = from;
	tftp_client_input(&t->client, &tid, bytes, len, t->came_ns);
	t->session->group->from = NULL;
}

/* Held back by the bad link: it comes from a timer. */
static void arrive_late(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct transfer *t = ctx;
	bool inside = t->session->group->reading;

	if (!inside)
		t->came_ns = stamp(t);
	arrive(t, from, bytes, len);
	if (!inside)
		settle(t);
}

/* A stranger's closed port is not our transfer's. */
static void read_errors(struct transfer *t)
{
	uint32_t port =
		t->client.has_peer ? t->client.peer.port : addr_port(&t->session->plan->server);
	int error = tftp_socket_error(t->fd, (uint16_t)port);

	if (error)
		t->unreachable = error;
}

/* Reads one batch; false when nothing came. */
static bool read_batch(struct transfer *t, int flags)
{
	struct tftp_group *g = t->session->group;
	bool window = t->client.windowsize > 1 || (t->client.params->ask.set & TFTP_OPT_WINDOWSIZE);
	struct dgram_in *in = window ? &g->many : &g->one;
	struct dgram d;
	uint32_t drops;
	int n = dgram_in_read(in, t->fd, 0, flags);

	g->tally.receive_calls++;
	if (n <= 0) {
		if (n < 0)
			read_errors(t);
		return n < 0;
	}
	t->came_ns = stamp(t);
	g->reading = true;
	in->drops = t->drops;
	while (dgram_in_next(in, &d)) {
		g->tally.joined |= in->piece != 0;
		if (t->in)
			impair_put(t->in, d.from, d.bytes, d.len);
		else
			arrive(t, d.from, d.bytes, d.len);
	}
	g->reading = false;
	drops = in->drops;
	g->tally.drops += drops - t->drops;
	t->drops = drops;
	return true;
}

static void transfer_ready(struct watch *w, uint32_t events)
{
	struct transfer *t = CONTAINER_OF(w, struct transfer, watch);

	if (events & EPOLLOUT) {
		watch_writable(t, false);
		tftp_client_resume(&t->client);
	}
	if (events & EPOLLERR)
		read_errors(t);
	if (events & EPOLLIN)
		read_batch(t, MSG_DONTWAIT);
	settle(t);
}

/* Stays away from the socket while what comes needs no answer. */
static void gather(struct transfer *t)
{
	const struct tftp_receiver *rx = &t->client.rx;
	uint64_t wait = tftp_gather_wait(&t->gather, rx->in_window, rx->windowsize, t->came_ns);
	struct timespec ts = { .tv_nsec = (long)wait };

	if (wait)
		nanosleep(&ts, NULL); /* a signal ends it */
}

/* Waits in the socket, or asks it again and again while that is the quicker way. */
static bool await(struct transfer *t, uint64_t now)
{
	struct tftp_session *s = t->session;
	bool asks = s->spin.asks, came = false;

	if (!s->plan->spin || t->client.state != TFTP_RUNNING || t->client.windowsize > 1)
		return read_batch(t, MSG_WAITFORONE);
	while (asks && !came && stamp(t) - now < TFTP_SPIN_NS)
		came = read_batch(t, MSG_DONTWAIT);
	asks &= !came;
	if (!came)
		came = read_batch(t, MSG_WAITFORONE);
	if (came)
		tftp_spin_came(&s->spin, ns_since(now, t->came_ns), asks);
	return came;
}

/* Waits for a slice of time, then lets the loop look at the rest. */
static void drive(struct timer *timer, uint64_t now)
{
	struct tftp_session *s = CONTAINER_OF(timer, struct tftp_session, kick);
	struct transfer *t = &s->slot[s->now];
	uint64_t until = now + SLICE_MS * NS_PER_MS;

	while (s->busy && now < until) {
		bool came = await(t, now);

		if (came)
			now = t->came_ns;
		else
			now = stamp(t);
		if (!came && now >= t->client.deadline_ns) {
			t->acked_ns = t->came_ns = 0;
			tftp_client_expire(&t->client, now);
		}
		if (tftp_client_over(&t->client) || t->unreachable) {
			settle(t);
			return;
		}
		if (came && t->client.windowsize > 1 && !t->client.params->write)
			gather(t);
	}
	if (s->busy)
		timer_set(s->base.loop, &s->kick, 0, drive);
}

static int open_socket(struct transfer *t, struct err *e)
{
	struct tftp_session *s = t->session;
	struct tftp_tally *tally = &s->group->tally;
	uint64_t wanted = 0, given = 0;

	if (tftp_socket_open(&t->fd, s->plan->server.sa.ss_family, &s->params.ask,
			     s->plan->alone ? SLICE_MS : 0, &wanted, &given, e) < 0)
		return -1;
	t->live = true;
	tally->rcvbuf_wanted = wanted;
	if (wanted && (!tally->rcvbuf_min || given < tally->rcvbuf_min))
		tally->rcvbuf_min = given;
	return s->plan->alone ? 0 : begin_watch(t, e);
}

static int begin_impair(struct transfer *t, struct err *e)
{
	struct tftp_session *s = t->session;
	struct tftp_plan *p = s->plan;
	uint64_t seed = p->seed + s->group->serial++ * 2;

	if (!impair_is_on(&p->out) && !impair_is_on(&p->in))
		return 0;
	if (impair_new(&t->out, s->base.loop, &p->out, seed, transmit, t, e) < 0)
		return -1;
	return impair_new(&t->in, s->base.loop, &p->in, seed + 1, arrive_late, t, e);
}

/* Of something that took no time; failure NULL: it is as it should be. */
static void answer(struct session *base, const char *failure, const char *detail)
{
	struct outcome o = { .failure = failure, .detail = detail };

	o.sent_ns = o.done_ns = loop_now(base->loop);
	o.first_ns = failure ? 0 : o.done_ns;
	base->done(base, &o);
}

static void session_start(struct session *base)
{
	struct tftp_session *s = session_of(base);
	struct transfer *t;
	struct err e = { 0 };

	s->now ^= 1;
	t = &s->slot[s->now];
	transfer_close(t);
	s->busy = true;
	if (s->plan->content && s->plan->content->recording)
		s->plan->content->size = 0;
	if (open_socket(t, &e) < 0 || begin_impair(t, &e) < 0) {
		t->live = t->fd >= 0;
		transfer_close(t);
		s->busy = false;
		answer(base, "no-socket", e.msg);
		return;
	}
	s->sent_ns = loop_now(base->loop);
	tftp_client_start(&t->client, &s->params, &ops, t, s->sent_ns);
	if (s->plan->alone)
		timer_set(base->loop, &s->kick, 0, drive);
	else
		settle(t);
}

static void session_cancel(struct session *base)
{
	struct tftp_session *s = session_of(base);

	if (s->busy)
		tftp_client_abort(&s->slot[s->now].client, TFTP_ABORTED, "given up",
				  loop_now(base->loop));
	s->busy = false;
	timer_cancel(base->loop, &s->kick);
	base->broken = true;
}

static void dally_over(struct timer *timer, uint64_t now)
{
	struct tftp_session *s = CONTAINER_OF(timer, struct tftp_session, kick);

	(void)now;
	transfer_close(&s->slot[0]);
	transfer_close(&s->slot[1]);
	answer(&s->base, NULL, NULL);
}

/* A server that did not hear the last ACK is answered for a while, so that its slot is free for the next run. */
static void session_close(struct session *base)
{
	struct tftp_session *s = session_of(base);
	struct transfer *t = &s->slot[s->now];
	uint64_t wait = s->plan->out.delay_ns + DALLY_NS;

	if (t->live && t->watch.loop && should_dally(t)) {
		timer_set(base->loop, &s->kick, loop_now(base->loop) + wait, dally_over);
		return;
	}
	answer(base, NULL, NULL);
}

static void session_free(struct session *base)
{
	struct tftp_session *s = session_of(base);

	timer_cancel(base->loop, &s->kick);
	transfer_close(&s->slot[0]);
	transfer_close(&s->slot[1]);
	tftp_group_leave(s->plan, s->group);
	free(s);
}

/* A server that has fallen silent is not asked again and again, which would cost all retries each time. */
static void session_open(struct session *base)
{
	struct tftp_session *s = session_of(base);
	const char *word = s->plan->dead_word, *detail = s->plan->dead_detail;

	if (!word && s->group->silent > SILENT_MAX + s->group->base.members) {
		word = "no-reply";
		detail = "the server fell silent";
	}
	base->broken |= word != NULL;
	answer(base, word, word ? detail : NULL);
}

static const struct session_ops session_ops = {
	.open = session_open,
	.start = session_start,
	.cancel = session_cancel,
	.close = session_close,
	.free = session_free,
};

static void ignore_sample(struct sub_sink *sink, unsigned index, uint64_t value)
{
	(void)sink;
	(void)index;
	(void)value;
}

int tftp_session_new(struct tftp_plan *p, struct loop *loop, unsigned index, struct sub_sink *sink,
		     struct session **out, struct err *e)
{
	static struct sub_sink nobody = { .record = ignore_sample };
	size_t room = strlen(p->transfer.file) + 16;
	struct tftp_session *s = calloc(1, sizeof(*s) + room);

	if (!s)
		return err_nomem(e);
	s->base.ops = &session_ops;
	s->base.loop = loop;
	s->plan = p;
	s->sink = sink ? sink : &nobody;
	s->params = p->transfer;
	if (p->name_per_session && index > 0)
		snprintf(s->name, room, "%s.%u", p->transfer.file, index);
	else
		snprintf(s->name, room, "%s", p->transfer.file);
	s->params.file = s->name;
	tftp_socket_tid(&p->server, &s->params.asked);
	for (unsigned i = 0; i < 2; i++) {
		s->slot[i].session = s;
		s->slot[i].fd = -1;
	}
	if (tftp_group_join(p, loop, &s->group, e) < 0) {
		free(s);
		return -1;
	}
	*out = &s->base;
	return 0;
}

const struct tftp_client *tftp_session_client(const struct session *base)
{
	const struct tftp_session *s = (const struct tftp_session *)base;

	return &s->slot[s->now].client;
}
