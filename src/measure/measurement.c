#include "measure/measurement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/summary.h"

static void run_done(struct run *r)
{
	for (size_t i = 0; i < r->n_distributions; i++)
		series_done(&r->distribution[i].series);
	free(r->distribution);
	free(r->syscalls.count);
}

static void benchmark_done(struct benchmark *b)
{
	for (size_t i = 0; i < b->n_runs; i++)
		run_done(&b->run[i]);
	free(b->run);
	for (size_t i = 0; i < b->n_extra; i++) {
		free(b->extra[i].values);
		free(b->extra[i].totals);
		free(b->extra[i].operations);
	}
	free(b->extra);
}

void measurement_done(struct measurement *m)
{
	for (size_t i = 0; i < m->n; i++)
		benchmark_done(&m->benchmark[i]);
	free(m->benchmark);
	memset(m, 0, sizeof(*m));
}

struct extra_metric *benchmark_add_metric(struct benchmark *b, const char *name, const char *unit,
					  enum better better, bool exact)
{
	struct extra_metric *grown, *x;
	size_t len = strlen(name);

	if (len >= sizeof(x->name))
		return NULL;
	grown = reallocarray(b->extra, b->n_extra + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	b->extra = grown;
	x = &grown[b->n_extra];
	memset(x, 0, sizeof(*x));
	memcpy(x->name, name, len);
	x->unit = unit;
	x->better = better;
	x->exact = exact;
	x->values = calloc(b->n_runs ? b->n_runs : 1, sizeof(*x->values));
	x->totals = exact ? calloc(b->n_runs ? b->n_runs : 1, sizeof(*x->totals)) : NULL;
	x->operations = exact ? calloc(b->n_runs ? b->n_runs : 1, sizeof(*x->operations)) : NULL;
	if (!x->values || (exact && (!x->totals || !x->operations))) {
		free(x->values);
		free(x->totals);
		free(x->operations);
		return NULL;
	}
	for (size_t i = 0; i < b->n_runs; i++)
		x->values[i] = (double)NAN;
	b->n_extra++;
	return x;
}

const struct distribution *run_distribution(const struct run *r, const char *name)
{
	for (size_t i = 0; i < r->n_distributions; i++)
		if (strcmp(r->distribution[i].name, name) == 0)
			return &r->distribution[i];
	return NULL;
}

uint64_t percentile_needs(uint32_t ppm)
{
	uint32_t above = 1000000 - (ppm < 1000000 ? ppm : 999999);

	return ppm == 500000 ? 1 : (1000000 + above - 1) / above;
}

/* The upper end appears once and stays: doubling finds a range, halving the place in it. */
static uint64_t search_bound(uint32_t ppm)
{
	uint64_t below = 0, enough = percentile_needs(ppm);

	while (summary_rank_interval(enough, ppm).hi > enough) {
		below = enough;
		enough *= 2;
	}
	while (below + 1 < enough) {
		uint64_t middle = below + (enough - below) / 2;

		if (summary_rank_interval(middle, ppm).hi > middle)
			below = middle;
		else
			enough = middle;
	}
	return enough;
}

uint64_t percentile_needs_bound(uint32_t ppm)
{
	/* What the search finds for the usual ones, which every distribution of a document asks for. */
	switch (ppm) {
	case 500000:
		return 6;
	case 900000:
		return 36;
	case 950000:
		return 72;
	case 990000:
		return 368;
	case 999000:
		return 3688;
	default:
		return search_bound(ppm);
	}
}

bool percentile_is_carried(uint64_t n, uint32_t ppm)
{
	return n >= percentile_needs(ppm);
}
