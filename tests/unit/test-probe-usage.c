/* What processes took of CPU and memory, of children with a known appetite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
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
	assert_int_equal(probe_usage_new(&p, servers, &a, &e), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees),
		cmocka_unit_test(time_and_memory),
		cmocka_unit_test(reaped_children_count),
		cmocka_unit_test(windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
