/* What the runs of iperf came to: metrics, distributions, the extension of the document, warnings. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "iperf-cases.h"
#include "stats/summary.h"

static const struct {
	const char *name, *unit;
	enum better better;
} distributions[IPERF_S_COUNT] = {
	[IPERF_S_THROUGHPUT] = { "interval.throughput", "bits_per_second", BETTER_HIGHER },
	[IPERF_S_RTT] = { "rtt", "ns", BETTER_LOWER },
	[IPERF_S_RTT_IDLE] = { "rtt_idle", "ns", BETTER_LOWER },
	[IPERF_S_RTT_RECEIVER] = { "rtt_receiver", "ns", BETTER_LOWER },
	[IPERF_S_RTTVAR] = { "rtt_variation", "ns", BETTER_LOWER },
	[IPERF_S_ACK] = { "send_to_ack", "ns", BETTER_LOWER },
	[IPERF_S_DELAY] = { "delay_variation", "ns", BETTER_LOWER },
	[IPERF_S_CWND] = { "interval.cwnd", "bytes", BETTER_NONE },
	[IPERF_S_RETRANSMITS] = { "interval.retransmits", "count", BETTER_LOWER },
	[IPERF_S_CPU] = { "interval.client_cpu", "ppm", BETTER_LOWER },
};

static const struct {
	const char *name, *unit;
	enum better better;
} metrics[IPERF_M_COUNT] = {
	[IPERF_M_THROUGHPUT] = { "throughput", "bits_per_second", BETTER_HIGHER },
	[IPERF_M_SENT] = { "sent", "bits_per_second", BETTER_NONE },
	[IPERF_M_UP] = { "up.throughput", "bits_per_second", BETTER_HIGHER },
	[IPERF_M_DOWN] = { "down.throughput", "bits_per_second", BETTER_HIGHER },
	[IPERF_M_RETRANSMITS] = { "retransmits", "count", BETTER_LOWER },
	[IPERF_M_LOSS] = { "loss_ratio", "ratio", BETTER_LOWER },
	[IPERF_M_LOST] = { "lost", "count", BETTER_LOWER },
	[IPERF_M_DUPLICATES] = { "duplicates", "count", BETTER_LOWER },
	[IPERF_M_REORDERED] = { "reordered", "count", BETTER_LOWER },
	[IPERF_M_JITTER] = { "jitter", "ns", BETTER_LOWER },
	[IPERF_M_CLIENT_CPU] = { "client.cpu_per_gb", "ns", BETTER_LOWER },
	[IPERF_M_PEER_CPU] = { "peer.cpu_per_gb", "ns", BETTER_LOWER },
	[IPERF_M_RPM] = { "responsiveness", "round_trips_per_minute", BETTER_HIGHER },
	[IPERF_M_RPM_IDLE] = { "responsiveness.idle", "round_trips_per_minute", BETTER_HIGHER },
	[IPERF_M_PACING] = { "pacing_error", "ratio", BETTER_LOWER },
	[IPERF_M_CONNECT] = { "connect", "ns", BETTER_LOWER },
	[IPERF_M_SYSCALLS] = { "syscalls_per_gb", "count_per_gb", BETTER_LOWER },
};

static double over(double a, double b)
{
	return b > 0 ? a / b : (double)NAN;
}

/* Round trips a minute of a median round trip. */
static double rpm(const struct series *s)
{
	double median = series_median(s);

	return median > 0 ? 60e9 / median : (double)NAN;
}

/* A count of both directions; NaN where neither knows. */
static double both(int64_t a, int64_t b)
{
	if (a < 0 && b < 0)
		return (double)NAN;
	return (double)((a > 0 ? a : 0) + (b > 0 ? b : 0));
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* System calls of whom --syscalls watches, for 10^9 bytes that arrived. */
static double calls_per_gb(const struct run *run, const struct iperf_window *w)
{
	uint64_t calls = 0;

	if (!run->syscalls.known)
		return (double)NAN;
	for (size_t i = 0; i < run->syscalls.n; i++)
		calls += run->syscalls.count[i].calls;
	return over((double)calls, w->bytes_moved / 1e9);
}

static double value_of(enum iperf_metric k, const struct iperf_cell *cell,
		       const struct iperf_window *w, const struct run *run)
{
	const struct iperf_flow *up = &w->flow[IPERF_UP], *down = &w->flow[IPERF_DOWN];
	double target = (double)cell->plan.client.work.rate * cell->plan.client.params.parallel *
			(up->used && down->used ? 2 : 1);
	double rate = (w->up_s > 0 ? w->up_bits / w->up_s : 0) +
		      (w->down_s > 0 ? w->down_bits / w->down_s : 0);

	switch (k) {
	case IPERF_M_THROUGHPUT:
		return w->up_s > 0 || w->down_s > 0 ? rate : (double)NAN;
	case IPERF_M_SENT:
		return over(w->sent_bits, w->sent_s);
	case IPERF_M_UP:
		return down->used ? over(w->up_bits, w->up_s) : (double)NAN;
	case IPERF_M_DOWN:
		return up->used ? over(w->down_bits, w->down_s) : (double)NAN;
	case IPERF_M_RETRANSMITS:
		return both(up->retransmits, down->retransmits);
	case IPERF_M_LOSS:
		return over(both(up->lost, down->lost), both(up->packets, down->packets));
	case IPERF_M_LOST:
		return both(up->lost, down->lost);
	case IPERF_M_DUPLICATES:
		return both(up->duplicates, down->duplicates);
	case IPERF_M_REORDERED:
		return both(up->reordered, down->reordered);
	case IPERF_M_JITTER:
		return up->has_jitter || down->has_jitter ? larger(up->jitter_ns, down->jitter_ns)
							  : (double)NAN;
	case IPERF_M_CLIENT_CPU:
		return over(w->cpu_ns, w->bytes_moved / 1e9);
	case IPERF_M_PEER_CPU:
		return w->remote_cpu_ns > 0 ? over(w->remote_cpu_ns, w->bytes_moved / 1e9)
					    : (double)NAN;
	case IPERF_M_RPM:
		return rpm(&w->series[up->used ? IPERF_S_RTT : IPERF_S_RTT_RECEIVER]);
	case IPERF_M_RPM_IDLE:
		return rpm(&w->series[IPERF_S_RTT_IDLE]);
	case IPERF_M_PACING:
		return target > 0 ? fabs(over(w->sent_bits, w->sent_s) / target - 1) : (double)NAN;
	case IPERF_M_SYSCALLS:
		return calls_per_gb(run, w);
	default:
		return over(w->connect_ns, (double)w->tests);
	}
}

/* The run's own distribution is that of the tests' length: it becomes the last one, under its name. */
static int add_distributions(struct run *run, struct iperf_window *w, struct err *e)
{
	size_t room = run->n_distributions + IPERF_S_COUNT, n = 0;
	struct distribution *d = calloc(room, sizeof(*d));

	if (!d)
		return err_nomem(e);
	for (unsigned i = 0; i < IPERF_S_COUNT; i++) {
		if (w->series[i].n == 0)
			continue;
		d[n] = (struct distribution){ .name = distributions[i].name,
					      .unit = distributions[i].unit,
					      .better = distributions[i].better,
					      .series = w->series[i] };
		memset(&w->series[i], 0, sizeof(w->series[i]));
		n++;
	}
	for (size_t i = 0; i < run->n_distributions; i++) {
		d[n] = run->distribution[i];
		if (strcmp(d[n].name, "latency") == 0) {
			d[n].name = "test_time";
			d[n].better = BETTER_NONE;
		}
		n++;
	}
	free(run->distribution);
	run->distribution = d;
	run->n_distributions = n;
	return 0;
}

/* The median of the values that there are; NaN without any. */
static int middle(const double *values, size_t n, double *out, struct err *e)
{
	CLEANUP_FREE double *known = calloc(n ? n : 1, sizeof(*known));
	size_t k = 0;

	*out = (double)NAN;
	if (!known)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		if (!isnan(values[i]))
			known[k++] = values[i];
	summary_sort(known, k);
	*out = summary_median_sorted(known, k);
	return 0;
}

static int derive_cell(struct iperf_cell *cell, struct benchmark *b, struct err *e)
{
	for (unsigned k = 0; k < IPERF_M_COUNT; k++) {
		struct extra_metric *x = benchmark_add_metric(b, metrics[k].name, metrics[k].unit,
							      metrics[k].better, false);

		if (!x)
			return err_nomem(e);
		for (size_t i = 0; i < b->n_runs && i < cell->n_windows; i++)
			if (b->run[i].status == RUN_OK && cell->window[i].tests)
				x->values[i] = value_of((enum iperf_metric)k, cell,
							&cell->window[i], &b->run[i]);
		if (middle(x->values, b->n_runs, &cell->median[k], e) < 0)
			return -1;
	}
	b->note = cell->plan.client.work.nothing
			  ? "Columns: the time of a test."
			  : "Columns: the throughput of each interval, in bits per second.";
	for (size_t i = 0; i < b->n_runs && i < cell->n_windows; i++)
		if (add_distributions(&b->run[i], &cell->window[i], e) < 0)
			return -1;
	return 0;
}

int iperf_metrics_derive(void *ctx, struct measurement *m, struct err *e)
{
	struct iperf_cases *c = ctx;

	for (size_t i = 0; i < m->n; i++) {
		struct iperf_cell *cell = iperf_cases_find(c, &m->benchmark[i]);

		if (cell && derive_cell(cell, &m->benchmark[i], e) < 0)
			return -1;
	}
	return 0;
}

static json_t *count(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *flow_json(const struct iperf_flow *f, bool udp, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();

	if (json_put(o, "sent_bytes", json_u64(f->sent_bytes), e) < 0 ||
	    json_put(o, "sent_ns", json_number(floor(f->sent_s * 1e9)), e) < 0 ||
	    json_put(o, "received_bytes", json_u64(f->received_bytes), e) < 0 ||
	    json_put(o, "received_ns", json_number(floor(f->received_s * 1e9)), e) < 0)
		return NULL;
	if (!udp)
		return json_put(o, "retransmits", count(f->retransmits), e) < 0 ? NULL : TAKE(o);
	if (json_put(o, "datagrams", count(f->packets), e) < 0 ||
	    json_put(o, "unique", count(f->unique), e) < 0 ||
	    json_put(o, "duplicates", count(f->duplicates), e) < 0 ||
	    json_put(o, "reordered", count(f->reordered), e) < 0 ||
	    json_put(o, "late", count(f->late), e) < 0 ||
	    json_put(o, "lost", count(f->lost), e) < 0 ||
	    json_put(o, "exact", json_boolean(f->exact), e) < 0)
		return NULL;
	return TAKE(o);
}

static int put_flows(json_t *o, const struct iperf_window *w, bool udp, struct err *e)
{
	static const char *const names[] = { "up", "down" };

	for (int k = 0; k < 2; k++)
		if (w->flow[k].used && json_put(o, names[k], flow_json(&w->flow[k], udp, e), e) < 0)
			return -1;
	return 0;
}

static json_t *runs_json(const struct iperf_cell *cell, struct err *e)
{
	CLEANUP(json_decref) json_t *list = json_array();

	for (size_t i = 0; i < cell->n_windows; i++) {
		const struct iperf_window *w = &cell->window[i];
		CLEANUP(json_decref) json_t *o = json_object();

		if (json_put(o, "tests", json_u64(w->tests), e) < 0 ||
		    put_flows(o, w, cell->plan.client.work.udp, e) < 0 ||
		    json_put(o, "hello_retries", json_integer(w->hello_retries), e) < 0 ||
		    json_put(o, "busy_retries", json_integer(w->busy_retries), e) < 0 ||
		    json_push(list, TAKE(o), e) < 0)
			return NULL;
	}
	return TAKE(list);
}

static json_t *streams_json(const struct iperf_report *r, struct err *e)
{
	CLEANUP(json_decref) json_t *list = json_array();

	for (unsigned i = 0; i < r->n_streams; i++) {
		const struct iperf_stream_shown *s = &r->stream[i];
		char local[80], remote[80];

		if (json_push(list,
			      json_pack("{s:i, s:b, s:s, s:s, s:o}", "id", s->id, "sends",
					(int)s->sends, "local", addr_format(&s->local, local),
					"remote", addr_format(&s->remote, remote), "cpu",
					s->cpu < 0 ? json_null() : json_integer(s->cpu)),
			      e) < 0)
			return NULL;
	}
	return TAKE(list);
}

/* What the last test was negotiated to be, and where it ran. */
static int put_last(json_t *o, const struct iperf_cell *cell, struct err *e)
{
	const struct iperf_report *r = &cell->last;

	if (!cell->has_last)
		return 0;
	if (json_put(o, "streams", streams_json(r, e), e) < 0 ||
	    json_put(o, "congestion", json_known_text(r->congestion), e) < 0 ||
	    json_put(o, "peer_congestion", json_known_text(r->theirs.congestion), e) < 0 ||
	    json_put(o, "mss", json_integer(r->mss), e) < 0 ||
	    json_put(o, "sndbuf", json_u64(r->sndbuf), e) < 0 ||
	    json_put(o, "rcvbuf", json_u64(r->rcvbuf), e) < 0 ||
	    json_put(o, "rcvbuf_wanted", json_u64(r->rcvbuf_wanted), e) < 0 ||
	    json_put(o, "gso_refused", json_boolean(r->gso_refused), e) < 0)
		return -1;
	return !r->theirs.server_output ? 0
					: json_put(o, "server_output",
						   json_outside_text(r->theirs.server_output), e);
}

static json_t *extension(struct iperf_cases *c, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	CLEANUP(json_decref) json_t *cells = json_array();

	for (size_t i = 0; i < c->n_cases; i++) {
		CLEANUP(json_decref) json_t *j = json_object();

		if (json_put(j, "benchmark", json_string(c->cases[i].name), e) < 0 ||
		    json_put(j, "target", json_string(c->cases[i].target), e) < 0 ||
		    json_put(j, "length", json_u64(c->cell[i].len), e) < 0 ||
		    json_put(j, "runs", runs_json(&c->cell[i], e), e) < 0 ||
		    put_last(j, &c->cell[i], e) < 0 || json_push(cells, TAKE(j), e) < 0)
			return NULL;
	}
	return json_put(o, "cells", TAKE(cells), e) < 0 ? NULL : TAKE(o);
}

/* What a peer reports that cannot be: its own clock mixed with ours, more bytes than there were. */
static void warn_lies(const struct iperf_cases *c, const struct iperf_cell *cell)
{
	const char *label = cell->target->target->label;

	for (int k = 0; cell->has_last && k < 2; k++) {
		const struct iperf_flow *f = &cell->last.flow[k];

		if (f->used && f->received_bytes > f->sent_bytes && !cell->plan.client.omit_ns &&
		    !cell->plan.client.work.udp)
			log_say(&c->common->log, LOG_WARNING, "peer-counts",
				"%s: %" PRIu64 " bytes were sent, the receiver counts %" PRIu64,
				label, f->sent_bytes, f->received_bytes);
		if (f->has_jitter && f->jitter_ns > (double)cell->plan.client.time_ns &&
		    f->jitter_ns > 1e9)
			log_say(&c->common->log, LOG_WARNING, "peer-jitter",
				"%s: a jitter of %.3g s is no jitter: the peer (3.7 or older) mixes "
				"clocks",
				label, f->jitter_ns / 1e9);
	}
}

static void warn(const struct iperf_cases *c, const struct iperf_cell *cell)
{
	const struct iperf_report *r = &cell->last;
	const char *label = cell->target->target->label;

	if (!cell->has_last)
		return;
	warn_lies(c, cell);
	if (r->rcvbuf_wanted > r->rcvbuf)
		log_say(&c->common->log, LOG_WARNING, "receive-buffer",
			"%s: a receive buffer of %" PRIu64
			" bytes was wanted, the kernel gave %" PRIu64 ": raise net.core.rmem_max",
			label, r->rcvbuf_wanted, r->rcvbuf);
	if (r->gso_refused)
		log_say(&c->common->log, cell->all->opts->gso == IPERF_ON ? LOG_WARNING : LOG_NOTE,
			"gso-refused",
			"%s: the path cannot cut datagrams of %zu bytes: each was sent alone",
			label, cell->len);
	if (cell->plan.client.work.udp && cell->plan.client.socket.fq_rate)
		log_say(&c->common->log, LOG_WARNING, "fq-rate",
			"%s: UDP is paced by --fq-rate only where the device has the fq queueing "
			"discipline",
			label);
}

int iperf_metrics_extend(void *ctx, struct document *d, const struct measurement *m, struct err *e)
{
	struct iperf_cases *c = ctx;

	(void)m;
	for (size_t i = 0; i < c->n_cases; i++)
		warn(c, &c->cell[i]);
	return document_add_extension(d, "iperf", extension(c, e), e);
}

void iperf_metrics_identity(void *ctx, size_t i, const char **pairs, size_t max)
{
	struct iperf_cases *c = ctx;

	if (i >= c->n_targets || max < 3 || !c->target[i].version[0])
		return;
	pairs[0] = "server";
	pairs[1] = c->target[i].version;
	pairs[2] = NULL;
}
