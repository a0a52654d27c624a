/* table - a result for people: 80 columns */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "result/document.h"

struct table_style {
	unsigned width; /* columns, at least 60 */
	bool color, utf8;
	unsigned verbose;
};

/* From the document, so that a file shows the same as the run did: per case and target n, mean, median, P95, P99, max,
 * failures, one-line histogram; ratios with interval against the first target; phase budget; findings; warnings. */
int table_result(const json_t *root, const struct table_style *style, struct buf *out,
		 struct err *e) ERR_MUST_CHECK;

/* A one-line histogram of `cells` characters from a distribution object of the document. */
int table_sparkline(const json_t *distribution, unsigned cells, bool utf8, struct buf *out);
