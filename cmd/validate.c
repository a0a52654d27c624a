/* mpbench validate - whether result files are what they claim to be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "result/load.h"

extern const struct cmd cmd_validate;

struct validate_opts {
	bool quiet;
};

static const struct opt table[] = {
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct validate_opts, quiet, "say only what is wrong"),
	OPT_END,
};

static size_t count_runs(const json_t *root)
{
	const json_t *benchmark;
	size_t i, n = 0;

	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
	{
		size_t runs = json_array_size(json_object_get(benchmark, "runs"));

		n = runs > n ? runs : n;
	}
	return n;
}

/* Whether the file is fine. What is wrong is the result that was asked for, so it goes to stdout. */
static bool validate(const char *path, bool quiet, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL;
	CLEANUP(buf_done) struct buf name = BUF_INIT;
	size_t benchmarks, runs;

	if (load_json(path, &root, e) < 0) {
		printf("%s\n", e->msg);
		return false;
	}
	if (buf_add_safe(&name, path, strlen(path)) < 0)
		return false;
	if (load_check(root, e) < 0) {
		printf("%s: %s\n", buf_text(&name), e->msg);
		return false;
	}
	benchmarks = json_array_size(json_object_get(root, "benchmarks"));
	runs = count_runs(root);
	if (!quiet)
		printf("%s: ok (mpbench.result %s, %zu benchmark%s, %zu run%s)\n", buf_text(&name),
		       json_string_value(json_object_get(root, "schema_version")), benchmarks,
		       benchmarks == 1 ? "" : "s", runs, runs == 1 ? "" : "s");
	return true;
}

static int run(int argc, char **argv, struct err *e)
{
	struct validate_opts o = { 0 };
	CLEANUP_FREE const char **files = calloc((size_t)argc + 1, sizeof(*files));
	size_t n;
	bool all_fine = true;
	int rc;

	if (!files)
		return err_nomem(e);
	rc = cmd_parse(&cmd_validate, argc, argv, &o, files, (size_t)argc, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand",
			       "no file given, as in: mpbench validate result.json");
	for (size_t i = 0; i < n; i++)
		all_fine = validate(files[i], o.quiet, e) && all_fine;
	err_clear(e);
	return all_fine ? 0 : ERR_USAGE;
}

static const char *const examples[] = {
	"mpbench validate result.json",
	"name the first thing that is wrong, if any",
	"mpbench bench-repl --json builtin: | mpbench validate -",
	"the document of a run as it comes",
	NULL,
};

const struct cmd cmd_validate = {
	.group = CMD_JUDGE,
	.name = "validate",
	.operands = "FILE...",
	.summary = "check result files against the schema",
	.about =
		"Reads each FILE (- is standard input) and says in one line that it is a valid result, or the JSON path "
		"of the first thing that is wrong. Exits with 2 when any file is not valid.",
	.examples = examples,
	.table = table,
	.run = run,
};
