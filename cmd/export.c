/* mpbench export - a result as other tools read it. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "judge.h"
#include "result/format.h"
#include "result/load.h"
#include "result/single.h"

extern const struct cmd cmd_export;

struct options {
	struct judge_output output;
};

static const struct opt table[] = {
	OPT_GROUP(judge_output_opts, struct judge_output, struct options, output),
	OPT_END,
};

static const struct options defaults = { .output = { .format = FORMAT_CSV } };

static int write_table(const json_t *root, const struct judge_output *o, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct table_style style = judge_style(o);

	if (table_result(root, &style, &out, e) < 0)
		return -1;
	return judge_write_text(buf_text(&out), out.len, o, e);
}

static int export_file(const char *path, const struct judge_output *o, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL;
	CLEANUP(side_done) struct side side = { 0 };
	CLEANUP(report_done) struct report report = { 0 };

	if (o->json)
		return err_set(e, ERR_USAGE, "json",
			       "a result is JSON already; --format bmf and gab are too");
	if (load_result(path, &root, e) < 0)
		return -1;
	if (o->format == FORMAT_TABLE)
		return write_table(root, o, e);
	if (side_add(&side, path, root, e) < 0 || single_make(&side, root, &report, e) < 0)
		return -1;
	report.new_name = path;
	return judge_write(&report, o, e);
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	const char *file = NULL;
	size_t n;
	int rc = cmd_parse(&cmd_export, argc, argv, &o, &file, 1, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand",
			       "no file given, as in: mpbench export result.json --format csv");
	return export_file(file, &o.output, e);
}

static const char *const examples[] = {
	"mpbench export result.json --format csv -o result.csv",
	"one line a metric, for a spreadsheet",
	"mpbench export result.json --format prom -o mpbench.prom",
	"for node_exporter's textfile collector",
	"mpbench export result.json --format gab --better higher",
	"throughputs for github-action-benchmark",
	NULL,
};

const struct cmd cmd_export = {
	.group = CMD_JUDGE,
	.name = "export",
	.operands = "FILE",
	.summary = "write a result as CSV, Prometheus, JUnit, Influx...",
	.about =
		"Writes the metrics of one result in the format of another tool: the median over the runs with its 95 % "
		"interval. mpbench diff writes comparisons in the same formats.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
