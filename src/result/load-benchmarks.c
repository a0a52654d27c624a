/* Rules of benchmarks[]: runs, distributions, metrics. */
#include <string.h>

#include "result/load-rules.h"

static const char *const better_words[] = { "lower", "higher", "none", NULL };

static int percentiles(struct where *w, const json_t *v)
{
	json_t *o = json_incref((json_t *)(uintptr_t)v);
	const char *key, *bad = NULL;
	json_t *member;

	json_object_foreach(o, key, member)
	{
		size_t whole = *key == 'p' ? strspn(key + 1, "0123456789") : 0;
		const char *rest = key + 1 + whole;

		if (!bad && (whole == 0 || (*rest && (*rest != '.' ||
						      !check_digits(rest + 1, strlen(rest + 1))))))
			bad = key;
	}
	json_decref(o);
	if (bad)
		return check_wrong(w, "key %.40s is not of the form p99 or p99.9", bad);
	return check_members(w, v, &(const struct field){ .types = INTEGER | NONE });
}

static int histogram(struct where *w, const json_t *v)
{
	static const char *const types[] = { "loglinear", NULL };
	static const struct field fields[] = {
		{ "type", STRING, true, NULL, types },
		{ "bits", COUNT, true, NULL, NULL },
		{ "index_delta", ARRAY, true, check_counts, NULL },
		{ "count", ARRAY, true, check_counts, NULL },
		{ 0 },
	};
	json_int_t bits;

	if (check_fields(w, v, fields) < 0)
		return -1;
	bits = json_integer_value(json_object_get(v, "bits"));
	if (bits < 3 || bits > 12)
		return check_wrong(w, "bits must be 3 to 12");
	return 0;
}

/* Indexes rise and stay inside the scale, each bucket holds something, and all of them together hold n - lost. */
static int check_buckets(struct where *w, const json_t *hist, uint64_t n)
{
	const json_t *deltas = json_object_get(hist, "index_delta"),
		     *held = json_object_get(hist, "count");
	uint64_t index = 0, sum = 0;
	uint64_t bits = (uint64_t)json_integer_value(json_object_get(hist, "bits"));
	uint64_t size = ((UINT64_C(63) - bits) << bits) + (UINT64_C(2) << bits);

	if (json_array_size(deltas) != json_array_size(held))
		return check_wrong(w, "hist: index_delta has %zu elements, count %zu",
				   json_array_size(deltas), json_array_size(held));
	for (size_t i = 0; i < json_array_size(deltas); i++) {
		uint64_t delta = (uint64_t)json_integer_value(json_array_get(deltas, i));
		uint64_t count = (uint64_t)json_integer_value(json_array_get(held, i));

		if (i > 0 && delta == 0)
			return check_wrong(w, "hist.index_delta[%zu] must be at least 1", i);
		if (count == 0)
			return check_wrong(w, "hist.count[%zu] must be at least 1", i);
		index += delta;
		if (delta >= size || index >= size)
			return check_wrong(w, "hist.index_delta[%zu] leaves the scale", i);
		if (__builtin_add_overflow(sum, count, &sum))
			return check_wrong(w, "hist.count adds up to more than 2^64");
	}
	if (sum != n)
		return check_wrong(w, "hist.count adds up to %llu, not to n - lost = %llu",
				   (unsigned long long)sum, (unsigned long long)n);
	return 0;
}

static int check_sums(struct where *w, const json_t *v)
{
	uint64_t n = (uint64_t)json_integer_value(json_object_get(v, "n"));
	uint64_t lost = (uint64_t)json_integer_value(json_object_get(v, "lost"));
	const json_t *hist = json_object_get(v, "hist"), *samples = json_object_get(v, "samples");
	static const char *const moments[] = { "min", "max", "mean" };

	if (lost > n)
		return check_wrong(w, "lost is more than n");
	for (size_t i = 0; n && i < sizeof(moments) / sizeof(*moments); i++)
		if (!json_is_number(json_object_get(v, moments[i])))
			return check_wrong(w, "%s must be a number where n is not 0", moments[i]);
	if (n && json_integer_value(json_object_get(v, "min")) >
			 json_integer_value(json_object_get(v, "max")))
		return check_wrong(w, "min is more than max");
	if (hist && check_buckets(w, hist, n - lost) < 0)
		return -1;
	if (samples && json_array_size(samples) != n)
		return check_wrong(w, "samples has %zu elements, not n = %llu",
				   json_array_size(samples), (unsigned long long)n);
	return 0;
}

static int distribution(struct where *w, const json_t *v)
{
	static const char *const sources[] = { "raw", "histogram", NULL };
	static const struct field fields[] = {
		{ "unit", STRING, true, NULL, NULL },
		{ "better", STRING, false, NULL, better_words },
		{ "n", COUNT, true, NULL, NULL },
		{ "min", COUNT | NONE, true, NULL, NULL },
		{ "max", COUNT | NONE, true, NULL, NULL },
		{ "mean", NUMBER | NONE, true, NULL, NULL },
		{ "stdev", NUMBER | NONE, false, NULL, NULL },
		{ "median", NUMBER | NONE, false, NULL, NULL },
		{ "percentiles", OBJECT, false, percentiles, NULL },
		{ "percentile_notes", OBJECT, false, check_string_members, NULL },
		{ "lag1", NUMBER | NONE, false, NULL, NULL },
		{ "source", STRING, false, NULL, sources },
		{ "lost", COUNT, false, NULL, NULL },
		{ "hist", OBJECT, false, histogram, NULL },
		{ "samples", ARRAY, false, check_counts, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields) < 0 ? -1 : check_sums(w, v);
}

static int distributions(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = OBJECT, .check = distribution });
}

static int pooled(struct where *w, const json_t *v)
{
	return check_members(
		w, v, &(const struct field){ .types = OBJECT | NONE, .check = distribution });
}

static int usage_side(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "user_ns", COUNT, true, NULL, NULL },
		{ "system_ns", COUNT, true, NULL, NULL },
		{ "voluntary_switches", COUNT, false, NULL, NULL },
		{ "involuntary_switches", COUNT, false, NULL, NULL },
		{ "rss_peak_bytes", COUNT, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int usage(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "client", OBJECT | NONE, false, usage_side, NULL },
		{ "server", OBJECT | NONE, false, usage_side, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int syscall(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "calls", COUNT, true, NULL, NULL },	 { "errors", COUNT, false, NULL, NULL },
		{ "bytes", COUNT, false, NULL, NULL },	 { "messages", COUNT, false, NULL, NULL },
		{ "time_ns", COUNT, false, NULL, NULL }, { 0 },
	};

	return check_fields(w, v, fields);
}

static int syscall_members(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = OBJECT, .check = syscall });
}

static int syscalls(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "exact", BOOLEAN, true, NULL, NULL },
		{ "why_not_exact", STRING | NONE, false, NULL, NULL },
		{ "calls", OBJECT, true, syscall_members, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int run(struct where *w, const json_t *v)
{
	static const char *const statuses[] = { "ok", "failed", "interrupted", NULL };
	static const struct field fields[] = {
		{ "index", COUNT, true, NULL, NULL },
		{ "order", COUNT, true, NULL, NULL },
		{ "pair", COUNT | NONE, false, NULL, NULL },
		{ "start_offset_ns", COUNT, false, NULL, NULL },
		{ "duration_ns", COUNT, false, NULL, NULL },
		{ "status", STRING, true, NULL, statuses },
		{ "warmup_discarded", COUNT, false, NULL, NULL },
		{ "ok", COUNT, true, NULL, NULL },
		{ "failed", COUNT, true, NULL, NULL },
		{ "reopened", COUNT, false, NULL, NULL },
		{ "bytes", COUNT, false, NULL, NULL },
		{ "first_ns", COUNT | NONE, false, NULL, NULL },
		{ "planned", COUNT, false, NULL, NULL },
		{ "late_sends", COUNT, false, NULL, NULL },
		{ "errors", OBJECT, true, check_count_members, NULL },
		{ "error_details", OBJECT, false, check_string_members, NULL },
		{ "distributions", OBJECT, true, distributions, NULL },
		{ "usage", OBJECT, false, usage, NULL },
		{ "syscalls", OBJECT | NONE, false, syscalls, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int runs(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = run });
}

static int summary(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "n", COUNT, true, NULL, NULL },
		{ "median", NUMBER | NONE, true, NULL, NULL },
		{ "mad", NUMBER | NONE, false, NULL, NULL },
		{ "mean", NUMBER | NONE, false, NULL, NULL },
		{ "stdev", NUMBER | NONE, false, NULL, NULL },
		{ "min", NUMBER | NONE, false, NULL, NULL },
		{ "max", NUMBER | NONE, false, NULL, NULL },
		{ "median_ci", ARRAY, false, check_interval, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int metric(struct where *w, const json_t *v)
{
	static const char *const assumptions[] = { "distribution", "exact", NULL };
	static const struct field fields[] = {
		{ "unit", STRING, true, NULL, NULL },
		{ "better", STRING, true, NULL, better_words },
		{ "assume", STRING, false, NULL, assumptions },
		{ "values", ARRAY, true, check_numbers_or_null, NULL },
		{ "totals", ARRAY, false, check_counts, NULL },
		{ "operations", ARRAY, false, check_counts, NULL },
		{ "summary", OBJECT, false, summary, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int metrics(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = OBJECT, .check = metric });
}

static int one_value_per_run(struct where *w, const json_t *benchmark)
{
	static const char *const lists[] = { "values", "totals", "operations" };
	size_t n_runs = json_array_size(json_object_get(benchmark, "runs"));
	json_t *all = json_object_get(benchmark, "metrics");
	const char *name;
	json_t *m;

	json_object_foreach(all, name, m) for (size_t i = 0; i < sizeof(lists) / sizeof(*lists);
					       i++)
	{
		const json_t *list = json_object_get(m, lists[i]);

		if (list && json_array_size(list) != n_runs)
			return check_wrong(w, "metrics.%.80s.%s has %zu elements for %zu runs",
					   name, lists[i], json_array_size(list), n_runs);
	}
	return 0;
}

static int params(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = STRING | NUMBER | BOOLEAN });
}

static int benchmark_name(struct where *w, const json_t *v)
{
	const char *text = json_string_value(v);

	if (*text && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_./-")] == '\0')
		return 0;
	return check_wrong(w, "must be made of a-z, 0-9 and _./-");
}

static int benchmark(struct where *w, const json_t *v)
{
	static const char *const loops[] = { "closed", "open", NULL };
	static const struct field fields[] = {
		{ "name", STRING, true, benchmark_name, NULL },
		{ "target", STRING, true, NULL, NULL },
		{ "params", OBJECT, true, params, NULL },
		{ "headline", STRING | NONE, false, NULL, NULL },
		{ "loop", STRING, false, NULL, loops },
		{ "fresh_sessions", BOOLEAN, false, NULL, NULL },
		{ "note", STRING | NONE, false, NULL, NULL },
		{ "runs", ARRAY, true, runs, NULL },
		{ "pooled", OBJECT, false, pooled, NULL },
		{ "metrics", OBJECT, true, metrics, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields) < 0 ? -1 : one_value_per_run(w, v);
}

int check_benchmarks(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = benchmark });
}
