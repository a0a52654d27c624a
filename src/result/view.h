/* view - questions to a result document that was made here or loaded and checked */
#pragma once

#include "result/json.h"
#include "stats/histogram.h"

/* Texts and objects are borrowed from the document. "" where there is none. */
const char *view_text(const json_t *object, const char *key);
/* A number of an object; NaN where there is none (null, another type). */
double view_number(const json_t *object, const char *key);
/* The target of that label, NULL where it is not listed. */
const json_t *view_target(const json_t *root, const char *label);
/* A target's identity entry. */
const char *view_identity(const json_t *target, const char *key);
/* All runs of a benchmark that are ok, pooled for one distribution: *out has n = 0 when none has it. `out` is
 * initialised here and owned by the caller. Counts that do not fit the layout are left out. */
int view_histogram(const json_t *benchmark, const char *distribution, struct histogram *out,
		   struct err *e) ERR_MUST_CHECK;
/* The values of a metric, one per run (null as NaN): copies at most max, returns how many there are. */
size_t view_values(const json_t *benchmark, const char *metric, double *out, size_t max);
