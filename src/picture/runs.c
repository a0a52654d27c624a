/* Every run as a dot, in the order in which they ran: spread, outliers, drift. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/words.h"
#include "stats/summary.h"

enum { RUNS_MAX = 500, HEIGHT = 210, LISTED = 40 };

struct run_values {
	size_t n, finite;
	double value[RUNS_MAX];	 /* in run order, NaN where a run has none */
	double sorted[RUNS_MAX]; /* the finite ones */
	double median, lo, hi, mad;
};

static int read_values(const struct study_case *c, const struct arm *a, struct run_values *v,
		       struct err *e)
{
	struct rank_interval ranks;

	v->n = study_values(c, a, v->value, RUNS_MAX);
	v->finite = 0;
	for (size_t i = 0; i < v->n; i++)
		if (isfinite(v->value[i]))
			v->sorted[v->finite++] = v->value[i];
	v->mad = (double)NAN;
	if (v->finite && summary_mad(v->sorted, v->finite, &v->mad, e) < 0)
		return -1;
	summary_sort(v->sorted, v->finite);
	v->median = summary_median_sorted(v->sorted, v->finite);
	ranks = summary_rank_interval(v->finite, 500000);
	v->lo = v->finite && ranks.lo >= 1 ? v->sorted[ranks.lo - 1] : (double)NAN;
	v->hi = v->finite && ranks.hi <= v->finite ? v->sorted[ranks.hi - 1] : (double)NAN;
	return 0;
}

/* Mann and Kendall's test for a trend, two-sided at 1 %: -1, 0, 1. */
static int trend(const struct run_values *v)
{
	double sum = 0, n = (double)v->finite, z;

	if (v->finite < 8 || v->finite != v->n)
		return 0;
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = i + 1; k < v->n; k++)
			sum += (v->value[k] > v->value[i]) - (v->value[k] < v->value[i]);
	z = (fabs(sum) - 1) / sqrt(n * (n - 1) * (2 * n + 5) / 18);
	return z < 2.576 ? 0 : sum > 0 ? 1 : -1;
}

static void single_title(const struct study_case *c, const struct run_values *v, struct buf *out)
{
	char value[NUM_TEXT_MAX];
	double spread = v->finite ? v->sorted[v->finite - 1] / v->sorted[0] - 1 : (double)NAN;
	int direction = trend(v);

	num_format_unit(value, v->median, c->unit);
	buf_addf(out, "%s: %s %s over %zu run%s", c->name, c->headline, value, v->finite,
		 v->finite == 1 ? "" : "s");
	if (direction)
		buf_addf(out, ", %s from run to run", direction > 0 ? "rising" : "falling");
	else if (v->finite > 1 && isfinite(spread) && spread < 1)
		buf_addf(out, ", the highest %.*f %% above the lowest", spread < 0.0995 ? 1 : 0,
			 100 * spread);
	else if (v->finite > 1 && isfinite(spread))
		buf_addf(out, ", the highest %.3g times the lowest", spread + 1);
}

/* The arm that is furthest from the one it is compared with. */
static const struct arm *most_different(const struct study_case *c)
{
	const struct arm *found = NULL;
	double far = -1;

	for (size_t i = 0; i < c->n; i++) {
		const struct contrast *k = &c->arm[i].contrast;

		if (k->known && k->ratio > 0 && isfinite(k->ratio) && fabs(log(k->ratio)) > far) {
			far = fabs(log(k->ratio));
			found = &c->arm[i];
		}
	}
	return found;
}

static void title_of(const struct study_case *c, const struct run_values *v, struct buf *out)
{
	const struct arm *a = most_different(c);

	if (a) {
		buf_addf(out, "%s: ", c->name);
		words_contrast(out, c, a);
		return;
	}
	single_title(c, v, out);
}

static void dots(const struct frame *f, const struct scale *x, const struct scale *y,
		 const struct run_values *v, unsigned color)
{
	if (!v->finite)
		return;
	svg_path_begin(f->svg, "median", color);
	svg_move(f->svg, f->left, scale_at(y, v->median));
	svg_to(f->svg, f->right, scale_at(y, v->median));
	svg_path_end(f->svg);
	svg_path_begin(f->svg, "mark", color);
	for (size_t i = 0; i < v->n; i++)
		if (isfinite(v->value[i]))
			svg_mark(f->svg, scale_at(x, (double)i + 1), scale_at(y, v->value[i]),
				 color);
	svg_path_end(f->svg);
}

/* Whole numbers along the axis, at most ten. */
static void run_axis(const struct frame *f, const struct scale *x, size_t most)
{
	char text[10][16];
	const char *texts[10];
	double at[10];
	size_t step = 1, n = 0;

	for (size_t i = 0; most / step > 9; i++)
		step = i % 3 == 1 ? step / 2 * 5 : step * 2;
	for (size_t run = step; run <= most && n < 10; run += step) {
		snprintf(text[n], sizeof(text[n]), "%zu", run);
		at[n] = scale_at(x, (double)run);
		texts[n] = text[n];
		n++;
	}
	frame_x_labels(f, at, texts, n, "run, in order");
}

static void draw(struct canvas *k, const struct study_case *c, const struct run_values *v,
		 const char *title)
{
	double lo = INFINITY, hi = -INFINITY, most = 1;
	struct scale x, y;
	struct frame f;
	struct svg svg;

	for (size_t i = 0; i < study_drawn(c); i++) {
		if (!v[i].finite)
			continue;
		lo = fmin(lo, v[i].sorted[0]);
		hi = fmax(hi, v[i].sorted[v[i].finite - 1]);
		most = fmax(most, (double)v[i].n);
	}
	figure_svg(k, &svg, HEIGHT, "Runs in order", title);
	f = frame_of(&svg, HEIGHT);
	y = scale_around(lo, hi, lo > 0 && hi / lo > 20, c->unit, f.bottom, f.top);
	x = (struct scale){
		.lo = 0.5, .hi = most + 0.5, .from = f.left, .to = f.right, .unit = "count"
	};
	frame_y(&f, &y, c->headline);
	run_axis(&f, &x, (size_t)most);
	for (size_t i = 0; i < study_drawn(c); i++)
		dots(&f, &x, &y, &v[i], c->arm[i].color);
	svg_end(&svg);
}

static void summary_rows(struct canvas *k, const struct study_case *c, const struct run_values *v)
{
	struct numbers *t = k->numbers;
	size_t median = numbers_row(t, "median of the runs");
	size_t lo = numbers_row(t, "95 % interval from"), hi = numbers_row(t, "to");
	size_t mad = numbers_row(t, "MAD");
	bool known = false;

	for (size_t i = 0; i < c->n; i++) {
		numbers_value(t, median, i, v[i].median, c->unit);
		numbers_value(t, lo, i, v[i].lo, c->unit);
		numbers_value(t, hi, i, v[i].hi, c->unit);
		numbers_value(t, mad, i, v[i].mad, c->unit);
		known = known || c->arm[i].contrast.known;
	}
	if (!known)
		return;
	median = numbers_row(t, "ratio to the first");
	lo = numbers_row(t, "p");
	for (size_t i = 0; i < c->n; i++) {
		char text[WORDS_MAX];

		numbers_text(t, median, i, words_interval(text, &c->arm[i].contrast));
		if (c->arm[i].contrast.known && isfinite(c->arm[i].contrast.p)) {
			snprintf(text, sizeof(text),
				 c->arm[i].contrast.p < 0.001 ? "<0.001" : "%.2g",
				 c->arm[i].contrast.p);
			numbers_text(t, lo, i, text);
		}
	}
}

static void run_rows(struct canvas *k, const struct study_case *c, const struct run_values *v)
{
	size_t most = 0;
	char label[32];

	for (size_t i = 0; i < c->n; i++)
		most = v[i].n > most ? v[i].n : most;
	for (size_t i = 0; i < most && i < LISTED; i++) {
		size_t row;

		snprintf(label, sizeof(label), "run %zu", i + 1);
		row = numbers_row(k->numbers, label);
		for (size_t a = 0; a < c->n; a++)
			if (i < v[a].n)
				numbers_value(k->numbers, row, a, v[a].value[i], c->unit);
	}
	if (most > LISTED)
		k->numbers->dropped += most - LISTED;
}

int figure_runs(struct canvas *k, const struct study_case *c)
{
	CLEANUP_FREE struct run_values *v = calloc(c->n + 1, sizeof(*v));
	CLEANUP(buf_done) struct buf title = BUF_INIT;
	bool any = false;

	if (!v)
		return err_nomem(k->e);
	for (size_t i = 0; i < c->n; i++) {
		if (read_values(c, &c->arm[i], &v[i], k->e) < 0)
			return -1;
		any = any || (i < study_drawn(c) && v[i].finite > 1);
	}
	if (!any)
		return 0;
	title_of(c, v, &title);
	k->out->failed = k->out->failed || title.failed;
	figure_begin(k, buf_text(&title),
		     "Each mark is one run; the line is the median of the runs.");
	figure_key(k, c);
	draw(k, c, v, buf_text(&title));
	figure_columns(k, c);
	summary_rows(k, c, v);
	run_rows(k, c, v);
	figure_end(k, "Value of each run");
	return 0;
}
