/* trend - where the level of a metric changed over many results */
#pragma once

#include "result/history.h"
#include "result/selector.h"
#include "result/table.h"
#include "stats/change.h"

struct trend_options {
	const struct selector
		*metric; /* which metrics; none: each case's headline and the exact counts */
	size_t n_metrics;
	bool all;	  /* every metric */
	double magnitude; /* changes below are none */
};

/* One metric of a case. Its results are those that have a value: n of them, place[i] is the point of value[i]. */
struct trend_row {
	const struct history_series *of; /* borrowed */
	double *value;
	size_t *place;
	size_t n;
	double median, mad; /* of all */
	double latest;	    /* median since the last change (of all where there is none) */
	struct change *change;
	size_t n_changes;
	int direction; /* of the last change: 1 worse, -1 better, 0 none or neither direction is better */
};

struct trend {
	const struct history *h; /* borrowed, in order */
	struct trend_row *row;	 /* worse first, then by place in the history */
	size_t n, worse;	 /* rows; of them those whose newest segment is worse */
	size_t configs;		 /* how many configurations the rows come from */
};

void trend_done(struct trend *t);
CLEANUP_OBJ(struct trend, trend_done)
/* ERR_USAGE when no metric of the history is meant. */
int trend_make(const struct history *h, const struct trend_options *o, struct trend *out,
	       struct err *e) ERR_MUST_CHECK;
/* Fewer results than this show no change of any size: the test cannot reach its level. */
enum { TREND_RESULTS_MIN = 15 };

/* For people: a line with a sparkline and one for each change, per metric; verbose: with the p of each change. */
int trend_table(const struct trend *t, const struct table_style *style, struct buf *out,
		struct err *e) ERR_MUST_CHECK;
/* The document of schema mpbench.trend; a new reference, NULL with *e filled. */
json_t *trend_json(const struct trend *t, const struct trend_options *o, struct err *e);
