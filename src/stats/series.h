/* series - what one run recorded for one metric */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/histogram.h"

enum { SERIES_RAW_MAX = 65536 };

/*
 * Exact n, min, max and sum, mean and variance (Welford) of all values; the first SERIES_RAW_MAX in order; once there
 * are more, a histogram of all of them. Memory for `expect` raw values (capped) is taken by series_init, so
 * series_record never allocates up to that; with expect > SERIES_RAW_MAX the histogram too is made at once and filled
 * from the first value on, so that it never has to be built within a timed region. Beyond the expectation memory grows;
 * when it cannot, values still enter n, min, max, sum, mean and variance, but no percentile: `lost` counts them and the
 * document says so.
 */
struct series {
	uint64_t n, min, max; /* min, max: 0 when empty */
	double mean, m2;
	uint64_t sum; /* exact modulo 2^64; sum_high carries */
	uint64_t sum_high;
	uint64_t origin;    /* the first value: moments are kept relative to it */
	double mean_offset; /* mean - origin */
	uint64_t *raw;	    /* first n_raw values in order */
	size_t n_raw, cap_raw;
	bool has_histogram; /* then it holds all n values (but the lost ones), also while raw does */
	struct histogram histogram;
	uint64_t lost;
};

int series_init(struct series *s, size_t expect, struct err *e) ERR_MUST_CHECK;
void series_done(struct series *s);
CLEANUP_OBJ(struct series, series_done)
/* Makes room ahead of time so that recording up to `expect` values does not allocate. */
int series_reserve(struct series *s, size_t expect, struct err *e) ERR_MUST_CHECK;
void series_record(struct series *s, uint64_t value);
/* a gets all of b; raw values stay only when both fit (a's, then b's). Welford's pairwise (Chan) formula. On failure
 * (no memory, count overflow) a is unchanged. */
int series_merge(struct series *a, const struct series *b, struct err *e) ERR_MUST_CHECK;
/* Empties, keeps the memory. */
void series_reset(struct series *s);

/* Whether percentiles come from raw values (exact) or the histogram (to 1/128). True when empty. */
bool series_is_raw(const struct series *s);
/* Integer nearest rank; from the histogram clamped to [min, max]. 0 when empty. Allocates nothing. */
uint64_t series_percentile(const struct series *s, uint32_t ppm);
/* Mean of the two middle values; NaN when empty. */
double series_median(const struct series *s);
/* Sample standard deviation (n-1); NaN below 2 values. */
double series_stdev(const struct series *s);
/* Lag-1 autocorrelation of the raw values in order; NaN when undefined or not raw. */
double series_lag1(const struct series *s);
/* The raw values as a histogram too (for storage); built on demand, *out owned by the caller. */
int series_histogram(const struct series *s, struct histogram *out, struct err *e) ERR_MUST_CHECK;
