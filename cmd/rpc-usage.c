#include "rpc-usage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum { NAME_WIDTH = 28 };
enum side { CLIENT, SERVER };
enum column { CPU, MEMORY, SWITCHES };

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* NaN where no run has a value. */
static double median(double *v, size_t n)
{
	if (n == 0)
		return (double)NAN;
	qsort(v, n, sizeof(*v), compare);
	return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static double value_of(const struct run *r, enum side side, enum column c)
{
	const struct usage *u = side == CLIENT ? &r->client : &r->server;
	double operations = (double)(r->ok + r->failed);

	if (!u->known || r->status != RUN_OK || operations <= 0)
		return (double)NAN;
	if (c == MEMORY)
		return (double)u->rss_peak_bytes;
	if (c == SWITCHES)
		return (double)(u->voluntary_switches + u->involuntary_switches) / operations;
	return (double)(u->user_ns + u->system_ns) / operations;
}

static double median_of(const struct benchmark *b, enum side side, enum column c, double *room)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_runs; i++) {
		double v = value_of(&b->run[i], side, c);

		if (!isnan(v))
			room[n++] = v;
	}
	return median(room, n);
}

/* Median over the runs of a metric of bench-rpc's own; NaN where there is none. */
static double extra(const struct benchmark *b, const char *name, double *room)
{
	for (size_t k = 0; k < b->n_extra; k++) {
		size_t n = 0;

		if (strcmp(b->extra[k].name, name) != 0)
			continue;
		for (size_t i = 0; i < b->n_runs; i++)
			if (!isnan(b->extra[k].values[i]))
				room[n++] = b->extra[k].values[i];
		return median(room, n);
	}
	return (double)NAN;
}

static double opened(const struct benchmark *b, double *room)
{
	for (size_t k = 0; k < b->n_extra; k++) {
		size_t n = 0;

		if (strcmp(b->extra[k].name, "connections.opened") != 0)
			continue;
		for (size_t i = 0; i < b->n_runs; i++)
			if (b->run[i].status == RUN_OK && !isnan(b->extra[k].values[i]))
				room[n++] = b->extra[k].values[i] /
					    (double)(b->run[i].ok + b->run[i].failed);
		return n ? median(room, n) : 0;
	}
	return 0;
}

/* "echo 100 KiB x10 threaded" */
static void add_name(const struct benchmark *b, struct buf *out)
{
	char line[200], number[NUM_TEXT_MAX];
	size_t len = (size_t)snprintf(line, sizeof(line), "%s", b->name + strlen("rpc."));

	for (size_t i = 0; i < b->n_params && len < sizeof(line); i++) {
		const struct param *p = &b->params[i];

		if (strcmp(p->key, "size") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " %s",
						num_format_bytes(number, (double)p->integer));
		else if (strcmp(p->key, "chunk") == 0 && i > 0 &&
			 p->integer == b->params[i - 1].integer)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " whole");
		else if (strcmp(p->key, "chunk") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "/%s",
						num_format_bytes(number, (double)p->integer));
		else if (strcmp(p->key, "connection") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " %s", p->text);
		else if (strcmp(p->key, "of") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " %s",
						p->text + strlen("rpc."));
		else if (strcmp(p->key, "concurrency") == 0 && p->integer > 1)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " x%lld",
						(long long)p->integer);
	}
	if (len < sizeof(line))
		snprintf(line + len, sizeof(line) - len, " %s",
			 strcmp(b->name, "rpc.floor") == 0 ? b->target + strlen("floor-")
							   : b->target);
	if (strlen(line) > NAME_WIDTH) /* a line of its own */
		buf_addf(out, "%s\n%-*s", line, NAME_WIDTH, "");
	else
		buf_addf(out, "%-*s", NAME_WIDTH, line);
}

static void add_number(struct buf *out, double v, const char *unit, int width)
{
	char text[NUM_TEXT_MAX];

	buf_addf(out, " %*s", width, isnan(v) ? "-" : num_format_unit(text, v, unit));
}

static void add_side(const struct benchmark *b, enum side side, struct buf *out, double *room)
{
	add_number(out, median_of(b, side, CPU, room), "ns", 7);
	add_number(out, median_of(b, side, MEMORY, room), "bytes", 8);
	add_number(out, median_of(b, side, SWITCHES, room), "count", 5);
}

static void costs(const struct measurement *m, struct buf *out, double *room)
{
	buf_addf(out, "\n%-28s %22s %22s\n%-28s %7s %8s %5s %7s %8s %5s %5s\n", "",
		 "client ---------------", "server ---------------", "an operation costs", "CPU",
		 "memory", "sw", "CPU", "memory", "sw", "conn");
	for (size_t i = 0; i < m->n; i++) {
		const struct benchmark *b = &m->benchmark[i];

		add_name(b, out);
		add_side(b, CLIENT, out, room);
		add_side(b, SERVER, out, room);
		add_number(out, opened(b, room), "count", 5);
		buf_addc(out, '\n');
	}
	buf_adds(
		out,
		"CPU time, context switches and connections opened per operation; memory at its peak.\n");
}

static void clients(const struct measurement *m, struct buf *out, double *room)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		const struct benchmark *b = &m->benchmark[i];
		double success = extra(b, "success_rate", room);

		if (isnan(success))
			continue;
		if (!any)
			buf_addf(out, "\n%-28s %7s %8s\n", "many clients at once", "success",
				 "fairness");
		any = true;
		add_name(b, out);
		add_number(out, success, "ratio", 7);
		add_number(out, extra(b, "fairness", room), "ratio", 8);
		buf_addc(out, '\n');
	}
	if (any)
		buf_adds(out,
			 "Fairness: operations of the slowest client over those of the fastest.\n");
}

static void stalls(const struct measurement *m, struct buf *out)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct benchmark *b = &m->benchmark[i];
		double sum = 0;

		for (size_t k = 0; k < b->n_extra; k++)
			for (size_t r = 0; strcmp(b->extra[k].name, "stalls") == 0 && r < b->n_runs;
			     r++)
				sum += isnan(b->extra[k].values[r]) ? 0 : b->extra[k].values[r];
		if (sum <= 0)
			continue;
		add_name(b, out);
		buf_addf(out, " stalls inside answers (35 ms or more): %.0f\n", sum);
	}
}

void rpc_usage_table(const struct measurement *m, struct buf *out)
{
	size_t most = 1;
	double *room;

	for (size_t i = 0; i < m->n; i++)
		most = m->benchmark[i].n_runs > most ? m->benchmark[i].n_runs : most;
	room = calloc(most, sizeof(*room));
	if (!room) {
		out->failed = true;
		return;
	}
	clients(m, out, room);
	costs(m, out, room);
	stalls(m, out);
	free(room);
}
