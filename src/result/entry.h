/* entry - what one result leaves in a history: its medians, small enough for a line */
#pragma once

#include "result/json.h"
#include "result/side.h"

/*
 * A new object of schema mpbench.watch without the keys that a watcher adds: schema, schema_version, started_at, run_id,
 * subcommand, commit, machine (fingerprint), config (12 hex digits: results of the same are comparable), benchmarks [{name,
 * target, params, headline, ok, failed, metrics {NAME: {value (median over the runs, null where no run has one), unit, better,
 * assume}}}]. `side` holds this one result. NULL with *e filled.
 */
json_t *entry_make(const struct side *side, struct err *e);
/* The head of an entry for a run that gave no result: as above, with null and empty lists. */
json_t *entry_make_empty(const char *started_at, struct err *e);
/* Schema, version and structure of an entry; ERR_USAGE names the first thing wrong with its path. */
int entry_check(const json_t *entry, struct err *e) ERR_MUST_CHECK;
/* The entry as one line of text without newline; malloc'ed, NULL with *e filled. */
char *entry_line(const json_t *entry, struct err *e);
