/* bench-judge - --that and --baseline of every bench */
#pragma once

#include "common.h"
#include "result/diff.h"
#include "result/limit.h"

struct bench_judge {
	const struct common *common;
	struct limit *limit;
	size_t n_limits;
	struct limit_counts counts;
	struct diff_rules *rules; /* NULL: no baseline */
	struct side base, new;
	struct report report;
	struct err trouble; /* of a comparison after the measurement */
};

/* Reads limits and baseline before anything is measured; `head` is the document so far, whose options must be those of the
 * baseline (ERR_USAGE). */
int bench_judge_open(struct bench_judge *j, const struct common *common, const json_t *head,
		     struct err *e) ERR_MUST_CHECK;
void bench_judge_done(struct bench_judge *j);
CLEANUP_OBJ(struct bench_judge, bench_judge_done)
/* Judges the measured document: fills its checks and extensions.baseline. What cannot be compared is kept in `trouble`. */
int bench_judge_apply(struct bench_judge *j, json_t *root, struct err *e) ERR_MUST_CHECK;
/* Prints the comparison below the table of the result (which shows the checks), as common's options want it. */
int bench_judge_show(const struct bench_judge *j, struct err *e) ERR_MUST_CHECK;
/* 0, ERR_CHECK, ERR_USAGE; -1 with *e for trouble. */
int bench_judge_status(const struct bench_judge *j, struct err *e) ERR_MUST_CHECK;
