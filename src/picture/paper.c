#include "picture/paper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "picture/facts.h"
#include "picture/traces.h"
#include "picture/words.h"
#include "result/escape.h"
#include "result/format.h"
#include "result/screen.h"
#include "result/sparkline.h"
#include "result/view.h"
#include "stats/summary.h"

enum { RUNS_MAX = 500, CELLS = 20, ROOM = 16 * 1024 };

/* --- one-line pictures ------------------------------------------------------------------------------------------- */

/* Run values in order. */
static void runs_line(const struct study_case *c, const struct arm *a, bool utf8, struct buf *out)
{
	double v[RUNS_MAX];

	sparkline_values(v, study_values(c, a, v, RUNS_MAX), CELLS, utf8, out);
}

/* All arms of a case share one axis. */
static void histogram_line(const struct study_case *c, const struct arm *a, bool utf8,
			   struct buf *out)
{
	const json_t *runs = json_object_get(a->benchmark, "runs"), *run;
	double min = INFINITY, max = 0;
	struct sparkline line;
	size_t i;

	if (!c->distribution)
		return;
	for (i = 0; i < c->n; i++) {
		double lo = study_moment(c, &c->arm[i], "min"),
		       hi = study_moment(c, &c->arm[i], "max");

		min = isfinite(lo) ? fmin(min, lo) : min;
		max = isfinite(hi) ? fmax(max, hi) : max;
	}
	if (!isfinite(min))
		return;
	sparkline_init(&line, CELLS, min, max);
	json_array_foreach(runs, i, run)
	{
		if (strcmp(view_text(run, "status"), "ok") == 0)
			sparkline_add(&line, json_object_get(json_object_get(run, "distributions"),
							     c->distribution));
	}
	sparkline_draw(&line, utf8, out);
}

static double median_of(const struct study_case *c, const struct arm *a)
{
	double v[RUNS_MAX];
	size_t all = study_values(c, a, v, RUNS_MAX), n = 0;

	for (size_t i = 0; i < all; i++)
		if (isfinite(v[i]))
			v[n++] = v[i];
	summary_sort(v, n);
	return summary_median_sorted(v, n);
}

static double failed_of(const struct arm *a)
{
	const json_t *run;
	double n = 0;
	size_t i;

	json_array_foreach(json_object_get(a->benchmark, "runs"), i, run) n +=
		json_number_value(json_object_get(run, "failed"));
	return n;
}

/* --- Markdown ---------------------------------------------------------------------------------------------------- */

static void md_row(const struct study *s, const struct study_case *c, const struct arm *a,
		   struct buf *out)
{
	char median[NUM_TEXT_MAX], p99[NUM_TEXT_MAX];

	buf_adds(out, "| ");
	escape_markdown(out, c->title);
	if (s->n_files > 1 || s->several_targets) {
		buf_adds(out, " | ");
		escape_markdown(out, a->label);
	}
	buf_addf(out, " | %s | %s | %.0f | ", num_format_unit(median, median_of(c, a), c->unit),
		 num_format_unit(p99, study_percentile(c, a, "p99"), study_unit(c)), failed_of(a));
	runs_line(c, a, true, out);
	buf_adds(out, " | ");
	histogram_line(c, a, true, out);
	buf_adds(out, " |\n");
}

static void md_cases(const struct study *s, struct buf *out)
{
	bool label = s->n_files > 1 || s->several_targets;

	if (!s->n_cases) {
		if (!traces_of(s->file[0].root))
			buf_adds(out, "No benchmarks.\n\n");
		return;
	}
	buf_addf(
		out,
		"| case | %smedian | P99 | failed | runs | histogram |\n|---|%s--:|--:|--:|---|---|\n",
		label ? "of | " : "", label ? "---|" : "");
	for (size_t i = 0; i < s->n_cases; i++)
		for (size_t a = 0; a < s->cases[i].n; a++) {
			if (out->len > FORMAT_SUMMARY_MAX / 2) {
				buf_adds(
					out,
					"\nFurther rows are left out: the summary would be too long.\n");
				return;
			}
			md_row(s, &s->cases[i], &s->cases[i].arm[a], out);
		}
	buf_addc(out, '\n');
}

static void md_contrasts(const struct study *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_cases; i++)
		for (size_t a = 0; a < s->cases[i].n; a++) {
			CLEANUP(buf_done) struct buf words = BUF_INIT;
			char ratio[WORDS_MAX];

			if (s->cases[i].arm[a].file > 0 || out->len > FORMAT_SUMMARY_MAX / 2)
				continue;
			words_contrast(&words, &s->cases[i], &s->cases[i].arm[a]);
			out->failed = out->failed || words.failed;
			if (!words.len)
				continue;
			buf_adds(out, "- ");
			escape_markdown(out, s->cases[i].title);
			buf_adds(out, ": ");
			escape_markdown(out, buf_text(&words));
			buf_adds(out, ", ratio ");
			escape_markdown(out, words_interval(ratio, &s->cases[i].arm[a].contrast));
			buf_addc(out, '\n');
		}
	buf_addc(out, '\n');
}

static void md_lines(const json_t *items, const char *first, const char *second, struct buf *out)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		if (out->len > FORMAT_SUMMARY_MAX - ROOM)
			break;
		buf_adds(out, "- ");
		escape_markdown(out, view_text(item, first));
		if (*view_text(item, second)) {
			buf_adds(out, ": ");
			escape_markdown(out, view_text(item, second));
		}
		buf_addc(out, '\n');
	}
}

static void md_file(const struct study *s, size_t i, struct buf *out)
{
	const json_t *root = s->file[i].root;
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	buf_adds(out, "\n**");
	escape_markdown(out, s->n_files > 1 ? s->file[i].label : s->file[i].name);
	buf_adds(out, "**: ");
	facts_extent(root, &text);
	buf_adds(&text, ". ");
	facts_machine(root, &text);
	buf_adds(&text, " The machine was ");
	facts_noise(root, &text);
	buf_adds(&text, ".");
	if (strcmp(view_text(root, "status"), "complete") != 0)
		buf_addf(&text, " The measurement is %s: %s", view_text(root, "status"),
			 view_text(json_object_get(root, "error"), "message"));
	out->failed = out->failed || text.failed;
	escape_markdown(out, buf_text(&text));
	buf_adds(out, "\n\n");
	if (traces_of(root))
		traces_markdown(traces_of(root), out);
	md_lines(json_object_get(root, "findings"), "code", "evidence", out);
	md_lines(json_object_get(root, "warnings"), "message", "", out);
}

int paper_markdown(const struct study *s, struct buf *out, struct err *e)
{
	buf_adds(out, "## mpbench ");
	escape_markdown(out, view_text(json_object_get(s->file[0].root, "command"), "subcommand"));
	buf_adds(out, "\n\n");
	for (size_t i = 1; i < s->n_files; i++) {
		escape_markdown(out, s->file[i].label);
		buf_adds(out, " against ");
		escape_markdown(out, s->file[0].label);
		buf_adds(out, "\n\n");
		format_markdown(&s->file[i].report, out);
		buf_addc(out, '\n');
	}
	md_cases(s, out);
	md_contrasts(s, out);
	for (size_t i = 0; i < s->n_files; i++)
		md_file(s, i, out);
	return out->failed ? err_nomem(e) : 0;
}

/* --- terminal ---------------------------------------------------------------------------------------------------- */

static void text_row(const struct screen *o, const struct study_case *c, const struct arm *a,
		     unsigned label)
{
	CLEANUP(buf_done) struct buf runs = BUF_INIT, histogram = BUF_INIT;
	CLEANUP_FREE char *name = screen_safe(o, a->label);
	char text[NUM_TEXT_MAX];

	buf_adds(o->out, "  ");
	screen_left(o, TONE_PLAIN, name ? name : "", label);
	screen_right(o, TONE_BOLD, num_format_unit(text, median_of(c, a), c->unit), 12);
	runs_line(c, a, o->style->utf8, &runs);
	histogram_line(c, a, o->style->utf8, &histogram);
	buf_adds(o->out, "  ");
	screen_left(o, TONE_PLAIN, screen_part(o, &runs), CELLS);
	buf_adds(o->out, "  ");
	screen_left(o, TONE_PLAIN, screen_part(o, &histogram), CELLS);
	screen_line_end(o);
}

static void text_case(const struct screen *o, const struct study_case *c, unsigned label)
{
	CLEANUP_FREE char *title = screen_safe(o, c->title);

	screen_left(o, TONE_BOLD, title ? title : "", o->style->width);
	screen_line_end(o);
	for (size_t i = 0; i < c->n; i++)
		text_row(o, c, &c->arm[i], label);
	for (size_t i = 0; i < c->n; i++) {
		CLEANUP(buf_done) struct buf words = BUF_INIT;
		CLEANUP_FREE char *safe = NULL;

		words_contrast(&words, c, &c->arm[i]);
		safe = screen_safe(o, screen_part(o, &words));
		if (safe && *safe)
			screen_wrap(o, TONE_DIM, "  ", safe);
	}
}

static void text_cases(const struct screen *o, const struct study *s)
{
	unsigned label = o->style->width > 74 ? o->style->width - 60 : 14;

	if (!s->n_cases)
		return;
	label = label > 32 ? 32 : label;
	screen_heading(o, "Every run in order, and a histogram of all operations");
	for (size_t i = 0; i < s->n_cases; i++)
		text_case(o, &s->cases[i], label);
}

int paper_text(const struct study *s, const struct table_style *style, struct buf *out,
	       struct err *e)
{
	struct table_style fitting = *style;
	const struct screen o = { .out = out, .style = &fitting };

	fitting.width = style->width < 60 ? 60 : style->width > 200 ? 200 : style->width;
	for (size_t i = 0; i < s->n_files; i++) {
		if (s->n_files > 1) {
			CLEANUP_FREE char *label = screen_safe(&o, s->file[i].label);

			screen_heading(&o, label ? label : "");
		}
		/* Several files: what they say in full is in each; here it is about what differs. */
		if (i > 0 && report_table(&s->file[i].report, &fitting, out, e) < 0)
			return -1;
		if (s->n_files == 1 && table_result(s->file[i].root, &fitting, out, e) < 0)
			return -1;
		if (traces_of(s->file[i].root))
			traces_text(traces_of(s->file[i].root), &o);
	}
	text_cases(&o, s);
	return out->failed ? err_nomem(e) : 0;
}
