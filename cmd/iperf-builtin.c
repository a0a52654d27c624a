#include "iperf-builtin.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"

enum { READY_WAIT_MS = 10000 };

/* The child writes its port when it serves. */
static int wait_ready(struct child *c, int fd, struct addr *address, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[16] = "", why[64];
	uint64_t port = 0;
	size_t n, got;
	ssize_t r;

	if (poll(&p, 1, READY_WAIT_MS) <= 0)
		return err_set(e, ERR_INTERNAL, "builtin", "the builtin server did not come up");
	r = read(fd, text, sizeof(text) - 1);
	got = r > 0 ? strcspn(text, "\n") : 0;
	text[got] = '\0';
	if (got == 0 || num_parse_u64(text, &port, e) < 0 || port > 65535) {
		spawn_stop(c, NS_PER_SEC);
		return err_set(e, ERR_INTERNAL, "builtin", "the builtin server ended at once: %s",
			       spawn_describe(c, why, sizeof(why)));
	}
	return addr_resolve(address, 1, &n, "127.0.0.1", (uint16_t)port, SOCK_STREAM, e);
}

int iperf_builtin_start(struct child *c, int cpu, struct addr *address, struct err *e)
{
	char program[] = "/proc/self/exe", name[] = "iperf", server[] = "--server",
	     port[] = "--port=0", ready[] = "--ready-fd=3", quiet[] = "--quiet";
	char *argv[] = { program, name, server, port, ready, quiet, NULL };
	struct spawn_params p = SPAWN_DEFAULT;
	CLEANUP_FD int ours = -1;
	CLEANUP_FD int theirs = -1;
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	ours = fd[0];
	theirs = fd[1];
	p.argv = argv;
	p.err = STDERR_FILENO;
	p.keep_fd = theirs;
	if (spawn_start(c, &p, e) < 0)
		return -1;
	fd_close(&theirs);
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned)cpu, &set);
		if (sched_setaffinity(c->pid, sizeof(set), &set) < 0)
			return err_sys(e, ERR_MACHINE, "pin the builtin server to CPU %d", cpu);
	}
	return wait_ready(c, ours, address, e);
}
