/* mpbench merge - results of several hosts or shards as one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd.h"
#include "judge.h"
#include "result/emit.h"
#include "result/load.h"
#include "result/merge.h"
#include "term.h"

extern const struct cmd cmd_merge;

struct options {
	uint32_t expect;
	bool strict, json, quiet;
	uint32_t verbose;
	int color;
	struct opt_strings allow;
	const char *output;
};

static const struct opt table[] = {
	OPT_TITLE("Merging"),
	OPT_U32_ROW(0, "expect", OPT_HOW, struct options, expect, "N",
		    "how many there should be: fewer are marked incomplete, more are refused",
		    .min = 1),
	OPT_FLAG_ROW(0, "strict", OPT_HOW, struct options, strict, "exit with 1 when incomplete"),
	OPT_STRINGS_ROW(0, "allow", OPT_HOW, struct options, allow, "KEY",
			"this option of the benchmark may differ; * allows any"),
	OPT_TITLE("Output"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct options, output, "FILE",
		       "write the merged result here"),
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct options, json,
		     "print the document instead of a table"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct options, quiet, "print errors only"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct options, verbose, "show more metrics"),
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct options, color, term_color_names,
		     "colours in the table"),
	OPT_END,
};

static int add_files(struct merge *m, const char *const *files, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		json_t *root = NULL;

		if (load_result(files[i], &root, e) < 0 || merge_add(m, files[i], root, e) < 0)
			return -1;
	}
	return 0;
}

static int show(const json_t *root, const struct merge_facts *f, const struct options *o,
		struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = {
		.width = term_width(STDOUT_FILENO),
		.color = term_color(STDOUT_FILENO, (enum term_color)o->color),
		.utf8 = term_utf8(),
		.verbose = o->verbose,
	};

	if (table_result(root, &style, &out, e) < 0)
		return -1;
	buf_addf(&out, "\n%zu %s%s", f->workers, f->workers == 1 ? "result" : "results",
		 f->complete ? "" : ", INCOMPLETE");
	if (!isnan(f->overlap))
		buf_addf(&out, ", together for %.0f %% of the time", 100 * f->overlap);
	buf_addc(&out, '\n');
	return out.failed ? err_nomem(e)
			  : emit_fd(STDOUT_FILENO, buf_text(&out), out.len, "standard output", e);
}

static int write_out(json_t *root, const struct merge_facts *f, const struct options *o,
		     struct err *e)
{
	bool taken = o->output && o->output[0] == '-' && o->output[1] == '\0';

	if (o->output && emit_file(root, o->output, e) < 0)
		return -1;
	if (o->json && !taken)
		return emit_file(root, "-", e);
	return o->json || o->quiet || taken ? 0 : show(root, f, o, e);
}

static int merge_all(const struct options *o, const char *const *files, size_t n, struct err *e)
{
	CLEANUP(merge_done) struct merge m = { .allow = &o->allow };
	CLEANUP(json_decref) json_t *root = NULL;
	struct merge_facts facts;

	if (add_files(&m, files, n, e) < 0)
		return -1;
	if (m.differs && !o->quiet)
		fprintf(stderr,
			"mpbench merge: warning: the files were not all measured in the same "
			"way (config.how)\n");
	if (merge_finish(&m, o->expect, &root, &facts, e) < 0 || write_out(root, &facts, o, e) < 0)
		return -1;
	if (!facts.complete && !o->quiet)
		fprintf(stderr, "mpbench merge: warning: the set is incomplete\n");
	return o->strict && !facts.complete ? ERR_CHECK : 0;
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = { 0 };
	CLEANUP_FREE const char **files = calloc((size_t)argc + 1, sizeof(*files));
	size_t n;
	int rc;

	if (!files)
		return err_nomem(e);
	rc = cmd_parse(&cmd_merge, argc, argv, &o, files, (size_t)argc, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(
			e, ERR_USAGE, "operand",
			"no file given, as in: mpbench merge host1.json host2.json -o all.json");
	return merge_all(&o, files, n, e);
}

static const char *const examples[] = {
	"mpbench merge host1.json host2.json -o all.json",
	"two hosts that ran at the same time",
	"mpbench merge --expect 4 --strict out.*.json",
	"exits with 1 when one of four is missing",
	"mpbench bench-repl --start-at 2026-03-01T12:00:00Z -o out.%r.json builtin:",
	"what each host runs: the launcher gives the rank %r",
	NULL,
};

const struct cmd cmd_merge = {
	.group = CMD_JUDGE,
	.name = "merge",
	.operands = "FILE...",
	.summary = "add up the results of several hosts",
	.about =
		"Adds run i of every file to run i of the whole: counts and histograms add up, and percentiles come from the "
		"added counts only. Files of another measurement, or the same one twice, are refused.",
	.examples = examples,
	.table = table,
	.run = run,
};
