/* mpbench trend - many results of the same benchmark in the order of time: where did the level change? */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd.h"
#include "judge.h"
#include "result/emit.h"
#include "result/trend.h"
#include "term.h"

extern const struct cmd cmd_trend;

struct options {
	struct opt_strings metrics;
	double magnitude;
	bool fail_on_change, json, quiet;
	uint32_t verbose;
	int color;
	const char *output;
};

static const struct opt table[] = {
	OPT_TITLE("Changes"),
	OPT_STRINGS_ROW(0, "metric", OPT_HOW, struct options, metrics, "PATTERN",
			"look at these metrics (each case's headline and exact counts)"),
	OPT_DOUBLE_ROW(0, "magnitude", OPT_HOW, struct options, magnitude, "SHARE",
		       "changes below do not count"),
	OPT_FLAG_ROW(0, "fail-on-change", OPT_HOW, struct options, fail_on_change,
		     "exit with 1 when the newest level of a metric is worse than the one before"),
	OPT_TITLE("Output"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct options, output, "FILE",
		       "write here instead of standard output"),
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct options, json, "print as JSON"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct options, quiet, "exit status only"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct options, verbose,
		      "p of each change, what was skipped; -vv: every metric"),
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct options, color, term_color_names,
		     "colours in the table"),
	OPT_END,
};

static const struct options defaults = { .magnitude = 0.03 };

static void say(void *ctx, enum log_level level, const char *code, const char *text)
{
	const struct options *o = ctx;

	(void)level;
	(void)code;
	if (o->verbose && !o->quiet)
		fprintf(stderr, "mpbench trend: skipped: %s\n", text);
}

static int write_text(const struct trend *t, const struct options *o, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct judge_output how = { .output = o->output,
					  .verbose = o->verbose,
					  .color = o->color };
	struct table_style style = judge_style(&how);

	if (trend_table(t, &style, &out, e) < 0)
		return -1;
	return judge_write_text(buf_text(&out), out.len, &how, e);
}

static int write_json(const struct trend *t, const struct options *o,
		      const struct trend_options *how, struct err *e)
{
	CLEANUP(json_decref) json_t *root = trend_json(t, how, e);

	return root ? emit_file(root, o->output ? o->output : "-", e) : -1;
}

static int parse_metrics(const struct options *o, struct selector *list, struct err *e)
{
	for (size_t i = 0; i < o->metrics.n; i++)
		if (selector_parse(&list[i], o->metrics.v[i], e) < 0)
			return err_wrap(e, "--metric");
	return 0;
}

static int trend(struct options *o, const char *const *paths, size_t n, struct err *e)
{
	CLEANUP_FREE struct selector *metric = calloc(o->metrics.n + 1, sizeof(*metric));
	CLEANUP(history_done) struct history h = { .log = { say, o } };
	CLEANUP(trend_done) struct trend t = { 0 };
	struct trend_options how = { .metric = metric,
				     .n_metrics = o->metrics.n,
				     .all = o->verbose > 1 && o->metrics.n == 0,
				     .magnitude = o->magnitude };

	if (!metric)
		return err_nomem(e);
	if (o->magnitude < 0)
		return err_set(e, ERR_USAGE, "magnitude", "--magnitude: not below 0");
	if (parse_metrics(o, metric, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (history_load(&h, paths[i], e) < 0)
			return -1;
	if (history_sort(&h, e) < 0 || trend_make(&h, &how, &t, e) < 0)
		return -1;
	if (o->json ? write_json(&t, o, &how, e) < 0 : !o->quiet && write_text(&t, o, e) < 0)
		return -1;
	return o->fail_on_change && t.worse ? ERR_CHECK : 0;
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	CLEANUP_FREE const char **paths = calloc((size_t)argc + 1, sizeof(*paths));
	size_t n;
	int rc;

	if (!paths)
		return err_nomem(e);
	rc = cmd_parse(&cmd_trend, argc, argv, &o, paths, (size_t)argc, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand",
			       "no results given, as in: mpbench trend results/");
	return trend(&o, paths, n, e);
}

static const char *const examples[] = {
	"mpbench trend results/",
	"all results of a directory, by the time they were measured",
	"mpbench trend watch.jsonl --metric 'latency.p99'",
	"what a watcher wrote",
	"mpbench trend --fail-on-change nightly-*.json",
	"exits with 1 when the newest level is worse",
	NULL,
};

const struct cmd cmd_trend = {
	.group = CMD_LOOK,
	.name = "trend",
	.operands = "DIR|FILE...",
	.summary = "many results in order: where did the level change",
	.about =
		"Takes many results of the same benchmark, puts them in the order of their started_at and shows, per metric, a "
		"sparkline of the medians over the runs, their median and MAD, and the points where the level changed, "
		"with the first result after each change and its commit. Results with other options are kept apart. "
		"FILE is a result or a history of mpbench watch; of DIR all *.json and *.jsonl are read.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
