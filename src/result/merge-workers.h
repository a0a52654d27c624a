/* merge-workers - who contributed what to a merged result */
#pragma once

#include "result/json.h"

/* extensions.merge of a document, made where it has none; borrowed. */
json_t *merge_workers_open(json_t *root, struct err *e);
/* The union into a's list, sorted by run_id; ERR_USAGE when one is in both. */
int merge_workers_add(json_t *a, const json_t *b, const char *name, struct err *e) ERR_MUST_CHECK;
/* run_id and, where machines differ, environment.fingerprint of the whole, from those of all workers. */
int merge_workers_identify(json_t *root, struct err *e) ERR_MUST_CHECK;
