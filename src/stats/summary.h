/* summary - numbers about one sample of doubles: run values, or a data set */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* All functions take data[0..n); NaN is not allowed in it. Those that need order work on a sorted array, marked by
 * name. n = 0 gives NaN. */
void summary_sort(double *data, size_t n);
double summary_mean(const double *data, size_t n);	    /* compensated: exact to 1 ulp or so */
double summary_stdev(const double *data, size_t n);	    /* two-pass, n-1; NaN below 2 */
double summary_median_sorted(const double *data, size_t n); /* mean of the two middle values */
/* Median of |x - median|, unscaled. Works on scratch of its own; -1 on no memory. */
int summary_mad(const double *data, size_t n, double *out, struct err *e) ERR_MUST_CHECK;
double summary_percentile_sorted(const double *data, size_t n, uint32_t ppm); /* nearest rank */
/* Type 7 (linear interpolation at (n-1)p, 0 <= p <= 1), only to compare with peers. */
double summary_percentile7_sorted(const double *data, size_t n, double p);
/* sum d[i]d[i+1] / sum d[i]^2, d = x - mean; NaN below 3 values or where all are equal. */
double summary_lag1(const double *data, size_t n);
/* Nearest rank of ppm among n, 1-based, integer arithmetic: (ppm*n + 999999)/1000000, at least 1, at most n. */
uint64_t summary_rank(uint64_t n, uint32_t ppm);

/* Order-statistic 95 % interval of the quantile ppm: 1-based ranks; lo 0 = unbounded below, hi n+1 = unbounded above.
 * With B ~ Binomial(n, ppm/1e6): lo is the largest l with P(B <= l-1) <= .025, hi the smallest u with
 * P(B >= u) <= .025. `coverage` is the exact binomial coverage P(lo <= B <= hi-1) for independent values. Exact to
 * n = 1e7; O(sqrt n) work. */
struct rank_interval {
	uint64_t lo, hi;
	double coverage;
};
struct rank_interval summary_rank_interval(uint64_t n, uint32_t ppm);
/* Mean +- t(0.975, n-1) s / sqrt n; NaN below 2 values. */
void summary_mean_interval(const double *data, size_t n, double *lo, double *hi);

struct outlier_counts {
	uint32_t low_mild, low_severe, high_mild, high_severe; /* mild counts include severe */
};
/* Tukey fences (1.5 and 3 IQR beyond type-7 quartiles, strictly outside). */
struct outlier_counts summary_outliers_sorted(const double *data, size_t n);
