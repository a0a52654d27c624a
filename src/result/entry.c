#include "result/entry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "result/check.h"
#include "stats/summary.h"

static const char *better_word(enum better b)
{
	return b == BETTER_LOWER ? "lower" : b == BETTER_HIGHER ? "higher" : "none";
}

static int median_of(const struct side_case *of, const struct side_metric *m, double *out,
		     struct err *e)
{
	CLEANUP_FREE double *values = calloc(of->n_runs + 1, sizeof(*values));
	size_t n = 0;

	if (!values)
		return err_nomem(e);
	for (size_t i = 0; i < of->n_runs; i++)
		if (isfinite(m->values[i]))
			values[n++] = m->values[i];
	summary_sort(values, n);
	*out = summary_median_sorted(values, n);
	return 0;
}

static int add_metric(json_t *metrics, const struct side_case *of, const struct side_metric *m,
		      struct err *e)
{
	json_t *object = json_put_object(metrics, m->name, e);
	double value = 0;

	if (!object || median_of(of, m, &value, e) < 0 ||
	    json_put(object, "value", json_number(value), e) < 0 ||
	    json_put(object, "unit", json_string(m->unit), e) < 0 ||
	    json_put(object, "better", json_string(better_word(m->better)), e) < 0)
		return -1;
	return json_put(object, "assume", json_string(m->exact ? "exact" : "distribution"), e);
}

static int add_case(json_t *benchmarks, const struct side_case *of, struct err *e)
{
	json_t *object = json_push_object(benchmarks, e), *metrics;

	if (!object || json_put(object, "name", json_string(of->name), e) < 0 ||
	    json_put(object, "target", json_string(of->target), e) < 0 ||
	    json_put(object, "params", json_string(of->params), e) < 0 ||
	    json_put(object, "headline", json_known_text(of->headline), e) < 0 ||
	    json_put(object, "ok", json_u64(of->ok), e) < 0 ||
	    json_put(object, "failed", json_u64(of->failed), e) < 0)
		return -1;
	metrics = json_put_object(object, "metrics", e);
	for (size_t i = 0; metrics && i < of->n_metrics; i++)
		if (add_metric(metrics, of, &of->metric[i], e) < 0)
			return -1;
	return metrics ? 0 : -1;
}

/* Alike for alike options that change what is measured. */
static int config_digest(const struct side_file *f, char out[13], struct err *e)
{
	CLEANUP_FREE char *text = json_dumps(f->what, JSON_COMPACT | JSON_SORT_KEYS);
	struct sha256 s;
	char hex[65];

	if (!text)
		return err_nomem(e);
	sha256_init(&s);
	sha256_add(&s, f->subcommand, strlen(f->subcommand) + 1);
	sha256_add(&s, text, strlen(text));
	sha256_hex(&s, hex);
	memcpy(out, hex, 12);
	out[12] = '\0';
	return 0;
}

static int add_schema(json_t *entry, const char *started_at, struct err *e)
{
	if (json_put(entry, "schema", json_string("mpbench.watch"), e) < 0 ||
	    json_put(entry, "schema_version", json_string("1.0"), e) < 0)
		return -1;
	return json_put(entry, "started_at", json_string(started_at), e);
}

static int add_head(json_t *entry, const struct side_file *f, struct err *e)
{
	char config[13] = "";

	if (f && config_digest(f, config, e) < 0)
		return -1;
	if (json_put(entry, "run_id", json_known_text(f ? f->run_id : ""), e) < 0 ||
	    json_put(entry, "subcommand", json_known_text(f ? f->subcommand : ""), e) < 0 ||
	    json_put(entry, "commit", json_known_text(f ? f->commit : ""), e) < 0 ||
	    json_put(entry, "machine", json_known_text(f ? f->fingerprint : ""), e) < 0)
		return -1;
	return json_put(entry, "config", json_known_text(config), e);
}

json_t *entry_make(const struct side *side, struct err *e)
{
	CLEANUP(json_decref) json_t *entry = json_object();
	const struct side_file *f = &side->file[0];
	json_t *benchmarks;

	if (!entry) {
		err_nomem(e);
		return NULL;
	}
	if (add_schema(entry, f->started_at, e) < 0 || add_head(entry, f, e) < 0)
		return NULL;
	benchmarks = json_put_array(entry, "benchmarks", e);
	if (!benchmarks)
		return NULL;
	for (size_t i = 0; i < side->n_cases; i++)
		if (add_case(benchmarks, &side->cases[i], e) < 0)
			return NULL;
	return TAKE(entry);
}

json_t *entry_make_empty(const char *started_at, struct err *e)
{
	CLEANUP(json_decref) json_t *entry = json_object();

	if (!entry) {
		err_nomem(e);
		return NULL;
	}
	if (add_schema(entry, started_at, e) < 0 || add_head(entry, NULL, e) < 0 ||
	    !json_put_array(entry, "benchmarks", e))
		return NULL;
	return TAKE(entry);
}

/* --- what is read back --- */

static const char *const better_words[] = { "lower", "higher", "none", NULL };
static const char *const assume_words[] = { "exact", "distribution", NULL };
static const char *const status_words[] = { "ok", "bad", "failed", "down", NULL };
static const char *const check_words[] = { "pass", "fail", "error", NULL };

static int check_metric(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "value", NUMBER | NONE, true, NULL, NULL },
		{ "unit", STRING, true, NULL, NULL },
		{ "better", STRING, true, NULL, better_words },
		{ "assume", STRING, false, NULL, assume_words },
		{ NULL, 0, false, NULL, NULL },
	};

	return check_fields(w, v, fields);
}

static int check_metrics(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = OBJECT, .check = check_metric });
}

static int check_benchmark(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "name", STRING, true, NULL, NULL },
		{ "target", STRING, true, NULL, NULL },
		{ "params", STRING, true, NULL, NULL },
		{ "headline", STRING | NONE, true, NULL, NULL },
		{ "ok", COUNT, true, NULL, NULL },
		{ "failed", COUNT, true, NULL, NULL },
		{ "metrics", OBJECT, true, check_metrics, NULL },
		{ NULL, 0, false, NULL, NULL },
	};

	return check_fields(w, v, fields);
}

static int check_benchmarks(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = check_benchmark });
}

static int check_alert(struct where *w, const json_t *v)
{
	static const struct field fields[] = {
		{ "expr", STRING, true, NULL, NULL },
		{ "status", STRING, true, NULL, check_words },
		{ NULL, 0, false, NULL, NULL },
	};

	return check_fields(w, v, fields);
}

static int check_alerts(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = OBJECT, .check = check_alert });
}

static const struct field entry_fields[] = {
	{ "started_at", STRING, true, check_timestamp, NULL },
	{ "run_id", STRING | NONE, true, NULL, NULL },
	{ "subcommand", STRING | NONE, true, NULL, NULL },
	{ "commit", STRING | NONE, true, NULL, NULL },
	{ "machine", STRING | NONE, true, NULL, NULL },
	{ "config", STRING | NONE, true, NULL, NULL },
	{ "benchmarks", ARRAY, true, check_benchmarks, NULL },
	{ "seq", COUNT, false, NULL, NULL },
	{ "duration_ns", COUNT, false, NULL, NULL },
	{ "status", STRING, false, NULL, status_words },
	{ "exit_status", INTEGER | NONE, false, NULL, NULL },
	{ "error", STRING | NONE, false, NULL, NULL },
	{ "alerts", ARRAY, false, check_alerts, NULL },
	{ NULL, 0, false, NULL, NULL },
};

int entry_check(const json_t *entry, struct err *e)
{
	struct where w = { .path = "$", .len = 1, .e = e };
	const char *schema = json_string_value(json_object_get(entry, "schema"));
	const char *version = json_string_value(json_object_get(entry, "schema_version"));

	if (!json_is_object(entry) || !schema || strcmp(schema, "mpbench.watch") != 0)
		return err_set(e, ERR_USAGE, "schema", "$: not a line of mpbench watch");
	if (!version || strncmp(version, "1.", 2) != 0 ||
	    !check_digits(version + 2, strlen(version + 2)))
		return err_set(e, ERR_USAGE, "schema",
			       "$.schema_version: this mpbench reads 1.x, not %.20s",
			       version ? version : "none");
	return check_fields(&w, entry, entry_fields);
}

char *entry_line(const json_t *entry, struct err *e)
{
	char *text = json_dumps(entry, JSON_COMPACT | JSON_REAL_PRECISION(15));

	if (!text)
		err_nomem(e);
	return text;
}
