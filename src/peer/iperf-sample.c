#include "peer/iperf-sample.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "peer/iperf-socket.h"

/* Streams that are asked in one look: with more, they take turns. */
enum { LOOKS_MAX = 8 };

static uint64_t read_usage(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_SEC +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NS_PER_US;
}

void iperf_sampler_init(struct iperf_sampler *x, struct iperf_test *t, struct iperf_report *r,
			uint64_t every_ns, uint64_t interval_ns)
{
	memset(x, 0, sizeof(*x));
	x->test = t;
	x->report = r;
	x->every_ns = every_ns;
	x->interval_ns = interval_ns;
}

void iperf_sampler_tag(struct iperf_sampler *x)
{
	const int flags =
		SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;

	for (unsigned i = 0; i < x->test->n; i++) {
		const struct iperf_stream *s = &x->test->stream[i];

		if (s->sends &&
		    setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) == 0)
			x->tags = true;
	}
	x->test->work.tag = x->tags;
}

/* Sent, or received once. */
static uint64_t packets_of(const struct iperf_stream *s)
{
	return s->sends ? atomic_load(&s->now.blocks) : atomic_load(&s->now.unique);
}

/* Marks where an interval begins. */
static void mark(struct iperf_sampler *x, uint64_t now)
{
	for (unsigned i = 0; i < x->test->n; i++) {
		const struct iperf_stream *s = &x->test->stream[i];
		struct iperf_tcp_info info;

		x->last_bytes[i] = atomic_load(&s->now.bytes);
		x->last_packets[i] = packets_of(s);
		x->last_lost[i] = atomic_load(&s->now.lost);
		iperf_socket_info(s->fd, &info);
		x->last_retransmits[i] = info.retransmits;
	}
	x->interval_began_ns = now;
	x->next_interval_ns = now + x->interval_ns;
	x->usage_ns = read_usage();
}

void iperf_sampler_start(struct iperf_sampler *x, bool counting)
{
	x->counting = counting;
	mark(x, x->test->run.start_ns);
	x->next_look_ns = x->test->run.start_ns + x->every_ns;
}

static void record(struct iperf_sampler *x, enum iperf_series which, uint64_t value)
{
	if (x->counting && !x->silent)
		series_record(&x->report->series[which], value);
}

/* Finds the send that ended with byte `key`. The kernel counts from the first byte that was not acknowledged when
 * it was asked, which may have been that of the cookie. */
static void match_tag(struct iperf_sampler *x, struct iperf_stream *s, uint32_t key, uint64_t at)
{
	for (unsigned i = 0; i < IPERF_TAGS; i++) {
		uint64_t sent = atomic_load(&s->tag[i].sent_ns);
		uint32_t ahead = key - atomic_load(&s->tag[i].key);

		if (!sent || (ahead != 0 && ahead != IPERF3_COOKIE))
			continue;
		if (at > sent)
			record(x, IPERF_S_ACK, at - sent);
		atomic_store(&s->tag[i].sent_ns, 0);
		return;
	}
}

/* The kernel's stamps of the moments when tagged bytes were acknowledged. */
static void read_tags(struct iperf_sampler *x, struct iperf_stream *s)
{
	char room[256];
	struct msghdr m = { .msg_control = room, .msg_controllen = sizeof(room) };

	while (recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		struct sock_extended_err why = { 0 };
		struct timespec ts = { 0 };

		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
				memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
			    (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR))
				memcpy(&why, CMSG_DATA(c), sizeof(why));
		}
		if (why.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && why.ee_info == SCM_TSTAMP_ACK)
			match_tag(x, s, why.ee_data,
				  (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec);
		m.msg_controllen = sizeof(room);
	}
}

/* Who only receives is never acknowledged: the kernel times the peer's answers to the window that it opened. */
static void look_at_receiver(struct iperf_sampler *x, const struct iperf_stream *s)
{
	struct iperf_tcp_info info;

	iperf_socket_info(s->fd, &info);
	if (info.known && info.rcv_rtt_ns)
		record(x, IPERF_S_RTT_RECEIVER, info.rcv_rtt_ns);
}

static void look(struct iperf_sampler *x)
{
	struct iperf_test *t = x->test;
	unsigned n = t->n < LOOKS_MAX ? t->n : LOOKS_MAX;

	for (unsigned i = 0; !t->work.udp && i < n; i++) {
		struct iperf_stream *s = &t->stream[x->turn++ % t->n];
		struct iperf_tcp_info info;

		if (!s->sends) {
			look_at_receiver(x, s);
			continue;
		}
		if (x->tags)
			read_tags(x, s);
		iperf_socket_info(s->fd, &info);
		if (!info.known || !info.rtt_ns)
			continue;
		record(x, IPERF_S_RTT, info.rtt_ns);
		record(x, IPERF_S_RTTVAR, info.rttvar_ns);
	}
	if (x->tags)
		atomic_store_explicit(&t->run.tag_due, true, memory_order_relaxed);
}

static struct iperf_row row_of(struct iperf_sampler *x, unsigned i, uint64_t now)
{
	const struct iperf_test *t = x->test;
	const struct iperf_stream *s = &t->stream[i];
	uint64_t zero = x->counting ? t->counted_ns : t->run.start_ns;
	uint64_t bytes = atomic_load(&s->now.bytes), packets = packets_of(s);
	uint64_t lost = atomic_load(&s->now.lost);
	struct iperf_row r = { .stream = i, .omitted = !x->counting, .retransmits = -1 };
	struct iperf_tcp_info info = { 0 };

	r.start_s = (double)ns_since(zero, x->interval_began_ns) / 1e9;
	r.end_s = (double)ns_since(zero, now) / 1e9;
	r.bytes = bytes - x->last_bytes[i];
	r.lost = ns_since(x->last_lost[i], lost);
	r.packets = packets - x->last_packets[i] + r.lost;
	r.jitter_ns = atomic_load(&s->now.jitter_ns);
	x->last_bytes[i] = bytes;
	x->last_packets[i] = packets;
	x->last_lost[i] = lost;
	if (!t->work.udp)
		iperf_socket_info(s->fd, &info);
	if (info.known && s->sends) {
		r.retransmits = (int64_t)(info.retransmits - x->last_retransmits[i]);
		x->last_retransmits[i] = info.retransmits;
		r.cwnd_bytes = info.cwnd_bytes;
		r.snd_wnd = info.snd_wnd;
		r.rtt_ns = info.rtt_ns;
		r.rttvar_ns = info.rttvar_ns;
	}
	r.pmtu = info.pmtu;
	r.reorder = info.reorder;
	return r;
}

static int keep(struct iperf_report *r, const struct iperf_row *rows, unsigned n, struct err *e)
{
	struct iperf_row *grown;

	if (r->n_rows + n > IPERF_ROWS_MAX) {
		r->rows_dropped += n;
		return 0;
	}
	grown = reallocarray(r->row, r->n_rows + n, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	r->row = grown;
	memcpy(&grown[r->n_rows], rows, n * sizeof(*rows));
	r->n_rows += n;
	return 0;
}

static void record_interval(struct iperf_sampler *x, const struct iperf_row *rows, uint64_t now)
{
	const struct iperf_test *t = x->test;
	uint64_t bytes = 0, cwnd = 0, retransmits = 0, usage = read_usage();
	uint64_t length = ns_since(x->interval_began_ns, now);
	bool known = false;

	for (unsigned i = 0; i < t->n; i++) {
		bytes += rows[i].bytes;
		cwnd += rows[i].cwnd_bytes;
		if (rows[i].retransmits >= 0) {
			retransmits += (uint64_t)rows[i].retransmits;
			known = true;
		}
	}
	record(x, IPERF_S_THROUGHPUT, (uint64_t)((double)bytes * 8e9 / (double)length));
	record(x, IPERF_S_CPU, ns_since(x->usage_ns, usage) * 1000 / (length / 1000 + 1));
	if (known) {
		record(x, IPERF_S_CWND, cwnd);
		record(x, IPERF_S_RETRANSMITS, retransmits);
	}
	x->usage_ns = usage;
}

static int close_interval(struct iperf_sampler *x, uint64_t now, struct err *e)
{
	struct iperf_row rows[2 * IPERF3_STREAMS_MAX] = { 0 };
	unsigned n = x->test->n;

	for (unsigned i = 0; i < n; i++)
		rows[i] = row_of(x, i, now);
	record_interval(x, rows, now);
	if (x->row)
		x->row(x->ctx, rows, n);
	x->interval_began_ns = now;
	return keep(x->report, rows, n, e);
}

int iperf_sampler_look(struct iperf_sampler *x, uint64_t now, uint64_t *next, struct err *e)
{
	if (now >= x->next_look_ns) {
		look(x);
		x->next_look_ns = now + x->every_ns;
	}
	if (now >= x->next_interval_ns) {
		if (close_interval(x, now, e) < 0)
			return -1;
		while (x->next_interval_ns <= now)
			x->next_interval_ns += x->interval_ns;
	}
	*next = x->next_look_ns < x->next_interval_ns ? x->next_look_ns : x->next_interval_ns;
	return 0;
}

int iperf_sampler_counts(struct iperf_sampler *x, struct err *e)
{
	if (close_interval(x, x->test->counted_ns, e) < 0)
		return -1;
	x->counting = true;
	mark(x, x->test->counted_ns);
	return 0;
}

int iperf_sampler_end(struct iperf_sampler *x, uint64_t now, struct err *e)
{
	/* a rest that is too short to say anything about throughput has its bytes all the same */
	bool telling = ns_since(x->interval_began_ns, now) >= x->interval_ns / 10;

	look(x);
	x->silent = x->silent || !telling;
	return close_interval(x, now, e);
}
