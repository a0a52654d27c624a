/* sparkline - a histogram in one line of text */
#pragma once

#include "result/table.h"

enum { SPARKLINE_MAX = 40 };

/* Counts of values in cells of equal width on a logarithmic axis from min to max. */
struct sparkline {
	unsigned cells;
	double lo, hi; /* logarithms of the ends */
	double count[SPARKLINE_MAX];
};

void sparkline_init(struct sparkline *s, unsigned cells, double min, double max);
/* Adds the histogram of a distribution of the document; several add up. */
void sparkline_add(struct sparkline *s, const json_t *distribution);
/* One character a cell, a blank where there is nothing. */
void sparkline_draw(const struct sparkline *s, bool utf8, struct buf *out);
