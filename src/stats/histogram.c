#include "stats/histogram.h"

#include <stdlib.h>
#include <string.h>

#include "stats/summary.h"

uint64_t histogram_low(size_t index)
{
	return loglinear_low(HISTOGRAM_BITS, index);
}

uint64_t histogram_high(size_t index)
{
	return loglinear_high(HISTOGRAM_BITS, index);
}

int histogram_init(struct histogram *h, struct err *e)
{
	uint64_t *count = calloc(HISTOGRAM_SIZE, sizeof(*count));

	if (!count)
		return err_nomem(e);
	h->n = 0;
	h->lowest = HISTOGRAM_SIZE;
	h->highest = 0;
	h->count = count;
	return 0;
}

void histogram_done(struct histogram *h)
{
	free(h->count);
	memset(h, 0, sizeof(*h));
}

void histogram_reset(struct histogram *h)
{
	if (h->n)
		memset(h->count + h->lowest, 0, (h->highest - h->lowest + 1) * sizeof(*h->count));
	h->n = 0;
	h->lowest = HISTOGRAM_SIZE;
	h->highest = 0;
}

void histogram_add(struct histogram *h, uint64_t v, uint64_t times)
{
	size_t i = histogram_index(v);

	/* Cutting `times` keeps n the sum of the counts, so no single count can overflow. */
	if (times > UINT64_MAX - h->n)
		times = UINT64_MAX - h->n;
	if (!times)
		return;
	h->n += times;
	h->count[i] += times;
	if (i < h->lowest)
		h->lowest = i;
	if (i > h->highest)
		h->highest = i;
}

int histogram_merge(struct histogram *a, const struct histogram *b, struct err *e)
{
	if (!b->n)
		return 0;
	if (b->n > UINT64_MAX - a->n)
		return err_set(e, ERR_USAGE, "overflow",
			       "merged histograms would count more than 2^64-1 values");
	for (size_t i = b->lowest; i <= b->highest; i++)
		a->count[i] += b->count[i];
	a->n += b->n;
	if (b->lowest < a->lowest)
		a->lowest = b->lowest;
	if (b->highest > a->highest)
		a->highest = b->highest;
	return 0;
}

uint64_t histogram_at_rank(const struct histogram *h, uint64_t rank)
{
	uint64_t seen = 0;

	if (!h->n)
		return 0;
	for (size_t i = h->lowest; i < h->highest; i++) {
		seen += h->count[i];
		if (seen >= rank)
			return histogram_high(i);
	}
	return histogram_high(h->highest);
}

uint64_t histogram_percentile(const struct histogram *h, uint32_t ppm)
{
	return histogram_at_rank(h, summary_rank(h->n, ppm));
}
