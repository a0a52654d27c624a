/* mpbench check - whether results keep limits. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd.h"
#include "judge.h"
#include "result/emit.h"
#include "result/limit.h"
#include "result/screen.h"

extern const struct cmd cmd_check;

struct options {
	struct opt_strings that, files;
	const char *baseline;
	struct judge_output output;
};

static const struct opt table[] = {
	OPT_TITLE("Limits"),
	OPT_STRINGS_ROW(0, "that", OPT_HOW, struct options, that, "EXPR",
			"[CASE] METRIC OP VALUE must hold; may be repeated"),
	OPT_STRINGS_ROW(0, "limits", OPT_HOW, struct options, files, "FILE",
			"more of them, one a line, # begins a comment"),
	OPT_STRING_ROW(0, "baseline", OPT_HOW, struct options, baseline, "FILE",
		       "result that changes (+3%, -3%) are counted from"),
	OPT_GROUP(judge_output_opts, struct judge_output, struct options, output),
	OPT_END,
};

static const struct options defaults = { .output = { .color = 0 } };

static int read_limits(const struct options *o, struct limit **list, size_t *n, struct err *e)
{
	if (limit_add(&o->that, list, n, e) < 0)
		return err_wrap(e, "--that");
	for (size_t i = 0; i < o->files.n; i++)
		if (limit_read(o->files.v[i], list, n, e) < 0)
			return -1;
	if (*n == 0)
		return err_set(e, ERR_USAGE, "limit",
			       "nothing to check (try --that 'repl.exec latency.p99 < 5ms')");
	return 0;
}

static int write_checks(const json_t *checks, const struct options *o, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct table_style style = judge_style(&o->output);

	limit_table(checks, &(struct screen){ &out, &style });
	if (out.failed)
		return err_nomem(e);
	return judge_write_text(buf_text(&out), out.len, &o->output, e);
}

static int write_json(json_t *checks, const struct options *o, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();

	if (!root || json_put(root, "schema", json_string("mpbench.check"), e) < 0 ||
	    json_put(root, "schema_version", json_string("1.0"), e) < 0 ||
	    json_put(root, "checks", json_incref(checks), e) < 0)
		return root ? -1 : err_nomem(e);
	return emit_file(root, o->output.output ? o->output.output : "-", e);
}

/* Limits that are changes, and what they are changes of. */
static int load_base(const struct options *o, const struct limit *list, size_t n, struct side *base,
		     struct err *e)
{
	const struct limit *relative = limit_find_relative(list, n);

	if (relative && !o->baseline)
		return err_set(e, ERR_USAGE, "limit",
			       "'%s' is a change: of what? (--baseline FILE)", relative->text);
	return o->baseline ? side_load(base, o->baseline, e) : 0;
}

static int check(const struct options *o, const char *const *files, size_t n_files, struct err *e)
{
	CLEANUP_FREE struct limit *list = NULL;
	CLEANUP(side_done) struct side side = { 0 };
	CLEANUP(side_done) struct side base = { 0 };
	CLEANUP(json_decref) json_t *checks = json_array();
	struct limit_counts counts = { 0 };
	size_t n = 0;

	if (!checks)
		return err_nomem(e);
	if (read_limits(o, &list, &n, e) < 0 || load_base(o, list, n, &base, e) < 0)
		return -1;
	for (size_t i = 0; i < n_files; i++)
		if (side_load(&side, files[i], e) < 0)
			return -1;
	if (limit_check(list, n, &side, o->baseline ? &base : NULL, checks, &counts, e) < 0)
		return -1;
	if (o->output.json ? write_json(checks, o, e) < 0
			   : !o->output.quiet && write_checks(checks, o, e) < 0)
		return -1;
	return limit_status(&counts);
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	CLEANUP_FREE const char **files = calloc((size_t)argc + 1, sizeof(*files));
	size_t n;
	int rc;

	if (!files)
		return err_nomem(e);
	rc = cmd_parse(&cmd_check, argc, argv, &o, files, (size_t)argc, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand",
			       "no file given, as in: mpbench check result.json --that "
			       "'latency.p99 < 5ms'");
	return check(&o, files, n, e);
}

static const char *const examples[] = {
	"mpbench check result.json --that 'repl.exec latency.p99 < 5ms'",
	"exits with 1 when it is not so",
	"mpbench check result.json --that 'errors == 0' --that 'throughput>1MiB/s'",
	"for every case; errors counts failed operations",
	"mpbench check result.json --limits limits.txt",
	"limits kept in a file, one a line",
	"mpbench check b.json --baseline a.json --that 'rate>=-3%'",
	"at most 3 % below the baseline",
	NULL,
};

const struct cmd cmd_check = {
	.group = CMD_JUDGE,
	.name = "check",
	.operands = "FILE...",
	.summary = "hold results against limits",
	.about =
		"Holds the median over the runs of each metric against a limit and shows both. CASE and METRIC are patterns "
		"(* ? [...]); CASE may go on with ,KEY=VALUE and @TARGET. A VALUE with "
		"sign and per cent (+3%, -3%) is a change against --baseline. Several files are taken together. Exits with 0 when "
		"all limits are kept, with 1 when one is not, with 2 when a metric is unknown or has no value: that is no pass.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
