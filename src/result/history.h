/* history - the values of many results of the same benchmarks, in the order of time */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "measure/measurement.h"
#include "result/json.h"

enum {
	HISTORY_POINTS_MAX = 100000,  /* results */
	HISTORY_SERIES_MAX = 100000,  /* metrics of cases */
	HISTORY_VALUES_MAX = 64 << 20 /* both multiplied */
};

/* One result (or a run of a watcher that gave none). Texts are "" where unknown. */
struct history_point {
	int64_t at_ns;	  /* since 1970 */
	char *name;	  /* FILE, or FILE:LINE */
	char *started_at; /* as written */
	char *run_id, *commit, *machine;
	char *status;	      /* of a watcher: ok, bad, failed, down; else "" */
	uint64_t seq;	      /* of a watcher, from 1; else 0 */
	uint64_t duration_ns; /* of a watcher */
	size_t order;	      /* as added, for equal times */
};

/* One metric of a case measured with one configuration. value[i] belongs to point i: NaN where that has none. */
struct history_series {
	char *benchmark, *target, *params, *metric, *unit, *config;
	enum better better;
	bool headline, exact;
	double *value;
	size_t room;
};

struct history {
	struct history_point *point;
	size_t n, room;
	struct history_series *series; /* in the order of their first appearance */
	size_t n_series;
	json_t *run_ids; /* of the points: true */
	json_t *index;	 /* key of a series: its place */
	size_t skipped; /* files of directories that are no results, lines that could not be read, doubles */
	struct log log; /* hears of each that is skipped; may be empty */
};

void history_done(struct history *h);
CLEANUP_OBJ(struct history, history_done)

/* Adds an entry (checked here, entry_check). One whose run_id is there already is skipped. */
int history_add(struct history *h, const char *name, const json_t *entry,
		struct err *e) ERR_MUST_CHECK;
/*
 * A result document, a history of mpbench watch (JSON lines; a line that is broken is skipped, for a watcher may have been
 * killed in the middle of one), or a directory: its *.json and *.jsonl, not below, files that are neither skipped. ERR_USAGE
 * when nothing could be read.
 */
int history_load(struct history *h, const char *path, struct err *e) ERR_MUST_CHECK;
/* The same from the text of a history of mpbench watch. */
int history_add_lines(struct history *h, const char *name, const char *text, size_t len,
		      struct err *e) ERR_MUST_CHECK;
/* By time, equal ones as they were added. */
int history_sort(struct history *h, struct err *e) ERR_MUST_CHECK;
/* Drops the oldest points so that at most n stay (of a history in order); series stay. */
void history_keep_last(struct history *h, size_t n);
