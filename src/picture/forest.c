/* Forest plot: the ratio of each case with its interval, and the band within which a change does not matter. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/words.h"
#include "result/view.h"

enum { ROWS_MAX = 60, ROW = 32 };
#define EXTREME 1000.0 /* ratios beyond are drawn at the edge */

struct forest_row {
	char label[128];
	struct contrast k;
	enum better better;
	const char *unit;
	double base, new; /* medians; NaN where only their ratio is known */
};

struct forest {
	struct forest_row row[ROWS_MAX];
	size_t n, left_out;
	double threshold;
	const char *base, *new; /* what is compared */
};

static int direction_of(const struct forest_row *r)
{
	if (r->k.verdict == VERDICT_REGRESSION)
		return -1;
	if (r->k.verdict == VERDICT_IMPROVEMENT)
		return 1;
	if (r->k.verdict != VERDICT_NONE || r->better == BETTER_NONE ||
	    (r->k.lo <= 1 && r->k.hi >= 1))
		return 0;
	if (!(r->k.lo > 1) && !(r->k.hi < 1) && !r->k.exact)
		return 0;
	if (r->k.ratio >= 1 && r->k.ratio <= 1)
		return 0;
	return (r->k.ratio > 1) == (r->better == BETTER_LOWER) ? -1 : 1;
}

static double inside(double ratio)
{
	return !(ratio > 1 / EXTREME) ? 1 / EXTREME : ratio > EXTREME ? EXTREME : ratio;
}

static struct scale ratio_scale(const struct forest *f, const struct frame *at)
{
	double far = 1 + 2 * f->threshold;
	struct scale x = { .log = true, .from = at->left, .to = at->right, .unit = "ratio" };

	for (size_t i = 0; i < f->n; i++) {
		const struct contrast *k = &f->row[i].k;
		/* An interval that is not bounded leaves the picture; the estimate does not. */
		double lo = k->lo > 0 && isfinite(k->lo) ? inside(k->lo) : inside(k->ratio);
		double hi = isfinite(k->hi) ? inside(k->hi) : inside(k->ratio);

		far = fmax(far, fmax(fmax(hi, inside(k->ratio)), 1 / fmin(lo, inside(k->ratio))));
	}
	x.hi = far * pow(far, 0.04);
	x.lo = 1 / x.hi;
	return x;
}

/* A change is told only where the runs show one. */
static void change_text(const struct forest *f, const struct forest_row *r, char *out)
{
	bool inside_band = r->k.lo >= 1 - f->threshold && r->k.hi <= 1 + f->threshold;
	bool apart = r->better == BETTER_NONE && (r->k.lo > 1 || r->k.hi < 1);

	if (direction_of(r) != 0 || apart)
		words_ratio(out, inside(r->k.ratio), r->better, r->unit);
	else
		snprintf(out, WORDS_MAX, "%s", inside_band ? "unchanged" : "not decided");
}

static void draw_row(const struct forest *f, const struct frame *at, const struct scale *x,
		     size_t i)
{
	static const char *const class[] = { "worse", "same", "better" };
	const struct forest_row *r = &f->row[i];
	double y = at->top + (double)i * ROW + ROW - 9, middle = scale_at(x, inside(r->k.ratio));
	int direction = direction_of(r);
	char change[WORDS_MAX];
	unsigned words;

	change_text(f, r, change);
	words = (unsigned)strlen(change);
	svg_text(at->svg, at->left, y - 8, SVG_START, "", r->label,
		 svg_fit(at->right - at->left) - words - 2);
	svg_text(at->svg, at->right, y - 8, SVG_END, class[direction + 1], change, 0);
	svg_path_begin(at->svg,
		       direction < 0   ? "whisker worse"
		       : direction > 0 ? "whisker better"
				       : "whisker same",
		       SVG_COLORS);
	svg_move(at->svg, scale_at(x, isfinite(r->k.lo) ? inside(r->k.lo) : 1 / EXTREME), y);
	svg_to(at->svg, scale_at(x, isfinite(r->k.hi) ? inside(r->k.hi) : EXTREME), y);
	svg_path_end(at->svg);
	svg_path_begin(at->svg,
		       direction < 0   ? "point worse"
		       : direction > 0 ? "point better"
				       : "point same",
		       SVG_COLORS);
	/* Worse points up, better down, the others are round. */
	svg_mark(at->svg, middle, y, direction < 0 ? 2 : direction > 0 ? 5 : 0);
	svg_path_end(at->svg);
}

static void draw(struct canvas *k, const struct forest *f, const char *title)
{
	double height = (double)f->n * ROW + FRAME_BOTTOM + 10;
	struct frame at;
	struct scale x;
	struct svg svg;

	figure_svg(k, &svg, height, "Forest plot of ratios", title);
	at = frame_of(&svg, height);
	at.left = 4;
	at.top = 4;
	x = ratio_scale(f, &at);
	svg_rect(&svg, scale_at(&x, 1 - f->threshold), at.top,
		 scale_at(&x, 1 + f->threshold) - scale_at(&x, 1 - f->threshold),
		 at.bottom - at.top, "band");
	frame_x(&at, &x, "ratio new/base (logarithmic)");
	svg_line(&svg, scale_at(&x, 1), at.top, scale_at(&x, 1), at.bottom, "zero");
	for (size_t i = 0; i < f->n; i++)
		draw_row(f, &at, &x, i);
	svg_end(&svg);
}

static void table(struct canvas *k, const struct forest *f)
{
	static const char *const heads[] = { "base", "new", "ratio [95 %]", "p", "verdict" };
	bool values = false;
	size_t first;

	for (size_t i = 0; i < f->n; i++)
		values = values || isfinite(f->row[i].base);
	for (size_t i = values ? 0 : 2; i < 5; i++)
		numbers_column(k->numbers, heads[i]);
	first = values ? 2 : 0;
	for (size_t i = 0; i < f->n; i++) {
		const struct forest_row *r = &f->row[i];
		size_t row = numbers_row(k->numbers, r->label);
		int direction = direction_of(r);
		char text[WORDS_MAX];

		if (values) {
			numbers_value(k->numbers, row, 0, r->base, r->unit);
			numbers_value(k->numbers, row, 1, r->new, r->unit);
		}
		numbers_text(k->numbers, row, first, words_interval(text, &r->k));
		if (isfinite(r->k.p)) {
			snprintf(text, sizeof(text), r->k.p < 0.001 ? "<0.001" : "%.2g", r->k.p);
			numbers_text(k->numbers, row, first + 1, text);
		}
		numbers_text(k->numbers, row, first + 2,
			     r->k.verdict != VERDICT_NONE ? verdict_name(r->k.verdict)
			     : direction < 0		  ? "worse"
			     : direction > 0		  ? "better"
							  : "no difference shown");
	}
}

static void title_of(const struct forest *f, struct buf *out)
{
	size_t worse = 0, better = 0;

	for (size_t i = 0; i < f->n; i++) {
		int direction = direction_of(&f->row[i]);

		worse += direction < 0;
		better += direction > 0;
	}
	buf_addf(out, "%s against %s: ", f->new, f->base);
	if (worse)
		buf_addf(out, "%zu of %zu worse", worse, f->n);
	if (better)
		buf_addf(out, "%s%zu of %zu better", worse ? ", " : "", better, f->n);
	if (!worse && !better)
		buf_adds(out, "no difference is shown");
}

static void write_forest(struct canvas *k, const struct forest *f, const char *family)
{
	CLEANUP(buf_done) struct buf title = BUF_INIT, what = BUF_INIT;

	if (!f->n)
		return;
	title_of(f, &title);
	buf_addf(
		&what,
		"Ratio with its 95 %% interval; the band is \u00b1%g %%, within which a change does not matter. "
		"Triangles up are worse, down better.%s%s",
		100 * f->threshold, *family ? " " : "", family);
	k->out->failed = k->out->failed || title.failed || what.failed;
	figure_begin(k, buf_text(&title), buf_text(&what));
	draw(k, f, buf_text(&title));
	if (f->left_out) {
		char note[64];

		snprintf(note, sizeof(note), "%zu further rows are left out.", f->left_out);
		figure_note(k, note);
	}
	table(k, f);
	figure_end(k, "Ratios");
}

static struct forest_row *add_row(struct forest *f)
{
	if (f->n == ROWS_MAX) {
		f->left_out++;
		return NULL;
	}
	f->row[f->n] = (struct forest_row){ .base = (double)NAN, .new = (double)NAN };
	return &f->row[f->n++];
}

static void row_label(struct forest_row *r, const char *name, const char *metric)
{
	char start[88], end[40];

	words_copy(start, sizeof(start), name);
	words_copy(end, sizeof(end), metric);
	snprintf(r->label, sizeof(r->label), "%s %s", start, end);
}

/* What gates in a comparison of two files. */
static void of_files(struct canvas *k, struct forest *f, size_t file)
{
	const struct report *r = &k->study->file[file].report;
	CLEANUP(buf_done) struct buf summary = BUF_INIT;

	f->n = f->left_out = 0;
	f->base = k->study->file[0].label;
	f->new = k->study->file[file].label;
	f->threshold = r->threshold;
	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];
		CLEANUP(buf_done) struct buf name = BUF_INIT;
		struct forest_row *to;

		if (!row->gates || !(row->estimate.ratio > 0))
			continue;
		to = add_row(f);
		if (!to)
			continue;
		report_case(row, k->study->several_targets, &name);
		k->out->failed = k->out->failed || name.failed;
		row_label(to, buf_text(&name), row->metric);
		to->k = (struct contrast){
			.known = true,
			.exact = row->exact,
			.ratio = row->estimate.ratio,
			.lo = row->exact ? row->estimate.ratio : row->estimate.lo,
			.hi = row->exact ? row->estimate.ratio : row->estimate.hi,
			.p = row->p,
			.verdict = row->verdict
		};
		to->better = row->better;
		to->unit = row->unit;
		to->base = row->base;
		to->new = row->value;
	}
	report_summary(r, &summary);
	k->out->failed = k->out->failed || summary.failed;
	write_forest(k, f, buf_text(&summary));
}

/* The targets of one file against the first, by the headline of each case. */
static void of_targets(struct canvas *k, struct forest *f, size_t file, const char *target,
		       const char *base)
{
	f->n = f->left_out = 0;
	f->base = base;
	f->new = target;
	f->threshold = DIFF_THRESHOLD;
	for (size_t i = 0; i < k->study->n_cases; i++) {
		const struct study_case *c = &k->study->cases[i];

		for (size_t a = 0; a < c->n; a++) {
			struct forest_row *to;

			if (c->arm[a].file != file || strcmp(c->arm[a].target, target) != 0 ||
			    !c->arm[a].contrast.known || !(c->arm[a].contrast.ratio > 0))
				continue;
			to = add_row(f);
			if (!to)
				continue;
			row_label(to, c->title, c->headline);
			to->k = c->arm[a].contrast;
			to->better = c->better;
			to->unit = c->unit;
		}
	}
	write_forest(k, f, "Each p is for its case alone.");
}

int figure_forests(struct canvas *k)
{
	CLEANUP_FREE struct forest *f = calloc(1, sizeof(*f));
	const json_t *targets = json_object_get(k->study->file[0].root, "targets");
	const char *base = view_text(json_array_get(targets, 0), "label");

	if (!f)
		return err_nomem(k->e);
	for (size_t i = 1; i < k->study->n_files; i++)
		of_files(k, f, i);
	/* Of several files each has its own comparison with the first; only one file shows its targets as well. */
	for (size_t i = 1;
	     k->study->n_files == 1 && i < json_array_size(targets) && i < STUDY_ARMS_MAX; i++)
		of_targets(k, f, 0, view_text(json_array_get(targets, i), "label"), base);
	return 0;
}
