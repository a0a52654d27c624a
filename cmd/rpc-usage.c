#include "rpc-usage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum column { CLIENT_CPU, SERVER_CPU, SERVER_MEMORY, SERVER_SWITCHES, COLUMNS };

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

static double value_of(const struct run *r, enum column c)
{
	const struct usage *u = c == CLIENT_CPU ? &r->client : &r->server;
	double operations = (double)(r->ok + r->failed);

	if (!u->known || r->status != RUN_OK || operations <= 0)
		return (double)NAN;
	if (c == SERVER_MEMORY)
		return (double)u->rss_peak_bytes;
	if (c == SERVER_SWITCHES)
		return (double)(u->voluntary_switches + u->involuntary_switches) / operations;
	return (double)(u->user_ns + u->system_ns) / operations;
}

static double median_of(const struct benchmark *b, enum column c, double *room)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_runs; i++) {
		double v = value_of(&b->run[i], c);

		if (!isnan(v))
			room[n++] = v;
	}
	return median(room, n);
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

/* "rpc.echo 100 KiB, 10 clients, threaded" */
static void add_name(const struct benchmark *b, struct buf *out)
{
	char line[200], number[NUM_TEXT_MAX];
	size_t len = (size_t)snprintf(line, sizeof(line), "%s", b->name);

	for (size_t i = 0; i < b->n_params && len < sizeof(line); i++) {
		const struct param *p = &b->params[i];

		if (strcmp(p->key, "size") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " %s",
						num_format_bytes(number, (double)p->integer));
		else if (strcmp(p->key, "chunk") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " by %s",
						num_format_bytes(number, (double)p->integer));
		else if (strcmp(p->key, "connection") == 0)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " %s", p->text);
		else if (strcmp(p->key, "concurrency") == 0 && p->integer > 1)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " x%lld",
						(long long)p->integer);
	}
	if (len < sizeof(line))
		snprintf(line + len, sizeof(line) - len, " %s", b->target);
	buf_addf(out, "%-39.39s", line);
}

static void add_number(struct buf *out, double v, const char *unit, int width)
{
	char text[NUM_TEXT_MAX];

	buf_addf(out, " %*s", width, isnan(v) ? "-" : num_format_unit(text, v, unit));
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
	buf_addf(out, "\n%-39s %10s %10s\n%-39s %10s %10s %8s %5s %4s\n", "", "client", "server",
		 "an operation costs", "CPU", "CPU", "memory", "sw", "conn");
	for (size_t i = 0; i < m->n; i++) {
		const struct benchmark *b = &m->benchmark[i];

		add_name(b, out);
		add_number(out, median_of(b, CLIENT_CPU, room), "ns", 10);
		add_number(out, median_of(b, SERVER_CPU, room), "ns", 10);
		add_number(out, median_of(b, SERVER_MEMORY, room), "bytes", 8);
		add_number(out, median_of(b, SERVER_SWITCHES, room), "count", 5);
		add_number(out, opened(b, room), "count", 4);
		buf_addc(out, '\n');
	}
	buf_adds(
		out,
		"CPU time per operation; the server's memory at its peak, its context switches and\n"
		"the connections opened per operation. Medians over the runs.\n");
	free(room);
}
