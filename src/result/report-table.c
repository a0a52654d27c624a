/* A report for people: one line a metric, worst first, the name last so that it may be as long as it is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "result/report.h"
#include "result/screen.h"

enum {
	VERDICT_WIDTH = 12,
	CHANGE_WIDTH = 7,
	INTERVAL_WIDTH = 15,
	P_WIDTH = 9,
	VALUE_WIDTH = 10,
	WIDE = 100
};

struct table {
	struct screen s;
	const struct report *r;
	bool targets, wide;
};

static bool several_targets(const struct report *r)
{
	for (size_t i = 1; i < r->n; i++)
		if (strcmp(r->row[i].target, r->row[0].target) != 0)
			return true;
	return false;
}

static enum tone tone_of(const struct report_row *row)
{
	if (!row->gates)
		return TONE_PLAIN;
	return row->verdict == VERDICT_REGRESSION || row->verdict == VERDICT_MISSING ? TONE_BAD
	       : row->verdict == VERDICT_IMPROVEMENT				     ? TONE_GOOD
										     : TONE_PLAIN;
}

/* Upper case is what gates, so that grep finds it. */
static void verdict_cell(const struct table *t, const struct report_row *row)
{
	const char *name = verdict_name(row->verdict);
	char text[VERDICT_WIDTH + 1];
	bool loud = row->gates &&
		    (row->verdict == VERDICT_REGRESSION || row->verdict == VERDICT_MISSING);
	size_t i = 0;

	for (; name[i] && i < VERDICT_WIDTH; i++)
		text[i] = loud ? (char)(name[i] - 'a' + 'A') : name[i];
	text[i] = '\0';
	screen_left(&t->s, tone_of(row), text, VERDICT_WIDTH);
}

/* "3.45MiB/s", "9.41Gb/s": a column is dear. Never without a space before it. */
static void value_cell(const struct table *t, double value, const char *unit)
{
	char text[REPORT_TEXT_MAX], tight[REPORT_TEXT_MAX];
	char *bits;
	size_t n = 0;

	report_value(text, value, unit);
	bits = strstr(text, "bit/s");
	if (bits)
		memmove(bits + 1, bits + 3, strlen(bits + 3) + 1);
	for (const char *p = text; *p; p++)
		if (*p != ' ')
			tight[n++] = *p;
	tight[n] = '\0';
	if (n >= VALUE_WIDTH)
		buf_addc(t->s.out, ' ');
	screen_right(&t->s, TONE_PLAIN, tight, VALUE_WIDTH);
}

static void name_cell(const struct table *t, const struct report_row *row)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT;

	buf_add_safe(&name, row->benchmark, strlen(row->benchmark));
	buf_addc(&name, ' ');
	buf_add_safe(&name, row->metric, strlen(row->metric));
	t->s.out->failed = t->s.out->failed || name.failed;
	buf_addc(t->s.out, ' ');
	screen_text(&t->s, row->gates ? TONE_BOLD : TONE_PLAIN, buf_text(&name));
	screen_line_end(&t->s);
}

/* Which case it is, where the name does not say it all, and why nothing can be said. */
static void detail_line(const struct table *t, const struct report_row *row)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	char why[160];

	report_explain(row, why, sizeof(why));
	if (*row->params)
		buf_add_safe(&line, row->params, strlen(row->params));
	if (t->targets && *row->target) {
		buf_adds(&line, line.len ? " @" : "@");
		buf_add_safe(&line, row->target, strlen(row->target));
	}
	if (*why && (row->gates || t->s.style->verbose))
		buf_addf(&line, "%s%s", line.len ? ": " : "", why);
	t->s.out->failed = t->s.out->failed || line.failed;
	if (line.len)
		screen_wrap(&t->s, TONE_DIM, "    ", buf_text(&line));
}

static void compared_row(const struct table *t, const struct report_row *row)
{
	char text[REPORT_TEXT_MAX];

	verdict_cell(t, row);
	screen_right(&t->s, tone_of(row), report_change(text, row), CHANGE_WIDTH);
	screen_right(&t->s, TONE_PLAIN, report_interval(text, row), INTERVAL_WIDTH);
	if (t->wide)
		screen_right(&t->s, TONE_PLAIN, report_p(text, row), P_WIDTH);
	value_cell(t, row->base, row->unit);
	value_cell(t, row->value, row->unit);
	name_cell(t, row);
	detail_line(t, row);
}

static void compared_head(const struct table *t)
{
	screen_left(&t->s, TONE_DIM, "verdict", VERDICT_WIDTH);
	screen_right(&t->s, TONE_DIM, "change", CHANGE_WIDTH);
	screen_right(&t->s, TONE_DIM, "95% interval", INTERVAL_WIDTH);
	if (t->wide)
		screen_right(&t->s, TONE_DIM, "p (Holm)", P_WIDTH);
	screen_right(&t->s, TONE_DIM, "base", VALUE_WIDTH);
	screen_right(&t->s, TONE_DIM, "new", VALUE_WIDTH);
	buf_addc(t->s.out, ' ');
	screen_text(&t->s, TONE_DIM, "metric");
	screen_line_end(&t->s);
}

static bool has_moved(const struct report_row *row)
{
	return row->verdict != VERDICT_UNCHANGED && row->verdict != VERDICT_NONE &&
	       row->verdict != VERDICT_INCONCLUSIVE;
}

static void others(const struct table *t)
{
	size_t hidden[VERDICTS] = { 0 }, shown = 0;
	bool all = t->s.style->verbose > 0 || !t->r->brief;

	for (size_t i = 0; i < t->r->n; i++) {
		const struct report_row *row = &t->r->row[i];

		if (row->gates)
			continue;
		if (!all && !has_moved(row)) {
			hidden[row->verdict]++;
			continue;
		}
		if (shown++ == 0)
			screen_heading(&t->s, "Also measured (does not gate)");
		compared_row(t, row);
	}
	if (!hidden[VERDICT_UNCHANGED] && !hidden[VERDICT_INCONCLUSIVE] && !hidden[VERDICT_NONE])
		return;
	buf_addf(
		t->s.out,
		"%sOf what does not gate, %zu unchanged, %zu inconclusive, %zu not judged: -v lists "
		"them\n",
		shown ? "" : "\n", hidden[VERDICT_UNCHANGED], hidden[VERDICT_INCONCLUSIVE],
		hidden[VERDICT_NONE]);
}

static void notes(const struct table *t)
{
	for (size_t i = 0; i < t->r->n_notes; i++) {
		CLEANUP_FREE char *text = screen_safe(&t->s, t->r->note[i].text);

		if (i == 0)
			buf_addc(t->s.out, '\n');
		screen_wrap(&t->s, TONE_PLAIN, "! ", text ? text : "");
	}
	if (t->r->notes_dropped)
		buf_addf(t->s.out, "! %zu further notes\n", t->r->notes_dropped);
}

static void summary(const struct table *t)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT;

	report_summary(t->r, &line);
	t->s.out->failed = t->s.out->failed || line.failed;
	buf_addc(t->s.out, '\n');
	screen_wrap(&t->s, t->r->gating[VERDICT_REGRESSION] ? TONE_BAD : TONE_BOLD, "",
		    buf_text(&line));
}

int report_table(const struct report *r, const struct table_style *style, struct buf *out,
		 struct err *e)
{
	struct table t = { .s = { .out = out, .style = style },
			   .r = r,
			   .targets = several_targets(r),
			   .wide = style->width >= WIDE || style->verbose };

	compared_head(&t);
	for (size_t i = 0; i < r->n; i++)
		if (r->row[i].gates)
			compared_row(&t, &r->row[i]);
	others(&t);
	notes(&t);
	summary(&t);
	return out->failed ? err_nomem(e) : 0;
}
