/* test-chan - pty and TCP channels against small peers */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan-bench.h"
#include "io/chan-impl.h"
#include "io/chan-tcp.h"
#include "io/sock.h"
#include "io/thread.h"

/* Every byte value but those a terminal acts on. */
static void fill_plain(char *data, size_t n)
{
	bench_fill(data, n);
	for (size_t i = 0; i < n; i++)
		if (data[i] == 0 || data[i] == 3)
			data[i] = 4;
}

static void send_big(struct bench *b)
{
	char *data = malloc(BIG);
	struct err e;

	assert_non_null(data);
	fill_plain(data, BIG);
	b->n_in = 0;
	b->want = BIG;
	assert_int_equal(chan_write(b->chan, data, BIG, &e), 0);
	assert_true(chan_pending(b->chan) > 0);
	bench_run(b);
	assert_int_equal(b->n_in, BIG);
	assert_memory_equal(b->in, data, BIG);
	assert_int_equal(chan_pending(b->chan), 0);
	assert_true(b->drained >= 1);
	free(data);
}

static void a_process_echoes_and_ends(void **state)
{
	struct bench b;
	struct err e;

	(void)state;
	bench_begin(&b, "exec:cat", (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	assert_true(chan_pid(b.chan) > 0);
	bench_send(&b, "hello", 5, 5);
	assert_memory_equal(b.in, "hello", 5);
	send_big(&b);
	chan_kill(b.chan);
	bench_run(&b);
	assert_int_equal(b.closed, 1);
	assert_string_equal(chan_error(b.chan)->code, "closed");
	assert_int_equal(chan_write(b.chan, "x", 1, &e), -1);
	assert_string_equal(e.code, "closed");
	assert_int_equal(chan_respawn(b.chan, &e), 0);
	bench_run(&b);
	assert_int_equal(b.connected, 2);
	assert_int_equal(b.ready, 2);
	bench_send(&b, "again", 5, 5);
	assert_memory_equal(b.in, "again", 5);
	bench_end(&b);
}

static void a_missing_program_fails(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "exec:no-such-program-here", (struct chan_params){ 0 });
	assert_int_equal(b.failed, 1);
	assert_non_null(strstr(chan_error(b.chan)->msg, "no-such-program-here"));
	bench_end(&b);
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Begins with a shell that has said "r" once its traps are set. */
static pid_t begin_shell(struct bench *b, const char *script)
{
	char url[512];

	snprintf(url, sizeof(url), "exec:sh -c '%s'", script);
	bench_begin(b, url, (struct chan_params){ 0 });
	if (!b->n_in) {
		b->want = 1;
		bench_run(b);
	}
	assert_memory_equal(b->in, "r", 1);
	return chan_pid(b->chan);
}

static void an_orderly_close_lets_the_device_end(void **state)
{
	char script[256], note[64];
	struct bench b;
	pid_t pid;
	int fd;

	(void)state;
	snprintf(note, sizeof(note), "build/test-chan-XXXXXX");
	fd = mkstemp(note);
	assert_true(fd >= 0);
	snprintf(script, sizeof(script),
		 "trap \"echo bye >%s; exit 0\" HUP; printf r; while :; do sleep 100 & wait; done",
		 note);
	pid = begin_shell(&b, script);
	chan_close(b.chan, bench_count_close);
	assert_int_equal(b.closed, 0); /* it comes from the loop */
	bench_run(&b);
	assert_int_equal(b.closed, 1);
	assert_true(is_gone(pid));
	assert_int_equal(read(fd, script, 4), 4);
	assert_memory_equal(script, "bye\n", 4);
	close(fd);
	unlink(note);
	bench_end(&b);
}

static void tick(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	t->at_ns = 0; /* it was here */
}

static void a_deaf_device_is_killed_after_its_grace(void **state)
{
	static const char script[] = "trap \"\" HUP; printf r; while :; do sleep 100; done";
	struct timer other = { 0 };
	struct bench b;
	uint64_t start;
	pid_t pid;

	(void)state;
	pid = begin_shell(&b, script);
	start = loop_now(b.loop);
	timer_set(b.loop, &other, start + NS_PER_MS, tick);
	chan_close(b.chan, bench_count_close);
	assert_false(is_gone(pid));
	bench_run(&b);
	assert_int_equal(b.closed, 1);
	assert_true(loop_now(b.loop) - start >= CHAN_HANGUP_GRACE_MS * NS_PER_MS);
	assert_int_equal(other.at_ns, 0); /* the loop went on meanwhile */
	assert_true(is_gone(pid));
	bench_end(&b);

	pid = begin_shell(&b, script);
	chan_close(b.chan, bench_count_close);
	chan_free(b.chan);
	b.chan = NULL;
	assert_true(is_gone(pid));
	assert_int_equal(bench_run_for(&b, 1), LOOP_IDLE);
	assert_int_equal(b.closed, 0);
	bench_end(&b);
}

/* A server thread for one connection: an echo, or one that does nothing until the client goes. */
struct server {
	int listener;
	struct thread *thread;
	bool mute;
	char url[64];
};

static void serve(void *arg)
{
	struct server *s = arg;
	struct pollfd p = { .fd = s->listener, .events = POLLIN };
	char in[4096];
	struct err e;
	int fd = -1;

	if (poll(&p, 1, PATIENCE_S * 1000) != 1 || sock_accept(s->listener, &fd, NULL, &e) < 0 ||
	    fd < 0)
		return;
	p.fd = fd;
	p.events = s->mute ? POLLRDHUP : POLLIN;
	while (poll(&p, 1, PATIENCE_S * 1000) == 1 && !s->mute) {
		ssize_t n = read(fd, in, sizeof(in));

		if (n <= 0 || send(fd, in, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	close(fd);
}

static void server_start(struct server *s)
{
	struct addr bound;
	struct err e;

	assert_int_equal(sock_listen(&s->listener, NULL, 0, &bound, &e), 0);
	snprintf(s->url, sizeof(s->url), "socket://127.0.0.1:%u", addr_port(&bound));
	assert_int_equal(thread_start(&s->thread, "server", -1, serve, s, &e), 0);
}

static void server_end(struct server *s)
{
	thread_join(s->thread);
	close(s->listener);
}

static int nodelay_of(const struct bench *b)
{
	int on = -1;
	socklen_t len = sizeof(on);

	assert_int_equal(getsockopt(b->chan->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	return on;
}

static void tcp_echoes(void **state)
{
	static const struct {
		const char *query;
		const struct chan_style *style;
		int nodelay;
	} cases[] = {
		{ "", &chan_style_native, 1 },
		{ "?nodelay=0", &chan_style_native, 0 },
		{ "", &chan_style_pyserial, 0 },
		{ "?nodelay=1", &chan_style_pyserial, 1 },
	};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server s = { 0 };

		server_start(&s);
		strncat(s.url, cases[i].query, sizeof(s.url) - strlen(s.url) - 1);
		bench_begin(&b, s.url, (struct chan_params){ .style = cases[i].style });
		assert_int_equal(b.ready, 1);
		assert_int_equal(nodelay_of(&b), cases[i].nodelay);
		bench_send(&b, "ping", 4, 4);
		assert_memory_equal(b.in, "ping", 4);
		bench_end(&b);
		server_end(&s);
	}
}

/* A port where nobody listens. */
static uint16_t dead_port(void)
{
	struct addr bound;
	struct err e;
	int fd;

	assert_int_equal(sock_listen(&fd, NULL, 0, &bound, &e), 0);
	close(fd);
	return addr_port(&bound);
}

static void a_refused_connection_fails(void **state)
{
	struct bench b;
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "socket://127.0.0.1:%u", dead_port());
	bench_begin(&b, url, (struct chan_params){ 0 });
	assert_int_equal(b.failed, 1);
	assert_string_equal(chan_error(b.chan)->code, "refused");
	bench_end(&b);
}

static void the_next_address_is_tried(void **state)
{
	struct server s = { 0 };
	struct tcp_dial *d;
	struct bench b;
	struct err e;
	size_t n;

	(void)state;
	server_start(&s);
	bench_make(&b, s.url, (struct chan_params){ 0 }, false);
	d = b.chan->impl;
	assert_int_equal(d->n, 1);
	d->addr[1] = d->addr[0];
	assert_int_equal(addr_resolve(d->addr, 1, &n, "127.0.0.1", dead_port(), SOCK_STREAM, &e),
			 0);
	d->n = 2;
	chan_start(b.chan);
	bench_run(&b);
	assert_int_equal(b.failed, 0);
	assert_int_equal(b.ready, 1);
	assert_int_equal(d->at, 1);
	bench_send(&b, "ping", 4, 4);
	bench_end(&b);
	server_end(&s);
}

/* The peer's machine is gone, or its queue is full: no answer of any kind ever comes. */
static void a_connection_without_answer_can_be_given_up(void **state)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[4];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct bench b;
	char url[64];

	(void)state;
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	for (size_t i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(fill[i] >= 0);
		(void)!connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	snprintf(url, sizeof(url), "socket://127.0.0.1:%u", ntohs(a.sin_port));
	bench_make(&b, url, (struct chan_params){ 0 }, false);
	chan_start(b.chan);
	assert_int_equal(bench_run_for(&b, 30), LOOP_DEADLINE);
	assert_int_equal(b.connected + b.failed, 0);
	chan_close(b.chan, bench_count_close);
	assert_int_equal(b.closed, 1);
	assert_int_equal(bench_run_for(&b, 30), LOOP_STOPPED);
	assert_int_equal(bench_run_for(&b, 30), LOOP_IDLE);
	bench_end(&b);
	for (size_t i = 0; i < 4; i++)
		close(fill[i]);
	close(listener);
}

static void a_mute_peer_brings_nothing_and_the_queue_is_bounded(void **state)
{
	struct server s = { .mute = true };
	char *data = calloc(1, CHAN_QUEUE_MAX);
	struct bench b;
	struct err e;
	size_t waits;

	(void)state;
	assert_non_null(data);
	server_start(&s);
	bench_begin(&b, s.url, (struct chan_params){ 0 });
	b.want = 1;
	assert_int_equal(chan_write(b.chan, "x", 1, &e), 0);
	assert_int_equal(bench_run_for(&b, 30), LOOP_DEADLINE);
	assert_int_equal(b.n_in, 0);
	do /* the kernel takes some */
		assert_int_equal(chan_write(b.chan, data, CHAN_QUEUE_MAX, &e), 0);
	while ((waits = chan_pending(b.chan)) == 0);
	assert_in_range(waits, 1, CHAN_QUEUE_MAX);
	assert_int_equal(chan_write(b.chan, data, CHAN_QUEUE_MAX - waits, &e), 0);
	assert_int_equal(chan_pending(b.chan), CHAN_QUEUE_MAX);
	assert_int_equal(chan_write(b.chan, data, 1, &e), -1);
	assert_string_equal(e.code, "queue-full");
	assert_int_equal(chan_pending(b.chan), CHAN_QUEUE_MAX);
	assert_int_equal(b.failed, 0);
	bench_end(&b);
	server_end(&s);
	free(data);
}

static void a_paused_channel_holds_its_input(void **state)
{
	struct server s = { 0 };
	struct bench b;
	struct err e;

	(void)state;
	server_start(&s);
	bench_begin(&b, s.url, (struct chan_params){ 0 });
	chan_pause(b.chan, true);
	b.want = 4;
	assert_int_equal(chan_write(b.chan, "ping", 4, &e), 0);
	assert_int_equal(bench_run_for(&b, 30), LOOP_DEADLINE);
	assert_int_equal(b.n_in, 0);
	chan_pause(b.chan, false);
	bench_run(&b);
	assert_memory_equal(b.in, "ping", 4);
	bench_end(&b);
	server_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_echoes_and_ends),
		cmocka_unit_test(a_missing_program_fails),
		cmocka_unit_test(an_orderly_close_lets_the_device_end),
		cmocka_unit_test(a_deaf_device_is_killed_after_its_grace),
		cmocka_unit_test(tcp_echoes),
		cmocka_unit_test(a_refused_connection_fails),
		cmocka_unit_test(the_next_address_is_tried),
		cmocka_unit_test(a_connection_without_answer_can_be_given_up),
		cmocka_unit_test(a_mute_peer_brings_nothing_and_the_queue_is_bounded),
		cmocka_unit_test(a_paused_channel_holds_its_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
