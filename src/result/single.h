/* single - the metrics of one result as a report */
#pragma once

#include "result/report.h"
#include "result/side.h"

/* Rows in the order of the document, nothing compared; `root` (may be NULL) adds its checks. The report borrows from both. */
int single_make(const struct side *side, const json_t *root, struct report *out,
		struct err *e) ERR_MUST_CHECK;
