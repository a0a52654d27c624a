/* change - where in a history of results the level changed */
#pragma once

#include <stddef.h>

#include "base/err.h"

/*
 * Values in time order are cut in two where the rank-sum statistic of the part before against the part after is largest
 * (Pettitt 1979), as long as its p (2 exp(-6 K^2 / (n^3 + n^2)), conservative for short parts) is below `p`; the parts
 * are cut again likewise. Where the whole has no such place, overlapping windows of half its length, a quarter... are searched, at a
 * level of `p` divided by their number: a level that rises and comes back is seen so. Of the cuts, those between whose sides the medians differ by less than `magnitude` of the
 * earlier one are taken back, the smallest first; the others move to where the medians of both sides fit best. Ranks make single outliers harmless; the magnitude keeps
 * autocorrelated noise from counting as change. No part is shorter than CHANGE_SEGMENT_MIN.
 */
enum { CHANGE_SEGMENT_MIN = 4 };

struct change_options {
	double p, magnitude;
};
#define CHANGE_DEFAULT \
	{ \
		.p = 0.01, .magnitude = 0.03 \
	}

struct change {
	size_t at;	      /* index of the first value after the change */
	double before, after; /* medians of the parts on both sides, up to the next change */
	double p;	      /* of the cut when it was made */
};

/* Changes in order into out[0..*n_out), at most `max` (room for n / CHANGE_SEGMENT_MIN holds all; when fewer fit, the
 * first are given). NaN is not allowed in v. */
int change_find(const double *v, size_t n, const struct change_options *o, struct change *out,
		size_t max, size_t *n_out, struct err *e) ERR_MUST_CHECK;
