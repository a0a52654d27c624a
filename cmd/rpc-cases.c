#include "rpc-cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/command-session.h"

enum {
	CAP_CLIENT = 100,
	SMALL = 1024,
	TRANSFER_SIZE = 4 << 20,
	PATIENCE_BYTES = 4 << 20,
	TRANSFER_CHUNK = 64 << 10,
	CLIENTS_FEW = 10,
	CLIENTS_MANY = 128,
};

/* A protocol is one row. */
static const struct rpc_scheme *const rpc_schemes[] = { &rpc_scheme_rpyc, &rpc_scheme_http, NULL };

const char *const rpc_case_names[] = { "connect",    "ready",	 "ping",     "echo",
				       "upload",     "download", "transfer", "call",
				       "concurrent", "reuse",	 NULL };
const char *const rpc_payload_names[] = { "random", "zero", "text", NULL };
const char *const rpc_compress_names[] = { "never", "auto", NULL };
const char *const rpc_sequence_names[] = { "direct", "python", NULL };

static const enum rpc_kind kind_of_name[] = { RPC_CONNECT,    RPC_READY,    RPC_PING,	  RPC_ECHO,
					      RPC_UPLOAD,     RPC_DOWNLOAD, RPC_TRANSFER, RPC_CALL,
					      RPC_CONCURRENT, RPC_REUSE };

static const struct {
	const char *name, *headline;
} kinds[RPC_KINDS] = {
	[RPC_CONNECT] = { "rpc.connect", "latency.median" },
	[RPC_READY] = { "rpc.ready", "latency.median" },
	[RPC_PING] = { "rpc.ping", "latency.median" },
	[RPC_ECHO] = { "rpc.echo", "latency.median" },
	[RPC_UPLOAD] = { "rpc.upload", "throughput" },
	[RPC_DOWNLOAD] = { "rpc.download", "throughput" },
	[RPC_TRANSFER] = { "rpc.transfer", "throughput" },
	[RPC_CALL] = { "rpc.call", "latency.median" },
	[RPC_AGAINST] = { "rpc.against", "latency.median" },
	[RPC_CONCURRENT] = { "rpc.concurrent", "rate" },
	[RPC_REUSE] = { "rpc.reuse", "latency.median" },
};

void rpc_put_integer(struct engine_case *ec, const char *key, uint64_t value)
{
	if (ec->n_params < PARAMS_MAX)
		ec->params[ec->n_params++] = (struct param){ .key = key,
							     .type = PARAM_INTEGER,
							     .integer = (int64_t)value };
}

void rpc_put_text(struct engine_case *ec, const char *key, const char *value)
{
	if (ec->n_params < PARAMS_MAX)
		ec->params[ec->n_params++] =
			(struct param){ .key = key, .type = PARAM_TEXT, .text = value };
}

void rpc_add_pair(const char **pairs, size_t *n, size_t max, const char *key, const char *value)
{
	if (!value || !value[0] || *n + 3 > max)
		return;
	pairs[(*n)++] = key;
	pairs[(*n)++] = value;
	pairs[*n] = NULL;
}

/* --- payloads -------------------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void fill_random(uint8_t *p, uint64_t n, uint64_t seed)
{
	uint64_t state = seed, word;

	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		word = next_random(&state);
		memcpy(p, &word, sizeof(word));
	}
	word = next_random(&state);
	memcpy(p, &word, n);
}

/* After the cases were made, so that an option that is refused does not wait for it. */
static void fill_payload(struct rpc_cases *c)
{
	static const char words[] = "the quick brown fox jumps over the lazy dog; ";
	enum { RANDOM, ZERO };

	if (c->opts->payload == RANDOM)
		fill_random(c->payload, c->payload_bytes, c->opts->plan.seed);
	else if (c->opts->payload == ZERO)
		memset(c->payload, 0, c->payload_bytes);
	else
		for (uint64_t i = 0; i < c->payload_bytes; i++)
			c->payload[i] = (uint8_t)words[i % (sizeof(words) - 1)];
}

static struct opt_numbers sizes_of(const struct rpc_opts *o, enum rpc_kind kind);

/* One for all cases, as long as the largest needs it. */
static int make_payload(struct rpc_cases *c, const enum rpc_kind *kind, size_t n, struct err *e)
{
	const struct rpc_opts *o = c->opts;
	uint64_t most = 1;

	for (size_t i = 0; i < n; i++) {
		struct opt_numbers sizes = sizes_of(o, kind[i]);

		for (size_t s = 0; s < sizes.n; s++)
			most = sizes.v[s] > most ? sizes.v[s] : most;
	}
	c->payload = malloc(most);
	if (!c->payload)
		return err_nomem(e);
	c->payload_bytes = most;
	return 0;
}

/* --- cells ----------------------------------------------------------------------------------------------------- */

static struct rpc_cell *cell_new(struct rpc_cases *c, struct err *e)
{
	struct rpc_cell *cell;

	if (c->n_cases == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct rpc_cell **cells = reallocarray(c->cell, room, sizeof(struct rpc_cell *));
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

static void cell_free(struct rpc_cell *cell)
{
	free(cell->window);
	free(cell->answered);
	free(cell);
}

static void describe(struct engine_case *ec, const struct rpc_work *w, const struct rpc_opts *o)
{
	if (w->is_floor)
		rpc_put_text(ec, "of", kinds[w->kind].name);
	switch (w->kind) {
	case RPC_ECHO:
	case RPC_UPLOAD:
	case RPC_DOWNLOAD:
	case RPC_TRANSFER:
		rpc_put_integer(ec, "size", w->size);
		break;
	case RPC_CALL:
	case RPC_AGAINST:
		rpc_put_text(ec, "call", w->call);
		break;
	default:
		break;
	}
	if (w->kind == RPC_TRANSFER)
		rpc_put_integer(ec, "chunk", w->chunk ? w->chunk : w->size);
	if (w->kind == RPC_ECHO || w->kind == RPC_UPLOAD || w->kind == RPC_TRANSFER) {
		rpc_put_text(ec, "payload", rpc_payload_names[o->payload]);
		rpc_put_text(ec, "compress", rpc_compress_names[o->compress]);
	}
	if (w->kind == RPC_REUSE)
		rpc_put_text(ec, "connection", w->fresh ? "new" : "kept");
	rpc_put_integer(ec, "concurrency", w->concurrency);
	if (w->in_flight > 1)
		rpc_put_integer(ec, "in_flight", w->in_flight);
}

static int add_cell(struct rpc_cases *c, struct rpc_target *target, const struct rpc_work *work,
		    struct err *e)
{
	const struct rpc_opts *o = c->opts;
	const struct rpc_scheme *scheme = target->scheme;
	struct rpc_cell *cell;
	struct engine_case ec = {
		.name = work->is_floor ? "rpc.floor" : kinds[work->kind].name,
		.target = target->target->label,
		.target_index = target->index,
		.headline = work->is_floor ? "latency.median" : kinds[work->kind].headline,
		.sessions = work->concurrency,
		.fresh = work->kind == RPC_CONNECT || work->kind == RPC_READY || work->fresh,
		.make = scheme->make
	};
	int rc;

	if (c->n_cases >= RPC_CELLS_MAX)
		return err_set(e, ERR_USAGE, "usage", "more than %d cases: choose fewer values",
			       RPC_CELLS_MAX);
	cell = cell_new(c, e);
	if (!cell)
		return -1;
	cell->all = c;
	cell->target = target;
	cell->work = *work;
	cell->answered = calloc(work->concurrency, sizeof(*cell->answered));
	cell->window = calloc(o->plan.runs, sizeof(*cell->window));
	if (!cell->answered || !cell->window) {
		cell_free(cell);
		return err_nomem(e);
	}
	cell->work.alone = work->concurrency <= o->plan.threads && !o->plan.rate;
	ec.ctx = cell;
	/* a time-out is meant for a small operation: more bytes are given more time */
	ec.patience = 1 + (uint32_t)(work->size / PATIENCE_BYTES);
	describe(&ec, work, o);
	rc = scheme->cell(cell, &ec, e);
	if (rc != 0) {
		scheme->cell_done(cell);
		cell_free(cell);
		return rc < 0 ? -1 : 0;
	}
	c->cell[c->n_cases] = cell;
	c->cases[c->n_cases++] = ec;
	return 0;
}

/* One point on every target: they stand together, so that their runs are interleaved. */
static int add_point(struct rpc_cases *c, struct rpc_work *w, struct err *e)
{
	for (size_t i = 0; i < c->n_targets; i++) {
		w->payload = c->payload;
		if (add_cell(c, &c->target[i], w, e) < 0)
			return -1;
	}
	return 0;
}

static bool has_clients(enum rpc_kind kind)
{
	return kind != RPC_CONNECT && kind != RPC_READY && kind != RPC_TRANSFER &&
	       kind != RPC_REUSE;
}

static bool has_size(enum rpc_kind kind)
{
	return kind == RPC_ECHO || kind == RPC_UPLOAD || kind == RPC_DOWNLOAD ||
	       kind == RPC_TRANSFER;
}

static struct opt_numbers sizes_of(const struct rpc_opts *o, enum rpc_kind kind)
{
	struct opt_numbers none = { .n = 1 };
	struct opt_numbers bandwidth = { .n = 2, .v = { 100 << 10, 1 << 20 } };
	struct opt_numbers echo = { .n = 2, .v = { SMALL, 100 << 10 } };
	struct opt_numbers transfer = { .n = 1, .v = { TRANSFER_SIZE } };

	if (!has_size(kind))
		return none;
	if (o->has_sizes)
		return o->sizes;
	return kind == RPC_ECHO ? echo : kind == RPC_TRANSFER ? transfer : bandwidth;
}

static struct opt_numbers chunks_of(const struct rpc_opts *o, enum rpc_kind kind)
{
	struct opt_numbers whole = { .n = 1 };
	struct opt_numbers pieces = { .n = 2, .v = { 0, TRANSFER_CHUNK } };

	if (kind != RPC_TRANSFER)
		return whole;
	return o->has_chunks ? o->chunks : pieces;
}

/* 0: whole, also where the piece would be larger. */
static uint64_t chunk_of(const struct opt_numbers *chunks, size_t k, uint64_t size)
{
	return chunks->v[k] < size ? chunks->v[k] : 0;
}

/* Small files are whole in several ways, which are one case. */
static bool is_new_chunk(const struct opt_numbers *chunks, size_t k, uint64_t size)
{
	for (size_t i = 0; i < k; i++)
		if (chunk_of(chunks, i, size) == chunk_of(chunks, k, size))
			return false;
	return true;
}

static int add_clients_of(struct rpc_cases *c, struct rpc_work *w, struct err *e)
{
	const struct rpc_opts *o = c->opts;
	struct opt_numbers clients = { .n = 1, .v = { 1 } };
	struct opt_numbers many = { .n = 2, .v = { CLIENTS_FEW, CLIENTS_MANY } };

	if (o->has_concurrency && has_clients(w->kind))
		clients = o->concurrencies;
	else if (w->kind == RPC_CONCURRENT)
		clients = many;
	w->in_flight = has_clients(w->kind) ? o->in_flight : 1;
	for (size_t n = 0; n < clients.n; n++) {
		w->concurrency = (uint32_t)clients.v[n];
		if (add_point(c, w, e) < 0)
			return -1;
	}
	return 0;
}

static int add_kind(struct rpc_cases *c, enum rpc_kind kind, struct err *e)
{
	const struct rpc_opts *o = c->opts;
	struct opt_numbers sizes = sizes_of(o, kind);
	struct opt_numbers chunks = chunks_of(o, kind);
	struct rpc_work w = { .kind = kind };

	if (kind == RPC_CALL)
		w.call = o->call;
	if (kind == RPC_AGAINST) {
		w.call = c->against;
		w.bare = strcmp(o->against, c->against) != 0;
	}
	for (size_t s = 0; s < sizes.n; s++) {
		for (size_t k = 0; k < chunks.n; k++) {
			w.size = sizes.v[s];
			if (!is_new_chunk(&chunks, k, w.size))
				continue;
			w.chunk = chunk_of(&chunks, k, w.size);
			w.fresh = false;
			if (add_clients_of(c, &w, e) < 0)
				return -1;
			w.fresh = kind == RPC_REUSE;
			if (w.fresh && add_clients_of(c, &w, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* What --case and --call ask for, each once. */
static int chosen_kinds(const struct rpc_opts *o, enum rpc_kind *out, size_t *n, struct err *e)
{
	static const enum rpc_kind standard[] = { RPC_CONNECT, RPC_READY, RPC_PING, RPC_ECHO,
						  RPC_CONCURRENT };
	bool wanted[RPC_KINDS] = { false };

	*n = 0;
	for (size_t i = 0; i < o->cases.n; i++) {
		for (int k = 0; rpc_case_names[k]; k++)
			wanted[kind_of_name[k]] |= strcmp(rpc_case_names[k], o->cases.v[i]) == 0;
	}
	if (wanted[RPC_CALL] && !o->call)
		return err_set(e, ERR_USAGE, "usage",
			       "--case call: which? (--call NAME --arg VALUE...)");
	if (o->against && !o->call)
		return err_set(e, ERR_USAGE, "usage",
			       "--against NAME is the baseline of --call NAME: name that too");
	for (size_t i = 0; o->cases.n == 0 && !o->call && i < sizeof(standard) / sizeof(*standard);
	     i++)
		wanted[standard[i]] = true;
	wanted[RPC_CALL] |= o->call != NULL;
	wanted[RPC_AGAINST] |= o->against != NULL;
	for (int k = 0; k < RPC_KINDS; k++)
		if (wanted[k])
			out[(*n)++] = (enum rpc_kind)k;
	return 0;
}

/* The same payloads on a builtin server. */
static int add_floors_of(struct rpc_cases *c, struct rpc_target *t, enum rpc_kind kind,
			 struct err *e)
{
	struct opt_numbers sizes = sizes_of(c->opts, kind), chunks = chunks_of(c->opts, kind);
	struct rpc_work w = { .kind = kind,
			      .is_floor = true,
			      .payload = c->payload,
			      .concurrency = 1,
			      .in_flight = has_clients(kind) ? c->opts->in_flight : 1 };

	for (size_t s = 0; s < sizes.n; s++) {
		for (size_t k = 0; k < chunks.n; k++) {
			w.size = sizes.v[s];
			w.chunk = chunk_of(&chunks, k, w.size);
			if (is_new_chunk(&chunks, k, w.size) && add_cell(c, t, &w, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* The floor of the calls that are measured, and of their payloads, on each scheme's builtin server. */
static int add_floors(struct rpc_cases *c, const enum rpc_kind *kind, size_t n, struct err *e)
{
	for (size_t t = c->n_targets; t < c->n_all; t++) {
		if (add_floors_of(c, &c->target[t], RPC_PING, e) < 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			if (has_size(kind[i]) && add_floors_of(c, &c->target[t], kind[i], e) < 0)
				return -1;
	}
	return 0;
}

/* --against 'NAME()' is NAME without the arguments. */
static int name_baseline(struct rpc_cases *c, struct err *e)
{
	const char *given = c->opts->against;
	size_t len = given ? strlen(given) : 0;

	if (!given)
		return 0;
	if (len > 2 && strcmp(given + len - 2, "()") == 0)
		len -= 2;
	c->against = strndup(given, len);
	return c->against ? 0 : err_nomem(e);
}

static int add_cases(struct rpc_cases *c, struct err *e)
{
	enum rpc_kind kind[RPC_KINDS];
	size_t n;

	if (name_baseline(c, e) < 0)
		return -1;
	if (chosen_kinds(c->opts, kind, &n, e) < 0 || make_payload(c, kind, n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_kind(c, kind[i], e) < 0)
			return -1;
	return add_floors(c, kind, n, e);
}

/* The user's own client, timed whole on every target. */
static int add_own_clients(struct rpc_cases *c, struct err *e)
{
	const struct opt_strings *clients = &c->opts->compare.clients;

	if (!clients->n)
		return 0;
	c->client = calloc(clients->n * c->n_targets + 1, sizeof(*c->client));
	if (!c->client)
		return err_nomem(e);
	for (size_t k = 0; k < clients->n * c->n_targets; k++) {
		struct rpc_target *t = &c->target[k % c->n_targets];
		struct command_workload *w = &c->client[k];
		struct rpc_cell *cell = cell_new(c, e);
		char url[256], host[80];
		struct engine_case ec = { .name = "rpc.client",
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
		snprintf(url, sizeof(url), "%s://%s%.120s", t->scheme->schemes[0],
			 addr_format(&t->address, host), t->is_builtin ? "" : t->url->path);
		cell->all = c;
		cell->target = t;
		c->cell[c->n_cases] = cell;
		rpc_put_text(&ec, "client", clients->v[k / c->n_targets]);
		c->cases[c->n_cases++] = ec;
		if (command_workload_make(w, clients->v[k / c->n_targets], url, e) < 0)
			return -1;
		c->n_clients++;
	}
	return 0;
}

/* --- targets --------------------------------------------------------------------------------------------------- */

static const struct rpc_scheme *find_scheme(const struct url *u)
{
	bool builtin = strcmp(u->scheme, "builtin") == 0;

	for (const struct rpc_scheme *const *s = rpc_schemes; *s; s++) {
		/* `builtin:` alone is the first */
		if (builtin && (!u->path[0] || strcmp(u->path, (*s)->serve) == 0))
			return *s;
		for (const char *const *name = (*s)->schemes; *name && !builtin; name++)
			if (strcmp(*name, u->scheme) == 0)
				return *s;
	}
	return NULL;
}

static int refuse_scheme(const struct url *u, struct err *e)
{
	const char *known[16] = { "builtin" };
	size_t n = 1;

	if (strcmp(u->scheme, "builtin") == 0)
		return err_set(e, ERR_USAGE, "usage", "no builtin server '%s'", u->path);
	for (const struct rpc_scheme *const *s = rpc_schemes; *s; s++)
		for (const char *const *name = (*s)->schemes; *name && n < 15; name++)
			known[n++] = *name;
	known[n] = NULL;
	return url_check_scheme(u, known, e);
}

static int begin_target(struct rpc_cases *c, size_t i, struct err *e)
{
	struct rpc_target *t = &c->target[i];
	int client, server = -1;
	size_t found;

	t->all = c;
	t->target = &c->parsed[i];
	t->url = &t->target->member[0];
	t->index = (unsigned)i;
	t->scheme = find_scheme(t->url);
	if (!t->scheme)
		return refuse_scheme(t->url, e);
	if (t->target->n_members > 1)
		return err_set(e, ERR_USAGE, "usage", "%s: RPC targets cannot be joined by '+'",
			       t->target->label);
	if (strcmp(t->url->scheme, "builtin") == 0) {
		t->is_builtin = true;
		if (plan_pin(&c->opts->plan, &client, &server, e) < 0 ||
		    rpc_child_start(&t->builtin, t->scheme->serve, t->scheme->serve_options, server,
				    &t->address, e) < 0)
			return -1;
	} else {
		/* --start waits for the port that the target names */
		if (!t->url->port)
			c->parsed[i].member[0].port =
				t->scheme->port_of ? t->scheme->port_of(t->url) : t->scheme->port;
		if (addr_resolve(&t->address, 1, &found, t->url->host, t->url->port, SOCK_STREAM,
				 e) < 0)
			return -1;
	}
	return t->scheme->target(t, e);
}

/* A builtin server for each scheme that is in use, unless it is the target itself. */
static int begin_floors(struct rpc_cases *c, struct err *e)
{
	for (const struct rpc_scheme *const *s = rpc_schemes; *s && c->opts->floor; s++) {
		bool used = false, own = false;
		char text[64];

		for (size_t i = 0; i < c->n_targets; i++) {
			used |= c->target[i].scheme == *s;
			own |= c->target[i].scheme == *s && c->target[i].is_builtin;
		}
		if (!used || own || c->n_all >= RPC_TARGETS_MAX + RPC_SCHEMES_MAX)
			continue;
		snprintf(text, sizeof(text), "floor-%s=builtin:%s", (*s)->serve, (*s)->serve);
		if (target_parse(&c->parsed[c->n_all], text, e) < 0)
			return -1;
		c->n_all++;
		c->target[c->n_all - 1].is_floor = true;
		if (begin_target(c, c->n_all - 1, e) < 0)
			return -1;
	}
	return 0;
}

/* What was checked gets its bytes. */
static int load(struct rpc_cases *c, struct err *e)
{
	fill_payload(c);
	for (size_t i = 0; i < c->n_cases; i++) {
		struct rpc_cell *cell = c->cell[i];

		if (cell->plan && cell->target->scheme->filled &&
		    cell->target->scheme->filled(cell, e) < 0)
			return -1;
	}
	return 0;
}

int rpc_cases_make(struct rpc_cases *c, const struct rpc_opts *o, const char *const *operands,
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
	c->n_all = n;
	c->target = calloc(n + RPC_SCHEMES_MAX, sizeof(*c->target));
	if (!c->target)
		return err_nomem(e);
	if (target_label(c->parsed, n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (begin_target(c, i, e) < 0)
			return -1;
	}
	if (begin_floors(c, e) < 0 || add_cases(c, e) < 0 || add_own_clients(c, e) < 0)
		return -1;
	return load(c, e);
}

void rpc_cases_done(struct rpc_cases *c)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		c->cell[i]->target->scheme->cell_done(c->cell[i]);
		cell_free(c->cell[i]);
	}
	for (size_t i = 0; c->target && i < c->n_all; i++) {
		if (c->target[i].scheme)
			c->target[i].scheme->target_done(&c->target[i]);
		rpc_child_stop(&c->target[i].builtin);
	}
	for (size_t i = 0; i < (c->n_all ? c->n_all : c->n_targets); i++)
		target_done(&c->parsed[i]);
	for (size_t i = 0; i < c->n_clients; i++)
		free(c->client[i].argv);
	free(c->client);
	free(c->cell);
	free(c->cases);
	free(c->target);
	free(c->payload);
	free(c->against);
	buf_done(&c->after);
}
