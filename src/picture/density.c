/* Histograms of all operations, one below the other on the same axis. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/sample.h"
#include "picture/words.h"

enum { CELLS = 64, PANEL = 58, LEAST = 20 /* operations that make a picture */ };

struct density {
	const struct study_case *c;
	struct sample all[SVG_COLORS];
	double end[CELLS + 1];
	double share[SVG_COLORS][CELLS]; /* 1: all operations of the arm */
	double top;			 /* the largest share */
	struct scale x;
};

/* Cells of equal width on a logarithmic axis; times below one nanosecond do not occur. */
static void make_cells(struct density *d, double lo, double hi)
{
	lo = fmax(lo, 1);
	hi = fmax(hi, lo * 1.02);
	for (size_t i = 0; i <= CELLS; i++)
		d->end[i] = lo * pow(hi / lo, (double)i / CELLS);
	d->end[0] = 0;
	d->end[CELLS] = INFINITY;
	d->x = (struct scale){ .lo = lo, .hi = hi, .log = true, .unit = study_unit(d->c) };
}

static int prepare(struct density *d, struct err *e)
{
	const struct study_case *c = d->c;
	double lo = INFINITY, hi = 0;
	bool enough = false;

	for (size_t i = 0; i < study_drawn(c); i++) {
		if (sample_of_all(c->arm[i].benchmark, c->distribution, &d->all[i], e) < 0)
			return -1;
		if (!d->all[i].h.n)
			continue;
		lo = fmin(lo, d->all[i].min);
		hi = fmax(hi, d->all[i].max);
		enough = enough || d->all[i].h.n >= LEAST;
	}
	if (!enough)
		return 0;
	make_cells(d, lo, hi);
	for (size_t i = 0; i < study_drawn(c); i++) {
		if (!d->all[i].h.n)
			continue;
		sample_cells(&d->all[i], d->end, CELLS, d->share[i]);
		for (size_t x = 0; x < CELLS; x++) {
			d->share[i][x] /= (double)d->all[i].h.n;
			d->top = fmax(d->top, d->share[i][x]);
		}
	}
	return 1;
}

static void panel(const struct density *d, const struct frame *f, size_t i, double top)
{
	double base = top + PANEL - 6, height = PANEL - 24;
	char text[32];

	svg_text(f->svg, f->left, top + SVG_FONT, SVG_START, "strong",
		 d->c->n > 1 ? d->c->arm[i].label : "all operations", svg_fit(f->right - f->left));
	snprintf(text, sizeof(text), "%.3g %%", 100 * d->top);
	svg_text(f->svg, f->left - 5, base - height + 5, SVG_END, "", text, 9);
	svg_text(f->svg, f->left - 5, base + 3, SVG_END, "", "0 %", 9);
	svg_line(f->svg, f->left, base, f->right, base, "grid");
	svg_path_begin(f->svg, "fill", d->c->arm[i].color);
	for (size_t x = 0; x < CELLS; x++) {
		double from = scale_at(&d->x, d->end[x]), to = scale_at(&d->x, d->end[x + 1]);
		double h = d->share[i][x] / d->top * height;

		if (h > 0)
			svg_bar(f->svg, from, base - fmax(h, 0.6), to - from, fmax(h, 0.6));
	}
	svg_path_end(f->svg);
}

/*
 * Where the operations fall into two groups: the valley between the two highest of the peaks is below a fifth of the lower,
 * and each side holds a twentieth. Returns the first cell of the upper group, 0 for none.
 */
static size_t parting(const double *share)
{
	size_t best = 0;
	double depth = 0.2, below = 0;

	for (size_t v = 1; v + 1 < CELLS; v++) {
		double left = 0, right = 0, valley = (share[v - 1] + share[v] + share[v + 1]) / 3;

		below += share[v - 1];
		if (below < 0.05 || below > 0.95)
			continue;
		for (size_t i = 0; i < CELLS; i++)
			*(i < v ? &left : &right) = fmax(i < v ? left : right, share[i]);
		if (valley < depth * fmin(left, right)) {
			depth = valley / fmin(left, right);
			best = v;
		}
	}
	return best;
}

/* Two groups where there are, else where nine of ten lie. */
static void title_of(const struct density *d, struct buf *out)
{
	static const double middle[] = { 0.05, 0.95 };
	char lo[NUM_TEXT_MAX], hi[NUM_TEXT_MAX];
	double value[2];

	for (size_t i = 0; i < study_drawn(d->c); i++) {
		size_t v = d->all[i].h.n >= 100 ? parting(d->share[i]) : 0;
		double above = 0;

		if (!v)
			continue;
		for (size_t x = v; x < CELLS; x++)
			above += d->share[i][x];
		sample_quantiles(&d->all[i], (double[]){ (1 - above) / 2, 1 - above / 2 }, 2,
				 value);
		num_format_unit(lo, value[0], study_unit(d->c));
		num_format_unit(hi, value[1], study_unit(d->c));
		buf_addf(out, "%s: two groups, %.0f %% around %s and %.0f %% around %s",
			 d->c->n > 1 ? d->c->arm[i].label : d->c->name, 100 * (1 - above), lo,
			 100 * above, hi);
		return;
	}
	for (size_t i = 0; i < study_drawn(d->c) && i < 2; i++) {
		if (!d->all[i].h.n)
			continue;
		sample_quantiles(&d->all[i], middle, 2, value);
		buf_addf(out, "%s%s: nine of ten %s %s to %s", out->len ? "; " : "",
			 d->c->n > 1 ? d->c->arm[i].label : d->c->name,
			 study_latency(d->c) ? "take" : "are",
			 num_format_unit(lo, value[0], study_unit(d->c)),
			 num_format_unit(hi, value[1], study_unit(d->c)));
	}
}

static void table(struct canvas *k, const struct density *d)
{
	static const struct {
		const char *label;
		double share;
	} row[] = { { "5 % are below", 0.05 },
		    { "25 %", 0.25 },
		    { "50 %", 0.5 },
		    { "75 %", 0.75 },
		    { "95 %", 0.95 } };

	figure_columns(k, d->c);
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		size_t r = numbers_row(k->numbers, row[i].label);

		for (size_t a = 0; a < study_drawn(d->c); a++) {
			double value;

			if (!d->all[a].h.n)
				continue;
			sample_quantiles(&d->all[a], &row[i].share, 1, &value);
			numbers_value(k->numbers, r, a, value, study_unit(d->c));
		}
	}
}

static void picture(struct canvas *k, struct density *d)
{
	size_t n = study_drawn(d->c);
	double height = (double)n * PANEL + FRAME_BOTTOM + 4;
	CLEANUP(buf_done) struct buf title = BUF_INIT;
	char axis[96];
	struct frame f;
	struct svg svg;

	title_of(d, &title);
	k->out->failed = k->out->failed || title.failed;
	figure_begin(k, buf_text(&title), "Histogram: share of the values in each cell.");
	figure_key(k, d->c);
	figure_svg(k, &svg, height, "Histogram", buf_text(&title));
	f = frame_of(&svg, height);
	f.top = 4;
	d->x.from = f.left;
	d->x.to = f.right;
	frame_x(&f, &d->x, words_axis(axis, sizeof(axis), d->c));
	for (size_t i = 0; i < n; i++)
		panel(d, &f, i, (double)i * PANEL);
	svg_end(&svg);
	table(k, d);
	figure_end(k, study_latency(d->c) ? "Shares of the operations" : "Shares of the values");
}

int figure_density(struct canvas *k, const struct study_case *c)
{
	struct density d = { .c = c };
	int rc;

	if (!c->distribution)
		return 0;
	rc = prepare(&d, k->e);
	if (rc > 0)
		picture(k, &d);
	for (size_t i = 0; i < SVG_COLORS; i++)
		sample_done(&d.all[i]);
	return rc < 0 ? -1 : 0;
}
