/* Who serves a port: told from a tree that looks like /proc, and from this machine's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <ftw.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "measure/listener.h"

#define TITLE \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

static char root[64];

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "build/test-listener-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int drop_root(void **state)
{
	(void)state;
	return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_dir(const char *path)
{
	char full[300];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	assert_int_equal(mkdir(full, 0755), 0);
}

static void put_table(const char *name, const char *lines)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/net/%s", root, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%s%s", TITLE, lines);
	assert_int_equal(fclose(f), 0);
}

static void put_fd(int pid, int fd, const char *target)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/proc/%d", root, pid);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/proc/%d/fd", root, pid);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/proc/%d/fd/%d", root, pid, fd);
	assert_int_equal(symlink(target, path), 0);
}

static void fill_tree(void)
{
	make_dir("proc");
	make_dir("proc/net");
	/* 127.0.0.1:69 unconnected, the same port connected (a transfer), port 70 */
	put_table(
		"udp",
		"  1: 0100007F:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1111 2 0 0\n"
		"  2: 0100007F:0045 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 2222 2 0 0\n"
		"  3: 0100007F:0046 00000000:0000 07 00000000:00000000 00:00000000 00000000  4711        0 3333 2 0 0\n");
	put_table(
		"udp6",
		"  1: 00000000000000000000000000000000:0045 00000000000000000000000000000000:0000 07 00000000:00000000 "
		"00:00000000 00000000     0        0 4444 2 0 0\n");
	/* 8080 listening, with an accepted connection of the same port; garbage and half a line beside */
	put_table(
		"tcp",
		"  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5555 1 0 100\n"
		"  1: 0100007F:1F90 0100007F:8888 01 00000000:00000000 00:00000000 00000000  1000        0 6666 1 0 100\n"
		"nonsense\n  7: 00000000:1F9");
	put_fd(20, 3, "socket:[1111]");
	put_fd(20, 4, "socket:[4444]"); /* both families: named once */
	put_fd(21, 3, "socket:[2222]");
	put_fd(9, 0, "/dev/null");
	put_fd(9, 5, "socket:[4444]");
	put_fd(30, 3, "socket:[5555]");
	put_fd(31, 3, "socket:[5555]"); /* a worker that inherited it */
	put_fd(32, 3, "socket:[6666]");
	make_dir("proc/self"); /* no pid */
}

static size_t find(const char *text, pid_t *out, struct err *e)
{
	struct listener_port port;
	size_t n = 99;

	assert_int_equal(listener_parse(text, &port, e), 0);
	return listener_find(root, &port, out, &n, e) < 0 ? SIZE_MAX : n;
}

static void found_by_the_port(void **state)
{
	pid_t pids[LISTENERS_MAX];
	struct err e = { 0 };

	(void)state;
	fill_tree();
	assert_int_equal(find("69/udp", pids, &e), 2);
	assert_int_equal(pids[0], 9); /* in order of pid */
	assert_int_equal(pids[1], 20);
	assert_int_equal(find("69", pids, &e), 2);
	assert_int_equal(find("69/tcp", pids, &e), 0);
	assert_int_equal(find("8080/tcp", pids, &e), 2);
	assert_int_equal(pids[0], 30);
	assert_int_equal(pids[1], 31);
	assert_int_equal(find("8080/udp", pids, &e), 0);
	assert_int_equal(find("71", pids, &e), 0);
}

static void somebody_elses_is_named(void **state)
{
	pid_t pids[LISTENERS_MAX];
	struct err e = { 0 };

	(void)state;
	fill_tree();
	assert_true(find("70/udp", pids, &e) == SIZE_MAX);
	assert_int_equal(e.kind, ERR_MACHINE);
	assert_string_equal(e.code, "owner");
	assert_non_null(strstr(e.msg, "port 70/udp is served by uid 4711"));
	assert_non_null(strstr(e.msg, "-p PID"));
}

static void more_processes_than_places(void **state)
{
	pid_t pids[LISTENERS_MAX];
	struct err e = { 0 };

	(void)state;
	fill_tree();
	for (int pid = 100; pid < 100 + 2 * LISTENERS_MAX; pid++)
		put_fd(pid, 3, "socket:[5555]");
	assert_int_equal(find("8080/tcp", pids, &e), LISTENERS_MAX);
}

static void nothing_to_read(void **state)
{
	pid_t pids[LISTENERS_MAX];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(find("69/udp", pids, &e), 0);
}

static void ourselves(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct listener_port port = { .udp = true };
	pid_t pids[LISTENERS_MAX];
	socklen_t len = sizeof(a);
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	port.port = ntohs(a.sin_port);
	assert_int_equal(listener_find("", &port, pids, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], getpid());
}

static void ports_as_text(void **state)
{
	static const char *const wrong[] = { "",       "x",	  "0",	       "65536",
					     "69/",    "69/sctp", "69/udp ",   "/udp",
					     "-1/udp", "6 9/udp", "123456789", "69/udp/tcp" };
	struct listener_port p;
	struct err e;

	(void)state;
	assert_int_equal(listener_parse("69/udp", &p, &e), 0);
	assert_true(p.port == 69 && p.udp && !p.tcp);
	assert_int_equal(listener_parse("80/tcp", &p, &e), 0);
	assert_true(p.port == 80 && !p.udp && p.tcp);
	assert_int_equal(listener_parse("65535", &p, &e), 0);
	assert_true(p.port == 65535 && p.udp && p.tcp);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(listener_parse(wrong[i], &p, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_non_null(strstr(e.msg, "69/udp"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found_by_the_port, make_root, drop_root),
		cmocka_unit_test_setup_teardown(somebody_elses_is_named, make_root, drop_root),
		cmocka_unit_test_setup_teardown(more_processes_than_places, make_root, drop_root),
		cmocka_unit_test_setup_teardown(nothing_to_read, make_root, drop_root),
		cmocka_unit_test(ourselves),
		cmocka_unit_test(ports_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
