#include "picture/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "picture/facts.h"
#include "picture/figure.h"
#include "picture/words.h"
#include "result/escape.h"
#include "result/view.h"
#include "stats/summary.h"

enum { RUNS_MAX = 500 };

/* "bench-repl: two-targets.json" */
static void add_name(const struct study *s, struct buf *out)
{
	escape_html(out, view_text(json_object_get(s->file[0].root, "command"), "subcommand"));
	buf_adds(out, ": ");
	for (size_t i = 0; i < s->n_files; i++) {
		buf_adds(out, i ? " and " : "");
		escape_html(out, s->n_files > 1 ? s->file[i].label : s->file[i].name);
	}
}

static void head(const struct study *s, struct buf *out)
{
	buf_adds(
		out,
		"<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
		"<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
		"<meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>mpbench ");
	add_name(s, out);
	buf_addf(out, "</title>\n<style>\n%s</style></head>\n<body><main>\n<h1>", page_style);
	add_name(s, out);
	buf_adds(out, "</h1>\n");
}

static void extent(const struct study *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_files; i++) {
		CLEANUP(buf_done) struct buf text = BUF_INIT;

		facts_extent(s->file[i].root, &text);
		out->failed = out->failed || text.failed;
		buf_adds(out, "<p>");
		if (s->n_files > 1) {
			buf_adds(out, "<b>");
			escape_html(out, s->file[i].label);
			buf_adds(out, "</b>: ");
		}
		escape_html(out, buf_text(&text));
		buf_adds(out, "</p>\n");
	}
}

/* --- all cases in one table -------------------------------------------------------------------------------------- */

static double failed_of(const struct arm *a)
{
	const json_t *run;
	double n = 0;
	size_t i;

	json_array_foreach(json_object_get(a->benchmark, "runs"), i, run) n +=
		json_number_value(json_object_get(run, "failed"));
	return n;
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

static void overview_row(struct canvas *k, const struct study_case *c, const struct arm *a,
			 bool label)
{
	char name[NUMBERS_LABEL], title[112], arm[44];
	size_t row;

	words_copy(title, sizeof(title), c->title);
	words_copy(arm, sizeof(arm), a->label);
	snprintf(name, sizeof(name), "%s%s%s", title, label ? ", " : "", label ? arm : "");
	row = numbers_row(k->numbers, name);
	numbers_value(k->numbers, row, 0, median_of(c, a), c->unit);
	numbers_value(k->numbers, row, 1, study_percentile(c, a, "p99"), study_unit(c));
	numbers_count(k->numbers, row, 2, failed_of(a));
}

static void overview(struct canvas *k)
{
	const struct study *s = k->study;
	bool label = s->n_files > 1 || s->several_targets;

	if (!s->n_cases) {
		if (!json_object_size(json_object_get(s->file[0].root, "extensions")))
			buf_adds(k->out, "<p>This file holds no benchmarks.</p>\n");
		return;
	}
	numbers_start(k->numbers);
	numbers_column(k->numbers, "median of the runs");
	numbers_column(k->numbers, "P99 of all operations");
	numbers_column(k->numbers, "failed");
	for (size_t i = 0; i < s->n_cases; i++)
		for (size_t a = 0; a < s->cases[i].n; a++)
			overview_row(k, &s->cases[i], &s->cases[i].arm[a], label);
	buf_adds(k->out, "<h2>All cases</h2>\n");
	numbers_html(
		k->numbers,
		"Each case by its headline: latency, or throughput where that is what it is about.",
		k->out);
}

static void index_of(const struct study *s, const bool *member, struct buf *out)
{
	if (s->n_cases < 3)
		return;
	buf_adds(out, "<nav aria-label=Cases>");
	for (size_t i = 0; i < s->n_cases; i++) {
		if (member[i])
			continue;
		buf_addf(out, "<a href=\"#case%zu\">", i);
		escape_html(out, s->cases[i].title);
		buf_adds(out, "</a> ");
	}
	buf_adds(out, "</nav>\n");
}

static int one_case(struct canvas *k, size_t index)
{
	const struct study_case *c = &k->study->cases[index];
	const char *note = view_text(c->arm[0].benchmark, "note");
	const char *loop = view_text(c->arm[0].benchmark, "loop");

	buf_addf(k->out, "<h2 id=case%zu>", index);
	escape_html(k->out, c->title);
	buf_adds(k->out, "</h2>\n");
	if (study_latency(c) && strcmp(loop, "closed") == 0)
		buf_adds(
			k->out,
			"<p class=small>Closed loop: the next operation starts when the one before is done, "
			"so waiting that a schedule would show (coordinated omission) is not in it.</p>\n");
	else if (study_latency(c) && strcmp(loop, "open") == 0)
		buf_adds(
			k->out,
			"<p class=small>Open loop: latency counts from the planned moment of sending.</p>\n");
	if (*note)
		figure_note(k, note);
	if (figure_runs(k, c) < 0 || figure_spectrum(k, c) < 0 || figure_density(k, c) < 0 ||
	    figure_spectra(k, c) < 0 || figure_timeline(k, c) < 0)
		return -1;
	return figure_calls(k, c);
}

static int body(struct canvas *k, bool *member)
{
	struct buf *out = k->out;
	size_t hidden = 0;

	extent(k->study, out);
	facts_alarms(k->study, out);
	if (figure_forests(k) < 0)
		return -1;
	overview(k);
	if (figure_matrices(k, member) < 0 || figure_budgets(k) < 0 || figure_bridges(k) < 0 ||
	    figure_traces(k) < 0)
		return -1;
	index_of(k->study, member, out);
	for (size_t i = 0; i < k->study->n_cases; i++) {
		hidden += member[i];
		if (!member[i] && one_case(k, i) < 0)
			return -1;
	}
	if (hidden)
		buf_addf(
			out,
			"<p class=small>%zu further cases are cells of the heat map, without pictures of their own.</p>\n",
			hidden);
	facts_notes(k->study, out);
	facts_files(k->study, out);
	return 0;
}

int page_html(const struct study *s, struct buf *out, struct err *e)
{
	CLEANUP_FREE struct numbers *numbers = calloc(1, sizeof(*numbers));
	CLEANUP_FREE bool *member = calloc(s->n_cases + 1, sizeof(*member));
	struct canvas k = { .study = s, .out = out, .numbers = numbers, .e = e };

	if (!numbers || !member)
		return err_nomem(e);
	head(s, out);
	if (body(&k, member) < 0)
		return -1;
	buf_addf(
		out,
		"<p class=small>Made by mpbench %s. Intervals are 95 %%; how the numbers are made is in mpbench(1).</p>\n",
		version_text());
	buf_adds(out, "</main></body></html>\n");
	return out->failed ? err_nomem(e) : 0;
}
