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

enum compare_method { COMPARE_MWU_EXACT, COMPARE_MWU_NORMAL, COMPARE_SIGNED_RANK_EXACT, COMPARE_SIGNED_RANK_NORMAL };

/* base x[0..m), new y[0..n). */
struct mann_whitney {
	double u_x, u_y;      /* number of pairs x>y (y>x) plus half the ties */
	double p;             /* two-sided, by `method` */
	double p_normal;      /* normal approximation with tie and continuity correction */
	double z;
	enum compare_method method;
};
int compare_mann_whitney(const double *x, size_t m, const double *y, size_t n, struct mann_whitney *out,
			 struct err *e) ERR_MUST_CHECK;

/* Hodges-Lehmann shift y - x and its Moses interval at level `alpha` (0.05): infinite ends where the sample is too
 * small. */
struct shift {
	double estimate, lo, hi;
};
int compare_shift(const double *x, size_t m, const double *y, size_t n, double alpha, struct shift *out,
		  struct err *e) ERR_MUST_CHECK;
/* The same for the ratio y/x (on logarithms). All values must be > 0, else estimate is NaN. */
int compare_ratio(const double *x, size_t m, const double *y, size_t n, double alpha, struct shift *out,
		  struct err *e) ERR_MUST_CHECK;
/* (#(y>x) - #(y<x)) / (m n). */
double compare_cliff(const double *x, size_t m, const double *y, size_t n);

/* Pairs (x[i], y[i]): d = y - x, zeros dropped. */
struct signed_rank {
	double w_plus, p, pseudomedian; /* median of the Walsh averages of all d (zeros kept) */
	size_t n_used;
	enum compare_method method;
};
int compare_signed_rank(const double *x, const double *y, size_t n, struct signed_rank *out, struct err *e)
	ERR_MUST_CHECK;
/* Pseudomedian of the paired differences with its signed-rank interval; of log ratios for the second. */
int compare_paired_shift(const double *x, const double *y, size_t n, double alpha, struct shift *out,
			 struct err *e) ERR_MUST_CHECK;
int compare_paired_ratio(const double *x, const double *y, size_t n, double alpha, struct shift *out,
			 struct err *e) ERR_MUST_CHECK;

/* Holm's step-down (and Benjamini-Hochberg) adjustment of p[0..n) into out[0..n), order kept, capped at 1. */
int compare_holm(const double *p, size_t n, double *out, struct err *e) ERR_MUST_CHECK;
int compare_benjamini_hochberg(const double *p, size_t n, double *out, struct err *e) ERR_MUST_CHECK;

/* Welch's t-test of y against x; NaN below 2 values a side. */
struct welch {
	double t, df, p;
};
struct welch compare_welch(const double *x, size_t m, const double *y, size_t n);

/* Smallest two-sided p that m+n runs (exact Mann-Whitney) or n pairs (signed rank) can give. */
double compare_smallest_p(size_t m, size_t n);
double compare_smallest_p_paired(size_t n);
