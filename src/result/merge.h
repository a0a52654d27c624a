/* merge - results of several hosts or shards as one */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/opt.h"
#include "result/json.h"

/*
 * Run i of each contributor ("worker") is a part of run i of the whole: counts and histograms add up, percentiles only ever
 * come from added counts, the run's window spans those of its workers. Runs that only some have stay as they are, so files
 * with different runs of one measurement give them all. Memory is that of the largest file and of the sum.
 */
struct merge {
	json_t *root; /* the sum; the first file, as it is, until a second one comes */
	size_t n;     /* files */
	bool opened;  /* root is in the form that is added to */
	bool differs; /* in config.how: said once */
	const struct opt_strings
		*allow; /* patterns of config.what keys that may differ; NULL: none */
};

void merge_done(struct merge *m);
CLEANUP_OBJ(struct merge, merge_done)
/*
 * Adds a checked document; takes `root` (also when it fails). ERR_USAGE naming `name`: another subcommand, unlike
 * config.what, a run_id that is in already, histograms that do not fit.
 */
int merge_add(struct merge *m, const char *name, json_t *root, struct err *e) ERR_MUST_CHECK;

struct merge_facts {
	size_t workers;
	bool complete; /* all that were expected, and each of them complete */
	double overlap; /* smallest share of a run's window in which all its workers ran; NaN for one worker */
};
/*
 * Makes metrics, pooled distributions and comparisons from the sum and extensions.merge: {workers[] {run_id, rank, started_at,
 * finished_at, status, fingerprint, labels, operations, failed}, expected, complete, overlap, windows}; metrics common.rate and
 * common.throughput are the workers' own rates added up. expect 0: not said; more workers than expected is ERR_USAGE. The
 * merge of one file is that file, unchanged unless something was expected. *out is a new reference.
 */
int merge_finish(struct merge *m, size_t expect, json_t **out, struct merge_facts *facts,
		 struct err *e) ERR_MUST_CHECK;
