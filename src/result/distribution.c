#include "result/distribution.h"

#include <math.h>
#include <stdio.h>

static const struct percentile {
	const char *key;
	uint32_t ppm;
} percentile[] = { { "p50", 500000 },
		   { "p90", 900000 },
		   { "p95", 950000 },
		   { "p99", 990000 },
		   { "p99.9", 999000 } };

enum { PERCENTILES = sizeof(percentile) / sizeof(*percentile) };

static int add_note(json_t *notes, const struct percentile *p, uint64_t n, struct err *e)
{
	char text[128];

	if (!percentile_is_carried(n, p->ppm))
		snprintf(text, sizeof(text),
			 "%llu samples; fewer than %llu carry no %s but the maximum",
			 (unsigned long long)n, (unsigned long long)percentile_needs(p->ppm),
			 p->key);
	else if (n < percentile_needs_bound(p->ppm))
		snprintf(text, sizeof(text), "%llu samples; %s has no upper bound below %llu",
			 (unsigned long long)n, p->key,
			 (unsigned long long)percentile_needs_bound(p->ppm));
	else
		return 0;
	return json_put(notes, p->key, json_string(text), e);
}

static int add_percentiles(json_t *object, const struct series *s, struct err *e)
{
	json_t *values = json_put_object(object, "percentiles", e);
	json_t *notes = values ? json_put_object(object, "percentile_notes", e) : NULL;

	for (size_t i = 0; notes && i < PERCENTILES; i++) {
		uint32_t ppm = percentile[i].ppm;
		bool carried = percentile_is_carried(s->n, ppm);

		if (json_put(values, percentile[i].key,
			     carried ? json_u64(series_percentile(s, ppm)) : json_null(), e) < 0 ||
		    add_note(notes, &percentile[i], s->n, e) < 0)
			return -1;
	}
	return notes ? 0 : -1;
}

static int add_buckets(json_t *hist, const struct histogram *h, struct err *e)
{
	json_t *deltas = json_put_array(hist, "index_delta", e);
	json_t *counts = deltas ? json_put_array(hist, "count", e) : NULL;
	size_t last = 0;

	if (!counts)
		return -1;
	for (size_t i = h->lowest; h->n && i <= h->highest; i++) {
		if (h->count[i] == 0)
			continue;
		if (json_push(deltas, json_u64(i - last), e) < 0 ||
		    json_push(counts, json_u64(h->count[i]), e) < 0)
			return -1;
		last = i;
	}
	return 0;
}

int distribution_put_hist(json_t *object, const struct histogram *h, struct err *e)
{
	json_t *hist = json_put_object(object, "hist", e);

	if (!hist || json_put(hist, "type", json_string("loglinear"), e) < 0 ||
	    json_put(hist, "bits", json_integer(HISTOGRAM_BITS), e) < 0)
		return -1;
	return add_buckets(hist, h, e);
}

static int add_histogram(json_t *object, const struct series *s, struct err *e)
{
	CLEANUP(histogram_done) struct histogram h = { 0 };

	return series_histogram(s, &h, e) < 0 ? -1 : distribution_put_hist(object, &h, e);
}

static int add_samples(json_t *object, const struct series *s, struct err *e)
{
	json_t *samples = json_put_array(object, "samples", e);

	for (size_t i = 0; samples && i < s->n_raw; i++)
		if (json_push(samples, json_u64(s->raw[i]), e) < 0)
			return -1;
	return samples ? 0 : -1;
}

static const char *better_name(enum better b)
{
	return b == BETTER_LOWER ? "lower" : b == BETTER_HIGHER ? "higher" : "none";
}

static int add_moments(json_t *object, const struct series *s, struct err *e)
{
	bool any = s->n > 0;

	if (json_put(object, "n", json_u64(s->n), e) < 0 ||
	    json_put(object, "min", any ? json_u64(s->min) : json_null(), e) < 0 ||
	    json_put(object, "max", any ? json_u64(s->max) : json_null(), e) < 0 ||
	    json_put(object, "mean", json_number(any ? s->mean : (double)NAN), e) < 0 ||
	    json_put(object, "stdev", json_number(series_stdev(s)), e) < 0 ||
	    json_put(object, "median", json_number(series_median(s)), e) < 0)
		return -1;
	return 0;
}

json_t *distribution_make(const struct distribution *d, bool histogram, bool samples, struct err *e)
{
	CLEANUP(json_decref) json_t *object = json_object();
	const struct series *s = &d->series;
	bool raw = series_is_raw(s);

	if (!object) {
		err_nomem(e);
		return NULL;
	}
	if (json_put(object, "unit", json_string(d->unit), e) < 0 ||
	    json_put(object, "better", json_string(better_name(d->better)), e) < 0 ||
	    add_moments(object, s, e) < 0 || add_percentiles(object, s, e) < 0 ||
	    json_put(object, "lag1", json_number(series_lag1(s)), e) < 0 ||
	    json_put(object, "source", json_string(raw ? "raw" : "histogram"), e) < 0 ||
	    json_put(object, "lost", json_u64(s->lost), e) < 0 ||
	    (histogram && add_histogram(object, s, e) < 0) ||
	    (samples && raw && add_samples(object, s, e) < 0))
		return NULL;
	return TAKE(object);
}
