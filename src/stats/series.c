#include "stats/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/summary.h"

static int raw_grow(struct series *s, size_t want)
{
	uint64_t *raw;

	if (want > SERIES_RAW_MAX)
		want = SERIES_RAW_MAX;
	if (want <= s->cap_raw)
		return 0;
	raw = realloc(s->raw, want * sizeof(*raw));
	if (!raw)
		return -1;
	s->raw = raw;
	s->cap_raw = want;
	return 0;
}

/* Only called while raw holds every value that is not lost. */
static int histogram_begin(struct series *s)
{
	struct err ignored;

	if (s->has_histogram)
		return 0;
	if (!s->histogram.count && histogram_init(&s->histogram, &ignored) < 0)
		return -1;
	for (size_t i = 0; i < s->n_raw; i++)
		histogram_add(&s->histogram, s->raw[i], 1);
	s->has_histogram = true;
	return 0;
}

int series_init(struct series *s, size_t expect, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if (series_reserve(s, expect, e) == 0)
		return 0;
	series_done(s);
	return -1;
}

void series_done(struct series *s)
{
	free(s->raw);
	histogram_done(&s->histogram);
	memset(s, 0, sizeof(*s));
}

int series_reserve(struct series *s, size_t expect, struct err *e)
{
	if (s->lost || s->n_raw != s->n)
		return 0; /* a histogram already, or past help */
	if (raw_grow(s, expect) < 0)
		return err_nomem(e);
	if (expect > SERIES_RAW_MAX && histogram_begin(s) < 0)
		return err_nomem(e);
	return 0;
}

/* The n-th value did not fit into the memory reserved. */
static void store_slow(struct series *s, uint64_t value)
{
	size_t want = s->cap_raw < 512 ? 1024 : s->cap_raw * 2;
	bool raw_complete = s->n_raw + 1 == s->n && !s->lost;

	if (raw_complete && s->cap_raw < SERIES_RAW_MAX && raw_grow(s, want) == 0) {
		s->raw[s->n_raw++] = value;
		if (s->has_histogram)
			histogram_add(&s->histogram, value, 1);
		return;
	}
	if (raw_complete && histogram_begin(s) < 0) {
		s->lost = 1;
		return;
	}
	if (s->has_histogram)
		histogram_add(&s->histogram, value, 1);
	else
		s->lost++;
}

static double offset_from(uint64_t origin, uint64_t value)
{
	return value >= origin ? (double)(value - origin) : -(double)(origin - value);
}

void series_record(struct series *s, uint64_t value)
{
	double x, delta;

	if (!s->n) {
		s->origin = s->min = s->max = value;
	} else {
		s->min = value < s->min ? value : s->min;
		s->max = value > s->max ? value : s->max;
	}
	s->n++;
	s->sum_high += __builtin_add_overflow(s->sum, value, &s->sum);
	x = offset_from(s->origin, value);
	delta = x - s->mean_offset;
	s->mean_offset += delta / (double)s->n;
	s->m2 += delta * (x - s->mean_offset);
	s->mean = (double)s->origin + s->mean_offset;

	if (s->n_raw + 1 == s->n && s->n_raw < s->cap_raw && !s->has_histogram)
		s->raw[s->n_raw++] = value;
	else if (s->n_raw + 1 == s->n && s->n_raw < s->cap_raw) {
		s->raw[s->n_raw++] = value;
		histogram_add(&s->histogram, value, 1);
	} else {
		store_slow(s, value);
	}
}

static void merge_moments(struct series *a, const struct series *b)
{
	double n = (double)a->n + (double)b->n;
	double b_offset, delta;

	if (!a->n)
		a->origin = b->origin;
	b_offset = b->mean_offset + offset_from(a->origin, b->origin);
	delta = b_offset - a->mean_offset;
	a->m2 += b->m2 + delta * delta * ((double)a->n * ((double)b->n / n));
	a->mean_offset += delta * ((double)b->n / n);
	a->mean = (double)a->origin + a->mean_offset;
	a->min = !a->n || b->min < a->min ? b->min : a->min;
	a->max = !a->n || b->max > a->max ? b->max : a->max;
	a->sum_high += b->sum_high + __builtin_add_overflow(a->sum, b->sum, &a->sum);
	a->n += b->n;
	a->lost += b->lost;
}

/* Percentiles of a and b together, without raw values. b->n_raw values or b's histogram are all that b stored. */
static int merge_histograms(struct series *a, const struct series *b, struct err *e)
{
	if (!a->has_histogram && histogram_begin(a) < 0)
		return err_nomem(e);
	if (b->has_histogram)
		return histogram_merge(&a->histogram, &b->histogram, e);
	for (size_t i = 0; i < b->n_raw; i++)
		histogram_add(&a->histogram, b->raw[i], 1);
	return 0;
}

int series_merge(struct series *a, const struct series *b, struct err *e)
{
	uint64_t n_raw = (uint64_t)a->n_raw + b->n_raw;

	if (!b->n)
		return 0;
	if (b->n > UINT64_MAX - a->n)
		return err_set(e, ERR_USAGE, "overflow",
			       "merged series would count more than 2^64-1 values");
	if (series_is_raw(a) && series_is_raw(b) && n_raw <= SERIES_RAW_MAX) {
		if (raw_grow(a, (size_t)n_raw) < 0)
			return err_nomem(e);
		if (a->has_histogram && merge_histograms(a, b, e) < 0)
			return -1;
		memcpy(a->raw + a->n_raw, b->raw, b->n_raw * sizeof(*b->raw));
		a->n_raw = (size_t)n_raw;
	} else {
		if (merge_histograms(a, b, e) < 0)
			return -1;
		a->n_raw = 0;
	}
	merge_moments(a, b);
	return 0;
}

void series_reset(struct series *s)
{
	uint64_t *raw = s->raw;
	size_t cap_raw = s->cap_raw;
	struct histogram h = s->histogram;
	bool ahead = s->has_histogram;

	if (h.count)
		histogram_reset(&h);
	memset(s, 0, sizeof(*s));
	s->raw = raw;
	s->cap_raw = cap_raw;
	s->histogram = h;
	s->has_histogram = ahead;
}

bool series_is_raw(const struct series *s)
{
	return s->n_raw == s->n;
}

/* The value of a rank among the raw ones by bisection of the values: no scratch memory, at most 64 passes. */
static uint64_t raw_at_rank(const struct series *s, uint64_t rank)
{
	uint64_t lo = s->min, hi = s->max;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2, below = 0;

		for (size_t i = 0; i < s->n_raw; i++)
			below += s->raw[i] <= mid;
		if (below >= rank)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* How many values percentiles are made of: all but the lost ones. */
static uint64_t stored(const struct series *s)
{
	return s->has_histogram ? s->histogram.n : s->n_raw;
}

static uint64_t at_rank(const struct series *s, uint64_t rank)
{
	uint64_t v;

	if (series_is_raw(s) || !s->has_histogram)
		return raw_at_rank(s, rank);
	v = histogram_at_rank(&s->histogram, rank);
	v = v < s->min ? s->min : v;
	return v > s->max ? s->max : v;
}

uint64_t series_percentile(const struct series *s, uint32_t ppm)
{
	uint64_t n = stored(s);

	return n ? at_rank(s, summary_rank(n, ppm)) : 0;
}

double series_median(const struct series *s)
{
	uint64_t n = stored(s), lower;

	if (!n)
		return (double)NAN;
	lower = at_rank(s, (n + 1) / 2);
	if (n % 2)
		return (double)lower;
	return (double)lower + (double)(at_rank(s, n / 2 + 1) - lower) / 2;
}

double series_stdev(const struct series *s)
{
	return s->n < 2 ? (double)NAN : sqrt(s->m2 / (double)(s->n - 1));
}

double series_lag1(const struct series *s)
{
	double above = 0, below = 0, last = 0;

	if (!series_is_raw(s) || s->n < 3)
		return (double)NAN;
	for (size_t i = 0; i < s->n_raw; i++) {
		double d = offset_from(s->origin, s->raw[i]) - s->mean_offset;

		above += i ? last * d : 0;
		below += d * d;
		last = d;
	}
	return s->min == s->max ? (double)NAN : above / below;
}

int series_histogram(const struct series *s, struct histogram *out, struct err *e)
{
	CLEANUP(histogram_done) struct histogram h = { 0 };

	if (histogram_init(&h, e) < 0)
		return -1;
	if (s->has_histogram) {
		if (histogram_merge(&h, &s->histogram, e) < 0)
			return -1;
	} else {
		for (size_t i = 0; i < s->n_raw; i++)
			histogram_add(&h, s->raw[i], 1);
	}
	*out = h;
	h.count = NULL;
	return 0;
}
