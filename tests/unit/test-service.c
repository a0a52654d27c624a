/* test-service - passed sockets and readiness */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/service.h"
#include "io/sock.h"

enum { FIRST = 3 };

/* Puts fd at the place of a passed descriptor, blocking and without CLOEXEC as a manager leaves it. */
static void pass(int fd, int at)
{
	assert_int_equal(dup2(fd, at), at);
	assert_int_equal(fcntl(at, F_SETFL, 0), 0);
}

static const char *own_pid(char text[32])
{
	snprintf(text, 32, "%ld", (long)getpid());
	return text;
}

static void sockets_are_taken_with_their_names(void **state)
{
	struct service_socket got[SERVICE_SOCKETS_MAX];
	int a, b, high_a, high_b;
	char pid[32];
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(sock_listen(&a, NULL, 0, NULL, &e), 0);
	assert_int_equal(sock_listen(&b, NULL, 0, NULL, &e), 0);
	high_a = fcntl(a, F_DUPFD_CLOEXEC, 20);
	high_b = fcntl(b, F_DUPFD_CLOEXEC, 20);
	close(a);
	close(b);
	pass(high_a, FIRST);
	pass(high_b, FIRST + 1);
	assert_int_equal(service_sockets(own_pid(pid), "2", "raw:rfc2217", got, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(got[0].name, "raw");
	assert_string_equal(got[1].name, "rfc2217");
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].fd, FIRST + (int)i);
		assert_true(fcntl(got[i].fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(got[i].fd, F_GETFD) & FD_CLOEXEC);
	}
	/* fewer names than sockets, or none */
	assert_int_equal(service_sockets(own_pid(pid), "2", "one", got, &n, &e), 0);
	assert_string_equal(got[0].name, "one");
	assert_string_equal(got[1].name, "");
	assert_int_equal(service_sockets(own_pid(pid), "2", NULL, got, &n, &e), 0);
	assert_string_equal(got[0].name, "");
	close(FIRST);
	close(FIRST + 1);
	close(high_a);
	close(high_b);
}

static void what_is_for_others_is_none(void **state)
{
	struct service_socket got[SERVICE_SOCKETS_MAX];
	struct err e;
	size_t n = 9;

	(void)state;
	assert_int_equal(service_sockets(NULL, "2", NULL, got, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(service_sockets("1", NULL, NULL, got, &n, &e), 0);
	assert_int_equal(service_sockets("1", "2", NULL, got, &n, &e), 0);
	assert_int_equal(n, 0);
}

static void nonsense_is_refused(void **state)
{
	struct service_socket got[SERVICE_SOCKETS_MAX];
	int pair[2], high;
	char pid[32];
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(service_sockets("x", "1", NULL, got, &n, &e), -1);
	assert_int_equal(service_sockets(own_pid(pid), "-1", NULL, got, &n, &e), -1);
	assert_int_equal(service_sockets(own_pid(pid), "17", NULL, got, &n, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	/* a descriptor that is open, but no listening socket */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	high = fcntl(pair[0], F_DUPFD_CLOEXEC, 20);
	close(pair[0]);
	pass(high, FIRST);
	assert_int_equal(service_sockets(own_pid(pid), "1", NULL, got, &n, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	close(FIRST);
	close(high);
	close(pair[1]);
}

static int bind_unix(const struct sockaddr_un *a, size_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)a, (socklen_t)len), 0);
	return fd;
}

static void assert_told(int fd, const char *name)
{
	char got[64] = "";
	struct err e;

	assert_int_equal(service_notify(name, "READY=1", &e), 0);
	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 7);
	assert_string_equal(got, "READY=1");
}

static void the_manager_is_told(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/mpbench-service-XXXXXX", name[96];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", dir);
	fd = bind_unix(&a, sizeof(a));
	assert_told(fd, a.sun_path);
	close(fd);
	unlink(a.sun_path);
	rmdir(dir);

	/* an abstract name: '@' stands for the zero byte, and nothing follows the name */
	snprintf(name, sizeof(name), "@mpbench-service-%ld", (long)getpid());
	memset(a.sun_path, 0, sizeof(a.sun_path));
	memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
	fd = bind_unix(&a, offsetof(struct sockaddr_un, sun_path) + strlen(name));
	assert_told(fd, name);
	close(fd);
}

static void a_manager_that_is_not_there_is_an_error(void **state)
{
	char longest[200];
	struct err e;

	(void)state;
	assert_int_equal(service_notify(NULL, "READY=1", &e), 0);
	assert_int_equal(service_notify("/nowhere/at/all", "READY=1", &e), -1);
	assert_int_equal(e.kind, ERR_MACHINE);
	assert_int_equal(service_notify("relative", "READY=1", &e), -1);
	assert_int_equal(service_notify("/", "READY=1", &e), -1);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(service_notify(longest, "READY=1", &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_taken_with_their_names),
		cmocka_unit_test(what_is_for_others_is_none),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(the_manager_is_told),
		cmocka_unit_test(a_manager_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
