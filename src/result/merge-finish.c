#include "result/merge-finish.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result/comparison.h"
#include "result/distribution.h"
#include "result/merge-run.h"
#include "result/metrics.h"
#include "result/restore.h"
#include "result/wall.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t window_at(const json_t *run, size_t i)
{
	return json_integer_value(json_array_get(json_object_get(run, "window"), i));
}

/* The share of the whole window in which all workers ran. */
static double overlap_of(const json_t *run)
{
	double whole = (double)(window_at(run, 3) - window_at(run, 0));
	double common = (double)(window_at(run, 2) - window_at(run, 1));

	return whole > 0 ? fmax(0, common / whole) : 0;
}

static double smallest_overlap(const json_t *root)
{
	const json_t *benchmark, *run;
	double overlap = (double)NAN;
	size_t i, k;

	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
		json_array_foreach(json_object_get(benchmark, "runs"), k, run)
	{
		overlap = fmin(overlap, overlap_of(run));
	}
	return overlap;
}

static bool ran_together(const struct run *run, const json_t *of)
{
	return run->status == RUN_OK && window_at(of, 2) > window_at(of, 1);
}

/* The workers' own rates added up: what they did together while all of them ran. Where there was no such time, nothing. */
static int add_common(struct benchmark *b, const json_t *runs, struct err *e)
{
	struct extra_metric *rate, *bytes;
	const json_t *run;
	size_t together = 0, i;

	json_array_foreach(runs, i, run) together += ran_together(&b->run[i], run);
	if (!together)
		return 0;
	rate = benchmark_add_metric(b, "common.rate", "ops_per_second", BETTER_HIGHER, false);
	bytes = benchmark_add_metric(b, "common.throughput", "bytes_per_second", BETTER_HIGHER,
				     false);
	if (!rate || !bytes)
		return err_nomem(e);
	/* The second one may have moved the first. */
	rate = &b->extra[b->n_extra - 2];
	json_array_foreach(runs, i, run)
	{
		if (!ran_together(&b->run[i], run))
			continue;
		if (window_at(run, 4) > 0)
			rate->values[i] = (double)window_at(run, 4) / 1000;
		if (window_at(run, 5) > 0)
			bytes->values[i] = (double)window_at(run, 5);
	}
	return 0;
}

static void free_extra(struct benchmark *b)
{
	for (size_t i = 0; i < b->n_extra; i++) {
		free(b->extra[i].values);
		free(b->extra[i].totals);
		free(b->extra[i].operations);
	}
	free(b->extra);
	b->extra = NULL;
	b->n_extra = 0;
}

/* One distribution over all runs that count. */
static int add_pooled(json_t *pooled, const struct benchmark *b, const struct distribution *like,
		      struct err *e)
{
	struct distribution all = { .name = like->name,
				    .unit = like->unit,
				    .better = like->better };
	json_t *object = NULL;
	int rc = series_init(&all.series, 0, e);

	for (size_t i = 0; rc == 0 && i < b->n_runs; i++) {
		const struct distribution *d = run_distribution(&b->run[i], like->name);

		if (b->run[i].status == RUN_OK && d)
			rc = series_merge(&all.series, &d->series, e);
	}
	if (rc == 0)
		object = all.series.n ? distribution_make(&all, false, false, e) : json_null();
	series_done(&all.series);
	return object ? json_put(pooled, like->name, object, e) : -1;
}

static int add_all_pooled(json_t *benchmark, const struct benchmark *b, struct err *e)
{
	json_t *pooled = json_put_object(benchmark, "pooled", e);

	for (size_t i = 0; pooled && i < b->n_runs; i++)
		for (size_t k = 0; k < b->run[i].n_distributions; k++)
			if (!json_object_get(pooled, b->run[i].distribution[k].name) &&
			    add_pooled(pooled, b, &b->run[i].distribution[k], e) < 0)
				return -1;
	return pooled ? 0 : -1;
}

/* Metrics that only their subcommand could make. */
static int note_dropped(json_t *root, const json_t *old, const json_t *benchmark, struct err *e)
{
	json_t *from = (json_t *)(uintptr_t)old, *value, *warning, *list;
	CLEANUP(buf_done) struct buf names = BUF_INIT;
	const char *name;

	json_object_foreach(from, name, value)
	{
		if (!json_object_get(json_object_get(benchmark, "metrics"), name))
			buf_addf(&names, "%s%s", names.len ? ", " : "", name);
	}
	if (!names.len)
		return names.failed ? err_nomem(e) : 0;
	list = json_object_get(root, "warnings");
	if (!list)
		list = json_put_array(root, "warnings", e);
	warning = list ? json_push_object(list, e) : NULL;
	if (!warning || json_put(warning, "code", json_string("not-merged"), e) < 0)
		return -1;
	return json_put(warning, "message",
			json_sprintf("%s: these metrics cannot be made from parts: %s",
				     text_of(benchmark, "name"), buf_text(&names)),
			e);
}

static int make_metrics(json_t *root, json_t *benchmark, struct benchmark *b,
			struct metric_list *list, struct err *e)
{
	CLEANUP(json_decref) json_t *old = json_incref(json_object_get(benchmark, "metrics"));

	if (add_common(b, json_object_get(benchmark, "runs"), e) < 0 ||
	    metric_list_make(list, b, e) < 0 ||
	    json_put(benchmark, "metrics", metrics_make(list, b->n_runs, e), e) < 0 ||
	    add_all_pooled(benchmark, b, e) < 0)
		return -1;
	return note_dropped(root, old, benchmark, e);
}

static int finish_benchmark(json_t *root, json_t *benchmark, struct metric_list *list,
			    struct err *e)
{
	struct benchmark b;
	int rc;

	if (restore_benchmark(benchmark, true, &b, e) < 0)
		return -1;
	rc = make_metrics(root, benchmark, &b, list, e);
	free_extra(&b);
	restore_done(&b);
	return rc;
}

/* Comparisons need the metrics of all benchmarks, but no distribution. */
static int compare_all(json_t *root, const struct metric_list *lists, struct err *e)
{
	const json_t *benchmarks = json_object_get(root, "benchmarks"), *benchmark;
	json_t *comparisons = json_put_array(root, "comparisons", e);
	struct measurement m = { .benchmark = calloc(json_array_size(benchmarks) + 1,
						     sizeof(*m.benchmark)) };
	int rc = comparisons ? 0 : -1;
	size_t i;

	if (!m.benchmark)
		return err_nomem(e);
	json_array_foreach(benchmarks, i, benchmark)
	{
		if (rc == 0)
			rc = restore_benchmark(benchmark, false, &m.benchmark[i], e);
		m.n += rc == 0;
	}
	if (rc == 0)
		rc = comparison_add(comparisons, &m, lists, e);
	for (i = 0; i < m.n; i++)
		restore_done(&m.benchmark[i]);
	free(m.benchmark);
	return rc;
}

static int finish_benchmarks(json_t *root, struct err *e)
{
	json_t *benchmarks = json_object_get(root, "benchmarks"), *benchmark;
	size_t n = json_array_size(benchmarks), i;
	struct metric_list *lists = calloc(n + 1, sizeof(*lists));
	int rc = 0;

	if (!lists)
		return err_nomem(e);
	json_array_foreach(benchmarks, i, benchmark)
	{
		if (rc == 0)
			rc = finish_benchmark(root, benchmark, &lists[i], e);
	}
	if (rc == 0)
		rc = compare_all(root, lists, e);
	for (i = 0; i < n; i++)
		metric_list_done(&lists[i]);
	free(lists);
	return rc;
}

/* Windows leave the runs for extensions.merge; offsets of runs are from the earliest start. */
static int move_windows(json_t *root, json_t *merge, struct err *e)
{
	json_t *windows = json_put_array(merge, "windows", e), *benchmark, *run, *list;
	char text[40];
	int64_t first = INT64_MAX;
	size_t i, k;

	if (!windows)
		return -1;
	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
		json_array_foreach(json_object_get(benchmark, "runs"), k, run)
	{
		first = window_at(run, 0) < first ? window_at(run, 0) : first;
	}
	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
	{
		list = json_array();
		if (json_push(windows, list, e) < 0)
			return -1;
		json_array_foreach(json_object_get(benchmark, "runs"), k, run)
		{
			if (window_at(run, 3) - first > JSON_INTEGER_MAX)
				return err_set(
					e, ERR_USAGE, "time",
					"the runs are further apart than a document can say: "
					"104 days");
			if (json_put(run, "start_offset_ns",
				     json_u64((uint64_t)(window_at(run, 0) - first)), e) < 0 ||
			    json_push(list, merge_run_store(run, first), e) < 0 ||
			    json_object_del(run, "window") < 0)
				return -1;
		}
	}
	if (first == INT64_MAX)
		return 0;
	wall_format(first, 0, text);
	return json_put(json_object_get(root, "extensions"), "measured_at", json_string(text), e);
}

static bool all_complete(const json_t *workers)
{
	const json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) if (strcmp(text_of(worker, "status"), "complete") !=
						   0) return false;
	return true;
}

static int add_warning(json_t *root, const char *code, const char *text, struct err *e)
{
	json_t *list = json_object_get(root, "warnings"), *warning;

	if (!list)
		list = json_put_array(root, "warnings", e);
	warning = list ? json_push_object(list, e) : NULL;
	if (!warning || json_put(warning, "code", json_string(code), e) < 0)
		return -1;
	return json_put(warning, "message", json_string(text), e);
}

static int drop_warning(json_t *root, const char *code, struct err *e)
{
	const json_t *old = json_object_get(root, "warnings"), *warning;
	CLEANUP(json_decref) json_t *kept = json_array();
	size_t i;

	if (!kept)
		return err_nomem(e);
	json_array_foreach(old, i, warning)
	{
		if (strcmp(text_of(warning, "code"), code) != 0 &&
		    json_push(kept, json_incref((json_t *)(uintptr_t)warning), e) < 0)
			return -1;
	}
	return json_put(root, "warnings", TAKE(kept), e);
}

/* Said of the whole, each time anew. */
static int add_warnings(json_t *root, const struct merge_facts *f, size_t expect, struct err *e)
{
	static const char *const codes[] = { "incomplete", "overlap", "not-merged" };
	char text[200];

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (drop_warning(root, codes[i], e) < 0)
			return -1;
	snprintf(text, sizeof(text), "%zu of %zu expected results are here", f->workers, expect);
	if (expect > f->workers && add_warning(root, "incomplete", text, e) < 0)
		return -1;
	snprintf(
		text, sizeof(text),
		"the workers ran together for %.0f %% of the time only: rate and throughput are over the whole time, "
		"common.rate and common.throughput %s",
		100 * f->overlap,
		f->overlap > 0 ? "are while all of them ran" : "exist only where all of them ran");
	return f->overlap < 0.95 ? add_warning(root, "overlap", text, e) : 0;
}

static int fill_facts(json_t *root, json_t *merge, size_t expect, struct merge_facts *f,
		      struct err *e)
{
	const json_t *workers = json_object_get(merge, "workers");

	f->workers = json_array_size(workers);
	f->complete = all_complete(workers) && (expect == 0 || f->workers == expect);
	f->overlap = f->workers > 1 ? smallest_overlap(root) : (double)NAN;
	if (expect && f->workers > expect)
		return err_set(e, ERR_USAGE, "too-many", "%zu results, but %zu were expected",
			       f->workers, expect);
	if (json_put(merge, "expected", expect ? json_u64(expect) : json_null(), e) < 0 ||
	    json_put(merge, "complete", json_boolean(f->complete), e) < 0)
		return -1;
	return json_put(merge, "overlap", json_number(f->overlap), e);
}

int merge_finish_root(json_t *root, bool opened, size_t expect, struct merge_facts *facts,
		      struct err *e)
{
	json_t *merge = json_object_get(json_object_get(root, "extensions"), "merge");

	*facts = (struct merge_facts){ .workers = 1, .overlap = (double)NAN };
	if (!opened) {
		facts->complete = strcmp(text_of(root, "status"), "complete") == 0;
		if (merge)
			facts->workers = json_array_size(json_object_get(merge, "workers"));
		return 0;
	}
	if (fill_facts(root, merge, expect, facts, e) < 0 ||
	    add_warnings(root, facts, expect, e) < 0)
		return -1;
	if (facts->workers > 1 && finish_benchmarks(root, e) < 0)
		return -1;
	return move_windows(root, merge, e);
}
