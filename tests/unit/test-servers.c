/* Servers of --start: what is waited for, and how it fails. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "measure/servers.h"

/* A socket of loopback on a port of the kernel's choice; a TCP one listens only when told. */
static int take_port(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void ports_that_are_open(void **state)
{
	uint16_t tcp, udp;
	int t = take_port(SOCK_STREAM, &tcp), u = take_port(SOCK_DGRAM, &udp);

	(void)state;
	assert_false(servers_port_is_open(tcp)); /* bound, but nobody listens */
	assert_int_equal(listen(t, 1), 0);
	assert_true(servers_port_is_open(tcp));
	assert_true(servers_port_is_open(udp));
	close(t);
	close(u);
	assert_false(servers_port_is_open(tcp));
}

/* Starts `command` for a target on `port` and waits at most so long; 0 or the error's kind. */
static int start(const char *command, uint16_t port, uint64_t wait_ns, struct err *e)
{
	CLEANUP(servers_stop) struct servers s = { 0 };
	CLEANUP(target_done) struct target t = { 0 };
	struct opt_strings commands = { 1, { command } };
	char url[64];

	snprintf(url, sizeof(url), port ? "socket://127.0.0.1:%u" : "exec:x%u", port);
	assert_int_equal(target_parse(&t, url, e), 0);
	err_clear(e);
	if (servers_start(&s, &commands, &t, 1, wait_ns, -1, false, e) == 0)
		return 0;
	assert_int_equal(s.n, 0);
	return (int)e->kind;
}

static void failures(void **state)
{
	uint16_t port;
	int fd = take_port(SOCK_STREAM, &port);
	struct err e;

	(void)state;
	assert_int_equal(start("false", port, 60 * NS_PER_SEC, &e), ERR_TARGET);
	assert_non_null(strstr(e.msg, "ended at once: exit status 1"));
	assert_int_equal(start("sleep 600", port, 300 * NS_PER_MS, &e), ERR_TARGET);
	assert_non_null(strstr(e.msg, "nothing listens on port"));
	assert_true(start("/does/not/exist", port, NS_PER_SEC, &e) != 0);
	assert_non_null(strstr(e.msg, "/does/not/exist"));
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(start("sleep 600", port, 300 * NS_PER_MS, &e), ERR_USAGE);
	assert_string_equal(e.code, "in-use");
	close(fd);
	/* a target without a port is not waited for */
	assert_int_equal(start("sleep 600", 0, 300 * NS_PER_MS, &e), 0);
}

static void one_per_target(void **state)
{
	CLEANUP(servers_stop) struct servers s = { 0 };
	CLEANUP(target_done) struct target t = { 0 };
	struct opt_strings commands = { 2, { "sleep 600", "sleep 600" } };
	struct err e;

	(void)state;
	assert_int_equal(target_parse(&t, "exec:x", &e), 0);
	assert_int_equal(servers_start(&s, &commands, &t, 1, NS_PER_MS, -1, false, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.msg, "2 --start commands for 1 targets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_that_are_open),
		cmocka_unit_test(failures),
		cmocka_unit_test(one_per_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
