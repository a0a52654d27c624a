#include "stats/compare.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "stats/rank.h"
#include "stats/student.h"
#include "stats/summary.h"

static int compare_ranks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* P(|S - mu| >= |s - mu|) for the rank sum S of m of the n doubled ranks, which get sorted. */
static int permutation_p(uint32_t *rank, size_t n, size_t m, uint64_t s, double *p, struct err *e)
{
	CLEANUP_FREE double *count = NULL;
	double mu = (double)m * (double)(n + 1), distance = fabs((double)s - mu);
	double extreme = 0, low = 0;
	size_t width;

	qsort(rank, n, sizeof(*rank), compare_ranks);
	if (rank_sum_counts(rank, n, m, SIZE_MAX - 1, &count, &width, e) < 0)
		return -1;
	for (size_t j = 0; j < m; j++)
		low += rank[j];
	/* All of these are whole numbers: the comparison is exact. */
	for (size_t t = 0; t < width; t++)
		if (fabs(low + (double)t - mu) >= distance)
			extreme += count[t];
	*p = extreme / rank_choose(n, m);
	return 0;
}

static void normal_approximation(struct mann_whitney *out, double m, double n, double ties)
{
	double all = m + n, mu = m * n / 2;
	double variance = m * n / 12 * (all + 1 - ties / (all * (all - 1)));

	out->z = (double)NAN;
	out->p_normal = 1;
	if (variance <= 0)
		return;
	out->z = fmax(0, fabs(out->u_x - mu) - 0.5) / sqrt(variance);
	out->p_normal = erfc(out->z / M_SQRT2);
}

int compare_mann_whitney(const double *x, size_t m, const double *y, size_t n,
			 struct mann_whitney *out, struct err *e)
{
	CLEANUP_FREE double *pooled = NULL;
	CLEANUP_FREE uint32_t *rank = NULL;
	uint64_t s_x = 0, s_y = 0;
	double ties;

	if (!m || !n)
		return err_set(e, ERR_USAGE, "empty", "nothing to compare: a side has no values");
	if (m + n > COMPARE_PRODUCT_MAX)
		return err_set(e, ERR_USAGE, "too-many", "too many values to compare: %zu", m + n);
	pooled = calloc(m + n, sizeof(*pooled));
	rank = calloc(m + n, sizeof(*rank));
	if (!pooled || !rank)
		return err_nomem(e);
	for (size_t i = 0; i < m + n; i++)
		pooled[i] = i < m ? x[i] : y[i - m];
	if (rank_doubled(pooled, m + n, rank, &ties, e) < 0)
		return -1;
	for (size_t i = 0; i < m + n; i++)
		*(i < m ? &s_x : &s_y) += rank[i];
	out->u_x = (double)(s_x - (uint64_t)m * (m + 1)) / 2;
	out->u_y = (double)(s_y - (uint64_t)n * (n + 1)) / 2;
	normal_approximation(out, (double)m, (double)n, ties);
	out->method = COMPARE_MWU_NORMAL;
	out->p = out->p_normal;
	if (m + n > COMPARE_EXACT_MAX)
		return 0;
	out->method = COMPARE_MWU_EXACT;
	return permutation_p(rank, m + n, m < n ? m : n, m < n ? s_x : s_y, &out->p, e);
}

int compare_shift(const double *x, size_t m, const double *y, size_t n, double alpha,
		  struct shift *out, struct err *e)
{
	CLEANUP_FREE double *d = NULL;
	double tail;
	size_t k;

	if (!m || !n)
		return err_set(e, ERR_USAGE, "empty", "nothing to compare: a side has no values");
	if (m > COMPARE_PRODUCT_MAX / n)
		return err_set(e, ERR_USAGE, "too-many",
			       "too many values for an interval: %zu against %zu", m, n);
	d = calloc(m * n, sizeof(*d));
	if (!d)
		return err_nomem(e);
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++)
			d[i * n + j] = y[j] - x[i];
	summary_sort(d, m * n);
	if (rank_u_quantile(m, n, alpha / 2, &k, &tail, e) < 0)
		return -1;
	*out = (struct shift){ .estimate = summary_median_sorted(d, m * n),
			       .lo = k ? d[k - 1] : (double)-INFINITY,
			       .hi = k ? d[m * n - k] : (double)INFINITY,
			       .coverage = k ? 1 - 2 * tail : (double)NAN,
			       .k = k };
	return 0;
}

/* false where a value has no logarithm. */
static bool logarithms(double *out, const double *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!(v[i] > 0) || isinf(v[i]))
			return false;
		out[i] = log(v[i]);
	}
	return true;
}

static void shift_exp(struct shift *s)
{
	s->estimate = exp(s->estimate);
	s->lo = exp(s->lo);
	s->hi = exp(s->hi);
}

static const struct shift no_shift = {
	.estimate = (double)NAN, .lo = (double)NAN, .hi = (double)NAN, .coverage = (double)NAN
};

int compare_ratio(const double *x, size_t m, const double *y, size_t n, double alpha,
		  struct shift *out, struct err *e)
{
	CLEANUP_FREE double *a = calloc(m ? m : 1, sizeof(*a));
	CLEANUP_FREE double *b = calloc(n ? n : 1, sizeof(*b));

	if (!a || !b)
		return err_nomem(e);
	if (!logarithms(a, x, m) || !logarithms(b, y, n)) {
		*out = no_shift;
		return 0;
	}
	if (compare_shift(a, m, b, n, alpha, out, e) < 0)
		return -1;
	shift_exp(out);
	return 0;
}

double compare_cliff(const double *x, size_t m, const double *y, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++)
			sum += (y[j] > x[i]) - (y[j] < x[i]);
	return sum / ((double)m * (double)n);
}

/* |d| without the zeros into out; returns how many. */
static size_t nonzero(const double *x, const double *y, size_t n, double *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (y[i] > x[i] || y[i] < x[i])
			out[used++] = fabs(y[i] - x[i]);
	return used;
}

static int signed_rank_exact(const uint32_t *rank, size_t n, uint64_t s, double *p, struct err *e)
{
	CLEANUP_FREE double *count = NULL;
	double mu = (double)n * (double)(n + 1) / 2, distance = fabs((double)s - mu), extreme = 0;
	size_t width;

	if (rank_subset_counts(rank, n, &count, &width, e) < 0)
		return -1;
	for (size_t t = 0; t < width; t++)
		if (fabs((double)t - mu) >= distance)
			extreme += count[t];
	*p = extreme / ldexp(1, (int)n);
	return 0;
}

static double signed_rank_normal(double n, double w_plus, double ties)
{
	double mu = n * (n + 1) / 4, variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48;

	return erfc(fmax(0, fabs(w_plus - mu) - 0.5) / sqrt(variance) / M_SQRT2);
}

int compare_signed_rank(const double *x, const double *y, size_t n, struct signed_rank *out,
			struct err *e)
{
	CLEANUP_FREE double *d = calloc(n ? n : 1, sizeof(*d));
	CLEANUP_FREE uint32_t *rank = calloc(n ? n : 1, sizeof(*rank));
	struct shift shift;
	uint64_t s = 0;
	double ties;

	if (!d || !rank)
		return err_nomem(e);
	if (compare_paired_shift(x, y, n, 0.05, &shift, e) < 0)
		return -1;
	out->pseudomedian = shift.estimate;
	out->n_used = nonzero(x, y, n, d);
	if (rank_doubled(d, out->n_used, rank, &ties, e) < 0)
		return -1;
	for (size_t i = 0, k = 0; i < n; i++) {
		if (y[i] > x[i])
			s += rank[k++];
		else
			k += y[i] < x[i];
	}
	out->w_plus = (double)s / 2;
	if (out->n_used > COMPARE_PAIRS_EXACT_MAX) {
		out->method = COMPARE_SIGNED_RANK_NORMAL;
		out->p = signed_rank_normal((double)out->n_used, out->w_plus, ties);
		return 0;
	}
	out->method = COMPARE_SIGNED_RANK_EXACT;
	return signed_rank_exact(rank, out->n_used, s, &out->p, e);
}

int compare_paired_shift(const double *x, const double *y, size_t n, double alpha,
			 struct shift *out, struct err *e)
{
	CLEANUP_FREE double *walsh = NULL;
	size_t total, k, at = 0;
	double tail;

	if (!n)
		return err_set(e, ERR_USAGE, "empty", "nothing to compare: no pairs");
	if (n + 1 > 2 * (size_t)COMPARE_PRODUCT_MAX / n)
		return err_set(e, ERR_USAGE, "too-many", "too many pairs for an interval: %zu", n);
	total = n * (n + 1) / 2;
	walsh = calloc(total, sizeof(*walsh));
	if (!walsh)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		for (size_t j = i; j < n; j++)
			walsh[at++] = ((y[i] - x[i]) + (y[j] - x[j])) / 2;
	summary_sort(walsh, total);
	if (rank_w_quantile(n, alpha / 2, &k, &tail, e) < 0)
		return -1;
	*out = (struct shift){ .estimate = summary_median_sorted(walsh, total),
			       .lo = k ? walsh[k - 1] : (double)-INFINITY,
			       .hi = k ? walsh[total - k] : (double)INFINITY,
			       .coverage = k ? 1 - 2 * tail : (double)NAN,
			       .k = k };
	return 0;
}

int compare_paired_ratio(const double *x, const double *y, size_t n, double alpha,
			 struct shift *out, struct err *e)
{
	CLEANUP_FREE double *a = calloc(n ? n : 1, sizeof(*a));
	CLEANUP_FREE double *b = calloc(n ? n : 1, sizeof(*b));

	if (!a || !b)
		return err_nomem(e);
	if (!logarithms(a, x, n) || !logarithms(b, y, n)) {
		*out = no_shift;
		return 0;
	}
	if (compare_paired_shift(a, b, n, alpha, out, e) < 0)
		return -1;
	shift_exp(out);
	return 0;
}

struct welch compare_welch(const double *x, size_t m, const double *y, size_t n)
{
	struct welch w = { .t = (double)NAN, .df = (double)NAN, .p = (double)NAN };
	double a, b;

	if (m < 2 || n < 2)
		return w;
	a = pow(summary_stdev(x, m), 2) / (double)m;
	b = pow(summary_stdev(y, n), 2) / (double)n;
	if (!(a + b > 0))
		return w;
	w.t = (summary_mean(y, n) - summary_mean(x, m)) / sqrt(a + b);
	w.df = (a + b) * (a + b) / (a * a / (double)(m - 1) + b * b / (double)(n - 1));
	w.p = student_p(w.t, w.df);
	return w;
}

double compare_smallest_p(size_t m, size_t n)
{
	return fmin(1, 2 / rank_choose(m + n, m));
}

double compare_smallest_p_paired(size_t n)
{
	return fmin(1, ldexp(2, n < 2000 ? -(int)n : -2000));
}
