/* metrics - a benchmark's metrics as part of the document */
#pragma once

#include "measure/measurement.h"
#include "result/json.h"

/*
 * {NAME: {unit, better, assume, values[], totals[], operations[], summary}}: values one per run, null where a run has
 * none; summary over the runs that have one: n, median, mad, mean, stdev, min, max, median_ci [lo, hi] (the 95 %
 * order-statistic interval, null where the runs are too few to bound it). A new reference; NULL with *e filled.
 */
json_t *metrics_make(const struct metric_list *l, size_t n_runs, struct err *e);
