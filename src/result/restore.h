/* restore - what the engine recorded, made again from a checked document */
#pragma once

#include "measure/measurement.h"
#include "result/json.h"

/* A distribution's series from its histogram and moments (no raw values; percentiles then are to 1/128). ERR_USAGE when it
 * has no histogram of HISTOGRAM_BITS. The caller owns the series, also on failure. */
int restore_series(const json_t *distribution, struct series *out, struct err *e) ERR_MUST_CHECK;

/* Most distributions of one benchmark that are held in memory at a time (60 KB each). */
enum { RESTORE_DISTRIBUTIONS_MAX = 4096 };

/*
 * Name, target, params, loop, headline and the runs with all that metrics are made of. Text is borrowed from the document.
 * Runs' distributions only when `series`. Free with restore_done.
 */
int restore_benchmark(const json_t *benchmark, bool series, struct benchmark *out,
		      struct err *e) ERR_MUST_CHECK;
void restore_done(struct benchmark *b);
