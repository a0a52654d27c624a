/* Result files made of run values: the smallest documents that load_check takes. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result/diff.h"
#include "result/load.h"

/* A document without benchmarks; `id` makes the run_id. */
static inline json_t *fx_document(const char *id)
{
	json_t *root = json_pack(
		"{s:s,s:s,s:{s:s,s:s},s:s,s:s,s:s,s:s,s:{s:s,s:[s]},s:{s:s,s:{},s:{s:s},s:s},"
		"s:{s:s,s:[]},s:{s:{s:i},s:{s:i},s:{}},s:[],s:[],s:{}}",
		"schema", "mpbench.result", "schema_version", "1.0", "tool", "name", "mpbench",
		"version", "1", "run_id", id, "started_at", "2026-01-01T00:00:00.000Z",
		"finished_at", "2026-01-01T00:00:10.000Z", "status", "complete", "command",
		"subcommand", "bench-repl", "argv", "mpbench", "environment", "kernel", "6.1",
		"cpu", "clock", "id", "monotonic", "fingerprint", "0123456789abcdef", "noise",
		"verdict", "quiet", "reasons", "config", "what", "chunk", 64, "how", "runs", 10,
		"out", "targets", "benchmarks", "extensions");

	if (!root)
		abort();
	return root;
}

/* A case with n runs and no metrics. */
static inline json_t *fx_case(json_t *root, const char *name, const char *headline, size_t n)
{
	json_t *b = json_pack("{s:s,s:s,s:{},s:s,s:[],s:{}}", "name", name, "target", "t1",
			      "params", "headline", headline, "runs", "metrics");

	if (!b || json_array_append_new(json_object_get(root, "benchmarks"), b) < 0)
		abort();
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(json_object_get(b, "runs"),
					  json_pack("{s:i,s:i,s:s,s:i,s:i,s:{},s:{}}", "index",
						    (int)i, "order", (int)i, "status", "ok", "ok",
						    100, "failed", 0, "errors", "distributions")) <
		    0)
			abort();
	return b;
}

static inline void fx_metric(json_t *b, const char *name, const char *unit, const char *better,
			     const char *assume, const double *values)
{
	size_t n = json_array_size(json_object_get(b, "runs"));
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_number(values[i])) < 0)
			abort();
	if (json_object_set_new(json_object_get(b, "metrics"), name,
				json_pack("{s:s,s:s,s:s,s:o}", "unit", unit, "better", better,
					  "assume", assume, "values", list)) < 0)
		abort();
}

/* One case "repl.exec" with latency.median as headline. */
static inline json_t *fx_latency(const char *id, const double *values, size_t n)
{
	json_t *root = fx_document(id);
	json_t *b = fx_case(root, "repl.exec", "latency.median", n);

	fx_metric(b, "latency.median", "ns", "lower", "distribution", values);
	return root;
}

/* Marks all runs as those of one interleaved session. */
static inline void fx_interleave(json_t *root, const char *session)
{
	json_t *b, *run;
	size_t i, k;

	if (json_object_set_new(json_object_get(root, "extensions"), "interleaved",
				json_pack("{s:s}", "session", session)) < 0)
		abort();
	json_array_foreach(json_object_get(root, "benchmarks"), i, b)
		json_array_foreach(json_object_get(b, "runs"), k, run)
	{
		if (json_object_set_new(run, "pair", json_integer((json_int_t)k)) < 0)
			abort();
	}
}

/* Both documents as sides and their report; the documents are released. */
struct fx_diff {
	struct side base, new;
	struct report report;
	struct err e;
	int rc;
};

static inline void fx_diff_done(struct fx_diff *d)
{
	report_done(&d->report);
	side_done(&d->base);
	side_done(&d->new);
}
CLEANUP_OBJ(struct fx_diff, fx_diff_done)

static inline struct fx_diff fx_compare(json_t *base, json_t *new, const struct diff_opts *o)
{
	static const struct diff_opts none;
	struct diff_rules *rules = malloc(sizeof(*rules));
	struct fx_diff d = { 0 };

	if (!rules)
		abort();
	if (load_check(base, &d.e) < 0 || load_check(new, &d.e) < 0 ||
	    diff_rules_parse(rules, o ? o : &none, &d.e) < 0 ||
	    side_add(&d.base, "base.json", base, &d.e) < 0 ||
	    side_add(&d.new, "new.json", new, &d.e) < 0 ||
	    diff_make(&d.base, &d.new, rules, &d.report, &d.e) < 0)
		d.rc = -1;
	free(rules);
	json_decref(base);
	json_decref(new);
	return d;
}

static inline const struct report_row *fx_row(const struct fx_diff *d, const char *metric)
{
	for (size_t i = 0; i < d->report.n; i++)
		if (strcmp(d->report.row[i].metric, metric) == 0)
			return &d->report.row[i];
	return NULL;
}
