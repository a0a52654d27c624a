/* A relay over loopback: scripts act on the very packets they name, ports follow, connections pass, counts are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/dgram.h"
#include "peer/relay.h"

static struct loop *loop;

static struct addr loopback(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(port) };
	struct addr a = { .len = sizeof(in) };

	memcpy(&a.sa, &in, sizeof(in));
	return a;
}

static struct addr name_of(int fd)
{
	struct addr a = { .len = sizeof(a.sa) };

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.len), 0);
	return a;
}

static int udp(void)
{
	struct addr any = loopback(0);
	struct err e;
	int fd = -1;

	assert_int_equal(dgram_socket(&fd, &any, true, false, &e), 0);
	return fd;
}

static struct relay *relay_to(const struct addr *target, struct relay_params p)
{
	struct relay *r = NULL;
	struct err e;

	assert_int_equal(loop_new(&loop, &e), 0);
	p.listen = loopback(0);
	p.target = *target;
	p.seed = 1;
	p.idle_ns = p.idle_ns ? p.idle_ns : 3600 * NS_PER_SEC;
	p.max_sessions = p.max_sessions ? p.max_sessions : 8;
	assert_int_equal(relay_open(&r, loop, &p, &e), 0);
	return r;
}

static void finish(struct relay *r)
{
	relay_close(r);
	loop_free(loop);
	loop = NULL;
}

static struct impair_params script(const char *text)
{
	struct impair_params p = { 0 };
	struct err e;

	assert_int_equal(impair_parse_script(&p, text, &e), 0);
	return p;
}

static void stop(struct watch *w, uint32_t events)
{
	(void)events;
	loop_stop(w->loop);
}

/* Lets the relay work until fd is ready. */
static void wait_for(int fd, uint32_t events)
{
	struct watch w = { 0 };
	enum loop_end why;
	struct err e;

	assert_int_equal(loop_add(loop, &w, fd, events, stop, &e), 0);
	assert_int_equal(loop_run(loop, clock_now() + 60 * NS_PER_SEC, &why, &e), 0);
	assert_int_equal(why, LOOP_STOPPED);
	loop_remove(&w);
}

static void say(int fd, const struct addr *to, const char *text)
{
	assert_int_equal(
		sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&to->sa, to->len),
		strlen(text));
}

/* The next datagram is `text`; who sent it. */
static struct addr hear(int fd, const char *text)
{
	struct addr from = { .len = sizeof(from.sa) };
	char got[64] = "";

	wait_for(fd, EPOLLIN);
	assert_int_equal(recvfrom(fd, got, sizeof(got) - 1, MSG_DONTWAIT,
				  (struct sockaddr *)&from.sa, &from.len),
			 strlen(text));
	assert_string_equal(got, text);
	return from;
}

static void test_script_each_way(void **state)
{
	int client = udp(), server = udp();
	struct addr target = name_of(server), from, at;
	struct relay *r =
		relay_to(&target, (struct relay_params){ .to_server = script("drop:2 dup:3 swap:5"),
							 .to_client = script("drop:1-2 swap:4") });
	struct relay_counts c;

	(void)state;
	at = *relay_address(r);
	for (int i = 1; i <= 7; i++)
		say(client, &at, (const char[]){ (char)('0' + i), 0 });
	from = hear(server, "1");
	hear(server, "3");
	hear(server, "3");
	hear(server, "4");
	hear(server, "6");
	hear(server, "5");
	hear(server, "7");
	for (int i = 1; i <= 5; i++)
		say(server, &from, (const char[]){ (char)('a' + i), 0 });
	hear(client, "d");
	hear(client, "f");
	hear(client, "e");
	relay_counts(r, &c);
	assert_int_equal(c.sessions, 1);
	assert_int_equal(c.foreign, 0);
	assert_int_equal(c.to_server.link.seen, 7);
	assert_int_equal(c.to_server.link.seen_bytes, 7);
	assert_int_equal(c.to_server.link.passed, 7);
	assert_int_equal(c.to_server.link.dropped, 1);
	assert_int_equal(c.to_server.link.repeated, 1);
	assert_int_equal(c.to_server.link.reordered, 1);
	assert_int_equal(c.to_server.link.held, 0);
	assert_int_equal(c.to_client.link.seen, 5);
	assert_int_equal(c.to_client.link.dropped, 2);
	assert_int_equal(c.to_client.link.passed_bytes, 3);
	assert_int_equal(c.to_client.overrun + c.to_server.overrun, 0);
	finish(r);
	close(client);
	close(server);
}

static void test_sessions_are_apart(void **state)
{
	int one = udp(), two = udp(), server = udp(), stranger = udp();
	struct addr target = name_of(server), at, first, second;
	struct relay *r = relay_to(&target, (struct relay_params){ .to_server = script("drop:1") });
	struct relay_counts c;

	(void)state;
	at = *relay_address(r);
	say(one, &at, "lost");
	say(two, &at, "lost");
	say(one, &at, "one");
	say(two, &at, "two");
	first = hear(server, "one");
	second = hear(server, "two");
	assert_int_not_equal(addr_port(&first), addr_port(&second));
	/* only the server's words go back */
	say(stranger, &second, "boo");
	say(server, &second, "for two");
	say(server, &first, "for one");
	hear(two, "for two");
	hear(one, "for one");
	relay_counts(r, &c);
	assert_int_equal(c.sessions, 2);
	assert_int_equal(c.active, 2);
	assert_int_equal(c.foreign, 1);
	assert_int_equal(c.to_server.link.dropped, 2);
	finish(r);
	close(one);
	close(two);
	close(server);
	close(stranger);
}

static void test_tftp_ports(void **state)
{
	int client = udp(), server = udp(), transfer = udp(), stranger = udp();
	struct addr target = name_of(server), at, up, down, session;
	struct relay *r = relay_to(&target, (struct relay_params){ .tftp = true });
	struct relay_counts c;

	(void)state;
	at = *relay_address(r);
	say(client, &at, "RRQ");
	up = hear(server, "RRQ");
	say(transfer, &up, "DATA");
	down = hear(client, "DATA");
	assert_int_not_equal(addr_port(&down), addr_port(&at));
	say(stranger, &down, "ACK");
	say(client, &down, "ACK");
	session = hear(transfer, "ACK");
	assert_int_equal(addr_port(&session), addr_port(&up));
	say(stranger, &up, "DATA");
	say(transfer, &up, "more");
	hear(client, "more");
	relay_counts(r, &c);
	assert_int_equal(c.sessions, 1);
	assert_int_equal(c.foreign, 2);
	assert_int_equal(c.to_server.link.passed, 2);
	assert_int_equal(c.to_client.link.passed, 2);
	finish(r);
	close(client);
	close(server);
	close(transfer);
	close(stranger);
}

static void test_the_oldest_session_goes(void **state)
{
	int client[3] = { udp(), udp(), udp() }, server = udp();
	struct addr target = name_of(server), at, from[3];
	struct relay *r = relay_to(&target, (struct relay_params){ .max_sessions = 2 });
	struct relay_counts c;

	(void)state;
	at = *relay_address(r);
	for (int i = 0; i < 3; i++) {
		say(client[i], &at, "hello");
		from[i] = hear(server, "hello");
	}
	relay_counts(r, &c);
	assert_int_equal(c.sessions, 3);
	assert_int_equal(c.active, 2);
	assert_int_equal(c.to_server.link.passed, 3);
	say(server, &from[2], "there");
	hear(client[2], "there");
	finish(r);
	for (int i = 0; i < 3; i++)
		close(client[i]);
	close(server);
}

/* --- connections ----------------------------------------------------------------------------------------------- */

static int listener_of(struct addr *at)
{
	struct addr any = loopback(0);
	struct err e;
	int fd = -1;

	assert_int_equal(sock_listen_at(&fd, &any, at, &e), 0);
	return fd;
}

static int dial(const struct addr *to)
{
	struct err e;
	int fd = -1;

	assert_int_equal(sock_connect(&fd, to, &e), 0);
	return fd;
}

static int answer(int listener)
{
	struct err e;
	int fd = -1;

	wait_for(listener, EPOLLIN);
	assert_int_equal(sock_accept(listener, &fd, NULL, &e), 0);
	assert_true(fd >= 0);
	return fd;
}

/* Everything up to the end that is still to come; its length. Every byte is checked against its place. */
static size_t read_all(int fd, size_t at)
{
	uint8_t bytes[40000];

	for (;;) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			wait_for(fd, EPOLLIN);
			continue;
		}
		if (n == 0)
			return at;
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], (uint8_t)((at + (size_t)i) % 251));
		at += (size_t)n;
	}
}

static void write_all(int fd, size_t len)
{
	uint8_t bytes[30000];

	for (size_t at = 0; at < len;) {
		size_t more = len - at < sizeof(bytes) ? len - at : sizeof(bytes);
		ssize_t n;

		for (size_t i = 0; i < more; i++)
			bytes[i] = (uint8_t)((at + i) % 251);
		n = send(fd, bytes, more, MSG_NOSIGNAL);
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			wait_for(fd, EPOLLOUT);
		} else {
			at += (size_t)n;
		}
	}
}

/* Whatever the sockets' buffers hold, fits: the other side reads only afterwards. */
enum { SOME = 100000 };

static void test_both_directions_and_half_ends(void **state)
{
	struct addr target;
	int listener = listener_of(&target), client, server;
	struct relay *r = relay_to(&target, (struct relay_params){ .max_sessions = 4 });
	struct relay_counts c;

	(void)state;
	client = dial(relay_address(r));
	server = answer(listener);
	write_all(client, SOME);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(read_all(server, 0), SOME);
	/* the other direction goes on after the end of the first */
	write_all(server, SOME);
	close(server);
	assert_int_equal(read_all(client, 0), SOME);
	relay_counts(r, &c);
	assert_int_equal(c.tcp.connections, 1);
	assert_int_equal(c.tcp.failed, 0);
	assert_int_equal(c.tcp.active, 0);
	assert_int_equal(c.tcp.bytes_to_server, SOME);
	assert_int_equal(c.tcp.bytes_to_client, SOME);
	finish(r);
	close(client);
	close(listener);
}

static void test_a_dead_server_and_a_full_relay(void **state)
{
	struct addr target;
	int listener = listener_of(&target), one, two, server;
	struct relay *r = relay_to(&target, (struct relay_params){ .max_sessions = 1 });
	struct relay_counts c;
	char byte;

	(void)state;
	one = dial(relay_address(r));
	server = answer(listener);
	two = dial(relay_address(r));
	wait_for(two, EPOLLIN);
	assert_true(read(two, &byte, 1) <= 0);
	close(two);
	/* a reset on one side is a reset on the other */
	setsockopt(server, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
		   sizeof(struct linger));
	close(server);
	wait_for(one, EPOLLIN);
	assert_int_equal(read(one, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(one);
	close(listener);
	one = dial(relay_address(r));
	wait_for(one, EPOLLIN);
	assert_int_equal(read(one, &byte, 1), -1);
	relay_counts(r, &c);
	assert_int_equal(c.tcp.connections, 2);
	assert_int_equal(c.tcp.refused, 1);
	assert_int_equal(c.tcp.failed, 2);
	assert_int_equal(c.tcp.active, 0);
	finish(r);
	close(one);
}

static void test_one_port_for_both(void **state)
{
	struct addr target;
	int listener = listener_of(&target);
	struct relay_params p = { .listen = target, .target = target, .max_sessions = 1 };
	struct relay *r = relay_to(&target, p), *other = NULL;
	struct err e;

	(void)state;
	/* free for datagrams, taken for connections: told, not half of it served */
	assert_int_equal(relay_open(&other, loop, &p, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_null(other);
	finish(r);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script_each_way),
		cmocka_unit_test(test_sessions_are_apart),
		cmocka_unit_test(test_tftp_ports),
		cmocka_unit_test(test_the_oldest_session_goes),
		cmocka_unit_test(test_both_directions_and_half_ends),
		cmocka_unit_test(test_a_dead_server_and_a_full_relay),
		cmocka_unit_test(test_one_port_for_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
