#include "peer/iperf-guest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/dgram.h"
#include "peer/iperf-control.h"
#include "peer/iperf-hello.h"
#include "peer/iperf-socket.h"

enum { TCP_LEN = 128 << 10, UDP_LEN = 1460, UDP_LOCK_MS = 100 };
/* What iperf3's servers grant a test beyond its time. */
#define TIME_GRACE (40 * NS_PER_SEC)
#define STEP_SLICE (100 * NS_PER_MS)

static struct iperf_control control_of(const struct iperf_guest *g)
{
	return (struct iperf_control){ .fd = g->fd, .cancel_fd = g->p->stop_fd };
}

static int flush(struct iperf_guest *g, struct err *e)
{
	struct iperf_control c = control_of(g);

	return iperf_control_flush(&c, &g->machine.out, g->p->step_timeout_ns, e);
}

/* Feeds what comes; the end of the connection is a failure but at the very end. */
static int take_bytes(struct iperf_guest *g, int extra_fd, uint64_t wait_ns, bool *ended,
		      struct err *e)
{
	struct iperf_control c = control_of(g);
	enum iperf_control_news news;
	char room[4096];
	size_t got;

	*ended = false;
	if (flush(g, e) < 0 ||
	    iperf_control_wait(&c, extra_fd, wait_ns, room, sizeof(room), &got, &news, e) < 0)
		return -1;
	if (news == IPERF_CONTROL_END) {
		*ended = true;
		return iperf3_server_eof(&g->machine, e);
	}
	return news == IPERF_CONTROL_BYTES ? iperf3_server_feed(&g->machine, room, got, e) : 0;
}

static int too_late(const struct iperf_guest *g, struct err *e)
{
	char text[24];

	return err_set(e, ERR_TARGET, "timeout", "the client was silent for %.3g s in %s",
		       (double)g->p->step_timeout_ns / 1e9,
		       iperf3_state_name(g->machine.state, text));
}

/* Waits for an event; a client that only closes after the results has said enough. */
static int next_event(struct iperf_guest *g, enum iperf3_server_event *out, struct err *e)
{
	uint64_t until = clock_now() + g->p->step_timeout_ns;

	for (;;) {
		uint64_t now = clock_now();
		bool ended;

		if (iperf3_server_next(&g->machine, out, e) < 0)
			return -1;
		if (*out != IPERF3_SERVER_MORE)
			return 0;
		if (now >= until)
			return too_late(g, e);
		if (take_bytes(g, -1, until - now, &ended, e) < 0)
			return -1;
		if (ended) {
			*out = IPERF3_SERVER_DONE;
			return 0;
		}
	}
}

/* --- streams ---------------------------------------------------------------------------------------------------------- */

static struct iperf_work work_of(const struct iperf3_params *q)
{
	struct iperf_work w = {
		.udp = q->udp,
		.wide = q->udp64,
		.copy = q->zerocopy ? IPERF_VMSPLICE : IPERF_COPY,
		.skip_rx_copy = q->skip_rx_copy,
		.repeating = q->repeating_payload,
		.gso = true,
		.gro = true,
		.len = q->len	? (size_t)q->len
		       : q->udp ? UDP_LEN
				: TCP_LEN,
		.rate = q->bandwidth < IPERF3_NO_LIMIT ? q->bandwidth : 0,
		.burst = q->burst,
		.num = q->num,
		.blocks = q->num ? 0 : q->blockcount,
		.rcvbuf = iperf_socket_rcvbuf_for(q->bandwidth),
		.cpu = q->server_affinity,
	};

	return w;
}

static struct iperf_socket_opts socket_of(const struct iperf3_params *q)
{
	return (struct iperf_socket_opts){ .window = q->window,
					   .mss = q->udp ? 0 : q->mss,
					   .tos = q->tos,
					   .fq_rate = q->fqrate / 8,
					   .nodelay = q->nodelay,
					   .dont_fragment = q->dont_fragment,
					   .congestion = q->congestion };
}

/* A stream's direction: in a test both ways the client opens its sending streams first. */
static bool we_send(const struct iperf3_params *q, unsigned index)
{
	return q->bidir ? index >= q->parallel : q->reverse;
}

static int add_stream(struct iperf_guest *g, int fd, struct err *e)
{
	const struct iperf3_params *q = &g->machine.params;
	struct iperf_socket_opts opts = socket_of(q);
	CLEANUP_FD int owned = fd;
	struct err refused;

	/* what this kernel does not have is no reason to refuse the test */
	if (iperf_socket_prepare(owned, g->bound->sa.ss_family, &opts, q->udp, &refused) < 0 &&
	    refused.kind == ERR_INTERNAL)
		return err_wrap(e, "stream");
	iperf_socket_blocking(owned, true);
	return iperf_test_add(&g->test, fd_take(&owned), we_send(q, g->test.n), e);
}

/* The next data connection out of the box; -1: none. */
static int take_box(struct iperf_guest *g)
{
	int fd = -1;

	pthread_mutex_lock(&g->box_lock);
	if (g->taken < g->n_box)
		fd = g->box[g->taken++];
	pthread_mutex_unlock(&g->box_lock);
	return fd;
}

static void open_box(struct iperf_guest *g, bool open)
{
	pthread_mutex_lock(&g->box_lock);
	g->box_open = open;
	pthread_mutex_unlock(&g->box_lock);
}

bool iperf_guest_offer(struct iperf_guest *g, int fd)
{
	const uint64_t one = 1;
	bool taken = false;

	pthread_mutex_lock(&g->box_lock);
	if (g->box_open && g->n_box < sizeof(g->box) / sizeof(g->box[0])) {
		g->box[g->n_box++] = fd;
		taken = true;
	}
	pthread_mutex_unlock(&g->box_lock);
	if (taken && write(g->bell, &one, sizeof(one)) < 0)
		return true; /* the bell rings already */
	return taken;
}

/* Something from the client while streams are awaited: only its end, or its giving up. */
static int check_control(struct iperf_guest *g, int extra_fd, uint64_t wait_ns, struct err *e)
{
	enum iperf3_server_event event;
	bool ended;

	if (take_bytes(g, extra_fd, wait_ns, &ended, e) < 0 ||
	    iperf3_server_next(&g->machine, &event, e) < 0)
		return -1;
	return 0;
}

static int collect_tcp(struct iperf_guest *g, unsigned all, struct err *e)
{
	uint64_t until = clock_now() + g->p->step_timeout_ns, count;

	open_box(g, true);
	if (iperf3_server_accept(&g->machine, e) < 0)
		return -1;
	while (g->test.n < all) {
		int fd = take_box(g);

		if (fd >= 0) {
			if (add_stream(g, fd, e) < 0)
				return -1;
			continue;
		}
		if (clock_now() >= until)
			return err_set(e, ERR_TARGET, "timeout", "only %u of %u streams came",
				       g->test.n, all);
		if (check_control(g, g->bell, STEP_SLICE, e) < 0)
			return -1;
		while (read(g->bell, &count, sizeof(count)) > 0)
			continue;
	}
	open_box(g, false);
	return 0;
}

static int udp_listener(const struct iperf_guest *g, int *out, struct err *e)
{
	const int one = 1, zero = 0;
	char text[80];
	int family = g->bound->sa.ss_family;
	CLEANUP_FD int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, ERR_MACHINE, "socket");
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	dgram_rcvbuf(fd, g->test.work.rcvbuf);
	if (bind(fd, (const struct sockaddr *)&g->bound->sa, g->bound->len) < 0)
		return err_sys(e, ERR_MACHINE, "bind UDP %s", addr_format(g->bound, text));
	*out = fd_take(&fd);
	return 0;
}

/* One greeting: the socket that got it becomes the stream, and the next one listens before the client hears of it. */
static int collect_greeting(struct iperf_guest *g, int *listener, unsigned all, uint64_t until,
			    struct err *e)
{
	CLEANUP_FD int next = -1;
	struct addr peer;
	int got;

	while ((got = iperf_hello_take(*listener, &peer, e)) == 0) {
		if (clock_now() >= until)
			return err_set(e, ERR_TARGET, "timeout", "only %u of %u streams came",
				       g->test.n, all);
		if (check_control(g, *listener, STEP_SLICE, e) < 0)
			return -1;
	}
	if (got < 0)
		return -1;
	if (g->test.n + 1 < all && udp_listener(g, &next, e) < 0)
		return -1;
	if (iperf_hello_answer(*listener, got == 2, e) < 0 ||
	    add_stream(g, fd_take(listener), e) < 0)
		return -1;
	*listener = fd_take(&next);
	return 0;
}

/* Greetings carry no cookie: one guest at a time takes them from the port. */
static int collect_udp(struct iperf_guest *g, unsigned all, struct err *e)
{
	uint64_t until = clock_now() + g->p->step_timeout_ns;
	CLEANUP_FD int listener = -1;
	int rc = 0;

	while (pthread_mutex_trylock(g->udp_lock) != 0) {
		if (clock_now() >= until)
			return err_set(e, ERR_TARGET, "busy", "another client holds the UDP port");
		if (check_control(g, -1, UDP_LOCK_MS * NS_PER_MS, e) < 0)
			return -1;
	}
	until = clock_now() + g->p->step_timeout_ns;
	if (udp_listener(g, &listener, e) < 0 || iperf3_server_accept(&g->machine, e) < 0 ||
	    flush(g, e) < 0)
		rc = -1;
	while (rc == 0 && g->test.n < all)
		rc = collect_greeting(g, &listener, all, until, e);
	pthread_mutex_unlock(g->udp_lock);
	return rc;
}

/* --- the test ----------------------------------------------------------------------------------------------------------- */

static uint64_t moved(const struct iperf_guest *g)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < g->test.n; i++)
		n += atomic_load(&g->test.stream[i].now.bytes);
	return n;
}

static int run_test(struct iperf_guest *g, struct err *e)
{
	const struct iperf3_params *q = &g->machine.params;
	uint64_t start, omit_at, until, idle_since, last = 0, seen;
	enum iperf3_server_event event = IPERF3_SERVER_MORE;

	if (iperf3_server_start(&g->machine, e) < 0 || flush(g, e) < 0 ||
	    iperf_test_start(&g->test, e) < 0)
		return -1;
	start = idle_since = g->test.run.start_ns;
	omit_at = q->omit_s ? start + q->omit_s * NS_PER_SEC : UINT64_MAX;
	until = q->time_s ? start + (q->time_s + q->omit_s) * NS_PER_SEC + TIME_GRACE : UINT64_MAX;
	while (event == IPERF3_SERVER_MORE) {
		uint64_t now = clock_now(), slice = STEP_SLICE;
		bool ended;

		if (now >= omit_at) {
			omit_at = UINT64_MAX;
			iperf_test_counts(&g->test);
		}
		seen = moved(g);
		if (seen != last)
			idle_since = now;
		last = seen;
		if (now - idle_since >= g->p->idle_timeout_ns || now >= until)
			return err_set(e, ERR_TARGET, "timeout",
				       now >= until ? "the test outlasted its time"
						    : "no byte moved for too long");
		slice = omit_at != UINT64_MAX && omit_at - now < slice ? omit_at - now : slice;
		if (take_bytes(g, -1, slice, &ended, e) < 0 ||
		    iperf3_server_next(&g->machine, &event, e) < 0)
			return -1;
	}
	iperf_test_stop(&g->test);
	return 0;
}

/* What --get-server-output brings. */
static char *describe(const struct iperf_guest *g)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	buf_addf(&out, "mpbench iperf server\n");
	for (size_t i = 0; i < g->ours.n; i++) {
		const struct iperf3_stream_result *r = &g->ours.stream[i];

		buf_addf(&out, "[%3d] %.3f s  %" PRIu64 " bytes  %.0f bit/s", r->id, r->end_s,
			 r->bytes, r->end_s > 0 ? (double)r->bytes * 8 / r->end_s : 0);
		if (g->machine.params.udp && r->has_exact)
			buf_addf(&out,
				 "  jitter %.3f ms  %" PRId64 " unique, %" PRId64 " twice, %" PRId64
				 " late in order",
				 r->jitter_s * 1e3, r->unique, r->duplicates, r->reordered);
		buf_addc(&out, '\n');
	}
	return out.failed ? NULL : buf_take(&out);
}

static int exchange(struct iperf_guest *g, struct err *e)
{
	const struct iperf3_params *q = &g->machine.params;
	bool exact = strncmp(q->client_version, IPERF3_VERSION_OURS,
			     sizeof(IPERF3_VERSION_OURS) - 1) == 0;
	enum iperf3_server_event event;

	if (iperf_test_results(&g->test, exact, &g->ours, e) < 0)
		return -1;
	g->have_ours = true;
	if (q->get_server_output)
		g->ours.server_output = describe(g);
	if (iperf3_server_exchange(&g->machine, e) < 0 || next_event(g, &event, e) < 0)
		return -1;
	if (event != IPERF3_SERVER_RESULTS)
		return err_set(e, ERR_TARGET, "closed", "the client closed before its results");
	atomic_store(&g->leaving, true);
	if (iperf3_server_results(&g->machine, &g->ours, e) < 0)
		return -1;
	return next_event(g, &event, e);
}

static int check_params(struct iperf_guest *g, struct err *e)
{
	const struct iperf3_params *q = &g->machine.params;

	g->have_params = true;
	if (!g->p->rate_limit || (q->bandwidth && q->bandwidth <= g->p->rate_limit / q->parallel))
		return 0;
	iperf3_server_refuse(&g->machine, 27, 0);
	return err_set(e, ERR_TARGET, "parameters", "the client asks for more than --rate-limit");
}

static int serve(struct iperf_guest *g, struct err *e)
{
	const struct iperf3_params *q = &g->machine.params;
	enum iperf3_server_event event;
	struct iperf_work w;
	unsigned all;

	if (iperf3_server_init(&g->machine, e) < 0 || next_event(g, &event, e) < 0)
		return -1;
	if (event != IPERF3_SERVER_PARAMS)
		return err_set(e, ERR_TARGET, "closed", "the client closed at once");
	if (check_params(g, e) < 0)
		return -1;
	w = work_of(q);
	w.file = g->p->file;
	all = q->bidir ? 2 * q->parallel : q->parallel;
	if (iperf_test_init(&g->test, &w, all, false, e) < 0 ||
	    (q->udp ? collect_udp : collect_tcp)(g, all, e) < 0 || run_test(g, e) < 0)
		return -1;
	return exchange(g, e);
}

static void tell(struct iperf_guest *g)
{
	bool complete = atomic_load(&g->complete);
	struct iperf_server_event ev = {
		.client = &g->client,
		.params = g->have_params ? &g->machine.params : NULL,
		.ours = g->have_ours ? &g->ours : NULL,
		.theirs = complete ? &g->machine.peer : NULL,
		.failure = complete ? NULL : &g->failure,
		.duration_ns = clock_now() - g->began_ns,
	};

	pthread_mutex_lock(g->tell_lock);
	if (g->p->ended)
		g->p->ended(g->p->ctx, &ev);
	pthread_mutex_unlock(g->tell_lock);
}

/* What is still to be said to a client whose test failed, if it still listens. */
static void say_goodbye(struct iperf_guest *g)
{
	struct iperf_control c = { .fd = g->fd, .cancel_fd = -1 };
	struct err ignored;

	if (strcmp(g->failure.code, "cancelled") == 0)
		iperf3_server_terminate(&g->machine);
	(void)!iperf_control_flush(&c, &g->machine.out, STEP_SLICE, &ignored);
}

static void guest_main(void *arg)
{
	struct iperf_guest *g = arg;
	const uint64_t one = 1;

	g->began_ns = clock_now();
	if (serve(g, &g->failure) == 0)
		atomic_store(&g->complete, true);
	else
		say_goodbye(g);
	open_box(g, false);
	iperf_test_done(&g->test);
	tell(g);
	fd_close(&g->fd);
	atomic_store(&g->over, true);
	if (write(g->over_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

int iperf_guest_new(struct iperf_guest **out, const struct iperf_guest *like, int fd,
		    const struct addr *client, const uint8_t cookie[IPERF3_COOKIE], struct err *e)
{
	CLEANUP_FD int owned = fd;
	struct iperf_guest *g = calloc(1, sizeof(*g));

	if (!g)
		return err_nomem(e);
	*g = *like;
	g->client = *client;
	memcpy(g->cookie, cookie, IPERF3_COOKIE);
	pthread_mutex_init(&g->box_lock, NULL);
	g->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->fd = fd_take(&owned);
	sock_nodelay(g->fd, true);
	sock_keepalive(g->fd, 10, 5, 3);
	if (g->bell < 0) {
		iperf_guest_free(g);
		return err_sys(e, ERR_MACHINE, "eventfd");
	}
	if (thread_start(&g->thread, "iperf-guest", -1, guest_main, g, e) < 0) {
		iperf_guest_free(g);
		return -1;
	}
	*out = g;
	return 0;
}

void iperf_guest_free(struct iperf_guest *g)
{
	int fd;

	if (!g)
		return;
	thread_join(g->thread);
	while ((fd = take_box(g)) >= 0)
		fd_close(&fd);
	iperf3_server_done(&g->machine);
	iperf3_results_done(&g->ours);
	fd_close(&g->fd);
	fd_close(&g->bell);
	pthread_mutex_destroy(&g->box_lock);
	free(g);
}
