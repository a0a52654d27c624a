/* Where the time of one session goes: a stacked bar for each target. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/words.h"
#include "result/view.h"

enum { BARS_MAX = 12, PHASES_MAX = 32, ROW = 44, BAR = 22 };

struct budget_bar {
	char label[96];
	double ns[PHASES_MAX];
	double sum;
};

struct budgets {
	const char *phase[PHASES_MAX];
	size_t n_phases, n, left_out;
	struct budget_bar bar[BARS_MAX];
};

static size_t phase_index(struct budgets *b, const char *name)
{
	for (size_t i = 0; i < b->n_phases; i++)
		if (strcmp(b->phase[i], name) == 0)
			return i;
	if (b->n_phases == PHASES_MAX)
		return PHASES_MAX;
	b->phase[b->n_phases] = name;
	return b->n_phases++;
}

static void add_bar(struct budgets *b, const struct study *s, size_t file, const json_t *budget)
{
	const json_t *phases = json_object_get(budget, "phases"), *phase;
	struct budget_bar *bar = &b->bar[b->n];
	char name[80];
	size_t i;

	if (b->n == BARS_MAX) {
		b->left_out++;
		return;
	}
	*bar = (struct budget_bar){ .sum = 0 };
	for (i = 0; i < PHASES_MAX; i++)
		bar->ns[i] = (double)NAN;
	words_copy(name, sizeof(name), view_text(budget, "target"));
	if (s->n_files > 1)
		snprintf(bar->label, sizeof(bar->label), "%c %s", (char)('A' + (int)file), name);
	else
		words_copy(bar->label, sizeof(bar->label), name);
	json_array_foreach(phases, i, phase)
	{
		size_t at = phase_index(b, view_text(phase, "name"));
		double ns = view_number(phase, "ns");

		if (at == PHASES_MAX || !(ns >= 0) || !isfinite(ns))
			continue;
		bar->ns[at] = (isfinite(bar->ns[at]) ? bar->ns[at] : 0) + ns;
		bar->sum += ns;
	}
	b->n += bar->sum > 0;
}

static void collect(struct budgets *b, const struct study *s)
{
	for (size_t f = 0; f < s->n_files; f++) {
		const json_t *all = json_object_get(json_object_get(s->file[f].root, "extensions"),
						    "phase_budget");
		const json_t *budget;
		size_t i;

		json_array_foreach(all, i, budget) add_bar(b, s, f, budget);
	}
}

static void title_of(const struct budgets *b, struct buf *out)
{
	const struct budget_bar *bar = &b->bar[0];
	char all[NUM_TEXT_MAX];
	size_t most = 0;

	for (size_t i = 0; i < b->n_phases; i++)
		if (bar->ns[i] > (isfinite(bar->ns[most]) ? bar->ns[most] : -1))
			most = i;
	buf_addf(out, "%s takes %.0f %% of one session (%s", b->phase[most],
		 100 * bar->ns[most] / bar->sum, num_format_ns(all, bar->sum));
	if (b->n > 1)
		buf_addf(out, " on %s", bar->label);
	buf_adds(out, ")");
}

static void draw_bar(const struct frame *f, const struct scale *x, const struct budgets *b,
		     size_t i)
{
	double y = f->top + (double)i * ROW + 15, sum = 0;
	const struct budget_bar *bar = &b->bar[i];
	char text[NUM_TEXT_MAX];

	svg_text(f->svg, f->left, y - 4, SVG_START, "strong", bar->label,
		 svg_fit(f->right - f->left) - 10);
	svg_text(f->svg, f->right, y - 4, SVG_END, "", num_format_ns(text, bar->sum), 0);
	for (size_t p = 0; p < b->n_phases; p++) {
		double from = scale_at(x, sum), to;

		if (!(bar->ns[p] > 0))
			continue;
		sum += bar->ns[p];
		to = scale_at(x, sum);
		svg_path_begin(f->svg, "fill edge", (unsigned)(p % SVG_COLORS));
		svg_bar(f->svg, from, y, to - from, BAR);
		svg_path_end(f->svg);
		snprintf(text, sizeof(text), "%zu", p + 1);
		if (to - from > SVG_COLUMN * (double)strlen(text) + 4)
			svg_text(f->svg, (from + to) / 2, y + BAR / 2.0 + 4, SVG_MIDDLE, "on", text,
				 0);
	}
}

static void draw(struct canvas *k, const struct budgets *b, const char *title)
{
	double height = (double)b->n * ROW + FRAME_BOTTOM + 6, most = 0;
	struct frame f;
	struct scale x;
	struct svg svg;

	for (size_t i = 0; i < b->n; i++)
		most = fmax(most, b->bar[i].sum);
	figure_svg(k, &svg, height, "Phase budget", title);
	f = frame_of(&svg, height);
	f.left = 4;
	f.top = 2;
	x = (struct scale){ .lo = 0, .hi = most, .from = f.left, .to = f.right, .unit = "ns" };
	frame_x(&f, &x, "time of one session");
	for (size_t i = 0; i < b->n; i++)
		draw_bar(&f, &x, b, i);
	svg_end(&svg);
}

static void table(struct canvas *k, const struct budgets *b)
{
	for (size_t i = 0; i < b->n; i++)
		numbers_column(k->numbers, b->bar[i].label);
	for (size_t p = 0; p < b->n_phases; p++) {
		char label[NUMBERS_LABEL], ns[NUM_TEXT_MAX], text[NUMBERS_TEXT];
		size_t row;

		words_copy(text, sizeof(text), b->phase[p]);
		snprintf(label, sizeof(label), "%zu %s", p + 1, text);
		row = numbers_row(k->numbers, label);
		for (size_t i = 0; i < b->n; i++) {
			if (!isfinite(b->bar[i].ns[p]))
				continue;
			snprintf(text, sizeof(text), "%s, %.1f %%",
				 num_format_ns(ns, b->bar[i].ns[p]),
				 100 * b->bar[i].ns[p] / b->bar[i].sum);
			numbers_text(k->numbers, row, i, text);
		}
	}
}

int figure_budgets(struct canvas *k)
{
	CLEANUP_FREE struct budgets *b = calloc(1, sizeof(*b));
	CLEANUP(buf_done) struct buf title = BUF_INIT;

	if (!b)
		return err_nomem(k->e);
	collect(b, k->study);
	if (!b->n)
		return 0;
	title_of(b, &title);
	k->out->failed = k->out->failed || title.failed;
	figure_begin(
		k, buf_text(&title),
		"Phase budget: medians of the phases of one session, numbered as in the table.");
	draw(k, b, buf_text(&title));
	table(k, b);
	figure_end(k, "Phases of one session");
	return 0;
}
