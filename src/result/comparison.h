/* comparison - targets of one measurement against the first of them */
#pragma once

#include "measure/measurement.h"
#include "result/json.h"

/*
 * Appends to `comparisons` one object per case, further target and comparable metric: {benchmark, params, metric, base,
 * new, ratio, ci [lo, hi], method, p, pairs}. Ratio is new/base by Hodges-Lehmann: paired ("hodges-lehmann/paired", with
 * the signed-rank p) where the runs were interleaved, else "hodges-lehmann/moses" with the exact Mann-Whitney p; counts on
 * which all runs of each side agree are "exact" (ci and p null). The base of a case is its first benchmark.
 */
int comparison_add(json_t *comparisons, const struct measurement *m,
		   const struct metric_list *lists, struct err *e) ERR_MUST_CHECK;
/* {key: value}; a new reference. */
json_t *params_make(const struct benchmark *b, struct err *e);
