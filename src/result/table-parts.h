/* table-parts - what stands above and below the numbers of a result */
#pragma once

#include "result/screen.h"

/* Subcommand, time, runs, and what each target is. */
void table_head(const struct screen *s, const json_t *root);
/* Each further target against the first, by the headline of each case. */
void table_ratios(const struct screen *s, const json_t *root);
/* extensions.phase_budget: where the time of one session goes. */
void table_phases(const struct screen *s, const json_t *root);
/* Failures, checks, findings, warnings, noise, how it ended. */
void table_notes(const struct screen *s, const json_t *root);
/* Verbose: the other distributions and metrics of a benchmark. */
void table_details(const struct screen *s, const json_t *benchmark);
