#include "stats/rank.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "stats/student.h"

struct item {
	double value;
	size_t at;
};

static int compare_items(const void *a, const void *b)
{
	double x = ((const struct item *)a)->value, y = ((const struct item *)b)->value;

	return (x > y) - (x < y);
}

int rank_doubled(const double *v, size_t n, uint32_t *out, double *ties, struct err *e)
{
	CLEANUP_FREE struct item *item = calloc(n ? n : 1, sizeof(*item));
	double tied = 0;

	if (!item)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		item[i] = (struct item){ v[i], i };
	qsort(item, n, sizeof(*item), compare_items);
	for (size_t i = 0, end; i < n; i = end) {
		double t;

		for (end = i + 1; end < n && item[end].value <= item[i].value; end++)
			;
		/* Ranks i+1..end: twice their mean. */
		for (size_t k = i; k < end; k++)
			out[item[k].at] = (uint32_t)(i + 1 + end);
		t = (double)(end - i);
		tied += t * t * t - t;
	}
	if (ties)
		*ties = tied;
	return 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * f[j][t]: ways to choose j of the items seen so far whose sum is t above that of the j smallest of all. Taking item i
 * as the j-th moves t by rank[i] - rank[j-1], which is never negative, so rows stay compact.
 */
int rank_sum_counts(const uint32_t *rank, size_t n, size_t m, size_t limit, double **out,
		    size_t *width, struct err *e)
{
	CLEANUP_FREE double *f = NULL;
	CLEANUP_FREE size_t *span = NULL; /* highest t reached in row j */
	CLEANUP_FREE double *last = NULL;
	size_t w = 0;

	for (size_t j = 0; j < m; j++)
		w += rank[n - 1 - j] - rank[m - 1 - j];
	w = smaller(w, limit) + 1;
	f = calloc((m + 1) * w, sizeof(*f));
	span = calloc(m + 1, sizeof(*span));
	last = calloc(w, sizeof(*last));
	if (!f || !span || !last)
		return err_nomem(e);
	f[0] = 1;
	for (size_t i = 0; i < n; i++) {
		/* At least m - (n-1-i) must be chosen by now to get to m: lower rows lead nowhere. */
		size_t low = m + i + 1 > n ? m + i + 1 - n : 1;

		for (size_t j = smaller(i + 1, m); j >= low && j >= 1; j--) {
			size_t shift = rank[i] - rank[j - 1];
			double *to = f + j * w + shift;
			const double *from = f + (j - 1) * w;
			size_t top;

			if (shift >= w)
				continue;
			top = smaller(span[j - 1], w - 1 - shift);
			for (size_t t = 0; t <= top; t++)
				to[t] += from[t];
			if (shift + top > span[j])
				span[j] = shift + top;
		}
	}
	for (size_t t = 0; t < w; t++)
		last[t] = f[m * w + t];
	*out = TAKE(last);
	*width = w;
	return 0;
}

int rank_subset_counts(const uint32_t *rank, size_t n, double **out, size_t *width, struct err *e)
{
	CLEANUP_FREE double *f = NULL;
	size_t top = 0, total = 0;

	for (size_t i = 0; i < n; i++)
		total += rank[i];
	f = calloc(total + 1, sizeof(*f));
	if (!f)
		return err_nomem(e);
	f[0] = 1;
	for (size_t i = 0; i < n; i++) {
		for (size_t t = top + 1; t-- > 0;)
			f[t + rank[i]] += f[t];
		top += rank[i];
	}
	*out = TAKE(f);
	*width = total + 1;
	return 0;
}

double rank_choose(size_t n, size_t m)
{
	double c = 1;

	m = smaller(m, n - m);
	/* c (n-m+i) is divisible by i at each step. */
	for (size_t i = 1; i <= m; i++)
		c = c * (double)(n - m + i) / (double)i;
	return c;
}

static void tail_quantile(const double *count, size_t width, double total, double share, size_t *k,
			  double *tail)
{
	double sum = 0;

	*k = 0;
	*tail = 0;
	for (size_t i = 0; i < width; i++) {
		sum += count[i];
		if (sum > share * total)
			return;
		*k = i + 1;
		*tail = sum / total;
	}
}

static void normal_quantile_rank(double mu, double sigma, double share, size_t *k, double *tail)
{
	double at = floor(mu + 0.5 - normal_quantile(2 * share) * sigma);

	*k = at > 0 ? (size_t)at : 0;
	*tail = *k ? erfc((mu + 0.5 - (double)*k) / sigma / M_SQRT2) / 2 : 0;
}

int rank_u_quantile(size_t m, size_t n, double share, size_t *k, double *tail, struct err *e)
{
	CLEANUP_FREE uint32_t *rank = NULL;
	CLEANUP_FREE double *count = NULL;
	size_t width = 0, all = m + n;
	double product = (double)m * (double)n;

	*k = 0;
	*tail = 0;
	if (!m || !n)
		return 0;
	if (product > RANK_EXACT_PRODUCT) {
		normal_quantile_rank(product / 2, sqrt(product * (double)(all + 1) / 12), share, k,
				     tail);
		return 0;
	}
	rank = calloc(all, sizeof(*rank));
	if (!rank)
		return err_nomem(e);
	for (size_t i = 0; i < all; i++)
		rank[i] = (uint32_t)i + 1;
	if (rank_sum_counts(rank, all, smaller(m, n), m * n / 2, &count, &width, e) < 0)
		return -1;
	tail_quantile(count, width, rank_choose(all, m), share, k, tail);
	return 0;
}

int rank_w_quantile(size_t n, double share, size_t *k, double *tail, struct err *e)
{
	CLEANUP_FREE double *count = NULL;
	uint32_t rank[RANK_EXACT_PAIRS];
	double size = (double)n;
	size_t width = 0;

	if (n > RANK_EXACT_PAIRS) {
		normal_quantile_rank(size * (size + 1) / 4,
				     sqrt(size * (size + 1) * (2 * size + 1) / 24), share, k, tail);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		rank[i] = (uint32_t)i + 1;
	if (rank_subset_counts(rank, n, &count, &width, e) < 0)
		return -1;
	tail_quantile(count, width, ldexp(1, (int)n), share, k, tail);
	return 0;
}
