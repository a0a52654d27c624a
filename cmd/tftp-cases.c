#include "tftp-cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "peer/command-session.h"
#include "tftp-prepare.h"
#include "tftp-search.h"

enum {
	READ_SIZE = 1 << 20,
	REQUEST_SIZE = 1024,
	STORM_SIZE =
		100
		<< 10, /* the workload of the TFTP benchmark that this one was born from: 50 clients, 100 KiB */
	STORM_CLIENTS = 50,
	CAP_CLIENT = 100,
	OPTION_REQUESTS = 10,
};

const char *const tftp_case_names[] = { "read", "request", "write", "storm", "options", NULL };
const char *const tftp_rollover_names[] = { "auto", "0", "1", NULL };
const char *const tftp_profile_names[] = { "plain", "ipxe", "uefi",  "u-boot",
					   "shim",  "grub", "winpe", NULL };

static const char *const benchmark_names[] = { "tftp.read", "tftp.request", "tftp.write",
					       "tftp.storm", "tftp.options" };
static const char *const headlines[] = { "throughput", "rate", "throughput", "time_to_last",
					 "latency.median" };

/* What boot clients put into their requests, from their sources: iPXE net/udp/tftp.c (an Ethernet MTU), EDK2 MtftpDxe with
 * PxeBc (window 4), U-Boot net/tftp.c, shim and GRUB's grub-core/net/tftp.c, WinPE's RamDiskTftp defaults. */
static const struct tftp_options profiles[] = {
	{ 0 },
	{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE, .blksize = 1432 },
	{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE | TFTP_OPT_WINDOWSIZE,
	  .blksize = 1468,
	  .windowsize = 4 },
	{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE | TFTP_OPT_TIMEOUT,
	  .blksize = 1468,
	  .timeout_s = 5 },
	{ .set = TFTP_OPT_BLKSIZE, .blksize = 512 },
	{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE, .blksize = 1024 },
	{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE | TFTP_OPT_WINDOWSIZE,
	  .blksize = 1456,
	  .windowsize = 8 },
};

/* One point of the matrix. */
struct point {
	enum tftp_kind kind;
	uint64_t size;
	uint32_t blksize, windowsize, concurrency;
	int profile; /* -1: none */
};

static struct tftp_reference *reference_of(struct tftp_target *t, const char *file)
{
	struct tftp_reference *r;

	for (size_t i = 0; i < t->n_references; i++) {
		if (strcmp(t->reference[i].file, file) == 0)
			return &t->reference[i];
	}
	if (t->n_references == TFTP_REFERENCES_MAX)
		return NULL;
	r = &t->reference[t->n_references++];
	snprintf(r->file, sizeof(r->file), "%s", file);
	return r;
}

static void put_integer(struct engine_case *c, const char *key, uint64_t value)
{
	if (c->n_params < PARAMS_MAX)
		c->params[c->n_params++] = (struct param){ .key = key,
							   .type = PARAM_INTEGER,
							   .integer = (int64_t)value };
}

static void put_text(struct engine_case *c, const char *key, const char *value)
{
	if (c->n_params < PARAMS_MAX)
		c->params[c->n_params++] =
			(struct param){ .key = key, .type = PARAM_TEXT, .text = value };
}

static uint32_t ppm(double share)
{
	return (uint32_t)(share * 1e6 + 0.5);
}

static int set_link(struct tftp_cell *cell, const struct tftp_opts *o, struct err *e)
{
	struct tftp_plan *p = &cell->plan;

	/* the whole round trip lies on the way out: a transfer's every exchange begins with a packet of ours */
	p->out = (struct impair_params){ .delay_ns = o->link.rtt_ns,
					 .jitter_ns = o->link.jitter_ns,
					 .loss_ppm = ppm(o->link.loss),
					 .dup_ppm = ppm(o->link.dup),
					 .reorder_ppm = ppm(o->link.reorder) };
	p->in = (struct impair_params){ .loss_ppm = ppm(o->link.loss),
					.dup_ppm = ppm(o->link.dup),
					.reorder_ppm = ppm(o->link.reorder) };
	p->seed = o->plan.seed;
	if (o->link.script_out && impair_parse_script(&p->out, o->link.script_out, e) < 0)
		return err_wrap(e, "--script-out");
	if (o->link.script_in && impair_parse_script(&p->in, o->link.script_in, e) < 0)
		return err_wrap(e, "--script-in");
	return 0;
}

static void set_options(struct tftp_cell *cell, const struct tftp_opts *o, const struct point *at)
{
	struct tftp_options *ask = &cell->plan.transfer.ask;

	if (at->profile >= 0) {
		*ask = profiles[at->profile];
	} else {
		if (at->blksize) {
			ask->set |= TFTP_OPT_BLKSIZE;
			ask->blksize = at->blksize;
		}
		/* a window of 1 is plain TFTP and not asked for */
		if (at->windowsize > 1) {
			ask->set |= TFTP_OPT_WINDOWSIZE;
			ask->windowsize = at->windowsize;
		}
		if (o->request.tsize)
			ask->set |= TFTP_OPT_TSIZE;
		if (o->request.option_timeout) {
			ask->set |= TFTP_OPT_TIMEOUT;
			ask->timeout_s = o->request.option_timeout;
		}
	}
	if (o->request.rollover == 2 && at->profile < 0) {
		ask->set |= TFTP_OPT_ROLLOVER;
		ask->rollover = 1;
	}
	if (at->kind == TFTP_KIND_WRITE && (ask->set & TFTP_OPT_TSIZE))
		ask->tsize = at->size;
}

static int set_transfer(struct tftp_cell *cell, const struct tftp_opts *o, const struct point *at,
			struct err *e)
{
	struct tftp_client_params *t = &cell->plan.transfer;
	const char *path = cell->target->url->path;
	char name[32];

	if (cell->target->is_builtin && at->kind == TFTP_KIND_WRITE)
		snprintf(cell->file, sizeof(cell->file), "upload-%s",
			 tftp_builtin_file(at->size, name));
	else if (cell->target->is_builtin)
		snprintf(cell->file, sizeof(cell->file), "%s", tftp_builtin_file(at->size, name));
	else
		snprintf(cell->file, sizeof(cell->file), "%s", *path == '/' ? path + 1 : path);
	t->file = cell->file;
	t->mode = o->request.netascii ? TFTP_NETASCII : TFTP_OCTET;
	t->rollover = o->request.rollover - 1;
	t->timeout_ns = o->request.retransmit_ns + o->link.rtt_ns;
	t->retries = o->request.retries;
	t->write = at->kind == TFTP_KIND_WRITE;
	t->probe = at->kind == TFTP_KIND_OPTIONS;
	t->max_bytes = TFTP_CONTENT_MAX;
	if (t->write) {
		t->size = at->size;
		cell->plan.name_per_session = true;
		cell->plan.content = &cell->sent;
		return tftp_content_make(&cell->sent, at->size, o->plan.seed, e);
	}
	cell->reference = reference_of(cell->target, cell->file);
	if (!cell->reference)
		return err_set(e, ERR_USAGE, "usage", "more than %d different files",
			       TFTP_REFERENCES_MAX);
	cell->plan.content = &cell->reference->content;
	return 0;
}

static struct tftp_cell *cell_new(struct tftp_cases *c, struct err *e)
{
	struct tftp_cell *cell;

	if (c->n_cases == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct tftp_cell **cells = reallocarray(c->cell, room, sizeof(struct tftp_cell *));
		struct engine_case *cases = reallocarray(c->cases, room, sizeof(*cases));

		if (cells)
			c->cell = cells;
		if (cases)
			c->cases = cases;
		if (!cells || !cases) {
			err_nomem(e);
			return NULL;
		}
		c->room = room;
	}
	cell = calloc(1, sizeof(*cell));
	if (!cell)
		err_nomem(e);
	return cell;
}

static void describe_params(struct engine_case *ec, const struct tftp_opts *o,
			    const struct point *at, const struct tftp_cell *cell)
{
	if (cell->target->is_builtin || at->kind == TFTP_KIND_WRITE)
		put_integer(ec, "size", at->size);
	if (at->profile >= 0) {
		put_text(ec, "profile", tftp_profile_names[at->profile]);
	} else if (at->kind != TFTP_KIND_OPTIONS) {
		put_integer(ec, "blksize", at->blksize ? at->blksize : TFTP_BLKSIZE_DEFAULT);
		put_integer(ec, "windowsize", at->windowsize);
	}
	put_integer(ec, "concurrency", at->concurrency);
	if (o->request.netascii)
		put_text(ec, "mode", "netascii");
	if (impair_is_on(&cell->plan.out) || impair_is_on(&cell->plan.in)) {
		put_integer(ec, "rtt_us", o->link.rtt_ns / NS_PER_US);
		put_integer(ec, "loss_ppm", ppm(o->link.loss));
	}
}

static int add_cell(struct tftp_cases *c, struct tftp_target *target, const struct point *at,
		    struct err *e)
{
	const struct tftp_opts *o = c->opts;
	struct tftp_cell *cell = cell_new(c, e);
	struct engine_case ec = {
		.name = benchmark_names[at->kind],
		.target = target->target->label,
		.target_index = target->index,
		.headline = headlines[at->kind],
		.subs = at->kind == TFTP_KIND_OPTIONS ? NULL : tftp_sub_names,
		.sessions = at->concurrency,
		.make = tftp_cell_session,
		.ctx = cell,
	};

	if (!cell)
		return -1;
	cell->all = c;
	cell->target = target;
	cell->kind = at->kind;
	cell->size = at->size;
	cell->concurrency = at->concurrency;
	cell->plan.server = target->address;
	if (tftp_plan_init(&cell->plan, e) < 0) {
		free(cell);
		return -1;
	}
	c->cell[c->n_cases] = cell;
	set_options(cell, o, at);
	if (set_link(cell, o, e) < 0 || set_transfer(cell, o, at, e) < 0) {
		c->n_cases++; /* so that it is released */
		return -1;
	}
	cell->plan.alone = at->concurrency <= o->plan.threads && !o->plan.rate &&
			   !impair_is_on(&cell->plan.out) && !impair_is_on(&cell->plan.in);
	cell->plan.spin = o->request.spin;
	cell->plan.no_timing = at->kind == TFTP_KIND_OPTIONS;
	if (at->kind == TFTP_KIND_STORM)
		ec.fixed_iterations = at->concurrency;
	/* the table is what is asked for; how fast requests are answered is a case of its own */
	if (at->kind == TFTP_KIND_OPTIONS)
		ec.fixed_iterations = OPTION_REQUESTS;
	describe_params(&ec, o, at, cell);
	c->cases[c->n_cases++] = ec;
	return 0;
}

/* One point on every target: they stand together, so that their runs are interleaved. */
static int add_point(struct tftp_cases *c, const struct point *at, struct err *e)
{
	for (size_t i = 0; i < c->n_targets; i++) {
		if (c->n_cases >= TFTP_CELLS_MAX)
			return err_set(e, ERR_USAGE, "usage",
				       "more than %d cells: choose fewer values", TFTP_CELLS_MAX);
		if (add_cell(c, &c->target[i], at, e) < 0)
			return -1;
	}
	return 0;
}

static uint64_t default_size(enum tftp_kind kind)
{
	return kind == TFTP_KIND_REQUEST || kind == TFTP_KIND_OPTIONS ? REQUEST_SIZE
	       : kind == TFTP_KIND_STORM			      ? STORM_SIZE
								      : READ_SIZE;
}

/* The rows and columns of one workload on one size and one number of clients. */
static int add_options(struct tftp_cases *c, struct point *at, struct err *e)
{
	const struct tftp_opts *o = c->opts;

	at->profile = -1;
	at->blksize = at->windowsize = 0;
	if (at->kind == TFTP_KIND_OPTIONS)
		return add_point(c, at, e);
	for (size_t p = 0; p < o->profiles.n; p++) {
		for (at->profile = 0;
		     strcmp(tftp_profile_names[at->profile], o->profiles.v[p]) != 0;)
			at->profile++;
		if (add_point(c, at, e) < 0)
			return -1;
	}
	if (o->profiles.n)
		return 0;
	for (size_t b = 0; b < o->blksizes.n; b++) {
		for (size_t w = 0; w < o->windowsizes.n; w++) {
			at->blksize = (uint32_t)o->blksizes.v[b];
			at->windowsize = (uint32_t)o->windowsizes.v[w];
			if (add_point(c, at, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int add_kind(struct tftp_cases *c, enum tftp_kind kind, struct err *e)
{
	const struct tftp_opts *o = c->opts;
	struct opt_numbers sizes = { .n = 1, .v = { default_size(kind) } };
	struct opt_numbers clients = { .n = 1,
				       .v = { kind == TFTP_KIND_STORM ? STORM_CLIENTS : 1 } };
	struct point at = { .kind = kind };

	if (o->has_sizes && kind != TFTP_KIND_OPTIONS)
		sizes = o->sizes;
	if (o->has_concurrency && kind != TFTP_KIND_OPTIONS)
		clients = o->concurrencies;
	if (tftp_finds_clients(o))
		clients = (struct opt_numbers){ .n = 1, .v = { 1 } };
	else if (o->find_max && !o->has_concurrency)
		clients.v[0] = STORM_CLIENTS;
	for (size_t s = 0; s < sizes.n; s++) {
		for (size_t n = 0; n < clients.n; n++) {
			at.size = sizes.v[s];
			at.concurrency = (uint32_t)clients.v[n];
			if (add_options(c, &at, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int add_cases(struct tftp_cases *c, struct err *e)
{
	const struct tftp_opts *o = c->opts;
	bool builtin_only = true;

	for (size_t i = 0; i < o->cases.n; i++) {
		for (int k = 0; tftp_case_names[k]; k++) {
			if (strcmp(tftp_case_names[k], o->cases.v[i]) == 0 &&
			    add_kind(c, (enum tftp_kind)k, e) < 0)
				return -1;
		}
	}
	if (o->put && add_kind(c, TFTP_KIND_WRITE, e) < 0)
		return -1;
	if (o->cases.n || o->put)
		return 0;
	for (size_t i = 0; i < c->n_targets; i++)
		builtin_only &= c->target[i].is_builtin;
	if (add_kind(c, TFTP_KIND_READ, e) < 0)
		return -1;
	return builtin_only && !o->has_sizes ? add_kind(c, TFTP_KIND_REQUEST, e) : 0;
}

/* The user's own client, timed whole on every target. */
static int add_clients(struct tftp_cases *c, struct err *e)
{
	const struct opt_strings *clients = &c->opts->compare.clients;

	if (!clients->n)
		return 0;
	c->client = calloc(clients->n * c->n_targets, sizeof(*c->client));
	if (!c->client)
		return err_nomem(e);
	for (size_t k = 0; k < clients->n * c->n_targets; k++) {
		struct tftp_target *t = &c->target[k % c->n_targets];
		struct command_workload *w = &c->client[k];
		struct tftp_cell *cell = cell_new(c, e);
		char url[640], host[80];
		struct engine_case ec = { .name = "tftp.client",
					  .target = t->target->label,
					  .target_index = t->index,
					  .headline = "latency.median",
					  .value_name = "client_cpu",
					  .value_unit = "ns",
					  .value_better = BETTER_LOWER,
					  .fresh = true,
					  .sessions = 1,
					  .slow_cap = CAP_CLIENT,
					  .make = command_session_make,
					  .ctx = w };

		if (!cell)
			return -1;
		snprintf(url, sizeof(url), "tftp://%s/%s", addr_format(&t->address, host),
			 t->n_references ? t->reference[0].file : "");
		cell->all = c;
		cell->target = t;
		c->cell[c->n_cases] = cell;
		put_text(&ec, "client", clients->v[k / c->n_targets]);
		c->cases[c->n_cases++] = ec;
		if (command_workload_make(w, clients->v[k / c->n_targets], url, e) < 0)
			return -1;
		c->n_clients++;
	}
	return 0;
}

/* Every size that a case will read. */
static size_t sizes_needed(const struct tftp_opts *o, uint64_t *out, size_t max)
{
	size_t n = 0;

	for (int k = 0; tftp_case_names[k] && n < max; k++)
		out[n++] = default_size((enum tftp_kind)k);
	for (size_t i = 0; i < o->sizes.n && n < max; i++)
		out[n++] = o->sizes.v[i];
	return n;
}

static int begin_target(struct tftp_cases *c, size_t i, struct err *e)
{
	static const char *const schemes[] = { "tftp", "builtin", NULL };
	struct tftp_target *t = &c->target[i];
	uint64_t sizes[OPT_LIST_MAX + 8];
	size_t n = sizes_needed(c->opts, sizes, OPT_LIST_MAX + 8), found;
	int client, server;

	t->target = &c->parsed[i];
	t->url = &t->target->member[0];
	t->index = (unsigned)i;
	if (url_check_scheme(t->url, schemes, e) < 0)
		return -1;
	if (t->target->n_members > 1)
		return err_set(e, ERR_USAGE, "usage", "%s: TFTP targets cannot be joined by '+'",
			       t->target->label);
	if (strcmp(t->url->scheme, "builtin") == 0) {
		t->is_builtin = true;
		return plan_pin(&c->opts->plan, &client, &server, e) < 0
			       ? -1
			       : tftp_builtin_start(&t->builtin, t->url, sizes, n,
						    c->opts->plan.seed, server, &t->address, e);
	}
	if (!t->url->path || !t->url->path[0] || strcmp(t->url->path, "/") == 0)
		return err_set(e, ERR_USAGE, "usage", "%s: which file? (tftp://HOST/FILE)",
			       t->url->shown);
	if (strlen(t->url->path) > TFTP_FILE_MAX - 16)
		return err_set(e, ERR_USAGE, "usage", "%s: the file name is too long",
			       t->url->shown);
	/* --start waits for the port that the target names */
	if (!t->url->port)
		c->parsed[i].member[0].port = TFTP_PORT;
	return addr_resolve(&t->address, 1, &found, t->url->host, t->url->port, SOCK_DGRAM, e);
}

int tftp_cases_make(struct tftp_cases *c, const struct tftp_opts *o, const char *const *operands,
		    size_t n, const struct log *log, struct err *e)
{
	static const char *const standard[] = { "builtin:" };

	c->opts = o;
	c->log = log;
	pthread_mutex_init(&c->lock, NULL);
	if (n == 0) {
		operands = standard;
		n = 1;
	}
	for (c->n_targets = 0; c->n_targets < n; c->n_targets++) {
		if (target_parse(&c->parsed[c->n_targets], operands[c->n_targets], e) < 0)
			return -1;
	}
	c->target = calloc(n, sizeof(*c->target));
	if (!c->target)
		return err_nomem(e);
	if (target_label(c->parsed, n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (begin_target(c, i, e) < 0)
			return -1;
	}
	if (tftp_expect_load(c, e) < 0 || add_cases(c, e) < 0)
		return -1;
	return add_clients(c, e);
}

void tftp_cases_done(struct tftp_cases *c)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		if (!c->cell[i])
			continue;
		tftp_plan_done(&c->cell[i]->plan);
		tftp_content_done(&c->cell[i]->sent);
		free(c->cell[i]->window);
		free(c->cell[i]->search);
		free(c->cell[i]);
	}
	for (size_t i = 0; c->target && i < c->n_targets; i++) {
		tftp_builtin_stop(&c->target[i].builtin);
		for (size_t k = 0; k < c->target[i].n_references; k++)
			tftp_content_done(&c->target[i].reference[k].content);
	}
	for (size_t i = 0; i < c->n_targets; i++)
		target_done(&c->parsed[i]);
	for (size_t i = 0; i < c->n_clients; i++)
		free(c->client[i].argv);
	buf_done(&c->after);
	free(c->client);
	free(c->cell);
	free(c->cases);
	free(c->target);
}
