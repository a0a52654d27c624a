/* mpbench bench-repl - MicroPython's REPL over serial, a spawned pty, raw TCP or RFC 2217, step by step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "explain/budget.h"
#include "repl-cases.h"

static const char *const payload_names[] = { "text", "random", NULL };

static const struct repl_opts defaults = {
	.plan = PLAN_DEFAULT,
	.styles = { .n = 1, .v = { "native" } },
	.resume = true,
	.of = {
		.encodings = { .n = 1, .v = { "repr" } },
		.sizes = { .n = 1, .v = { 4096 } },
		.chunks = { .n = 1, .v = { 256 } },
		.gaps = { .n = 4, .v = { "0s", "100ms", "500ms", "1s" } },
		.option_timeout_ns = 3 * NS_PER_SEC,
		.flood_bytes = 65536,
		.statements = 10,
		.bm_n = 100,
		.bm_m = 100,
		.path = "mpbench.tmp",
	},
};

/* clang-format off */
static const struct opt case_opts[] = {
	OPT_TITLE("Of single cases"),
	OPT_SIZES_ROW(0, "size", OPT_WHAT, struct repl_case_opts, sizes, "SIZE", "file sizes of upload and download", .min = 1, .max = 64 << 20),
	OPT_SIZES_ROW(0, "chunk", OPT_WHAT, struct repl_case_opts, chunks, "SIZE", "bytes of the file per execution", .min = 1, .max = 65536),
	OPT_WORDS_ROW(0, "encoding", OPT_WHAT, struct repl_case_opts, encodings, "NAME", "of the chunks: repr, hex, base64"),
	OPT_ENUM_ROW(0, "payload", OPT_WHAT, struct repl_case_opts, payload, payload_names, "what the files hold"),
	OPT_STRING_ROW(0, "path", OPT_WHAT, struct repl_case_opts, path, "PATH", "file on the device that may be overwritten"),
	OPT_STRINGS_ROW('e', "eval", OPT_WHAT, struct repl_case_opts, evals, "EXPR", "expression of the case eval"),
	OPT_U32_ROW(0, "statements", OPT_WHAT, struct repl_case_opts, statements, "N", "of the case batch", .min = 1, .max = 1000),
	OPT_SIZE_ROW(0, "bytes", OPT_WHAT, struct repl_case_opts, flood_bytes, "SIZE", "output of the case throughput", .min = 64, .max = 64 << 20),
	OPT_WORDS_ROW(0, "gaps", OPT_WHAT, struct repl_case_opts, gaps, "TIME", "pauses before reconnecting in the case reconnect"),
	OPT_STRINGS_ROW(0, "script", OPT_WHAT, struct repl_case_opts, scripts, "FILE", "Python file of the case script; perf_bench files report device time"),
	OPT_U32_ROW(0, "bm-n", OPT_WHAT, struct repl_case_opts, bm_n, "N", "perf_bench: CPU frequency in MHz", .min = 1),
	OPT_U32_ROW(0, "bm-m", OPT_WHAT, struct repl_case_opts, bm_m, "M", "perf_bench: heap in KiB", .min = 1),
	OPT_DURATION_ROW(0, "option-timeout", OPT_HOW, struct repl_case_opts, option_timeout_ns, "TIME", "longest wait for an RFC 2217 answer", .min = 1000000),
	OPT_END,
};

static const struct opt table[] = {
	OPT_TITLE("What is measured"),
	OPT_WORDS_ROW(0, "case", OPT_WHAT, struct repl_opts, cases, "NAME", "connect negotiate banner raw-enter raw-exit exec print upload download session; soft-reset eval batch fs memory throughput reconnect script concurrent"),
	OPT_ENUM_ROW(0, "mode", OPT_WHAT, struct repl_opts, mode, repl_mode_names, "how code is sent: raw-paste where the device has it, or plain raw"),
	OPT_WORDS_ROW(0, "client-style", OPT_WHAT, struct repl_opts, styles, "STYLE", "waits of native, pyserial or mpremote; several are compared"),
	OPT_FLAG_ROW(0, "resume", OPT_WHAT, struct repl_opts, resume, "take the device as it is (the default)"),
	OPT_FLAG_ROW(0, "soft-reset", OPT_WHAT, struct repl_opts, soft_reset, "soft reset after entering raw mode, as mpremote without resume"),
	OPT_GROUP(case_opts, struct repl_case_opts, struct repl_opts, of),
	OPT_GROUP(plan_opts, struct plan, struct repl_opts, plan),
	OPT_GROUP(compare_opts, struct compare_opts, struct repl_opts, compare),
	OPT_GROUP(syscalls_opts, struct syscalls_opts, struct repl_opts, syscalls),
	OPT_GROUP(common_opts, struct common_opts, struct repl_opts, common),
	OPT_END,
};
/* clang-format on */

static void add_pair(const char **pairs, size_t *n, size_t max, const char *key, const char *value)
{
	if (!value || !value[0] || *n + 3 > max)
		return;
	pairs[(*n)++] = key;
	pairs[(*n)++] = value;
	pairs[*n] = NULL;
}

static void identity(void *ctx, size_t i, const char **pairs, size_t max)
{
	struct repl_plan *p = ctx;
	struct repl_variant *v = &p->variant[i];
	size_t n = 0;

	add_pair(pairs, &n, max, "banner", v->seen.banner);
	add_pair(pairs, &n, max, "client_style", repl_style_names[v->style]);
	add_pair(pairs, &n, max, "raw_paste", v->seen.paste);
	if (v->seen.window) {
		snprintf(v->window, sizeof(v->window), "%u", v->seen.window);
		add_pair(pairs, &n, max, "raw_paste_window", v->window);
	}
	add_pair(pairs, &n, max, "signature", v->seen.signature);
	add_pair(pairs, &n, max, "negotiated", v->seen.options);
	add_pair(pairs, &n, max, "no_answer", v->seen.missing);
	add_pair(pairs, &n, max, "driver", v->seen.driver);
	add_pair(pairs, &n, max, "latency_timer_ms", v->seen.latency_timer);
	add_pair(pairs, &n, max, "soft_reset",
		 v->seen.respawned ? "ends the process; started anew" : NULL);
}

static int extend(void *ctx, struct document *d, const struct measurement *m, struct err *e)
{
	(void)ctx;
	(void)m;
	return budget_add(d, "repl.session", e);
}

static int run(int argc, char **argv, struct err *e);

extern const struct cmd cmd_bench_repl;
const struct cmd cmd_bench_repl = {
	.group = CMD_MEASURE,
	.name = "bench-repl",
	.operands = "[TARGET...]",
	.summary = "time every step of a MicroPython REPL over four transports",
	.about =
		"Connects, negotiates, enters the raw REPL, executes, moves files and leaves, many times, and says what "
		"each step takes. Targets: exec:CMD (a process on a fresh pty), serial:///dev/ttyACM0?baud=115200, "
		"socket://HOST:PORT, rfc2217://HOST:PORT, builtin: (the default: a device of mpbench's own that evaluates "
		"nothing). LABEL=URL names one; several are interleaved and compared with the first; URL+URL is a group.",
	.examples =
		(const char *const[]){
			"mpbench bench-repl exec:micropython",
			"every step of a MicroPython on this machine",
			"mpbench bench-repl raw=socket://lab:2218 rfc=rfc2217://lab:2217",
			"which bridge is slower, and at which step",
			"mpbench bench-repl --case upload --size 64K --chunk 256,4096 /dev/ttyACM0",
			"what chunk size is worth",
			"mpbench bench-repl --client-style native,pyserial,mpremote rfc2217://lab:2217",
			"whose waits are they", NULL },
	.table = table,
	.defaults = &defaults,
	.run = run,
};

static int run(int argc, char **argv, struct err *e)
{
	struct repl_opts o = defaults;
	CLEANUP(repl_plan_done) struct repl_plan p = { 0 };
	CLEANUP(common_done) struct common common = { 0 };
	const char *operands[REPL_TARGETS_MAX + 1];
	struct bench_target shown[REPL_TARGETS_MAX * 3];
	struct bench b = { .cmd = &cmd_bench_repl,
			   .argv = argv,
			   .options = &o,
			   .plan = &o.plan,
			   .common = &common,
			   .syscalls = &o.syscalls,
			   .targets = shown,
			   .ctx = &p,
			   .extend = extend,
			   .identity = identity };
	size_t n = 0;
	int rc = cmd_parse(&cmd_bench_repl, argc, argv, &o, operands, REPL_TARGETS_MAX + 1, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (plan_check(&o.plan, e) < 0 || common_init(&common, &o.common, "bench-repl", e) < 0 ||
	    repl_plan_make(&p, &o, operands, n, &common.log, e) < 0)
		return -1;
	for (size_t i = 0; i < p.n_variants; i++)
		shown[i] = (struct bench_target){ .target = p.variant[i].target,
						  .label = p.variant[i].label };
	b.n_targets = p.n_variants;
	b.started = p.target;
	b.n_started = p.n_targets;
	b.cases = p.cases;
	b.n_cases = p.n_cases;
	return bench_go(&b, e);
}
