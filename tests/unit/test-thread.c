/* test-thread - threads, pinning and gates */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "io/thread.h"

enum { WORKERS = 4, ROUNDS = 50 };

struct team {
	struct gate *gate;
	int value[WORKERS];
	int wrong;
};

struct worker {
	struct team *team;
	int index;
	char name[16];
	int blocks_int, cpus;
};

/* Each writes its own cell; between two gates all cells must agree. */
static void work(void *arg)
{
	struct worker *w = arg;

	for (int round = 1; round <= ROUNDS; round++) {
		w->team->value[w->index] = round;
		gate_wait(w->team->gate);
		if (w->index == 0)
			for (int i = 0; i < WORKERS; i++)
				w->team->wrong += w->team->value[i] != round;
		gate_wait(w->team->gate);
	}
}

static void gates_hold_until_all_are_there(void **state)
{
	struct team team = { 0 };
	struct worker w[WORKERS] = { 0 };
	struct thread *t[WORKERS] = { NULL };
	struct err e;

	(void)state;
	assert_int_equal(gate_new(&team.gate, WORKERS, &e), 0);
	for (int i = 0; i < WORKERS; i++) {
		w[i].team = &team;
		w[i].index = i;
		assert_int_equal(thread_start(&t[i], "worker", -1, work, &w[i], &e), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		thread_join(t[i]);
	gate_free(team.gate);
	assert_int_equal(team.wrong, 0);
	assert_int_equal(team.value[WORKERS - 1], ROUNDS);
}

static void look_at_self(void *arg)
{
	struct worker *w = arg;
	sigset_t mask;
	cpu_set_t set;

	pthread_getname_np(pthread_self(), w->name, sizeof(w->name));
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	w->blocks_int = sigismember(&mask, SIGINT);
	pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
	w->cpus = CPU_COUNT(&set);
}

static void threads_are_named_pinned_and_deaf(void **state)
{
	struct worker w = { 0 };
	struct thread *t = NULL;
	cpu_set_t set;
	sigset_t mask;
	struct err e;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	assert_int_equal(thread_start(&t, "a-name-that-is-too-long", cpu, look_at_self, &w, &e), 0);
	thread_join(t);
	assert_string_equal(w.name, "a-name-that-is-");
	assert_int_equal(w.blocks_int, 1);
	assert_int_equal(w.cpus, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGINT)); /* ours is as before */
	thread_join(NULL);
	gate_free(NULL);
}

static void a_missing_cpu_is_refused(void **state)
{
	struct worker w = { 0 };
	struct thread *t = NULL;
	static const int missing[] = { CPU_SETSIZE - 1, CPU_SETSIZE, 1 << 20 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(thread_start(&t, "x", missing[i], look_at_self, &w, &e), -1);
		assert_int_equal(e.kind, ERR_MACHINE);
		assert_string_equal(e.code, "no-cpu");
		assert_null(t);
		err_clear(&e);
		assert_int_equal(thread_pin(missing[i], &e), -1);
		assert_int_equal(e.kind, ERR_MACHINE);
	}
	assert_int_equal(thread_pin(-1, &e), -1);
}

static void pin_self(void *arg)
{
	cpu_set_t set;
	struct err e;

	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		*(int *)arg = thread_pin(cpu, &e) == 0 && sched_getcpu() == cpu;
		return;
	}
}

static void a_thread_pins_itself(void **state)
{
	struct thread *t = NULL;
	struct err e;
	int right = 0;

	(void)state;
	assert_int_equal(thread_start(&t, "pin", -1, pin_self, &right, &e), 0);
	thread_join(t);
	assert_int_equal(right, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gates_hold_until_all_are_there),
		cmocka_unit_test(threads_are_named_pinned_and_deaf),
		cmocka_unit_test(a_missing_cpu_is_refused),
		cmocka_unit_test(a_thread_pins_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
