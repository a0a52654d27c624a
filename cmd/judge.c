#include "judge.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "result/emit.h"
#include "result/format.h"
#include "term.h"

static const char *const fail_words[] = { "regression", "inconclusive", "missing", "noisy", NULL };

const struct opt judge_opts[] = {
	OPT_TITLE("Verdict"),
	OPT_STRINGS_ROW(0, "threshold", OPT_HOW, struct diff_opts, thresholds, "[PATTERN=]PERCENT",
			"changes below do not matter (5%); per metric with PATTERN="),
	OPT_STRINGS_ROW(0, "gate", OPT_HOW, struct diff_opts, gates, "PATTERN",
			"these metrics count for the exit status too"),
	OPT_FLAG_ROW(0, "strict", OPT_HOW, struct diff_opts, strict,
		     "only where the whole interval lies beyond the threshold"),
	OPT_WORDS_ROW(0, "fail-on", OPT_HOW, struct diff_opts, fail_on, "WORDS",
		      "exit with 1 on any of regression,inconclusive,missing,noisy (regression)",
		      .choices = fail_words),
	OPT_STRINGS_ROW(0, "allow", OPT_HOW, struct diff_opts, allow, "KEY",
			"this option of the benchmark may differ; * allows any"),
	OPT_END,
};

static const char *const better_names[] = { "lower", "higher", NULL };

const struct opt judge_output_opts[] = {
	OPT_TITLE("Output"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct judge_output, output, "FILE",
		       "write here instead of standard output"),
	OPT_ROW_(0, "format", OPT_ENUM, int, OPT_OUT, struct judge_output, format, "NAME",
		 "table, markdown, github, junit, openmetrics, prom, csv, influx, bmf, gab, lava",
		 .choices = format_names),
	OPT_ENUM_ROW(0, "better", OPT_OUT, struct judge_output, better, better_names,
		     "metrics that gab holds: one direction a file"),
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct judge_output, json, "print as JSON"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct judge_output, quiet, "exit status only"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct judge_output, verbose,
		      "with p values, and what the runs could have shown for all"),
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct judge_output, color, term_color_names,
		     "colours in the table"),
	OPT_END,
};

struct table_style judge_style(const struct judge_output *o)
{
	return (struct table_style){
		.width = term_width(STDOUT_FILENO),
		.color = !o->output && term_color(STDOUT_FILENO, (enum term_color)o->color),
		.utf8 = term_utf8(),
		.verbose = o->verbose,
	};
}

int judge_write_text(const char *text, size_t len, const struct judge_output *o, struct err *e)
{
	CLEANUP_FD int fd = -1;

	if (!o->output || strcmp(o->output, "-") == 0)
		return emit_fd(STDOUT_FILENO, text, len, "standard output", e);
	fd = open(o->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return err_sys(e, ERR_INTERNAL, "write %s", o->output);
	return emit_fd(fd, text, len, o->output, e);
}

static int make_text(const struct report *r, const struct judge_output *o, struct buf *out,
		     struct err *e)
{
	struct table_style style = judge_style(o);
	const struct format_options how = {
		.format = (enum format)o->format,
		.gab_better = o->better ? BETTER_HIGHER : BETTER_LOWER,
	};

	return o->format ? format_report(r, &how, out, e) : report_table(r, &style, out, e);
}

static int write_json(const struct report *r, const struct judge_output *o, struct err *e)
{
	CLEANUP(json_decref) json_t *root = report_json(r, e);

	return root ? emit_file(root, o->output ? o->output : "-", e) : -1;
}

int judge_write(const struct report *r, const struct judge_output *o, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	if (o->json)
		return write_json(r, o, e);
	if (o->quiet)
		return 0;
	if (make_text(r, o, &out, e) < 0)
		return -1;
	return judge_write_text(buf_text(&out), out.len, o, e);
}
