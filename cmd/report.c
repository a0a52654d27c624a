/* mpbench report - a result, or several compared, as pictures. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "picture/page.h"
#include "picture/paper.h"
#include "result/emit.h"
#include "result/load.h"
#include "term.h"

extern const struct cmd cmd_report;

enum report_format { REPORT_HTML, REPORT_MARKDOWN, REPORT_TEXT };
static const char *const formats[] = { "html", "markdown", "text", NULL };

struct options {
	struct diff_opts diff;
	const char *output;
	int format; /* enum report_format */
	uint32_t verbose;
	int color; /* enum term_color */
};

static const struct opt compare_opts[] = {
	OPT_TITLE("Comparison"),
	OPT_STRINGS_ROW(0, "threshold", OPT_HOW, struct diff_opts, thresholds, "[PATTERN=]PERCENT",
			"changes below do not matter (5%); per metric with PATTERN="),
	OPT_STRINGS_ROW(0, "gate", OPT_HOW, struct diff_opts, gates, "PATTERN",
			"show these metrics among the ratios too"),
	OPT_STRINGS_ROW(0, "allow", OPT_HOW, struct diff_opts, allow, "KEY",
			"this option of the benchmark may differ; * allows any"),
	OPT_END,
};

static const struct opt table[] = {
	OPT_TITLE("Output"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct options, output, "FILE",
		       "write here, whole or not at all, instead of standard output"),
	OPT_ENUM_ROW(0, "format", OPT_OUT, struct options, format, formats, "what is written"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct options, verbose, "text: list everything"),
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct options, color, term_color_names, "text: colours"),
	OPT_GROUP(compare_opts, struct diff_opts, struct options, diff),
	OPT_END,
};

static const struct options defaults = { .format = REPORT_HTML };

static int make(const struct options *o, const struct study *s, struct buf *out, struct err *e)
{
	struct table_style style = {
		.width = term_width(STDOUT_FILENO),
		.color = !o->output && term_color(STDOUT_FILENO, (enum term_color)o->color),
		.utf8 = term_utf8(),
		.verbose = o->verbose,
	};

	switch (o->format) {
	case REPORT_MARKDOWN:
		return paper_markdown(s, out, e);
	case REPORT_TEXT:
		return paper_text(s, &style, out, e);
	default:
		return page_html(s, out, e);
	}
}

static void drop_roots(json_t **roots)
{
	for (size_t i = 0; i < STUDY_FILES_MAX; i++)
		json_decref(roots[i]);
}

static int load_all(const char *const *files, size_t n, json_t **roots, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (load_result(files[i], &roots[i], e) < 0)
			return -1;
	return 0;
}

static int report(const struct options *o, const char *const *files, size_t n, struct err *e)
{
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));
	CLEANUP(study_done) struct study study = { 0 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	json_t *roots[STUDY_FILES_MAX] = { 0 };
	int rc;

	if (!rules)
		return err_nomem(e);
	if (diff_rules_parse(rules, &o->diff, e) < 0)
		return -1;
	rc = load_all(files, n, roots, e);
	if (rc == 0)
		rc = study_make(&study, files, roots, n, rules, e);
	drop_roots(roots);
	if (rc < 0 || make(o, &study, &out, e) < 0)
		return -1;
	return emit_bytes(buf_text(&out), out.len, o->output ? o->output : "-", e);
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	const char *files[STUDY_FILES_MAX];
	size_t n;
	int rc = cmd_parse(&cmd_report, argc, argv, &o, files, STUDY_FILES_MAX, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand",
			       "no file given, as in: mpbench report result.json -o report.html");
	return report(&o, files, n, e);
}

static const char *const examples[] = {
	"mpbench report result.json -o report.html",
	"one page with everything, for a browser",
	"mpbench report base.json new.json -o report.html",
	"two results: every picture shows both",
	"mpbench report --format markdown base.json new.json",
	"for a pull request or $GITHUB_STEP_SUMMARY",
	"mpbench report --format text result.json",
	"for the terminal",
	NULL,
};

const struct cmd cmd_report = {
	.group = CMD_LOOK,
	.name = "report",
	.operands = "FILE...",
	.summary = "show results as pictures, in one HTML file",
	.about =
		"Writes one self-contained page (no script, nothing fetched): every run in order, percentile spectrum, "
		"histogram, time series where samples were kept, system calls, ratios with their intervals, matrices, "
		"phases, and the machine in words; each picture with its numbers. With several files the others are "
		"compared with the first, as mpbench diff does.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
