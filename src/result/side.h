/* side - the run values of one side of a comparison, pooled from its result files */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure/measurement.h"
#include "result/json.h"

/* One metric of a case: a value for each of the case's runs, NaN where a run has none. */
struct side_metric {
	char *name, *unit;
	enum better better;
	bool exact; /* a count that every file calls exact */
	double *values;
};

/* Which run of which interleaved session; session NULL: of none. */
struct side_run {
	const char *session; /* of a file of the side */
	int64_t pair;
};

struct side_case {
	char *name, *target, *params; /* params: "key=value key=value", sorted */
	char *headline;		      /* "" when there is none */
	uint64_t ok, failed;
	struct side_run *run;
	size_t n_runs;
	struct side_metric *metric;
	size_t n_metrics;
	char *key;     /* what it is matched by */
	json_t *index; /* metric name: position */
};

struct side_file {
	char *name; /* for messages: the path */
	char *run_id, *subcommand, *status, *fingerprint, *started_at, *commit;
	char *session; /* of an interleaved measurement, NULL */
	char *attempt; /* of a CI job, "" */
	bool noisy;
	char *noise; /* why, "" */
	json_t *what, *how;
};

struct side {
	struct side_file *file;
	size_t n_files;
	struct side_case *cases;
	size_t n_cases;
	bool by_name; /* set before the first file: target and params do not tell cases apart, but order does */
	json_t *index;
};

void side_done(struct side *s);
CLEANUP_OBJ(struct side, side_done)
/* Adds a checked document (load_check); what is needed of it is copied. Cases that are there already get its runs too.
 * The same run_id twice is ERR_USAGE. `name` stands in messages. */
int side_add(struct side *s, const char *name, const json_t *root, struct err *e) ERR_MUST_CHECK;
/* load_result, then side_add. */
int side_load(struct side *s, const char *path, struct err *e) ERR_MUST_CHECK;
const struct side_metric *side_metric_find(const struct side_case *c, const char *name);
/* The case of the same key as one of another side of the same by_name; NULL. */
const struct side_case *side_case_find(const struct side *s, const struct side_case *c);
