/* budget - where the time of one whole session goes */
#pragma once

#include "result/document.h"

/*
 * Adds extensions.phase_budget: for every target of the benchmark `name`, its "phase.*" distributions in their order as
 * {name, ns, percent}: the median over the runs of each run's median, and its share of their sum. Nothing is added when
 * the benchmark was not measured or nothing of it succeeded.
 */
int budget_add(struct document *d, const char *name, struct err *e) ERR_MUST_CHECK;
