/* Cases that differ in two numeric parameters, as a heat map: block size by window size of TFTP, and the like. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "result/view.h"
#include "stats/summary.h"

enum {
	KEYS_MAX = 16,
	X_MAX = 12,
	Y_MAX = 24,
	RUNS_MAX = 500,
	SHADES = 9,
	PALE_FROM = 6,
	ROW = 30,
	FEW = 6,
	SHOWN = 8
};

/* One parameter: its values among the cases of that name. */
struct dimension {
	const char *key;
	double value[Y_MAX];
	size_t n;
	bool usable; /* numbers, not too many of them */
};

struct matrix {
	const struct study *s;
	const struct study_case *first;
	struct dimension *x, *y;
	size_t cell[Y_MAX][X_MAX]; /* index of the case plus one; 0: none */
	double value[Y_MAX][X_MAX];
	size_t n;
	double best, worst;
	size_t best_case, worst_case;
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void add_value(struct dimension *d, const json_t *value)
{
	double v = json_number_value(value);

	if (!json_is_number(value) || !isfinite(v)) {
		d->usable = false;
		return;
	}
	for (size_t i = 0; i < d->n; i++)
		if (!(d->value[i] < v) && !(d->value[i] > v))
			return;
	if (d->n == Y_MAX) {
		d->usable = false;
		return;
	}
	d->value[d->n++] = v;
}

static size_t read_dimensions(const struct study *s, const struct study_case *first,
			      struct dimension *d)
{
	json_t *params = json_object_get(first->arm[0].benchmark, "params"), *value;
	const char *key;
	size_t n = 0;

	json_object_foreach(params, key, value)
	{
		if (n == KEYS_MAX)
			break;
		d[n] = (struct dimension){ .key = key, .usable = true };
		for (size_t i = 0; i < s->n_cases; i++)
			if (strcmp(s->cases[i].name, first->name) == 0)
				add_value(&d[n], json_object_get(s->cases[i].params, key));
		qsort(d[n].value, d[n].n, sizeof(double), compare_doubles);
		n++;
	}
	return n;
}

/* The two dimensions with most values; the one with fewer goes along x. */
static bool choose(struct matrix *m, struct dimension *d, size_t n)
{
	m->x = m->y = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!d[i].usable || d[i].n < 2)
			continue;
		if (!m->y || d[i].n > m->y->n) {
			m->x = m->y;
			m->y = &d[i];
		} else if (!m->x || d[i].n > m->x->n) {
			m->x = &d[i];
		}
	}
	return m->x && m->x->n <= X_MAX;
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

static size_t place(const struct dimension *d, double v)
{
	size_t i = 0;

	while (i < d->n && d->value[i] < v)
		i++;
	return i;
}

/* Whether a case lies in the plane of the first: same name, and the same but for the two dimensions. */
static bool in_plane(const struct matrix *m, const struct study_case *c)
{
	json_t *params = json_object_get(m->first->arm[0].benchmark, "params"), *value;
	const char *key;

	if (strcmp(c->name, m->first->name) != 0 || strcmp(c->headline, m->first->headline) != 0 ||
	    json_object_size(c->params) != json_object_size(params))
		return false;
	json_object_foreach(params, key, value)
	{
		if (strcmp(key, m->x->key) != 0 && strcmp(key, m->y->key) != 0 &&
		    !json_equal(json_object_get(c->params, key), value))
			return false;
	}
	return json_is_number(json_object_get(c->params, m->x->key)) &&
	       json_is_number(json_object_get(c->params, m->y->key));
}

static bool is_better(const struct matrix *m, double a, double b)
{
	return m->first->better == BETTER_LOWER ? a < b : a > b;
}

static void set_cell(struct matrix *m, size_t index, double v)
{
	const struct study_case *c = &m->s->cases[index];
	size_t x = place(m->x, view_number(c->params, m->x->key));
	size_t y = place(m->y, view_number(c->params, m->y->key));

	if (x >= X_MAX || y >= Y_MAX || m->cell[y][x])
		return;
	m->cell[y][x] = index + 1;
	m->value[y][x] = v;
	if (!m->n || is_better(m, v, m->best)) {
		m->best = v;
		m->best_case = index;
	}
	if (!m->n || is_better(m, m->worst, v)) {
		m->worst = v;
		m->worst_case = index;
	}
	m->n++;
}

/* The cells of one arm (file and target). */
static void fill(struct matrix *m, size_t file, const char *target)
{
	memset(m->cell, 0, sizeof(m->cell));
	m->n = 0;
	for (size_t i = 0; i < m->s->n_cases; i++) {
		const struct study_case *c = &m->s->cases[i];

		if (!in_plane(m, c))
			continue;
		for (size_t a = 0; a < c->n; a++) {
			double v = (double)NAN;

			if (c->arm[a].file == file && strcmp(c->arm[a].target, target) == 0)
				v = median_of(c, &c->arm[a]);
			if (isfinite(v))
				set_cell(m, i, v);
		}
	}
}

/* 0: the worst, SHADES - 1: the best; by ratio where they span more than a decade. */
static unsigned shade(const struct matrix *m, double v)
{
	double lo = fmin(m->best, m->worst), hi = fmax(m->best, m->worst), part = 1;

	if (hi > lo)
		part = lo > 0 && hi / lo > 10 ? log(v / lo) / log(hi / lo) : (v - lo) / (hi - lo);
	part = m->best < m->worst ? 1 - part : part;
	return part >= 1 ? SHADES - 1 : part > 0 ? (unsigned)(part * SHADES) : 0;
}

static void cell_text(char *out, size_t size, double v)
{
	snprintf(out, size, "%.*f", fabs(v) < 9.95 ? 2 : fabs(v) < 99.5 ? 1 : 0, v);
}

static void draw(struct canvas *k, const struct matrix *m, const char *title, double prefix,
		 const char *unit)
{
	double height = FRAME_TOP + (double)m->y->n * ROW + FRAME_BOTTOM, width;
	char text[SCALE_TEXT_MAX], label[160];
	struct frame f;
	struct svg svg;

	figure_svg(k, &svg, height, "Heat map", title);
	f = frame_of(&svg, height);
	width = (f.right - f.left) / (double)m->x->n;
	snprintf(label, sizeof(label), "%.40s by %.40s, %.20s: darker is better", m->y->key,
		 m->x->key, unit);
	svg_text(&svg, 0, SVG_FONT + 1, SVG_START, "axis", label, svg_fit(svg.width));
	for (size_t y = 0; y < m->y->n; y++) {
		double top = f.top + (double)y * ROW;

		snprintf(text, sizeof(text), "%g", m->y->value[y]);
		svg_text(&svg, f.left - 5, top + ROW / 2.0 + 4, SVG_END, "", text, 10);
		for (size_t x = 0; x < m->x->n; x++) {
			double left = f.left + (double)x * width;
			char class[16];
			unsigned s;

			if (!m->cell[y][x])
				continue;
			s = shade(m, m->value[y][x]);
			snprintf(class, sizeof(class), "h%u", s);
			svg_rect(&svg, left + 1, top + 1, width - 2, ROW - 2, class);
			cell_text(text, sizeof(text), m->value[y][x] / prefix);
			svg_text(&svg, left + width / 2, top + ROW / 2.0 + 4, SVG_MIDDLE,
				 s >= PALE_FROM ? "tiny pale" : "tiny dark", text,
				 (unsigned)(width / 5.5));
		}
	}
	for (size_t x = 0; x < m->x->n; x++) {
		snprintf(text, sizeof(text), "%g", m->x->value[x]);
		svg_text(&svg, f.left + ((double)x + 0.5) * width, f.bottom + 17, SVG_MIDDLE,
			 m->x->n > 6 ? "tiny" : "", text, (unsigned)(width / 5.5));
	}
	snprintf(label, sizeof(label), "%.60s", m->x->key);
	svg_text(&svg, (f.left + f.right) / 2, f.bottom + 33, SVG_MIDDLE, "axis", label,
		 svg_fit(f.right - f.left));
	svg_end(&svg);
}

static int compare_cells(const void *a, const void *b)
{
	double x = ((const double *)a)[0], y = ((const double *)b)[0];

	return x > y ? -1 : x < y;
}

/* A row for each cell, the best first. */
static void table(struct canvas *k, const struct matrix *m)
{
	double cell[Y_MAX * X_MAX][3];
	char label[NUMBERS_LABEL];
	size_t n = 0;

	for (size_t y = 0; y < m->y->n; y++)
		for (size_t x = 0; x < m->x->n; x++)
			if (m->cell[y][x]) {
				cell[n][0] = m->first->better == BETTER_LOWER ? -m->value[y][x]
									      : m->value[y][x];
				cell[n][1] = m->y->value[y];
				cell[n++][2] = m->x->value[x];
			}
	qsort(cell, n, sizeof(cell[0]), compare_cells);
	numbers_column(k->numbers, m->first->headline);
	numbers_column(k->numbers, "of the best");
	for (size_t i = 0; i < n; i++) {
		double v = m->first->better == BETTER_LOWER ? -cell[i][0] : cell[i][0];
		char text[32];
		size_t row;

		snprintf(label, sizeof(label), "%.30s %g, %.30s %g", m->y->key, cell[i][1],
			 m->x->key, cell[i][2]);
		row = numbers_row(k->numbers, label);
		numbers_value(k->numbers, row, 0, v, m->first->unit);
		if (m->best > 0 && v > 0) {
			snprintf(text, sizeof(text), "%.3g", v / m->best);
			numbers_text(k->numbers, row, 1, text);
		}
	}
}

/* One unit for all cells: that of the smallest, unless the largest would be too long then. */
static double cell_prefix(const struct matrix *m, char *unit)
{
	double lo = fmin(m->best, m->worst), hi = fmax(m->best, m->worst);
	double prefix = scale_prefix(lo, m->first->unit, unit);

	return hi / prefix < 1e4 ? prefix : scale_prefix(hi, m->first->unit, unit);
}

static void write_matrix(struct canvas *k, const struct matrix *m, const struct arm *a)
{
	CLEANUP(buf_done) struct buf title = BUF_INIT, what = BUF_INIT;
	const struct study_case *best = &m->s->cases[m->best_case];
	char value[NUM_TEXT_MAX], unit[SCALE_TEXT_MAX];
	double ratio = fmax(m->best, m->worst) / fmin(m->best, m->worst);
	double prefix = cell_prefix(m, unit);

	buf_addf(&title, "%s%s%s: best with %s %g and %s %g, %s", m->first->name,
		 m->first->n > 1 ? " on " : "", m->first->n > 1 ? a->label : "", m->y->key,
		 view_number(best->params, m->y->key), m->x->key,
		 view_number(best->params, m->x->key),
		 num_format_unit(value, m->best, m->first->unit));
	if (isfinite(ratio) && ratio > 1)
		buf_addf(&title, ", %.*f times the worst", ratio < 9.95 ? 1 : 0,
			 m->first->better == BETTER_LOWER ? 1 / ratio : ratio);
	buf_addf(&what, "Heat map of the medians of %s in %s.", m->first->headline,
		 *unit ? unit : m->first->unit);
	k->out->failed = k->out->failed || title.failed || what.failed;
	figure_begin(k, buf_text(&title), buf_text(&what));
	draw(k, m, buf_text(&title), prefix, *unit ? unit : m->first->unit);
	table(k, m);
	figure_end(k, "Cells of the heat map");
}

static void mark_members(const struct matrix *m, bool *member, bool *keep)
{
	keep[m->best_case] = keep[m->worst_case] = true;
	for (size_t y = 0; y < m->y->n; y++)
		for (size_t x = 0; x < m->x->n; x++)
			if (m->cell[y][x])
				member[m->cell[y][x] - 1] = true;
}

/* One plane: a heat map for each arm of its first case. True when there was any. */
static bool plane(struct canvas *k, struct matrix *m, bool *member, bool *keep)
{
	bool any = false;

	for (size_t a = 0; a < m->first->n; a++) {
		fill(m, m->first->arm[a].file, m->first->arm[a].target);
		if (m->n < 4)
			continue;
		any = true;
		if (m->n > FEW)
			mark_members(m, member, keep);
		write_matrix(k, m, &m->first->arm[a]);
	}
	return any;
}

/* Whether an earlier case opened the plane that this one lies in. */
static bool seen_before(struct matrix *m, size_t index)
{
	const struct study_case *self = m->first;
	bool seen = false;

	for (size_t i = 0; i < index && !seen; i++)
		seen = in_plane(m, &m->s->cases[i]);
	m->first = self;
	return seen;
}

int figure_matrices(struct canvas *k, bool *member)
{
	CLEANUP_FREE struct matrix *m = calloc(1, sizeof(*m));
	CLEANUP_FREE struct dimension *d = calloc(KEYS_MAX, sizeof(*d));
	CLEANUP_FREE bool *keep = calloc(k->study->n_cases + 1, sizeof(*keep));
	size_t shown = 0;

	if (!m || !d || !keep)
		return err_nomem(k->e);
	m->s = k->study;
	for (size_t i = 0; i < k->study->n_cases && shown < SHOWN; i++) {
		size_t n;

		m->first = &k->study->cases[i];
		n = read_dimensions(k->study, m->first, d);
		if (choose(m, d, n) && !seen_before(m, i))
			shown += plane(k, m, member, keep);
	}
	for (size_t i = 0; i < k->study->n_cases; i++)
		member[i] = member[i] && !keep[i];
	return 0;
}
