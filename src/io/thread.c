#include "io/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct thread {
	pthread_t id;
	void (*fn)(void *arg);
	void *arg;
	char name[16]; /* the kernel's limit */
};

struct gate {
	pthread_barrier_t barrier;
};

static int no_cpu(int cpu, struct err *e)
{
	return err_set(e, ERR_MACHINE, "no-cpu",
		       "cannot pin to CPU %d: it does not exist or may not be used", cpu);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	pthread_setname_np(pthread_self(), t->name);
	t->fn(t->arg);
	return NULL;
}

/* Signals stay blocked in the new thread from its first instruction. */
static int create(struct thread *t, pthread_attr_t *attr)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->id, attr, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int thread_start(struct thread **out, const char *name, int cpu, void (*fn)(void *arg), void *arg,
		 struct err *e)
{
	struct thread *t;
	pthread_attr_t attr;
	cpu_set_t set;
	int rc;

	if (cpu >= CPU_SETSIZE)
		return no_cpu(cpu, e);
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_nomem(e);
	t->fn = fn;
	t->arg = arg;
	snprintf(t->name, sizeof(t->name), "%s", name);
	pthread_attr_init(&attr);
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	rc = create(t, &attr);
	pthread_attr_destroy(&attr);
	if (rc != 0) {
		free(t);
		if (rc == EINVAL && cpu >= 0)
			return no_cpu(cpu, e);
		errno = rc;
		return err_sys(e, ERR_MACHINE, "cannot start thread %s", name);
	}
	*out = t;
	return 0;
}

void thread_join(struct thread *t)
{
	if (!t)
		return;
	pthread_join(t->id, NULL);
	free(t);
}

int thread_pin(int cpu, struct err *e)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return no_cpu(cpu, e);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		return no_cpu(cpu, e);
	return 0;
}

int gate_new(struct gate **out, unsigned n, struct err *e)
{
	struct gate *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return err_nomem(e);
	rc = pthread_barrier_init(&g->barrier, NULL, n);
	if (rc != 0) {
		free(g);
		errno = rc;
		return err_sys(e, ERR_INTERNAL, "cannot make a gate for %u threads", n);
	}
	*out = g;
	return 0;
}

void gate_wait(struct gate *g)
{
	pthread_barrier_wait(&g->barrier);
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	pthread_barrier_destroy(&g->barrier);
	free(g);
}
