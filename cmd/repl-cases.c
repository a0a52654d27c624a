#include "repl-cases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

enum { SCRIPT_MAX = 1 << 20 };
/* Most iterations of a run for cases whose operation is a whole session, a file or a reset. */
enum {
	CAP_SESSION = 100,
	CAP_CLIENT = 20,
	CAP_FILE = 50,
	CAP_RESET = 20,
	CAP_MEMORY = 20,
	CAP_RECONNECT = 3
};

const char *const repl_case_names[] = {
	"connect", "negotiate",	 "banner",    "raw-enter",  "raw-exit",	  "exec",  "print",
	"upload",  "download",	 "session",   "soft-reset", "eval",	  "batch", "fs",
	"memory",  "throughput", "reconnect", "script",	    "concurrent", NULL,
};

static const char *const default_cases[] = { "connect",	 "negotiate", "banner", "raw-enter",
					     "raw-exit", "exec",      "print",	"upload",
					     "download", "session" };

/* What the builders below work on. */
struct making {
	struct repl_plan *p;
	const struct repl_opts *o;
	struct err *e;
};

void repl_plan_done(struct repl_plan *p)
{
	for (size_t i = 0; i < p->n_workloads; i++)
		free(p->workload[i]);
	for (size_t i = 0; i < p->n_jobs; i++)
		repl_job_free(p->job[i]);
	for (size_t i = 0; i < p->n_clients; i++)
		free(p->client[i].argv);
	for (size_t i = 0; i < p->n_targets; i++)
		target_done(&p->target[i]);
	free(p->workload);
	free(p->job);
	free(p->client);
	free(p->cases);
}

/* Adds one element to a growing array of pointers. */
static int keep(void *array, size_t *n, void *item, struct err *e)
{
	void ***v = array;
	void **grown = reallocarray(*v, *n + 1, sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	*v = grown;
	grown[(*n)++] = item;
	return 0;
}

static int keep_job(struct making *k, struct repl_job *j)
{
	if (keep(&k->p->job, &k->p->n_jobs, j, k->e) < 0) {
		repl_job_free(j);
		return -1;
	}
	return 0;
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

static int add_engine_case(struct making *k, const struct engine_case *c)
{
	struct engine_case *grown;

	if (k->p->n_cases >= REPL_CASES_MAX)
		return err_set(k->e, ERR_USAGE, "usage",
			       "more than %d cases: choose fewer sizes, gaps or targets",
			       REPL_CASES_MAX);
	grown = reallocarray(k->p->cases, k->p->n_cases + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(k->e);
	k->p->cases = grown;
	grown[k->p->n_cases++] = *c;
	return 0;
}

/* One case on every variant that has it: `c` and `w` are what is common. */
static int add_case(struct making *k, const struct engine_case *c, const struct repl_workload *w)
{
	for (size_t i = 0; i < k->p->n_variants; i++) {
		struct repl_variant *v = &k->p->variant[i];
		struct repl_workload *mine;
		struct engine_case one = *c;

		if ((w->kind == REPL_NEGOTIATE && !v->telnet) ||
		    (w->kind == REPL_RECONNECT && v->spawned))
			continue;
		mine = malloc(sizeof(*mine));
		if (!mine)
			return err_nomem(k->e);
		*mine = *w;
		if (keep(&k->p->workload, &k->p->n_workloads, mine, k->e) < 0) {
			free(mine);
			return -1;
		}
		mine->target = v->target;
		mine->style = v->style;
		mine->mode = (enum repl_mode)k->o->mode;
		mine->soft_reset = k->o->soft_reset;
		mine->option_timeout_ns = k->o->of.option_timeout_ns;
		mine->server_cpu = k->p->server_cpu;
		mine->log = k->p->log;
		mine->seen = &v->seen;
		one.target = v->label;
		one.target_index = v->index;
		one.make = repl_session_make;
		one.ctx = mine;
		if (!one.sessions)
			one.sessions = v->target->n_members > k->o->plan.concurrency
					       ? (unsigned)v->target->n_members
					       : k->o->plan.concurrency;
		if (w->kind == REPL_BANNER &&
		    v->spawned) { /* only a new process prints it unasked */
			one.fresh = true;
			one.slow_cap = CAP_SESSION;
		}
		if (add_engine_case(k, &one) < 0)
			return -1;
	}
	return 0;
}

static int add_simple(struct making *k, const char *name, enum repl_kind kind, bool fresh)
{
	struct repl_workload w = { .kind = kind };
	struct engine_case c = { .name = name, .fresh = fresh };

	if (fresh)
		c.slow_cap = CAP_SESSION;
	if (kind == REPL_NEGOTIATE)
		c.subs = repl_negotiate_subs;
	if (kind == REPL_SOFT_RESET)
		c.slow_cap = CAP_RESET;
	return add_case(k, &c, &w);
}

/* A case that executes a job; takes the job. */
static int add_job(struct making *k, struct engine_case *c, struct repl_job *j)
{
	struct repl_workload w = { .kind = REPL_JOB, .job = j };

	if (keep_job(k, j) < 0)
		return -1;
	return add_case(k, c, &w);
}

static int add_exec(struct making *k, const char *name, const char *code, enum repl_expect expect,
		    const char *text, unsigned sessions)
{
	struct engine_case c = { .name = name, .sessions = sessions };
	struct repl_job *j;

	if (repl_job_exec(&j, code, expect, text, k->e) < 0)
		return -1;
	if (sessions)
		put_integer(&c, "sessions", sessions);
	return add_job(k, &c, j);
}

static int add_session(struct making *k)
{
	struct repl_workload w = { .kind = REPL_SESSION };
	struct engine_case c = {
		.name = "repl.session",
		.fresh = true,
		.phases = repl_session_phases,
		.slow_cap = CAP_SESSION,
	};

	if (repl_job_exec(&w.job, "pass", REPL_EXPECT_NOTHING, NULL, k->e) < 0 ||
	    keep_job(k, w.job) < 0)
		return -1;
	return add_case(k, &c, &w);
}

static int index_of(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* Every combination of sizes, chunks and encodings. */
static int add_file(struct making *k, const char *name, bool up)
{
	const struct repl_opts *o = k->o;

	for (size_t s = 0; s < o->of.sizes.n; s++) {
		for (size_t c = 0; c < o->of.chunks.n; c++) {
			for (size_t n = 0; n < o->of.encodings.n; n++) {
				struct repl_file f = {
					.size = o->of.sizes.v[s],
					.chunk = o->of.chunks.v[c],
					.seed = o->plan.seed,
					.encoding = (enum repl_encoding)index_of(
						repl_encoding_names, o->of.encodings.v[n]),
					.random = o->of.payload == 1,
					.path = o->of.path,
				};
				struct engine_case ec = {
					.name = name,
					.headline = "throughput",
					.slow_cap = CAP_FILE,
					/* 1 KiB/s is slower than any port */
					.patience = 1 + (uint32_t)(f.size / 10240),
				};
				struct repl_job *j;

				put_integer(&ec, "size", f.size);
				put_integer(&ec, "chunk", f.chunk);
				put_text(&ec, "encoding", o->of.encodings.v[n]);
				if ((up ? repl_job_upload : repl_job_download)(&j, &f, k->e) < 0 ||
				    add_job(k, &ec, j) < 0)
					return -1;
			}
		}
	}
	return 0;
}

static int add_eval(struct making *k)
{
	if (k->o->of.evals.n == 0)
		return err_set(k->e, ERR_USAGE, "usage", "--case eval needs --eval EXPRESSION");
	for (size_t i = 0; i < k->o->of.evals.n; i++) {
		struct engine_case c = { .name = "repl.eval" };
		struct repl_job *j;

		put_text(&c, "expression", k->o->of.evals.v[i]);
		if (repl_job_eval(&j, k->o->of.evals.v[i], k->e) < 0 || add_job(k, &c, j) < 0)
			return -1;
	}
	return 0;
}

static int add_batch(struct making *k)
{
	for (int one = 1; one >= 0; one--) {
		struct engine_case c = { .name = "repl.batch", .slow_cap = CAP_SESSION };
		struct repl_job *j;

		put_integer(&c, "statements", k->o->of.statements);
		put_text(&c, "form", one ? "one-exec" : "one-each");
		if (repl_job_batch(&j, k->o->of.statements, one, k->e) < 0 || add_job(k, &c, j) < 0)
			return -1;
	}
	return 0;
}

static int add_fs(struct making *k)
{
	struct engine_case c = { .name = "repl.fs",
				 .phases = repl_fs_phases,
				 .slow_cap = CAP_FILE };
	struct repl_file f = { .size = 256, .chunk = 256, .seed = k->o->plan.seed };
	CLEANUP_FREE char *path = NULL;
	struct repl_job *j;

	if (asprintf(&path, "%s.d", k->o->of.path) < 0)
		return err_nomem(k->e);
	f.path = path;
	if (repl_job_fs(&j, &f, k->e) < 0)
		return -1;
	return add_job(k, &c, j);
}

static int add_memory(struct making *k)
{
	struct engine_case c = {
		.name = "repl.memory",
		.slow_cap = CAP_MEMORY,
		.value_name = "mem_free",
		.value_unit = "bytes",
		.value_better = BETTER_HIGHER,
	};
	struct repl_job *j;

	if (repl_job_memory(&j, k->e) < 0)
		return -1;
	return add_job(k, &c, j);
}

static int add_throughput(struct making *k)
{
	struct engine_case c = { .name = "repl.throughput",
				 .headline = "throughput",
				 .slow_cap = CAP_FILE,
				 .patience = 1 + (uint32_t)(k->o->of.flood_bytes / 10240) };
	struct repl_job *j;

	put_integer(&c, "bytes", k->o->of.flood_bytes / 64 * 64);
	if (repl_job_throughput(&j, k->o->of.flood_bytes, k->e) < 0)
		return -1;
	return add_job(k, &c, j);
}

static int add_reconnect(struct making *k)
{
	for (size_t i = 0; i < k->o->of.gaps.n; i++) {
		struct engine_case c = { .name = "repl.reconnect",
					 .fresh = true,
					 .slow_cap = CAP_RECONNECT };
		struct repl_workload w = { .kind = REPL_RECONNECT };

		if (num_parse_duration(k->o->of.gaps.v[i], &w.gap_ns, k->e) < 0)
			return err_wrap(k->e, "--gaps");
		put_integer(&c, "gap_ms", w.gap_ns / NS_PER_MS);
		if (add_case(k, &c, &w) < 0)
			return -1;
	}
	return 0;
}

static int read_script(const char *path, struct buf *out, struct err *e)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return err_sys(e, ERR_USAGE, "--script %s", path);
	out->max = SCRIPT_MAX;
	while (n > 0) {
		if (buf_reserve(out, 65536) < 0 && buf_reserve(out, 1) < 0)
			return err_set(e, ERR_USAGE, "usage", "--script %s: longer than 1 MiB",
				       path);
		n = read(fd, out->data + out->len, out->cap - out->len - 1);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_USAGE, "--script %s", path);
		if (n > 0)
			out->len += (size_t)n;
		n = n < 0 ? 1 : n;
	}
	return 0;
}

static int add_script(struct making *k)
{
	const struct repl_opts *o = k->o;

	if (o->of.scripts.n == 0)
		return err_set(k->e, ERR_USAGE, "usage", "--case script needs --script FILE");
	for (size_t i = 0; i < o->of.scripts.n; i++) {
		CLEANUP(buf_done) struct buf source = BUF_INIT;
		const char *slash = strrchr(o->of.scripts.v[i], '/');
		struct engine_case c = {
			.name = "repl.script",
			.slow_cap = CAP_FILE,
			.value_name = "device_time",
			.value_unit = "ns",
			.value_better = BETTER_LOWER,
			.patience = 6,
		};
		struct repl_job *j;

		put_text(&c, "script", slash ? slash + 1 : o->of.scripts.v[i]);
		if (read_script(o->of.scripts.v[i], &source, k->e) < 0)
			return -1;
		if (repl_job_script(&j, buf_text(&source), source.len, o->of.bm_n, o->of.bm_m,
				    k->e) < 0)
			return err_wrap(k->e, "--script %s", o->of.scripts.v[i]);
		if (add_job(k, &c, j) < 0)
			return -1;
	}
	return 0;
}

static int add_concurrent(struct making *k)
{
	size_t members = 1;
	unsigned n = k->o->plan.concurrency;

	for (size_t i = 0; i < k->p->n_targets; i++)
		members = k->p->target[i].n_members > members ? k->p->target[i].n_members : members;
	if (n < 2)
		n = members > 1 ? (unsigned)members : 4;
	return add_exec(k, "repl.concurrent", "pass", REPL_EXPECT_NOTHING, NULL, n);
}

static int add_named(struct making *k, const char *name)
{
	switch (index_of(repl_case_names, name)) {
	case 0:
		return add_simple(k, "repl.connect", REPL_CONNECT, true);
	case 1:
		return add_simple(k, "repl.negotiate", REPL_NEGOTIATE, true);
	case 2:
		return add_simple(k, "repl.banner", REPL_BANNER, false);
	case 3:
		return add_simple(k, "repl.raw-enter", REPL_ENTER, false);
	case 4:
		return add_simple(k, "repl.raw-exit", REPL_EXIT, false);
	case 5:
		return add_exec(k, "repl.exec", "pass", REPL_EXPECT_NOTHING, NULL, 0);
	case 6:
		return add_exec(k, "repl.print", "print(1)", REPL_EXPECT_TEXT, "1\n", 0);
	case 7:
		return add_file(k, "repl.upload", true);
	case 8:
		return add_file(k, "repl.download", false);
	case 9:
		return add_session(k);
	case 10:
		return add_simple(k, "repl.soft-reset", REPL_SOFT_RESET, false);
	case 11:
		return add_eval(k);
	case 12:
		return add_batch(k);
	case 13:
		return add_fs(k);
	case 14:
		return add_memory(k);
	case 15:
		return add_throughput(k);
	case 16:
		return add_reconnect(k);
	case 17:
		return add_script(k);
	case 18:
		return add_concurrent(k);
	default: {
		const char *near =
			opt_nearest(name, repl_case_names,
				    sizeof(repl_case_names) / sizeof(repl_case_names[0]) - 1);

		return err_set(k->e, ERR_USAGE, "usage", "--case %s: there is no such case%s%s%s",
			       name, near ? "; did you mean " : " (--help lists them)",
			       near ? near : "", near ? "?" : "");
	}
	}
}

/* The user's own clients, one case per client on every target. */
static int add_clients(struct making *k)
{
	const struct opt_strings *clients = &k->o->compare.clients;
	size_t n = clients->n * k->p->n_targets;

	if (n == 0)
		return 0;
	k->p->client = calloc(n, sizeof(*k->p->client));
	if (!k->p->client)
		return err_nomem(k->e);
	for (size_t c = 0; c < clients->n; c++) {
		for (size_t t = 0; t < k->p->n_targets; t++) {
			struct command_workload *w = &k->p->client[k->p->n_clients];
			struct engine_case ec = {
				.name = "repl.client",
				.fresh = true,
				.sessions = 1,
				.slow_cap = CAP_CLIENT,
				.value_name = "client_cpu",
				.value_unit = "ns",
				.value_better = BETTER_LOWER,
				.make = command_session_make,
				.ctx = w,
				.patience = 6,
				.target_index = (unsigned)t,
			};
			const struct url *u = &k->p->target[t].member[0];
			const char *shown = strcmp(u->scheme, "serial") == 0 ? u->path : u->shown;

			if (command_workload_make(w, clients->v[c], shown, k->e) < 0)
				return -1;
			k->p->n_clients++;
			ec.target = k->p->target[t].label;
			put_text(&ec, "client", clients->v[c]);
			if (add_engine_case(k, &ec) < 0)
				return -1;
		}
	}
	return 0;
}

static int add_targets(struct making *k, const char *const *targets, size_t n)
{
	static const char *const builtin[] = { "builtin:" };
	static const char *const known[] = {
		"exec", "serial", "socket", "rfc2217", "builtin", NULL
	};

	if (n == 0) {
		targets = builtin;
		n = 1;
	}
	if (n > REPL_TARGETS_MAX)
		return err_set(k->e, ERR_USAGE, "usage", "at most %d targets", REPL_TARGETS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct target *t = &k->p->target[i];

		if (target_parse(t, targets[i], k->e) < 0)
			return -1;
		k->p->n_targets++;
		if (!t->label[0]) {
			free(t->label);
			t->label = NULL;
			if (asprintf(&t->label, "t%zu", i + 1) < 0) {
				t->label = NULL;
				return err_nomem(k->e);
			}
		}
		for (size_t m = 0; m < t->n_members; m++)
			if (index_of(known, t->member[m].scheme) < 0)
				return err_set(
					k->e, ERR_USAGE, "usage",
					"%s: bench-repl has no %s:// targets (exec: serial:// socket:// "
					"rfc2217:// builtin:)",
					t->member[m].shown, t->member[m].scheme);
		for (size_t other = 0; other < i; other++)
			if (strcmp(k->p->target[other].label, t->label) == 0)
				return err_set(k->e, ERR_USAGE, "usage",
					       "two targets are called %s", t->label);
	}
	return 0;
}

/* Styles make variants of a target; the first style of all targets comes first, so that ratios are against it. */
static int add_variants(struct making *k)
{
	for (size_t t = 0; t < k->p->n_targets; t++) {
		for (size_t s = 0; s < k->o->styles.n; s++) {
			struct repl_variant *v = &k->p->variant[k->p->n_variants];
			const struct target *target = &k->p->target[t];
			int style = index_of(repl_style_names, k->o->styles.v[s]);

			if (style < 0)
				return err_set(k->e, ERR_USAGE, "usage",
					       "--client-style %s: native, pyserial or mpremote",
					       k->o->styles.v[s]);
			if (s >= 3)
				return err_set(k->e, ERR_USAGE, "usage",
					       "--client-style: each style once");
			v->target = target;
			v->index = (unsigned)k->p->n_variants;
			v->style = (enum repl_style)style;
			v->spawned = repl_is_spawned(&target->member[0]);
			v->telnet = strcmp(target->member[0].scheme, "rfc2217") == 0;
			if (k->o->styles.n > 1)
				snprintf(v->label, sizeof(v->label), "%.40s@%s", target->label,
					 k->o->styles.v[s]);
			else
				snprintf(v->label, sizeof(v->label), "%s", target->label);
			k->p->n_variants++;
		}
	}
	return 0;
}

static int check_options(const struct repl_opts *o, struct err *e)
{
	for (size_t i = 0; i < o->of.encodings.n; i++)
		if (index_of(repl_encoding_names, o->of.encodings.v[i]) < 0)
			return err_set(e, ERR_USAGE, "usage", "--encoding %s: repr, hex or base64",
				       o->of.encodings.v[i]);
	if (o->of.flood_bytes < 64)
		return err_set(e, ERR_USAGE, "usage", "--bytes must be 64 at least");
	if (o->of.sizes.n == 0 || o->of.chunks.n == 0)
		return err_set(e, ERR_USAGE, "usage", "--size and --chunk need a value");
	return 0;
}

int repl_plan_make(struct repl_plan *p, const struct repl_opts *o, const char *const *targets,
		   size_t n_targets, const struct log *log, struct err *e)
{
	struct making k = { .p = p, .o = o, .e = e };
	const char *const *cases = o->cases.n ? o->cases.v : default_cases;
	size_t n = o->cases.n ? o->cases.n : sizeof(default_cases) / sizeof(default_cases[0]);
	int client;

	p->log = log;
	if (check_options(o, e) < 0 || plan_pin(&o->plan, &client, &p->server_cpu, e) < 0 ||
	    add_targets(&k, targets, n_targets) < 0 || add_variants(&k) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_named(&k, cases[i]) < 0)
			return -1;
	/* giving an expression or a script asks for its case */
	if (!o->cases.n &&
	    ((o->of.evals.n && add_eval(&k) < 0) || (o->of.scripts.n && add_script(&k) < 0)))
		return -1;
	if (add_clients(&k) < 0)
		return -1;
	if (p->n_cases == 0)
		return err_set(
			e, ERR_USAGE, "usage",
			"none of the chosen cases applies to these targets (negotiate needs rfc2217://, reconnect a "
			"device that outlives its session)");
	return 0;
}
