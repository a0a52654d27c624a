/* test-spawn - children: set-up, failure, groups, holding, ending */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/spawn.h"

/* A vector of words as execve wants it, which never writes to them. */
#define ARGV(...) ((char *const *)(const void *)(const char *const[]){ __VA_ARGS__, NULL })

enum { PATIENCE_MS = 20000 };

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static void wait_end(struct child *c)
{
	wait_readable(c->pidfd);
	assert_true(spawn_poll(c));
}

/* Runs argv to its end; what it writes to stdout goes to out. */
static void capture(struct child *c, struct spawn_params *p, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fds[2];
	struct err e;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	p->out = fds[1];
	assert_int_equal(spawn_start(c, p, &e), 0);
	close(fds[1]);
	while ((n = read(fds[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(fds[0]);
	wait_end(c);
	spawn_stop(c, 0);
}

static void a_child_runs_and_tells_its_status(void **state)
{
	char *const *argv = ARGV("sh", "-c", "exit 3");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e;
	char text[64];

	(void)state;
	p.argv = argv;
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	assert_string_equal(spawn_describe(&c, text, sizeof(text)), "running");
	wait_end(&c);
	assert_string_equal(spawn_describe(&c, text, sizeof(text)), "exit status 3");
	assert_true(c.usage.ru_maxrss > 0);
	spawn_stop(&c, 0);
	assert_int_equal(c.pidfd, -1);
}

static void a_failed_exec_names_the_program(void **state)
{
	char *const *missing = ARGV("no-such-program-here");
	char *const *data = ARGV("/etc/passwd");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e = { 0 };

	(void)state;
	p.argv = missing;
	assert_int_equal(spawn_start(&c, &p, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_string_equal(e.code, "not-found");
	assert_string_equal(e.msg, "cannot run no-such-program-here: No such file or directory");
	p.argv = data;
	assert_int_equal(spawn_start(&c, &p, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_string_equal(e.code, "permission");
	spawn_stop(&c, 0); /* legal after a failure */
	p.cwd = "/no/such/dir";
	assert_int_equal(spawn_start(&c, &p, &e), -1);
	assert_non_null(strstr(e.msg, "directory"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

static void the_environment_is_what_was_asked(void **state)
{
	char *const *argv = ARGV("sh", "-c", "pwd; echo $A-$B-$C; ls -l /proc/self/fd | wc -l");
	static const char *const env[] = { "A=new", "C=3", NULL };
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	char out[256];
	int leak = open("/dev/null", O_RDONLY); /* not CLOEXEC on purpose */

	(void)state;
	setenv("A", "old", 1);
	setenv("B", "kept", 1);
	p.argv = argv;
	p.env = env;
	p.cwd = "/usr";
	capture(&c, &p, out, sizeof(out));
	close(leak);
	/* ls shows its own descriptor beside 0, 1, 2, and a "total" line */
	assert_string_equal(out, "/usr\nnew-kept-3\n5\n");
}

static void signals_and_slack_are_default(void **state)
{
	char *const *argv = ARGV(
		"sh", "-c",
		"cat /proc/self/timerslack_ns; exec grep -E 'SigIgn|SigBlk' /proc/self/status");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	sigset_t all, old;
	char out[256];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	p.argv = argv;
	capture(&c, &p, out, sizeof(out));
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(out, "50000\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void a_descriptor_is_passed_as_number_3(void **state)
{
	char *const *argv = ARGV("sh", "-c", "echo ready >&3; exec sleep 1000");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e;
	int fds[2];
	char buf[8] = "";

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	p.argv = argv;
	p.keep_fd = fds[1];
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	close(fds[1]);
	wait_readable(fds[0]);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 6);
	assert_string_equal(buf, "ready\n");
	assert_false(spawn_poll(&c));
	spawn_stop(&c, 0);
	close(fds[0]);
}

static void descriptors_may_overlap_their_targets(void **state)
{
	/* 0 given as stdout and 1 as stdin would clash with a naive dup2 order */
	char *const *argv = ARGV("cat");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e;
	int in[2], out[2], save0 = dup(0), save1 = dup(1);
	char buf[8] = "";
	ssize_t n;
	int rc;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	dup2(in[0], 1);
	dup2(out[1], 0);
	p.argv = argv;
	p.in = 1;
	p.out = 0;
	rc = spawn_start(&c, &p, &e);
	dup2(save0, 0);
	dup2(save1, 1);
	close(save0);
	close(save1);
	assert_int_equal(rc, 0);
	assert_int_equal(write(in[1], "ping", 4), 4);
	wait_readable(out[0]);
	n = read(out[0], buf, sizeof(buf));
	assert_int_equal(n, 4);
	assert_string_equal(buf, "ping");
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	wait_end(&c);
	spawn_stop(&c, 0);
}

static void a_held_child_waits(void **state)
{
	char *const *argv = ARGV("echo", "go"), *const *bad = ARGV("no-such-program-here");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e = { 0 };
	int fds[2];
	char buf[8], link[64], exe[256] = "";

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	p.argv = argv;
	p.out = fds[1];
	p.hold = true;
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)c.pid);
	assert_true(readlink(link, exe, sizeof(exe) - 1) > 0);
	assert_non_null(strstr(exe, "test-spawn")); /* still us: nothing was executed */
	assert_int_equal(read(fds[0], buf, sizeof(buf)), -1);
	assert_int_equal(spawn_release(&c, &e), 0);
	wait_end(&c);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 3);
	spawn_stop(&c, 0);

	p.argv = bad;
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	assert_int_equal(spawn_release(&c, &e), -1);
	assert_non_null(strstr(e.msg, "no-such-program-here"));

	p.argv = argv;
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	spawn_stop(&c, 0); /* never released */
	assert_true(c.reaped);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), -1);
	close(fds[0]);
	close(fds[1]);
}

/* End of file on a pipe that every member of the group holds shows that all are gone. */
static void assert_all_gone(int fd)
{
	char buf[16];
	ssize_t n;

	do {
		wait_readable(fd);
		n = read(fd, buf, sizeof(buf));
	} while (n > 0);
	assert_int_equal(n, 0);
	close(fd);
}

static void the_whole_group_ends(void **state)
{
	char *const *argv =
		ARGV("sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000 & echo x; wait");
	char *const *orphan = ARGV("sh", "-c", "sleep 1000 & echo x");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e;
	int fds[2];
	char buf[4], text[64];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	p.argv = argv;
	p.out = fds[1];
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	close(fds[1]);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 2);
	spawn_stop(&c, 20 * NS_PER_MS); /* SIGTERM is ignored: SIGKILL has to follow */
	assert_string_equal(spawn_describe(&c, text, sizeof(text)), "killed by SIGKILL");
	assert_all_gone(fds[0]);

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	p.argv = orphan;
	p.out = fds[1];
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	close(fds[1]);
	wait_end(&c); /* its leader ends by itself, the rest with it */
	assert_all_gone(fds[0]);
	spawn_stop(&c, 0);
}

static void a_polite_stop_uses_sigterm(void **state)
{
	char *const *argv =
		ARGV("sh", "-c", "trap 'exit 7' TERM; echo x; while :; do sleep 0.01; done");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c, none = { 0 };
	struct err e;
	int fds[2];
	char buf[4], text[64];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	p.argv = argv;
	p.out = fds[1];
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	close(fds[1]);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 2);
	spawn_stop(&c, 20 * NS_PER_SEC);
	assert_string_equal(spawn_describe(&c, text, sizeof(text)), "exit status 7");
	close(fds[0]);
	spawn_stop(&c, 0);
	spawn_stop(&none, 0);
	spawn_signal(&none, SIGKILL);
	assert_true(spawn_poll(&none));
}

static void usage_counts_the_grandchildren(void **state)
{
	char *const *argv = ARGV("sh", "-c", "head -c 30000000 /dev/urandom >/dev/null; exit 0");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e;
	long ms;

	(void)state;
	p.argv = argv;
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	wait_end(&c);
	ms = (c.usage.ru_stime.tv_sec + c.usage.ru_utime.tv_sec) * 1000 +
	     (c.usage.ru_stime.tv_usec + c.usage.ru_utime.tv_usec) / 1000;
	assert_true(ms > 5); /* 30 MB of random bytes are not free */
	spawn_stop(&c, 0);
}

static void a_child_dies_with_its_parent(void **state)
{
	int fds[2];
	char c;
	pid_t middle;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0) {
		char *const *argv = ARGV("sh", "-c", "echo x; exec sleep 1000");
		struct spawn_params p = SPAWN_DEFAULT;
		struct child child;
		struct err e;

		p.argv = argv;
		p.out = fds[1];
		if (spawn_start(&child, &p, &e) < 0)
			_exit(1);
		close(fds[1]);
		pause();
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	kill(middle, SIGKILL);
	waitpid(middle, NULL, 0);
	assert_all_gone(fds[0]);
}

static void read_until(int fd, const char *mark, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	while (!strstr(out, mark) && len + 1 < size) {
		ssize_t n;

		wait_readable(fd);
		n = read(fd, out + len, size - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		out[len] = '\0';
	}
}

static void a_pty_is_raw_and_interruptible(void **state)
{
	char *const *argv = ARGV("sh", "-c",
				 "tty; printf 'a\\nb\\n'; trap 'echo INT; exit 5' INT; echo ready; "
				 "while :; do sleep 0.01; done");
	struct spawn_params p = SPAWN_DEFAULT;
	struct child c;
	struct err e;
	int master, slave;
	char path[64], out[256], text[64];

	(void)state;
	assert_int_equal(pty_open(&master, &slave, path, &e), 0);
	assert_true(fcntl(master, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(slave, F_GETFD) & FD_CLOEXEC);
	p.argv = argv;
	p.tty = slave;
	assert_int_equal(spawn_start(&c, &p, &e), 0);
	close(slave);
	read_until(master, "ready\n", out, sizeof(out));
	assert_int_equal(strncmp(out, path, strlen(path)), 0);
	assert_non_null(strstr(out, "\na\nb\nready\n")); /* no CR is put in */
	assert_int_equal(write(master, "\003", 1), 1);
	read_until(master, "INT\n", out, sizeof(out)); /* and neither echo nor flush */
	wait_end(&c);
	assert_string_equal(spawn_describe(&c, text, sizeof(text)), "exit status 5");
	spawn_stop(&c, 0);
	close(master);
}

static void all_bytes_pass_a_pty(void **state)
{
	int master, slave;
	struct err e;

	(void)state;
	assert_int_equal(pty_open(&master, &slave, NULL, &e), 0);
	for (int i = 0; i < 256; i++) {
		unsigned char c = (unsigned char)i, back = 0;

		assert_int_equal(write(slave, &c, 1), 1);
		wait_readable(master);
		assert_int_equal(read(master, &back, 1), 1);
		assert_int_equal(back, c);
		if (c == 3)
			continue; /* the interrupt character */
		assert_int_equal(write(master, &c, 1), 1);
		wait_readable(slave);
		assert_int_equal(read(slave, &back, 1), 1);
		assert_int_equal(back, c);
	}
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_runs_and_tells_its_status),
		cmocka_unit_test(a_failed_exec_names_the_program),
		cmocka_unit_test(the_environment_is_what_was_asked),
		cmocka_unit_test(signals_and_slack_are_default),
		cmocka_unit_test(a_descriptor_is_passed_as_number_3),
		cmocka_unit_test(descriptors_may_overlap_their_targets),
		cmocka_unit_test(a_held_child_waits),
		cmocka_unit_test(the_whole_group_ends),
		cmocka_unit_test(a_polite_stop_uses_sigterm),
		cmocka_unit_test(usage_counts_the_grandchildren),
		cmocka_unit_test(a_child_dies_with_its_parent),
		cmocka_unit_test(a_pty_is_raw_and_interruptible),
		cmocka_unit_test(all_bytes_pass_a_pty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
