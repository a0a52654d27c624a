/* report - rows of metrics, of one result or of two that are compared: what every output format is made of */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "result/json.h"
#include "result/table.h"
#include "result/verdict.h"

/*
 * Text is borrowed from the sides (or the document) it came from. value: the median over the runs of the new side (the
 * only one of a single result), with its order-statistic 95 % interval, NaN where there are too few runs; a missing row has
 * none (n 0). What follows `base` belongs to compared reports.
 */
struct report_row {
	const char *benchmark, *target, *params, *metric, *unit;
	enum better better;
	bool headline, exact; /* exact: a count on which all runs agree */
	bool gates;	      /* counts for the exit status */
	size_t n;
	double value, value_lo, value_hi;

	size_t n_base;
	double base;
	struct estimate estimate;
	double p; /* adjusted within its family; NaN for counts */
	double threshold;
	enum verdict verdict;
	uint32_t runs_needed;
};

struct report_note {
	char code[32];
	char text[400];
};
enum { REPORT_NOTES_MAX = 64 };

struct report_check {
	const char *expr, *status, *message; /* of the document; message "" for none */
};

struct report {
	bool compared;
	struct report_row *row; /* worst first; of a single result in its order */
	size_t n;
	struct report_note *note;
	size_t n_notes, notes_dropped;
	struct report_check *check;
	size_t n_checks;
	/* of a comparison */
	const char *base_name, *new_name;
	double threshold;
	bool strict, paired, noisy;
	bool brief; /* the table names only what gates and what moved: it stands below another one */
	bool same_machine;
	size_t family; /* tests that Holm's adjustment counts among those that gate */
	size_t gating[VERDICTS], shown[VERDICTS]; /* rows by verdict: those that gate, the others */
};

void report_done(struct report *r);
CLEANUP_OBJ(struct report, report_done)
/* Appends a row, zeroed but for its numbers (NaN); NULL with *e filled. */
struct report_row *report_add(struct report *r, struct err *e);
/* value, its interval and n from run values, which get sorted. */
void report_median(struct report_row *row, double *values, size_t n);
int report_note(struct report *r, struct err *e, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5))) ERR_MUST_CHECK;

/* "+10.8%", "4.3x", "from 0": texts of a row; sizes REPORT_TEXT_MAX. Never more digits than the interval knows. */
enum { REPORT_TEXT_MAX = 48 };
char *report_change(char *out, const struct report_row *row);
/* "+7.6%..+57.9%", "exact", "unknown" where there are too few runs, "" */
char *report_interval(char *out, const struct report_row *row);
/* "0.046", "<0.001", "-" */
char *report_p(char *out, const struct report_row *row);
/* "12.6 us"; "-" for NaN. */
char *report_value(char *out, double value, const char *unit);
/* "10 runs can show 50 %, 60 would show 5 %"; "" where there is nothing to say. Returns its length. */
int report_explain(const struct report_row *row, char *out, size_t size);
/* "name key=value @target": the target only where `target` is set. */
int report_case(const struct report_row *row, bool target, struct buf *out);
/* "1 regression, 1 improvement, 1 inconclusive (threshold 5 %, ...)" */
int report_summary(const struct report *r, struct buf *out);

/* For people: one line a metric, greppable, the same without colour; verbose: with p values and reasons for all. */
int report_table(const struct report *r, const struct table_style *style, struct buf *out,
		 struct err *e) ERR_MUST_CHECK;
/* The report as a JSON object; a new reference, NULL with *e filled. */
json_t *report_json(const struct report *r, struct err *e);
