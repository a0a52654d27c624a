#include "peer/iperf-client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/dgram.h"
#include "peer/iperf-control.h"
#include "peer/iperf-hello.h"
#include "peer/iperf-sample.h"
#include "peer/iperf-test.h"
#include "peer/iperf-unread.h"
#include "proto/iperf3-client.h"

/* What is sent in a timed test may be on its way for so long after its end; with a limit, for as long as it moves. */
#define DRAIN_TIMED (500 * NS_PER_MS)
#define DRAIN_STALLED (5 * NS_PER_SEC)
/* A peer's program reads its last bytes a moment after its kernel has acknowledged them, and forgets what it has not read when the
 * test ends. On this host one can see when; elsewhere this has to do. */
#define LINGER (20 * NS_PER_MS)
#define BUSY_PAUSE (200 * NS_PER_MS)
/* What a server that fails says about it comes at once, if it comes at all. */
#define LAST_WORD NS_PER_SEC

struct client {
	const struct iperf_client_plan *p;
	struct iperf_report *r;
	struct iperf_control control;
	struct iperf3_client machine;
	struct iperf_test test;
	struct iperf_sampler sampler;
	struct buf params;
	enum iperf3_client_event pending; /* came while the test ran */
	bool have_pending;
	uint64_t drained_ns; /* when the last byte of a limited test was acknowledged */
};

static void client_done(struct client *c)
{
	iperf_test_done(&c->test);
	iperf3_client_done(&c->machine);
	buf_done(&c->params);
	fd_close(&c->control.fd);
}
CLEANUP_OBJ(struct client, client_done)

static bool limited(const struct client *c)
{
	return c->p->work.num || c->p->work.blocks;
}

/* Whether the senders come to an end by themselves: of what they are to send, or of their file. */
static bool ends_itself(const struct client *c)
{
	return limited(c) || c->p->work.file;
}

static int timed_out(const struct client *c, struct err *e)
{
	return err_set(e, ERR_TARGET, "timeout", "no answer from the server within %.3g s while %s",
		       (double)c->p->answer_timeout_ns / 1e9, iperf3_client_waits_for(&c->machine));
}

/* Feeds what comes within timeout_ns. *news says what it was; the end of the connection is a failure. */
static int take_bytes(struct client *c, int extra_fd, uint64_t timeout_ns,
		      enum iperf_control_news *news, struct err *e)
{
	char room[4096];
	size_t got;

	if (iperf_control_flush(&c->control, &c->machine.out, c->p->answer_timeout_ns, e) < 0 ||
	    iperf_control_wait(&c->control, extra_fd, timeout_ns, room, sizeof(room), &got, news,
			       e) < 0)
		return -1;
	if (*news == IPERF_CONTROL_END && iperf3_client_eof(&c->machine, e) < 0)
		return -1;
	if (*news == IPERF_CONTROL_BYTES)
		return iperf3_client_feed(&c->machine, room, got, e);
	return 0;
}

/* Something is wrong: why, the server says or does within a moment. -1 when it did; 0: not a word. */
static int hear_reason(struct client *c, struct err *e)
{
	uint64_t until = clock_now() + LAST_WORD;
	enum iperf_control_news news = IPERF_CONTROL_TIMEOUT;

	while (!c->have_pending && news != IPERF_CONTROL_END) {
		uint64_t now = clock_now();

		if (now >= until)
			break;
		if (take_bytes(c, -1, until - now, &news, e) < 0 ||
		    iperf3_client_next(&c->machine, &c->pending, e) < 0)
			return -1;
		c->have_pending = c->pending != IPERF3_CLIENT_MORE;
	}
	return c->machine.failing ? iperf3_client_eof(&c->machine, e) : 0;
}

/* The next event of the protocol, waited for. */
static int next_event(struct client *c, enum iperf3_client_event *out, struct err *e)
{
	uint64_t until = clock_now() + c->p->answer_timeout_ns;

	if (c->have_pending) {
		c->have_pending = false;
		*out = c->pending;
		return 0;
	}
	for (;;) {
		enum iperf_control_news news;
		uint64_t now = clock_now();

		if (iperf3_client_next(&c->machine, out, e) < 0)
			return -1;
		if (*out != IPERF3_CLIENT_MORE)
			return 0;
		if (c->machine.failing)
			return hear_reason(c, e);
		if (now >= until)
			return timed_out(c, e);
		if (take_bytes(c, -1, until - now, &news, e) < 0)
			return -1;
	}
}

/* --- streams -------------------------------------------------------------------------------------------------------- */

/* Whether the server has said more: then every stream is there for it. */
static bool server_went_on(void *ctx)
{
	const struct client *c = ctx;
	struct pollfd p = { .fd = c->control.fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int local_of(const struct client *c, unsigned index, struct addr *out)
{
	uint16_t port = addr_port(&c->p->local);

	*out = c->p->local;
	if (!port)
		return 0;
	port = (uint16_t)(port + index);
	if (out->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&out->sa)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&out->sa)->sin_port = htons(port);
	return 0;
}

static int open_stream(struct client *c, unsigned index, bool sends, struct err *e)
{
	const struct iperf_client_plan *p = c->p;
	struct addr local;
	CLEANUP_FD int fd = -1;

	local_of(c, index, &local);
	if (p->work.udp) {
		struct iperf_hello h = { .timeout_ns = p->answer_timeout_ns,
					 .cancel_fd = c->control.cancel_fd,
					 .went_on = server_went_on,
					 .ctx = c };

		if (iperf_connect_udp(&fd, &p->to, &local, &p->socket, e) < 0)
			return -1;
		if (!sends && p->work.rcvbuf) {
			c->r->rcvbuf = dgram_rcvbuf(fd, p->work.rcvbuf);
			c->r->rcvbuf_wanted = p->work.rcvbuf;
		}
		if (iperf_hello_ask(&h, fd, e) < 0)
			return err_wrap(e, "stream %u", index + 1);
		c->r->hello_retries += h.retries;
	} else {
		struct buf cookie = BUF_INIT;
		struct iperf_control data = { .cancel_fd = c->control.cancel_fd };
		int rc;

		if (iperf_connect(&fd, &p->to, &local, &p->socket, p->connect_timeout_ns,
				  c->control.cancel_fd, e) < 0)
			return err_wrap(e, "stream %u", index + 1);
		data.fd = fd;
		rc = buf_add(&cookie, c->r->cookie, IPERF3_COOKIE) < 0
			     ? err_nomem(e)
			     : iperf_control_flush(&data, &cookie, p->answer_timeout_ns, e);
		buf_done(&cookie);
		if (rc < 0)
			return -1;
	}
	return iperf_test_add(&c->test, fd_take(&fd), sends, e);
}

static void describe_streams(struct client *c)
{
	struct iperf_report *r = c->r;

	r->stream = calloc(c->test.n, sizeof(*r->stream));
	for (unsigned i = 0; r->stream && i < c->test.n; i++) {
		const struct iperf_stream *s = &c->test.stream[i];
		struct iperf_stream_shown *d = &r->stream[i];

		*d = (struct iperf_stream_shown){
			.id = s->id, .fd = s->fd, .sends = s->sends, .cpu = -1
		};
		d->local.len = d->remote.len = sizeof(d->local.sa);
		if (getsockname(s->fd, (struct sockaddr *)&d->local.sa, &d->local.len) < 0)
			d->local.len = 0;
		if (getpeername(s->fd, (struct sockaddr *)&d->remote.sa, &d->remote.len) < 0)
			d->remote.len = 0;
	}
	r->n_streams = r->stream ? c->test.n : 0;
}

/* Round trips before there is load: of the control connection and of each stream's handshake. */
static void sample_idle(struct client *c)
{
	struct iperf_tcp_info info;

	iperf_socket_info(c->control.fd, &info);
	if (info.rtt_ns)
		series_record(&c->r->series[IPERF_S_RTT_IDLE], info.rtt_ns);
	if (info.min_rtt_ns)
		series_record(&c->r->series[IPERF_S_RTT_IDLE], info.min_rtt_ns);
	for (unsigned i = 0; !c->p->work.udp && i < c->test.n; i++) {
		iperf_socket_info(c->test.stream[i].fd, &info);
		if (info.rtt_ns)
			series_record(&c->r->series[IPERF_S_RTT_IDLE], info.rtt_ns);
	}
}

static int open_streams(struct client *c, struct err *e)
{
	const struct iperf3_params *q = &c->p->params;
	unsigned all = q->bidir ? 2 * q->parallel : q->parallel;

	if (iperf_test_init(&c->test, &c->p->work, all, true, e) < 0)
		return -1;
	for (unsigned i = 0; i < all; i++) {
		bool sends = q->bidir ? i < q->parallel : !q->reverse;

		if (open_stream(c, i, sends, e) < 0)
			return -1;
	}
	describe_streams(c);
	if (!c->p->work.udp && c->test.n) {
		iperf_socket_congestion(c->test.stream[0].fd, c->r->congestion);
		c->r->mss = iperf_socket_mss(c->test.stream[0].fd);
		iperf_socket_buffers(c->test.stream[0].fd, &c->r->sndbuf, &c->r->rcvbuf);
	}
	sample_idle(c);
	iperf_sampler_init(&c->sampler, &c->test, c->r, c->p->sample_ns, c->p->interval_ns);
	c->sampler.silent = c->p->work.nothing;
	c->sampler.row = c->p->row;
	c->sampler.ctx = c->p->ctx;
	if (c->p->latency && !c->p->work.udp && c->p->work.copy == IPERF_COPY)
		iperf_sampler_tag(&c->sampler);
	return 0;
}

/* --- the test --------------------------------------------------------------------------------------------------------- */

/* One wait in the running test; *over: the server ends it. */
static int wait_running(struct client *c, uint64_t wait_ns, bool *over, struct err *e)
{
	enum iperf_control_news news;
	uint64_t count;

	if (take_bytes(c, c->test.run.news_fd, wait_ns, &news, e) < 0 ||
	    iperf3_client_next(&c->machine, &c->pending, e) < 0)
		return -1;
	if (news == IPERF_CONTROL_WOKEN && read(c->test.run.news_fd, &count, sizeof(count)) < 0 &&
	    errno != EAGAIN)
		return err_sys(e, ERR_INTERNAL, "eventfd");
	*over = c->have_pending = c->pending != IPERF3_CLIENT_MORE;
	return c->machine.failing ? hear_reason(c, e) : 0;
}

/* A stream that broke: the control connection knows better why, if it knows anything. */
static int check_streams(struct client *c, bool *idle, struct err *e)
{
	const struct iperf_stream *failed = iperf_test_failure(&c->test);

	*idle = iperf_test_is_idle(&c->test);
	if (!failed)
		return 0;
	if (failed->trouble.kind == ERR_TARGET && hear_reason(c, e) < 0)
		return -1;
	*e = failed->trouble;
	return -1;
}

/* Datagrams that were lost will not come any more: a limited test that brings nothing for this long is over. */
#define SILENCE NS_PER_SEC

static bool fell_silent(const struct client *c, uint64_t *bytes, uint64_t *since, uint64_t now)
{
	uint64_t got = 0;

	if (!c->p->work.udp || !limited(c) || !(c->p->params.reverse || c->p->params.bidir))
		return false;
	for (unsigned i = 0; i < c->test.n; i++)
		got += atomic_load(&c->test.stream[i].now.bytes);
	if (got != *bytes)
		*since = now;
	*bytes = got;
	return got > 0 && now - *since > SILENCE;
}

static int run_until_end(struct client *c, struct err *e)
{
	const struct iperf_client_plan *p = c->p;
	uint64_t start = c->test.run.start_ns, omit_at = p->omit_ns ? start + p->omit_ns : 0;
	uint64_t until = limited(c) || p->endless ? UINT64_MAX : start + p->omit_ns + p->time_ns;
	uint64_t bytes = 0, since = start;
	bool over = false, idle = false;

	while (!over) {
		uint64_t now = clock_now(), next;

		if (omit_at && now >= omit_at) {
			omit_at = 0;
			iperf_test_counts(&c->test);
			if (iperf_sampler_counts(&c->sampler, e) < 0)
				return -1;
		}
		if (iperf_sampler_look(&c->sampler, now, &next, e) < 0 ||
		    check_streams(c, &idle, e) < 0)
			return -1;
		if (now >= until || idle || fell_silent(c, &bytes, &since, now))
			break;
		next = next < until ? next : until;
		next = omit_at && omit_at < next ? omit_at : next;
		if (wait_running(c, ns_since(now, next), &over, e) < 0)
			return -1;
	}
	if (!idle || ends_itself(c) || over || p->work.nothing)
		return 0;
	if (hear_reason(c, e) < 0)
		return -1;
	return c->have_pending ? 0
			       : err_set(e, ERR_TARGET, "closed-streams",
					 "the server closed the streams during the test");
}

/* Bytes that the kernel here holds for the senders; then those that a peer on this host has not read. *seen: one could tell. */
static uint64_t queued(const struct client *c, bool *seen)
{
	uint64_t n = 0;

	*seen = true;
	for (unsigned i = 0; i < c->test.n; i++)
		if (c->test.stream[i].sends)
			n += iperf_socket_queued(c->test.stream[i].fd);
	for (unsigned i = 0; n == 0 && *seen && i < c->test.n; i++) {
		int64_t unread = c->test.stream[i].sends
					 ? iperf_unread(c->test.stream[i].fd, c->p->work.udp)
					 : 0;

		*seen = unread >= 0;
		n += unread > 0 ? (uint64_t)unread : 0;
	}
	return n;
}

/* Waits until the senders have heard of the end: what they finish still counts. */
static int settle(struct client *c, struct err *e)
{
	bool over = c->have_pending;

	while (!over && !iperf_test_has_sent(&c->test))
		if (wait_running(c, NS_PER_MS, &over, e) < 0)
			return -1;
	return iperf_sampler_end(&c->sampler, clock_now(), e);
}

/* Waits until what was sent has arrived, so that both sides count the same. */
static int drain(struct client *c, struct err *e)
{
	uint64_t bound = ends_itself(c) ? DRAIN_STALLED : DRAIN_TIMED, until = clock_now() + bound;
	uint64_t left = UINT64_MAX, now_left;
	bool over = c->have_pending, seen = false;

	while (!over && (now_left = queued(c, &seen)) > 0 && clock_now() < until) {
		if (ends_itself(c) && now_left != left)
			until = clock_now() + bound;
		left = now_left;
		if (wait_running(c, 100 * NS_PER_US, &over, e) < 0)
			return -1;
	}
	c->drained_ns = clock_now();
	if (!over && !seen && (!c->p->params.reverse || c->p->params.bidir))
		return wait_running(c, LINGER, &over, e);
	return 0;
}

static int run_test(struct client *c, struct err *e)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	c->r->wall_s = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9;
	if (c->p->started)
		c->p->started(c->p->ctx, c->r);
	if (iperf_test_start(&c->test, e) < 0)
		return -1;
	c->r->running_ns = c->test.run.start_ns;
	iperf_sampler_start(&c->sampler, c->p->omit_ns == 0);
	if (run_until_end(c, e) < 0)
		return -1;
	iperf_test_end(&c->test);
	c->r->end_ns = c->test.end_ns;
	if (settle(c, e) < 0 || drain(c, e) < 0)
		return -1;
	return iperf3_client_end(&c->machine, e);
}

/* --- what it came to ---------------------------------------------------------------------------------------------------- */

static void add_count(int64_t *to, int64_t n)
{
	*to = (*to < 0 ? 0 : *to) + n;
}

/* A direction's datagrams from its receiver's numbers; without exact ones, iperf3's. */
static void count_datagrams(struct iperf_flow *f, const struct iperf3_stream_result *sender,
			    const struct iperf3_stream_result *receiver)
{
	int64_t sent = sender->packets - (sender->has_omitted ? sender->omitted_packets : 0);
	int64_t missed = receiver->errors - (receiver->has_omitted ? receiver->omitted_errors : 0);
	int64_t seen = receiver->packets - (receiver->has_omitted ? receiver->omitted_packets : 0);

	add_count(&f->packets, sent);
	add_count(&f->unique, receiver->has_exact ? receiver->unique : seen - missed);
	if (receiver->has_exact) {
		add_count(&f->duplicates, receiver->duplicates);
		add_count(&f->reordered, receiver->reordered);
		add_count(&f->late, receiver->late);
	}
	f->exact = f->exact && receiver->has_exact;
	if (receiver->jitter_s >= 0) {
		f->has_jitter = true;
		f->jitter_ns = receiver->jitter_s * 1e9 > f->jitter_ns ? receiver->jitter_s * 1e9
								       : f->jitter_ns;
	}
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* How long a receiver's bytes took: his own clock, but where we know better when the last one arrived. */
static double arrival(const struct client *c, const struct iperf3_stream_result *receiver)
{
	double drained = (double)ns_since(c->test.counted_ns, c->drained_ns) / 1e9;

	if (ends_itself(c) && c->drained_ns && (receiver->end_s <= 0 || drained < receiver->end_s))
		return drained;
	return receiver->end_s - receiver->start_s;
}

static void sum_stream(struct client *c, unsigned i)
{
	const struct iperf_stream *s = &c->test.stream[i];
	const struct iperf3_stream_result *ours = &c->r->ours.stream[i];
	const struct iperf3_stream_result *theirs =
		c->r->have_theirs ? iperf3_results_find(&c->r->theirs, s->id) : NULL;
	struct iperf_flow *f = &c->r->flow[s->sends ? IPERF_UP : IPERF_DOWN];

	if (!f->used)
		*f = (struct iperf_flow){ .used = true,
					  .exact = true,
					  .retransmits = -1,
					  .packets = -1,
					  .unique = -1,
					  .duplicates = -1,
					  .reordered = -1,
					  .late = -1,
					  .lost = -1 };
	if (s->sends) {
		f->sent_bytes += ours->bytes;
		f->sent_s = larger(f->sent_s, ours->end_s);
		if (ours->retransmits >= 0)
			add_count(&f->retransmits, ours->retransmits);
	} else {
		f->received_bytes += ours->bytes;
		f->received_s = larger(f->received_s, ours->end_s);
	}
	if (!theirs || c->p->work.nothing)
		return;
	if (s->sends) {
		f->received_bytes += theirs->bytes;
		f->received_s = larger(f->received_s, arrival(c, theirs));
	} else {
		f->sent_bytes += theirs->bytes;
		f->sent_s = larger(f->sent_s, theirs->end_s);
		if (theirs->retransmits >= 0)
			add_count(&f->retransmits, theirs->retransmits);
	}
	if (c->p->work.udp)
		count_datagrams(f, s->sends ? ours : theirs, s->sends ? theirs : ours);
}

static int gather(struct client *c, struct err *e)
{
	struct iperf_report *r = c->r;

	r->user_ns = c->test.user_ns;
	r->system_ns = c->test.system_ns;
	r->len = c->p->work.len;
	r->gso_refused = atomic_load(&c->test.run.no_gso);
	for (unsigned i = 0; i < c->test.n; i++) {
		sum_stream(c, i);
		if (i < r->n_streams)
			r->stream[i].cpu = c->test.stream[i].cpu_last;
		if (!c->p->work.nothing &&
		    series_merge(&r->series[IPERF_S_DELAY], &c->test.stream[i].delay, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct iperf_flow *f = &r->flow[i];

		if (f->used && f->packets >= 0)
			f->lost = f->packets - f->unique - (f->late > 0 ? f->late : 0);
	}
	return 0;
}

static int stop_and_report(struct client *c, struct err *e)
{
	iperf_test_stop(&c->test);
	if (iperf_test_results(&c->test, true, &c->r->ours, e) < 0)
		return -1;
	return iperf3_client_results(&c->machine, &c->r->ours, e);
}

static int act(struct client *c, enum iperf3_client_event event, struct err *e)
{
	switch (event) {
	case IPERF3_CLIENT_CREATE:
		return open_streams(c, e);
	case IPERF3_CLIENT_RUN:
		return run_test(c, e);
	case IPERF3_CLIENT_RESULTS:
		return stop_and_report(c, e);
	case IPERF3_CLIENT_PEER:
		c->r->theirs = c->machine.peer;
		memset(&c->machine.peer, 0, sizeof(c->machine.peer));
		c->r->have_theirs = true;
		return 0;
	default:
		return 0;
	}
}

static int converse(struct client *c, struct err *e)
{
	enum iperf3_client_event event;

	do {
		if (next_event(c, &event, e) < 0 || act(c, event, e) < 0)
			return -1;
	} while (event != IPERF3_CLIENT_DONE);
	return iperf_control_flush(&c->control, &c->machine.out, c->p->answer_timeout_ns, e);
}

static int connect_control(struct client *c, int cancel_fd, struct err *e)
{
	const struct iperf_socket_opts plain = { .mss = c->p->socket.mss };
	struct addr local = c->p->local;

	if (local.sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&local.sa)->sin6_port = 0;
	else if (local.len)
		((struct sockaddr_in *)&local.sa)->sin_port = 0;
	c->control.cancel_fd = cancel_fd;
	c->r->began_ns = clock_now();
	if (iperf_connect(&c->control.fd, &c->p->to, &local, &plain, c->p->connect_timeout_ns,
			  cancel_fd, e) < 0)
		return -1;
	c->r->connected_ns = clock_now();
	iperf_socket_blocking(c->control.fd, false);
	sock_nodelay(c->control.fd, true);
	return 0;
}

static int run_once(const struct iperf_client_plan *p, int cancel_fd, struct iperf_report *r,
		    struct err *e)
{
	CLEANUP(client_done) struct client c = { .p = p, .r = r, .control.fd = -1 };
	uint8_t random[IPERF3_COOKIE];
	struct err ignored;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, ERR_MACHINE, "getrandom");
	iperf3_cookie(r->cookie, random);
	if (iperf3_params_encode(&p->params, &c.params, e) < 0 ||
	    connect_control(&c, cancel_fd, e) < 0 ||
	    iperf3_client_init(&c.machine, r->cookie, c.params.data, c.params.len, e) < 0)
		return -1;
	if (converse(&c, e) < 0) {
		if (strncmp(e->code, "closed", 6) != 0) {
			iperf3_client_terminate(&c.machine);
			c.control.cancel_fd = -1;
			(void)!iperf_control_flush(&c.control, &c.machine.out, 10 * NS_PER_MS,
						   &ignored);
		}
		return -1;
	}
	return gather(&c, e);
}

int iperf_client_run(const struct iperf_client_plan *p, int cancel_fd, struct iperf_report *out,
		     struct err *e)
{
	uint64_t until = clock_now() + p->busy_retry_ns;
	uint32_t retries = 0;

	for (;;) {
		struct pollfd wait = { .fd = cancel_fd, .events = POLLIN };

		if (run_once(p, cancel_fd, out, e) == 0) {
			out->busy_retries = retries;
			return 0;
		}
		if (strcmp(e->code, "busy") != 0 || clock_now() + BUSY_PAUSE > until)
			return -1;
		if (poll(&wait, 1, (int)(BUSY_PAUSE / NS_PER_MS)) > 0)
			return err_set(e, ERR_TARGET, "cancelled", "the test was cancelled");
		/* a server may call itself busy at any time: what was begun is forgotten */
		iperf_report_done(out);
		if (iperf_report_init(out, e) < 0)
			return -1;
		retries++;
	}
}
