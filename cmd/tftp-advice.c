#include "tftp-advice.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "stats/summary.h"
#include "tftp-batching.h"
#include "tftp-search.h"

/* A larger window or block that gains less than this is not worth its risk. */
#define WORTH 0.03

enum { GRID_MAX = OPT_LIST_MAX };

/* Median over runs of bytes per second; NaN when no run went well. */
static double throughput(const struct benchmark *b)
{
	CLEANUP_FREE double *v = calloc(b->n_runs ? b->n_runs : 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; v && i < b->n_runs; i++) {
		const struct run *r = &b->run[i];

		if (r->status == RUN_OK && r->duration_ns && r->bytes)
			v[n++] = (double)r->bytes * 1e9 / (double)r->duration_ns;
	}
	if (n == 0)
		return (double)NAN;
	summary_sort(v, n);
	return summary_median_sorted(v, n);
}

static uint64_t troubles(const struct tftp_cell *cell)
{
	uint64_t n = 0;

	for (size_t i = 0; i < cell->n_windows; i++) {
		const struct tftp_tally *t = &cell->window[i].tally;

		n += t->timeouts + t->gaps + t->resent;
	}
	return n;
}

static uint64_t failures(const struct benchmark *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < b->n_runs; i++)
		n += b->run[i].failed;
	return n;
}

static uint32_t block_of(const struct tftp_cell *cell)
{
	const struct tftp_options *ask = &cell->plan.transfer.ask;

	return ask->set & TFTP_OPT_BLKSIZE ? ask->blksize : TFTP_BLKSIZE_DEFAULT;
}

static uint32_t window_of(const struct tftp_cell *cell)
{
	const struct tftp_options *ask = &cell->plan.transfer.ask;

	return ask->set & TFTP_OPT_WINDOWSIZE ? ask->windowsize : 1;
}

/* Cells that differ in block size and window only. */
static bool same_grid(const struct tftp_cell *a, const struct tftp_cell *b)
{
	return a->plan.groups.lock && b->plan.groups.lock && a->target == b->target &&
	       a->kind == b->kind && a->size == b->size && a->concurrency == b->concurrency &&
	       strcmp(a->file, b->file) == 0;
}

struct grid {
	uint32_t row[GRID_MAX], column[GRID_MAX];
	size_t rows, columns;
	size_t cell[GRID_MAX][GRID_MAX]; /* index + 1, 0: none */
	size_t best;			 /* index of the cell, SIZE_MAX: none */
	double best_value;
};

static size_t place(uint32_t *list, size_t *n, uint32_t value)
{
	for (size_t i = 0; i < *n; i++) {
		if (list[i] == value)
			return i;
	}
	if (*n == GRID_MAX)
		return GRID_MAX - 1;
	list[*n] = value;
	return (*n)++;
}

/* The grid that cell `first` begins; false when an earlier cell begins it, or when there is nothing to compare. */
static bool grid_of(const struct tftp_cases *c, const struct measurement *m, size_t first,
		    struct grid *g)
{
	memset(g, 0, sizeof(*g));
	g->best = SIZE_MAX;
	if (!c->cell[first]->plan.groups.lock || c->cell[first]->kind == TFTP_KIND_OPTIONS ||
	    c->cell[first]->kind == TFTP_KIND_REQUEST || c->opts->profiles.n)
		return false;
	for (size_t i = 0; i < c->n_cases && i < m->n; i++) {
		size_t row, column;
		double value;

		if (!same_grid(c->cell[first], c->cell[i]))
			continue;
		if (i < first)
			return false;
		row = place(g->row, &g->rows, block_of(c->cell[i]));
		column = place(g->column, &g->columns, window_of(c->cell[i]));
		g->cell[row][column] = i + 1;
		value = throughput(&m->benchmark[i]);
		if (!isnan(value) && failures(&m->benchmark[i]) == 0 &&
		    (g->best == SIZE_MAX || value > g->best_value)) {
			g->best = i;
			g->best_value = value;
		}
	}
	return g->rows * g->columns > 1;
}

static void print_cell(const struct tftp_cases *c, const struct measurement *m,
		       const struct grid *g, size_t index, struct buf *out)
{
	char text[NUM_TEXT_MAX];
	double value;

	if (!index) {
		buf_addf(out, " %13s", "");
		return;
	}
	value = throughput(&m->benchmark[index - 1]);
	if (isnan(value)) {
		buf_addf(out, " %12s ", "failed");
		return;
	}
	num_format_unit(text, value, "bytes_per_second");
	buf_addf(out, " %12s%c", text,
		 index - 1 == g->best		      ? '*'
		 : failures(&m->benchmark[index - 1]) ? '!'
		 : troubles(c->cell[index - 1])	      ? 'r'
						      : ' ');
}

int tftp_advice_grid(const struct tftp_cases *c, const struct measurement *m, struct buf *out)
{
	CLEANUP_FREE struct grid *g = malloc(sizeof(*g));
	bool any = false;

	if (!g)
		return -1;
	for (size_t i = 0; i < c->n_cases && i < m->n; i++) {
		char size[NUM_TEXT_MAX];

		if (!grid_of(c, m, i, g))
			continue;
		any = true;
		buf_addf(out, "\n%s %s, %u client%s", c->cases[i].name, c->cases[i].target,
			 c->cell[i]->concurrency, c->cell[i]->concurrency == 1 ? "" : "s");
		if (c->cell[i]->target->is_builtin || c->cell[i]->kind == TFTP_KIND_WRITE)
			buf_addf(out, ", %s", num_format_bytes(size, (double)c->cell[i]->size));
		buf_addf(out, "\n%8s", "blksize");
		for (size_t k = 0; k < g->columns; k++)
			buf_addf(out, "  window %5u", g->column[k]);
		buf_addc(out, '\n');
		for (size_t r = 0; r < g->rows; r++) {
			buf_addf(out, "%8u", g->row[r]);
			for (size_t k = 0; k < g->columns; k++)
				print_cell(c, m, g, g->cell[r][k], out);
			buf_addc(out, '\n');
		}
	}
	if (any)
		buf_adds(out, "* best   r: packets were repeated   !: transfers failed\n");
	return out->failed ? -1 : 0;
}

/* In the row of the best cell: the smallest window within 3 % of it, and from which one on packets are repeated. */
static void window_advice(const struct tftp_cases *c, const struct measurement *m,
			  const struct grid *g, char *remedy, size_t size)
{
	const struct tftp_cell *best = c->cell[g->best];
	size_t row = 0, n = 0;
	uint32_t least = window_of(best), bad = 0;

	while (g->row[row] != block_of(best))
		row++;
	for (size_t k = 0; k < g->columns; k++) {
		size_t i = g->cell[row][k];

		if (!i)
			continue;
		if (throughput(&m->benchmark[i - 1]) >= g->best_value * (1 - WORTH) &&
		    g->column[k] < least)
			least = g->column[k];
		if (troubles(c->cell[i - 1]) && (!bad || g->column[k] < bad))
			bad = g->column[k];
	}
	if (least < window_of(best))
		n = (size_t)snprintf(remedy, size, "windowsize %u is within 3 %% of the best",
				     least);
	else
		n = (size_t)snprintf(remedy, size, "use blksize %u and windowsize %u",
				     block_of(best), window_of(best));
	if (bad && n < size)
		snprintf(remedy + n, size - n, "; from windowsize %u on packets are repeated", bad);
}

static int advise_grid(const struct tftp_cases *c, struct document *d, const struct measurement *m,
		       const struct grid *g, struct err *e)
{
	char evidence[256], remedy[256], value[NUM_TEXT_MAX];
	const struct tftp_cell *best = c->cell[g->best];

	snprintf(evidence, sizeof(evidence),
		 "blksize %u windowsize %u gives %s, the most of %zu cells", block_of(best),
		 window_of(best), num_format_unit(value, g->best_value, "bytes_per_second"),
		 g->rows * g->columns);
	window_advice(c, m, g, remedy, sizeof(remedy));
	return document_add_finding(d, "tftp-matrix", c->cases[g->best].name,
				    c->cases[g->best].target, evidence, remedy, e);
}

/* Median over the samples of all runs, 0 when there are none. */
static double median_of(const struct benchmark *b, const char *name)
{
	struct err ignored;
	CLEANUP(series_done) struct series all = { 0 };
	double median;

	if (series_init(&all, 0, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < b->n_runs; i++) {
		const struct distribution *r = run_distribution(&b->run[i], name);

		if (r && series_merge(&all, &r->series, &ignored) < 0)
			return 0;
	}
	median = series_median(&all);
	return isnan(median) ? 0 : median;
}

/* Whose time is it, block by block? Only where a block is a round trip: lockstep, one client, no delay of our own. */
static int advise_block(const struct tftp_cases *c, size_t i, struct document *d,
			const struct benchmark *b, struct err *e)
{
	const struct tftp_cell *cell = c->cell[i];
	double away = median_of(b, "block_rtt"), ours = median_of(b, "client_turnaround");
	char evidence[256], remedy[160], a[NUM_TEXT_MAX], o[NUM_TEXT_MAX];

	if (cell->kind != TFTP_KIND_READ || cell->concurrency != 1 || cell->plan.out.delay_ns ||
	    away <= 0 || ours <= 0)
		return 0;
	snprintf(
		evidence, sizeof(evidence),
		"blksize %u windowsize %u: from our ACK to the next block %s, from a block to our ACK %s (medians)",
		block_of(cell), window_of(cell), num_format_ns(a, away), num_format_ns(o, ours));
	snprintf(remedy, sizeof(remedy),
		 "%.0f %% of a block's time is the server's and the network's",
		 100 * away / (away + ours));
	return document_add_finding(d, "tftp-turnaround", c->cases[i].name, c->cases[i].target,
				    evidence, remedy, e);
}

/* With a delay of our own the exchanges alone cost this much. */
static int advise_link(const struct tftp_cases *c, size_t i, struct document *d,
		       const struct benchmark *b, struct err *e)
{
	const struct tftp_cell *cell = c->cell[i];
	struct tftp_tally t = { 0 };
	double exchanges, predicted, measured = median_of(b, "latency");
	char evidence[256], each[NUM_TEXT_MAX], sum[NUM_TEXT_MAX], whole[NUM_TEXT_MAX];

	for (size_t k = 0; k < cell->n_windows; k++)
		tftp_tally_add(&t, &cell->window[k].tally);
	if (cell->kind != TFTP_KIND_READ || !cell->plan.out.delay_ns || !t.ok || measured <= 0)
		return 0;
	/* the request, and every ACK but the last, is answered after one delay */
	exchanges = (double)t.ack_packets / (double)t.transfers;
	predicted = exchanges * (double)cell->plan.out.delay_ns;
	snprintf(evidence, sizeof(evidence),
		 "%.1f exchanges of %s are %s; the transfer takes %s (median)", exchanges,
		 num_format_ns(each, (double)cell->plan.out.delay_ns),
		 num_format_ns(sum, predicted), num_format_ns(whole, measured));
	return document_add_finding(
		d, "tftp-round-trips", c->cases[i].name, c->cases[i].target, evidence,
		predicted > 0.8 * measured
			? "round trips decide: a larger window or block size makes fewer"
			: "lost packets and the server's timer decide, not the round trips",
		e);
}

int tftp_advice_add(struct tftp_cases *c, struct document *d, const struct measurement *m,
		    struct err *e)
{
	CLEANUP_FREE struct grid *g = malloc(sizeof(*g));

	if (!g)
		return err_nomem(e);
	for (size_t i = 0; i < c->n_cases && i < m->n; i++) {
		if (!c->cell[i]->plan.groups.lock)
			continue;
		if (grid_of(c, m, i, g) && g->best != SIZE_MAX && advise_grid(c, d, m, g, e) < 0)
			return -1;
		if (c->n_cases <= 4 && advise_block(c, i, d, &m->benchmark[i], e) < 0)
			return -1;
		if (tftp_search_advise(c, i, d, &m->benchmark[i], e) < 0 ||
		    tftp_batching_advise(c, i, d, &m->benchmark[i], e) < 0)
			return -1;
		if (advise_link(c, i, d, &m->benchmark[i], e) < 0)
			return -1;
	}
	return 0;
}
