/* mpbench bench-rpc - calls of RPyC and HTTP servers, side by side. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "rpc-added.h"
#include "rpc-cases.h"
#include "rpc-report.h"
#include "rpc-usage.h"

static const struct rpc_opts defaults = {
	.plan = PLAN_DEFAULT,
	.concurrencies = { .n = 1, .v = { 1 } },
	.in_flight = 1,
	.floor = true,
};

/* clang-format off */
static const struct opt table[] = {
	OPT_TITLE("What is measured"),
	OPT_WORDS_ROW(0, "case", OPT_WHAT, struct rpc_opts, cases, "NAME", "connect, ready, ping, echo, concurrent; upload, download, transfer (there and back), call, reuse", .choices = rpc_case_names),
	OPT_SIZES_ROW(0, "size", OPT_WHAT, struct rpc_opts, sizes, "SIZE", "payloads of echo, upload, download, transfer", .max = 1 << 30, .given = OPT_GIVEN(struct rpc_opts, has_sizes)),
	OPT_SIZES_ROW(0, "chunk", OPT_WHAT, struct rpc_opts, chunks, "SIZE", "pieces of transfer; 0: whole [0,64K]", .max = 1 << 28, .given = OPT_GIVEN(struct rpc_opts, has_chunks)),
	OPT_ENUM_ROW(0, "payload", OPT_WHAT, struct rpc_opts, payload, rpc_payload_names, "what they hold"),
	OPT_NUMBERS_ROW('c', "concurrency", OPT_WHAT, struct rpc_opts, concurrencies, "N", "clients at once; concurrent: [10,128]", .min = 1, .max = 100000, .given = OPT_GIVEN(struct rpc_opts, has_concurrency)),
	OPT_STRING_ROW(0, "call", OPT_WHAT, struct rpc_opts, call, "NAME", "method of the case call"),
	OPT_STRINGS_ROW(0, "arg", OPT_WHAT, struct rpc_opts, args, "VALUE", "Python literal for it; NAME=VALUE: keyword"),
	OPT_STRING_ROW(0, "expect", OPT_WHAT, struct rpc_opts, expect, "VALUE", "what it must return"),
	OPT_STRING_ROW(0, "against", OPT_WHAT, struct rpc_opts, against, "NAME", "baseline call, same arguments; NAME(): none"),
	OPT_FLAG_ROW(0, "floor", OPT_HOW, struct rpc_opts, floor, "measure the builtin server, too"),
	OPT_ENUM_ROW(0, "sequence", OPT_WHAT, struct rpc_opts, sequence, rpc_sequence_names, "RPyC: one request a call, or Python's three"),
	OPT_ENUM_ROW(0, "compress", OPT_WHAT, struct rpc_opts, compress, rpc_compress_names, "RPyC: as Python does, above 3,000 bytes"),
	OPT_U32_ROW(0, "in-flight", OPT_WHAT, struct rpc_opts, in_flight, "N", "RPyC: requests of an operation sent at once", .min = 1, .max = 1000),
	OPT_GROUP(rpc_http_opts, struct rpc_http_opts, struct rpc_opts, http),
	OPT_GROUP(plan_matrix_opts, struct plan, struct rpc_opts, plan),
	OPT_GROUP(compare_opts, struct compare_opts, struct rpc_opts, compare),
	OPT_GROUP(syscalls_opts, struct syscalls_opts, struct rpc_opts, syscalls),
	OPT_GROUP(common_opts, struct common_opts, struct rpc_opts, common),
	OPT_END,
};
/* clang-format on */

static pid_t builtin_server(void *ctx, size_t i)
{
	struct rpc_cases *c = ctx;

	return c->target[i].is_builtin ? c->target[i].builtin.child.pid : 0;
}

/* Where nothing stands beside the null server, it is the floor. */
static void add_builtins(struct rpc_cases *c)
{
	for (size_t i = 0; i < c->n_targets; i++)
		if (c->target[i].is_builtin)
			buf_addf(&c->after, "%s is the server that does nothing: the floor here.\n",
				 c->target[i].target->label);
}

static int add_usage(void *ctx, struct document *d, const struct measurement *m, struct err *e)
{
	struct rpc_cases *c = ctx;

	(void)d;
	rpc_added_table(m, &c->after);
	rpc_usage_table(m, &c->after);
	add_builtins(c);
	return c->after.failed ? err_nomem(e) : 0;
}

static void print_after(const struct rpc_cases *c)
{
	const struct common_opts *o = &c->opts->common;

	if (!o->json && !o->quiet && !(o->output && strcmp(o->output, "-") == 0))
		fputs(buf_text(&c->after), stdout);
}

extern const struct cmd cmd_bench_rpc;

static int measure(struct rpc_cases *c, const struct rpc_opts *o, struct common *common,
		   char **argv, struct err *e)
{
	struct engine_probe counts = rpc_report_probe(c);
	struct bench_target shown[RPC_TARGETS_MAX + RPC_SCHEMES_MAX];
	struct bench b = { .cmd = &cmd_bench_rpc,
			   .argv = argv,
			   .options = o,
			   .plan = &o->plan,
			   .common = common,
			   .targets = shown,
			   .n_targets = c->n_all,
			   .started = c->parsed,
			   .n_started = c->n_targets,
			   .cases = c->cases,
			   .n_cases = c->n_cases,
			   .probes = &counts,
			   .n_probes = 1,
			   .syscalls = &o->syscalls,
			   .ctx = c,
			   .derive = rpc_report_derive,
			   .extend = add_usage,
			   .identity = rpc_report_identity,
			   .server = builtin_server };
	int rc;

	for (size_t i = 0; i < c->n_all; i++)
		shown[i] = (struct bench_target){ .target = &c->parsed[i] };
	rc = bench_go(&b, e);
	if (rc >= 0 || e->kind == ERR_TARGET)
		print_after(c);
	return rc;
}

static int run(int argc, char **argv, struct err *e)
{
	struct rpc_opts o = defaults;
	CLEANUP(rpc_cases_done) struct rpc_cases c = { 0 };
	CLEANUP(common_done) struct common common = { 0 };
	const char *operands[RPC_TARGETS_MAX];
	size_t n = 0;
	int rc = cmd_parse(&cmd_bench_rpc, argc, argv, &o, operands, RPC_TARGETS_MAX, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	o.plan.concurrency = 1;
	for (size_t i = 0; i < o.concurrencies.n; i++) {
		if (o.concurrencies.v[i] > o.plan.concurrency)
			o.plan.concurrency = (uint32_t)o.concurrencies.v[i];
	}
	if (!o.call && (o.args.n || o.expect || o.http.method || o.http.body))
		return err_set(
			e, ERR_USAGE, "usage",
			"--arg, --expect, --method and --body are of --call NAME: name that too");
	if (plan_check(&o.plan, e) < 0 || rpc_http_check(&o.http, e) < 0 ||
	    common_init(&common, &o.common, "bench-rpc", e) < 0 ||
	    rpc_cases_make(&c, &o, operands, n, &common.log, e) < 0)
		return -1;
	return measure(&c, &o, &common, argv, e);
}

static const char *const examples[] = {
	"mpbench bench-rpc rpyc://localhost",
	"calls, payloads, many clients",
	"mpbench bench-rpc --sequence python rpyc://localhost",
	"what the three requests of a call in Python cost",
	"mpbench bench-rpc --case echo --size 1K,1M --compress auto rpyc://localhost",
	"payloads, compressed as Python does",
	"mpbench bench-rpc --call compute --arg 1000 --against echo builtin:rpyc",
	"what the application adds to a call",
	NULL,
};

const struct cmd cmd_bench_rpc = {
	.group = CMD_MEASURE,
	.name = "bench-rpc",
	.operands = "[TARGET...]",
	.summary = "benchmark RPyC and HTTP servers side by side",
	.about =
		"Connects, calls, moves payloads and runs many clients at once, and says what each takes; values that come "
		"back are compared. Targets: rpyc://HOST[:18812], rpycs:// (TLS), builtin:rpyc (the default: mpbench serve rpyc in a "
		"child). The methods called are ping, echo, upload and download; any other with --call.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
