#include "explain/budget.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "result/json.h"
#include "stats/summary.h"

static const char prefix[] = "phase.";

/* Median over the runs of a distribution's medians; NaN when no run has it. */
static double typical(const struct benchmark *b, const char *name, double *scratch)
{
	size_t n = 0;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return (double)NAN;
	for (size_t i = 0; i < b->n_runs; i++) {
		const struct distribution *dist = run_distribution(&b->run[i], name);

		if (dist && dist->series.n)
			scratch[n++] = series_median(&dist->series);
	}
	summary_sort(scratch, n);
	return n ? summary_median_sorted(scratch, n) : (double)NAN;
}

/* A run that has every phase; NULL when nothing succeeded. */
static const struct run *fullest_run(const struct benchmark *b)
{
	const struct run *most = NULL;

	for (size_t i = 0; i < b->n_runs; i++)
		if (b->run[i].ok && (!most || b->run[i].n_distributions > most->n_distributions))
			most = &b->run[i];
	return most;
}

static int add_phase(json_t *phases, const char *name, double ns, double sum, struct err *e)
{
	json_t *phase = json_push_object(phases, e);

	if (!phase || json_put(phase, "name", json_string(name + strlen(prefix)), e) < 0 ||
	    json_put(phase, "ns", json_number(ns), e) < 0)
		return -1;
	return json_put(phase, "percent", json_number(sum > 0 ? 100 * ns / sum : (double)NAN), e);
}

static int add_phases(json_t *phases, const struct benchmark *b, const struct run *r,
		      double *scratch, struct err *e)
{
	double sum = 0;

	for (size_t i = 0; i < r->n_distributions; i++) {
		double ns = typical(b, r->distribution[i].name, scratch);

		sum += isnan(ns) ? 0 : ns;
	}
	for (size_t i = 0; i < r->n_distributions; i++) {
		double ns = typical(b, r->distribution[i].name, scratch);

		if (!isnan(ns) && add_phase(phases, r->distribution[i].name, ns, sum, e) < 0)
			return -1;
	}
	return 0;
}

static int add_target(json_t *all, const struct benchmark *b, const struct run *r, struct err *e)
{
	CLEANUP_FREE double *scratch = calloc(b->n_runs ? b->n_runs : 1, sizeof(*scratch));
	json_t *one = scratch ? json_push_object(all, e) : NULL;
	json_t *phases;

	if (!scratch)
		return err_nomem(e);
	if (!one || json_put(one, "target", json_outside_text(b->target), e) < 0)
		return -1;
	phases = json_put_array(one, "phases", e);
	return phases ? add_phases(phases, b, r, scratch, e) : -1;
}

int budget_add(struct document *d, const struct measurement *m, const char *name, struct err *e)
{
	CLEANUP(json_decref) json_t *all = json_array();
	size_t n = 0;

	if (!all)
		return err_nomem(e);
	for (size_t i = 0; i < m->n; i++) {
		const struct run *r = fullest_run(&m->benchmark[i]);

		if (strcmp(m->benchmark[i].name, name) != 0 || !r)
			continue;
		if (add_target(all, &m->benchmark[i], r, e) < 0)
			return -1;
		n++;
	}
	return n ? document_add_extension(d, "phase_budget", TAKE(all), e) : 0;
}
