#include "result/view.h"

#include <math.h>
#include <string.h>

const char *view_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

double view_number(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

const json_t *view_target(const json_t *root, const char *label)
{
	const json_t *targets = json_object_get(root, "targets");

	for (size_t i = 0; i < json_array_size(targets); i++) {
		const json_t *t = json_array_get(targets, i);

		if (strcmp(view_text(t, "label"), label) == 0)
			return t;
	}
	return NULL;
}

const char *view_identity(const json_t *target, const char *key)
{
	return view_text(json_object_get(target, "identity"), key);
}

static void add_counts(const json_t *hist, struct histogram *out)
{
	const json_t *deltas = json_object_get(hist, "index_delta"),
		     *counts = json_object_get(hist, "count");
	size_t index = 0;

	for (size_t i = 0; i < json_array_size(deltas) && i < json_array_size(counts); i++) {
		json_int_t delta = json_integer_value(json_array_get(deltas, i));
		json_int_t count = json_integer_value(json_array_get(counts, i));

		if (delta < 0 || delta >= HISTOGRAM_SIZE || count < 0)
			return;
		index += (size_t)delta;
		if (index >= HISTOGRAM_SIZE)
			return;
		histogram_add(out, histogram_high(index), (uint64_t)count);
	}
}

int view_histogram(const json_t *benchmark, const char *distribution, struct histogram *out,
		   struct err *e)
{
	const json_t *runs = json_object_get(benchmark, "runs");

	if (histogram_init(out, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(runs); i++) {
		const json_t *run = json_array_get(runs, i);
		const json_t *dist =
			json_object_get(json_object_get(run, "distributions"), distribution);

		if (strcmp(view_text(run, "status"), "ok") == 0)
			add_counts(json_object_get(dist, "hist"), out);
	}
	return 0;
}

size_t view_values(const json_t *benchmark, const char *metric, double *out, size_t max)
{
	const json_t *m = json_object_get(json_object_get(benchmark, "metrics"), metric);
	const json_t *values = json_object_get(m, "values");
	size_t n = json_array_size(values);

	for (size_t i = 0; i < n && i < max; i++) {
		const json_t *v = json_array_get(values, i);

		out[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
	}
	return n;
}
