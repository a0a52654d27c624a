/* Operations in the order in which they were done, run after run, where the samples were kept (--samples). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/words.h"
#include "result/view.h"
#include "stats/summary.h"

enum { BINS = 150, PANEL = 98, RUNS_MARKED = 60 };

/* All samples of an arm in order. */
struct timeline {
	double *value;
	size_t n;
	size_t start[RUNS_MARKED]; /* where each run begins */
	double failed[RUNS_MARKED];
	size_t n_runs;
	double lo, hi, all_failed;
};

static void timeline_done(struct timeline *t)
{
	free(t->value);
}

static const json_t *samples_of(const struct study_case *c, const json_t *run)
{
	const json_t *d = json_object_get(json_object_get(run, "distributions"), c->distribution);

	return json_object_get(d, "samples");
}

static int read_arm(const struct study_case *c, const struct arm *a, struct timeline *t,
		    struct err *e)
{
	const json_t *runs = json_object_get(a->benchmark, "runs"), *run;
	size_t total = 0, i;

	*t = (struct timeline){ .lo = INFINITY, .hi = -INFINITY };
	json_array_foreach(runs, i, run) total += json_array_size(samples_of(c, run));
	t->value = calloc(total + 1, sizeof(*t->value));
	if (!t->value)
		return err_nomem(e);
	json_array_foreach(runs, i, run)
	{
		const json_t *samples = samples_of(c, run);
		double failed = view_number(run, "failed");

		if (t->n_runs < RUNS_MARKED) {
			t->start[t->n_runs] = t->n;
			t->failed[t->n_runs++] = failed;
		}
		t->all_failed += failed > 0 ? failed : 0;
		for (size_t k = 0; k < json_array_size(samples); k++) {
			double v = json_number_value(json_array_get(samples, k));

			t->value[t->n++] = v;
			t->lo = fmin(t->lo, v);
			t->hi = fmax(t->hi, v);
		}
	}
	return 0;
}

struct bin {
	double lo, median, hi;
};

/* Values [from, to) in one bin; `scratch` holds as many. */
static struct bin bin_of(const struct timeline *t, size_t from, size_t to, double *scratch)
{
	memcpy(scratch, t->value + from, (to - from) * sizeof(*scratch));
	summary_sort(scratch, to - from);
	return (struct bin){ scratch[0], summary_median_sorted(scratch, to - from),
			     scratch[to - from - 1] };
}

static int make_bins(const struct timeline *t, struct bin *bin, size_t *n, struct err *e)
{
	CLEANUP_FREE double *scratch = calloc(t->n + 1, sizeof(*scratch));

	if (!scratch)
		return err_nomem(e);
	*n = t->n < BINS ? t->n : BINS;
	for (size_t i = 0; i < *n; i++)
		bin[i] = bin_of(t, t->n * i / *n, t->n * (i + 1) / *n, scratch);
	return 0;
}

/* Stretches of runs that had failures, and a line where a run begins. */
static void mark_runs(const struct frame *f, const struct timeline *t, const struct scale *x)
{
	for (size_t i = 0; i < t->n_runs; i++) {
		size_t end = i + 1 < t->n_runs ? t->start[i + 1] : t->n;
		double from = scale_at(x, (double)t->start[i]), to = scale_at(x, (double)end);

		if (t->failed[i] > 0 && to > from)
			svg_rect(f->svg, from, f->top, to - from, f->bottom - f->top, "failed");
	}
	svg_path_begin(f->svg, "part", SVG_COLORS);
	for (size_t i = 1; i < t->n_runs; i++) {
		svg_move(f->svg, scale_at(x, (double)t->start[i]), f->top);
		svg_to(f->svg, scale_at(x, (double)t->start[i]), f->bottom);
	}
	svg_path_end(f->svg);
}

static int panel(const struct frame *f, const struct timeline *t, const struct scale *x,
		 const struct scale *y, unsigned color, struct err *e)
{
	double middle[BINS], at[BINS];
	struct bin bin[BINS];
	size_t n = 0;

	if (make_bins(t, bin, &n, e) < 0)
		return -1;
	mark_runs(f, t, x);
	svg_path_begin(f->svg, "range", color);
	for (size_t i = 0; i < n; i++) {
		double lo = scale_at(y, bin[i].lo), hi = scale_at(y, bin[i].hi);

		at[i] = scale_at(x, (double)t->n * ((double)i + 0.5) / (double)n);
		middle[i] = scale_at(y, bin[i].median);
		svg_move(f->svg, at[i], lo);
		svg_to(f->svg, at[i], fabs(lo - hi) < 1 ? lo - 1 : hi);
	}
	svg_path_end(f->svg);
	svg_path_begin(f->svg, "line", color);
	svg_through(f->svg, at, middle, n);
	svg_path_end(f->svg);
	return 0;
}

/* Medians of both halves of all operations; NaN below 20. */
static int halves(const struct timeline *t, double out[2], struct err *e)
{
	CLEANUP_FREE double *scratch = calloc(t->n + 1, sizeof(*scratch));

	out[0] = out[1] = (double)NAN;
	if (!scratch)
		return err_nomem(e);
	if (t->n < 20)
		return 0;
	out[0] = bin_of(t, 0, t->n / 2, scratch).median;
	out[1] = bin_of(t, t->n / 2, t->n, scratch).median;
	return 0;
}

static void title_of(const struct study_case *c, double half[][2], const struct timeline *t,
		     struct buf *out)
{
	char text[WORDS_MAX];
	double failed = 0;

	for (size_t i = 0; i < study_drawn(c); i++) {
		double ratio = half[i][1] / half[i][0];

		failed += t[i].all_failed;
		if (!isfinite(ratio) || fabs(ratio - 1) < 0.05)
			continue;
		buf_addf(out, "%s%s: the second half was %s than the first", out->len ? "; " : "",
			 c->n > 1 ? c->arm[i].label : c->name,
			 words_ratio(text, ratio, BETTER_LOWER, study_unit(c)));
	}
	if (!out->len)
		buf_addf(out, "%s: both halves of the measurement are alike", c->name);
	if (failed > 0)
		buf_addf(out, "; %.0f operation%s failed", failed, failed > 1 ? "s" : "");
}

static void table(struct canvas *k, const struct study_case *c, double half[][2],
		  const struct timeline *t)
{
	size_t n, row[2], failed;

	figure_columns(k, c);
	n = numbers_row(k->numbers, "operations");
	row[0] = numbers_row(k->numbers, "median, first half");
	row[1] = numbers_row(k->numbers, "second half");
	failed = numbers_row(k->numbers, "failed");
	for (size_t i = 0; i < study_drawn(c); i++) {
		numbers_count(k->numbers, n, i, (double)t[i].n);
		for (size_t h = 0; h < 2; h++)
			numbers_value(k->numbers, row[h], i, half[i][h], study_unit(c));
		numbers_count(k->numbers, failed, i, t[i].all_failed);
	}
}

static int panels(struct canvas *k, const struct study_case *c, const struct timeline *t,
		  struct svg *svg, double height)
{
	double lo = INFINITY, hi = -INFINITY, most = 1;
	struct frame f = frame_of(svg, height);
	struct scale x, y;

	for (size_t i = 0; i < study_drawn(c); i++) {
		lo = fmin(lo, t[i].lo);
		hi = fmax(hi, t[i].hi);
		most = fmax(most, (double)t[i].n);
	}
	x = (struct scale){ .lo = 0, .hi = most, .from = f.left, .to = f.right, .unit = "count" };
	y = scale_around(lo, hi, true, study_unit(c), 0, 0);
	frame_x(&f, &x, "operation, run after run");
	for (size_t i = 0; i < study_drawn(c); i++) {
		char title[128];

		f.top = 4 + (double)i * PANEL + 23;
		f.bottom = 4 + (double)(i + 1) * PANEL - 6;
		y.from = f.bottom;
		y.to = f.top;
		snprintf(title, sizeof(title), "%.30s%s%.60s", c->distribution,
			 c->n > 1 ? " of " : "", c->n > 1 ? c->arm[i].label : "");
		svg_text(svg, 0, f.top - 11, SVG_START, "axis", title, svg_fit(svg->width));
		frame_y(&f, &y, "");
		if (t[i].n && panel(&f, &t[i], &x, &y, c->arm[i].color, k->e) < 0)
			return -1;
	}
	return 0;
}

static int picture(struct canvas *k, const struct study_case *c, const struct timeline *t)
{
	double height = 4 + (double)study_drawn(c) * PANEL + FRAME_BOTTOM;
	CLEANUP(buf_done) struct buf title = BUF_INIT;
	double half[SVG_COLORS][2] = { { 0 } };
	struct svg svg;

	for (size_t i = 0; i < study_drawn(c); i++)
		if (halves(&t[i], half[i], k->e) < 0)
			return -1;
	title_of(c, half, t, &title);
	k->out->failed = k->out->failed || title.failed;
	figure_begin(
		k, buf_text(&title),
		"Operations in order: bars from the fastest to the slowest of a stretch, the line its "
		"median; shaded runs had failures. Warm-up is not in it.");
	figure_key(k, c);
	figure_svg(k, &svg, height, "Time series", buf_text(&title));
	if (panels(k, c, t, &svg, height) < 0)
		return -1;
	svg_end(&svg);
	table(k, c, half, t);
	figure_end(k, "Time series");
	return 0;
}

int figure_timeline(struct canvas *k, const struct study_case *c)
{
	struct timeline t[SVG_COLORS] = { 0 };
	bool any = false;
	int rc = 0;

	if (!c->distribution)
		return 0;
	for (size_t i = 0; rc == 0 && i < study_drawn(c); i++) {
		rc = read_arm(c, &c->arm[i], &t[i], k->e);
		any = any || t[i].n >= 4;
	}
	if (rc == 0 && any)
		rc = picture(k, c, t);
	for (size_t i = 0; i < SVG_COLORS; i++)
		timeline_done(&t[i]);
	return rc;
}
