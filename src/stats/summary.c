#include "stats/summary.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "stats/student.h"

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void summary_sort(double *data, size_t n)
{
	if (n > 1)
		qsort(data, n, sizeof(*data), compare_doubles);
}

/* Neumaier's sum: the low parts lost by each addition are added up beside it. */
double summary_mean(const double *data, size_t n)
{
	double sum = 0, lost = 0;

	if (!n)
		return (double)NAN;
	for (size_t i = 0; i < n; i++) {
		double next = sum + data[i];

		lost += fabs(sum) >= fabs(data[i]) ? (sum - next) + data[i]
						   : (data[i] - next) + sum;
		sum = next;
	}
	return (sum + lost) / (double)n;
}

double summary_stdev(const double *data, size_t n)
{
	double mean = summary_mean(data, n), squares = 0, drift = 0;

	if (n < 2)
		return (double)NAN;
	for (size_t i = 0; i < n; i++) {
		double d = data[i] - mean;

		squares += d * d;
		drift += d;
	}
	/* What the rounding of the mean put in is taken out again. */
	squares -= drift * drift / (double)n;
	return squares > 0 ? sqrt(squares / (double)(n - 1)) : 0;
}

double summary_median_sorted(const double *data, size_t n)
{
	if (!n)
		return (double)NAN;
	if (n % 2)
		return data[n / 2];
	return data[n / 2 - 1] + (data[n / 2] - data[n / 2 - 1]) / 2;
}

int summary_mad(const double *data, size_t n, double *out, struct err *e)
{
	CLEANUP_FREE double *scratch = NULL;
	double median;

	if (!n) {
		*out = (double)NAN;
		return 0;
	}
	scratch = calloc(n, sizeof(*scratch));
	if (!scratch)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		scratch[i] = data[i];
	summary_sort(scratch, n);
	median = summary_median_sorted(scratch, n);
	for (size_t i = 0; i < n; i++)
		scratch[i] = fabs(scratch[i] - median);
	summary_sort(scratch, n);
	*out = summary_median_sorted(scratch, n);
	return 0;
}

uint64_t summary_rank(uint64_t n, uint32_t ppm)
{
	unsigned __int128 rank = ((unsigned __int128)n * ppm + 999999) / 1000000;

	if (rank > n)
		rank = n;
	return rank ? (uint64_t)rank : 1;
}

double summary_percentile_sorted(const double *data, size_t n, uint32_t ppm)
{
	return n ? data[summary_rank(n, ppm) - 1] : (double)NAN;
}

double summary_percentile7_sorted(const double *data, size_t n, double p)
{
	double h, whole;
	size_t i;

	if (!n)
		return (double)NAN;
	h = (double)(n - 1) * p;
	whole = floor(h);
	i = whole > 0 ? (size_t)whole : 0;
	if (i + 1 >= n)
		return data[n - 1];
	return data[i] + (data[i + 1] - data[i]) * (h - whole);
}

double summary_lag1(const double *data, size_t n)
{
	double mean = summary_mean(data, n), above = 0, below = 0;
	bool equal = true;

	for (size_t i = 0; i < n; i++) {
		double d = data[i] - mean;

		above += i ? (data[i - 1] - mean) * d : 0;
		below += d * d;
		equal = equal && data[i] == data[0];
	}
	return n < 3 || equal ? (double)NAN : above / below;
}

/* Binomial weights by their ratios, outward from the mode, which weighs 1: no factorials, so no digits are lost at any
 * n. They are divided by their total at the end; those far below the mode's no longer count. */
static const double weight_min = 1e-25;

static double weight_down(uint64_t n, double odds, double w, uint64_t k)
{
	return w * (double)k / ((double)(n - k + 1) * odds);
}

static double weight_up(uint64_t n, double odds, double w, uint64_t k)
{
	return w * (double)(n - k) * odds / (double)(k + 1);
}

static double weight_below(uint64_t n, double odds, uint64_t mode)
{
	double w = 1, sum = 0;

	for (uint64_t k = mode; k > 0 && w > weight_min; k--) {
		w = weight_down(n, odds, w, k);
		sum += w;
	}
	return sum;
}

static double weight_above(uint64_t n, double odds, uint64_t mode)
{
	double w = 1, sum = 0;

	for (uint64_t k = mode; k < n && w > weight_min; k++) {
		w = weight_up(n, odds, w, k);
		sum += w;
	}
	return sum;
}

struct rank_interval summary_rank_interval(uint64_t n, uint32_t ppm)
{
	double odds, below, above, total, w;
	uint64_t mode, lo, hi;

	if (ppm >= 1000000)
		return (struct rank_interval){ .lo = n, .hi = n + 1, .coverage = 1 };
	odds = (double)ppm / (double)(1000000 - ppm);
	mode = (uint64_t)(((unsigned __int128)n + 1) * ppm / 1000000);
	below = weight_below(n, odds, mode);
	above = weight_above(n, odds, mode);
	total = 1 + below + above;

	w = 1;
	for (lo = mode; lo > 0 && below > 0.025 * total; lo--) {
		w = weight_down(n, odds, w, lo);
		below -= w;
	}
	w = 1;
	for (hi = mode; hi < n && above > 0.025 * total; hi++) {
		w = weight_up(n, odds, w, hi);
		above -= w;
	}
	below = lo ? below : 0;
	above = hi < n ? above : 0;
	return (struct rank_interval){ .lo = lo,
				       .hi = hi + 1,
				       .coverage = 1 - (below + above) / total };
}

void summary_mean_interval(const double *data, size_t n, double *lo, double *hi)
{
	double mean = summary_mean(data, n), half = (double)NAN;

	if (n >= 2)
		half = student_quantile(0.05, (double)(n - 1)) * summary_stdev(data, n) /
		       sqrt((double)n);
	*lo = mean - half;
	*hi = mean + half;
}

struct outlier_counts summary_outliers_sorted(const double *data, size_t n)
{
	double q1 = summary_percentile7_sorted(data, n, 0.25);
	double q3 = summary_percentile7_sorted(data, n, 0.75);
	struct outlier_counts out = { 0 };

	for (size_t i = 0; i < n; i++) {
		out.low_mild += data[i] < q1 - 1.5 * (q3 - q1);
		out.low_severe += data[i] < q1 - 3 * (q3 - q1);
		out.high_mild += data[i] > q3 + 1.5 * (q3 - q1);
		out.high_severe += data[i] > q3 + 3 * (q3 - q1);
	}
	return out;
}
