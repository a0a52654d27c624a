#include "result/restore.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t count_of(const json_t *object, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(object, key));

	return v > 0 ? (uint64_t)v : 0;
}

static double number_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int restore_buckets(const json_t *hist, struct histogram *h, struct err *e)
{
	const json_t *deltas = json_object_get(hist, "index_delta");
	const json_t *counts = json_object_get(hist, "count");
	size_t index = 0;

	if (json_integer_value(json_object_get(hist, "bits")) != HISTOGRAM_BITS)
		return err_set(e, ERR_USAGE, "histogram",
			       "a histogram with %d sub-bucket bits cannot be added to one with %d",
			       (int)json_integer_value(json_object_get(hist, "bits")),
			       HISTOGRAM_BITS);
	if (histogram_init(h, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(deltas); i++) {
		index += (size_t)json_integer_value(json_array_get(deltas, i));
		if (index >= HISTOGRAM_SIZE)
			return err_set(e, ERR_USAGE, "histogram", "a bucket beyond the scale");
		histogram_add(h, histogram_low(index),
			      (uint64_t)json_integer_value(json_array_get(counts, i)));
	}
	return 0;
}

/* The sum is whole, and mean times n is near enough to it to find it again while it is below 2^52. */
static void restore_moments(const json_t *d, struct series *s)
{
	double mean = number_of(d, "mean"), stdev = number_of(d, "stdev");
	long double sum = roundl((long double)mean * (long double)s->n);

	s->origin = s->min;
	s->mean = mean;
	s->mean_offset = mean - (double)s->min;
	s->m2 = isnan(stdev) ? 0 : stdev * stdev * (double)(s->n - 1);
	s->sum = sum > 0 && sum < 0x1p63L ? (uint64_t)sum : 0;
}

int restore_series(const json_t *d, struct series *out, struct err *e)
{
	const json_t *hist = json_object_get(d, "hist");

	if (series_init(out, 0, e) < 0)
		return -1;
	out->n = count_of(d, "n");
	if (out->n == 0)
		return 0;
	if (!hist)
		return err_set(e, ERR_USAGE, "histogram",
			       "a distribution has no histogram: it cannot be added up");
	out->min = count_of(d, "min");
	out->max = count_of(d, "max");
	out->lost = count_of(d, "lost");
	restore_moments(d, out);
	out->has_histogram = true;
	return restore_buckets(hist, &out->histogram, e);
}

static void restore_usage(const json_t *side, struct usage *u)
{
	if (!json_is_object(side))
		return;
	*u = (struct usage){ .known = true,
			     .user_ns = count_of(side, "user_ns"),
			     .system_ns = count_of(side, "system_ns"),
			     .voluntary_switches = count_of(side, "voluntary_switches"),
			     .involuntary_switches = count_of(side, "involuntary_switches"),
			     .rss_peak_bytes = count_of(side, "rss_peak_bytes") };
}

static int restore_syscalls(const json_t *window, struct syscall_window *w, struct err *e)
{
	json_t *calls = json_object_get(window, "calls"), *one;
	const char *name;

	if (!json_is_object(window))
		return 0;
	w->count = calloc(json_object_size(calls) + 1, sizeof(*w->count));
	if (!w->count)
		return err_nomem(e);
	w->known = true;
	w->exact = json_is_true(json_object_get(window, "exact"));
	json_object_foreach(calls, name, one) w->count[w->n++] =
		(struct syscall_count){ .name = name, .calls = count_of(one, "calls") };
	return 0;
}

static int restore_distributions(const json_t *run, struct run *r, struct err *e)
{
	json_t *all = json_object_get(run, "distributions"), *d;
	const char *name;

	r->distribution = calloc(json_object_size(all) + 1, sizeof(*r->distribution));
	if (!r->distribution)
		return err_nomem(e);
	json_object_foreach(all, name, d)
	{
		struct distribution *to = &r->distribution[r->n_distributions++];
		const char *better = text_of(d, "better");

		to->name = name;
		to->unit = text_of(d, "unit");
		to->better = strcmp(better, "higher") == 0 ? BETTER_HIGHER
			     : strcmp(better, "none") == 0 ? BETTER_NONE
							   : BETTER_LOWER;
		if (restore_series(d, &to->series, e) < 0)
			return err_wrap(e, "%s", name);
	}
	return 0;
}

static int restore_run(const json_t *run, bool series, struct run *r, struct err *e)
{
	const char *status = text_of(run, "status");
	const json_t *pair = json_object_get(run, "pair"), *usage = json_object_get(run, "usage");

	r->index = (uint32_t)count_of(run, "index");
	r->order = (uint32_t)count_of(run, "order");
	r->pair = json_is_integer(pair) ? (int32_t)json_integer_value(pair) : -1;
	r->duration_ns = count_of(run, "duration_ns");
	r->status = strcmp(status, "ok") == 0	    ? RUN_OK
		    : strcmp(status, "failed") == 0 ? RUN_FAILED
						    : RUN_INTERRUPTED;
	r->ok = count_of(run, "ok");
	r->failed = count_of(run, "failed");
	r->bytes = count_of(run, "bytes");
	r->planned = count_of(run, "planned");
	r->first_ns = count_of(run, "first_ns");
	restore_usage(json_object_get(usage, "client"), &r->client);
	restore_usage(json_object_get(usage, "server"), &r->server);
	if (restore_syscalls(json_object_get(run, "syscalls"), &r->syscalls, e) < 0)
		return -1;
	return series ? restore_distributions(run, r, e) : 0;
}

static int restore_params(const json_t *params, struct benchmark *b, struct err *e)
{
	/* jansson's iterators take no const, though they change nothing. */
	json_t *o = (json_t *)(uintptr_t)params, *value;
	const char *key;

	json_object_foreach(o, key, value)
	{
		struct param *p;

		if (b->n_params == PARAMS_MAX)
			return err_set(e, ERR_USAGE, "params", "more than %d parameters",
				       PARAMS_MAX);
		p = &b->params[b->n_params++];
		p->key = key;
		p->type = json_is_string(value)	   ? PARAM_TEXT
			  : json_is_boolean(value) ? PARAM_BOOL
						   : PARAM_INTEGER;
		p->text = json_string_value(value);
		p->integer = json_is_boolean(value) ? json_is_true(value)
						    : (int64_t)json_number_value(value);
	}
	return 0;
}

static int check_size(const json_t *runs, struct err *e)
{
	const json_t *run;
	size_t i, n = 0;

	json_array_foreach(runs, i, run) n +=
		json_object_size(json_object_get(run, "distributions"));
	return n <= RESTORE_DISTRIBUTIONS_MAX
		       ? 0
		       : err_set(e, ERR_USAGE, "too-big",
				 "more than %d distributions in one benchmark",
				 RESTORE_DISTRIBUTIONS_MAX);
}

static int fill(const json_t *benchmark, bool series, struct benchmark *b, struct err *e)
{
	const json_t *runs = json_object_get(benchmark, "runs"), *run;
	size_t i;

	snprintf(b->name, sizeof(b->name), "%s", text_of(benchmark, "name"));
	snprintf(b->target, sizeof(b->target), "%s", text_of(benchmark, "target"));
	b->headline = text_of(benchmark, "headline");
	b->open_loop = strcmp(text_of(benchmark, "loop"), "open") == 0;
	b->run = calloc(json_array_size(runs) + 1, sizeof(*b->run));
	if (!b->run)
		return err_nomem(e);
	if (check_size(runs, e) < 0 ||
	    restore_params(json_object_get(benchmark, "params"), b, e) < 0)
		return -1;
	json_array_foreach(runs, i, run)
	{
		b->n_runs++;
		if (restore_run(run, series, &b->run[i], e) < 0)
			return -1;
	}
	return 0;
}

int restore_benchmark(const json_t *benchmark, bool series, struct benchmark *out, struct err *e)
{
	*out = (struct benchmark){ 0 };
	if (fill(benchmark, series, out, e) == 0)
		return 0;
	restore_done(out);
	return err_wrap(e, "%s", text_of(benchmark, "name"));
}

void restore_done(struct benchmark *b)
{
	for (size_t i = 0; i < b->n_runs; i++) {
		struct run *r = &b->run[i];

		for (size_t k = 0; k < r->n_distributions; k++)
			series_done(&r->distribution[k].series);
		free(r->distribution);
		free(r->syscalls.count);
	}
	free(b->run);
	*b = (struct benchmark){ 0 };
}
