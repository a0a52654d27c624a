/* test-chan - pty, TCP and RFC 2217 channels against small peers */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/chan.h"
#include "io/serial-port.h"
#include "io/sock.h"
#include "io/spawn.h"
#include "io/thread.h"
#include "proto/rfc2217.h"

enum { BIG = 1 << 20, PATIENCE_S = 30 };

struct bench {
	struct loop *loop;
	struct chan *chan;
	struct url url;
	struct log log;
	char logged[4096];
	char *in;
	size_t n_in, want;
	int connected, ready, failed, closed, drained;
};

static void said(void *ctx, enum log_level level, const char *code, const char *text)
{
	struct bench *b = ctx;
	size_t len = strlen(b->logged);

	snprintf(b->logged + len, sizeof(b->logged) - len, "%d %s %s\n", (int)level, code, text);
}

static void handle(void *ctx, struct chan *c, enum chan_event ev)
{
	struct bench *b = ctx;
	ssize_t n = 0;

	switch (ev) {
	case CHAN_CONNECTED:
		b->connected++;
		break;
	case CHAN_READY:
		b->ready++;
		loop_stop(b->loop);
		break;
	case CHAN_READABLE:
		while (b->n_in < 2 * BIG &&
		       (n = chan_read(c, b->in + b->n_in, 2 * BIG - b->n_in)) > 0)
			b->n_in += (size_t)n;
		if (n < 0)
			b->closed++;
		if (n < 0 || b->n_in >= b->want)
			loop_stop(b->loop);
		break;
	case CHAN_DRAINED:
		b->drained++;
		break;
	case CHAN_FAILED:
		b->failed++;
		loop_stop(b->loop);
		break;
	}
}

static void run(struct bench *b)
{
	enum loop_end why;
	struct err e;

	assert_int_equal(loop_run(b->loop, clock_now() + PATIENCE_S * NS_PER_SEC, &why, &e), 0);
	assert_int_equal(why, LOOP_STOPPED);
}

static void begin(struct bench *b, const char *url, struct chan_params p)
{
	struct err e = { 0 };

	memset(b, 0, sizeof(*b));
	b->in = malloc(2 * BIG);
	assert_non_null(b->in);
	b->log = (struct log){ .say = said, .ctx = b };
	assert_int_equal(url_parse(&b->url, url, &e), 0);
	assert_int_equal(loop_new(&b->loop, &e), 0);
	p.url = &b->url;
	p.log = &b->log;
	p.handler = handle;
	p.ctx = b;
	if (!p.option_timeout_ns)
		p.option_timeout_ns = 5 * NS_PER_SEC;
	if (chan_new(&b->chan, b->loop, &p, &e) < 0)
		fail_msg("%s", e.msg);
	chan_start(b->chan);
	run(b); /* the handler stops it, also from inside chan_start */
}

static void end(struct bench *b)
{
	chan_free(b->chan);
	loop_free(b->loop);
	url_done(&b->url);
	free(b->in);
}

static void send_text(struct bench *b, const char *text, size_t want)
{
	struct err e;

	b->n_in = 0;
	b->want = want;
	assert_int_equal(chan_write(b->chan, text, strlen(text), &e), 0);
	run(b);
}

static void fill(char *data, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		data[i] = (char)((x >> 16) % 255 + 1 == 3 ? 4 : (x >> 16) % 255 + 1);
	}
}

static void send_big(struct bench *b)
{
	char *data = malloc(BIG);
	struct err e;

	assert_non_null(data);
	fill(data, BIG);
	b->n_in = 0;
	b->want = BIG;
	assert_int_equal(chan_write(b->chan, data, BIG, &e), 0);
	assert_true(chan_pending(b->chan) > 0);
	run(b);
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
	begin(&b, "exec:cat", (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	assert_true(chan_pid(b.chan) > 0);
	send_text(&b, "hello", 5);
	assert_memory_equal(b.in, "hello", 5);
	send_big(&b);
	chan_kill(b.chan);
	run(&b);
	assert_int_equal(b.closed, 1);
	assert_string_equal(chan_error(b.chan)->code, "closed");
	assert_int_equal(chan_write(b.chan, "x", 1, &e), -1);
	assert_string_equal(e.code, "closed");
	assert_int_equal(chan_respawn(b.chan, &e), 0);
	run(&b);
	assert_int_equal(b.connected, 2);
	assert_int_equal(b.ready, 2);
	send_text(&b, "again", 5);
	assert_memory_equal(b.in, "again", 5);
	end(&b);
}

static void a_missing_program_fails(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, "exec:no-such-program-here", (struct chan_params){ 0 });
	assert_int_equal(b.failed, 1);
	assert_non_null(strstr(chan_error(b.chan)->msg, "no-such-program-here"));
	end(&b);
}

/* A server thread: an echo, or RFC 2217 with the faults of real servers. */
struct server {
	int listener;
	uint16_t port;
	struct thread *thread;
	bool rfc2217, silent_dtr, silent_all, refuse, split;
	char url[64];
};

static void write_all(int fd, const uint8_t *p, size_t n, bool split)
{
	while (n) {
		ssize_t k = send(fd, p, split ? 1 : n, MSG_NOSIGNAL);

		if (k < 0)
			return;
		p += k;
		n -= (size_t)k;
	}
}

static void answer(struct server *s, int fd, const struct telnet_event *ev)
{
	uint8_t out[64];
	size_t n = 0;

	if (s->silent_all)
		return;
	if (ev->kind == TELNET_EV_OPTION && ev->option == TELNET_COM_PORT &&
	    ev->command == TELNET_WILL) {
		n = telnet_put_option(out, s->refuse ? TELNET_DONT : TELNET_DO, TELNET_COM_PORT);
	} else if (ev->kind == TELNET_EV_SUB && ev->option == TELNET_COM_PORT && ev->len > 0) {
		bool line = ev->data[0] == RFC2217_SET_CONTROL && ev->len > 1 &&
			    ev->data[1] >= RFC2217_DTR_ON && ev->data[1] <= RFC2217_RTS_OFF;

		if (line && s->silent_dtr)
			return;
		if (ev->data[0] == RFC2217_SIGNATURE)
			n = rfc2217_put(out, sizeof(out), RFC2217_ANSWER, "fake", 4);
		else
			n = rfc2217_put(out, sizeof(out), (uint8_t)(ev->data[0] + RFC2217_ANSWER),
					ev->data + 1, ev->len - 1);
	}
	write_all(fd, out, n, s->split);
}

static void serve_bytes(struct server *s, int fd, const uint8_t *in, size_t n, struct telnet *t)
{
	uint8_t out[8192];

	if (!s->rfc2217) {
		write_all(fd, in, n, false);
		return;
	}
	for (size_t i = 0; i < n;) {
		struct telnet_event ev;

		i += telnet_feed(t, in + i, n - i, &ev);
		if (ev.kind == TELNET_EV_DATA) {
			size_t used, k = telnet_escape(out, sizeof(out), ev.data, ev.len, &used);

			write_all(fd, out, k, s->split);
		} else {
			answer(s, fd, &ev);
		}
	}
}

static void serve(void *arg)
{
	struct server *s = arg;
	struct pollfd p = { .fd = s->listener, .events = POLLIN };
	struct telnet t = { 0 };
	uint8_t in[4096];
	struct err e;
	int fd = -1;

	if (poll(&p, 1, PATIENCE_S * 1000) != 1 || sock_accept(s->listener, &fd, NULL, &e) < 0 ||
	    fd < 0)
		return;
	p.fd = fd;
	while (poll(&p, 1, PATIENCE_S * 1000) == 1) {
		ssize_t n = read(fd, in, sizeof(in));

		if (n <= 0)
			break;
		serve_bytes(s, fd, in, (size_t)n, &t);
	}
	close(fd);
}

static void server_start(struct server *s)
{
	struct addr bound;
	struct err e;

	assert_int_equal(sock_listen(&s->listener, NULL, 0, &bound, &e), 0);
	snprintf(s->url, sizeof(s->url), "%s://127.0.0.1:%u", s->rfc2217 ? "rfc2217" : "socket",
		 addr_port(&bound));
	assert_int_equal(thread_start(&s->thread, "server", -1, serve, s, &e), 0);
}

static void server_end(struct server *s)
{
	thread_join(s->thread);
	close(s->listener);
}

static void tcp_echoes(void **state)
{
	struct server s = { 0 };
	struct bench b;

	(void)state;
	server_start(&s);
	begin(&b, s.url, (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	send_text(&b, "ping", 4);
	assert_memory_equal(b.in, "ping", 4);
	end(&b);
	server_end(&s);
}

static void a_refused_connection_fails(void **state)
{
	struct bench b;
	struct addr bound;
	struct err e;
	char url[64];
	int fd;

	(void)state;
	assert_int_equal(sock_listen(&fd, NULL, 0, &bound, &e), 0);
	close(fd);
	snprintf(url, sizeof(url), "socket://127.0.0.1:%u", addr_port(&bound));
	begin(&b, url, (struct chan_params){ 0 });
	assert_int_equal(b.failed, 1);
	assert_string_equal(chan_error(b.chan)->code, "refused");
	end(&b);
}

static void rfc2217_opens(void **state)
{
	struct server s = { .rfc2217 = true };
	struct bench b;
	size_t n, answered = 0;
	const struct chan_option *o;

	(void)state;
	for (int split = 0; split < 2; split++) {
		s.split = split;
		server_start(&s);
		begin(&b, s.url,
		      (struct chan_params){ .set_lines = true, .raise_dtr = true, .purge = true });
		if (b.failed)
			fail_msg("%s", chan_error(b.chan)->msg);
		assert_int_equal(b.connected, 1);
		assert_int_equal(b.ready, 1);
		assert_string_equal(chan_identity(b.chan, "signature"), "fake");
		o = chan_options(b.chan, &n);
		for (size_t i = 0; i < n; i++)
			answered += o[i].answered_ns >= o[i].asked_ns && o[i].answered_ns;
		assert_true(answered >= 10);
		send_text(&b,
			  "a\xff\xff"
			  "b",
			  4);
		assert_memory_equal(b.in,
				    "a\xff\xff"
				    "b",
				    4);
		end(&b);
		server_end(&s);
	}
}

static void silent_lines_are_a_warning(void **state)
{
	struct server s = { .rfc2217 = true, .silent_dtr = true };
	struct bench b;

	(void)state;
	server_start(&s);
	begin(&b, s.url, (struct chan_params){ .set_lines = true });
	assert_int_equal(b.ready, 1);
	assert_non_null(strstr(b.logged, "0 rfc2217-no-answer"));
	assert_non_null(strstr(b.logged, "no answer to dtr"));
	assert_non_null(strstr(b.logged, "no answer to rts"));
	assert_null(strstr(b.logged, "baud"));
	end(&b);
	server_end(&s);
}

static void silence_and_refusal_fail(void **state)
{
	struct server s = { .rfc2217 = true, .silent_all = true };
	struct bench b;

	(void)state;
	server_start(&s);
	begin(&b, s.url, (struct chan_params){ .option_timeout_ns = 20 * NS_PER_MS });
	assert_int_equal(b.failed, 1);
	assert_string_equal(chan_error(b.chan)->code, "timeout");
	assert_non_null(strstr(chan_error(b.chan)->msg, "no telnet answer"));
	assert_non_null(strstr(chan_error(b.chan)->msg, "within 20 ms"));
	end(&b);
	server_end(&s);
	s.silent_all = false;
	s.refuse = true;
	server_start(&s);
	begin(&b, s.url, (struct chan_params){ 0 });
	assert_int_equal(b.failed, 1);
	assert_string_equal(chan_error(b.chan)->code, "refused");
	end(&b);
	server_end(&s);
}

static void count_close(void *ctx, struct chan *c)
{
	struct bench *b = ctx;

	(void)c;
	b->closed++;
	loop_stop(b->loop);
}

static void pyserial_waits_as_documented(void **state)
{
	struct server s = { .rfc2217 = true };
	struct bench b;
	uint64_t start = clock_now(), ready;

	(void)state;
	server_start(&s);
	begin(&b, s.url, (struct chan_params){ .style = &chan_style_pyserial });
	ready = clock_now();
	assert_int_equal(b.ready, 1);
	assert_true(ready - start >= 350 * NS_PER_MS); /* seven sleeps of 50 ms, never less */
	chan_close(b.chan, count_close);
	run(&b);
	assert_int_equal(b.closed, 1);
	assert_true(clock_now() - ready >= 300 * NS_PER_MS);
	end(&b);
	server_end(&s);
}

static void a_pty_serves_as_serial_port(void **state)
{
	struct bench b, second;
	int master, slave;
	char path[64], url[160], back[8];
	struct err e;

	(void)state;
	assert_int_equal(pty_open(&master, &slave, path, &e), 0);
	snprintf(url, sizeof(url), "serial://%s?baud=123456&dtr=on&low_latency=1", path);
	begin(&b, url, (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	assert_string_equal(chan_identity(b.chan, "baud"), "123456");
	assert_non_null(strstr(b.logged, "1 serial-lacks the port has no modem lines"));
	begin(&second, url, (struct chan_params){ 0 });
	assert_int_equal(second.failed, 1);
	assert_non_null(strstr(chan_error(second.chan)->msg, "in use"));
	end(&second);
	assert_int_equal(chan_write(b.chan, "out", 3, &e), 0);
	assert_int_equal(read(master, back, sizeof(back)), 3);
	assert_int_equal(write(master, "in!", 3), 3);
	b.want = 3;
	run(&b);
	assert_memory_equal(b.in, "in!", 3);
	close(slave);
	close(master);
	run(&b);
	assert_int_equal(b.closed, 1);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_echoes_and_ends),
		cmocka_unit_test(a_missing_program_fails),
		cmocka_unit_test(tcp_echoes),
		cmocka_unit_test(a_refused_connection_fails),
		cmocka_unit_test(rfc2217_opens),
		cmocka_unit_test(silent_lines_are_a_warning),
		cmocka_unit_test(silence_and_refusal_fail),
		cmocka_unit_test(pyserial_waits_as_documented),
		cmocka_unit_test(a_pty_serves_as_serial_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
