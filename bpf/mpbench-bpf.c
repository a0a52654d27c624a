/*
 * mpbench-bpf - the only part of mpbench that ever holds a privilege.
 *
 * Loads and attaches the programs of syscalls.bpf.c, gives up every privilege, and then answers the commands of
 * syscalls.h on stdin with records on stdout until stdin ends. It reads no file but /proc and its own image, has no
 * options and ignores its environment.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracer.h"

#define NS_PER_MS UINT64_C(1000000)
enum { IDLE_MS = 100, OUT_RECORDS = 512 };

/* Records gathered for one write. */
struct out {
	uint32_t request;
	size_t n;
	struct trace_record record[OUT_RECORDS];
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
}

static int flush(struct out *o)
{
	const char *p = (const char *)o->record;
	size_t left = o->n * sizeof(o->record[0]);

	while (left > 0) {
		ssize_t n = write(STDOUT_FILENO, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		left -= (size_t)n;
	}
	o->n = 0;
	return 0;
}

static int put(void *ctx, const struct trace_record *r)
{
	struct out *o = ctx;
	struct trace_record *to = &o->record[o->n++];

	*to = *r;
	to->magic = TRACE_MAGIC;
	to->protocol = TRACE_PROTOCOL;
	to->request = o->request;
	return o->n == OUT_RECORDS ? flush(o) : 0;
}

static int put_fault(struct out *o, const struct fault *f)
{
	struct trace_record r = { .type = TRACE_FAULT, .nr = f->code, .index = (uint32_t)f->sys };

	memcpy(r.text, f->text, sizeof(r.text));
	return put(o, &r) || flush(o) ? -1 : 0;
}

/* Waits until nothing moved for still_ns; true when that came before limit_ns. Ends early when stdin does. */
static bool settle(const struct rows *rows, uint64_t still_ns, uint64_t limit_ns, uint64_t *took_ns)
{
	uint64_t start = now_ns(), quiet_since = start, now = start;
	uint64_t last = rows_activity(rows);
	struct pollfd in = { .fd = STDIN_FILENO };

	while (now - quiet_since < still_ns && now - start < limit_ns) {
		uint64_t activity;

		if (poll(&in, 1, 1) > 0)
			break;
		now = now_ns();
		activity = rows_activity(rows);
		if (activity != last)
			quiet_since = now;
		last = activity;
	}
	*took_ns = now - start;
	return now - quiet_since >= still_ns;
}

static int snapshot(struct tracer *t, const struct trace_command *c, struct out *o)
{
	struct trace_record end = { .type = TRACE_END };
	uint64_t took = 0;
	bool still = true;

	if (c->still_ns)
		still = settle(tracer_rows(t), c->still_ns, c->limit_ns, &took);
	end.value[0] = now_ns();
	end.value[1] = still;
	end.value[2] = took;
	if (rows_read(tracer_rows(t), c->flags & TRACE_WANT_THREADS, tracer_missed(t), put, o))
		return -1;
	return put(o, &end) || flush(o) ? -1 : 0;
}

static int add(struct tracer *t, const struct trace_command *c, struct out *o)
{
	struct trace_record end = { .type = TRACE_END, .target = c->target };
	struct fault f = { 0 };

	if (c->target != TRACE_NEVER && c->target >= tracer_rows(t)->n) {
		fault_set(&f, TRACE_FAULT_USAGE, 0, "target %u", c->target);
		return put_fault(o, &f);
	}
	if (tracer_add(t, c->target, (pid_t)c->pid, c->armed, &end.value[3], &f) < 0)
		return put_fault(o, &f);
	end.value[0] = now_ns();
	end.value[1] = 1;
	return put(o, &end) || flush(o) ? -1 : 0;
}

/* 1: a whole command is there, 0: the time is over, -1: stdin ended. */
static int read_command(struct trace_command *c)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t have = 0;
	int rc;

	rc = poll(&in, 1, IDLE_MS);
	if (rc <= 0)
		return rc < 0 && errno != EINTR ? -1 : 0;
	while (have < sizeof(*c)) {
		ssize_t n = read(STDIN_FILENO, (char *)c + have, sizeof(*c) - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return 1;
}

static int serve(struct tracer *t, struct out *o)
{
	struct trace_command c;

	for (;;) {
		struct fault f = { .code = TRACE_FAULT_USAGE, .text = "unknown command" };
		int rc = read_command(&c);

		if (rc < 0)
			return 0;
		tracer_reclaim(t);
		if (rc == 0)
			continue;
		if (c.magic != TRACE_MAGIC || c.protocol != TRACE_PROTOCOL)
			return 2;
		o->request = c.request;
		if (c.op == TRACE_OP_ADD)
			rc = add(t, &c, o);
		else if (c.op == TRACE_OP_SNAPSHOT)
			rc = snapshot(t, &c, o);
		else
			rc = put_fault(o, &f);
		if (rc < 0)
			return 1;
	}
}

/* Digits only, at most `max`. */
static int number(const char *text, unsigned long max, unsigned long *out)
{
	unsigned long v = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		v = v * 10 + (unsigned long)(*text - '0');
		if (v > max)
			return -1;
	}
	*out = v;
	return 0;
}

static int parse_target(struct tracer_target *t, const char *text, uid_t limit, struct fault *f)
{
	if (strcmp(text, "pids") == 0) {
		t->select = TRACE_SELECT_PIDS;
	} else if (strncmp(text, "cgroup:", 7) == 0) {
		t->select = TRACE_SELECT_CGROUP;
		t->cgroup = text + 7;
	} else if (limit != (uid_t)-1 &&
		   (strcmp(text, "all") == 0 || strncmp(text, "comm:", 5) == 0)) {
		return fault_set(f, TRACE_FAULT_OWNER, EPERM, "whole machine or name");
	} else if (strcmp(text, "all") == 0) {
		t->select = TRACE_SELECT_ALL;
	} else if (strncmp(text, "comm:", 5) == 0 && strlen(text + 5) - 1 < TRACE_COMM - 1) {
		t->select = TRACE_SELECT_COMM;
		strncpy(t->comm, text + 5, TRACE_COMM - 1);
	} else {
		return fault_set(f, TRACE_FAULT_USAGE, 0, "target %.60s", text);
	}
	return 0;
}

static int parse(struct tracer_params *p, int argc, char **argv, struct fault *f)
{
	unsigned long protocol, level, threads, follow;

	if (argc < 6 || argc - 5 > TRACE_TARGETS_MAX || number(argv[1], 65535, &protocol) < 0 ||
	    number(argv[2], TRACE_OFFCPU, &level) < 0 ||
	    number(argv[3], TRACE_THREADS_MAX, &threads) < 0 || threads == 0 ||
	    number(argv[4], 1, &follow) < 0)
		return fault_set(f, TRACE_FAULT_USAGE, 0, "mpbench starts this program itself");
	if (protocol != TRACE_PROTOCOL)
		return fault_set(f, TRACE_FAULT_USAGE, 0, "protocol %d is spoken here, not %lu",
				 TRACE_PROTOCOL, protocol);
	p->level = (enum trace_level)level;
	p->threads = (uint32_t)threads;
	p->follow = follow;
	p->limit = privilege_limit();
	for (int i = 5; i < argc; i++)
		if (parse_target(&p->target[p->n_targets++], argv[i], p->limit, f) < 0)
			return -1;
	return 0;
}

static int begin(struct tracer **t, int argc, char **argv, struct fault *f)
{
	struct tracer_params p = { 0 };

	if (parse(&p, argc, argv, f) < 0)
		return -1;
	if (!privilege_suffices())
		return fault_set(f, TRACE_FAULT_PRIVILEGE, EPERM, "uid %u", (unsigned)getuid());
	if (tracer_open(t, &p, f) < 0)
		return -1;
	return privilege_drop(f);
}

int main(int argc, char **argv)
{
	static struct out out;
	struct tracer *t = NULL;
	struct trace_record ready = { .type = TRACE_READY };
	struct fault f = { 0 };
	int status;

	clearenv();
	if (begin(&t, argc, argv, &f) < 0) {
		put_fault(&out, &f);
		return f.code == TRACE_FAULT_USAGE ? 2 : 3;
	}
	ready.value[0] = (uint64_t)tracer_rows(t)->level;
	ready.value[1] = tracer_abilities(t);
	if (put(&out, &ready) || flush(&out))
		return 1;
	status = serve(t, &out);
	tracer_close(t);
	return status;
}
