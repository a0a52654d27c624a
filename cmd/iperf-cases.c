#include "iperf-cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "iperf-builtin.h"
#include "iperf-json.h"

#define ANSWER_TIMEOUT (10 * NS_PER_SEC)
#define SAMPLE_EVERY (10 * NS_PER_MS)

static enum iperf_copy copy_of(const struct iperf_opts *o)
{
	if (!o->zerocopy)
		return IPERF_COPY;
	if (strcmp(o->zerocopy, "sendfile") == 0)
		return IPERF_SENDFILE;
	return strcmp(o->zerocopy, "msg") == 0 ? IPERF_MSG_ZEROCOPY : IPERF_VMSPLICE;
}

static struct iperf_work work_of(const struct iperf_opts *o, size_t len)
{
	return (struct iperf_work){ .udp = o->udp,
				    .wide = o->wide,
				    .copy = copy_of(o),
				    .skip_rx_copy = o->skip_rx_copy,
				    .repeating = o->repeating,
				    .gso = o->gso != IPERF_OFF,
				    .gro = o->gro != IPERF_OFF,
				    .len = len,
				    .rate = o->rate,
				    .burst = o->burst,
				    .num = o->bytes,
				    .blocks = o->blocks,
				    .nothing = o->time_ns == 0 && !o->endless && !o->bytes &&
					       !o->blocks,
				    .file = o->file,
				    .rcvbuf = o->rcvbuf == UINT64_MAX
						      ? iperf_socket_rcvbuf_for(o->rate)
						      : (size_t)o->rcvbuf,
				    .cpu = o->cpu };
}

/* A server takes whole seconds; the client ends the test all the same, so more does no harm. */
static struct iperf3_params params_of(const struct iperf_opts *o, size_t len)
{
	bool limited = o->bytes || o->blocks || o->endless;
	struct iperf3_params p = {
		.udp = o->udp,
		.omit_s = (uint32_t)(o->omit_ns / NS_PER_SEC),
		.time_s = limited ? 0 : (uint32_t)((o->time_ns + NS_PER_SEC - 1) / NS_PER_SEC),
		.num = o->bytes,
		.blockcount = o->blocks,
		.parallel = o->parallel,
		.reverse = o->reverse,
		.bidir = o->bidir,
		.len = len,
		.bandwidth = o->rate  ? o->rate
			     : o->udp ? IPERF3_NO_LIMIT
				      : 0,
		.fqrate = o->fq_rate,
		.pacing_timer_us = 1000,
		.burst = o->burst,
		.window = (uint32_t)o->window,
		.mss = o->mss,
		.tos = o->tos ? o->tos : o->dscp << 2,
		.flow_label = o->flow_label,
		.nodelay = o->nodelay,
		.dont_fragment = o->dont_fragment,
		.get_server_output = o->get_server_output,
		.udp64 = o->wide,
		.repeating_payload = o->repeating,
		.zerocopy = o->zerocopy != NULL,
		.skip_rx_copy = o->skip_rx_copy,
		.server_affinity = o->server_cpu,
	};

	snprintf(p.congestion, sizeof(p.congestion), "%s", o->congestion ? o->congestion : "");
	snprintf(p.title, sizeof(p.title), "%s", o->title ? o->title : "");
	snprintf(p.extra_data, sizeof(p.extra_data), "%s", o->extra_data ? o->extra_data : "");
	snprintf(p.client_version, sizeof(p.client_version), "%s", IPERF3_VERSION_OURS);
	return p;
}

static void add_series(struct iperf_window *w, const struct iperf_report *r)
{
	struct err ignored;

	/* without memory a distribution is missing, which its count shows */
	for (unsigned i = 0; i < IPERF_S_COUNT; i++)
		(void)!series_merge(&w->series[i], &r->series[i], &ignored);
}

static void add_report(struct iperf_window *w, const struct iperf_report *r)
{
	const struct iperf_flow *up = &r->flow[IPERF_UP], *down = &r->flow[IPERF_DOWN];
	const double wall = (double)ns_since(r->running_ns, r->end_ns);

	w->tests++;
	memcpy(w->flow, r->flow, sizeof(w->flow));
	w->up_bits += 8 * (double)up->received_bytes;
	w->up_s += up->received_s;
	w->down_bits += 8 * (double)down->received_bytes;
	w->down_s += down->received_s;
	w->sent_bits += 8 * ((double)up->sent_bytes + (double)down->sent_bytes);
	w->sent_s += up->sent_s > down->sent_s ? up->sent_s : down->sent_s;
	w->bytes_moved += (double)up->received_bytes + (double)down->received_bytes;
	w->cpu_ns += (double)(r->user_ns + r->system_ns);
	if (r->have_theirs)
		w->remote_cpu_ns += r->theirs.cpu_total / 100 * wall;
	w->connect_ns += (double)ns_since(r->began_ns, r->connected_ns);
	w->hello_retries += r->hello_retries;
	w->busy_retries += r->busy_retries;
	w->gso_refused = w->gso_refused || r->gso_refused;
	w->rcvbuf = r->rcvbuf;
	w->rcvbuf_wanted = r->rcvbuf_wanted;
	add_series(w, r);
}

/* A server that cannot be reached is asked once: repeating its time-out teaches nothing. */
static bool is_dead(const struct iperf_report *r, const struct err *failure)
{
	return failure && !r->connected_ns &&
	       (strcmp(failure->code, "timeout") == 0 || strcmp(failure->code, "refused") == 0 ||
		strcmp(failure->code, "unreachable") == 0);
}

static void finished(void *ctx, struct iperf_report *r, const struct err *failure)
{
	struct iperf_cell *cell = ctx;

	if (failure) {
		if (is_dead(r, failure) && !cell->has_last)
			cell->plan.dead = *failure;
		if (cell->all->opts->json_stream)
			iperf_json_stream_error(failure);
		return;
	}
	if (cell->recording)
		add_report(&cell->window[cell->n_windows - 1], r);
	if (cell->has_last)
		iperf_report_done(&cell->last);
	cell->last = *r;
	cell->has_last = true;
	memset(r, 0, sizeof(*r));
	if (cell->all->opts->json_stream)
		iperf_json_stream_end(cell);
}

static int make_session(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
			struct session **out, struct err *e)
{
	struct iperf_cell *cell = ctx;

	(void)index;
	(void)sink;
	return iperf_session_new(&cell->plan, loop, out, e);
}

static void set_port(struct addr *a, uint16_t port)
{
	if (a->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
}

static int family_of(const struct iperf_opts *o)
{
	return o->ipv6 ? AF_INET6 : o->ipv4 ? AF_INET : AF_UNSPEC;
}

/* The first address of the family that is wanted. */
static int resolve(struct addr *out, const char *host, uint16_t port, int family, struct err *e)
{
	struct addr found[16];
	size_t n;

	if (addr_resolve(found, 16, &n, host, port, SOCK_STREAM, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (family == AF_UNSPEC || found[i].sa.ss_family == family) {
			*out = found[i];
			return 0;
		}
	}
	return err_set(e, ERR_TARGET, "not-found", "%s has no IPv%d address", host,
		       family == AF_INET6 ? 6 : 4);
}

/* Our end: its address where one is asked for, any of the target's family where only a port is. */
static int local_address(const struct iperf_opts *o, const struct iperf_target *t, struct addr *out,
			 struct err *e)
{
	int family = t->address.sa.ss_family;

	memset(out, 0, sizeof(*out));
	if (o->bind && resolve(out, o->bind, (uint16_t)o->cport, family, e) < 0)
		return -1;
	if (!o->bind && o->cport) {
		out->sa.ss_family = (sa_family_t)family;
		out->len = family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
		set_port(out, (uint16_t)o->cport);
	}
	return 0;
}

static void plan_cell(struct iperf_cell *cell, const struct iperf_opts *o)
{
	cell->plan = (struct iperf_session_plan){
		.client = { .to = cell->target->address,
			    .params = params_of(o, cell->len),
			    .work = work_of(o, cell->len),
			    .socket = { .window = (uint32_t)o->window,
					.mss = o->mss,
					.tos = o->tos ? o->tos : o->dscp << 2,
					.fq_rate = o->fq_rate / 8,
					.nodelay = o->nodelay,
					.dont_fragment = o->dont_fragment,
					.congestion = o->congestion,
					.device = o->device,
					.user_timeout_ms = o->user_timeout_ms,
					.flow_label = o->flow_label },
			    .time_ns = o->time_ns,
			    .endless = o->endless,
			    .omit_ns = o->omit_ns,
			    .connect_timeout_ns = o->connect_timeout_ns,
			    .answer_timeout_ns = ANSWER_TIMEOUT,
			    .busy_retry_ns = o->busy_retry_ns,
			    .interval_ns = o->interval_ns,
			    .sample_ns =
				    o->interval_ns < SAMPLE_EVERY ? o->interval_ns : SAMPLE_EVERY,
			    .latency = o->latency },
		.finished = finished,
		.ctx = cell,
	};
	if (o->json_stream) {
		cell->plan.client.started = iperf_json_stream_start;
		cell->plan.client.row = iperf_json_stream_interval;
		cell->plan.client.ctx = cell;
	}
}

static void put_integer(struct engine_case *c, const char *key, uint64_t value)
{
	c->params[c->n_params++] =
		(struct param){ .key = key, .type = PARAM_INTEGER, .integer = (int64_t)value };
}

static void put_text(struct engine_case *c, const char *key, const char *value)
{
	c->params[c->n_params++] = (struct param){ .key = key, .type = PARAM_TEXT, .text = value };
}

static void describe_case(struct engine_case *ec, const struct iperf_cell *cell,
			  const struct iperf_opts *o)
{
	put_text(ec, "direction", o->bidir ? "both" : o->reverse ? "down" : "up");
	put_integer(ec, "length", cell->len);
	put_integer(ec, "streams", o->parallel);
	if (o->rate)
		put_integer(ec, "bandwidth", o->rate);
	if (o->bytes)
		put_integer(ec, "bytes", o->bytes);
	if (o->blocks)
		put_integer(ec, "blocks", o->blocks);
	if (o->zerocopy)
		put_text(ec, "zerocopy", o->zerocopy);
}

static int add_case(struct iperf_cases *c, struct iperf_target *t, size_t len, struct err *e)
{
	const struct iperf_opts *o = c->opts;
	struct iperf_cell *cell = &c->cell[c->n_cases];
	struct engine_case *ec = &c->cases[c->n_cases];

	cell->all = c;
	cell->target = t;
	cell->len = len;
	plan_cell(cell, o);
	if (local_address(o, t, &cell->plan.client.local, e) < 0)
		return -1;
	*ec = (struct engine_case){ .name = o->udp ? "iperf.udp" : "iperf.tcp",
				    .target = t->target->label,
				    .target_index = (unsigned)(t - c->target),
				    .headline = "throughput",
				    .fresh = true,
				    .sessions = 1,
				    .fixed_iterations = 1,
				    .make = make_session,
				    .ctx = cell };
	describe_case(ec, cell, o);
	c->n_cases++;
	return 0;
}

static int begin_target(struct iperf_cases *c, size_t i, struct err *e)
{
	static const char *const schemes[] = { "iperf3", "builtin", NULL };
	struct iperf_target *t = &c->target[i];
	int client, server;

	t->target = &c->parsed[i];
	t->url = &t->target->member[0];
	if (url_check_scheme(t->url, schemes, e) < 0)
		return -1;
	if (t->target->n_members > 1)
		return err_set(e, ERR_USAGE, "usage", "%s: iperf3 targets cannot be joined by '+'",
			       t->target->label);
	if (strcmp(t->url->scheme, "builtin") == 0) {
		t->is_builtin = true;
		snprintf(t->version, sizeof(t->version), "builtin");
		return plan_pin(&c->opts->plan, &client, &server, e) < 0
			       ? -1
			       : iperf_builtin_start(&t->child, server, &t->address, e);
	}
	if (!t->url->port)
		c->parsed[i].member[0].port = (uint16_t)c->opts->port;
	return resolve(&t->address, t->url->host, t->url->port, family_of(c->opts), e);
}

static int begin_targets(struct iperf_cases *c, const char *const *operands, size_t n,
			 struct err *e)
{
	for (c->n_targets = 0; c->n_targets < n; c->n_targets++)
		if (target_parse(&c->parsed[c->n_targets], operands[c->n_targets], e) < 0)
			return -1;
	c->target = calloc(n, sizeof(*c->target));
	if (!c->target)
		return err_nomem(e);
	if (target_label(c->parsed, n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (begin_target(c, i, e) < 0)
			return -1;
	return 0;
}

int iperf_cases_make(struct iperf_cases *c, const struct iperf_opts *o, struct common *common,
		     const char *const *operands, size_t n, struct err *e)
{
	static const char *const standard[] = { "builtin:" };

	c->opts = o;
	c->common = common;
	if (n == 0) {
		operands = standard;
		n = 1;
	}
	if (begin_targets(c, operands, n, e) < 0)
		return -1;
	c->cell = calloc(n * o->lengths.n, sizeof(*c->cell));
	c->cases = calloc(n * o->lengths.n, sizeof(*c->cases));
	if (!c->cell || !c->cases)
		return err_nomem(e);
	for (size_t k = 0; k < o->lengths.n; k++)
		for (size_t i = 0; i < n; i++)
			if (add_case(c, &c->target[i], (size_t)o->lengths.v[k], e) < 0)
				return -1;
	return 0;
}

static void window_done(struct iperf_window *w)
{
	for (unsigned i = 0; i < IPERF_S_COUNT; i++)
		series_done(&w->series[i]);
}

void iperf_cases_done(struct iperf_cases *c)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		for (size_t k = 0; k < c->cell[i].n_windows; k++)
			window_done(&c->cell[i].window[k]);
		free(c->cell[i].window);
		if (c->cell[i].has_last)
			iperf_report_done(&c->cell[i].last);
	}
	for (size_t i = 0; c->target && i < c->n_targets; i++)
		spawn_stop(&c->target[i].child, NS_PER_SEC);
	for (size_t i = 0; i < c->n_targets; i++)
		target_done(&c->parsed[i]);
	free(c->cell);
	free(c->cases);
	free(c->target);
}

static struct iperf_cell *cell_of(struct iperf_cases *c, const struct engine_case *ec)
{
	for (size_t i = 0; i < c->n_cases; i++)
		if (&c->cases[i] == ec)
			return &c->cell[i];
	return NULL;
}

static int window_open(void *ctx, const struct engine_case *ec, struct run *run, struct err *e)
{
	struct iperf_cell *cell = cell_of(ctx, ec);
	struct iperf_window *grown;

	(void)run;
	if (!cell)
		return 0;
	grown = reallocarray(cell->window, cell->n_windows + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	cell->window = grown;
	memset(&grown[cell->n_windows], 0, sizeof(*grown));
	for (unsigned i = 0; i < IPERF_S_COUNT; i++) {
		if (series_init(&grown[cell->n_windows].series[i], 256, e) < 0) {
			window_done(&grown[cell->n_windows]);
			return -1;
		}
	}
	cell->n_windows++;
	cell->recording = true;
	return 0;
}

static int window_close(void *ctx, const struct engine_case *ec, struct run *run, struct err *e)
{
	struct iperf_cell *cell = cell_of(ctx, ec);

	(void)run;
	(void)e;
	if (cell)
		cell->recording = false;
	return 0;
}

struct engine_probe iperf_cases_probe(struct iperf_cases *c)
{
	return (struct engine_probe){ .ctx = c,
				      .window_open = window_open,
				      .window_close = window_close };
}

struct iperf_cell *iperf_cases_find(struct iperf_cases *c, const struct benchmark *b)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		const struct engine_case *ec = &c->cases[i];

		if (strcmp(ec->target, b->target) == 0 && strcmp(ec->name, b->name) == 0 &&
		    b->n_params == ec->n_params && b->params[1].integer == ec->params[1].integer)
			return &c->cell[i];
	}
	return NULL;
}
