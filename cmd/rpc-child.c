#include "rpc-child.h"

#include <fcntl.h>
#include <poll.h>

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

enum { READY_WAIT_MS = 10000, WORDS_MAX = 32 };

/* The child writes its port when it serves. */
static int wait_ready(struct rpc_child *c, int fd, const char *name, struct addr *address,
		      struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[16] = "", why[64];
	uint64_t port = 0;
	size_t n, got = 0;
	ssize_t r;

	if (poll(&p, 1, READY_WAIT_MS) <= 0)
		return err_set(e, ERR_INTERNAL, "builtin", "the builtin %s server did not come up",
			       name);
	r = read(fd, text, sizeof(text) - 1);
	if (r > 0) {
		text[r] = '\0';
		got = strcspn(text, "\n");
	}
	text[got] = '\0';
	if (got == 0 || num_parse_u64(text, &port, e) < 0 || port > 65535) {
		spawn_stop(&c->child, NS_PER_SEC);
		return err_set(e, ERR_INTERNAL, "builtin",
			       "the builtin %s server ended at once: %s", name,
			       spawn_describe(&c->child, why, sizeof(why)));
	}
	return addr_resolve(address, 1, &n, "127.0.0.1", (uint16_t)port, SOCK_STREAM, e);
}

static int pin(const struct rpc_child *c, int cpu, struct err *e)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(c->child.pid, sizeof(set), &set) < 0)
		return err_sys(e, ERR_MACHINE, "pin the builtin server to CPU %d", cpu);
	return 0;
}

int rpc_child_start(struct rpc_child *c, const char *name, const char *const *options, int cpu,
		    struct addr *address, struct err *e)
{
	const char *words[WORDS_MAX] = { "/proc/self/exe", "serve", name, "--port=0",
					 "--ready-fd=3" };
	struct spawn_params p = SPAWN_DEFAULT;
	CLEANUP_FD int ours = -1;
	CLEANUP_FD int theirs = -1;
	size_t n = 5;
	int fd[2];

	for (; options && *options && n + 1 < WORDS_MAX; options++)
		words[n++] = *options;
	memset(c, 0, sizeof(*c));
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	ours = fd[0];
	theirs = fd[1];
	p.argv = (char *const *)(uintptr_t)words; /* exec does not write to them */
	p.err = STDERR_FILENO;
	p.keep_fd = theirs;
	if (spawn_start(&c->child, &p, e) < 0)
		return -1;
	fd_close(&theirs);
	if (cpu >= 0 && pin(c, cpu, e) < 0)
		return -1;
	return wait_ready(c, ours, name, address, e);
}

void rpc_child_stop(struct rpc_child *c)
{
	spawn_stop(&c->child, NS_PER_SEC);
}
