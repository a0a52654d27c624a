/* Percentile spectrum: how slow the slowest one in x is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/sample.h"
#include "picture/words.h"
#include "result/view.h"

enum { POINTS = 48, RUN_POINTS = 14, RUNS_DRAWN = 20, HEIGHT = 250 };

/* x is the number of nines: 0 at the minimum, 1 at P90, 2 at P99. */
struct spectrum {
	const struct study_case *c;
	struct frame f;
	struct scale x, y;
};

/* Adds to the path that is open. */
static void curve(const struct spectrum *p, const struct sample *s, size_t points)
{
	double share[POINTS], value[POINTS], x[POINTS], nines = log10((double)s->h.n);

	if (!s->h.n)
		return;
	for (size_t i = 0; i < points; i++) {
		double at = nines * (double)i / (double)(points - 1);

		share[i] = 1 - pow(10, -at);
		x[i] = scale_at(&p->x, at);
	}
	share[points - 1] = 1;
	sample_quantiles(s, share, points, value);
	for (size_t i = 0; i < points; i++)
		value[i] = scale_at(&p->y, value[i]);
	svg_through(p->f.svg, x, value, points);
}

static void draw(const struct spectrum *p, const struct sample *s, unsigned color)
{
	svg_path_begin(p->f.svg, "line", color);
	curve(p, s, POINTS);
	svg_path_end(p->f.svg);
}

static int draw_runs(const struct spectrum *p, const struct arm *a, struct err *e)
{
	const json_t *runs = json_object_get(a->benchmark, "runs"), *run;
	size_t i;

	if (json_array_size(runs) < 2)
		return 0;
	svg_path_begin(p->f.svg, "run", a->color);
	json_array_foreach(runs, i, run)
	{
		CLEANUP(sample_done) struct sample s = { .min = 0 };

		if (i == RUNS_DRAWN)
			break;
		if (strcmp(view_text(run, "status"), "ok") != 0)
			continue;
		if (sample_of_run(run, p->c->distribution, &s, e) < 0)
			return -1;
		curve(p, &s, RUN_POINTS);
	}
	svg_path_end(p->f.svg);
	return 0;
}

static void draw_axes(const struct spectrum *p)
{
	static const char *const names[] = { "0 %",    "50 %",	  "90 %",     "99 %",
					     "99.9 %", "99.99 %", "99.999 %", "1-1e-6",
					     "1-1e-7", "1-1e-8",  "1-1e-9",   "1-1e-10" };
	const char *text[12];
	double at[12];
	char title[96];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		double nines = i == 0 ? 0 : i == 1 ? log10(2) : (double)i - 1;

		if (nines > p->x.hi)
			break;
		at[n] = scale_at(&p->x, nines);
		text[n++] = names[i];
	}
	frame_y(&p->f, &p->y, words_axis(title, sizeof(title), p->c));
	frame_x_labels(&p->f, at, text, n,
		       study_latency(p->c) ? "share of operations that are at most so slow"
					   : "share of values that are at most so high");
}

static void table(struct canvas *k, const struct study_case *c)
{
	static const struct {
		const char *label, *key;
		bool percentile;
	} row[] = {
		{ "minimum", "min", false }, { "median", "median", false },
		{ "P90", "p90", true },	     { "P95", "p95", true },
		{ "P99", "p99", true },	     { "P99.9", "p99.9", true },
		{ "maximum", "max", false }, { "mean", "mean", false },
	};
	size_t n = numbers_row(k->numbers, study_latency(c) ? "operations" : "values");

	for (size_t a = 0; a < c->n; a++)
		numbers_count(k->numbers, n, a, study_moment(c, &c->arm[a], "n"));
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		size_t r = numbers_row(k->numbers, row[i].label);

		for (size_t a = 0; a < c->n; a++)
			numbers_value(k->numbers, r, a,
				      row[i].percentile
					      ? study_percentile(c, &c->arm[a], row[i].key)
					      : study_moment(c, &c->arm[a], row[i].key),
				      study_unit(c));
	}
}

/* "half within 59 us, 99 % within 120 us, the slowest 1.2 ms": what was measured; what it allows to say stands above the runs. */
static void title_of(const struct study_case *c, const struct arm *a, const struct sample *s,
		     struct buf *out)
{
	static const double share[] = { 0.5, 0.99, 1 };
	const char *unit = study_unit(c);
	bool latency = study_latency(c);
	const char *within = latency ? "within" : "at most";
	const char *last = latency ? "slowest" : "highest";
	char text[3][NUM_TEXT_MAX];
	double value[3];

	if (!s->h.n)
		return;
	sample_quantiles(s, share, 3, value);
	for (size_t i = 0; i < 3; i++)
		num_format_unit(text[i], value[i], unit);
	buf_addf(out, "%s%s: ", out->len ? "; " : "", c->n > 1 ? a->label : c->name);
	if (!latency)
		buf_addf(out, "%s, ", c->distribution);
	buf_addf(out, "half %s %s, ", within, text[0]);
	if (s->h.n >= 100)
		buf_addf(out, "99 %% %s %s", within, text[1]);
	else
		buf_addf(out, "the %s %s", last, text[2]);
	if (c->n == 1 && s->h.n >= 100)
		buf_addf(out, ", the %s %s", last, text[2]);
}

static int prepare(struct spectrum *p, struct sample *all, struct err *e)
{
	double lo = INFINITY, hi = 0, most = 0;
	const struct study_case *c = p->c;

	for (size_t i = 0; i < study_drawn(c); i++) {
		if (sample_of_all(c->arm[i].benchmark, c->distribution, &all[i], e) < 0)
			return -1;
		if (!all[i].h.n)
			continue;
		lo = fmin(lo, all[i].min);
		hi = fmax(hi, all[i].max);
		most = fmax(most, (double)all[i].h.n);
	}
	p->x = (struct scale){ .lo = 0, .hi = fmax(log10(fmax(most, 1)), 0.5), .unit = "" };
	p->y = scale_around(lo, hi, true, study_unit(c), 0, 0);
	return most >= 4;
}

static int picture(struct canvas *k, struct spectrum *p, const struct sample *all)
{
	const struct study_case *c = p->c;
	CLEANUP(buf_done) struct buf title = BUF_INIT;
	struct svg svg;

	for (size_t i = 0; i < study_drawn(c) && i < 2; i++)
		title_of(c, &c->arm[i], &all[i], &title);
	k->out->failed = k->out->failed || title.failed;
	figure_begin(k, buf_text(&title),
		     "Percentile spectrum: thick, all runs together; thin, each run.");
	figure_key(k, c);
	figure_svg(k, &svg, HEIGHT, "Percentile spectrum", buf_text(&title));
	p->f = frame_of(&svg, HEIGHT);
	p->x.from = p->f.left;
	p->x.to = p->f.right;
	p->y.from = p->f.bottom;
	p->y.to = p->f.top;
	draw_axes(p);
	for (size_t i = 0; i < study_drawn(c); i++)
		if (draw_runs(p, &c->arm[i], k->e) < 0)
			return -1;
	for (size_t i = 0; i < study_drawn(c); i++)
		draw(p, &all[i], c->arm[i].color);
	svg_end(&svg);
	figure_columns(k, c);
	table(k, c);
	figure_end(k, study_latency(c) ? "Percentiles of all operations"
				       : "Percentiles of all values");
	return 0;
}

int figure_spectra(struct canvas *k, const struct study_case *c)
{
	static const char *const further[] = { "rtt_idle", "rtt", "send_to_ack",
					       "delay_variation" };

	for (size_t i = 0; i < sizeof(further) / sizeof(*further); i++) {
		struct study_case other = *c;

		other.distribution = further[i];
		if (strcmp(c->distribution ? c->distribution : "", further[i]) != 0 &&
		    figure_spectrum(k, &other) < 0)
			return -1;
	}
	return 0;
}

int figure_spectrum(struct canvas *k, const struct study_case *c)
{
	struct sample all[SVG_COLORS] = { 0 };
	struct spectrum p = { .c = c };
	int rc = 0;

	if (!c->distribution)
		return 0;
	rc = prepare(&p, all, k->e);
	if (rc > 0)
		rc = picture(k, &p, all);
	for (size_t i = 0; i < SVG_COLORS; i++)
		sample_done(&all[i]);
	return rc;
}
