/* What the engine measured, as benchmarks[] and comparisons[] of the document. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "result/comparison.h"
#include "result/distribution.h"
#include "result/document.h"
#include "result/metrics.h"

static const char *status_name(enum run_status status)
{
	return status == RUN_OK ? "ok" : status == RUN_FAILED ? "failed" : "interrupted";
}

static int add_errors(json_t *run, const struct run *r, struct err *e)
{
	json_t *errors = json_put_object(run, "errors", e);
	json_t *details = errors ? json_put_object(run, "error_details", e) : NULL;

	for (size_t i = 0; details && i < r->n_errors; i++)
		if (json_put(errors, r->error[i].name, json_u64(r->error[i].count), e) < 0 ||
		    json_put(details, r->error[i].name, json_masked_text(r->error[i].detail), e) <
			    0)
			return -1;
	return details ? 0 : -1;
}

static int add_usage(json_t *usage, const char *key, const struct usage *u, struct err *e)
{
	json_t *object;

	if (!u->known)
		return json_put(usage, key, json_null(), e);
	object = json_put_object(usage, key, e);
	if (!object || json_put(object, "user_ns", json_u64(u->user_ns), e) < 0 ||
	    json_put(object, "system_ns", json_u64(u->system_ns), e) < 0 ||
	    json_put(object, "voluntary_switches", json_u64(u->voluntary_switches), e) < 0 ||
	    json_put(object, "involuntary_switches", json_u64(u->involuntary_switches), e) < 0 ||
	    json_put(object, "rss_peak_bytes", json_u64(u->rss_peak_bytes), e) < 0)
		return -1;
	return 0;
}

static int add_syscalls(json_t *run, const struct syscall_window *w, struct err *e)
{
	json_t *object, *calls;

	if (!w->known)
		return json_put(run, "syscalls", json_null(), e);
	object = json_put_object(run, "syscalls", e);
	if (!object || json_put(object, "exact", json_boolean(w->exact), e) < 0 ||
	    json_put(object, "why_not_exact",
		     w->exact ? json_null() : json_outside_text(w->why_not_exact), e) < 0)
		return -1;
	calls = json_put_object(object, "calls", e);
	for (size_t i = 0; calls && i < w->n; i++) {
		const struct syscall_count *c = &w->count[i];
		json_t *one = json_put_object(calls, c->name, e);

		if (!one || json_put(one, "calls", json_u64(c->calls), e) < 0 ||
		    json_put(one, "errors", json_u64(c->errors), e) < 0 ||
		    json_put(one, "bytes", json_u64(c->bytes), e) < 0 ||
		    json_put(one, "messages", json_u64(c->messages), e) < 0 ||
		    json_put(one, "time_ns", json_u64(c->time_ns), e) < 0)
			return -1;
	}
	return calls ? 0 : -1;
}

static int add_run_head(json_t *run, const struct run *r, bool open_loop, struct err *e)
{
	if (json_put(run, "index", json_u64(r->index), e) < 0 ||
	    json_put(run, "order", json_u64(r->order), e) < 0 ||
	    json_put(run, "pair", r->pair < 0 ? json_null() : json_integer(r->pair), e) < 0 ||
	    json_put(run, "start_offset_ns", json_u64(r->start_offset_ns), e) < 0 ||
	    json_put(run, "duration_ns", json_u64(r->duration_ns), e) < 0 ||
	    json_put(run, "status", json_string(status_name(r->status)), e) < 0 ||
	    json_put(run, "warmup_discarded", json_u64(r->warmup_discarded), e) < 0 ||
	    json_put(run, "ok", json_u64(r->ok), e) < 0 ||
	    json_put(run, "failed", json_u64(r->failed), e) < 0 ||
	    json_put(run, "reopened", json_u64(r->reopened), e) < 0 ||
	    json_put(run, "bytes", json_u64(r->bytes), e) < 0 ||
	    json_put(run, "first_ns", r->first_ns ? json_u64(r->first_ns) : json_null(), e) < 0)
		return -1;
	if (open_loop && (json_put(run, "planned", json_u64(r->planned), e) < 0 ||
			  json_put(run, "late_sends", json_u64(r->late_sends), e) < 0))
		return -1;
	return add_errors(run, r, e);
}

static int add_run(json_t *runs, const struct run *r, bool open_loop, bool samples, struct err *e)
{
	json_t *run = json_push_object(runs, e);
	json_t *distributions, *usage;

	if (!run || add_run_head(run, r, open_loop, e) < 0)
		return -1;
	distributions = json_put_object(run, "distributions", e);
	for (size_t i = 0; distributions && i < r->n_distributions; i++)
		if (json_put(distributions, r->distribution[i].name,
			     distribution_make(&r->distribution[i], true, samples, e), e) < 0)
			return -1;
	usage = distributions ? json_put_object(run, "usage", e) : NULL;
	if (!usage || add_usage(usage, "client", &r->client, e) < 0 ||
	    add_usage(usage, "server", &r->server, e) < 0)
		return -1;
	return add_syscalls(run, &r->syscalls, e);
}

/* One distribution over all runs that count. */
static int pool(const struct benchmark *b, const struct distribution *like, struct series *out,
		struct err *e)
{
	if (series_init(out, 0, e) < 0)
		return -1;
	for (size_t i = 0; i < b->n_runs; i++) {
		const struct distribution *d = run_distribution(&b->run[i], like->name);

		if (b->run[i].status == RUN_OK && d && series_merge(out, &d->series, e) < 0)
			return -1;
	}
	return 0;
}

static int add_pooled_one(json_t *pooled, const struct benchmark *b,
			  const struct distribution *like, struct err *e)
{
	struct distribution all = { .name = like->name,
				    .unit = like->unit,
				    .better = like->better };
	json_t *object;

	if (pool(b, like, &all.series, e) < 0) {
		series_done(&all.series);
		return -1;
	}
	object = all.series.n ? distribution_make(&all, false, false, e) : json_null();
	series_done(&all.series);
	return object ? json_put(pooled, like->name, object, e) : -1;
}

static int add_pooled(json_t *object, const struct benchmark *b, struct err *e)
{
	json_t *pooled = json_put_object(object, "pooled", e);

	for (size_t i = 0; pooled && i < b->n_runs; i++)
		for (size_t k = 0; k < b->run[i].n_distributions; k++) {
			const struct distribution *like = &b->run[i].distribution[k];

			if (!json_object_get(pooled, like->name) &&
			    add_pooled_one(pooled, b, like, e) < 0)
				return -1;
		}
	return pooled ? 0 : -1;
}

static int add_benchmark(json_t *benchmarks, const struct benchmark *b, const struct metric_list *l,
			 bool samples, struct err *e)
{
	json_t *object = json_push_object(benchmarks, e);
	json_t *runs;

	if (!object || json_put(object, "name", json_outside_text(b->name), e) < 0 ||
	    json_put(object, "target", json_outside_text(b->target), e) < 0 ||
	    json_put(object, "params", params_make(b, e), e) < 0 ||
	    json_put(object, "headline", json_outside_text(b->headline), e) < 0 ||
	    json_put(object, "loop", json_string(b->open_loop ? "open" : "closed"), e) < 0 ||
	    json_put(object, "fresh_sessions", json_boolean(b->first_only), e) < 0 ||
	    json_put(object, "note", json_outside_text(b->note), e) < 0)
		return -1;
	runs = json_put_array(object, "runs", e);
	for (size_t i = 0; runs && i < b->n_runs; i++)
		if (add_run(runs, &b->run[i], b->open_loop, samples, e) < 0)
			return -1;
	if (!runs || add_pooled(object, b, e) < 0)
		return -1;
	return json_put(object, "metrics", metrics_make(l, b->n_runs, e), e);
}

static void lists_done(struct metric_list *lists, size_t n)
{
	for (size_t i = 0; lists && i < n; i++)
		metric_list_done(&lists[i]);
	free(lists);
}

static int add_all(json_t *root, const struct measurement *m, struct metric_list *lists,
		   bool samples, struct err *e)
{
	for (size_t i = 0; i < m->n; i++)
		if (metric_list_make(&lists[i], &m->benchmark[i], e) < 0 ||
		    add_benchmark(json_object_get(root, "benchmarks"), &m->benchmark[i], &lists[i],
				  samples, e) < 0)
			return -1;
	return comparison_add(json_object_get(root, "comparisons"), m, lists, e);
}

int document_add_measurement(struct document *d, const struct measurement *m, bool samples,
			     struct err *e)
{
	struct metric_list *lists = calloc(m->n ? m->n : 1, sizeof(*lists));
	int rc;

	if (!lists)
		return err_nomem(e);
	rc = add_all(d->root, m, lists, samples, e);
	lists_done(lists, m->n);
	return rc;
}
