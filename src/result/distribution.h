/* distribution - a series as part of the document */
#pragma once

#include "measure/measurement.h"
#include "result/json.h"

/*
 * {unit, better, n, min, max, mean, stdev, median, percentiles, percentile_notes, lag1, source, lost, hist, samples}.
 * percentiles p50 p90 p95 p99 p99.9 are null where the samples cannot carry them, percentile_notes says why, and where
 * they have no upper bound. hist: {type loglinear, bits 7, index_delta[], count[]}, the first index absolute; left out
 * when not `histogram`. samples: the raw values in order, when wanted and all are there. A new reference; NULL with *e
 * filled.
 */
json_t *distribution_make(const struct distribution *d, bool histogram, bool samples,
			  struct err *e);
/* Adds `hist`, as above, to an object. */
int distribution_put_hist(json_t *object, const struct histogram *h, struct err *e) ERR_MUST_CHECK;
