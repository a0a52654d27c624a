/* merge-finish - a sum of documents made into a document */
#pragma once

#include "result/merge.h"

/* Metrics, pooled distributions, comparisons and the windows of runs anew; facts, and extensions.merge from them. Not `opened`:
 * only the facts. */
int merge_finish_root(json_t *root, bool opened, size_t expect, struct merge_facts *facts,
		      struct err *e) ERR_MUST_CHECK;
