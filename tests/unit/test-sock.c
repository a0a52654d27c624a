/* test-sock - addresses, listeners, connections and their errors */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "io/sock.h"

static void addresses_are_read_and_written(void **state)
{
	struct addr a[4];
	struct err e;
	size_t n;
	char text[80];

	(void)state;
	assert_int_equal(addr_resolve(a, 4, &n, "127.0.0.1", 2217, SOCK_STREAM, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(addr_format(&a[0], text), "127.0.0.1:2217");
	assert_int_equal(addr_port(&a[0]), 2217);
	assert_int_equal(addr_resolve(a, 4, &n, "::1", 69, SOCK_DGRAM, &e), 0);
	assert_string_equal(addr_format(&a[0], text), "[::1]:69");
	assert_int_equal(addr_port(&a[0]), 69);
	assert_int_equal(addr_resolve(a, 4, &n, "", 1, SOCK_STREAM, &e), 0);
	assert_true(n >= 1);
	assert_int_equal(addr_resolve(a, 4, &n, "no such host", 1, SOCK_STREAM, &e), -1);
	assert_int_equal(e.kind, ERR_TARGET);
	assert_non_null(strstr(e.msg, "no such host"));
}

static void wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 10000), 1);
}

static void connections_are_made(void **state)
{
	CLEANUP_FD int listener = -1, client = -1, server = -1;
	struct addr bound, peer;
	struct err e;
	char c = 0;
	int on = 0;
	socklen_t len = sizeof(on);

	(void)state;
	assert_int_equal(sock_listen(&listener, NULL, 0, &bound, &e), 0);
	assert_true(addr_port(&bound) != 0);
	assert_int_equal(((struct sockaddr_in *)&bound.sa)->sin_addr.s_addr,
			 htonl(INADDR_LOOPBACK));
	assert_int_equal(sock_accept(listener, &server, NULL, &e), 0);
	assert_int_equal(server, -1); /* nobody there */
	assert_int_equal(sock_connect(&client, &bound, &e), 0);
	wait_for(client, POLLOUT);
	assert_int_equal(sock_connected(client, &bound, &e), 0);
	wait_for(listener, POLLIN);
	assert_int_equal(sock_accept(listener, &server, &peer, &e), 0);
	assert_true(server >= 0);
	assert_true(addr_port(&peer) != 0);
	assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
	sock_nodelay(client, true);
	assert_int_equal(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_true(on);
	sock_nodelay(client, false);
	assert_int_equal(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_false(on);
	sock_keepalive(server, 30, 5, 3);
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_KEEPCNT, &on, &len), 0);
	assert_int_equal(on, 3);
	assert_int_equal(write(client, "x", 1), 1);
	wait_for(server, POLLIN);
	assert_int_equal(read(server, &c, 1), 1);
	assert_int_equal(c, 'x');
}

static void a_refusal_names_the_address(void **state)
{
	CLEANUP_FD int listener = -1, client = -1;
	struct addr bound;
	struct err e = { 0 };
	char text[80], want[160];
	int rc;

	(void)state;
	assert_int_equal(sock_listen(&listener, NULL, 0, &bound, &e), 0);
	fd_close(&listener); /* a port where nobody listens */
	rc = sock_connect(&client, &bound, &e);
	if (rc == 0) {
		wait_for(client, POLLOUT);
		rc = sock_connected(client, &bound, &e);
	}
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_TARGET);
	assert_string_equal(e.code, "refused");
	snprintf(want, sizeof(want), "connect to %s: Connection refused",
		 addr_format(&bound, text));
	assert_string_equal(e.msg, want);
}

static void a_port_in_use_is_a_usage_error(void **state)
{
	CLEANUP_FD int first = -1, second = -1;
	struct addr bound;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sock_listen(&first, "127.0.0.1", 0, &bound, &e), 0);
	assert_int_equal(sock_listen(&second, "127.0.0.1", addr_port(&bound), NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_string_equal(e.code, "in-use");
}

static void running_out_of_descriptors_says_so(void **state)
{
	CLEANUP_FD int listener = -1, client = -1, server = -1;
	struct rlimit old, low;
	struct addr bound;
	struct err e = { 0 };
	int rc;

	(void)state;
	assert_int_equal(sock_listen(&listener, NULL, 0, &bound, &e), 0);
	assert_int_equal(sock_connect(&client, &bound, &e), 0);
	wait_for(listener, POLLIN);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)client + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	rc = sock_accept(listener, &server, NULL, &e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_MACHINE);
	assert_string_equal(e.code, "no-fds");
	assert_non_null(strstr(e.msg, "descriptors"));
}

static void the_descriptor_limit_is_raised(void **state)
{
	struct rlimit lim;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_int_equal(sock_raise_nofile(), lim.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_int_equal(lim.rlim_cur, lim.rlim_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(connections_are_made),
		cmocka_unit_test(a_refusal_names_the_address),
		cmocka_unit_test(a_port_in_use_is_a_usage_error),
		cmocka_unit_test(running_out_of_descriptors_says_so),
		cmocka_unit_test(the_descriptor_limit_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
