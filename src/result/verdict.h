/* verdict - what the run values of two sides allow to say about one metric */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "measure/measurement.h"

enum verdict {
	VERDICT_NONE, /* not judged: neither direction is better, or nothing to compare with */
	VERDICT_REGRESSION,
	VERDICT_IMPROVEMENT,
	VERDICT_UNCHANGED,    /* the whole interval lies within the threshold */
	VERDICT_INCONCLUSIVE, /* these runs cannot tell */
	VERDICT_MISSING,      /* in the base only */
	VERDICT_ADDED,	      /* in the new side only */
};
#define VERDICTS 7
/* "regression" ...; "-" for VERDICT_NONE. */
const char *verdict_name(enum verdict v);

enum verdict_method {
	VERDICT_BY_RANK, /* Mann-Whitney, Hodges-Lehmann, Moses */
	VERDICT_BY_PAIR, /* signed rank */
	VERDICT_BY_COUNT /* all runs of each side agree on a count: it is compared exactly */
};
const char *verdict_method_name(enum verdict_method m);

#define VERDICT_ALPHA 0.05

/*
 * Both sides' values, finite; with `paired` x[i] and y[i] belong together and m = n. `count`: exact where each side
 * agrees with itself.
 */
struct samples {
	const double *x, *y;
	size_t m, n;
	bool paired, count;
};

/*
 * base, new: medians. ratio with its 95 % interval: new/base by Hodges-Lehmann on logarithms; where a value is not
 * positive, the shift over the median of the base; NaN where that is 0 (and the sides differ). p: two-sided, not
 * adjusted, NaN for counts. shift_up: the direction where there is no ratio.
 */
struct estimate {
	enum verdict_method method;
	double base, new;
	double ratio, lo, hi;
	double p;
	int direction; /* -1, 0, 1: new is below, equal to, above base */
	bool disagree; /* a count on which the runs of a side differ */
	size_t m, n;
};
int verdict_estimate(const struct samples *s, struct estimate *out, struct err *e) ERR_MUST_CHECK;

struct verdict_rules {
	enum better better;
	double threshold; /* 0.05: changes below 5 % do not matter. Counts: 0 unless the user gave one */
	bool strict;   /* the whole interval must lie beyond the threshold, not its middle only */
	double p;      /* adjusted for the family */
	size_t family; /* how many tests it holds, at least 1 */
};
enum verdict verdict_of(const struct estimate *v, const struct verdict_rules *r);

#define VERDICT_RUNS_MAX 1000U
/* The smallest change (0.1 = 10 %) that these runs could have shown: half the width of the interval, on the side of the
 * larger ratio. NaN where there is no interval. */
double verdict_detectable(const struct estimate *v);
/*
 * How many runs a side would show a change of the threshold: as many as bring it to 80 % power, at least as many as a
 * family of that size needs for any p below 0.05. VERDICT_RUNS_MAX + 1 for more than that; 0 where it cannot be said.
 */
uint32_t verdict_runs_needed(const struct estimate *v, const struct verdict_rules *r);
