/* System calls per operation as bars. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/words.h"
#include "result/view.h"
#include "stats/summary.h"

enum { CALLS_MAX = 256, DRAWN = 12, LABEL = 112, RUNS_MAX = 500, BAR = 11, GAP = 7 };

/* One system call: per operation, median over the runs of each arm; NaN where it was not seen. */
struct call {
	const char *name;
	double per_op[STUDY_ARMS_MAX];
	double most;
};

struct calls {
	const struct study_case *c;
	struct call *call;
	size_t n;
	double total[STUDY_ARMS_MAX];
	const char *why; /* not exact; NULL */
	bool per_op;
};

static double median_of(const json_t *benchmark, const char *metric)
{
	double v[RUNS_MAX];
	size_t all = view_values(benchmark, metric, v, RUNS_MAX), n = 0;

	for (size_t i = 0; i < all && i < RUNS_MAX; i++)
		if (isfinite(v[i]))
			v[n++] = v[i];
	summary_sort(v, n);
	return summary_median_sorted(v, n);
}

static void set(struct calls *s, const char *name, size_t arm, double value)
{
	struct call *c = NULL;

	if (!isfinite(value))
		return;
	for (size_t i = 0; i < s->n && !c; i++)
		if (strcmp(s->call[i].name, name) == 0)
			c = &s->call[i];
	if (!c) {
		if (s->n == CALLS_MAX)
			return;
		c = &s->call[s->n++];
		*c = (struct call){ .name = name };
		for (size_t i = 0; i < STUDY_ARMS_MAX; i++)
			c->per_op[i] = (double)NAN;
	}
	c->per_op[arm] = value;
	c->most = fmax(c->most, value);
}

/* Counts that are not exact are no metrics: they are taken from the runs themselves, added up. */
static void from_runs(struct calls *s, size_t arm)
{
	const json_t *runs = json_object_get(s->c->arm[arm].benchmark, "runs"), *run;
	double operations = 0;
	size_t i;

	json_array_foreach(runs, i, run) operations +=
		view_number(run, "ok") + view_number(run, "failed");
	s->per_op = operations > 0;
	json_array_foreach(runs, i, run)
	{
		const json_t *counted = json_object_get(run, "syscalls");
		json_t *calls = json_object_get(counted, "calls"), *one;
		const char *name;

		if (*view_text(counted, "why_not_exact"))
			s->why = view_text(counted, "why_not_exact");
		json_object_foreach(calls, name, one)
		{
			double n = view_number(one, "calls") / (operations > 0 ? operations : 1);

			s->total[arm] = (isfinite(s->total[arm]) ? s->total[arm] : 0) + n;
			for (size_t k = 0; k < s->n; k++)
				if (strcmp(s->call[k].name, name) == 0 &&
				    isfinite(s->call[k].per_op[arm]))
					n += s->call[k].per_op[arm];
			set(s, name, arm, n);
		}
	}
}

static void read_arm(struct calls *s, size_t arm)
{
	const json_t *benchmark = s->c->arm[arm].benchmark;
	json_t *metrics = json_object_get(benchmark, "metrics"), *metric;
	bool any = false;
	const char *key;

	s->total[arm] = (double)NAN;
	json_object_foreach(metrics, key, metric)
	{
		if (strncmp(key, "syscalls.", 9) != 0)
			continue;
		any = true;
		s->per_op = strcmp(view_text(metric, "unit"), "count") != 0;
		if (strcmp(key, "syscalls.total") == 0)
			s->total[arm] = median_of(benchmark, key);
		else
			set(s, key + 9, arm, median_of(benchmark, key));
	}
	if (!any)
		from_runs(s, arm);
}

static int compare_calls(const void *a, const void *b)
{
	double x = ((const struct call *)a)->most, y = ((const struct call *)b)->most;

	return x > y   ? -1
	       : x < y ? 1
		       : strcmp(((const struct call *)a)->name, ((const struct call *)b)->name);
}

static void number(char *out, double v)
{
	if (v >= 1e6)
		snprintf(out, WORDS_MAX, "%.3g", v);
	else
		snprintf(out, WORDS_MAX, v == floor(v) ? "%.0f" : v < 100 ? "%.2f" : "%.1f", v);
}

static void title_of(const struct calls *s, struct buf *out)
{
	const struct study_case *c = s->c;
	const char *unit = s->per_op ? "system calls per operation" : "system calls";
	char a[WORDS_MAX], b[WORDS_MAX];

	number(a, s->total[0]);
	if (c->n > 1 && isfinite(s->total[0]) && isfinite(s->total[1])) {
		number(b, s->total[1]);
		buf_addf(out, "%s makes %s %s, %s %s", c->arm[0].label, a, unit, c->arm[1].label,
			 b);
		return;
	}
	buf_addf(out, "%s: %s %s", c->name, isfinite(s->total[0]) ? a : "?", unit);
	if (s->n) {
		number(b, s->call[0].most);
		buf_addf(out, ", %s of them %s", b, s->call[0].name);
	}
}

static void draw(struct canvas *k, const struct calls *s, const char *title)
{
	size_t arms = study_drawn(s->c), rows = s->n < DRAWN ? s->n : DRAWN;
	double step = (double)arms * BAR + GAP, height = (double)rows * step + FRAME_BOTTOM + 6;
	struct frame f;
	struct scale x;
	struct svg svg;
	char text[WORDS_MAX];

	figure_svg(k, &svg, height, "System calls", title);
	f = frame_of(&svg, height);
	f.left = LABEL;
	f.top = 2;
	/* The number at the end of the longest bar has its room. */
	x = (struct scale){ .lo = 0,
			    .hi = s->call[0].most * 1.22,
			    .from = f.left,
			    .to = f.right,
			    .unit = "count" };
	frame_x(&f, &x, s->per_op ? "calls per operation" : "calls");
	for (size_t i = 0; i < rows; i++) {
		double top = f.top + (double)i * step + GAP / 2.0;

		svg_text(&svg, f.left - 5, top + (double)arms * BAR / 2 + 4, SVG_END, "",
			 s->call[i].name, svg_fit(LABEL - 6));
		for (size_t a = 0; a < arms; a++) {
			double v = s->call[i].per_op[a], at = top + (double)a * BAR;

			if (!isfinite(v))
				continue;
			svg_path_begin(&svg, "fill", s->c->arm[a].color);
			svg_bar(&svg, f.left, at, fmax(scale_at(&x, v) - f.left, 0.5), BAR - 2);
			svg_path_end(&svg);
			number(text, v);
			svg_text(&svg, scale_at(&x, v) + 3, at + 8.5, SVG_START, "tiny", text, 0);
		}
	}
	svg_end(&svg);
}

/* Errors and bytes of all runs of the only arm, where they were counted. */
static void details(struct canvas *k, const struct calls *s, const char *name, size_t row)
{
	const json_t *run;
	double errors = 0, bytes = 0;
	size_t i;

	json_array_foreach(json_object_get(s->c->arm[0].benchmark, "runs"), i, run)
	{
		const json_t *call = json_object_get(
			json_object_get(json_object_get(run, "syscalls"), "calls"), name);

		errors += json_number_value(json_object_get(call, "errors"));
		bytes += json_number_value(json_object_get(call, "bytes"));
	}
	numbers_count(k->numbers, row, 1, errors);
	numbers_value(k->numbers, row, 2, bytes, "bytes");
}

static void table(struct canvas *k, const struct calls *s)
{
	size_t row;
	char text[WORDS_MAX];

	figure_columns(k, s->c);
	if (s->c->n == 1) {
		numbers_column(k->numbers, "errors");
		numbers_column(k->numbers, "bytes");
	}
	row = numbers_row(k->numbers, "all");
	for (size_t a = 0; a < s->c->n; a++)
		if (isfinite(s->total[a])) {
			number(text, s->total[a]);
			numbers_text(k->numbers, row, a, text);
		}
	for (size_t i = 0; i < s->n; i++) {
		row = numbers_row(k->numbers, s->call[i].name);
		if (s->c->n == 1)
			details(k, s, s->call[i].name, row);
		for (size_t a = 0; a < s->c->n; a++)
			if (isfinite(s->call[i].per_op[a])) {
				number(text, s->call[i].per_op[a]);
				numbers_text(k->numbers, row, a, text);
			}
	}
}

int figure_calls(struct canvas *k, const struct study_case *c)
{
	CLEANUP_FREE struct call *call = calloc(CALLS_MAX, sizeof(*call));
	CLEANUP(buf_done) struct buf title = BUF_INIT, note = BUF_INIT;
	struct calls s = { .c = c, .call = call, .per_op = true };

	if (!call)
		return err_nomem(k->e);
	for (size_t i = 0; i < c->n; i++)
		read_arm(&s, i);
	qsort(call, s.n, sizeof(*call), compare_calls);
	if (!s.n || !(call[0].most > 0))
		return 0;
	title_of(&s, &title);
	k->out->failed = k->out->failed || title.failed;
	figure_begin(k, buf_text(&title),
		     s.n > DRAWN
			     ? "System calls, the most frequent ones; the others are in the table."
			     : "System calls, medians over the runs.");
	figure_key(k, c);
	draw(k, &s, buf_text(&title));
	if (s.why) {
		buf_addf(&note, "The counts are not exact: %s.", s.why);
		k->out->failed = k->out->failed || note.failed;
		figure_note(k, buf_text(&note));
	}
	table(k, &s);
	figure_end(k, s.c->n > 1 ? "Calls per operation"
		      : s.per_op ? "Calls per operation; errors and bytes of all"
				 : "Calls, errors, bytes");
	return 0;
}
