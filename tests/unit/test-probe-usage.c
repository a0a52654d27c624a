/* What processes took of CPU and memory, of children with a known appetite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "measure/child-watch.h"
#include "measure/probe-usage.h"

enum { BURN_MS = 30, EAT = 48 << 20 };

/* A child that does what it is told, a letter at a time, and says when it is done. */
struct helper {
	pid_t pid, grandchild;
	int to, from;
};

static void burn(void)
{
	struct timespec ts;
	uint64_t start, now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	start = (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
	do {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
		now = (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
	} while (now - start < BURN_MS * NS_PER_MS);
}

static void eat(void)
{
	char *p = malloc(EAT);

	if (!p)
		_exit(1);
	for (size_t i = 0; i < EAT; i += 1024)
		((volatile char *)p)[i] = 1;
	free(p);
}

static void serve(int in, int out)
{
	pid_t child = 0;
	char word;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(in, &word, 1) == 1) {
		if (word == 'b')
			burn();
		else if (word == 'e')
			eat();
		else if (word == 'f' && (child = fork()) == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		} else if (word == 'i') {
			signal(SIGCHLD, SIG_IGN);
		} else if (word == 'r') { /* one that burns and is reaped */
			if ((child = fork()) == 0) {
				burn();
				_exit(0);
			}
			waitpid(child, NULL, 0);
		}
		if (write(out, &child, sizeof(child)) != sizeof(child))
			break;
	}
	_exit(0);
}

static struct helper begin(void)
{
	int to[2], from[2];
	struct helper h;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	h.pid = fork();
	assert_true(h.pid >= 0);
	if (h.pid == 0) {
		close(to[1]);
		close(from[0]);
		serve(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	h.to = to[1];
	h.from = from[0];
	return h;
}

static void tell(struct helper *h, char word)
{
	assert_int_equal(write(h->to, &word, 1), 1);
	assert_int_equal(read(h->from, &h->grandchild, sizeof(h->grandchild)),
			 sizeof(h->grandchild));
}

static void end(struct helper *h)
{
	kill(h->pid, SIGKILL);
	assert_int_equal(waitpid(h->pid, NULL, 0), h->pid);
	close(h->to);
	close(h->from);
}

static void trees(void **state)
{
	struct helper h = begin();
	pid_t self[2] = { getpid(), getpid() }, out[16];
	size_t n;

	(void)state;
	tell(&h, 'f');
	n = process_tree(self, 2, out, 16);
	assert_int_equal(n, 3); /* each once, the given one first */
	assert_int_equal(out[0], getpid());
	assert_true((out[1] == h.pid && out[2] == h.grandchild) ||
		    (out[1] == h.grandchild && out[2] == h.pid));
	assert_int_equal(process_tree(self, 1, out, 2), 2);
	assert_int_equal(process_tree(&h.grandchild, 1, out, 16), 1);
	kill(h.grandchild, SIGKILL);
	end(&h);
}

static void time_and_memory(void **state)
{
	struct helper h = begin();
	struct usage before, after;

	(void)state;
	tell(&h, ' ');
	assert_true(usage_read(&h.pid, 1, &before));
	assert_true(before.known);
	tell(&h, 'b');
	tell(&h, 'e');
	assert_true(usage_read(&h.pid, 1, &after));
	assert_true(after.user_ns + after.system_ns - before.user_ns - before.system_ns >=
		    BURN_MS * NS_PER_MS);
	assert_true(after.rss_peak_bytes >= EAT);
	assert_true(after.voluntary_switches + after.involuntary_switches >=
		    before.voluntary_switches + before.involuntary_switches);
	end(&h);
	assert_false(usage_read(&h.pid, 1, &after));
	assert_false(after.known);
	assert_false(usage_read(NULL, 0, &after));
}

/* What a reaped child took is told in ticks of 10 ms, and rounded by them. */
static void reaped_children_count(void **state)
{
	struct helper h = begin();
	struct usage before, after;

	(void)state;
	tell(&h, ' ');
	assert_true(usage_read(&h.pid, 1, &before));
	for (int i = 0; i < 5; i++)
		tell(&h, 'r');
	assert_true(usage_read(&h.pid, 1, &after));
	assert_true(after.user_ns + after.system_ns - before.user_ns - before.system_ns >=
		    5 * BURN_MS * NS_PER_MS / 3);
	end(&h);
}

struct answer {
	pid_t pid;
	size_t n;
	int rc;
};

static int servers(void *ctx, const struct engine_case *c, pid_t pids[PROBE_PIDS_MAX], size_t *n,
		   uint32_t *group, struct err *e)
{
	const struct answer *a = ctx;

	(void)c;
	*group = 0;
	*n = a->n;
	pids[0] = a->pid;
	return a->rc < 0 ? err_set(e, ERR_MACHINE, "test", "no") : 0;
}

static void windows(void **state)
{
	struct helper h = begin();
	struct answer a = { .pid = h.pid, .n = 1 };
	struct probe_usage *p;
	struct engine_probe probe;
	struct run run = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(probe_usage_new(&p, servers, &a, NULL, &e), 0);
	probe = probe_usage_engine(p);
	tell(&h, 'b'); /* before the window */
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	tell(&h, 'b');
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_true(run.server.known);
	assert_true(run.server.user_ns + run.server.system_ns >= BURN_MS * NS_PER_MS);
	assert_true(run.server.rss_peak_bytes > 0);

	/* one that ends in between is not known, and no error */
	memset(&run, 0, sizeof(run));
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	end(&h);
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_false(run.server.known);
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_false(run.server.known);

	a.n = 0;
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_false(run.server.known);
	a.rc = -1;
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), -1);
	probe_usage_free(p);
}

struct heard {
	unsigned n;
	char code[32], text[512];
};

static void hear(void *ctx, enum log_level level, const char *code, const char *text)
{
	struct heard *h = ctx;

	assert_int_equal(level, LOG_WARNING);
	h->n++;
	snprintf(h->code, sizeof(h->code), "%s", code);
	snprintf(h->text, sizeof(h->text), "%s", text);
}

/* The look-out ends by itself once it has seen the child; until then the child lives. */
static void await_child(const struct helper *h)
{
	CLEANUP(child_watch_free) struct child_watch *w = NULL;
	struct err e = { 0 };

	assert_int_equal(child_watch_start(&w, &h->pid, 1, &e), 0);
	assert_non_null(w);
	while (!child_watch_seen(w))
		sched_yield();
	assert_int_equal(child_watch_seen(w), h->pid);
}

static void children_whose_time_is_lost(void **state)
{
	struct helper h = begin();
	struct answer a = { .pid = h.pid, .n = 1 };
	struct heard heard = { 0 };
	struct log log = { .say = hear, .ctx = &heard };
	struct probe_usage *p;
	struct engine_probe probe;
	struct run run = { 0 };
	struct err e = { 0 };
	char who[64];
	struct child_watch *none;

	(void)state;
	assert_int_equal(probe_usage_new(&p, servers, &a, &log, &e), 0);
	probe = probe_usage_engine(p);
	/* children, and their time is not lost: no word */
	tell(&h, 'f');
	assert_false(child_time_is_lost(h.pid));
	assert_int_equal(child_watch_start(&none, &h.pid, 1, &e), 0);
	assert_null(none);
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(kill(h.grandchild, SIGKILL), 0);
	/* its children's time would be lost, and it has none */
	end(&h);
	h = begin();
	a.pid = h.pid;
	tell(&h, 'i');
	assert_true(child_time_is_lost(h.pid));
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(heard.n, 0);
	/* both: said, and once */
	tell(&h, 'f');
	await_child(&h);
	while (!heard.n) {
		assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
		sched_yield();
		assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	}
	assert_string_equal(heard.code, "server-cpu");
	snprintf(who, sizeof(who), "process %d (test-probe-usag)", (int)h.pid);
	assert_non_null(strstr(heard.text, who));
	assert_int_equal(probe.window_open(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(probe.window_close(probe.ctx, NULL, &run, &e), 0);
	assert_int_equal(heard.n, 1);
	probe_usage_free(p);
	kill(h.grandchild, SIGKILL);
	end(&h);
	assert_false(child_time_is_lost(h.pid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees),
		cmocka_unit_test(time_and_memory),
		cmocka_unit_test(reaped_children_count),
		cmocka_unit_test(windows),
		cmocka_unit_test(children_whose_time_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
