/* mpbench diff - two sides of result files, with verdicts. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "judge.h"

extern const struct cmd cmd_diff;

struct options {
	struct diff_opts diff;
	struct judge_output output;
};

static const struct opt table[] = {
	OPT_GROUP(judge_opts, struct diff_opts, struct options, diff),
	OPT_GROUP(judge_output_opts, struct judge_output, struct options, output),
	OPT_END,
};

static const struct options defaults = { .output = { .color = 0 } };

/* "--" parts the sides instead of ending the options: it is taken out, its place kept. */
static int take_separator(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			memmove(argv + i, argv + i + 1, (size_t)(argc - i) * sizeof(*argv));
			return i;
		}
	return -1;
}

/* How many of the operands stand before argv[at]. */
static size_t count_before(const char *const *operands, size_t n, char *const *argv, int at)
{
	size_t before = 0;

	for (size_t i = 0; i < n; i++)
		for (int k = 1; k < at; k++)
			before += operands[i] == argv[k];
	return before;
}

static int load_sides(struct side *base, struct side *new, const char *const *files, size_t n,
		      size_t n_base, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (side_load(i < n_base ? base : new, files[i], e) < 0)
			return -1;
	return 0;
}

static int part(size_t n, size_t n_base, bool parted, struct err *e)
{
	if (parted && n_base > 0 && n_base < n)
		return 0;
	if (!parted && n == 2)
		return 0;
	return err_set(e, ERR_USAGE, "operand",
		       parted  ? "a side has no file (mpbench diff BASE... -- NEW...)"
		       : n < 2 ? "two files are needed (mpbench diff base.json new.json)"
			       : "which files are the base? (mpbench diff BASE... -- NEW...)");
}

static int compare(const struct options *o, const char *const *files, size_t n, size_t n_base,
		   struct err *e)
{
	CLEANUP(side_done) struct side base = { 0 };
	CLEANUP(side_done) struct side new = { 0 };
	CLEANUP(report_done) struct report report = { 0 };
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));

	if (!rules)
		return err_nomem(e);
	if (diff_rules_parse(rules, &o->diff, e) < 0 ||
	    load_sides(&base, &new, files, n, n_base, e) < 0 ||
	    diff_make(&base, &new, rules, &report, e) < 0 ||
	    judge_write(&report, &o->output, e) < 0)
		return -1;
	return diff_status(&report, &o->diff.fail_on);
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	CLEANUP_FREE const char **files = calloc((size_t)argc + 1, sizeof(*files));
	int at = take_separator(argc, argv);
	size_t n, n_base;
	int rc;

	if (!files)
		return err_nomem(e);
	rc = cmd_parse(&cmd_diff, argc - (at > 0), argv, &o, files, (size_t)argc, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	n_base = at > 0 ? count_before(files, n, argv, at) : 1;
	if (part(n, n_base, at > 0, e) < 0)
		return -1;
	return compare(&o, files, n, n_base, e);
}

static const char *const examples[] = {
	"mpbench diff base.json new.json",
	"what changed from one result to the next; exits with 1 on a regression",
	"mpbench diff base-*.json -- new-*.json",
	"several files a side: their runs are taken together",
	"mpbench diff --threshold 3% --gate 'latency.p99' base.json new.json",
	"changes from 3 % on count, and P99 gates too",
	"mpbench diff --format markdown base.json new.json",
	"for a pull request or $GITHUB_STEP_SUMMARY",
	NULL,
};

const struct cmd cmd_diff = {
	.group = CMD_JUDGE,
	.name = "diff",
	.operands = "BASE... -- NEW...",
	.summary = "compare results, with verdicts that can be trusted",
	.about =
		"Compares the run values of each case and metric: ratio with 95 % interval, exact test, Holm's adjustment over "
		"what gates (each case's headline and exact counts). A change is a regression or an improvement only "
		"when it is significant and at least the threshold; \"unchanged\" means that the whole interval lies within "
		"it, anything else is inconclusive. Exits with 0, with 1 on a regression (see --fail-on), with 2 where "
		"the files cannot be compared.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
