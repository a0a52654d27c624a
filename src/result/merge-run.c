#include "result/merge-run.h"

#include <math.h>
#include <string.h>

#include "result/distribution.h"
#include "result/restore.h"

static json_int_t integer_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int merge_run_window(json_t *run, int64_t origin_ns, struct err *e)
{
	json_int_t start = origin_ns + integer_of(run, "start_offset_ns");
	json_int_t duration = integer_of(run, "duration_ns"), end = start + duration;
	double seconds = (double)duration / 1e9;
	double ops = duration ? (double)integer_of(run, "ok") / seconds * 1000 : 0;
	double bytes = duration ? (double)integer_of(run, "bytes") / seconds : 0;

	return json_put(run, "window",
			json_pack("[I,I,I,I,I,I]", start, start, end, end,
				  (json_int_t)llround(fmin(ops, (double)JSON_INTEGER_MAX)),
				  (json_int_t)llround(fmin(bytes, (double)JSON_INTEGER_MAX))),
			e);
}

static json_int_t window_at(const json_t *run, size_t i)
{
	return json_integer_value(json_array_get(json_object_get(run, "window"), i));
}

/* Times are moved by `by`, rates stay. */
static json_t *moved(const json_t *window, int64_t by)
{
	json_int_t v[6];

	for (size_t i = 0; i < 6; i++)
		v[i] = json_integer_value(json_array_get(window, i)) + (i < 4 ? by : 0);
	return json_pack("[I,I,I,I,I,I]", v[0], v[1], v[2], v[3], v[4], v[5]);
}

int merge_run_reopen(json_t *run, const json_t *stored, int64_t origin_ns, struct err *e)
{
	const json_t *value;
	size_t i;

	json_array_foreach(stored, i, value)
	{
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    json_integer_value(value) > JSON_INTEGER_MAX)
			return err_set(e, ERR_USAGE, "schema",
				       "extensions.merge.windows holds what is no count");
	}
	return json_put(run, "window", moved(stored, origin_ns), e);
}

json_t *merge_run_store(const json_t *run, int64_t origin_ns)
{
	return moved(json_object_get(run, "window"), -origin_ns);
}

static json_int_t least(json_int_t a, json_int_t b)
{
	return a < b ? a : b;
}

static json_int_t most(json_int_t a, json_int_t b)
{
	return a > b ? a : b;
}

/* Rates beyond what a document can say are of no real run. */
static json_int_t sum_of_rates(json_int_t a, json_int_t b)
{
	return a > JSON_INTEGER_MAX - b ? JSON_INTEGER_MAX : a + b;
}

static int add_window(json_t *a, const json_t *b, struct err *e)
{
	json_int_t first = least(window_at(a, 0), window_at(b, 0));
	json_int_t end = most(window_at(a, 3), window_at(b, 3));

	if (end - first > JSON_INTEGER_MAX)
		return err_set(e, ERR_USAGE, "time",
			       "the runs are further apart than a document can say: 104 days");
	if (json_put(a, "window",
		     json_pack("[I,I,I,I,I,I]", first, most(window_at(a, 1), window_at(b, 1)),
			       least(window_at(a, 2), window_at(b, 2)), end,
			       sum_of_rates(window_at(a, 4), window_at(b, 4)),
			       sum_of_rates(window_at(a, 5), window_at(b, 5))),
		     e) < 0)
		return -1;
	return json_put(a, "duration_ns", json_u64((uint64_t)(end - first)), e);
}

/* a[key] += b[key]; what neither has stays away. */
static int add_count(json_t *a, const json_t *b, const char *key, struct err *e)
{
	json_int_t sum;

	if (!json_object_get(a, key) && !json_object_get(b, key))
		return 0;
	if (__builtin_add_overflow(integer_of(a, key), integer_of(b, key), &sum) ||
	    sum > JSON_INTEGER_MAX)
		return err_set(e, ERR_USAGE, "overflow", "%s adds up to more than 2^53", key);
	return json_put(a, key, json_integer(sum), e);
}

static int add_all_counts(json_t *a, const json_t *b, struct err *e)
{
	static const char *const keys[] = { "warmup_discarded", "ok",	 "failed",
					    "reopened",		"bytes", "planned",
					    "late_sends" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (add_count(a, b, keys[i], e) < 0)
			return -1;
	return 0;
}

static int rank_of(const char *status)
{
	return strcmp(status, "ok") == 0 ? 0 : strcmp(status, "failed") == 0 ? 1 : 2;
}

static int add_head(json_t *a, const json_t *b, struct err *e)
{
	const json_t *pair_a = json_object_get(a, "pair"), *pair_b = json_object_get(b, "pair");
	json_int_t first = most(integer_of(a, "first_ns"), integer_of(b, "first_ns"));

	if (rank_of(text_of(b, "status")) > rank_of(text_of(a, "status")) &&
	    json_put(a, "status", json_string(text_of(b, "status")), e) < 0)
		return -1;
	if (json_put(a, "order",
		     json_integer(least(integer_of(a, "order"), integer_of(b, "order"))), e) < 0 ||
	    json_put(a, "first_ns", first ? json_integer(first) : json_null(), e) < 0)
		return -1;
	return pair_a && !json_equal(pair_a, pair_b) ? json_put(a, "pair", json_null(), e) : 0;
}

static int add_errors(json_t *a, const json_t *b, struct err *e)
{
	json_t *to = json_object_get(a, "errors"), *from = json_object_get(b, "errors"), *detail;
	json_t *details = json_object_get(a, "error_details");
	const char *key;
	json_t *count;

	json_object_foreach(from, key, count)
	{
		if (add_count(to, from, key, e) < 0)
			return -1;
	}
	json_object_foreach(json_object_get(b, "error_details"), key, detail)
	{
		const char *there = text_of(details, key);

		/* Of two texts the one that sorts first: the order of adding must not matter. */
		if (details && (!*there || strcmp(json_string_value(detail), there) < 0) &&
		    json_put(details, key, json_incref(detail), e) < 0)
			return -1;
	}
	return 0;
}

static int add_usage_side(json_t *a, const json_t *b, const char *key, struct err *e)
{
	static const char *const keys[] = { "user_ns", "system_ns", "voluntary_switches",
					    "involuntary_switches" };
	json_t *to = json_object_get(a, key);
	const json_t *from = json_object_get(b, key);

	if (!json_is_object(to) || !json_is_object(from))
		return to ? json_put(a, key, json_null(), e) : 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (add_count(to, from, keys[i], e) < 0)
			return -1;
	return json_put(to, "rss_peak_bytes",
			json_integer(most(integer_of(to, "rss_peak_bytes"),
					  integer_of(from, "rss_peak_bytes"))),
			e);
}

static int add_usage(json_t *a, const json_t *b, struct err *e)
{
	json_t *to = json_object_get(a, "usage");
	const json_t *from = json_object_get(b, "usage");

	if (!to)
		return 0;
	return add_usage_side(to, from, "client", e) < 0 ? -1
							 : add_usage_side(to, from, "server", e);
}

static int add_calls(json_t *to, json_t *from, struct err *e)
{
	static const char *const keys[] = { "calls", "errors", "bytes", "messages", "time_ns" };
	const char *name;
	json_t *call;

	json_object_foreach(from, name, call)
	{
		json_t *there = json_object_get(to, name);

		if (!there && json_put(to, name, json_deep_copy(call), e) < 0)
			return -1;
		for (size_t i = 0; there && i < sizeof(keys) / sizeof(*keys); i++)
			if (add_count(there, call, keys[i], e) < 0)
				return -1;
	}
	return 0;
}

static int add_syscalls(json_t *a, const json_t *b, struct err *e)
{
	json_t *to = json_object_get(a, "syscalls");
	const json_t *from = json_object_get(b, "syscalls");
	bool exact;

	if (!json_is_object(to) || !json_is_object(from))
		return to ? json_put(a, "syscalls", json_null(), e) : 0;
	exact = json_is_true(json_object_get(to, "exact")) &&
		json_is_true(json_object_get(from, "exact"));
	if (json_put(to, "exact", json_boolean(exact), e) < 0 ||
	    json_put(to, "why_not_exact",
		     exact ? json_null() : json_string("a contributor's count is not exact"),
		     e) < 0)
		return -1;
	return add_calls(json_object_get(to, "calls"), json_object_get(from, "calls"), e);
}

static int add_series(struct series *s, const json_t *from, struct err *e)
{
	struct series other = { 0 };
	uint64_t sum = s->sum;
	int rc = restore_series(from, &other, e);

	if (rc == 0)
		rc = series_merge(s, &other, e);
	if (rc == 0 && s->n) {
		/* From the whole sum, so that the order of adding does not matter. */
		sum += other.sum;
		s->sum = sum;
		s->mean = (double)((long double)sum / (long double)s->n);
	}
	series_done(&other);
	return rc;
}

static json_t *sum_of(const char *name, const json_t *a, const json_t *b, struct err *e)
{
	struct distribution d = { .name = name, .unit = text_of(a, "unit") };
	const char *better = text_of(a, "better");
	json_t *made = NULL;

	d.better = strcmp(better, "higher") == 0 ? BETTER_HIGHER
		   : strcmp(better, "none") == 0 ? BETTER_NONE
						 : BETTER_LOWER;
	if (strcmp(d.unit, text_of(b, "unit")) != 0)
		err_set(e, ERR_USAGE, "unlike", "%s is in %s and in %s", name, d.unit,
			text_of(b, "unit"));
	else if (restore_series(a, &d.series, e) == 0 && add_series(&d.series, b, e) == 0)
		made = distribution_make(&d, true, false, e);
	series_done(&d.series);
	return made;
}

static int add_distributions(json_t *a, const json_t *b, struct err *e)
{
	json_t *to = json_object_get(a, "distributions");
	json_t *from = json_object_get(b, "distributions"), *d;
	const char *name;

	json_object_foreach(from, name, d)
	{
		const json_t *there = json_object_get(to, name);
		json_t *sum = there ? sum_of(name, there, d, e) : json_deep_copy(d);

		if (!sum)
			return there ? err_wrap(e, "%s", name) : err_nomem(e);
		if (json_put(to, name, sum, e) < 0)
			return -1;
	}
	return 0;
}

int merge_run_add(json_t *a, const json_t *b, struct err *e)
{
	if (add_all_counts(a, b, e) < 0 || add_head(a, b, e) < 0 || add_window(a, b, e) < 0 ||
	    add_errors(a, b, e) < 0 || add_usage(a, b, e) < 0 || add_syscalls(a, b, e) < 0)
		return -1;
	return add_distributions(a, b, e);
}
