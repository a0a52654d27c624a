/* compare - two samples of run values: is there a difference, and how large */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Largest pooled n for which the exact Mann-Whitney distribution is used (counts stay exact in a double). */
enum { COMPARE_EXACT_MAX = 57 };
/* Largest n of pairs for the exact signed-rank distribution. */
enum { COMPARE_PAIRS_EXACT_MAX = 50 };

enum compare_method {
	COMPARE_MWU_EXACT,
	COMPARE_MWU_NORMAL,
	COMPARE_SIGNED_RANK_EXACT,
	COMPARE_SIGNED_RANK_NORMAL
};

/* base x[0..m), new y[0..n). NaN is not allowed in them. p is exact (the permutation distribution of the mid-ranks, so
 * ties are accounted for) while m+n <= COMPARE_EXACT_MAX. ERR_USAGE when a side is empty. */
struct mann_whitney {
	double u_x, u_y; /* number of pairs x>y (y>x) plus half the ties */
	double p;	 /* two-sided, by `method` */
	double p_normal; /* normal approximation with tie and continuity correction */
	double z; /* of the normal approximation, >= 0; NaN where all values are equal (p is then 1) */
	enum compare_method method;
};
int compare_mann_whitney(const double *x, size_t m, const double *y, size_t n,
			 struct mann_whitney *out, struct err *e) ERR_MUST_CHECK;

/* Most differences or Walsh averages that an interval is made of (32 MiB); beyond: ERR_USAGE. */
enum { COMPARE_PRODUCT_MAX = 1 << 22 };

/*
 * Hodges-Lehmann shift y - x (median of all differences) and its Moses interval [d(k), d(mn+1-k)] at level `alpha`
 * (0.05): infinite ends, k 0 and coverage NaN where the sample is too small. `coverage` is at least 1 - alpha. k comes
 * from the exact null distribution without ties up to m*n = 10,000, from the normal one above. ERR_USAGE when a side is
 * empty.
 */
struct shift {
	double estimate, lo, hi;
	double coverage;
	size_t k;
};
int compare_shift(const double *x, size_t m, const double *y, size_t n, double alpha,
		  struct shift *out, struct err *e) ERR_MUST_CHECK;
/* The same for the ratio y/x (on logarithms); where the sample is too small the ends are 0 and infinity. All values
 * must be > 0 and finite, else estimate, lo and hi are NaN. */
int compare_ratio(const double *x, size_t m, const double *y, size_t n, double alpha,
		  struct shift *out, struct err *e) ERR_MUST_CHECK;
/* (#(y>x) - #(y<x)) / (m n). */
double compare_cliff(const double *x, size_t m, const double *y, size_t n);

/* Pairs (x[i], y[i]): d = y - x, zeros dropped for the test. p is exact, ties accounted for, while at most
 * COMPARE_PAIRS_EXACT_MAX differences are left; 1 where none is. ERR_USAGE for n = 0. */
struct signed_rank {
	double w_plus, p, pseudomedian; /* median of the Walsh averages of all d (zeros kept) */
	size_t n_used;
	enum compare_method method;
};
int compare_signed_rank(const double *x, const double *y, size_t n, struct signed_rank *out,
			struct err *e) ERR_MUST_CHECK;
/* Pseudomedian of the paired differences (zeros kept) with its signed-rank interval; of log ratios for the second. Ends
 * and NaN as above. */
int compare_paired_shift(const double *x, const double *y, size_t n, double alpha,
			 struct shift *out, struct err *e) ERR_MUST_CHECK;
int compare_paired_ratio(const double *x, const double *y, size_t n, double alpha,
			 struct shift *out, struct err *e) ERR_MUST_CHECK;

/* Holm's step-down (and Benjamini-Hochberg) adjustment of p[0..n) into out[0..n), order kept, capped at 1. */
int compare_holm(const double *p, size_t n, double *out, struct err *e) ERR_MUST_CHECK;
int compare_benjamini_hochberg(const double *p, size_t n, double *out,
			       struct err *e) ERR_MUST_CHECK;

/* Welch's t-test of y against x; NaN below 2 values a side and where neither side varies. */
struct welch {
	double t, df, p;
};
struct welch compare_welch(const double *x, size_t m, const double *y, size_t n);

/* Smallest two-sided p that m+n runs (exact Mann-Whitney) or n pairs (signed rank) can give. */
double compare_smallest_p(size_t m, size_t n);
double compare_smallest_p_paired(size_t n);
