#include "result/merge.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "result/merge-finish.h"
#include "result/merge-run.h"
#include "result/merge-workers.h"
#include "result/wall.h"

void merge_done(struct merge *m)
{
	json_decref(m->root);
	*m = (struct merge){ 0 };
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* --- may they be added? --- */

static bool is_allowed(const struct merge *m, const char *key)
{
	for (size_t i = 0; m->allow && i < m->allow->n; i++)
		if (fnmatch(m->allow->v[i], key, 0) == 0)
			return true;
	return false;
}

/* The first key of one that the other has not alike; NULL when there is none. */
static const char *unlike_key(const struct merge *m, json_t *a, const json_t *b)
{
	const char *key;
	json_t *value;

	json_object_foreach(a, key, value)
	{
		const json_t *other = json_object_get(b, key);

		if (!is_allowed(m, key) && !json_equal(value, other) &&
		    (other || !json_is_null(value)))
			return key;
	}
	return NULL;
}

static int check_like(struct merge *m, const char *name, const json_t *root, struct err *e)
{
	const json_t *mine = json_object_get(m->root, "config");
	const json_t *other = json_object_get(root, "config");
	json_t *a = json_object_get(mine, "what"), *b = json_object_get(other, "what");
	const char *key = unlike_key(m, a, b);

	if (strcmp(text_of(json_object_get(m->root, "command"), "subcommand"),
		   text_of(json_object_get(root, "command"), "subcommand")) != 0)
		return err_set(e, ERR_USAGE, "unlike", "%s: of %s, the others of %s", name,
			       text_of(json_object_get(root, "command"), "subcommand"),
			       text_of(json_object_get(m->root, "command"), "subcommand"));
	key = key ? key : unlike_key(m, b, a);
	if (key)
		return err_set(
			e, ERR_USAGE, "unlike",
			"%s: not the same measurement: %s is another than in the other files "
			"(--allow %s merges all the same)",
			name, key, key);
	m->differs = m->differs ||
		     !json_equal(json_object_get(mine, "how"), json_object_get(other, "how"));
	return 0;
}

/* --- the form that is added to: every run with its window, extensions.merge with its workers --- */

/* Nanoseconds of the run offsets' origin since 1970. */
static int64_t origin_of(const json_t *root)
{
	int64_t at = 0;

	if (wall_parse(text_of(json_object_get(root, "extensions"), "measured_at"), &at) < 0 &&
	    wall_parse(text_of(root, "started_at"), &at) < 0)
		return 0;
	return at;
}

static int open_runs(json_t *benchmark, const json_t *windows, int64_t origin, struct err *e)
{
	json_t *run;
	size_t i;

	json_array_foreach(json_object_get(benchmark, "runs"), i, run)
	{
		const json_t *there = json_array_get(windows, i);

		if ((json_array_size(there) == 6 ? merge_run_reopen(run, there, origin, e)
						 : merge_run_window(run, origin, e)) < 0)
			return -1;
	}
	return 0;
}

static int open_document(json_t *root, struct err *e)
{
	json_t *merge = merge_workers_open(root, e), *benchmark;
	const json_t *windows = json_object_get(merge, "windows");
	size_t i;

	if (!merge)
		return -1;
	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
	{
		if (open_runs(benchmark, json_array_get(windows, i), origin_of(root), e) < 0)
			return -1;
	}
	return 0;
}

/* --- benchmarks --- */

static bool same_case(const json_t *a, const json_t *b)
{
	return strcmp(text_of(a, "name"), text_of(b, "name")) == 0 &&
	       strcmp(text_of(a, "target"), text_of(b, "target")) == 0 &&
	       json_equal(json_object_get(a, "params"), json_object_get(b, "params"));
}

/* Its usual place first. */
static json_t *find_case(const json_t *all, const json_t *like, size_t at)
{
	json_t *benchmark = json_array_get(all, at);
	size_t i;

	if (benchmark && same_case(benchmark, like))
		return benchmark;
	json_array_foreach(all, i, benchmark) if (same_case(benchmark, like)) return benchmark;
	return NULL;
}

static json_t *find_run(const json_t *runs, const json_t *like, size_t at)
{
	const json_t *index = json_object_get(like, "index");
	json_t *run = json_array_get(runs, at);
	size_t i;

	if (run && json_equal(json_object_get(run, "index"), index))
		return run;
	json_array_foreach(runs, i,
			   run) if (json_equal(json_object_get(run, "index"), index)) return run;
	return NULL;
}

static int compare_runs(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "index"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "index"));

	return (x > y) - (x < y);
}

typedef int compare_fn(const void *a, const void *b);

static int sort_array(json_t *object, const char *key, compare_fn *compare, struct err *e)
{
	json_t *array = json_object_get(object, key), *value;
	size_t n = json_array_size(array), i;
	CLEANUP_FREE json_t **list = calloc(n + 1, sizeof(*list));
	CLEANUP(json_decref) json_t *sorted = json_array();

	if (!list || !sorted)
		return err_nomem(e);
	json_array_foreach(array, i, value) list[i] = value;
	qsort(list, n, sizeof(*list), compare);
	for (i = 0; i < n; i++)
		if (json_push(sorted, json_incref(list[i]), e) < 0)
			return -1;
	return json_put(object, key, TAKE(sorted), e);
}

static int add_runs(json_t *a, const json_t *b, struct err *e)
{
	json_t *to = json_object_get(a, "runs"), *run;
	size_t before = json_array_size(to), i;

	json_array_foreach(json_object_get(b, "runs"), i, run)
	{
		json_t *there = find_run(to, run, i);

		if (there ? merge_run_add(there, run, e) < 0
			  : json_push(to, json_incref(run), e) < 0)
			return err_wrap(e, "%s run %zu", text_of(a, "name"), i);
	}
	return json_array_size(to) > before ? sort_array(a, "runs", compare_runs, e) : 0;
}

static int compare_cases(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(text_of(x, "name"), text_of(y, "name"));

	return order ? order : strcmp(text_of(x, "target"), text_of(y, "target"));
}

static bool same_list(const json_t *a, const json_t *b)
{
	const json_t *benchmark;
	size_t i;

	if (json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach(a, i,
			   benchmark) if (!same_case(benchmark, json_array_get(b, i))) return false;
	return true;
}

/* Workers that did different cases: their order then is that of the names. */
static int add_benchmarks(json_t *a, const json_t *b, struct err *e)
{
	json_t *to = json_object_get(a, "benchmarks"), *benchmark;
	const json_t *from = json_object_get(b, "benchmarks");
	bool same = same_list(to, from);
	size_t i;

	json_array_foreach(from, i, benchmark)
	{
		json_t *there = find_case(to, benchmark, i);

		if (there ? add_runs(there, benchmark, e) < 0
			  : json_push(to, json_incref(benchmark), e) < 0)
			return -1;
	}
	return same ? 0 : sort_array(a, "benchmarks", compare_cases, e);
}

/* --- the head --- */

static int span_times(json_t *a, const json_t *b, struct err *e)
{
	int64_t start_a = 0, start_b = 0, end_a = 0, end_b = 0;
	bool ok = wall_parse(text_of(a, "started_at"), &start_a) == 0 &&
		  wall_parse(text_of(b, "started_at"), &start_b) == 0 &&
		  wall_parse(text_of(a, "finished_at"), &end_a) == 0 &&
		  wall_parse(text_of(b, "finished_at"), &end_b) == 0;

	if (!ok)
		return err_set(e, ERR_USAGE, "time", "a time before 1970 or after 2200");
	if (start_b < start_a &&
	    json_put(a, "started_at", json_string(text_of(b, "started_at")), e) < 0)
		return -1;
	return end_b > end_a ? json_put(a, "finished_at", json_string(text_of(b, "finished_at")), e)
			     : 0;
}

static int rank_of(const char *status)
{
	return strcmp(status, "complete") == 0 ? 0 : strcmp(status, "failed") == 0 ? 1 : 2;
}

static int worst_status(json_t *a, const json_t *b, struct err *e)
{
	if (rank_of(text_of(b, "status")) <= rank_of(text_of(a, "status")))
		return 0;
	return json_put(a, "status", json_string(text_of(b, "status")), e);
}

/* Elements of both without doubles, in the order of their texts. */
static int compare_values(const void *a, const void *b)
{
	CLEANUP_FREE char *x = json_dumps(*(json_t *const *)a, JSON_ENCODE_ANY | JSON_SORT_KEYS);
	CLEANUP_FREE char *y = json_dumps(*(json_t *const *)b, JSON_ENCODE_ANY | JSON_SORT_KEYS);

	return strcmp(x ? x : "", y ? y : "");
}

static int unite(json_t *a, const json_t *b, const char *key, struct err *e)
{
	json_t *to = json_object_get(a, key), *value;
	size_t i, k;

	if (!json_is_array(to))
		return 0;
	json_array_foreach(json_object_get(b, key), i, value)
	{
		for (k = 0; k < json_array_size(to); k++)
			if (json_equal(json_array_get(to, k), value))
				break;
		if (k == json_array_size(to) && json_push(to, json_incref(value), e) < 0)
			return -1;
	}
	return sort_array(a, key, compare_values, e);
}

static int larger_number(json_t *a, const json_t *b, const char *key, struct err *e)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	if (!x || !json_is_number(y) ||
	    (json_is_number(x) && json_number_value(x) >= json_number_value(y)))
		return 0;
	return json_put(a, key, json_copy((json_t *)(uintptr_t)y), e);
}

static int noise_rank(const char *verdict)
{
	return strcmp(verdict, "quiet") == 0 ? 0 : strcmp(verdict, "unknown") == 0 ? 1 : 2;
}

/* The noisiest of each. */
static int add_noise(json_t *a, const json_t *b, struct err *e)
{
	static const char *const keys[] = { "steal_ratio", "other_cpu_ratio", "psi_cpu_some_ratio",
					    "involuntary_switches" };
	json_t *to = json_object_get(a, "noise");
	const json_t *from = json_object_get(b, "noise");

	if (!json_is_object(to) || !json_is_object(from))
		return to ? json_put(a, "noise", json_null(), e) : 0;
	if (noise_rank(text_of(from, "verdict")) > noise_rank(text_of(to, "verdict")) &&
	    json_put(to, "verdict", json_string(text_of(from, "verdict")), e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (larger_number(to, from, keys[i], e) < 0)
			return -1;
	if (json_is_true(json_object_get(from, "throttled")) &&
	    json_put(to, "throttled", json_true(), e) < 0)
		return -1;
	return unite(to, from, "reasons", e);
}

/* What is about one worker only. */
static int clear_lists(json_t *root, struct err *e)
{
	static const char *const keys[] = { "comparisons", "checks", "findings" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (json_object_get(root, keys[i]) && !json_put_array(root, keys[i], e))
			return -1;
	return json_object_get(root, "error") ? json_put(root, "error", json_null(), e) : 0;
}

static const char *first_worker(const json_t *root)
{
	const json_t *merge = json_object_get(json_object_get(root, "extensions"), "merge");

	return text_of(json_array_get(json_object_get(merge, "workers"), 0), "run_id");
}

/* What one document can say of itself only is that of the worker whose run_id sorts first. */
static int add_open(json_t *a, const json_t *b, const char *name, struct err *e)
{
	json_t *mine = json_object_get(json_object_get(a, "extensions"), "merge");
	const json_t *other = json_object_get(json_object_get(b, "extensions"), "merge");

	if (merge_workers_add(mine, other, name, e) < 0 || span_times(a, b, e) < 0 ||
	    worst_status(a, b, e) < 0 || add_noise(a, b, e) < 0 || unite(a, b, "warnings", e) < 0 ||
	    clear_lists(a, e) < 0)
		return -1;
	return add_benchmarks(a, b, e);
}

int merge_add(struct merge *m, const char *name, json_t *root, struct err *e)
{
	CLEANUP(json_decref) json_t *other = root;

	if (m->n == 0) {
		m->root = TAKE(other);
		m->n = 1;
		return 0;
	}
	if (check_like(m, name, other, e) < 0 || (!m->opened && open_document(m->root, e) < 0) ||
	    open_document(other, e) < 0)
		return -1;
	m->opened = true;
	if (strcmp(first_worker(other), first_worker(m->root)) < 0) {
		json_t *swap = m->root;

		m->root = other;
		other = swap;
	}
	m->n++;
	return add_open(m->root, other, name, e) < 0 ? err_wrap(e, "%s", name) : 0;
}

int merge_finish(struct merge *m, size_t expect, json_t **out, struct merge_facts *facts,
		 struct err *e)
{
	bool changes = m->opened || expect > 0;

	if (!m->opened && changes && open_document(m->root, e) < 0)
		return -1;
	m->opened = m->opened || changes;
	if (merge_finish_root(m->root, m->opened, expect, facts, e) < 0)
		return -1;
	if (m->n > 1 && merge_workers_identify(m->root, e) < 0)
		return -1;
	*out = TAKE(m->root);
	m->opened = false;
	m->n = 0;
	return 0;
}
