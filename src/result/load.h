/* load - result files read back, with no trust */
#pragma once

#include "result/document.h"

enum { LOAD_FILE_MAX = 64 << 20, LOAD_DEPTH_MAX = 64, LOAD_VALUES_MAX = 8 << 20 };

/* Reads ("-": standard input) and parses; at most 64 MiB and 8 Mi values; duplicate keys, bad UTF-8, depth beyond 64
 * refused. ERR_USAGE with FILE:line. *out is a new reference, NULL on failure. */
int load_json(const char *path, json_t **out, struct err *e) ERR_MUST_CHECK;
/* The same from memory; `name` stands in messages. */
int load_text(const char *name, const char *text, size_t len, json_t **out,
	      struct err *e) ERR_MUST_CHECK;
/* load_json, then load_check, whose message then begins with the file. */
int load_result(const char *path, json_t **out, struct err *e) ERR_MUST_CHECK;
/* Schema name and major version first ("file is schema 2.x, this mpbench reads 1.x"), then the structure: types, required keys, units, one value per run, histograms whose counts add
 * up. Names the first thing wrong with its JSON path ("$.benchmarks[2].metrics.latency.p99.values[3]: ..."). Unknown
 * keys are allowed. */
int load_check(const json_t *root, struct err *e) ERR_MUST_CHECK;
