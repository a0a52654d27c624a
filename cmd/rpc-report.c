#include "rpc-report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rpc-added.h"

static struct rpc_cell *cell_of(struct rpc_cases *c, const struct engine_case *ec)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		if (&c->cases[i] == ec)
			return c->cell[i]->plan ? c->cell[i] : NULL;
	}
	return NULL;
}

static int window_open(void *ctx, const struct engine_case *ec, struct run *run, struct err *e)
{
	struct rpc_cell *cell = cell_of(ctx, ec);
	struct rpc_tally before;

	(void)run;
	(void)e;
	if (!cell)
		return 0;
	cell->target->scheme->collect(cell, &before);
	if (cell->answered)
		memset(cell->answered, 0, cell->work.concurrency * sizeof(*cell->answered));
	return 0;
}

/* The slowest client's share of the fastest one's: 1 when all were served alike. */
static double fairness(const struct rpc_cell *cell)
{
	uint64_t least = UINT64_MAX, most = 0, all = 0;

	for (uint32_t i = 0; cell->answered && i < cell->work.concurrency; i++) {
		least = cell->answered[i] < least ? cell->answered[i] : least;
		most = cell->answered[i] > most ? cell->answered[i] : most;
		all += cell->answered[i];
	}
	/* of less than two for each nothing can be said */
	return all >= 2 * (uint64_t)cell->work.concurrency ? (double)least / (double)most
							   : (double)NAN;
}

static int window_close(void *ctx, const struct engine_case *ec, struct run *run, struct err *e)
{
	struct rpc_cell *cell = cell_of(ctx, ec);

	(void)run;
	(void)e;
	if (!cell || cell->n_windows >= cell->all->opts->plan.runs)
		return 0;
	cell->target->scheme->collect(cell, &cell->window[cell->n_windows].tally);
	cell->window[cell->n_windows++].fairness = fairness(cell);
	return 0;
}

struct engine_probe rpc_report_probe(struct rpc_cases *c)
{
	return (struct engine_probe){ .ctx = c,
				      .window_open = window_open,
				      .window_close = window_close };
}

/* Per operation, or the sum of a run. */
enum shape { PER_OPERATION, IN_ALL };
#define FIELD(f) offsetof(struct rpc_tally, f)
static const struct {
	const char *name, *unit;
	enum better better;
	enum shape shape;
	size_t field;
} metrics[] = {
	{ "wire.requests", "count_per_op", BETTER_LOWER, PER_OPERATION, FIELD(requests) },
	{ "wire.round_trips", "count_per_op", BETTER_LOWER, PER_OPERATION, FIELD(round_trips) },
	{ "wire.sent", "bytes", BETTER_LOWER, PER_OPERATION, FIELD(sent_bytes) },
	{ "wire.received", "bytes", BETTER_LOWER, PER_OPERATION, FIELD(received_bytes) },
	{ "wire.compressed", "count", BETTER_NONE, IN_ALL, FIELD(compressed) },
	{ "stalls", "count", BETTER_LOWER, IN_ALL, FIELD(stalls) },
	{ "connections.opened", "count", BETTER_LOWER, IN_ALL, FIELD(opened) },
	{ "connections.reused", "count", BETTER_HIGHER, IN_ALL, FIELD(reused) },
	{ "references.received", "count", BETTER_NONE, IN_ALL, FIELD(refs_received) },
	{ "references.released", "count", BETTER_NONE, IN_ALL, FIELD(refs_released) },
};
enum { METRICS = sizeof(metrics) / sizeof(metrics[0]) };

static uint64_t total(const struct rpc_window *w, size_t field)
{
	uint64_t v;

	memcpy(&v, (const char *)&w->tally + field, sizeof(v));
	return v;
}

static bool is_wanted(const struct rpc_cell *cell, size_t k)
{
	/* what no run has seen says nothing; that nothing stalled does */
	if (metrics[k].field == FIELD(stalls))
		return true;
	for (size_t i = 0; i < cell->n_windows; i++)
		if (total(&cell->window[i], metrics[k].field))
			return true;
	return false;
}

static void set_value(struct extra_metric *x, size_t i, const struct run *run, uint64_t count,
		      enum shape shape)
{
	uint64_t operations = run->ok + run->failed;

	if (shape == IN_ALL)
		x->values[i] = (double)count;
	else if (operations)
		x->values[i] = (double)count / (double)operations;
	if (x->totals) {
		x->totals[i] = count;
		x->operations[i] = operations;
	}
}

/* Many clients: whether all were served, and all alike. */
static int derive_clients(const struct rpc_cell *cell, struct benchmark *b, struct err *e)
{
	struct extra_metric *x;

	x = benchmark_add_metric(b, "success_rate", "ratio", BETTER_HIGHER, false);
	if (!x)
		return err_nomem(e);
	for (size_t i = 0; i < b->n_runs; i++) {
		const struct run *r = &b->run[i];

		if (r->status != RUN_INTERRUPTED && r->ok + r->failed)
			x->values[i] = (double)r->ok / (double)(r->ok + r->failed);
	}
	x = benchmark_add_metric(b, "fairness", "ratio", BETTER_HIGHER, false);
	if (!x)
		return err_nomem(e);
	for (size_t i = 0; i < b->n_runs && i < cell->n_windows; i++)
		if (b->run[i].status == RUN_OK)
			x->values[i] = cell->window[i].fairness;
	return 0;
}

static int derive_cell(const struct rpc_cell *cell, struct benchmark *b, struct err *e)
{
	struct extra_metric *x;

	for (size_t k = 0; k < METRICS; k++) {
		bool exact = strcmp(metrics[k].unit, "count_per_op") == 0;

		if (!is_wanted(cell, k))
			continue;
		x = benchmark_add_metric(b, metrics[k].name, metrics[k].unit, metrics[k].better,
					 exact);
		if (!x)
			return err_nomem(e);
		for (size_t i = 0; i < b->n_runs && i < cell->n_windows; i++)
			if (b->run[i].status == RUN_OK)
				set_value(x, i, &b->run[i],
					  total(&cell->window[i], metrics[k].field),
					  metrics[k].shape);
	}
	if (cell->work.concurrency < 2)
		return 0;
	return derive_clients(cell, b, e);
}

static bool is_of(const struct benchmark *b, const struct engine_case *ec)
{
	if (strcmp(b->name, ec->name) != 0 || strcmp(b->target, ec->target) != 0 ||
	    b->n_params != ec->n_params)
		return false;
	for (size_t i = 0; i < b->n_params; i++) {
		const struct param *p = &b->params[i], *q = &ec->params[i];

		if (strcmp(p->key, q->key) != 0 || p->integer != q->integer || p->text != q->text)
			return false;
	}
	return true;
}

int rpc_report_derive(void *ctx, struct measurement *m, struct err *e)
{
	struct rpc_cases *c = ctx;

	/* in the order of the cases, without those that never ran */
	for (size_t i = 0, k = 0; i < m->n; i++, k++) {
		struct benchmark *b = &m->benchmark[i];

		while (k < c->n_cases && !is_of(b, &c->cases[k]))
			k++;
		if (k < c->n_cases && c->cell[k]->plan && derive_cell(c->cell[k], b, e) < 0)
			return -1;
	}
	return rpc_added_derive(m, e);
}

void rpc_report_identity(void *ctx, size_t i, const char **pairs, size_t max)
{
	struct rpc_cases *c = ctx;
	size_t n = 0;

	pairs[0] = NULL;
	if (i < c->n_all && c->target[i].scheme)
		c->target[i].scheme->identity(&c->target[i], pairs, &n, max);
}
