#include "measure/tracer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "io/spawn.h"
#include "measure/trace-reader.h"

enum { THREADS_DEFAULT = 256, COST_CALLS = 4000, COST_ROUNDS = 5 };

/* What mpbench-bpf needs beside the waiting it was told to do. */
#define ANSWER_NS (UINT64_C(10) * NS_PER_SEC)

struct tracer {
	struct child child;
	int to;
	uint64_t abilities, writes, others_ns;
	struct tracer_own own_then; /* when the last snapshot was taken */
	struct trace_reader reader;
};

char *tracer_find_program(void)
{
	static const char *const places[] = { "mpbench-bpf", "../libexec/mpbench/mpbench-bpf" };
	char self[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return NULL;
	self[n] = 0;
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		CLEANUP(buf_done) struct buf path = BUF_INIT;

		slash[1] = 0;
		if (buf_addf(&path, "%s%s", self, places[i]) < 0)
			return NULL;
		if (access(buf_text(&path), F_OK) == 0)
			return buf_take(&path);
	}
	return NULL;
}

static int no_privilege(const char *program, struct err *e)
{
	if (getxattr(program, "security.capability", NULL, 0) > 0)
		return err_set(
			e, ERR_MACHINE, "privilege",
			"%s has file capabilities, but they have no effect here (no_new_privs, a nosuid mount, or a "
			"container without CAP_BPF and CAP_PERFMON)",
			program);
	return err_set(
		e, ERR_MACHINE, "privilege",
		"counting system calls needs CAP_BPF and CAP_PERFMON: run as root, or once: sudo setcap "
		"cap_bpf,cap_perfmon+ep %s",
		program);
}

/* What a FAULT record means for the user. `program` NULL: an answer to a later command. */
static int explain(const struct trace_record *r, const char *program, struct err *e)
{
	char text[TRACE_TEXT + 1] = { 0 };
	struct utsname u;

	memcpy(text, r->text, TRACE_TEXT);
	switch (r->nr) {
	case TRACE_FAULT_PRIVILEGE:
		return no_privilege(program ? program : "mpbench-bpf", e);
	case TRACE_FAULT_REFUSED:
		return err_set(
			e, ERR_MACHINE, "refused",
			"the kernel refuses eBPF although the capabilities are there (%s: %s): lockdown, seccomp or a "
			"security module",
			text, strerror((int)r->index));
	case TRACE_FAULT_BTF:
		return err_set(
			e, ERR_MACHINE, "btf",
			"this kernel does not describe its types (no %s): it needs CONFIG_DEBUG_INFO_BTF=y",
			text);
	case TRACE_FAULT_KERNEL:
		return err_set(
			e, ERR_MACHINE, "kernel",
			"this kernel (%s) cannot run the tracer, which needs Linux 5.19 or later (%s: %s)",
			uname(&u) == 0 ? u.release : "unknown", text, strerror((int)r->index));
	case TRACE_FAULT_NO_PROCESS:
		return err_set(e, ERR_TARGET, "no-process", "there is no %s%s",
			       text[0] >= '0' && text[0] <= '9' ? "process " : "", text);
	case TRACE_FAULT_OWNER:
		return err_set(
			e, ERR_MACHINE, "owner",
			"only root may count the system calls of others (%s): run as root, or choose a process of "
			"your own with -p",
			text);
	case TRACE_FAULT_TAKEN:
		return err_set(e, ERR_USAGE, "taken", "process %s belongs to two targets", text);
	case TRACE_FAULT_USAGE:
		return err_set(e, ERR_USAGE, "usage", "mpbench-bpf does not understand: %s", text);
	default:
		return err_set(e, ERR_MACHINE, "tracer", "mpbench-bpf: %s: %s", text,
			       strerror((int)r->index));
	}
}

static int ended(struct tracer *t, struct err *e)
{
	char how[64];

	spawn_poll(&t->child);
	return err_set(e, ERR_MACHINE, "tracer", "mpbench-bpf ended early (%s)",
		       spawn_describe(&t->child, how, sizeof(how)));
}

/* NULL with *e filled. */
static const struct trace_record *next_record(struct tracer *t, uint64_t deadline_ns, struct err *e)
{
	const struct trace_record *r = trace_reader_next(&t->reader, deadline_ns, e);

	if (!r && strcmp(e->code, "ended") == 0)
		ended(t, e);
	return r;
}

static int send_command(struct tracer *t, struct trace_command *c, struct err *e)
{
	c->magic = TRACE_MAGIC;
	c->protocol = TRACE_PROTOCOL;
	c->request = ++t->reader.request;
	t->writes++;
	if (write(t->to, c, sizeof(*c)) != (ssize_t)sizeof(*c))
		return ended(t, e);
	return 0;
}

/* READY or why not. */
static int await_ready(struct tracer *t, const char *program, struct err *e)
{
	const struct trace_record *r = next_record(t, clock_now() + ANSWER_NS, e);

	if (!r)
		return -1;
	if (r->type == TRACE_FAULT)
		return explain(r, program, e);
	if (r->type != TRACE_READY)
		return err_set(e, ERR_MACHINE, "tracer", "mpbench-bpf answers nonsense");
	t->abilities = r->value[1];
	if (!(t->abilities & TRACE_READY_LATE))
		return err_set(
			e, ERR_MACHINE, "kernel",
			"this kernel forbids the tracer to look at its own counters once it gave up its privileges: "
			"Linux 5.19 or later is needed, or kernel.unprivileged_bpf_disabled=0");
	return 0;
}

static int start(struct tracer *t, char **argv, struct err *e)
{
	CLEANUP_FD int in = -1, out = -1;
	struct spawn_params sp = SPAWN_DEFAULT;
	int a[2], b[2];

	if (pipe2(a, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	in = a[0];
	t->to = a[1];
	if (pipe2(b, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	out = b[1];
	t->reader.fd = b[0];
	sp.argv = argv;
	sp.in = in;
	sp.out = out;
	return spawn_start(&t->child, &sp, e);
}

/* One attempt; *out is set on success only. */
static int attempt(struct tracer **out, char **argv, const char *program, struct err *e)
{
	CLEANUP(tracer_close) struct tracer *t = calloc(1, sizeof(*t));

	if (!t)
		return err_nomem(e);
	t->to = t->reader.fd = -1;
	if (start(t, argv, e) < 0 || await_ready(t, program, e) < 0)
		return -1;
	*out = TAKE(t);
	return 0;
}

static int open_as(struct tracer **out, const struct tracer_params *p, const char *program,
		   struct err *e)
{
	static char sudo[] = "sudo", batch[] = "-n", two_dashes[] = "--", protocol[] = "1";
	char *argv[TRACE_TARGETS_MAX + 10] = { sudo, batch, two_dashes };
	char level[12], threads[12], follow[] = "1";
	struct err second = { 0 };
	size_t n = 3;
	int rc;

	_Static_assert(TRACE_PROTOCOL == 1, "the first argument");
	snprintf(level, sizeof(level), "%d", (int)p->level);
	snprintf(threads, sizeof(threads), "%u", p->threads ? p->threads : THREADS_DEFAULT);
	follow[0] = p->no_children ? '0' : '1';
	/* spawn takes argv without const, as execve does; nothing writes to the words */
	memcpy(&argv[n++], &program, sizeof(program));
	argv[n++] = protocol;
	argv[n++] = level;
	argv[n++] = threads;
	argv[n++] = follow;
	for (size_t i = 0; i < p->n_targets; i++)
		memcpy(&argv[n++], &p->target[i], sizeof(p->target[i]));
	rc = attempt(out, argv + 3, program, e);
	if (rc == 0 || strcmp(e->code, "privilege") != 0 || geteuid() == 0)
		return rc;
	return attempt(out, argv, program, &second) == 0 ? 0 : -1;
}

/* mpbench itself is no target, unless it is added later on. */
static bool watches_machine(const struct tracer_params *p)
{
	for (size_t i = 0; i < p->n_targets; i++)
		if (strcmp(p->target[i], "pids") != 0)
			return true;
	return false;
}

/* What a call of an unwatched process costs: the fastest of some rounds of getppid, which is ours. */
static uint64_t call_cost(void)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < COST_ROUNDS; round++) {
		uint64_t start = clock_now(), took;

		for (int i = 0; i < COST_CALLS; i++)
			syscall(SYS_getppid);
		took = ns_since(start, clock_now());
		if (took < best)
			best = took;
	}
	return best / COST_CALLS;
}

int tracer_open(struct tracer **out, const struct tracer_params *p, struct err *e)
{
	CLEANUP_FREE char *program = tracer_find_program();
	CLEANUP(tracer_close) struct tracer *t = NULL;
	uint64_t before;

	if (!program)
		return err_set(
			e, ERR_MACHINE, "no-tracer",
			"mpbench-bpf is neither beside mpbench nor in ../libexec/mpbench: built with BPF=0, or not "
			"installed");
	if (access(program, X_OK) < 0)
		return err_set(
			e, ERR_MACHINE, "privilege",
			"%s may be run by its group only: sudo usermod -aG mpbench %s, then log in again",
			program, "$USER");
	before = call_cost();
	if (open_as(&t, p, program, e) < 0 || !t)
		return -1;
	if (watches_machine(p) && tracer_add(t, TRACE_NEVER, getpid(), false, e) < 0)
		return -1;
	t->others_ns = ns_since(before, call_cost());
	*out = TAKE(t);
	return 0;
}

void tracer_close(struct tracer *t)
{
	if (!t)
		return;
	fd_close(&t->to); /* its stdin ends, and so does it */
	fd_close(&t->reader.fd);
	if (t->child.pid > 0) {
		struct pollfd p = { .fd = t->child.pidfd, .events = POLLIN };

		poll(&p, 1, 2000);
	}
	spawn_stop(&t->child, NS_PER_SEC);
	free(t);
}

int tracer_add(struct tracer *t, uint32_t target, pid_t pid, bool armed, struct err *e)
{
	struct trace_command c = {
		.op = TRACE_OP_ADD, .target = target, .pid = (uint32_t)pid, .armed = armed
	};
	const struct trace_record *r;

	if (send_command(t, &c, e) < 0)
		return -1;
	r = next_record(t, clock_now() + ANSWER_NS, e);
	if (!r)
		return -1;
	return r->type == TRACE_FAULT ? explain(r, NULL, e) : 0;
}

int tracer_snapshot(struct tracer *t, bool settle, bool threads, struct call_table *out,
		    struct err *e)
{
	struct trace_command c = { .op = TRACE_OP_SNAPSHOT,
				   .flags = threads ? TRACE_WANT_THREADS : 0 };
	const struct trace_record *r = NULL;

	if (settle) {
		c.still_ns = TRACER_STILL_NS;
		c.limit_ns = TRACER_LIMIT_NS;
	}
	if (send_command(t, &c, e) < 0)
		return -1;
	/* waiting for the answer has begun */
	t->own_then = (struct tracer_own){ .reads = t->reader.reads,
					   .writes = t->writes,
					   .polls = t->reader.polls + 1 };
	do {
		r = next_record(t, clock_now() + ANSWER_NS, e);
		if (!r)
			return -1;
		if (r->type == TRACE_FAULT)
			return explain(r, NULL, e);
		if (call_table_add(out, r, e) < 0)
			return -1;
	} while (r->type != TRACE_END);
	call_table_sort(out);
	return 0;
}

bool tracer_sees_uring(const struct tracer *t)
{
	return t->abilities & TRACE_READY_URING;
}

pid_t tracer_pid(const struct tracer *t)
{
	return t->child.pid;
}

uint64_t tracer_others_ns(const struct tracer *t)
{
	return t->others_ns;
}

struct tracer_own tracer_own(const struct tracer *t)
{
	return t->own_then;
}
