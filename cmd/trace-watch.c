/* Whom trace-syscalls watches, and for how long. */
#include "trace.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "term.h"

enum { LOOK_MS = 20 };

void trace_watch_done(struct trace_watch *w)
{
	tracer_close(w->tracer);
	w->tracer = NULL;
	if (w->has_child)
		spawn_stop(&w->child, NS_PER_SEC);
	w->has_child = false;
	for (size_t i = 0; i < w->n; i++)
		if (w->target[i].pidfd > 0)
			close(w->target[i].pidfd);
	w->n = 0;
}

static struct trace_target *add_target(struct trace_watch *w, const char *selector, struct err *e)
{
	struct trace_target *t = &w->target[w->n];

	if (w->n == TRACE_TARGETS_MAX) {
		err_set(e, ERR_USAGE, "usage", "at most %d targets can be watched at once",
			TRACE_TARGETS_MAX);
		return NULL;
	}
	w->n++;
	snprintf(t->selector, sizeof(t->selector), "%s", selector);
	return t;
}

static int choose_pid(struct trace_watch *w, uint64_t pid, struct err *e)
{
	struct trace_target *t = add_target(w, "pids", e);
	char path[64], comm[32] = "";
	FILE *f;

	if (!t)
		return -1;
	t->pid = (pid_t)pid;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (f && !fgets(comm, sizeof(comm), f))
		comm[0] = 0;
	if (f)
		fclose(f);
	comm[strcspn(comm, "\n")] = 0;
	snprintf(t->label, sizeof(t->label), "%s%s%d", comm, comm[0] ? "-" : "pid-", (int)pid);
	snprintf(t->url, sizeof(t->url), "pid:%d", (int)pid);
	return 0;
}

static int choose_named(struct trace_watch *w, const char *kind, const char *name, size_t max,
			struct err *e)
{
	char selector[128];
	struct trace_target *t;

	if (!*name || strlen(name) > max)
		return err_set(e, ERR_USAGE, "usage", "--%s: \"%s\" must have 1 to %zu characters",
			       kind, name, max);
	snprintf(selector, sizeof(selector), "%s:%s", kind, name);
	t = add_target(w, selector, e);
	if (!t)
		return -1;
	snprintf(t->label, sizeof(t->label), "%.70s", name);
	snprintf(t->url, sizeof(t->url), "%s", selector);
	return 0;
}

static int choose_port(struct trace_watch *w, const char *text, struct err *e)
{
	struct trace_target *t = add_target(w, "pids", e);

	if (!t || listener_parse(text, &t->port, e) < 0)
		return -1;
	t->is_port = true;
	snprintf(t->label, sizeof(t->label), "port-%.60s", text);
	snprintf(t->url, sizeof(t->url), "port:%.100s", text);
	return 0;
}

static int choose_command(struct trace_watch *w, const char *const *command, size_t n_words,
			  struct err *e)
{
	struct trace_target *t = add_target(w, "pids", e);
	const char *slash;
	size_t len;

	if (!t)
		return -1;
	slash = strrchr(command[0], '/');
	snprintf(t->label, sizeof(t->label), "%.70s", slash && slash[1] ? slash + 1 : command[0]);
	snprintf(t->url, sizeof(t->url), "exec:");
	for (size_t i = 0; i < n_words; i++) {
		len = strlen(t->url);
		snprintf(t->url + len, sizeof(t->url) - len, "%s%s", i ? " " : "", command[i]);
	}
	return 0;
}

int trace_choose(struct trace_watch *w, const struct trace_opts *o, const char *const *command,
		 size_t n_words, struct err *e)
{
	struct trace_target *t;

	w->opts = o;
	if (n_words && choose_command(w, command, n_words, e) < 0)
		return -1;
	for (size_t i = 0; i < o->pids.n; i++)
		if (choose_pid(w, o->pids.v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < o->comms.n; i++)
		if (choose_named(w, "comm", o->comms.v[i], TRACE_COMM - 1, e) < 0)
			return -1;
	for (size_t i = 0; i < o->cgroups.n; i++)
		if (choose_named(w, "cgroup", o->cgroups.v[i], 110, e) < 0)
			return -1;
	for (size_t i = 0; i < o->ports.n; i++)
		if (choose_port(w, o->ports.v[i], e) < 0)
			return -1;
	if (o->all) {
		t = add_target(w, "all", e);
		if (!t)
			return -1;
		snprintf(t->label, sizeof(t->label), "machine");
		snprintf(t->url, sizeof(t->url), "machine:");
	}
	if (w->n == 0)
		return err_set(
			e, ERR_USAGE, "usage",
			"nothing to watch: name a process (-p PID), a command (-- CMD), --comm, --cgroup, "
			"--target-port or --all");
	return 0;
}

static int attach(struct trace_watch *w, struct err *e)
{
	const struct trace_opts *o = w->opts;
	struct tracer_params p = { .level = (enum trace_level)o->level,
				   .threads = o->threads,
				   .no_children = !o->children,
				   .n_targets = w->n };

	if (o->errors && p.level < TRACE_ERRORS)
		p.level = TRACE_ERRORS;
	if (o->latency && p.level < TRACE_LATENCY)
		p.level = TRACE_LATENCY;
	for (size_t i = 0; i < w->n; i++)
		p.target[i] = w->target[i].selector;
	return tracer_open(&w->tracer, &p, e);
}

/* Adds what there is by now: pid targets at the beginning, listeners of ports also later. */
static int find_listeners(struct trace_watch *w, bool *missing, struct err *e)
{
	*missing = false;
	for (uint32_t i = 0; i < w->n; i++) {
		struct trace_target *t = &w->target[i];
		pid_t pids[LISTENERS_MAX];
		size_t n;

		if (!t->is_port || t->found)
			continue;
		if (listener_find("", &t->port, pids, &n, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			if (tracer_add(w->tracer, i, pids[k], false, e) < 0)
				return -1;
		t->found = n > 0;
		*missing |= !t->found;
	}
	return 0;
}

static int add_pids(struct trace_watch *w, struct err *e)
{
	for (uint32_t i = 0; i < w->n; i++) {
		struct trace_target *t = &w->target[i];

		if (!t->pid)
			continue;
		/* before it is added: what ended and was replaced by another of its number is seen */
		t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
		if (tracer_add(w->tracer, i, t->pid, false, e) < 0)
			return -1;
	}
	return 0;
}

/* Signals that are CMD's rather than ours. */
static int block_signals(sigset_t *old, struct err *e)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, old);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(e, ERR_MACHINE, "signalfd") : fd;
}

static int start_command(struct trace_watch *w, const char *const *command, bool to_stderr,
			 struct err *e)
{
	struct spawn_params sp = SPAWN_DEFAULT;

	memcpy(&sp.argv, &command,
	       sizeof(command)); /* exec takes the words without const and does not write to them */
	sp.in = STDIN_FILENO;
	sp.out = to_stderr ? STDERR_FILENO : STDOUT_FILENO;
	sp.err = STDERR_FILENO;
	sp.hold = true;
	if (spawn_start(&w->child, &sp, e) < 0)
		return -1;
	w->has_child = true;
	return tracer_add(w->tracer, 0, w->child.pid, true, e);
}

static int release_command(struct trace_watch *w, struct err *e)
{
	term_give(w->child.pid);
	if (spawn_release(&w->child, e) == 0)
		return 0;
	term_give(getpgrp());
	snprintf(e->code, sizeof(e->code), "%s",
		 e->sys == ENOENT ? "exec-missing" : "exec-refused");
	return -1;
}

/* All that was named has ended, also when nobody has waited for it. */
static bool all_pids_ended(const struct trace_watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct pollfd p = { .fd = w->target[i].pidfd, .events = POLLIN };

		if (!w->target[i].pid || poll(&p, 1, 0) == 0)
			return false;
	}
	return true;
}

struct loop_state {
	int signals; /* signalfd, -1 without CMD */
	uint64_t start_ns, end_ns, next_ns;
	bool missing;
	struct call_table first, last;
	trace_view *view;
	void *ctx;
};

static void loop_state_done(struct loop_state *s)
{
	call_table_done(&s->first);
	call_table_done(&s->last);
	if (s->signals >= 0)
		close(s->signals);
}
CLEANUP_OBJ(struct loop_state, loop_state_done)

static int wait_ms(const struct loop_state *s, uint64_t now)
{
	uint64_t until = s->end_ns < s->next_ns ? s->end_ns : s->next_ns;
	uint64_t look = now + LOOK_MS * NS_PER_MS;

	if (until > look)
		until = look;
	return until <= now ? 0 : (int)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void forward_signals(struct trace_watch *w, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		spawn_signal(&w->child, (int)info.ssi_signo);
}

static int look(struct trace_watch *w, struct loop_state *s, struct err *e)
{
	CLEANUP(call_table_done) struct call_table now = { 0 }, all = { 0 }, step = { 0 };
	int rc;

	if (tracer_snapshot(w->tracer, false, w->opts->by != TRACE_BY_TARGET, &now, e) < 0 ||
	    call_table_minus(&all, &now, &s->first, e) < 0 ||
	    call_table_minus(&step, &now, &s->last, e) < 0)
		return -1;
	rc = s->view(s->ctx, &all, &step, e);
	call_table_done(&s->last);
	s->last = now;
	now = (struct call_table){ 0 };
	return rc;
}

/* Until something ends it. */
static int loop(struct trace_watch *w, struct loop_state *s, struct err *e)
{
	for (;;) {
		uint64_t now = clock_now();
		struct pollfd fds[2] = { { .fd = stop_fd(), .events = POLLIN },
					 { .fd = -1, .events = POLLIN } };

		if (w->has_child) {
			fds[0].fd = s->signals;
			fds[1].fd = w->child.pidfd;
		}
		if (poll(fds, 2, wait_ms(s, now)) < 0 && errno != EINTR)
			return err_sys(e, ERR_INTERNAL, "poll");
		now = clock_now();
		if (w->has_child && (fds[0].revents & POLLIN))
			forward_signals(w, s->signals);
		if (w->has_child ? spawn_poll(&w->child) : stop_signal() != 0 || all_pids_ended(w))
			return 0;
		if (s->missing && find_listeners(w, &s->missing, e) < 0)
			return -1;
		if (now >= s->next_ns) {
			s->next_ns += w->opts->interval_ns;
			if (look(w, s, e) < 0)
				return -1;
		}
		if (now >= s->end_ns)
			return 0;
	}
}

static int begin(struct trace_watch *w, struct loop_state *s, const char *const *command,
		 bool to_stderr, struct err *e)
{
	sigset_t old;

	if (attach(w, e) < 0 || add_pids(w, e) < 0 || find_listeners(w, &s->missing, e) < 0)
		return -1;
	for (size_t i = 0; s->missing && !w->opts->wait && i < w->n; i++)
		if (w->target[i].is_port && !w->target[i].found)
			return err_set(e, ERR_TARGET, "no-process",
				       "nobody listens on %s; with --wait it is waited for",
				       w->target[i].url);
	if (command) {
		s->signals = block_signals(&old, e);
		if (s->signals < 0 || start_command(w, command, to_stderr, e) < 0)
			return -1;
	}
	/* what a target did up to now is none of this window's; CMD has done nothing yet */
	if (tracer_snapshot(w->tracer, w->n > (command != NULL), true, &s->first, e) < 0 ||
	    tracer_snapshot(w->tracer, false, true, &s->last, e) < 0)
		return -1;
	return command ? release_command(w, e) : 0;
}

/* A CMD that outlives --duration is ended as by kill. */
static void end_command(struct trace_watch *w)
{
	term_give(getpgrp());
	if (!w->child.reaped)
		spawn_stop(&w->child, NS_PER_SEC);
	w->status = WIFEXITED(w->child.status) ? WEXITSTATUS(w->child.status)
					       : 128 + WTERMSIG(w->child.status);
}

int trace_run(struct trace_watch *w, const char *const *command, bool to_stderr, trace_view *view,
	      void *ctx, struct call_table *out, struct err *e)
{
	CLEANUP(loop_state_done) struct loop_state s = { .signals = -1, .view = view, .ctx = ctx };
	CLEANUP(call_table_done) struct call_table last = { 0 };
	const struct trace_opts *o = w->opts;

	if (begin(w, &s, command, to_stderr, e) < 0)
		return -1;
	s.start_ns = clock_now();
	s.end_ns = o->duration_ns ? s.start_ns + o->duration_ns : UINT64_MAX;
	s.next_ns = o->interval_ns ? s.start_ns + o->interval_ns : UINT64_MAX;
	if (loop(w, &s, e) < 0)
		return -1;
	w->interrupted = stop_signal() != 0 && o->duration_ns;
	if (tracer_snapshot(w->tracer, true, true, &last, e) < 0 ||
	    call_table_minus(out, &last, &s.first, e) < 0)
		return -1;
	if (w->has_child)
		end_command(w);
	return 0;
}
