/* sparkline - a histogram, or values in order, in one line of text */
#pragma once

#include "result/table.h"

enum { SPARKLINE_MAX = 40, SPARKLINE_VALUES_MAX = 200 };

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
/* One character: the height of a bar, 0 (lowest, but seen) to 1. */
void sparkline_level(double height, bool utf8, struct buf *out);
/*
 * Values in order, one character each between the smallest and the largest; more than `cells` of them (at most
 * SPARKLINE_VALUES_MAX) share a character by their mean. Where a character has no finite value at all, '!'. Returns the
 * columns used.
 */
unsigned sparkline_values(const double *v, size_t n, unsigned cells, bool utf8, struct buf *out);
