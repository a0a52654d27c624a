#include "tftp-search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

enum {
	CLIENTS_MAX = 1024,
	RATE_MAX = 1000000,
	RATE_FIRST = 256,
	CLOSE_ENOUGH = 20, /* the interval is at most 1/20 of its lower end */
	SAMPLES = 100,	   /* that a P99 is more than the maximum */
	OPERATIONS_MIN = 10,
};

#define STEP_NS (300 * NS_PER_MS)

/* Of the planned rate; below, the server does not keep up and latency only grows with time. */
#define KEEPS_UP 0.95

bool tftp_finds_clients(const struct tftp_opts *o)
{
	return o->find_max && strcmp(o->find_max, "clients") == 0;
}

int tftp_search_check(const struct tftp_opts *o, struct err *e)
{
	if (!o->find_max)
		return o->max_p99_ns ? err_set(e, ERR_USAGE, "usage",
					       "--max-p99 is a limit for --find-max")
				     : 0;
	if (strcmp(o->find_max, "clients") != 0 && strcmp(o->find_max, "rate") != 0)
		return err_set(e, ERR_USAGE, "usage",
			       "--find-max=%s: it finds clients or rate (--find-max=rate)",
			       o->find_max);
	if (tftp_finds_clients(o) && o->plan.rate)
		return err_set(e, ERR_USAGE, "usage",
			       "--find-max finds clients without --rate; --find-max=rate takes "
			       "--rate as the highest to try");
	return 0;
}

static uint64_t top_of(const struct tftp_opts *o)
{
	uint64_t top = 0;

	if (!tftp_finds_clients(o))
		return o->plan.rate ? o->plan.rate : RATE_MAX;
	for (size_t i = 0; o->has_concurrency && i < o->concurrencies.n; i++)
		top = o->concurrencies.v[i] > top ? o->concurrencies.v[i] : top;
	return top ? top : CLIENTS_MAX;
}

static void set_param(struct engine_case *ec, const char *key, uint64_t value)
{
	for (size_t i = 0; i < ec->n_params; i++) {
		if (strcmp(ec->params[i].key, key) == 0) {
			ec->params[i].integer = (int64_t)value;
			return;
		}
	}
	if (ec->n_params < PARAMS_MAX)
		ec->params[ec->n_params++] = (struct param){ .key = key,
							     .type = PARAM_INTEGER,
							     .integer = (int64_t)value };
}

static void set_value(struct tftp_cell *cell, struct engine_case *ec, uint64_t value)
{
	const struct tftp_opts *o = cell->all->opts;

	if (!tftp_finds_clients(o)) {
		ec->rate = value;
		set_param(ec, "rate", value);
		cell->plan.alone = false;
		return;
	}
	ec->sessions = (unsigned)value;
	cell->concurrency = (uint32_t)value;
	set_param(ec, "concurrency", value);
	if (ec->fixed_iterations)
		ec->fixed_iterations = value;
	cell->plan.alone = value <= o->plan.threads && !impair_is_on(&cell->plan.out) &&
			   !impair_is_on(&cell->plan.in);
}

/* As long as it takes to tell; at low rates two seconds must do. */
static struct plan step_plan(const struct tftp_opts *o, const struct engine_case *ec,
			     uint64_t value)
{
	struct plan p = o->plan;

	p.runs = 1;
	p.settle_ns = 0;
	if (p.iterations || p.duration_ns || ec->fixed_iterations) {
		p.iterations = p.iterations || p.duration_ns ? p.iterations : ec->fixed_iterations;
		return p;
	}
	if (tftp_finds_clients(o)) {
		p.duration_ns = STEP_NS;
		return p;
	}
	p.iterations = value / 2;
	if (p.iterations < SAMPLES)
		p.iterations = 2 * value < SAMPLES ? 2 * value : SAMPLES;
	if (p.iterations < OPERATIONS_MIN)
		p.iterations = OPERATIONS_MIN;
	return p;
}

/* The time of the last answer itself is not the rate's. */
static bool keeps_up(const struct tftp_opts *o, const struct tftp_step *s)
{
	return tftp_finds_clients(o) ||
	       (double)s->ok * 1e9 >=
		       KEEPS_UP * (double)s->value * (double)ns_since(s->least_ns, s->duration_ns);
}

/* Within the limits, as far as this run tells. */
static bool stands(const struct tftp_opts *o, const struct tftp_step *s)
{
	uint64_t all = s->ok + s->failed;

	if (s->ok == 0 || (double)s->failed > o->plan.max_errors * (double)all ||
	    (o->max_p99_ns && s->p99_ns > o->max_p99_ns))
		return false;
	return keeps_up(o, s);
}

static struct tftp_step judge(const struct tftp_opts *o, uint64_t value, const struct run *r)
{
	const struct distribution *d = run_distribution(r, "latency");
	struct tftp_step s = { .value = value,
			       .ok = r->ok,
			       .failed = r->failed,
			       .p99_ns =
				       d && d->series.n ? series_percentile(&d->series, 990000) : 0,
			       .least_ns = d && d->series.n ? d->series.min : 0,
			       .duration_ns = r->duration_ns };

	s.stands = r->status == RUN_OK && stands(o, &s);
	return s;
}

/* 1: it stands, 0: it does not, -1 with *e. `over` when the user asked to stop or no step is left. */
static int try(struct tftp_cell *cell, struct engine_case *ec, uint64_t value, bool *over,
	       struct err *e)
{
	const struct tftp_opts *o = cell->all->opts;
	struct tftp_search *s = cell->search;
	struct tftp_step step = { 0 };

	set_value(cell, ec, value);
	for (int tries = 0; tries < 2 && !step.stands && !*over; tries++) {
		CLEANUP(measurement_done) struct measurement m = { 0 };
		struct plan p = step_plan(o, ec, value);
		struct engine g = { .plan = &p, .cases = ec, .n_cases = 1, .log = cell->all->log };

		if (engine_run(&g, &m, e) < 0)
			return -1;
		*over = m.interrupted || m.n == 0;
		if (m.n)
			step = judge(o, value, &m.benchmark[0].run[0]);
	}
	log_say(cell->all->log, LOG_NOTE, "find-max",
		"%s %" PRIu64 ": %" PRIu64 " ok, %" PRIu64 " failed, P99 %.3f ms: %s", o->find_max,
		value, step.ok, step.failed, (double)step.p99_ns / 1e6,
		step.stands ? "stands" : "beyond the limits");
	s->step[s->n++] = step;
	*over |= s->n == TFTP_STEPS_MAX;
	if (step.stands)
		s->best = value;
	else
		s->beyond = value;
	return step.stands;
}

static int search(struct tftp_cell *cell, struct engine_case *ec, struct err *e)
{
	const struct tftp_opts *o = cell->all->opts;
	uint64_t top = top_of(o), first = tftp_finds_clients(o) ? 1 : RATE_FIRST, value, end;
	struct tftp_search *s = cell->search;
	bool over = false;
	int rc = 1;

	for (value = first < top ? first : top; rc > 0 && !over;
	     value = 2 * value < top ? 2 * value : top) {
		rc = try(cell, ec, value, &over, e);
		if (value == top)
			break;
	}
	while (rc >= 0 && !over && s->beyond > s->best + 1 &&
	       s->beyond - s->best > s->best / CLOSE_ENOUGH) {
		value = s->best + (s->beyond - s->best) / 2;
		rc = try(cell, ec, value, &over, e);
	}
	end = s->best ? s->best : s->beyond;
	if (end)
		set_value(cell, ec, end);
	return rc < 0 ? -1 : 0;
}

int tftp_search_all(void *ctx, struct err *e)
{
	struct tftp_cases *c = ctx;

	for (size_t i = 0; c->opts->find_max && i < c->n_cases; i++) {
		struct tftp_cell *cell = c->cell[i];

		if (!cell->plan.groups.lock || cell->kind == TFTP_KIND_OPTIONS)
			continue;
		cell->search = calloc(1, sizeof(*cell->search));
		if (!cell->search)
			return err_nomem(e);
		if (search(cell, &c->cases[i], e) < 0)
			return err_wrap(e, "--find-max");
	}
	return 0;
}

/* NULL for 0. */
static const struct tftp_step *step_of(const struct tftp_search *s, uint64_t value)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->step[i].value == value)
			return &s->step[i];
	}
	return NULL;
}

static void describe(const struct tftp_opts *o, const struct tftp_step *s, char *out, size_t size)
{
	const char *what = tftp_finds_clients(o) ? " clients" : "/s";
	char p99[NUM_TEXT_MAX];

	if (!s)
		return;
	if (!s->ok)
		snprintf(out, size, "%" PRIu64 "%s: nothing succeeds", s->value, what);
	else
		snprintf(out, size, "%" PRIu64 "%s: %" PRIu64 " of %" PRIu64 " fail, P99 %s%s",
			 s->value, what, s->failed, s->ok + s->failed,
			 num_format_ns(p99, (double)s->p99_ns),
			 !keeps_up(o, s) ? ", and the server does not keep up" : "");
}

/* In how many of the runs that followed the limits held. */
static unsigned confirmed(const struct tftp_opts *o, uint64_t value, const struct benchmark *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < b->n_runs; i++)
		n += judge(o, value, &b->run[i]).stands;
	return n;
}

int tftp_search_advise(const struct tftp_cases *c, size_t i, struct document *d,
		       const struct benchmark *b, struct err *e)
{
	const struct tftp_search *s = c->cell[i]->search;
	const char *what = tftp_finds_clients(c->opts) ? "clients" : "requests a second";
	char evidence[512], remedy[200], good[160] = "", bad[160] = "";
	unsigned held = s && s->best ? confirmed(c->opts, s->best, b) : 0;

	if (!s || s->n == 0)
		return 0;
	describe(c->opts, step_of(s, s->best), good, sizeof(good));
	describe(c->opts, step_of(s, s->beyond), bad, sizeof(bad));
	snprintf(evidence, sizeof(evidence),
		 "%s%s%s (%zu steps); then %u of %zu runs stayed within the limits", good,
		 s->best && s->beyond ? "; " : "", bad, s->n, held, b->n_runs);
	if (!s->best)
		snprintf(remedy, sizeof(remedy), "not even %" PRIu64 " %s stay within the limits",
			 s->beyond, what);
	else if (!s->beyond)
		snprintf(remedy, sizeof(remedy), "at least %" PRIu64 " %s, the most tried", s->best,
			 what);
	else
		snprintf(remedy, sizeof(remedy), "the most is %s%" PRIu64 " %s",
			 2 * (size_t)held > b->n_runs ? "" : "about ", s->best, what);
	return document_add_finding(d, "tftp-find-max", b->name, b->target, evidence, remedy, e);
}

static json_t *step_json(const struct tftp_step *s, struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();

	if (!j || json_put(j, "value", json_u64(s->value), e) < 0 ||
	    json_put(j, "ok", json_u64(s->ok), e) < 0 ||
	    json_put(j, "failed", json_u64(s->failed), e) < 0 ||
	    json_put(j, "p99_ns", s->p99_ns ? json_u64(s->p99_ns) : json_null(), e) < 0 ||
	    json_put(j, "duration_ns", json_u64(s->duration_ns), e) < 0 ||
	    json_put(j, "stands", json_boolean(s->stands), e) < 0)
		return NULL;
	return TAKE(j);
}

json_t *tftp_search_json(const struct tftp_cell *cell, struct err *e)
{
	const struct tftp_search *s = cell->search;
	CLEANUP(json_decref) json_t *j = json_object();
	CLEANUP(json_decref) json_t *steps = json_array();

	for (size_t i = 0; i < s->n; i++) {
		if (json_push(steps, step_json(&s->step[i], e), e) < 0)
			return NULL;
	}
	if (json_put(j, "what", json_string(cell->all->opts->find_max), e) < 0 ||
	    json_put(j, "best", s->best ? json_u64(s->best) : json_null(), e) < 0 ||
	    json_put(j, "beyond", s->beyond ? json_u64(s->beyond) : json_null(), e) < 0 ||
	    json_put(j, "steps", TAKE(steps), e) < 0)
		return NULL;
	return TAKE(j);
}
