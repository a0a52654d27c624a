#include "result/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stats/compare.h"
#include "stats/summary.h"

const char *verdict_name(enum verdict v)
{
	static const char *const names[VERDICTS] = { "-",	  "regression",	  "improvement",
						     "unchanged", "inconclusive", "missing",
						     "added" };

	return names[v];
}

const char *verdict_method_name(enum verdict_method m)
{
	return m == VERDICT_BY_PAIR    ? "signed-rank"
	       : m == VERDICT_BY_COUNT ? "exact"
				       : "mann-whitney";
}

static int median(const double *v, size_t n, double *out, struct err *e)
{
	CLEANUP_FREE double *sorted = calloc(n, sizeof(*sorted));

	if (!sorted)
		return err_nomem(e);
	memcpy(sorted, v, n * sizeof(*sorted));
	summary_sort(sorted, n);
	*out = summary_median_sorted(sorted, n);
	return 0;
}

static bool all_agree(const double *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (v[i] < v[0] || v[i] > v[0])
			return false;
	return true;
}

static bool all_positive(const double *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(v[i] > 0))
			return false;
	return true;
}

static void by_count(const struct samples *s, struct estimate *out)
{
	out->method = VERDICT_BY_COUNT;
	out->direction = (s->y[0] > s->x[0]) - (s->y[0] < s->x[0]);
	out->ratio = out->direction == 0 ? 1 : s->x[0] > 0 ? s->y[0] / s->x[0] : (double)NAN;
	out->lo = out->hi = out->p = (double)NAN;
}

static int shift_of(const struct samples *s, struct shift *out, struct err *e)
{
	return s->paired ? compare_paired_shift(s->x, s->y, s->m, VERDICT_ALPHA, out, e)
			 : compare_shift(s->x, s->m, s->y, s->n, VERDICT_ALPHA, out, e);
}

static int ratio_of(const struct samples *s, struct shift *out, struct err *e)
{
	return s->paired ? compare_paired_ratio(s->x, s->y, s->m, VERDICT_ALPHA, out, e)
			 : compare_ratio(s->x, s->m, s->y, s->n, VERDICT_ALPHA, out, e);
}

/* Without logarithms: the shift over the median of the base. */
static int by_shift(const struct samples *s, struct estimate *out, struct err *e)
{
	struct shift shift;

	if (shift_of(s, &shift, e) < 0)
		return -1;
	out->direction = (shift.estimate > 0) - (shift.estimate < 0);
	out->ratio = out->lo = out->hi = (double)NAN;
	if (out->base > 0) {
		out->ratio = 1 + shift.estimate / out->base;
		out->lo = 1 + shift.lo / out->base;
		out->hi = 1 + shift.hi / out->base;
	} else if (all_agree(s->x, s->m) && all_agree(s->y, s->n) && out->direction == 0) {
		out->ratio = out->lo = out->hi = 1;
	}
	return 0;
}

static int by_ratio(const struct samples *s, struct estimate *out, struct err *e)
{
	struct shift ratio;

	if (ratio_of(s, &ratio, e) < 0)
		return -1;
	out->ratio = ratio.estimate;
	out->lo = ratio.lo;
	out->hi = ratio.hi;
	out->direction = (ratio.estimate > 1) - (ratio.estimate < 1);
	return 0;
}

/* On logarithms where there are any: test and interval then ask about the same ratio. */
static int paired_p(const struct samples *s, bool logarithmic, double *p, struct err *e)
{
	CLEANUP_FREE double *x = calloc(s->m, sizeof(*x));
	CLEANUP_FREE double *y = calloc(s->m, sizeof(*y));
	struct signed_rank test;

	if (!x || !y)
		return err_nomem(e);
	for (size_t i = 0; i < s->m; i++) {
		x[i] = logarithmic ? log(s->x[i]) : s->x[i];
		y[i] = logarithmic ? log(s->y[i]) : s->y[i];
	}
	if (compare_signed_rank(x, y, s->m, &test, e) < 0)
		return -1;
	*p = test.p;
	return 0;
}

static int add_p(const struct samples *s, bool logarithmic, struct estimate *out, struct err *e)
{
	struct mann_whitney test;

	out->method = s->paired ? VERDICT_BY_PAIR : VERDICT_BY_RANK;
	if (s->paired)
		return paired_p(s, logarithmic, &out->p, e);
	if (compare_mann_whitney(s->x, s->m, s->y, s->n, &test, e) < 0)
		return -1;
	out->p = test.p;
	return 0;
}

int verdict_estimate(const struct samples *s, struct estimate *out, struct err *e)
{
	bool agree, positive;

	*out = (struct estimate){ .m = s->m, .n = s->n };
	if (!s->m || !s->n)
		return err_set(e, ERR_USAGE, "empty", "nothing to compare: a side has no values");
	if (median(s->x, s->m, &out->base, e) < 0 || median(s->y, s->n, &out->new, e) < 0)
		return -1;
	agree = all_agree(s->x, s->m) && all_agree(s->y, s->n);
	if (s->count && agree) {
		by_count(s, out);
		return 0;
	}
	out->disagree = s->count;
	positive = all_positive(s->x, s->m) && all_positive(s->y, s->n);
	if ((positive ? by_ratio(s, out, e) : by_shift(s, out, e)) < 0)
		return -1;
	return add_p(s, positive, out, e);
}

static enum verdict directed(int direction, enum better better)
{
	return (direction > 0) == (better == BETTER_HIGHER) ? VERDICT_IMPROVEMENT
							    : VERDICT_REGRESSION;
}

/* Neither can a change be shown, nor that there is none: the interval decides which. */
static enum verdict by_interval(const struct estimate *v, double threshold)
{
	return v->lo >= 1 - threshold && v->hi <= 1 + threshold ? VERDICT_UNCHANGED
								: VERDICT_INCONCLUSIVE;
}

static bool is_large(const struct estimate *v, const struct verdict_rules *r)
{
	double up = r->strict ? v->lo : v->ratio, down = r->strict ? v->hi : v->ratio;

	/* The last digits of a threshold such as 0.05 are not what decides. */
	return up >= 1 + r->threshold - 1e-12 || down <= 1 - r->threshold + 1e-12;
}

enum verdict verdict_of(const struct estimate *v, const struct verdict_rules *r)
{
	if (r->better == BETTER_NONE)
		return VERDICT_NONE;
	if (v->method == VERDICT_BY_COUNT) {
		if (v->direction == 0 ||
		    (!isnan(v->ratio) && fabs(v->ratio - 1) < r->threshold - 1e-12))
			return VERDICT_UNCHANGED;
		return directed(v->direction, r->better);
	}
	if (isnan(v->ratio))
		return r->p < VERDICT_ALPHA && v->direction ? directed(v->direction, r->better)
							    : VERDICT_INCONCLUSIVE;
	if (r->p < VERDICT_ALPHA && v->direction && is_large(v, r))
		return directed(v->direction, r->better);
	return by_interval(v, r->threshold);
}

/* Half the width of the interval on a logarithmic axis; NaN where it is not bounded. */
static double half_width(const struct estimate *v)
{
	if (v->method == VERDICT_BY_COUNT || !(v->lo > 0) || !isfinite(v->hi))
		return (double)NAN;
	return (log(v->hi) - log(v->lo)) / 2;
}

double verdict_detectable(const struct estimate *v)
{
	return expm1(half_width(v));
}

/* The fewest runs a side whose smallest p stays below alpha as the smallest of a family. */
static uint32_t fewest_runs(const struct estimate *v, size_t family)
{
	uint32_t n = 2;

	while (n <= VERDICT_RUNS_MAX && (v->method == VERDICT_BY_PAIR ? compare_smallest_p_paired(n)
								      : compare_smallest_p(n, n)) *
							(double)family >=
						VERDICT_ALPHA)
		n++;
	return n;
}

uint32_t verdict_runs_needed(const struct estimate *v, const struct verdict_rules *r)
{
	/* The interval is 1.96 standard errors to each side; 0.84 more make the power 80 %. */
	const double reach = (1.959964 + 0.841621) / 1.959964;
	double half = half_width(v), n, factor;
	uint32_t fewest = fewest_runs(v, r->family);

	if (v->method == VERDICT_BY_COUNT)
		return 0;
	if (isnan(half))
		return v->m < fewest || v->n < fewest ? fewest : 0;
	if (!(r->threshold > 0))
		return 0;
	/* As many on both sides as are worth these m and n. */
	n = 2 * (double)v->m * (double)v->n / (double)(v->m + v->n);
	factor = reach * half / log1p(r->threshold);
	n = ceil(n * factor * factor);
	if (!(n <= VERDICT_RUNS_MAX))
		return VERDICT_RUNS_MAX + 1;
	return n < fewest ? fewest : (uint32_t)n;
}
