/* mpbench bench-tftp - read and write files of TFTP servers, over a matrix of options, clients and links. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "tftp-cases.h"
#include "tftp-report.h"
#include "tftp-search.h"

static const struct tftp_opts defaults = {
	.plan = PLAN_DEFAULT,
	.blksizes = { .n = 1, .v = { 1428 } },
	.windowsizes = { .n = 1, .v = { 1 } },
	.concurrencies = { .n = 1, .v = { 1 } },
	.request = { .tsize = true, .retries = 3, .retransmit_ns = NS_PER_SEC },
};

/* clang-format off */
static const struct opt request_opts[] = {
	OPT_TITLE("The request"),
	OPT_FLAG_ROW(0, "tsize", OPT_WHAT, struct tftp_request_opts, tsize, "ask for the size, so that a short file is seen"),
	OPT_U32_ROW(0, "option-timeout", OPT_WHAT, struct tftp_request_opts, option_timeout, "SECONDS", "ask for the server's time-out", .max = 255),
	OPT_ENUM_ROW(0, "rollover", OPT_WHAT, struct tftp_request_opts, rollover, tftp_rollover_names, "block after 65535; 1 is asked for as well"),
	OPT_FLAG_ROW(0, "netascii", OPT_WHAT, struct tftp_request_opts, netascii, "translate line ends"),
	OPT_DURATION_ROW(0, "retransmit", OPT_WHAT, struct tftp_request_opts, retransmit_ns, "TIME", "our own first time-out; it doubles", .min = 1000000, .max = UINT64_C(255000000000)),
	OPT_U32_ROW(0, "retries", OPT_WHAT, struct tftp_request_opts, retries, "N", "repetitions before giving up", .max = 100),
	OPT_FLAG_ROW(0, "spin", OPT_WHAT, struct tftp_request_opts, spin, "one client in lockstep: ask for the answer where that is quicker than to sleep"),
	OPT_END,
};

static const struct opt link_opts[] = {
	OPT_TITLE("The link, impaired inside the client"),
	OPT_DURATION_ROW(0, "rtt", OPT_WHAT, struct tftp_link_opts, rtt_ns, "TIME", "add this to every round trip", .max = UINT64_C(60000000000)),
	OPT_DURATION_ROW(0, "jitter", OPT_WHAT, struct tftp_link_opts, jitter_ns, "TIME", "and up to so much more", .max = UINT64_C(60000000000)),
	OPT_DOUBLE_ROW(0, "loss", OPT_WHAT, struct tftp_link_opts, loss, "SHARE", "packets lost, each way (1% or 0.01)"),
	OPT_DOUBLE_ROW(0, "dup", OPT_WHAT, struct tftp_link_opts, dup, "SHARE", "packets doubled"),
	OPT_DOUBLE_ROW(0, "reorder", OPT_WHAT, struct tftp_link_opts, reorder, "SHARE", "packets overtaken"),
	OPT_STRING_ROW(0, "script-out", OPT_WHAT, struct tftp_link_opts, script_out, "RULES", "fate of single packets of ours, counted within each transfer: drop:5,9 dup:3 delay:7=100ms corrupt:4"),
	OPT_STRING_ROW(0, "script-in", OPT_WHAT, struct tftp_link_opts, script_in, "RULES", "of the server's"),
	OPT_END,
};

static const struct opt table[] = {
	OPT_TITLE("What is measured"),
	OPT_WORDS_ROW(0, "case", OPT_WHAT, struct tftp_opts, cases, "NAME", "read, request (small file), write, storm (all clients at once), options (what the server honours)", .choices = tftp_case_names),
	OPT_FLAG_ROW(0, "put", OPT_WHAT, struct tftp_opts, put, "write files of --size; as --case write"),
	OPT_SIZES_ROW('b', "blksize", OPT_WHAT, struct tftp_opts, blksizes, "BYTES", "block sizes to ask for; 0: do not ask", .max = TFTP_BLKSIZE_MAX, .given = OPT_GIVEN(struct tftp_opts, has_blksize)),
	OPT_NUMBERS_ROW('w', "windowsize", OPT_WHAT, struct tftp_opts, windowsizes, "N", "blocks per ACK to ask for; 1: not asked", .min = 1, .max = TFTP_WINDOWSIZE_MAX, .given = OPT_GIVEN(struct tftp_opts, has_windowsize)),
	OPT_NUMBERS_ROW('c', "concurrency", OPT_WHAT, struct tftp_opts, concurrencies, "N", "clients at once", .min = 1, .max = 100000, .given = OPT_GIVEN(struct tftp_opts, has_concurrency)),
	OPT_SIZES_ROW(0, "size", OPT_WHAT, struct tftp_opts, sizes, "SIZE", "of files written, and of builtin:'s", .max = TFTP_CONTENT_MAX, .given = OPT_GIVEN(struct tftp_opts, has_sizes)),
	OPT_WORDS_ROW(0, "profile", OPT_WHAT, struct tftp_opts, profiles, "NAME", "ask like a boot client: plain, ipxe, uefi, u-boot, shim, grub, winpe", .choices = tftp_profile_names),
	OPT_STRING_ROW(0, "expect", OPT_WHAT, struct tftp_opts, expect, "WHAT", "what must come: file, directory or SHA-256 (default: what comes first)"),
	OPT_STRING_ROW(0, "find-max", OPT_WHAT, struct tftp_opts, find_max, "WHAT", "find the most clients, or =rate, within --max-errors and --max-p99", .optional_value = "clients"),
	OPT_DURATION_ROW(0, "max-p99", OPT_WHAT, struct tftp_opts, max_p99_ns, "TIME", "limit of the P99 for --find-max", .min = 1),
	OPT_GROUP(request_opts, struct tftp_request_opts, struct tftp_opts, request),
	OPT_GROUP(link_opts, struct tftp_link_opts, struct tftp_opts, link),
	OPT_GROUP(plan_matrix_opts, struct plan, struct tftp_opts, plan),
	OPT_GROUP(compare_opts, struct compare_opts, struct tftp_opts, compare),
	OPT_GROUP(syscalls_opts, struct syscalls_opts, struct tftp_opts, syscalls),
	OPT_GROUP(common_opts, struct common_opts, struct tftp_opts, common),
	OPT_END,
};
/* clang-format on */

static int check_share(const char *name, double v, struct err *e)
{
	if (v >= 0 && v <= 1)
		return 0;
	return err_set(e, ERR_USAGE, "usage", "%s is a share from 0 to 1 (or 0%% to 100%%)", name);
}

static int check_options(struct tftp_opts *o, struct err *e)
{
	for (size_t i = 0; i < o->blksizes.n; i++) {
		if (o->blksizes.v[i] && o->blksizes.v[i] < TFTP_BLKSIZE_MIN)
			return err_set(e, ERR_USAGE, "usage",
				       "--blksize: %llu is outside 8..65464 (0: do not ask)",
				       (unsigned long long)o->blksizes.v[i]);
	}
	if (o->profiles.n && (o->has_blksize || o->has_windowsize))
		return err_set(
			e, ERR_USAGE, "usage",
			"--profile decides the options: leave --blksize and --windowsize out");
	if (o->put && o->cases.n)
		return err_set(e, ERR_USAGE, "usage",
			       "--put and --case: name write among the cases");
	if (tftp_search_check(o, e) < 0)
		return -1;
	o->plan.concurrency = 1;
	for (size_t i = 0; i < o->concurrencies.n; i++) {
		if (o->concurrencies.v[i] > o->plan.concurrency)
			o->plan.concurrency = (uint32_t)o->concurrencies.v[i];
	}
	if (check_share("--loss", o->link.loss, e) < 0 ||
	    check_share("--dup", o->link.dup, e) < 0 ||
	    check_share("--reorder", o->link.reorder, e) < 0)
		return -1;
	return plan_check(&o->plan, e);
}

static pid_t builtin_server(void *ctx, size_t i)
{
	struct tftp_cases *c = ctx;

	return c->target[i].is_builtin ? c->target[i].builtin.child.pid : 0;
}

static int print_after(const struct tftp_cases *c, struct err *e)
{
	const struct common_opts *o = &c->opts->common;

	if (o->json || o->quiet || (o->output && strcmp(o->output, "-") == 0))
		return 0;
	if (c->after.failed)
		return err_nomem(e);
	fputs(buf_text(&c->after), stdout);
	return 0;
}

extern const struct cmd cmd_bench_tftp;

static int measure(struct tftp_cases *c, const struct tftp_opts *o, struct common *common,
		   char **argv, struct err *e)
{
	struct engine_probe counts = tftp_report_probe(c);
	struct bench_target shown[TFTP_TARGETS_MAX];
	struct bench b = { .cmd = &cmd_bench_tftp,
			   .argv = argv,
			   .options = o,
			   .plan = &o->plan,
			   .common = common,
			   .targets = shown,
			   .n_targets = c->n_targets,
			   .started = c->parsed,
			   .n_started = c->n_targets,
			   .cases = c->cases,
			   .n_cases = c->n_cases,
			   .probes = &counts,
			   .n_probes = 1,
			   .syscalls = &o->syscalls,
			   .ctx = c,
			   .before = tftp_search_all,
			   .derive = tftp_report_derive,
			   .extend = tftp_report_extend,
			   .identity = tftp_report_identity,
			   .server = builtin_server };
	int rc;

	for (size_t i = 0; i < c->n_targets; i++)
		shown[i] = (struct bench_target){ .target = &c->parsed[i] };
	rc = bench_go(&b, e);
	if (rc >= 0 || e->kind == ERR_TARGET) {
		struct err lost;

		if (print_after(c, &lost) < 0) {
			*e = lost;
			return -1;
		}
	}
	return rc;
}

static int run(int argc, char **argv, struct err *e)
{
	struct tftp_opts o = defaults;
	CLEANUP(common_done) struct common common = { 0 };
	CLEANUP(tftp_cases_done) struct tftp_cases cases = { 0 };
	const char *operands[TFTP_TARGETS_MAX + 1];
	size_t n = 0;
	int rc;

	o.plan.timeout_ns = 60 * NS_PER_SEC;
	rc = cmd_parse(&cmd_bench_tftp, argc, argv, &o, operands, TFTP_TARGETS_MAX, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (check_options(&o, e) < 0 || common_init(&common, &o.common, "bench-tftp", e) < 0 ||
	    tftp_cases_make(&cases, &o, operands, n, &common.log, e) < 0)
		return -1;
	return measure(&cases, &o, &common, argv, e);
}

static const char *const examples[] = {
	"mpbench bench-tftp tftp://192.0.2.1/pxelinux.0",
	"every byte compared",
	"mpbench bench-tftp -b 512,1428,8192 -w 1,4,16 tftp://192.0.2.1/initrd",
	"which options are best, as a grid",
	"mpbench bench-tftp --case storm -c 50 --profile ipxe tftp://192.0.2.1/initrd",
	"fifty machines boot at once",
	"mpbench bench-tftp on=builtin: off=builtin:?batch=off -w 1,16 --syscalls",
	"what batched I/O is worth",
	NULL,
};

const struct cmd cmd_bench_tftp = {
	.group = CMD_MEASURE,
	.name = "bench-tftp",
	.operands = "[TARGET...]",
	.summary = "benchmark any TFTP server, every byte verified",
	.about =
		"Reads or writes files of TFTP servers, alone and with many clients at once: how long a transfer and a block "
		"take, what the server honoured, what failed and why. Targets: tftp://HOST[:PORT]/FILE, builtin: (the "
		"default: mpbench serve tftp in a child). Lists make a matrix, one case for each combination.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
