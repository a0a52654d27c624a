/* The UDP data path: datagrams cut and joined by the kernel where it can, counted one by one all the same. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "io/dgram.h"
#include "peer/iperf-pace.h"
#include "peer/iperf-stream.h"

/* The kernel takes so many datagrams in one call, and so many bytes. */
enum { SEGMENTS_MAX = 64, SEGMENTS_BYTES = 65000, SLOTS = 16, SLOT_BYTES = 65535 };
/* At a rate, no more than these go in a row. */
enum { PACED_MAX = 16 };
#define PACE_DEPTH (100 * NS_PER_MS)
/* At most so long a receiver reads on after the end. */
#define REST (500 * NS_PER_MS)

struct sender {
	struct iperf_stream *s;
	uint8_t *room; /* `most` datagrams in a row */
	size_t len;
	unsigned most;
	uint64_t number;
	bool segment;
};

static void stamp(struct sender *x, unsigned n)
{
	struct timespec ts;
	struct iperf3_udp_header h;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	h.sec = (uint32_t)ts.tv_sec;
	h.usec = (uint32_t)(ts.tv_nsec / 1000);
	for (unsigned i = 0; i < n; i++) {
		h.number = x->number + i + 1;
		iperf3_udp_encode(x->room + i * x->len, &h, x->s->run->work->wide);
	}
}

static ssize_t send_segments(const struct sender *x, unsigned n)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(uint16_t))];
	} control = { 0 };
	struct iovec iov = { x->room, n * x->len };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	const uint16_t size = (uint16_t)x->len;

	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return sendmsg(x->s->fd, &m, MSG_NOSIGNAL);
}

/* What the kernel answers where it, the device or the path cannot cut datagrams of this size. */
static bool is_refusal(int error)
{
	return error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP ||
	       error == ENOPROTOOPT;
}

/* Sends n datagrams; how many went, -1 when the stream is over. One that the kernel drops was sent, and is lost. */
static int send_some(struct sender *x, unsigned n)
{
	struct iperf_stream *s = x->s;
	ssize_t sent;

	stamp(x, n);
	sent = n > 1 ? send_segments(x, n) : send(s->fd, x->room, x->len, MSG_NOSIGNAL);
	if (sent >= 0)
		return (int)n;
	if (n > 1 && is_refusal(errno)) {
		x->segment = false;
		x->most = 1;
		s->gso_refused++;
		atomic_store(&s->run->no_gso, true);
		return 0;
	}
	/* an ICMP error is that of an earlier datagram; a full queue empties */
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ECONNREFUSED)
		return 0;
	if (!iperf_stream_may_end(s)) {
		s->failed = true;
		err_sys(&s->trouble, ERR_TARGET, "send a datagram of %zu bytes on stream %d",
			x->len, s->id);
	}
	return -1;
}

/* How many datagrams the limit leaves of `want`; 0: it is reached. */
static unsigned allowed(const struct iperf_stream *s, unsigned want)
{
	const struct iperf_work *w = s->run->work;

	if (w->num) {
		uint64_t got = iperf_claim(&s->run->send_left, (uint64_t)want * w->len);

		return (unsigned)((got + w->len - 1) / w->len);
	}
	if (w->blocks)
		return (unsigned)iperf_claim(&s->run->send_left, want);
	return want;
}

static void give_back(const struct iperf_stream *s, unsigned n)
{
	const struct iperf_work *w = s->run->work;

	if (w->num)
		atomic_fetch_add(&s->run->send_left, (int64_t)(n * w->len));
	else if (w->blocks)
		atomic_fetch_add(&s->run->send_left, (int64_t)n);
}

static void send_all(struct sender *x)
{
	struct iperf_stream *s = x->s;
	const struct iperf_work *w = s->run->work;
	struct iperf_pace pace;

	iperf_pace_init(&pace, w->rate, PACE_DEPTH, s->run->start_ns);
	while (iperf_stream_goes_on(s)) {
		uint64_t now = clock_now(), wait = w->rate ? iperf_pace_wait(&pace, now) : 0;
		/* fewer once the path has refused to cut */
		unsigned paced_most = x->most < PACED_MAX ? x->most : PACED_MAX, n;
		int sent;

		if (wait && !iperf_stream_sleep(s, wait))
			return;
		n = w->rate ? iperf_pace_units(&pace, now + wait, x->len, paced_most) : x->most;
		if (w->burst > n)
			n = w->burst < x->most ? w->burst : x->most;
		n = allowed(s, n);
		if (n == 0)
			return;
		sent = send_some(x, n);
		if (sent < 0)
			return;
		if ((unsigned)sent < n)
			give_back(s, n - (unsigned)sent);
		if (sent == 0)
			continue;
		x->number += (unsigned)sent;
		iperf_pace_sent(&pace, (unsigned)sent * x->len, now + wait);
		iperf_stream_count(s, (unsigned)sent * x->len, (unsigned)sent, clock_now());
	}
}

void iperf_udp_send(struct iperf_stream *s)
{
	const struct iperf_work *w = s->run->work;
	struct sender x = { .s = s, .len = w->len, .most = 1 };
	CLEANUP_FREE uint8_t *room = NULL;

	if (w->gso && SEGMENTS_BYTES / w->len > 1) {
		x.most = (unsigned)(SEGMENTS_BYTES / w->len);
		x.most = x.most > SEGMENTS_MAX ? SEGMENTS_MAX : x.most;
		x.segment = true;
	}
	room = malloc(x.most * x.len);
	if (!room) {
		s->failed = true;
		err_nomem(&s->trouble);
		return;
	}
	iperf_fill(room, x.most * x.len, w->repeating);
	x.room = room;
	send_all(&x);
}

/* Publishes what intervals show. */
static void publish(struct iperf_stream *s, uint64_t bytes, uint64_t blocks, uint64_t now)
{
	const struct iperf3_udp_account *a = &s->account;

	atomic_store_explicit(&s->now.unique, a->unique, memory_order_relaxed);
	atomic_store_explicit(&s->now.lost, a->highest - a->unique, memory_order_relaxed);
	atomic_store_explicit(&s->now.jitter_ns, (uint64_t)a->jitter_ns, memory_order_relaxed);
	iperf_stream_count(s, bytes, blocks, now);
}

/* Counts what the last call brought. */
static void take(struct iperf_stream *s, struct dgram_in *in)
{
	uint64_t now = clock_now(), bytes = 0, blocks = 0, fresh = 0;
	uint64_t unique = s->account.unique;
	const bool wide = s->run->work->wide;
	struct dgram d;

	iperf_stream_look(s, now);
	while (dgram_in_next(in, &d)) {
		int64_t delay = iperf3_udp_account_add(&s->account, d.bytes, d.len, wide, now);

		if (delay < 0)
			continue;
		fresh += s->account.unique > unique ? d.len : 0;
		unique = s->account.unique;
		bytes += d.len;
		blocks++;
		series_record(&s->delay, (uint64_t)delay);
	}
	atomic_fetch_add(&s->run->received, fresh);
	publish(s, bytes, blocks, now);
}

static bool at_limit(const struct iperf_stream *s)
{
	return s->run->limit_received && atomic_load(&s->run->received) >= s->run->receive_limit;
}

void iperf_udp_receive(struct iperf_stream *s)
{
	CLEANUP(dgram_in_done) struct dgram_in in = { 0 };
	const int one = 1;
	uint64_t until;

	if (s->run->work->gro)
		(void)setsockopt(s->fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	if (dgram_in_init(&in, SLOTS, SLOT_BYTES, true, &s->trouble) < 0) {
		s->failed = true;
		return;
	}
	while (iperf_stream_goes_on(s)) {
		int n = dgram_in_read(&in, s->fd, 0, MSG_WAITFORONE);

		if (n > 0)
			take(s, &in);
		else if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) {
			if (!iperf_stream_may_end(s)) {
				s->failed = true;
				err_sys(&s->trouble, ERR_TARGET, "receive on stream %d", s->id);
			}
			return;
		}
		/* what an iperf3 sends until it hears of the end is to be counted, or it would pass for lost */
		if (at_limit(s))
			iperf_stream_rest(s);
	}
	/* what was sent before the end is in the queue, or a moment behind the word that came by TCP: until a slice of silence */
	until = clock_now() + REST;
	while (clock_now() < until && dgram_in_read(&in, s->fd, 0, MSG_WAITFORONE) > 0)
		take(s, &in);
	s->drops = in.drops;
}
