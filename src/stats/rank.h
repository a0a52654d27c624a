/* rank - ranks of samples and the exact null distributions of rank sums */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Mid-ranks of v[0..n), doubled so that they are whole numbers (2 for the smallest of distinct values), into
 * out[0..n) in the order of v. *ties gets the sum of t^3 - t over groups of t equal values (NULL: not wanted).
 */
int rank_doubled(const double *v, size_t n, uint32_t *out, double *ties,
		 struct err *e) ERR_MUST_CHECK;

/*
 * In how many ways m of n items, whose ranks are given in ascending order, have each rank sum: *out, malloc'ed and
 * owned by the caller, holds the counts for sums low, low+1, ... low+*width-1, where low is the sum of the m smallest;
 * sums beyond low+limit are left out. Counts are sums of positive doubles: whole up to 2^53, exact to about 1e-13
 * above. Needs C(n, m) < 1e308.
 */
int rank_sum_counts(const uint32_t *rank, size_t n, size_t m, size_t limit, double **out,
		    size_t *width, struct err *e) ERR_MUST_CHECK;

/* The same for sums of any subset (signed ranks): counts for sums 0..*width-1, *width = 1 + sum of all ranks. */
int rank_subset_counts(const uint32_t *rank, size_t n, double **out, size_t *width,
		       struct err *e) ERR_MUST_CHECK;

/* n over m as a double; exact while below 2^53. */
double rank_choose(size_t n, size_t m);

/*
 * The largest k such that at most `share` (of 1) of the untied null distribution of the Mann-Whitney U of m and n
 * values lies at U <= k-1; *tail gets that probability. Exact for m*n <= RANK_EXACT_PRODUCT, else by the normal
 * approximation (continuity corrected). The second: of the signed-rank W of n pairs, exact to n = RANK_EXACT_PAIRS.
 */
enum { RANK_EXACT_PRODUCT = 10000, RANK_EXACT_PAIRS = 50 };
int rank_u_quantile(size_t m, size_t n, double share, size_t *k, double *tail,
		    struct err *e) ERR_MUST_CHECK;
int rank_w_quantile(size_t n, double share, size_t *k, double *tail, struct err *e) ERR_MUST_CHECK;
