/* merge-run - one run of several workers as one */
#pragma once

#include "result/json.h"

/*
 * A run object in a merge also has "window": [first start, last start, first end, last end, operations per 1000 s, bytes per
 * second], times in ns since 1970; the rates are sums over the workers. merge_run_window adds it, from the time of the run's
 * origin; merge_run_add adds b to a, which both have it. Counts add up, times span, the worst status stays.
 */
int merge_run_window(json_t *run, int64_t origin_ns, struct err *e) ERR_MUST_CHECK;
/* From and into the form of a document, whose times are in ns since the origin: no integer beyond 2^53. */
int merge_run_reopen(json_t *run, const json_t *stored, int64_t origin_ns,
		     struct err *e) ERR_MUST_CHECK;
json_t *merge_run_store(const json_t *run, int64_t origin_ns);
int merge_run_add(json_t *a, const json_t *b, struct err *e) ERR_MUST_CHECK;
