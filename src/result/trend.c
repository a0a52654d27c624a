#include "result/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/summary.h"

void trend_done(struct trend *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->row[i].value);
		free(t->row[i].place);
		free(t->row[i].change);
	}
	free(t->row);
	*t = (struct trend){ 0 };
}

static bool is_meant(const struct history_series *s, const struct trend_options *o)
{
	if (o->all)
		return true;
	if (!o->n_metrics)
		return s->headline || (s->exact && strcmp(s->unit, "count_per_op") == 0);
	for (size_t i = 0; i < o->n_metrics; i++)
		if (selector_matches(&o->metric[i], s->benchmark, s->target, s->params, s->metric))
			return true;
	return false;
}

static int take_values(struct trend_row *row, const struct history *h, struct err *e)
{
	row->value = calloc(h->n + 1, sizeof(*row->value));
	row->place = calloc(h->n + 1, sizeof(*row->place));
	if (!row->value || !row->place)
		return err_nomem(e);
	for (size_t i = 0; i < h->n; i++)
		if (isfinite(row->of->value[i])) {
			row->place[row->n] = i;
			row->value[row->n++] = row->of->value[i];
		}
	return 0;
}

static int summarize(struct trend_row *row, struct err *e)
{
	CLEANUP_FREE double *sorted = calloc(row->n + 1, sizeof(*sorted));

	if (!sorted)
		return err_nomem(e);
	memcpy(sorted, row->value, row->n * sizeof(*sorted));
	summary_sort(sorted, row->n);
	row->median = summary_median_sorted(sorted, row->n);
	row->mad = (double)NAN;
	return row->n ? summary_mad(sorted, row->n, &row->mad, e) : 0;
}

static int find_changes(struct trend_row *row, double magnitude, struct err *e)
{
	struct change_options o = CHANGE_DEFAULT;
	size_t max = row->n / CHANGE_SEGMENT_MIN + 1;
	const struct change *last;

	o.magnitude = magnitude;
	row->change = calloc(max, sizeof(*row->change));
	if (!row->change)
		return err_nomem(e);
	if (change_find(row->value, row->n, &o, row->change, max, &row->n_changes, e) < 0)
		return -1;
	row->latest = row->median;
	if (!row->n_changes)
		return 0;
	last = &row->change[row->n_changes - 1];
	row->latest = last->after;
	if (row->of->better != BETTER_NONE)
		row->direction =
			(last->after > last->before) == (row->of->better == BETTER_LOWER) ? 1 : -1;
	return 0;
}

static int add_row(struct trend *t, const struct history_series *s, const struct trend_options *o,
		   struct err *e)
{
	struct trend_row *row = &t->row[t->n++];

	*row = (struct trend_row){ .of = s };
	if (take_values(row, t->h, e) < 0 || summarize(row, e) < 0 ||
	    find_changes(row, o->magnitude, e) < 0)
		return -1;
	t->worse += row->direction > 0;
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct trend_row *x = a, *y = b;

	if ((x->direction > 0) != (y->direction > 0))
		return y->direction > 0 ? 1 : -1;
	return (x->of > y->of) - (x->of < y->of);
}

static size_t count_configs(const struct trend *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		size_t k = 0;

		while (k < i && strcmp(t->row[k].of->config, t->row[i].of->config) != 0)
			k++;
		n += k == i;
	}
	return n;
}

int trend_make(const struct history *h, const struct trend_options *o, struct trend *out,
	       struct err *e)
{
	CLEANUP(trend_done) struct trend t = { .h = h };

	t.row = calloc(h->n_series + 1, sizeof(*t.row));
	if (!t.row)
		return err_nomem(e);
	for (size_t i = 0; i < h->n_series; i++)
		if (is_meant(&h->series[i], o) && add_row(&t, &h->series[i], o, e) < 0)
			return -1;
	if (t.n == 0)
		return err_set(e, ERR_USAGE, "metric", "no metric of these results is meant%s",
			       o->n_metrics ? " (--metric)"
					    : ": none is a headline (--metric NAME, -v for all)");
	qsort(t.row, t.n, sizeof(*t.row), compare_rows);
	t.configs = count_configs(&t);
	*out = t;
	t = (struct trend){ 0 };
	return 0;
}
