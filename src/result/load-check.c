/* The rules of a result document. results-schema/result-1.json says the same in JSON Schema. */
#include <string.h>

#include "result/load-rules.h"
#include "result/load.h"

static int tool(struct where *w, const json_t *v)
{
	static const char *const names[] = { "mpbench", NULL };
	static const struct field fields[] = {
		{ "name", STRING, true, NULL, names },
		{ "version", STRING, true, NULL, NULL },
		{ "compiler", STRING, false, NULL, NULL },
		{ "libraries", OBJECT, false, check_string_members, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int error(struct where *w, const json_t *v)
{
	static const char *const kinds[] = {
		"check", "usage", "machine", "target", "internal", NULL
	};
	static const struct field fields[] = {
		{ "kind", STRING, true, NULL, kinds },
		{ "code", STRING, true, NULL, NULL },
		{ "message", STRING, true, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int command(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "subcommand", STRING, true, NULL, NULL },
		{ "argv", ARRAY, true, check_strings, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int vcs(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "commit", STRING, false, NULL, NULL },
		{ "branch", STRING, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int cpu(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "model", STRING | NONE, false, NULL, NULL },
		{ "logical", COUNT, false, NULL, NULL },
		{ "physical", COUNT | NONE, false, NULL, NULL },
		{ "smt", BOOLEAN | NONE, false, NULL, NULL },
		{ "governor", STRING | NONE, false, NULL, NULL },
		{ "driver", STRING | NONE, false, NULL, NULL },
		{ "turbo", BOOLEAN | NONE, false, NULL, NULL },
		{ "max_khz", COUNT | NONE, false, NULL, NULL },
		{ "affinity", STRING | NONE, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int clock_facts(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "id", STRING, true, NULL, NULL },
		{ "source", STRING | NONE, false, NULL, NULL },
		{ "resolution_ns", COUNT, false, NULL, NULL },
		{ "overhead_ns_p50", COUNT, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int ci(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "name", STRING | NONE, false, NULL, NULL },
		{ "attempt", STRING | NONE, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int environment(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "host", STRING, false, NULL, NULL },
		{ "os", STRING | NONE, false, NULL, NULL },
		{ "kernel", STRING, true, NULL, NULL },
		{ "arch", STRING | NONE, false, NULL, NULL },
		{ "virt", STRING | NONE, false, NULL, NULL },
		{ "container", BOOLEAN | NONE, false, NULL, NULL },
		{ "cpu", OBJECT, true, cpu, NULL },
		{ "memory_bytes", COUNT, false, NULL, NULL },
		{ "nofile_limit", COUNT | NONE, false, NULL, NULL },
		{ "aslr", BOOLEAN | NONE, false, NULL, NULL },
		{ "clock", OBJECT, true, clock_facts, NULL },
		{ "boot_id", STRING | NONE, false, NULL, NULL },
		{ "fingerprint", STRING, true, NULL, NULL },
		{ "ci", OBJECT | NONE, false, ci, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int noise(struct where *w, const json_t *v)
{
	static const char *const verdicts[] = { "quiet", "noisy", "unknown", NULL };
	static const struct field fields[] = {
		{ "verdict", STRING, true, NULL, verdicts },
		{ "reasons", ARRAY, true, check_strings, NULL },
		{ "steal_ratio", NUMBER | NONE, false, NULL, NULL },
		{ "other_cpu_ratio", NUMBER | NONE, false, NULL, NULL },
		{ "psi_cpu_some_ratio", NUMBER | NONE, false, NULL, NULL },
		{ "involuntary_switches", COUNT, false, NULL, NULL },
		{ "throttled", BOOLEAN | NONE, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int config(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "what", OBJECT, true, NULL, NULL },
		{ "how", OBJECT, true, NULL, NULL },
		{ "out", OBJECT, true, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int target(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "label", STRING, true, NULL, NULL },
		{ "url", STRING, true, NULL, NULL },
		{ "members", ARRAY, false, check_strings, NULL },
		{ "identity", OBJECT, true, check_string_or_null_members, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int targets(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = target });
}

static int comparison(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "benchmark", STRING, true, NULL, NULL },
		{ "params", OBJECT, true, NULL, NULL },
		{ "metric", STRING, true, NULL, NULL },
		{ "base", STRING, true, NULL, NULL },
		{ "new", STRING, true, NULL, NULL },
		{ "ratio", NUMBER | NONE, true, NULL, NULL },
		{ "ci", ARRAY, true, check_interval, NULL },
		{ "method", STRING, true, NULL, NULL },
		{ "p", NUMBER | NONE, false, NULL, NULL },
		{ "pairs", COUNT | NONE, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int comparisons(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = comparison });
}

static int one_check(struct where *w, const json_t *v)
{
	static const char *const statuses[] = { "pass", "fail", "error", "skipped", NULL };
	static const struct field fields[] = {
		{ "expr", STRING, true, NULL, NULL },
		{ "status", STRING, true, NULL, statuses },
		{ "value", NUMBER | NONE, false, NULL, NULL },
		{ "limit", NUMBER | NONE, false, NULL, NULL },
		{ "unit", STRING | NONE, false, NULL, NULL },
		{ "benchmark", STRING | NONE, false, NULL, NULL },
		{ "target", STRING | NONE, false, NULL, NULL },
		{ "params", STRING | NONE, false, NULL, NULL },
		{ "metric", STRING | NONE, false, NULL, NULL },
		{ "message", STRING | NONE, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int checks(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = one_check });
}

static int finding(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "code", STRING, true, NULL, NULL },
		{ "benchmark", STRING | NONE, false, NULL, NULL },
		{ "target", STRING | NONE, false, NULL, NULL },
		{ "evidence", STRING, true, NULL, NULL },
		{ "remedy", STRING | NONE, false, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int findings(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = finding });
}

static int warning(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "code", STRING, true, NULL, NULL },
		{ "message", STRING, true, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int warnings(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = warning });
}

static int phase(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "name", STRING, true, NULL, NULL },
		{ "ns", NUMBER | NONE, true, NULL, NULL },
		{ "percent", NUMBER | NONE, true, NULL, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int phases(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = phase });
}

static int phase_budget(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "target", STRING, true, NULL, NULL },
		{ "phases", ARRAY, true, phases, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int phase_budgets(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = phase_budget });
}

/* Extensions are free, but for the one that the table shows. */
static int extensions(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "phase_budget", ARRAY, false, phase_budgets, NULL },
		{ 0 },
	};

	return check_fields(w, v, fields);
}

static int check_version(const json_t *root, struct where *w)
{
	const char *schema = json_string_value(json_object_get(root, "schema"));
	const char *version = json_string_value(json_object_get(root, "schema_version"));
	size_t major = version ? strspn(version, "0123456789") : 0;
	bool ok = major && version[major] == '.' &&
		  check_digits(version + major + 1, strlen(version + major + 1));

	if (!schema || strcmp(schema, "mpbench.result") != 0)
		return err_set(w->e, ERR_USAGE, "schema",
			       "$.schema: must be \"mpbench.result\": no mpbench result file");
	if (!ok)
		return err_set(w->e, ERR_USAGE, "schema",
			       "$.schema_version: must be MAJOR.MINOR, as in \"1.0\"");
	if (major != 1 || version[0] != '1')
		return err_set(w->e, ERR_USAGE, "schema",
			       "$.schema_version: file is schema %.*s.x, this mpbench reads 1.x",
			       (int)major, version);
	return 0;
}

int load_check(const json_t *root, struct err *e)
{
	static const char *const statuses[] = { "complete", "interrupted", "failed", NULL };
	static const struct field fields[] = {
		{ "tool", OBJECT, true, tool, NULL },
		{ "run_id", STRING, true, NULL, NULL },
		{ "started_at", STRING, true, check_timestamp, NULL },
		{ "finished_at", STRING, true, check_timestamp, NULL },
		{ "status", STRING, true, NULL, statuses },
		{ "error", OBJECT | NONE, false, error, NULL },
		{ "command", OBJECT, true, command, NULL },
		{ "labels", OBJECT, false, check_string_members, NULL },
		{ "vcs", OBJECT, false, vcs, NULL },
		{ "environment", OBJECT, true, environment, NULL },
		{ "noise", OBJECT | NONE, false, noise, NULL },
		{ "config", OBJECT, true, config, NULL },
		{ "targets", ARRAY, true, targets, NULL },
		{ "benchmarks", ARRAY, true, check_benchmarks, NULL },
		{ "comparisons", ARRAY, false, comparisons, NULL },
		{ "checks", ARRAY, false, checks, NULL },
		{ "findings", ARRAY, false, findings, NULL },
		{ "warnings", ARRAY, false, warnings, NULL },
		{ "extensions", OBJECT, false, extensions, NULL },
		{ 0 },
	};
	struct where w = { .path = "$", .len = 1, .e = e };

	if (!json_is_object(root))
		return err_set(e, ERR_USAGE, "schema", "$: must be an object");
	return check_version(root, &w) < 0 ? -1 : check_fields(&w, root, fields);
}
