#include "measure/onerun.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "io/thread.h"
#include "measure/probe-usage.h"

/* One worker in its thread; thread 0 is the calling one. */
struct part {
	struct onerun_team *team;
	struct loop *loop;
	struct worker *worker;
	struct thread *thread;
	struct err trouble;
	int rc;
};

struct onerun_team {
	const struct onerun *o;
	struct run *run;
	struct part *part;
	unsigned n;
	struct gate *gate; /* NULL with one worker */
	int go_fd;	   /* a semaphore: threads begin when all of them exist */
	atomic_bool abandoned;
	struct rusage before;
	uint64_t prepared_ns, began_ns;
};

static void team_done(struct onerun_team *t)
{
	for (unsigned i = 0; t->part && i < t->n; i++) {
		worker_free(t->part[i].worker);
		loop_free(t->part[i].loop);
	}
	free(t->part);
	gate_free(t->gate);
	fd_close(&t->go_fd);
}
CLEANUP_OBJ(struct onerun_team, team_done)

static unsigned sessions_of(const struct onerun *o)
{
	return o->c->sessions ? o->c->sessions : o->g->plan->concurrency;
}

/* Worker i's share: sessions, operations and the phase of its schedule. */
static struct work share(const struct onerun *o, unsigned i, unsigned n)
{
	const struct plan *p = o->g->plan;
	uint64_t rate = o->c->rate ? o->c->rate : p->rate;
	unsigned all = sessions_of(o), base = all / n, rest = all % n;
	struct work k = {
		.c = o->c,
		.sessions = base + (i < rest),
		.first_index = i * base + (i < rest ? i : rest),
		.duration_ns = o->duration_ns,
		.timeout_ns = p->timeout_ns * (o->c->patience ? o->c->patience : 1),
	};

	k.warmup = o->warmup / n + (i < o->warmup % n);
	k.iterations = o->iterations / n + (i < o->iterations % n);
	if (o->iterations && !k.iterations)
		k.iterations = 1;
	if (rate) {
		k.interval_ns = NS_PER_SEC * n / rate;
		k.interval_ns = k.interval_ns ? k.interval_ns : 1;
		k.offset_ns = NS_PER_SEC * i / rate;
	}
	return k;
}

static void meet(struct onerun_team *t)
{
	if (t->gate)
		gate_wait(t->gate);
}

static void usage_add(struct usage *u, const struct rusage *a, const struct rusage *b)
{
	u->known = true;
	u->user_ns = (uint64_t)(b->ru_utime.tv_sec - a->ru_utime.tv_sec) * NS_PER_SEC +
		     (uint64_t)(b->ru_utime.tv_usec - a->ru_utime.tv_usec) * NS_PER_US;
	u->system_ns = (uint64_t)(b->ru_stime.tv_sec - a->ru_stime.tv_sec) * NS_PER_SEC +
		       (uint64_t)(b->ru_stime.tv_usec - a->ru_stime.tv_usec) * NS_PER_US;
	u->voluntary_switches = (uint64_t)(b->ru_nvcsw - a->ru_nvcsw);
	u->involuntary_switches = (uint64_t)(b->ru_nivcsw - a->ru_nivcsw);
	u->rss_peak_bytes = usage_peak(getpid());
}

/* Between the gates, with all workers at rest: the leader opens and closes the window. */
static int window_open(struct onerun_team *t, struct err *e)
{
	const struct engine *g = t->o->g;
	const pid_t self = getpid();

	usage_reset_peak(&self, 1);
	t->prepared_ns = loop_now(t->part[0].loop);
	for (size_t i = 0; t->o->probed && i < g->n_probes; i++)
		if (g->probes[i].window_open &&
		    g->probes[i].window_open(g->probes[i].ctx, t->o->c, t->run, e) < 0)
			return -1;
	getrusage(RUSAGE_SELF, &t->before);
	return 0;
}

static int window_close(struct onerun_team *t, struct err *e)
{
	const struct engine *g = t->o->g;
	struct rusage after;
	int rc = 0;

	getrusage(RUSAGE_SELF, &after);
	/* the last one to open is the first to close: nothing of the others lies in its window */
	for (size_t i = g->n_probes; t->o->probed && i-- > 0;)
		if (g->probes[i].window_close &&
		    g->probes[i].window_close(g->probes[i].ctx, t->o->c, t->run, e) < 0)
			rc = -1;
	/* reads a file, which --syscalls=self would count */
	usage_add(&t->run->client, &t->before, &after);
	return rc;
}

/* Every worker passes every gate, whatever happened to it, so nobody waits for ever. */
static void part_run(void *arg)
{
	struct part *p = arg;
	struct onerun_team *t = p->team;
	bool leader = p == &t->part[0];

	p->rc = worker_prepare(p->worker, &p->trouble);
	meet(t);
	if (leader && p->rc == 0)
		p->rc = window_open(t, &p->trouble);
	meet(t);
	if (p->rc == 0)
		p->rc = worker_measure(p->worker, &p->trouble);
	meet(t);
	if (leader && p->rc == 0)
		p->rc = window_close(t, &p->trouble);
	meet(t);
	if (p->rc == 0)
		p->rc = worker_finish(p->worker, &p->trouble);
}

static int team_make(struct onerun_team *t, struct err *e)
{
	const struct engine *g = t->o->g;
	unsigned all = sessions_of(t->o);

	t->n = g->plan->threads < all ? g->plan->threads : all;
	t->n = t->n ? t->n : 1;
	t->part = calloc(t->n, sizeof(*t->part));
	if (!t->part)
		return err_nomem(e);
	for (unsigned i = 0; i < t->n; i++) {
		struct work k = share(t->o, i, t->n);

		t->part[i].team = t;
		if ((g->make_loop ? g->make_loop : loop_new)(&t->part[i].loop, e) < 0 ||
		    worker_new(&t->part[i].worker, &k, t->part[i].loop, e) < 0)
			return -1;
	}
	return t->n > 1 ? gate_new(&t->gate, t->n, e) : 0;
}

/* The body of the threads but the first: waits until all exist, so that the gates' count is right. */
static void part_enter(void *arg)
{
	struct part *p = arg;
	uint64_t one;

	while (read(p->team->go_fd, &one, sizeof(one)) < 0)
		continue; /* EINTR only: the descriptor is blocking and stays open until the join */
	if (!atomic_load(&p->team->abandoned))
		part_run(p);
}

static int team_start(struct onerun_team *t, unsigned *started, struct err *e)
{
	uint64_t others;
	int rc = 0;

	*started = 1;
	if (t->n == 1)
		return 0;
	t->go_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	if (t->go_fd < 0)
		return err_sys(e, ERR_MACHINE, "eventfd");
	while (rc == 0 && *started < t->n) {
		rc = thread_start(&t->part[*started].thread, "worker", -1, part_enter,
				  &t->part[*started], e);
		*started += rc == 0;
	}
	atomic_store(&t->abandoned, rc < 0);
	others = *started - 1;
	if (others && write(t->go_fd, &others, sizeof(others)) < 0)
		return err_sys(e, ERR_MACHINE, "eventfd"); /* cannot happen: the counter is 0 */
	return rc;
}

static int team_run(struct onerun_team *t, struct err *e)
{
	unsigned started;
	int rc = team_start(t, &started, e);

	if (rc == 0)
		part_run(&t->part[0]);
	for (unsigned i = 1; i < started; i++)
		thread_join(t->part[i].thread);
	for (unsigned i = 0; rc == 0 && i < t->n; i++) {
		if (t->part[i].rc < 0) {
			*e = t->part[i].trouble;
			rc = -1;
		}
	}
	return rc;
}

/* Distributions that nothing was recorded in say nothing. */
static void drop_empty(struct run *run)
{
	size_t kept = 0;

	for (size_t i = 0; i < run->n_distributions; i++) {
		if (run->distribution[i].series.n == 0 && i > 0) {
			series_done(&run->distribution[i].series);
			continue;
		}
		if (kept != i)
			run->distribution[kept] = run->distribution[i];
		kept++;
	}
	run->n_distributions = kept;
}

static int collect(struct onerun_team *t, bool *interrupted, struct err *e)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (unsigned i = 0; i < t->n; i++) {
		uint64_t start, end;

		if (worker_collect(t->part[i].worker, t->run, &start, &end, e) < 0)
			return -1;
		first = start < first ? start : first;
		last = end > last ? end : last;
		*interrupted |= worker_interrupted(t->part[i].worker);
	}
	t->run->start_offset_ns = ns_since(t->o->origin_ns, first);
	t->run->duration_ns = ns_since(first, last);
	t->run->status = *interrupted ? RUN_INTERRUPTED : t->run->ok ? RUN_OK : RUN_FAILED;
	drop_empty(t->run);
	return 0;
}

int onerun_go(const struct onerun *o, struct run *run, uint64_t *setup_ns, bool *interrupted,
	      struct err *e)
{
	CLEANUP(team_done) struct onerun_team t = { .o = o, .run = run, .go_fd = -1 };
	uint64_t finished;

	if (team_make(&t, e) < 0)
		return -1;
	t.began_ns = loop_now(t.part[0].loop);
	if (team_run(&t, e) < 0 || collect(&t, interrupted, e) < 0)
		return -1;
	finished = loop_now(t.part[0].loop);
	if (setup_ns)
		*setup_ns = ns_since(t.began_ns, t.prepared_ns) +
			    ns_since(t.prepared_ns + run->duration_ns, finished);
	return 0;
}
