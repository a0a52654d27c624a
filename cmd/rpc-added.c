#include "rpc-added.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "stats/compare.h"

#define ALPHA 0.05

static int64_t clients_of(const struct benchmark *b)
{
	for (size_t i = 0; i < b->n_params; i++)
		if (strcmp(b->params[i].key, "concurrency") == 0)
			return b->params[i].integer;
	return 1;
}

static const char *call_of(const struct benchmark *b)
{
	for (size_t i = 0; i < b->n_params; i++)
		if (strcmp(b->params[i].key, "call") == 0)
			return b->params[i].text;
	return "";
}

static const struct benchmark *baseline_of(const struct measurement *m, const struct benchmark *b)
{
	if (strcmp(b->name, "rpc.call") != 0)
		return NULL;
	for (size_t i = 0; i < m->n; i++) {
		const struct benchmark *other = &m->benchmark[i];

		if (strcmp(other->name, "rpc.against") == 0 &&
		    strcmp(other->target, b->target) == 0 && clients_of(other) == clients_of(b))
			return other;
	}
	return NULL;
}

/* NaN where the run has none. */
static double latency_of(const struct benchmark *b, size_t i)
{
	const struct run *r = &b->run[i];

	for (size_t k = 0; r->status == RUN_OK && k < r->n_distributions; k++)
		if (strcmp(r->distribution[k].name, "latency") == 0 && r->distribution[k].series.n)
			return series_median(&r->distribution[k].series);
	return (double)NAN;
}

/* Runs of both in the same round, as pairs (base, call). */
static size_t pairs(const struct benchmark *base, const struct benchmark *call, double *x,
		    double *y)
{
	size_t n = 0;

	for (size_t i = 0; i < base->n_runs && i < call->n_runs; i++) {
		x[n] = latency_of(base, i);
		y[n] = latency_of(call, i);
		n += !isnan(x[n]) && !isnan(y[n]);
	}
	return n;
}

int rpc_added_derive(struct measurement *m, struct err *e)
{
	for (size_t k = 0; k < m->n; k++) {
		struct benchmark *b = &m->benchmark[k];
		const struct benchmark *base = baseline_of(m, b);
		struct extra_metric *x;

		if (!base)
			continue;
		x = benchmark_add_metric(b, "overhead", "ns", BETTER_LOWER, false);
		if (!x)
			return err_nomem(e);
		for (size_t i = 0; i < b->n_runs && i < base->n_runs; i++)
			x->values[i] = latency_of(b, i) - latency_of(base, i);
	}
	return 0;
}

/* "4.1 us  [3.9 us, 4.4 us]    1.05x [1.04, 1.06]"; an end that the runs cannot give is a question mark. */
static void add_row(struct buf *out, const struct benchmark *base, const struct benchmark *b,
		    const struct shift *added, const struct shift *ratio)
{
	char name[200], text[3][NUM_TEXT_MAX], span[80];

	snprintf(name, sizeof(name), "%.24s over %.24s %.60s", call_of(b), call_of(base),
		 b->target);
	num_format_unit(text[0], added->estimate, "ns");
	if (isinf(added->lo) || isinf(added->hi))
		snprintf(span, sizeof(span), "[?, ?]");
	else
		snprintf(span, sizeof(span), "[%s, %s]", num_format_unit(text[1], added->lo, "ns"),
			 num_format_unit(text[2], added->hi, "ns"));
	buf_addf(out, "%-34.34s %10s %-21s %5.2fx", name, text[0], span, ratio->estimate);
	if (!isinf(ratio->hi))
		buf_addf(out, " [%.2f, %.2f]", ratio->lo, ratio->hi);
	buf_addc(out, '\n');
}

void rpc_added_table(const struct measurement *m, struct buf *out)
{
	bool any = false;

	for (size_t k = 0; k < m->n; k++) {
		const struct benchmark *b = &m->benchmark[k], *base = baseline_of(m, b);
		CLEANUP_FREE double *x = calloc(b->n_runs + 1, sizeof(*x));
		CLEANUP_FREE double *y = calloc(b->n_runs + 1, sizeof(*y));
		struct shift added, ratio;
		struct err unseen;
		size_t n;

		out->failed = out->failed || !x || !y;
		if (!base || !x || !y)
			continue;
		n = pairs(base, b, x, y);
		if (n == 0 || compare_paired_shift(x, y, n, ALPHA, &added, &unseen) < 0 ||
		    compare_paired_ratio(x, y, n, ALPHA, &ratio, &unseen) < 0)
			continue;
		if (!any)
			buf_addf(out, "\n%-34s %10s %-21s %6s\n", "the application adds", "median",
				 "95 % interval", "ratio");
		any = true;
		add_row(out, base, b, &added, &ratio);
	}
}
