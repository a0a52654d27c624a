#include "tftp-report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "tftp-advice.h"
#include "tftp-search.h"

/* A counter of /proc, blanks and the line's end around it; 0 where it is none. */
static uint64_t counter(const char *text)
{
	char digits[32];
	uint64_t value = 0;
	struct err e;

	text += strspn(text, " \t");
	snprintf(digits, sizeof(digits), "%.*s", (int)strspn(text, "0123456789"), text);
	return num_parse_u64(digits, &value, &e) < 0 ? 0 : value;
}

/* RcvbufErrors of all UDP sockets of this network namespace. */
static uint64_t read_rcvbuf_errors(void)
{
	char line[1024], names[1024] = "";
	uint64_t sum = 0;
	FILE *f = fopen("/proc/net/snmp", "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *name_at = NULL, *value_at = NULL;

		if (strncmp(line, "Udp: ", 5) != 0)
			continue;
		if (!names[0]) {
			snprintf(names, sizeof(names), "%s", line);
			continue;
		}
		for (char *n = strtok_r(names, " \n", &name_at),
			  *v = strtok_r(line, " \n", &value_at);
		     n && v;
		     n = strtok_r(NULL, " \n", &name_at), v = strtok_r(NULL, " \n", &value_at)) {
			if (strcmp(n, "RcvbufErrors") == 0)
				sum += counter(v);
		}
	}
	if (f)
		fclose(f);
	f = fopen("/proc/net/snmp6", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Udp6RcvbufErrors", 16) == 0)
			sum += counter(line + 16);
	}
	if (f)
		fclose(f);
	return sum;
}

static struct tftp_cell *cell_of(struct tftp_cases *c, const struct engine_case *ec)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		if (&c->cases[i] == ec)
			return c->cell[i]->plan.groups.lock ? c->cell[i] : NULL;
	}
	return NULL;
}

static int window_open(void *ctx, const struct engine_case *ec, struct run *run, struct err *e)
{
	struct tftp_cell *cell = cell_of(ctx, ec);
	struct tftp_tally before;

	(void)run;
	(void)e;
	if (!cell)
		return 0;
	tftp_plan_collect(&cell->plan, &before);
	cell->rcvbuf_errors_before = read_rcvbuf_errors();
	return 0;
}

static int window_close(void *ctx, const struct engine_case *ec, struct run *run, struct err *e)
{
	struct tftp_cell *cell = cell_of(ctx, ec);
	struct tftp_window *grown;

	(void)run;
	if (!cell)
		return 0;
	grown = reallocarray(cell->window, cell->n_windows + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	cell->window = grown;
	grown += cell->n_windows++;
	tftp_plan_collect(&cell->plan, &grown->tally);
	grown->rcvbuf_errors = read_rcvbuf_errors() - cell->rcvbuf_errors_before;
	return 0;
}

struct engine_probe tftp_report_probe(struct tftp_cases *c)
{
	return (struct engine_probe){ .ctx = c,
				      .window_open = window_open,
				      .window_close = window_close };
}

enum metric_kind {
	M_BLKSIZE,
	M_WINDOWSIZE,
	M_TIMEOUTS,
	M_RESENT,
	M_DUPLICATES,
	M_GAPS,
	M_DROPS,
	M_RCVBUF_ERRORS,
	M_CLIENT_CPU,
	M_SERVER_CPU,
	M_TIME_TO_LAST,
	M_FAIRNESS,
	M_CALLS,
	M_RECEIVE_BATCH,
	M_SEND_BATCH,
	M_COUNT,
};

static const struct {
	const char *name, *unit;
	enum better better;
} metrics[M_COUNT] = {
	[M_BLKSIZE] = { "negotiated.blksize", "bytes", BETTER_NONE },
	[M_WINDOWSIZE] = { "negotiated.windowsize", "count", BETTER_NONE },
	[M_TIMEOUTS] = { "wire.timeouts", "count", BETTER_LOWER },
	[M_RESENT] = { "wire.resent", "count", BETTER_LOWER },
	[M_DUPLICATES] = { "wire.duplicates", "count", BETTER_LOWER },
	[M_GAPS] = { "wire.gaps", "count", BETTER_LOWER },
	[M_DROPS] = { "socket.drops", "count", BETTER_LOWER },
	[M_RCVBUF_ERRORS] = { "host.rcvbuf_errors", "count", BETTER_LOWER },
	[M_CLIENT_CPU] = { "client.cpu_per_mib", "ns", BETTER_LOWER },
	[M_SERVER_CPU] = { "server.cpu_per_mib", "ns", BETTER_LOWER },
	[M_TIME_TO_LAST] = { "time_to_last", "ns", BETTER_LOWER },
	[M_FAIRNESS] = { "fairness", "ratio", BETTER_HIGHER },
	[M_CALLS] = { "calls_per_block", "count", BETTER_LOWER },
	[M_RECEIVE_BATCH] = { "recvmmsg.batch", "count", BETTER_HIGHER },
	[M_SEND_BATCH] = { "sendmmsg.batch", "count", BETTER_HIGHER },
};

static double per_mib(const struct usage *u, uint64_t bytes)
{
	if (!u->known || !bytes)
		return (double)NAN;
	return (double)(u->user_ns + u->system_ns) * 1048576.0 / (double)bytes;
}

/* Fastest over slowest client of a storm: 1 when all waited the same. */
static double fairness(const struct run *run)
{
	const struct distribution *d = run_distribution(run, "latency");

	return d && d->series.n && d->series.max ? (double)d->series.min / (double)d->series.max
						 : (double)NAN;
}

/* Counted system calls of one run for each block that moved; NaN where they were not counted. */
static double calls_per_block(const struct run *run, uint64_t blocks)
{
	uint64_t calls = 0;

	for (size_t i = 0; i < run->syscalls.n; i++)
		calls += run->syscalls.count[i].calls;
	return run->syscalls.known && blocks ? (double)calls / (double)blocks : (double)NAN;
}

/* Messages in each call of that name that brought or took any. */
static double batch_of(const struct run *run, const char *name)
{
	for (size_t i = 0; run->syscalls.known && i < run->syscalls.n; i++) {
		const struct syscall_count *c = &run->syscalls.count[i];

		if (strcmp(c->name, name) == 0 && c->calls > c->errors)
			return (double)c->messages / (double)(c->calls - c->errors);
	}
	return (double)NAN;
}

static double metric_value(enum metric_kind k, const struct tftp_window *w, const struct run *run)
{
	const struct tftp_tally *t = &w->tally;

	switch (k) {
	case M_BLKSIZE:
		return t->blksize_min ? t->blksize_min : (double)NAN;
	case M_WINDOWSIZE:
		return t->windowsize_min ? t->windowsize_min : (double)NAN;
	case M_TIMEOUTS:
		return (double)t->timeouts;
	case M_RESENT:
		return (double)t->resent;
	case M_DUPLICATES:
		return (double)t->duplicates;
	case M_GAPS:
		return (double)t->gaps;
	case M_DROPS:
		return (double)t->drops;
	case M_RCVBUF_ERRORS:
		return (double)w->rcvbuf_errors;
	case M_CLIENT_CPU:
		return per_mib(&run->client, run->bytes);
	case M_SERVER_CPU:
		return per_mib(&run->server, run->bytes);
	case M_TIME_TO_LAST:
		return (double)run->duration_ns;
	case M_CALLS:
		return calls_per_block(run, t->data_packets);
	case M_RECEIVE_BATCH:
		return batch_of(run, "recvmmsg");
	case M_SEND_BATCH:
		return batch_of(run, "sendmmsg");
	default:
		return fairness(run);
	}
}

static bool applies(enum metric_kind k, enum tftp_kind kind)
{
	if (k == M_TIME_TO_LAST || k == M_FAIRNESS)
		return kind == TFTP_KIND_STORM;
	if (k == M_RESENT)
		return kind == TFTP_KIND_WRITE;
	if (k == M_DUPLICATES || k == M_GAPS || k == M_DROPS)
		return kind != TFTP_KIND_WRITE && kind != TFTP_KIND_OPTIONS;
	return kind != TFTP_KIND_OPTIONS || k == M_TIMEOUTS;
}

static int derive_cell(const struct tftp_cell *cell, struct benchmark *b, struct err *e)
{
	for (unsigned k = 0; k < M_COUNT; k++) {
		struct extra_metric *x;

		if (!applies((enum metric_kind)k, cell->kind) ||
		    (k >= M_CALLS && !(b->n_runs && b->run[0].syscalls.known)))
			continue;
		x = benchmark_add_metric(b, metrics[k].name, metrics[k].unit, metrics[k].better,
					 false);
		if (!x)
			return err_nomem(e);
		for (size_t i = 0; i < b->n_runs && i < cell->n_windows; i++) {
			if (b->run[i].status == RUN_OK)
				x->values[i] = metric_value((enum metric_kind)k, &cell->window[i],
							    &b->run[i]);
		}
	}
	return 0;
}

int tftp_report_derive(void *ctx, struct measurement *m, struct err *e)
{
	struct tftp_cases *c = ctx;

	for (size_t i = 0; i < m->n && i < c->n_cases; i++) {
		if (c->cell[i]->plan.groups.lock &&
		    derive_cell(c->cell[i], &m->benchmark[i], e) < 0)
			return -1;
	}
	return 0;
}

static int put_number(json_t *o, const char *key, uint64_t value, struct err *e)
{
	return json_put(o, key, json_integer((json_int_t)value), e);
}

static json_t *options_json(const struct tftp_options *o, struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();

	for (unsigned i = 0; j && i < TFTP_OPTION_KINDS; i++) {
		if ((o->set & 1U << i) &&
		    put_number(j, tftp_option_name(i), tftp_option_value(o, 1U << i), e) < 0)
			return NULL;
	}
	return TAKE(j);
}

/* Extremes of all runs. */
static void sum_windows(const struct tftp_cell *cell, struct tftp_tally *out,
			uint64_t *rcvbuf_errors)
{
	memset(out, 0, sizeof(*out));
	*rcvbuf_errors = 0;
	for (size_t i = 0; i < cell->n_windows; i++) {
		tftp_tally_add(out, &cell->window[i].tally);
		*rcvbuf_errors += cell->window[i].rcvbuf_errors;
	}
}

static json_t *negotiated_json(const struct tftp_tally *t, struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();
	CLEANUP(json_decref) json_t *acked = json_array();

	if (put_number(j, "blksize", t->blksize_min, e) < 0 ||
	    put_number(j, "windowsize", t->windowsize_min, e) < 0)
		return NULL;
	if ((t->blksize_max != t->blksize_min &&
	     put_number(j, "blksize_max", t->blksize_max, e) < 0) ||
	    (t->windowsize_max != t->windowsize_min &&
	     put_number(j, "windowsize_max", t->windowsize_max, e) < 0))
		return NULL;
	for (unsigned i = 0; i < TFTP_OPTION_KINDS; i++) {
		if ((t->options_set & 1U << i) &&
		    json_push(acked, json_string(tftp_option_name(i)), e) < 0)
			return NULL;
	}
	return json_put(j, "acknowledged", TAKE(acked), e) < 0 ? NULL : TAKE(j);
}

static json_t *link_json(const struct impair_params *p, const struct impair_counts *n,
			 struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();

	if (put_number(j, "delay_ns", p->delay_ns, e) < 0 ||
	    put_number(j, "jitter_ns", p->jitter_ns, e) < 0 ||
	    put_number(j, "loss_ppm", p->loss_ppm, e) < 0 ||
	    put_number(j, "dup_ppm", p->dup_ppm, e) < 0 ||
	    put_number(j, "reorder_ppm", p->reorder_ppm, e) < 0 ||
	    put_number(j, "seen", n->seen, e) < 0 || put_number(j, "dropped", n->dropped, e) < 0 ||
	    put_number(j, "repeated", n->repeated, e) < 0 ||
	    put_number(j, "reordered", n->reordered, e) < 0 ||
	    put_number(j, "corrupted", n->corrupted, e) < 0)
		return NULL;
	return TAKE(j);
}

static int add_link(json_t *cell, const struct tftp_plan *p, const struct tftp_tally *t,
		    struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();

	if (!impair_is_on(&p->out) && !impair_is_on(&p->in))
		return 0;
	if (json_put(j, "where", json_string("in-client"), e) < 0 ||
	    put_number(j, "seed", p->seed, e) < 0 ||
	    json_put(j, "out", link_json(&p->out, &t->out, e), e) < 0 ||
	    json_put(j, "in", link_json(&p->in, &t->in, e), e) < 0)
		return -1;
	return json_put(cell, "impairment", TAKE(j), e);
}

static int add_counts(json_t *j, const struct tftp_tally *t, uint64_t rcvbuf_errors, struct err *e)
{
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{ "transfers", t->transfers },
		{ "ok", t->ok },
		{ "bytes", t->bytes },
		{ "data_packets", t->data_packets },
		{ "ack_packets", t->ack_packets },
		{ "timeouts", t->timeouts },
		{ "duplicates", t->duplicates },
		{ "gaps", t->gaps },
		{ "re_acks", t->reacks },
		{ "resent", t->resent },
		{ "foreign_tid", t->strangers },
		{ "malformed", t->malformed },
		{ "rxq_drops", t->drops },
		{ "rcvbuf_errors", rcvbuf_errors },
		{ "rcvbuf_wanted", t->rcvbuf_wanted },
		{ "rcvbuf_given", t->rcvbuf_min },
		{ "receive_calls", t->receive_calls },
		{ "send_calls", t->send_calls },
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (put_number(j, counts[i].key, counts[i].value, e) < 0)
			return -1;
	}
	return json_put(j, "gro", json_boolean(t->joined), e);
}

static json_t *cell_json(const struct tftp_cell *cell, const struct engine_case *ec, struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();
	CLEANUP(json_decref) json_t *wire = json_object();
	struct tftp_tally t;
	uint64_t rcvbuf_errors;

	sum_windows(cell, &t, &rcvbuf_errors);
	if (json_put(j, "benchmark", json_string(ec->name), e) < 0 ||
	    json_put(j, "target", json_string(ec->target), e) < 0 ||
	    put_number(j, "concurrency", cell->concurrency, e) < 0 ||
	    json_put(j, "file", json_outside_text(cell->file), e) < 0 ||
	    json_put(j, "requested", options_json(&cell->plan.transfer.ask, e), e) < 0 ||
	    json_put(j, "negotiated", negotiated_json(&t, e), e) < 0 ||
	    add_counts(wire, &t, rcvbuf_errors, e) < 0 ||
	    json_put(j, "counts", TAKE(wire), e) < 0 || add_link(j, &cell->plan, &t, e) < 0)
		return NULL;
	if (cell->search && json_put(j, "search", tftp_search_json(cell, e), e) < 0)
		return NULL;
	if (cell->kind == TFTP_KIND_WRITE &&
	    json_put(j, "read_back", json_boolean(!cell->unverified), e) < 0)
		return NULL;
	if (cell->reference && cell->reference->known && cell->reference->sha256[0] &&
	    json_put(j, "sha256", json_string(cell->reference->sha256), e) < 0)
		return NULL;
	return TAKE(j);
}

static json_t *capabilities_json(const struct tftp_target *t, struct err *e)
{
	CLEANUP(json_decref) json_t *rows = json_array();

	for (size_t i = 0; i < t->n_capabilities; i++) {
		const struct tftp_capability *c = &t->capability[i];
		CLEANUP(json_decref) json_t *j = json_object();

		if (json_put(j, "option", json_string(c->option), e) < 0 ||
		    put_number(j, "asked", c->asked, e) < 0 ||
		    json_put(j, "answer", json_string(tftp_answer_word(c->answer)), e) < 0)
			return NULL;
		if ((c->answer == TFTP_HONOURED || c->answer == TFTP_CHANGED) &&
		    put_number(j, "value", c->value, e) < 0)
			return NULL;
		if (c->answer == TFTP_REFUSED && put_number(j, "code", c->code, e) < 0)
			return NULL;
		if ((c->word[0] && json_put(j, "word", json_string(c->word), e) < 0) ||
		    (c->text[0] && json_put(j, "text", json_outside_text(c->text), e) < 0) ||
		    json_push(rows, TAKE(j), e) < 0)
			return NULL;
	}
	return TAKE(rows);
}

static json_t *extension(struct tftp_cases *c, struct err *e)
{
	CLEANUP(json_decref) json_t *j = json_object();
	CLEANUP(json_decref) json_t *cells = json_array();
	CLEANUP(json_decref) json_t *options = json_object();

	for (size_t i = 0; i < c->n_cases; i++) {
		if (c->cell[i]->plan.groups.lock &&
		    json_push(cells, cell_json(c->cell[i], &c->cases[i], e), e) < 0)
			return NULL;
	}
	for (size_t i = 0; i < c->n_targets; i++) {
		if (c->target[i].n_capabilities &&
		    json_put(options, c->target[i].target->label,
			     capabilities_json(&c->target[i], e), e) < 0)
			return NULL;
	}
	if (json_put(j, "cells", TAKE(cells), e) < 0 ||
	    json_put(j, "capabilities", TAKE(options), e) < 0)
		return NULL;
	return TAKE(j);
}

static void warn(struct tftp_cases *c, const struct tftp_cell *cell, const struct engine_case *ec)
{
	const struct tftp_options *ask = &cell->plan.transfer.ask;
	struct tftp_tally t;
	uint64_t errors;
	const char *label = cell->target->target->label;

	sum_windows(cell, &t, &errors);
	if (t.blksize_min && (ask->set & TFTP_OPT_BLKSIZE) && t.blksize_min != ask->blksize)
		log_say(c->log, LOG_WARNING, "blksize-not-honoured",
			"%s: blksize %u was asked for, %u is what was used", label, ask->blksize,
			t.blksize_min);
	if (t.windowsize_min && (ask->set & TFTP_OPT_WINDOWSIZE) &&
	    t.windowsize_min != ask->windowsize)
		log_say(c->log, LOG_WARNING, "windowsize-not-honoured",
			"%s: windowsize %u was asked for, %u is what was used", label,
			ask->windowsize, t.windowsize_min);
	if (t.rcvbuf_wanted && t.rcvbuf_min < t.rcvbuf_wanted)
		log_say(c->log, LOG_WARNING, "receive-buffer",
			"blksize %u windowsize %u needs a receive buffer of %" PRIu64
			" bytes, the kernel gave %" PRIu64 ": raise net.core.rmem_max",
			ask->blksize, ask->windowsize, t.rcvbuf_wanted, t.rcvbuf_min);
	if (t.drops)
		log_say(c->log, LOG_WARNING, "receive-drops",
			"%s %s: %" PRIu64 " datagrams found no room in our receive buffer",
			ec->name, label, t.drops);
	if (t.malformed)
		log_say(c->log, LOG_WARNING, "malformed", "%s %s: %" PRIu64 " malformed packets",
			ec->name, label, t.malformed);
}

int tftp_report_extend(void *ctx, struct document *d, const struct measurement *m, struct err *e)
{
	struct tftp_cases *c = ctx;

	for (size_t i = 0; i < c->n_cases; i++) {
		if (c->cell[i]->plan.groups.lock)
			warn(c, c->cell[i], &c->cases[i]);
	}
	if (tftp_advice_add(c, d, m, e) < 0)
		return -1;
	if (tftp_advice_grid(c, m, &c->after) < 0 || tftp_report_capabilities(c, &c->after) < 0)
		return err_nomem(e);
	return document_add_extension(d, "tftp", extension(c, e), e);
}

void tftp_report_identity(void *ctx, size_t i, const char **pairs, size_t max)
{
	struct tftp_cases *c = ctx;

	if (i >= c->n_targets || max < 3 || !c->target[i].negotiated[0])
		return;
	pairs[0] = "negotiated";
	pairs[1] = c->target[i].negotiated;
	pairs[2] = NULL;
}

int tftp_report_capabilities(const struct tftp_cases *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_targets; i++) {
		const struct tftp_target *t = &c->target[i];

		if (!t->n_capabilities)
			continue;
		buf_addf(out, "\nOptions of %s (%s)\n  %-12s %10s  answer\n", t->target->label,
			 t->url->shown, "option", "asked");
		for (size_t k = 0; k < t->n_capabilities; k++) {
			const struct tftp_capability *r = &t->capability[k];

			buf_addf(out, "  %-12s %10" PRIu64 "  %s", r->option, r->asked,
				 tftp_answer_word(r->answer));
			if (r->answer == TFTP_CHANGED ||
			    (r->answer == TFTP_HONOURED && r->value != r->asked))
				buf_addf(out, ": %" PRIu64, r->value);
			if (r->answer == TFTP_REFUSED)
				buf_addf(out, ": error %u", r->code);
			if (r->word[0])
				buf_addf(out, " (%s)", r->word);
			if (r->text[0])
				buf_addf(out, " %s", r->text);
			buf_addc(out, '\n');
		}
	}
	return out->failed ? -1 : 0;
}
