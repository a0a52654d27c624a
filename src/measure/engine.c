#include "measure/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "io/thread.h"
#include "measure/onerun.h"
#include "measure/schedule.h"

enum { DEFAULT_CAP = 1000, TARGETS_MAX = 64, GIVE_UP_RUNS = 2, GIVE_UP_CASES = 2 };
#define PILOT_SPAN (20 * NS_PER_MS)

/* The state of one engine_run. */
struct drive {
	const struct engine *g;
	struct measurement *m;
	struct schedule_cost *cost; /* per case */
	uint32_t *failed_in_row;    /* per case: runs without a success */
	uint32_t dead_cases
		[TARGETS_MAX];	 /* per target: runs of cases in a row that nothing came from */
	bool lived[TARGETS_MAX]; /* per target: something succeeded once */
	uint64_t origin_ns;
	size_t step, steps;
	uint32_t order;
	bool interrupted;
};

static void drive_done(struct drive *d)
{
	free(d->cost);
	free(d->failed_in_row);
}
CLEANUP_OBJ(struct drive, drive_done)

static void tell(const struct drive *d, struct engine_progress p)
{
	p.step = d->step;
	p.steps = d->steps;
	p.runs = d->g->plan->runs;
	if (d->g->progress)
		d->g->progress(d->g->progress_ctx, &p);
}

static void run_done(struct run *r)
{
	for (size_t i = 0; i < r->n_distributions; i++)
		series_done(&r->distribution[i].series);
	free(r->distribution);
	free(r->syscalls.count);
	memset(r, 0, sizeof(*r));
}

static int benchmark_make(struct benchmark *b, const struct engine_case *c, const struct plan *p,
			  struct err *e)
{
	snprintf(b->name, sizeof(b->name), "%s", c->name);
	snprintf(b->target, sizeof(b->target), "%s", c->target);
	memcpy(b->params, c->params, sizeof(b->params));
	b->n_params = c->n_params;
	b->headline = c->headline ? c->headline : "latency.median";
	b->open_loop = p->rate != 0 || c->rate != 0;
	b->first_only = c->fresh;
	b->run = calloc(p->runs, sizeof(*b->run));
	return b->run ? 0 : err_nomem(e);
}

static int drive_init(struct drive *d, struct err *e)
{
	size_t n = d->g->n_cases;

	d->cost = calloc(n ? n : 1, sizeof(*d->cost));
	d->failed_in_row = calloc(n ? n : 1, sizeof(*d->failed_in_row));
	d->m->benchmark = calloc(n ? n : 1, sizeof(*d->m->benchmark));
	if (!d->cost || !d->failed_in_row || !d->m->benchmark)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		d->m->n = i + 1;
		if (benchmark_make(&d->m->benchmark[i], &d->g->cases[i], d->g->plan, e) < 0)
			return -1;
	}
	d->steps = n * d->g->plan->runs;
	return 0;
}

static bool target_given_up(const struct drive *d, const struct engine_case *c)
{
	return d->dead_cases[c->target_index % TARGETS_MAX] >= GIVE_UP_CASES;
}

/* Without pilots (--iterations, --duration) runs of nothing but time-outs are as telling; a target that once answered is
 * given more of them. */
static bool fell_silent(const struct drive *d, const struct engine_case *c)
{
	size_t t = c->target_index % TARGETS_MAX;

	return d->dead_cases[t] >= (d->lived[t] ? 2 * GIVE_UP_CASES : GIVE_UP_CASES);
}

/* Failures that say that nobody is there, whatever the case; any other is an answer. */
static bool is_silence(const struct run *r)
{
	static const char *const words[] = { "timeout", "closed", "refused", "unreachable",
					     "no-reply" };
	size_t silent = 0;

	for (size_t i = 0; i < r->n_errors; i++)
		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			silent += strcmp(r->error[i].name, words[k]) == 0;
	return r->ok == 0 && silent == r->n_errors;
}

static void note_liveness(struct drive *d, const struct engine_case *c, const struct run *r)
{
	bool alive = !is_silence(r);
	uint32_t *dead = &d->dead_cases[c->target_index % TARGETS_MAX];

	d->lived[c->target_index % TARGETS_MAX] |= alive;
	*dead = alive ? 0 : *dead + 1;
}

/* A few operations of case i: what setting up and one operation cost. Its numbers are not kept. A case that nothing came
 * from keeps the pilot as its only, failed run: repeating a dead target's time-outs teaches nothing. */
static int pilot(struct drive *d, size_t i, struct err *e)
{
	const struct engine_case *c = &d->g->cases[i];
	struct benchmark *b = &d->m->benchmark[i];
	struct onerun o = {
		.g = d->g,
		.c = c,
		.warmup = 1,
		.duration_ns = PILOT_SPAN,
		.origin_ns = d->origin_ns,
	};
	struct run run = { .pair = -1, .order = d->order };
	uint64_t setup = 0;

	if (onerun_go(&o, &run, &setup, &d->interrupted, e) < 0) {
		run_done(&run);
		return -1;
	}
	note_liveness(d, c, &run);
	d->cost[i].setup_ns = setup > run.first_ns ? setup - run.first_ns : 0;
	d->cost[i].operation_ns = run.ok ? run.duration_ns / run.ok : 1;
	d->cost[i].operation_ns = d->cost[i].operation_ns ? d->cost[i].operation_ns : 1;
	d->cost[i].cap = c->slow_cap ? c->slow_cap : DEFAULT_CAP;
	d->cost[i].fixed = c->fixed_iterations;
	if (run.ok == 0 && !d->interrupted) {
		d->failed_in_row[i] = GIVE_UP_RUNS;
		b->run[b->n_runs++] = run;
	} else {
		run_done(&run);
	}
	return 0;
}

static int pilots(struct drive *d, struct err *e)
{
	const struct plan *p = d->g->plan;
	uint64_t began = clock_now(), spent, estimate;

	for (size_t i = 0; i < d->g->n_cases && !d->interrupted; i++) {
		if (target_given_up(d, &d->g->cases[i])) {
			d->failed_in_row[i] = GIVE_UP_RUNS;
			continue;
		}
		if (pilot(d, i, e) < 0)
			return err_wrap(e, "%s on %s", d->g->cases[i].name, d->g->cases[i].target);
	}
	spent = clock_now() - began;
	estimate = schedule_fit(d->cost, d->g->n_cases, p->runs,
				p->budget_ns > spent ? p->budget_ns - spent : 1, p->settle_ns);
	tell(d,
	     (struct engine_progress){ .event = ENGINE_ESTIMATE, .estimate_ns = spent + estimate });
	if (estimate + spent > p->budget_ns + p->budget_ns / 10)
		log_say(d->g->log, LOG_WARNING, "over-budget",
			"one operation per run already takes %.0f s in all, more than the %.0f s budget: "
			"choose fewer cases (--case) or runs (--runs)",
			(double)(estimate + spent) / 1e9, (double)p->budget_ns / 1e9);
	return 0;
}

static void settle(const struct drive *d)
{
	struct timespec ts = {
		.tv_sec = (time_t)(d->g->plan->settle_ns / NS_PER_SEC),
		.tv_nsec = (long)(d->g->plan->settle_ns % NS_PER_SEC),
	};

	if (d->g->plan->settle_ns && d->order > 0 && !d->g->make_loop)
		nanosleep(&ts, NULL); /* a pause the user asked for; a signal ends it */
}

static struct onerun describe(const struct drive *d, size_t i)
{
	const struct plan *p = d->g->plan;
	const struct engine_case *c = &d->g->cases[i];
	struct onerun o = { .g = d->g, .c = c, .probed = true, .origin_ns = d->origin_ns };

	o.duration_ns = p->duration_ns;
	if (p->iterations)
		o.iterations = p->iterations;
	else if (c->fixed_iterations)
		o.iterations = c->fixed_iterations;
	else if (!p->duration_ns)
		o.iterations = d->cost[i].iterations ? d->cost[i].iterations : 1;
	if (o.iterations)
		o.duration_ns = 0;
	o.warmup = p->warmup != UINT64_MAX
			   ? p->warmup
			   : schedule_warmup(o.iterations ? o.iterations : 200, c->fresh);
	return o;
}

static int one_run(struct drive *d, size_t i, uint32_t round, bool paired, struct err *e)
{
	struct benchmark *b = &d->m->benchmark[i];
	struct onerun o = describe(d, i);
	struct run *run = &b->run[b->n_runs];

	settle(d);
	tell(d, (struct engine_progress){
			.event = ENGINE_RUN_BEGIN, .now = &d->g->cases[i], .run = round });
	run->index = (uint32_t)b->n_runs;
	run->order = d->order++;
	run->pair = paired ? (int32_t)round : -1;
	o.round = round;
	b->n_runs++;
	if (onerun_go(&o, run, NULL, &d->interrupted, e) < 0)
		return err_wrap(e, "%s on %s", b->name, b->target);
	d->failed_in_row[i] = run->ok ? 0 : d->failed_in_row[i] + 1;
	note_liveness(d, &d->g->cases[i], run);
	d->step++;
	tell(d, (struct engine_progress){ .event = ENGINE_RUN_END,
					  .now = &d->g->cases[i],
					  .run = round,
					  .record = run });
	return 0;
}

/* Cases from `from` that share a name: they are interleaved. */
static size_t block_end(const struct engine *g, size_t from)
{
	size_t to = from + 1;

	while (to < g->n_cases && strcmp(g->cases[to].name, g->cases[from].name) == 0)
		to++;
	return to;
}

static int round_of_runs(struct drive *d, uint32_t round, struct err *e)
{
	for (size_t from = 0; from < d->g->n_cases;) {
		size_t to = block_end(d->g, from), n = to - from;

		for (size_t k = 0; k < n; k++) {
			size_t i = from + schedule_abba(n, round, k);

			if (d->interrupted || stop_signal()) {
				d->interrupted = true;
				return 0;
			}
			if (d->failed_in_row[i] >= GIVE_UP_RUNS || fell_silent(d, &d->g->cases[i]))
				continue;
			if (one_run(d, i, round, n > 1, e) < 0)
				return -1;
		}
		from = to;
	}
	return 0;
}

/* Benchmarks that never got to a run are left out. */
static void drop_unmeasured(struct measurement *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->benchmark[i].n_runs == 0) {
			free(m->benchmark[i].run);
			m->benchmark[i].run = NULL;
			continue;
		}
		if (kept != i)
			m->benchmark[kept] = m->benchmark[i];
		kept++;
	}
	m->n = kept;
}

int engine_run(const struct engine *g, struct measurement *out, struct err *e)
{
	CLEANUP(measurement_done) struct measurement m = { 0 };
	CLEANUP(drive_done) struct drive d = { .g = g, .m = &m, .origin_ns = clock_now() };
	bool open = !g->plan->iterations && !g->plan->duration_ns;
	int client, server;

	if (plan_pin(g->plan, &client, &server, e) < 0 ||
	    (client >= 0 && thread_pin(client, e) < 0) || drive_init(&d, e) < 0)
		return -1;
	if (open && pilots(&d, e) < 0)
		return -1;
	for (uint32_t r = 0; r < g->plan->runs && !d.interrupted; r++)
		if (round_of_runs(&d, r, e) < 0)
			return -1;
	drop_unmeasured(&m);
	m.interrupted = d.interrupted;
	m.duration_ns = clock_now() - d.origin_ns;
	*out = m;
	memset(&m, 0, sizeof(m));
	return 0;
}

/* The reason that was counted most in a benchmark. */
static const struct error_count *main_error(const struct benchmark *b)
{
	const struct error_count *most = NULL;

	for (size_t r = 0; r < b->n_runs; r++)
		for (size_t i = 0; i < b->run[r].n_errors; i++)
			if (!most || b->run[r].error[i].count > most->count)
				most = &b->run[r].error[i];
	return most;
}

int engine_verdict(const struct measurement *m, const struct plan *plan, struct err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct benchmark *b = &m->benchmark[i];
		const struct error_count *why = main_error(b);
		uint64_t ok = 0, failed = 0, all;

		for (size_t r = 0; r < b->n_runs; r++) {
			ok += b->run[r].ok;
			failed += b->run[r].failed;
		}
		all = ok + failed;
		if (ok == 0 && m->interrupted)
			continue;
		if (ok == 0)
			return err_set(e, ERR_TARGET, why ? why->name : "failed",
				       "%s on %s: nothing succeeded: %s%s%s", b->name, b->target,
				       why ? why->name : "no operation",
				       why && why->detail[0] ? ": " : "", why ? why->detail : "");
		if ((double)failed > plan->max_errors * (double)all)
			return err_set(
				e, ERR_TARGET, why ? why->name : "failed",
				"%s on %s: %llu of %llu operations failed (--max-errors %g): %s%s%s",
				b->name, b->target, (unsigned long long)failed,
				(unsigned long long)all, plan->max_errors,
				why ? why->name : "failed", why && why->detail[0] ? ": " : "",
				why ? why->detail : "");
	}
	return 0;
}
