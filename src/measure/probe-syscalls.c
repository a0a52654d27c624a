#include "measure/probe-syscalls.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

/* Servers that the tracer tells apart. Runs of different ones never overlap, so more than these may share. */
enum { SERVERS = 8 };

struct probe_syscalls {
	struct syscalls_choice choice;
	probe_servers *servers;
	void *ctx;
	const struct log *log;
	struct tracer *tracer;
	struct call_table before;
	struct tracer_own own_before;
	uint32_t target; /* of the window that is open */
	bool open, seen;
};

static int parse_whose(const char *word, struct syscalls_choice *out, struct err *e)
{
	struct err inner = { 0 };
	uint64_t pid;

	if (strcmp(word, "server") == 0) {
		out->whose = SYSCALLS_SERVER;
	} else if (strcmp(word, "self") == 0) {
		out->whose = SYSCALLS_SELF;
	} else if (strncmp(word, "port:", 5) == 0) {
		out->whose = SYSCALLS_PORT;
		return listener_parse(word + 5, &out->port, e);
	} else if (strncmp(word, "pid:", 4) == 0) {
		out->whose = SYSCALLS_PID;
		if (num_parse_u64(word + 4, &pid, &inner) < 0 || pid < 1 || pid > INT32_MAX)
			return err_set(e, ERR_USAGE, "usage", "--syscalls: \"%s\" is no process id",
				       word + 4);
		out->pid = (pid_t)pid;
	} else {
		return err_set(
			e, ERR_USAGE, "usage",
			"--syscalls: \"%s\" is unknown; write pid:1234, port:69/udp, server or self, and ,auto after it "
			"to go on without where it cannot be done",
			word);
	}
	return 0;
}

int syscalls_parse(const char *text, struct syscalls_choice *out, struct err *e)
{
	const char *comma;
	char word[64] = { 0 };
	size_t len;

	memset(out, 0, sizeof(*out));
	if (!text)
		return 0;
	comma = strchr(text, ',');
	len = comma ? (size_t)(comma - text) : strlen(text);
	if (strcmp(text, "auto") == 0) {
		out->automatic = true;
		out->whose = SYSCALLS_SERVER;
		return 0;
	}
	if (comma && strcmp(comma, ",auto") != 0)
		return err_set(e, ERR_USAGE, "usage",
			       "--syscalls: only \",auto\" may follow, not \"%s\"", comma);
	out->automatic = comma != NULL;
	if (len >= sizeof(word))
		return err_set(e, ERR_USAGE, "usage", "--syscalls: \"%.40s...\" is unknown", text);
	memcpy(word, text, len);
	return parse_whose(word, out, e);
}

static int start(struct probe_syscalls *p, struct err *e)
{
	struct tracer_params params = { .level = TRACE_ERRORS, .n_targets = SERVERS };
	pid_t pids[LISTENERS_MAX];
	size_t n;

	for (size_t i = 0; i < SERVERS; i++)
		params.target[i] = "pids";
	if (p->choice.whose != SYSCALLS_SERVER)
		params.n_targets = 1;
	/* what mpbench spawns is not mpbench */
	params.no_children = p->choice.whose == SYSCALLS_SELF;
	if (tracer_open(&p->tracer, &params, e) < 0)
		return -1;
	if (p->choice.whose == SYSCALLS_PID)
		return tracer_add(p->tracer, 0, p->choice.pid, false, e);
	if (p->choice.whose == SYSCALLS_SELF)
		return tracer_add(p->tracer, 0, getpid(), false, e);
	if (p->choice.whose == SYSCALLS_PORT && listener_find("", &p->choice.port, pids, &n, e) < 0)
		return -1;
	return 0;
}

int probe_syscalls_open(struct probe_syscalls **out, const struct syscalls_choice *choice,
			probe_servers *servers, void *ctx, const struct log *log, struct err *e)
{
	CLEANUP(probe_syscalls_close) struct probe_syscalls *p = NULL;

	*out = NULL;
	if (choice->whose == SYSCALLS_OFF)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(e);
	p->choice = *choice;
	p->servers = servers;
	p->ctx = ctx;
	p->log = log;
	if (start(p, e) < 0) {
		if (!choice->automatic)
			return err_wrap(e, "--syscalls");
		log_say(log, LOG_WARNING, "syscalls", "system calls are not counted: %s", e->msg);
		err_clear(e);
		return 0;
	}
	*out = TAKE(p);
	return 0;
}

void probe_syscalls_close(struct probe_syscalls *p)
{
	if (!p)
		return;
	tracer_close(p->tracer);
	call_table_done(&p->before);
	free(p);
}

/* Who is to be counted now; *n = 0 when nobody on this machine. */
static int resolve(struct probe_syscalls *p, const struct engine_case *c, pid_t *pids, size_t *n,
		   struct err *e)
{
	uint32_t group = 0;
	int rc;

	*n = 0;
	if (p->choice.whose == SYSCALLS_PORT)
		return listener_find("", &p->choice.port, pids, n, e);
	if (p->choice.whose == SYSCALLS_SERVER && p->servers)
		rc = p->servers(p->ctx, c, pids, n, &group, e);
	else
		rc = 0;
	p->target = group % SERVERS;
	return rc;
}

static int watch(struct probe_syscalls *p, const struct engine_case *c, bool *anyone, struct err *e)
{
	pid_t pids[PROBE_PIDS_MAX];
	size_t n;

	_Static_assert((int)LISTENERS_MAX <= (int)PROBE_PIDS_MAX, "listeners fit");
	*anyone = true;
	p->target = 0;
	if (p->choice.whose == SYSCALLS_PID || p->choice.whose == SYSCALLS_SELF)
		return 0;
	if (resolve(p, c, pids, &n, e) < 0)
		return -1;
	*anyone = n > 0;
	for (size_t i = 0; i < n; i++)
		if (tracer_add(p->tracer, p->target, pids[i], false, e) < 0)
			return -1;
	return 0;
}

static int window_open(void *ctx, const struct engine_case *c, struct run *run, struct err *e)
{
	struct probe_syscalls *p = ctx;
	bool anyone;

	(void)run;
	p->open = false;
	if (watch(p, c, &anyone, e) < 0)
		return err_wrap(e, "--syscalls");
	if (!anyone) {
		log_say(p->log, LOG_WARNING, "syscalls",
			"%s on %s: system calls are not counted, no process of this machine is known behind it",
			c->name, c->target);
		return 0;
	}
	p->seen = true;
	call_table_done(&p->before);
	if (tracer_snapshot(p->tracer, true, false, &p->before, e) < 0)
		return -1;
	p->own_before = tracer_own(p->tracer);
	p->open = true;
	return 0;
}

static void forget(struct syscall_window *w, const char *name, uint64_t calls)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->count[i].name, name) != 0)
			continue;
		w->count[i].calls -= calls < w->count[i].calls ? calls : w->count[i].calls;
		if (!w->count[i].calls)
			w->count[i] = w->count[--w->n];
		return;
	}
}

static int window_close(void *ctx, const struct engine_case *c, struct run *run, struct err *e)
{
	CLEANUP(call_table_done) struct call_table after = { 0 }, grown = { 0 };
	struct probe_syscalls *p = ctx;
	struct tracer_own own;

	(void)c;
	if (!p->open)
		return 0;
	p->open = false;
	if (tracer_snapshot(p->tracer, true, false, &after, e) < 0 ||
	    call_table_minus(&grown, &after, &p->before, e) < 0 ||
	    call_table_window(&grown, p->target, &run->syscalls, e) < 0)
		return -1;
	if (p->choice.whose != SYSCALLS_SELF)
		return 0;
	/* talking to the tracer is not the benchmark's doing */
	own = tracer_own(p->tracer);
	forget(&run->syscalls, "read", own.reads - p->own_before.reads);
	forget(&run->syscalls, "write", own.writes - p->own_before.writes);
	forget(&run->syscalls, "poll", own.polls - p->own_before.polls);
	forget(&run->syscalls, "ppoll", own.polls - p->own_before.polls);
	return 0;
}

struct engine_probe probe_syscalls_engine(struct probe_syscalls *p)
{
	if (!p)
		return (struct engine_probe){ .ctx = NULL };
	return (struct engine_probe){ .ctx = p,
				      .window_open = window_open,
				      .window_close = window_close };
}

pid_t probe_syscalls_child(const struct probe_syscalls *p)
{
	return p ? tracer_pid(p->tracer) : 0;
}

static uint64_t calls_of(const struct syscall_window *w, const char *name)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n; i++)
		if (!name || strcmp(w->count[i].name, name) == 0)
			sum += w->count[i].calls;
	return sum;
}

static bool usable(const struct run *r)
{
	return r->syscalls.known && r->syscalls.exact && r->status == RUN_OK &&
	       r->ok + r->failed > 0;
}

static int add_metric(struct benchmark *b, const char *call, struct err *e)
{
	struct extra_metric *x;
	char name[64];

	snprintf(name, sizeof(name), "syscalls.%s", call ? call : "total");
	for (size_t i = 0; i < b->n_extra; i++)
		if (strcmp(b->extra[i].name, name) == 0)
			return 0;
	x = benchmark_add_metric(b, name, "count_per_op", BETTER_LOWER, true);
	if (!x)
		return err_nomem(e);
	for (size_t i = 0; i < b->n_runs; i++) {
		const struct run *r = &b->run[i];

		if (!usable(r))
			continue;
		x->totals[i] = calls_of(&r->syscalls, call);
		x->operations[i] = r->ok + r->failed;
		x->values[i] = (double)x->totals[i] / (double)x->operations[i];
	}
	return 0;
}

static int add_metrics(struct benchmark *b, const struct log *log, struct err *e)
{
	const char *doubt = NULL;
	bool any = false;

	for (size_t i = 0; i < b->n_runs; i++) {
		const struct syscall_window *w = &b->run[i].syscalls;

		any |= usable(&b->run[i]);
		if (w->known && !w->exact)
			doubt = w->why_not_exact;
	}
	if (doubt)
		log_say(log, LOG_WARNING, "syscalls-not-exact",
			"%s on %s: system calls of some runs are not exact: %s", b->name, b->target,
			doubt);
	if (!any)
		return 0;
	if (add_metric(b, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < b->n_runs; i++)
		for (size_t k = 0; usable(&b->run[i]) && k < b->run[i].syscalls.n; k++)
			if (add_metric(b, b->run[i].syscalls.count[k].name, e) < 0)
				return -1;
	return 0;
}

int probe_syscalls_nobody(const struct syscalls_choice *choice, struct err *e)
{
	const struct listener_port *port = &choice->port;

	if (choice->whose == SYSCALLS_PORT)
		return err_set(
			e, ERR_MACHINE, "no-process",
			"--syscalls: nobody on this machine listens on port %u%s; start the server first, or name "
			"its process with pid:N",
			port->port,
			port->tcp && port->udp ? ""
			: port->tcp	       ? "/tcp"
					       : "/udp");
	return err_set(
		e, ERR_MACHINE, "no-process",
		"--syscalls: no process of this machine is known behind any target; name one with pid:N or "
		"port:69/udp");
}

int probe_syscalls_metrics(const struct probe_syscalls *p, struct measurement *m,
			   const struct log *log, struct err *e)
{
	if (!p)
		return 0;
	if (!p->seen && !p->choice.automatic && !m->interrupted)
		return probe_syscalls_nobody(&p->choice, e);
	m->traced = true;
	m->others_ns_per_call = tracer_others_ns(p->tracer);
	for (size_t i = 0; i < m->n; i++)
		if (add_metrics(&m->benchmark[i], log, e) < 0)
			return -1;
	return 0;
}
