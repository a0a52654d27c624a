/* Markdown for summaries and comments. Text from outside goes into it escaped: it is HTML to who reads it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "result/escape.h"
#include "result/format.h"

static void add_name(struct buf *out, const struct report_row *row, bool target)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT;

	report_case(row, target, &name);
	out->failed = out->failed || name.failed;
	escape_markdown(out, buf_text(&name));
}

static bool several_targets(const struct report *r)
{
	for (size_t i = 1; i < r->n; i++)
		if (strcmp(r->row[i].target, r->row[0].target) != 0)
			return true;
	return false;
}

static void compared_row(struct buf *out, const struct report_row *row, bool targets)
{
	char change[REPORT_TEXT_MAX], interval[REPORT_TEXT_MAX], p[REPORT_TEXT_MAX];
	char base[REPORT_TEXT_MAX], value[REPORT_TEXT_MAX], why[160];
	bool loud = row->gates &&
		    (row->verdict == VERDICT_REGRESSION || row->verdict == VERDICT_MISSING);

	buf_adds(out, "| ");
	add_name(out, row, targets);
	buf_adds(out, " | ");
	escape_markdown(out, row->metric);
	report_explain(row, why, sizeof(why));
	buf_addf(out, " | %s | %s | %s | %s | %s | %s%s%s%s%s%s |\n",
		 report_value(base, row->base, row->unit),
		 report_value(value, row->value, row->unit), report_change(change, row),
		 report_interval(interval, row), report_p(p, row), loud ? "**" : "",
		 verdict_name(row->verdict), loud ? "**" : "", *why ? " (" : "", why,
		 *why ? ")" : "");
}

static void single_row(struct buf *out, const struct report_row *row, bool targets)
{
	char value[REPORT_TEXT_MAX], lo[REPORT_TEXT_MAX], hi[REPORT_TEXT_MAX];

	buf_adds(out, "| ");
	add_name(out, row, targets);
	buf_adds(out, " | ");
	escape_markdown(out, row->metric);
	buf_addf(out, " | %s | ", report_value(value, row->value, row->unit));
	if (!isnan(row->value_lo) && !isnan(row->value_hi))
		buf_addf(out, "%s to %s", report_value(lo, row->value_lo, row->unit),
			 report_value(hi, row->value_hi, row->unit));
	buf_addf(out, " | %zu |\n", row->n);
}

static void head(const struct report *r, struct buf *out)
{
	if (r->compared)
		buf_adds(
			out,
			"| case | metric | base | new | change | 95 % interval | p (Holm) | verdict |\n"
			"|---|---|--:|--:|--:|--:|--:|---|\n");
	else
		buf_adds(
			out,
			"| case | metric | median | 95 % interval | runs |\n|---|---|--:|--:|--:|\n");
}

/* Rows that gate, or those that do not; what does not fit is counted. */
static void rows(const struct report *r, bool gating, struct buf *out)
{
	bool targets = several_targets(r);
	size_t left_out = 0;

	head(r, out);
	for (size_t i = 0; i < r->n; i++) {
		bool shown = r->compared ? r->row[i].gates : r->row[i].headline;

		if (shown != gating)
			continue;
		if (out->len > FORMAT_SUMMARY_MAX - 16 * 1024)
			left_out++;
		else if (r->compared)
			compared_row(out, &r->row[i], targets);
		else
			single_row(out, &r->row[i], targets);
	}
	if (left_out)
		buf_addf(out, "\n%zu further rows are left out: the summary would be too long.\n",
			 left_out);
}

static void checks(const struct report *r, struct buf *out)
{
	if (r->n_checks)
		buf_adds(out, "\n| limit | |\n|---|---|\n");
	for (size_t i = 0; i < r->n_checks && out->len < FORMAT_SUMMARY_MAX - 16 * 1024; i++) {
		bool pass = strcmp(r->check[i].status, "pass") == 0;

		buf_adds(out, "| ");
		escape_markdown(out, r->check[i].expr);
		buf_addf(out, " | %s%s%s |\n", pass ? "" : "**", r->check[i].status,
			 pass ? "" : "**");
	}
}

static size_t others(const struct report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->compared ? !r->row[i].gates : !r->row[i].headline;
	return n;
}

void format_markdown(const struct report *r, struct buf *out)
{
	if (r->compared) {
		buf_adds(out, "### mpbench: ");
		report_summary(r, out);
		buf_adds(out, "\n\n");
	}
	rows(r, true, out);
	checks(r, out);
	for (size_t i = 0; i < r->n_notes; i++) {
		buf_adds(out, i ? "- " : "\n- ");
		escape_markdown(out, r->note[i].text);
		buf_addc(out, '\n');
	}
	if (!others(r))
		return;
	buf_addf(out, "\n<details><summary>%zu further metrics%s</summary>\n\n", others(r),
		 r->compared ? " that do not gate" : "");
	rows(r, false, out);
	buf_adds(out, "\n</details>\n");
}
