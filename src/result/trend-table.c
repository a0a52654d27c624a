/* A trend for people. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "result/screen.h"
#include "result/sparkline.h"
#include "result/trend.h"

static void add_safe(struct buf *out, const char *text)
{
	buf_add_safe(out, text, strlen(text));
}

static bool several_targets(const struct trend *t)
{
	for (size_t i = 1; i < t->n; i++)
		if (strcmp(t->row[i].of->target, t->row[0].of->target) != 0)
			return true;
	return false;
}

/* "repl.exec latency.median chunk=64 @t1 [config 3f2a]" */
static void name_line(const struct screen *s, const struct trend *t, const struct trend_row *row)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT, rest = BUF_INIT;

	add_safe(&line, row->of->benchmark);
	buf_addc(&line, ' ');
	add_safe(&line, row->of->metric);
	if (*row->of->params) {
		buf_addc(&rest, ' ');
		add_safe(&rest, row->of->params);
	}
	if (several_targets(t)) {
		buf_adds(&rest, " @");
		add_safe(&rest, row->of->target);
	}
	if (t->configs > 1) {
		buf_adds(&rest, " options ");
		buf_add_safe(&rest, row->of->config, strnlen(row->of->config, 4));
	}
	screen_text(s, TONE_BOLD, screen_part(s, &line));
	screen_text(s, TONE_PLAIN, screen_part(s, &rest));
	screen_line_end(s);
}

static void value_line(const struct screen *s, const struct trend_row *row)
{
	CLEANUP(buf_done) struct buf spark = BUF_INIT;
	char median[NUM_TEXT_MAX], mad[NUM_TEXT_MAX], last[NUM_TEXT_MAX];
	unsigned cells = s->style->width - 4;

	num_format_unit(median, row->median, row->of->unit);
	num_format_unit(mad, row->mad, row->of->unit);
	num_format_unit(last, row->n ? row->value[row->n - 1] : (double)NAN, row->of->unit);
	sparkline_values(row->value, row->n, cells, s->style->utf8, &spark);
	buf_adds(s->out, "  ");
	screen_text(s, TONE_PLAIN, screen_part(s, &spark));
	screen_line_end(s);
	buf_addf(s->out, "  %zu result%s, median %s, MAD %s, last %s", row->n,
		 row->n == 1 ? "" : "s", median, mad, last);
	screen_line_end(s);
}

static const char *judgement(const struct trend_row *row, const struct change *c)
{
	bool up = c->after > c->before;

	if (row->of->better == BETTER_NONE)
		return up ? "up" : "down";
	return up == (row->of->better == BETTER_LOWER) ? "WORSE" : "better";
}

static void change_text(const struct change *c, char *out, size_t size)
{
	double percent = 100 * (c->after / c->before - 1);

	if (!isfinite(percent))
		snprintf(out, size, "from 0");
	else
		snprintf(out, size, fabs(percent) >= 10 ? "%+.0f%%" : "%+.1f%%", percent);
}

/* Which result is the first of the new level, and what is known of it. */
static void change_line(const struct screen *s, const struct trend *t, const struct trend_row *row,
			const struct change *c)
{
	const struct history_point *p = &t->h->point[row->place[c->at]];
	const struct history_point *before = &t->h->point[row->place[c->at - 1]];
	const char *word = judgement(row, c);
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	char by[32], from[NUM_TEXT_MAX], to[NUM_TEXT_MAX];

	change_text(c, by, sizeof(by));
	num_format_unit(from, c->before, row->of->unit);
	num_format_unit(to, c->after, row->of->unit);
	buf_addf(&line, "%s, %s to %s, since %.19sZ", by, from, to, p->started_at);
	if (*p->commit) {
		buf_adds(&line, ", commit ");
		buf_add_safe(&line, p->commit, strnlen(p->commit, 12));
	}
	buf_adds(&line, ", ");
	add_safe(&line, p->name);
	if (*p->machine && *before->machine && strcmp(p->machine, before->machine) != 0)
		buf_adds(&line, " (another machine from there on)");
	if (s->style->verbose)
		buf_addf(&line, c->p < 0.001 ? ", p <0.001" : ", p %.2g", c->p);
	screen_wrap(s,
		    *word == 'W'   ? TONE_BAD
		    : *word == 'b' ? TONE_GOOD
				   : TONE_PLAIN,
		    *word == 'W'   ? "  WORSE "
		    : *word == 'b' ? "  better "
		    : *word == 'u' ? "  up "
				   : "  down ",
		    screen_part(s, &line));
}

static void summary(const struct screen *s, const struct trend *t)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	size_t few = 0;

	for (size_t i = 0; i < t->n; i++)
		few += t->row[i].n < TREND_RESULTS_MIN;
	buf_addf(&line, "%zu result%s, %zu metric%s", t->h->n, t->h->n == 1 ? "" : "s", t->n,
		 t->n == 1 ? "" : "s");
	buf_addf(&line,
		 t->worse ? ", %zu worse than before the last change" : ", none worse than before",
		 t->worse);
	if (t->h->skipped)
		buf_addf(&line, ", %zu skipped", t->h->skipped);
	if (few)
		buf_addf(&line, "; fewer than %d results show no change of any size",
			 TREND_RESULTS_MIN);
	if (t->configs > 1)
		buf_addf(&line, "; %zu sets of options: results of different ones are kept apart",
			 t->configs);
	buf_addc(s->out, '\n');
	screen_wrap(s, t->worse ? TONE_BAD : TONE_BOLD, "", screen_part(s, &line));
}

int trend_table(const struct trend *t, const struct table_style *style, struct buf *out,
		struct err *e)
{
	const struct screen s = { out, style };

	for (size_t i = 0; i < t->n; i++) {
		name_line(&s, t, &t->row[i]);
		value_line(&s, &t->row[i]);
		for (size_t k = 0; k < t->row[i].n_changes; k++)
			change_line(&s, t, &t->row[i], &t->row[i].change[k]);
	}
	summary(&s, t);
	return out->failed ? err_nomem(e) : 0;
}
