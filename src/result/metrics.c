#include "result/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "stats/summary.h"

static const char *better_name(enum better b)
{
	return b == BETTER_LOWER ? "lower" : b == BETTER_HIGHER ? "higher" : "none";
}

static int add_values(json_t *object, const struct metric *m, size_t n_runs, struct err *e)
{
	json_t *values = json_put_array(object, "values", e);

	for (size_t i = 0; values && i < n_runs; i++)
		if (json_push(values, json_number(m->values[i]), e) < 0)
			return -1;
	return values ? 0 : -1;
}

static int add_integers(json_t *object, const char *key, const uint64_t *list, size_t n_runs,
			struct err *e)
{
	json_t *values = json_put_array(object, key, e);

	for (size_t i = 0; values && i < n_runs; i++)
		if (json_push(values, json_u64(list[i]), e) < 0)
			return -1;
	return values ? 0 : -1;
}

static int add_interval(json_t *summary, const double *sorted, size_t n, struct err *e)
{
	struct rank_interval ranks = summary_rank_interval(n, 500000);
	json_t *ci = json_put_array(summary, "median_ci", e);

	if (!ci ||
	    json_push(ci, json_number(n && ranks.lo >= 1 ? sorted[ranks.lo - 1] : (double)NAN), e) <
		    0)
		return -1;
	return json_push(ci, json_number(n && ranks.hi <= n ? sorted[ranks.hi - 1] : (double)NAN),
			 e);
}

/* data is sorted here. */
static int fill_summary(json_t *summary, double *data, size_t n, struct err *e)
{
	double mad = (double)NAN;

	summary_sort(data, n);
	if (n && summary_mad(data, n, &mad, e) < 0)
		return -1;
	if (json_put(summary, "n", json_u64(n), e) < 0 ||
	    json_put(summary, "median", json_number(summary_median_sorted(data, n)), e) < 0 ||
	    json_put(summary, "mad", json_number(mad), e) < 0 ||
	    json_put(summary, "mean", json_number(summary_mean(data, n)), e) < 0 ||
	    json_put(summary, "stdev", json_number(summary_stdev(data, n)), e) < 0 ||
	    json_put(summary, "min", json_number(n ? data[0] : (double)NAN), e) < 0 ||
	    json_put(summary, "max", json_number(n ? data[n - 1] : (double)NAN), e) < 0)
		return -1;
	return add_interval(summary, data, n, e);
}

static int add_summary(json_t *object, const struct metric *m, size_t n_runs, struct err *e)
{
	CLEANUP_FREE double *data = calloc(n_runs ? n_runs : 1, sizeof(*data));
	json_t *summary = json_put_object(object, "summary", e);
	size_t n = 0;

	if (!data)
		return err_nomem(e);
	for (size_t i = 0; i < n_runs; i++)
		if (isfinite(m->values[i]))
			data[n++] = m->values[i];
	return summary ? fill_summary(summary, data, n, e) : -1;
}

static int add_metric(json_t *metrics, const struct metric *m, size_t n_runs, struct err *e)
{
	json_t *object = json_put_object(metrics, m->name, e);

	if (!object || json_put(object, "unit", json_string(m->unit), e) < 0 ||
	    json_put(object, "better", json_string(better_name(m->better)), e) < 0 ||
	    json_put(object, "assume", json_string(m->exact ? "exact" : "distribution"), e) < 0 ||
	    add_values(object, m, n_runs, e) < 0)
		return -1;
	if (m->totals && m->operations &&
	    (add_integers(object, "totals", m->totals, n_runs, e) < 0 ||
	     add_integers(object, "operations", m->operations, n_runs, e) < 0))
		return -1;
	return add_summary(object, m, n_runs, e);
}

json_t *metrics_make(const struct metric_list *l, size_t n_runs, struct err *e)
{
	CLEANUP(json_decref) json_t *metrics = json_object();

	if (!metrics) {
		err_nomem(e);
		return NULL;
	}
	for (size_t i = 0; i < l->n; i++)
		if (add_metric(metrics, &l->metric[i], n_runs, e) < 0)
			return NULL;
	return TAKE(metrics);
}
