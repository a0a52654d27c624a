/* limit - thresholds that a result must keep: "repl.exec latency.p99 < 5ms" */
#pragma once

#include "base/opt.h"
#include "result/screen.h"
#include "result/selector.h"
#include "result/side.h"

enum limit_op { LIMIT_LT, LIMIT_LE, LIMIT_GT, LIMIT_GE, LIMIT_EQ, LIMIT_NE };

struct limit {
	char text[SELECTOR_MAX]; /* as written */
	struct selector of;
	enum limit_op op;
	char value[64]; /* "5ms": its unit is that of the metric */
	bool relative;	/* "-3%": a change against the baseline */
	double change;	/* then: -0.03 */
};

/*
 * "[CASE] METRIC OP VALUE", CASE and METRIC as in a selector (the blank may be a ':'), OP one of < <= > >= == !=. VALUE: a duration
 * with its unit, a size, a rate, a share ("1%", "0.01"), or a number; a percentage with a sign ("+3%", "-3%") is a change
 * against a baseline. METRIC "errors" is the number of failed operations of the case. ERR_USAGE shows what would do.
 */
int limit_parse(struct limit *l, const char *text, struct err *e) ERR_MUST_CHECK;
/* One a line from a file; empty lines and what follows a '#' are skipped. Adds to *list (free()). */
int limit_read(const char *path, struct limit **list, size_t *n, struct err *e) ERR_MUST_CHECK;
/* Those of the command line. */
int limit_add(const struct opt_strings *texts, struct limit **list, size_t *n,
	      struct err *e) ERR_MUST_CHECK;

/* The first that needs a baseline; NULL. */
const struct limit *limit_find_relative(const struct limit *list, size_t n);

struct limit_counts {
	size_t pass, fail, error;
};
/*
 * Applies each limit to every case that it matches and that has the metric: the median over the runs, or its change against
 * that of the same case of `base` (NULL: there is none; an error for limits that need it). Appends objects
 * {expr, status, value, limit, unit, benchmark, target, metric, message} to `checks`, a change (-0.03) in the unit "change": "pass", "fail", or "error" where no case has
 * such a metric, it has no value in any run, or the value's unit is not the metric's; an error is never a pass.
 */
int limit_check(const struct limit *list, size_t n, const struct side *side,
		const struct side *base, json_t *checks, struct limit_counts *counts,
		struct err *e) ERR_MUST_CHECK;
/* One line a check, worst first: "FAIL  7.1 ms  repl.exec latency.p99 < 5ms", then what it was held against. */
void limit_table(const json_t *checks, const struct screen *s);
/* ERR_USAGE when there was an error, ERR_CHECK when one failed, else 0. */
int limit_status(const struct limit_counts *c);
