#include "picture/sample.h"

#include <math.h>
#include <string.h>

#include "result/view.h"

void sample_done(struct sample *s)
{
	histogram_done(&s->h);
}

static void add_counts(struct sample *s, const json_t *hist)
{
	const json_t *deltas = json_object_get(hist, "index_delta"),
		     *counts = json_object_get(hist, "count");
	json_int_t bits = json_integer_value(json_object_get(hist, "bits"));
	size_t index = 0;

	if (bits < 1 || bits > 31)
		return;
	for (size_t i = 0; i < json_array_size(deltas) && i < json_array_size(counts); i++) {
		json_int_t delta = json_integer_value(json_array_get(deltas, i));
		json_int_t count = json_integer_value(json_array_get(counts, i));
		uint64_t low, high;

		index += (size_t)delta;
		if (delta < 0 || count < 0 || index >> bits > (size_t)(64 - bits))
			return;
		low = loglinear_low((unsigned)bits, index);
		high = loglinear_high((unsigned)bits, index);
		histogram_add(&s->h, low + (high - low) / 2, (uint64_t)count);
	}
}

static void add_samples(struct sample *s, const json_t *samples)
{
	for (size_t i = 0; i < json_array_size(samples); i++) {
		json_int_t v = json_integer_value(json_array_get(samples, i));

		histogram_add(&s->h, v > 0 ? (uint64_t)v : 0, 1);
	}
}

static void add_run(struct sample *s, const json_t *run, const char *name)
{
	const json_t *d = json_object_get(json_object_get(run, "distributions"), name);
	uint64_t before = s->h.n;

	if (json_object_get(d, "hist"))
		add_counts(s, json_object_get(d, "hist"));
	else
		add_samples(s, json_object_get(d, "samples"));
	if (s->h.n == before)
		return;
	s->min = fmin(s->min, view_number(d, "min"));
	s->max = fmax(s->max, view_number(d, "max"));
}

static int start(struct sample *s, struct err *e)
{
	*s = (struct sample){ .min = (double)NAN, .max = (double)NAN };
	return histogram_init(&s->h, e);
}

int sample_of_run(const json_t *run, const char *distribution, struct sample *out, struct err *e)
{
	if (start(out, e) < 0)
		return -1;
	add_run(out, run, distribution);
	return 0;
}

int sample_of_all(const json_t *benchmark, const char *distribution, struct sample *out,
		  struct err *e)
{
	const json_t *runs = json_object_get(benchmark, "runs"), *run;
	size_t i;

	if (start(out, e) < 0)
		return -1;
	json_array_foreach(runs, i, run)
	{
		if (strcmp(view_text(run, "status"), "ok") == 0)
			add_run(out, run, distribution);
	}
	return 0;
}

static double within(const struct sample *s, double v)
{
	return v < s->min ? s->min : v > s->max ? s->max : v;
}

void sample_quantiles(const struct sample *s, const double *share, size_t n, double *out)
{
	size_t index = s->h.lowest;
	uint64_t below = 0; /* values in buckets before index */

	for (size_t i = 0; i < n; i++) {
		double rank = ceil(share[i] * (double)s->h.n);

		while (index < s->h.highest && (double)(below + s->h.count[index]) < rank)
			below += s->h.count[index++];
		out[i] = share[i] <= 0 ? s->min : within(s, (double)histogram_high(index));
		if (share[i] >= 1)
			out[i] = s->max;
	}
}

void sample_cells(const struct sample *s, const double *end, size_t n, double *out)
{
	size_t cell = 0;

	memset(out, 0, n * sizeof(*out));
	for (size_t i = s->h.lowest; i <= s->h.highest && i < HISTOGRAM_SIZE; i++) {
		double low = within(s, (double)histogram_low(i));
		double high = within(s, (double)histogram_high(i) + 1);
		double count = (double)s->h.count[i];

		if (!s->h.count[i])
			continue;
		while (cell + 1 < n && end[cell + 1] <= low)
			cell++;
		if (!(high > low)) {
			out[cell] += count;
			continue;
		}
		for (size_t c = cell; c < n; c++) {
			double from = fmax(low, end[c]), to = fmin(high, end[c + 1]);

			if (to > from)
				out[c] += count * (to - from) / (high - low);
			if (high <= end[c + 1])
				break;
		}
	}
}
