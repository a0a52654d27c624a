/* How bench-rpc does its cases with RPyC. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/rpyc-session.h"
#include "rpc-cases.h"

enum { ANSWER_ROOM = 64 << 20 };

/* A target's facts are struct rpyc_facts; a cell's plan is this. */
struct rpyc_cell {
	struct rpyc_plan plan;
	struct http_place place;
	char url[300];
	struct rpyc_exchange *exchange;
	struct buf args, kwargs, expect;
};

static int target(struct rpc_target *t, struct err *e)
{
	static const char *const known[] = { "version", NULL };
	struct rpyc_facts *f = calloc(1, sizeof(*f));
	const char *version;

	if (!f)
		return err_nomem(e);
	t->facts = f;
	if (rpyc_facts_init(f, e) < 0 || url_check_query(t->url, known, e) < 0)
		return -1;
	version = url_query(t->url, "version");
	if (version && strcmp(version, "5") == 0)
		f->layout = RPYC_LAYOUT_5;
	else if (version && strcmp(version, "6") == 0)
		f->layout = RPYC_LAYOUT_6;
	else if (version && strcmp(version, "auto") != 0)
		return err_set(e, ERR_USAGE, "usage", "%s: version is 5, 6 or auto", t->url->shown);
	return 0;
}

/* NAME=VALUE is a keyword argument. */
static size_t keyword(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

	return n > 0 && text[n] == '=' && !(text[0] >= '0' && text[0] <= '9') ? n : 0;
}

static int parse_literal(struct buf *out, const char *text, const char *option, struct err *e)
{
	const char *why;

	if (brine_parse(out, text, strlen(text), &why) == 0)
		return 0;
	return err_set(e, ERR_USAGE, "usage", "%s '%s': %s", option, text, why);
}

static int set_call(struct rpyc_cell *c, const struct rpc_work *w, const struct rpc_opts *o,
		    struct err *e)
{
	struct rpyc_exchange *x = c->exchange;

	x->name = w->call;
	x->check = RPYC_CHECK_NONE;
	for (size_t i = 0; i < o->args.n && !w->bare; i++) {
		const char *text = o->args.v[i];
		size_t n = keyword(text);

		if (n) {
			brine_put_tuple(&c->kwargs, 2);
			brine_put_str(&c->kwargs, text, n);
			if (parse_literal(&c->kwargs, text + n + 1, "--arg", e) < 0)
				return -1;
			x->n_kwargs++;
		} else {
			if (parse_literal(&c->args, text, "--arg", e) < 0)
				return -1;
			x->n_args++;
		}
	}
	if (o->expect && w->kind == RPC_CALL) {
		if (parse_literal(&c->expect, o->expect, "--expect", e) < 0)
			return -1;
		x->check = RPYC_CHECK_VALUE;
	}
	return 0;
}

/* A file in pieces, each there and back. */
static int set_transfer(struct rpyc_cell *c, const struct rpc_work *w, struct err *e)
{
	uint64_t chunk = w->chunk ? w->chunk : w->size;
	size_t n = chunk ? (size_t)((w->size + chunk - 1) / chunk) : 1;
	struct rpyc_exchange *x;

	x = calloc(n ? n : 1, sizeof(*x));
	if (!x)
		return err_nomem(e);
	free(c->exchange);
	c->exchange = x;
	c->plan.n_exchanges = n ? n : 1;
	for (size_t i = 0; i < c->plan.n_exchanges; i++) {
		uint64_t at = i * chunk;

		x[i].name = "echo";
		x[i].check = RPYC_CHECK_ECHO;
		x[i].has_payload = true;
		x[i].payload = w->payload + at;
		x[i].payload_len = (size_t)(w->size - at < chunk ? w->size - at : chunk);
	}
	return 0;
}

static int set_exchange(struct rpyc_cell *c, const struct rpc_work *w, const struct rpc_opts *o,
			struct err *e)
{
	struct rpyc_exchange *x = c->exchange;

	x->length = w->size;
	x->payload = w->payload;
	x->payload_len = (size_t)w->size;
	switch (w->kind) {
	case RPC_ECHO:
		x->name = "echo";
		x->has_payload = true;
		x->check = RPYC_CHECK_ECHO;
		return 0;
	case RPC_UPLOAD:
		x->name = "upload";
		x->has_payload = true;
		x->check = RPYC_CHECK_COUNT;
		return 0;
	case RPC_DOWNLOAD:
		x->name = "download";
		brine_put_int(&c->args, (int64_t)w->size);
		x->n_args = 1;
		x->check = RPYC_CHECK_LENGTH;
		return 0;
	case RPC_CALL:
	case RPC_AGAINST:
		return set_call(c, w, o, e);
	case RPC_TRANSFER:
		return set_transfer(c, w, e);
	default:
		x->name = "ping";
		x->check = RPYC_CHECK_STEADY;
		return 0;
	}
}

static bool is_tls(const struct rpc_target *t)
{
	return !t->is_builtin && strcmp(t->url->scheme, "rpycs") == 0;
}

static void set_place(struct rpyc_cell *c, const struct rpc_cell *cell)
{
	const struct rpc_http_opts *o = &cell->all->opts->http;
	const struct url *u = cell->target->url;

	snprintf(c->url, sizeof(c->url),
		 strchr(u->host, ':') ? "https://[%.250s]:%u" : "https://%.250s:%u", u->host,
		 u->port);
	c->place = (struct http_place){ .url = c->url,
					.tls = true,
					.raw = true,
					.insecure = o->insecure,
					.cacert = o->cacert,
					.cert = o->cert,
					.key = o->key };
}

static int fill(struct rpyc_cell *c, struct rpc_cell *cell, struct err *e)
{
	const struct rpc_opts *o = cell->all->opts;
	const struct rpc_work *w = &cell->work;
	struct rpyc_plan *p = &c->plan;

	if (rpyc_plan_init(p, e) < 0)
		return -1;
	p->server = cell->target->address;
	p->facts = cell->target->facts;
	p->in_flight = w->in_flight ? w->in_flight : 1;
	p->python = o->sequence == 1;
	p->compress = o->compress == 1;
	p->fresh = w->fresh;
	p->max_answer = ANSWER_ROOM + (size_t)w->size;
	p->sessions = w->concurrency;
	if (is_tls(cell->target)) {
		set_place(c, cell);
		p->place = &c->place;
	}
	p->work = w->kind == RPC_CONNECT ? RPYC_WORK_CONNECT
		  : w->kind == RPC_READY ? RPYC_WORK_READY
					 : RPYC_WORK_CALL;
	c->exchange = calloc(1, sizeof(*c->exchange));
	p->n_exchanges = 1;
	if (!c->exchange)
		return err_nomem(e);
	if (set_exchange(c, w, o, e) < 0)
		return -1;
	if (c->args.failed || c->kwargs.failed || c->expect.failed)
		return err_nomem(e);
	p->exchange = c->exchange;
	/* of a transfer they are empty */
	c->exchange->args = (const uint8_t *)c->args.data;
	c->exchange->args_len = c->args.len;
	c->exchange->kwargs = (const uint8_t *)c->kwargs.data;
	c->exchange->kwargs_len = c->kwargs.len;
	c->exchange->expect = (const uint8_t *)c->expect.data;
	c->exchange->expect_len = c->expect.len;
	return 0;
}

static int make_cell(struct rpc_cell *cell, struct engine_case *ec, struct err *e)
{
	struct rpyc_cell *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	cell->plan = c;
	if (fill(c, cell, e) < 0)
		return -1;
	if (c->plan.work == RPYC_WORK_READY || c->plan.fresh)
		ec->phases = rpyc_phases;
	return 0;
}

static int make_session(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
			struct session **out, struct err *e)
{
	struct rpc_cell *cell = ctx;
	struct rpyc_cell *c = cell->plan;

	(void)sink;
	return rpyc_session_new(&c->plan, loop, &cell->answered[index % cell->work.concurrency],
				out, e);
}

static void collect(struct rpc_cell *cell, struct rpc_tally *out)
{
	struct rpyc_cell *c = cell->plan;
	struct rpyc_tally t;

	rpyc_plan_collect(&c->plan, &t);
	*out = (struct rpc_tally){ .requests = t.requests,
				   .round_trips = t.round_trips,
				   .opened = t.opened,
				   .reused = t.reused,
				   .sent_bytes = t.sent_bytes,
				   .received_bytes = t.received_bytes,
				   .stalls = t.stalls,
				   .compressed = t.compressed,
				   .refs_received = t.refs_received,
				   .refs_released = t.refs_released,
				   .exceptions = t.exceptions };
}

static void identity(struct rpc_target *t, const char **pairs, size_t *n, size_t max)
{
	const struct rpyc_facts *f = t->facts;

	rpc_add_pair(pairs, n, max, "protocol", "rpyc");
	rpc_add_pair(pairs, n, max, "rpyc_version", f->version);
	rpc_add_pair(pairs, n, max, "rpyc_layout",
		     f->layout == RPYC_LAYOUT_6	  ? "6"
		     : f->layout == RPYC_LAYOUT_5 ? "5"
						  : "");
	rpc_add_pair(pairs, n, max, "service", f->service);
}

static void cell_done(struct rpc_cell *cell)
{
	struct rpyc_cell *c = cell->plan;

	if (!c)
		return;
	rpyc_plan_done(&c->plan);
	buf_done(&c->args);
	buf_done(&c->kwargs);
	buf_done(&c->expect);
	free(c->exchange);
	free(c);
	cell->plan = NULL;
}

static void forget_target(struct rpc_target *t)
{
	if (t->facts)
		rpyc_facts_done(t->facts);
	free(t->facts);
	t->facts = NULL;
}

/* Those of RPyC's own scripts. */
static uint16_t port_of(const struct url *u)
{
	return strcmp(u->scheme, "rpycs") == 0 ? RPYC_TLS_PORT : RPYC_PORT;
}

static const char *const serve_options[] = { "--max-payload=1025M", NULL };
static const char *const schemes[] = { "rpyc", "rpycs", NULL };

const struct rpc_scheme rpc_scheme_rpyc = {
	.schemes = schemes,
	.serve = "rpyc",
	.serve_options = serve_options,
	.port = RPYC_PORT,
	.port_of = port_of,
	.target = target,
	.cell = make_cell,
	.make = make_session,
	.collect = collect,
	.identity = identity,
	.cell_done = cell_done,
	.target_done = forget_target,
};
