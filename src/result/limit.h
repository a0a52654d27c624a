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
};

/*
 * "[CASE] METRIC OP VALUE", CASE and METRIC as in a selector (the blank may be a ':'), OP one of < <= > >= == !=. VALUE: a duration
 * with its unit, a size, a rate, a share ("1%", "0.01"), or a number. METRIC "errors" is the number of failed operations of
 * the case. ERR_USAGE shows what would do.
 */
int limit_parse(struct limit *l, const char *text, struct err *e) ERR_MUST_CHECK;
/* One a line from a file; empty lines and what follows a '#' are skipped. Adds to *list (free()). */
int limit_read(const char *path, struct limit **list, size_t *n, struct err *e) ERR_MUST_CHECK;
/* Those of the command line. */
int limit_add(const struct opt_strings *texts, struct limit **list, size_t *n,
	      struct err *e) ERR_MUST_CHECK;

struct limit_counts {
	size_t pass, fail, error;
};
/*
 * Applies each limit to every case that it matches and that has the metric: the median over the runs. Appends objects
 * {expr, status, value, limit, unit, benchmark, target, metric, message} to `checks`: "pass", "fail", or "error" where no case has
 * such a metric, it has no value in any run, or the value's unit is not the metric's; an error is never a pass.
 */
int limit_check(const struct limit *list, size_t n, const struct side *side, json_t *checks,
		struct limit_counts *counts, struct err *e) ERR_MUST_CHECK;
/* One line a check, worst first: "FAIL  7.1 ms  repl.exec latency.p99 < 5ms", then what it was held against. */
void limit_table(const json_t *checks, const struct screen *s);
/* ERR_USAGE when there was an error, ERR_CHECK when one failed, else 0. */
int limit_status(const struct limit_counts *c);
