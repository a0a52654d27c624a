/* load - result files read back, with no trust */
#pragma once

#include "result/document.h"

enum { LOAD_FILE_MAX = 64 << 20 };

/* Reads and parses (at most 64 MiB; duplicate keys, bad UTF-8, depth beyond 64 refused); ERR_USAGE with FILE:line. */
int load_json(const char *path, json_t **out, struct err *e) ERR_MUST_CHECK;
/* load_json, then schema name and major version ("file is schema 2.x, this mpbench reads 1.x"), then load_check. */
int load_result(const char *path, json_t **out, struct err *e) ERR_MUST_CHECK;
/* The structure of the result document: types, required keys, units, one value per run, histograms whose counts add
 * up. Names the first thing wrong with its JSON path ("$.benchmarks[2].metrics.latency.p99.values[3]: ..."). Unknown
 * keys are allowed. */
int load_check(const json_t *root, struct err *e) ERR_MUST_CHECK;
