/* How bench-rpc does its cases with HTTP. */
#include "rpc-http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/version.h"
#include "peer/http-session.h"
#include "proto/http.h"
#include "rpc-cases.h"

enum {
	BODY_MAX = 1 << 30,
	/* a body as small as this stands behind its head, so that one record of TLS takes both */
	BODY_BESIDE = 16384,
	PATH_MAX_ = 4096,
};

static const char *const engine_names[] = { "fast", "curl", NULL };
static const char *const version_names[] = { "1.1", "2", NULL };

/* clang-format off */
const struct opt rpc_http_opts[] = {
	OPT_TITLE("HTTP and TLS"),
	OPT_ENUM_ROW(0, "engine", OPT_WHAT, struct rpc_http_opts, engine, engine_names, "who speaks: our own loop on libcurl's connections, or libcurl"),
	OPT_ENUM_ROW(0, "http", OPT_WHAT, struct rpc_http_opts, version, version_names, "version of HTTP; 2 needs --engine curl"),
	OPT_STRING_ROW(0, "method", OPT_WHAT, struct rpc_http_opts, method, "WORD", "of --call (GET, with --body POST)"),
	OPT_STRING_ROW(0, "body", OPT_WHAT, struct rpc_http_opts, body, "TEXT|@FILE", "of --call"),
	OPT_STRINGS_ROW(0, "header", OPT_WHAT, struct rpc_http_opts, headers, "NAME: VALUE", "with every request"),
	OPT_STRING_ROW(0, "cacert", OPT_WHAT, struct rpc_http_opts, cacert, "FILE", "trust these certificates, not the system's"),
	OPT_STRING_ROW(0, "cert", OPT_WHAT, struct rpc_http_opts, cert, "FILE", "our own certificate"),
	OPT_STRING_ROW(0, "key", OPT_WHAT, struct rpc_http_opts, key, "FILE", "its key, where that is not in the same file"),
	OPT_FLAG_ROW(0, "insecure", OPT_WHAT, struct rpc_http_opts, insecure, "trust any certificate"),
	OPT_STRING_ROW(0, "proxy", OPT_WHAT, struct rpc_http_opts, proxy, "URL", "with --engine curl; none otherwise, whatever the environment says"),
	OPT_END,
};
/* clang-format on */

int rpc_http_check(const struct rpc_http_opts *o, struct err *e)
{
	const struct {
		const char *option, *name;
	} file[] = { { "cacert", o->cacert }, { "cert", o->cert }, { "key", o->key } };

	if (o->engine == 0 && o->version != 0)
		return err_set(e, ERR_USAGE, "usage", "--http 2 is libcurl's: add --engine curl");
	if (o->engine == 0 && o->proxy)
		return err_set(e, ERR_USAGE, "usage", "--proxy is libcurl's: add --engine curl");
	for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++)
		if (file[i].name && access(file[i].name, R_OK) < 0)
			return err_sys(e, ERR_USAGE, "--%s %s", file[i].option, file[i].name);
	if (o->key && !o->cert)
		return err_set(e, ERR_USAGE, "usage", "--key FILE is of --cert FILE: give both");
	return 0;
}

/* A target's facts: what its answers said. */
struct http_facts {
	char server[64], version[16], libcurl[64];
};

/* A cell's plan, and what it points to. */
struct http_cell {
	struct http_plan plan;
	struct http_exchange *exchange;
	struct buf url, heads, body;
	char **line; /* "Name: value", for libcurl */
	size_t n_lines;
	char host[300];
	char agent[64];
	const char *method;
	char *path;
};

static int target(struct rpc_target *t, struct err *e)
{
	static const char *const known[] = { NULL };

	t->facts = calloc(1, sizeof(struct http_facts));
	if (!t->facts)
		return err_nomem(e);
	return t->is_builtin ? url_check_query(t->url, known, e) : 0;
}

static uint16_t port_of(const struct url *u)
{
	return strcmp(u->scheme, "https") == 0 ? 443 : 80;
}

/* A URL with a path is a page: what takes no argument asks for just that. Without one it is the service of README.md. */
static bool is_page(const struct rpc_target *t)
{
	return !t->is_builtin && t->url->path[0];
}

static bool is_safe(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("-._~,:@", c));
}

static void add_encoded(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (is_safe(text[i]))
			buf_addc(out, text[i]);
		else
			buf_addf(out, "%%%02X", (unsigned char)text[i]);
	}
}

/* --call compute --arg 1000 --arg base=16: /compute/1000?base=16; a path stays as it is. */
static void add_call(struct buf *path, const char *call, const struct opt_strings *args)
{
	char mark = strchr(call, '?') ? '&' : '?';

	if (call[0] == '/') {
		buf_adds(path, call);
		return;
	}
	buf_addf(path, "/%s", call);
	for (size_t i = 0; i < args->n; i++) {
		if (strchr(args->v[i], '='))
			continue;
		buf_addc(path, '/');
		add_encoded(path, args->v[i], strlen(args->v[i]));
	}
	for (size_t i = 0; i < args->n; i++) {
		const char *equals = strchr(args->v[i], '=');

		if (!equals)
			continue;
		buf_addc(path, mark);
		mark = '&';
		add_encoded(path, args->v[i], (size_t)(equals - args->v[i]));
		buf_addc(path, '=');
		add_encoded(path, equals + 1, strlen(equals + 1));
	}
}

static void add_path(struct buf *path, const struct rpc_cell *cell)
{
	static const struct opt_strings none = { .n = 0 };
	const struct rpc_work *w = &cell->work;

	switch (w->kind) {
	case RPC_ECHO:
	case RPC_TRANSFER:
		buf_adds(path, "/echo");
		break;
	case RPC_UPLOAD:
		buf_adds(path, "/upload");
		break;
	case RPC_DOWNLOAD:
		buf_addf(path, "/download/%llu", (unsigned long long)w->size);
		break;
	case RPC_CALL:
	case RPC_AGAINST:
		add_call(path, w->call, w->bare ? &none : &cell->all->opts->args);
		break;
	default:
		buf_adds(path, is_page(cell->target) ? cell->target->url->path : "/ping");
		break;
	}
}

static int make_url(struct http_cell *c, const struct rpc_cell *cell, const char *path,
		    struct err *e)
{
	const struct url *u = cell->target->url;
	const char *scheme = cell->target->is_builtin ? "http" : u->scheme;
	char address[80];

	if (cell->target->is_builtin)
		snprintf(c->host, sizeof(c->host), "%s",
			 addr_format(&cell->target->address, address));
	else if (u->port == port_of(u))
		snprintf(c->host, sizeof(c->host), strchr(u->host, ':') ? "[%.250s]" : "%.250s",
			 u->host);
	else
		snprintf(c->host, sizeof(c->host),
			 strchr(u->host, ':') ? "[%.250s]:%u" : "%.250s:%u", u->host, u->port);
	buf_addf(&c->url, "%s://%s%s", scheme, c->host, path);
	c->plan.place.tls = strcmp(scheme, "https") == 0;
	c->plan.place.url = buf_text(&c->url);
	return c->url.failed ? err_nomem(e) : 0;
}

static void add_base64(struct buf *out, const char *text)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		unsigned v = (unsigned)(unsigned char)text[i] << 16;

		v |= left > 1 ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
		v |= left > 2 ? (unsigned)(unsigned char)text[i + 2] : 0;
		buf_addc(out, digit[v >> 18]);
		buf_addc(out, digit[v >> 12 & 63]);
		buf_addc(out, left > 1 ? digit[v >> 6 & 63] : '=');
		buf_addc(out, left > 2 ? digit[v & 63] : '=');
	}
}

static int add_line(struct http_cell *c, char *line, struct err *e)
{
	char **longer = reallocarray(c->line, c->n_lines + 1, sizeof(*longer));

	if (longer)
		c->line = longer;
	if (!longer || !line) {
		free(line);
		return err_nomem(e);
	}
	c->line[c->n_lines++] = line;
	return 0;
}

/* The fields of every request: --header, and the name and password of the URL. */
static int make_lines(struct http_cell *c, const struct rpc_cell *cell, struct err *e)
{
	const struct opt_strings *given = &cell->all->opts->http.headers;
	const char *user = cell->target->is_builtin ? NULL : cell->target->url->userinfo;
	CLEANUP(buf_done) struct buf secret = BUF_INIT;
	char agent[96];

	snprintf(c->agent, sizeof(c->agent), "mpbench/%.40s", version_text());
	snprintf(agent, sizeof(agent), "User-Agent: %s", c->agent);
	if (add_line(c, strdup(agent), e) < 0)
		return -1;
	for (size_t i = 0; i < given->n; i++)
		if (add_line(c, strdup(given->v[i]), e) < 0)
			return -1;
	if (!user)
		return 0;
	buf_adds(&secret, "Authorization: Basic ");
	add_base64(&secret, user);
	return secret.failed ? err_nomem(e) : add_line(c, buf_take(&secret), e);
}

static int load_body(struct buf *out, const char *text, struct err *e)
{
	CLEANUP_FD int fd = -1;
	struct stat st;
	ssize_t n = 1;

	if (text[0] != '@')
		return buf_adds(out, text) < 0 ? err_nomem(e) : 0;
	fd = open(text + 1, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_USAGE, "--body %s", text);
	if (!S_ISREG(st.st_mode) || st.st_size > BODY_MAX)
		return err_set(e, ERR_USAGE, "usage", "--body %s: no file of at most 1 GiB", text);
	while (n != 0) {
		if (buf_reserve(out, 65536) < 0)
			return err_nomem(e);
		n = read(fd, out->data + out->len, 65536);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_USAGE, "--body %s", text);
		out->len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The exchanges without their heads: bodies, and what must come back. */
static int make_exchanges(struct http_cell *c, const struct rpc_cell *cell, struct err *e)
{
	const struct rpc_opts *o = cell->all->opts;
	const struct rpc_work *w = &cell->work;
	uint64_t chunk = w->kind == RPC_TRANSFER && w->chunk ? w->chunk : w->size;
	size_t n = w->kind == RPC_TRANSFER && chunk ? (size_t)((w->size + chunk - 1) / chunk) : 1;
	struct http_exchange *x = calloc(n, sizeof(*x));

	if (!x)
		return err_nomem(e);
	c->exchange = x;
	c->plan.exchange = x;
	c->plan.n_exchanges = n;
	for (size_t i = 0; i < n; i++) {
		uint64_t at = i * chunk;

		x[i].body = w->payload + at;
		x[i].body_len = w->size - at < chunk ? w->size - at : chunk;
		x[i].expect = x[i].body;
		x[i].expect_len = x[i].body_len;
		x[i].check = HTTP_EXACT;
	}
	if (w->kind == RPC_ECHO || w->kind == RPC_TRANSFER)
		return 0;
	x->check = HTTP_COUNT;
	if (w->kind == RPC_UPLOAD)
		return 0;
	x->body = NULL;
	x->body_len = 0;
	x->check = w->kind == RPC_DOWNLOAD ? HTTP_STEADY : HTTP_ANY;
	if (w->kind != RPC_CALL)
		return 0;
	if (o->http.body) {
		if (load_body(&c->body, o->http.body, e) < 0)
			return -1;
		x->body = c->body.data ? c->body.data : "";
		x->body_len = c->body.len;
	}
	if (o->expect) {
		x->check = HTTP_EXACT;
		x->expect = o->expect;
		x->expect_len = strlen(o->expect);
	}
	return 0;
}

static int write_head(struct http_cell *c, const struct http_exchange *x, struct err *e)
{
	struct http_field field[HTTP_FIELDS_MAX];
	CLEANUP_FREE char *text = NULL;
	struct http_request r = { .method = c->method,
				  .target = c->path,
				  .host = c->host,
				  .agent = c->agent,
				  .field = field,
				  .has_body = x->body != NULL,
				  .close = false,
				  .body_bytes = x->body_len };
	size_t room = 1;

	for (size_t i = 0; i < c->n_lines; i++)
		room += strlen(c->line[i]) + 1;
	text = malloc(room);
	if (!text)
		return err_nomem(e);
	if (c->n_lines > HTTP_FIELDS_MAX)
		return err_set(e, ERR_USAGE, "usage", "more than %d headers", HTTP_FIELDS_MAX - 2);
	/* the first is the agent's, which http_request_write adds itself */
	for (size_t i = 1, at = 0; i < c->n_lines; i++) {
		memcpy(text + at, c->line[i], strlen(c->line[i]) + 1);
		if (http_field_parse(text + at, &field[r.n_fields++], e) < 0)
			return -1;
		at += strlen(c->line[i]) + 1;
	}
	return http_request_write(&r, &c->heads, e);
}

/* All heads in one block, a small body behind each; the pointers are set when it has stopped growing. */
static int make_heads(struct http_cell *c, struct err *e)
{
	size_t at = 0;

	for (size_t i = 0; i < c->plan.n_exchanges; i++) {
		struct http_exchange *x = &c->exchange[i];
		size_t from = c->heads.len;

		if (write_head(c, x, e) < 0)
			return -1;
		x->head_len = c->heads.len - from;
		if (x->body && x->body_len <= BODY_BESIDE)
			buf_add(&c->heads, x->body, x->body_len);
	}
	if (c->heads.failed)
		return err_nomem(e);
	for (size_t i = 0; i < c->plan.n_exchanges; i++) {
		struct http_exchange *x = &c->exchange[i];

		x->head = c->heads.data + at;
		at += x->head_len;
		if (!x->body || x->body_len > BODY_BESIDE)
			continue;
		x->body = c->heads.data + at;
		at += x->body_len;
	}
	return 0;
}

static const char *method_of(const struct rpc_cell *cell)
{
	const struct rpc_http_opts *o = &cell->all->opts->http;

	switch (cell->work.kind) {
	case RPC_ECHO:
	case RPC_UPLOAD:
	case RPC_TRANSFER:
		return "POST";
	case RPC_CALL:
		return o->method ? o->method : o->body ? "POST" : "GET";
	default:
		return "GET";
	}
}

/* The builtin server has no HTTP/2. */
static int version_of(const struct rpc_cell *cell)
{
	return cell->target->is_builtin ? 0 : cell->all->opts->http.version;
}

static int fill(struct http_cell *c, const struct rpc_cell *cell, struct err *e)
{
	const struct rpc_http_opts *o = &cell->all->opts->http;
	const struct rpc_work *w = &cell->work;
	CLEANUP(buf_done) struct buf path = BUF_INIT;
	struct http_plan *p = &c->plan;

	if (http_plan_init(p, e) < 0)
		return -1;
	buf_init(&path, PATH_MAX_);
	add_path(&path, cell);
	if (path.failed)
		return err_set(e, ERR_USAGE, "usage", "a path of more than %d bytes", PATH_MAX_);
	c->method = method_of(cell);
	if (make_url(c, cell, buf_text(&path), e) < 0 || make_lines(c, cell, e) < 0 ||
	    make_exchanges(c, cell, e) < 0)
		return -1;
	c->path = buf_take(&path);
	if (!c->path)
		return err_nomem(e);
	p->address = cell->target->address;
	p->place.insecure = o->insecure;
	p->place.cacert = o->cacert;
	p->place.cert = o->cert;
	p->place.key = o->key;
	p->place.proxy = cell->target->is_builtin ? NULL : o->proxy;
	p->place.version = version_of(cell) ? HTTP_VERSION_2 : HTTP_VERSION_11;
	p->method = c->method;
	p->field = (const char *const *)c->line;
	p->n_fields = c->n_lines;
	p->fast = o->engine == 0;
	p->fresh = w->fresh;
	p->connect_first = true;
	p->alone = w->alone;
	p->sessions = w->concurrency;
	p->count_sent = w->kind == RPC_UPLOAD || w->kind == RPC_ECHO || w->kind == RPC_TRANSFER;
	p->count_received =
		w->kind == RPC_DOWNLOAD || w->kind == RPC_ECHO || w->kind == RPC_TRANSFER;
	p->work = w->kind == RPC_CONNECT ? HTTP_CONNECT
		  : w->kind == RPC_READY ? HTTP_READY
					 : HTTP_REQUEST;
	return 0;
}

/* A page is no service: what needs /echo and the like is left out, unless it was asked for by name. */
static bool means_nothing(const struct rpc_cell *cell)
{
	bool asked = cell->all->opts->cases.n > 0;

	switch (cell->work.kind) {
	case RPC_ECHO:
	case RPC_UPLOAD:
	case RPC_DOWNLOAD:
	case RPC_TRANSFER:
		return is_page(cell->target) && !asked;
	default:
		return false;
	}
}

static int make_cell(struct rpc_cell *cell, struct engine_case *ec, struct err *e)
{
	struct http_cell *c;

	if (means_nothing(cell))
		return 1;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	cell->plan = c;
	if (fill(c, cell, e) < 0)
		return -1;
	/* the engine and the like are in config and identity: as parameters they would keep a case from being compared with
	 * RPyC's of the same name */
	if (c->plan.work == HTTP_READY || c->plan.fresh)
		ec->phases = http_phases;
	return 0;
}

static int copy_bodies(struct rpc_cell *cell, struct err *e)
{
	return make_heads(cell->plan, e);
}

static int make_session(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
			struct session **out, struct err *e)
{
	struct rpc_cell *cell = ctx;
	struct http_cell *c = cell->plan;

	(void)sink;
	return http_session_new(&c->plan, loop, &cell->answered[index % cell->work.concurrency],
				out, e);
}

static void collect(struct rpc_cell *cell, struct rpc_tally *out)
{
	struct http_cell *c = cell->plan;
	struct http_facts *f = cell->target->facts;
	struct http_tally t;

	http_plan_collect(&c->plan, &t);
	if (t.server[0])
		memcpy(f->server, t.server, sizeof(f->server));
	if (t.version)
		snprintf(f->version, sizeof(f->version), t.version == 20 ? "HTTP/2" : "HTTP/1.%u",
			 t.version % 10);
	*out = (struct rpc_tally){ .requests = t.requests,
				   .round_trips = t.requests,
				   .opened = t.opened,
				   .reused = t.reused,
				   .sent_bytes = t.sent_bytes,
				   .received_bytes = t.received_bytes,
				   .stalls = t.stalls };
}

static void identity(struct rpc_target *t, const char **pairs, size_t *n, size_t max)
{
	struct http_facts *f = t->facts;
	size_t words = strcspn(http_curl_version(), " ");

	/* libcurl and its TLS; what else it was built with is of no interest here */
	words += 1 + strcspn(http_curl_version() + words + 1, " ");
	snprintf(f->libcurl, sizeof(f->libcurl), "%.*s", (int)words, http_curl_version());
	rpc_add_pair(pairs, n, max, "protocol", f->version[0] ? f->version : "HTTP");
	rpc_add_pair(pairs, n, max, "server", f->server);
	rpc_add_pair(pairs, n, max, "engine", engine_names[t->all->opts->http.engine]);
	rpc_add_pair(pairs, n, max, "libcurl", f->libcurl);
}

static void cell_done(struct rpc_cell *cell)
{
	struct http_cell *c = cell->plan;

	if (!c)
		return;
	http_plan_done(&c->plan);
	buf_done(&c->url);
	buf_done(&c->heads);
	free(c->path);
	buf_done(&c->body);
	for (size_t i = 0; i < c->n_lines; i++)
		free(c->line[i]);
	free(c->line);
	free(c->exchange);
	free(c);
	cell->plan = NULL;
}

static void forget_target(struct rpc_target *t)
{
	free(t->facts);
	t->facts = NULL;
}

static const char *const schemes[] = { "http", "https", NULL };

static const char *const serve_options[] = { "--max-body=1G", NULL };

const struct rpc_scheme rpc_scheme_http = {
	.schemes = schemes,
	.serve = "http",
	.serve_options = serve_options,
	.port = 80,
	.port_of = port_of,
	.target = target,
	.cell = make_cell,
	.filled = copy_bodies,
	.make = make_session,
	.collect = collect,
	.identity = identity,
	.cell_done = cell_done,
	.target_done = forget_target,
};
