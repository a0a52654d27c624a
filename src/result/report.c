#include "result/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "stats/summary.h"

void report_done(struct report *r)
{
	free(r->row);
	free(r->note);
	free(r->check);
	*r = (struct report){ 0 };
}

struct report_row *report_add(struct report *r, struct err *e)
{
	struct report_row *row;

	/* Room doubles at powers of two. */
	if ((r->n & (r->n - 1)) == 0) {
		struct report_row *grown =
			reallocarray(r->row, r->n ? 2 * r->n : 1, sizeof(*grown));

		if (!grown) {
			err_nomem(e);
			return NULL;
		}
		r->row = grown;
	}
	row = &r->row[r->n++];
	*row = (struct report_row){
		.benchmark = "",
		.target = "",
		.params = "",
		.metric = "",
		.unit = "",
		.better = BETTER_NONE,
		.value = (double)NAN,
		.value_lo = (double)NAN,
		.value_hi = (double)NAN,
		.base = (double)NAN,
		.p = (double)NAN,
		.estimate = { .base = (double)NAN,
			      .new = (double)NAN,
			      .ratio = (double)NAN,
			      .lo = (double)NAN,
			      .hi = (double)NAN,
			      .p = (double)NAN },
	};
	return row;
}

void report_median(struct report_row *row, double *values, size_t n)
{
	struct rank_interval ranks = summary_rank_interval(n, 500000);

	summary_sort(values, n);
	row->n = n;
	row->value = summary_median_sorted(values, n);
	row->value_lo = n && ranks.lo >= 1 ? values[ranks.lo - 1] : (double)NAN;
	row->value_hi = n && ranks.hi <= n ? values[ranks.hi - 1] : (double)NAN;
}

int report_note(struct report *r, struct err *e, const char *code, const char *fmt, ...)
{
	struct report_note *note;
	va_list ap;

	if (!r->note)
		r->note = calloc(REPORT_NOTES_MAX, sizeof(*r->note));
	if (!r->note)
		return err_nomem(e);
	if (r->n_notes == REPORT_NOTES_MAX) {
		r->notes_dropped++;
		return 0;
	}
	note = &r->note[r->n_notes++];
	snprintf(note->code, sizeof(note->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(note->text, sizeof(note->text), fmt, ap);
	va_end(ap);
	return 0;
}

/* As many decimals of a percentage as an uncertainty of `half` (1 = 100 %) leaves meaning. */
static int decimals(double half)
{
	return half >= 0.03 ? 0 : half >= 0.003 ? 1 : 2;
}

/* Half the width of the interval; of an unbounded or wide one, 1. */
static double uncertainty(const struct report_row *row)
{
	double half = (row->estimate.hi - row->estimate.lo) / 2;

	return isfinite(half) ? half : 1;
}

static char *ratio_text(char *out, double ratio, int digits)
{
	double percent = 100 * (ratio - 1);

	if (isnan(ratio))
		snprintf(out, REPORT_TEXT_MAX, "?");
	else if (isinf(ratio))
		snprintf(out, REPORT_TEXT_MAX, "+inf");
	else if (ratio >= 1e6)
		snprintf(out, REPORT_TEXT_MAX, "%.1ex", ratio);
	else if (ratio >= 3)
		snprintf(out, REPORT_TEXT_MAX, "%.*fx", ratio < 10 && digits ? 1 : 0, ratio);
	else if (fabs(percent) < pow(10, -digits) / 2)
		snprintf(out, REPORT_TEXT_MAX, "%.*f%%", digits, 0.0);
	else
		snprintf(out, REPORT_TEXT_MAX, "%+.*f%%", fabs(percent) >= 100 ? 0 : digits,
			 percent);
	return out;
}

char *report_change(char *out, const struct report_row *row)
{
	const struct estimate *v = &row->estimate;

	*out = '\0';
	if (row->verdict == VERDICT_MISSING || row->verdict == VERDICT_ADDED)
		return out;
	if (isnan(v->ratio) && v->direction != 0)
		snprintf(out, REPORT_TEXT_MAX, "%s", v->direction > 0 ? "from 0" : "?");
	else if (v->method == VERDICT_BY_COUNT)
		ratio_text(out, v->ratio, fabs(v->ratio - 1) < 0.1 ? 2 : 1);
	else
		ratio_text(out, v->ratio, decimals(uncertainty(row)));
	return out;
}

char *report_interval(char *out, const struct report_row *row)
{
	const struct estimate *v = &row->estimate;
	char lo[REPORT_TEXT_MAX], hi[REPORT_TEXT_MAX];
	int digits = decimals(uncertainty(row));

	*out = '\0';
	if (row->verdict == VERDICT_MISSING || row->verdict == VERDICT_ADDED)
		return out;
	if (v->method == VERDICT_BY_COUNT) {
		snprintf(out, REPORT_TEXT_MAX, "exact");
		return out;
	}
	/* Too few runs leave one end or both open. */
	if (!isfinite(v->hi) || !isfinite(v->lo) || (v->lo <= 0 && !(v->ratio <= 0)))
		snprintf(out, REPORT_TEXT_MAX, "unknown");
	else
		snprintf(out, REPORT_TEXT_MAX, "%.20s..%.20s", ratio_text(lo, v->lo, digits),
			 ratio_text(hi, v->hi, digits));
	return out;
}

char *report_p(char *out, const struct report_row *row)
{
	if (isnan(row->p))
		snprintf(out, REPORT_TEXT_MAX, "-");
	else if (row->p < 0.001)
		snprintf(out, REPORT_TEXT_MAX, "<0.001");
	else if (row->p > 0.995)
		snprintf(out, REPORT_TEXT_MAX, "1");
	else
		snprintf(out, REPORT_TEXT_MAX, "%.2g", row->p);
	return out;
}

char *report_value(char *out, double value, const char *unit)
{
	if (isnan(value))
		snprintf(out, REPORT_TEXT_MAX, "-");
	else
		num_format_unit(out, value, unit);
	return out;
}

/* "50 %" of a change that could have been shown: no more than two digits are known. */
static void percent_text(char *out, size_t size, double change)
{
	if (change >= 9.995)
		snprintf(out, size, "%.3gx", 1 + change);
	else if (change >= 0.995)
		snprintf(out, size, "%.0f %%", 10 * round(10 * change));
	else
		snprintf(out, size, "%.2g %%", 100 * change);
}

static void needed_text(char *out, size_t size, const struct report_row *row)
{
	char threshold[24];

	percent_text(threshold, sizeof(threshold), row->threshold);
	*out = '\0';
	if (row->runs_needed > VERDICT_RUNS_MAX)
		snprintf(out, size, "more than %u would show %s", VERDICT_RUNS_MAX, threshold);
	else if (row->runs_needed)
		snprintf(out, size, "%u would show %s", row->runs_needed, threshold);
}

int report_explain(const struct report_row *row, char *out, size_t size)
{
	double change = verdict_detectable(&row->estimate);
	size_t runs = row->n < row->n_base ? row->n : row->n_base;
	char can[24], needed[64];
	int n = 0;

	*out = '\0';
	if (row->verdict == VERDICT_INCONCLUSIVE) {
		percent_text(can, sizeof(can), change);
		needed_text(needed, sizeof(needed), row);
		if (isfinite(change))
			n = snprintf(out, size, "%zu %s show %s%s%s", runs,
				     runs == 1 ? "run can" : "runs can", can, *needed ? ", " : "",
				     needed);
		else if (row->runs_needed)
			n = snprintf(out, size, "%zu %s too few: at least %u", runs,
				     runs == 1 ? "run is" : "runs are", row->runs_needed);
	} else if (row->verdict == VERDICT_NONE && row->better == BETTER_NONE) {
		n = snprintf(out, size, "neither direction is better");
	}
	if (row->estimate.disagree && n >= 0 && (size_t)n < size)
		n += snprintf(out + n, size - (size_t)n, "%scounts differ from run to run",
			      n ? "; " : "");
	return n;
}

int report_case(const struct report_row *row, bool target, struct buf *out)
{
	buf_add_safe(out, row->benchmark, strlen(row->benchmark));
	if (*row->params) {
		buf_addc(out, ' ');
		buf_add_safe(out, row->params, strlen(row->params));
	}
	if (target && *row->target) {
		buf_adds(out, " @");
		buf_add_safe(out, row->target, strlen(row->target));
	}
	return out->failed ? -1 : 0;
}

static void add_counts(const struct report *r, struct buf *out)
{
	static const enum verdict order[] = { VERDICT_REGRESSION,   VERDICT_MISSING,
					      VERDICT_INCONCLUSIVE, VERDICT_IMPROVEMENT,
					      VERDICT_UNCHANGED,    VERDICT_ADDED };
	bool first = true;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		size_t n = r->gating[order[i]];
		bool plural = n > 1 &&
			      (order[i] == VERDICT_REGRESSION || order[i] == VERDICT_IMPROVEMENT);

		if (!n)
			continue;
		buf_addf(out, "%s%zu %s%s", first ? "" : ", ", n, verdict_name(order[i]),
			 plural ? "s" : "");
		first = false;
	}
	if (first)
		buf_adds(out, "nothing that gates");
}

int report_summary(const struct report *r, struct buf *out)
{
	size_t fewest = 0, most = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];
		size_t n = row->n < row->n_base ? row->n : row->n_base;

		if (!n)
			continue;
		fewest = !fewest || n < fewest ? n : fewest;
		most = n > most ? n : most;
	}
	add_counts(r, out);
	buf_addf(out, " (threshold %g %%%s, alpha %g, Holm over %zu, ", 100 * r->threshold,
		 r->strict ? " for the whole interval" : "", VERDICT_ALPHA, r->family);
	if (fewest == most)
		buf_addf(out, "%zu%s run%s a side", most, r->paired ? " paired" : "",
			 most == 1 ? "" : "s");
	else
		buf_addf(out, "%zu to %zu%s runs a side", fewest, most, r->paired ? " paired" : "");
	buf_addf(out, ", %s)", r->same_machine ? "same machine" : "DIFFERENT machines");
	return out->failed ? -1 : 0;
}
