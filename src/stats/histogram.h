/* histogram - log-linear counts with 7 sub-bucket bits: relative bucket width at most 1/128 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { HISTOGRAM_BITS = 7 };
/* Index of the largest uint64_t plus one: (63-7) << 7 + 255 + 1. */
enum { HISTOGRAM_SIZE = ((63 - HISTOGRAM_BITS) << HISTOGRAM_BITS) + (2 << HISTOGRAM_BITS) };

/*
 * Index of v: v itself below 2^8; else e = floor(log2 v) - 7, index = (e << 7) + (v >> e). Bucket i holds the values
 * [histogram_low(i), histogram_high(i)].
 */
size_t histogram_index(uint64_t v);
uint64_t histogram_low(size_t index);
uint64_t histogram_high(size_t index);

struct histogram {
	uint64_t n;
	size_t lowest, highest; /* used range of indexes; lowest > highest when empty */
	uint64_t *count;        /* HISTOGRAM_SIZE entries */
};

int histogram_init(struct histogram *h, struct err *e) ERR_MUST_CHECK;
void histogram_done(struct histogram *h);
CLEANUP_OBJ(struct histogram, histogram_done)
void histogram_add(struct histogram *h, uint64_t v, uint64_t times);
/* a += b: exact, commutative, associative. Fails (ERR_USAGE) when a count would overflow. */
int histogram_merge(struct histogram *a, const struct histogram *b, struct err *e) ERR_MUST_CHECK;
/* Highest value of the bucket that holds rank = ceil(n * ppm / 1e6) (1-based, at least 1); 0 when empty. The caller
 * clamps it to the recorded maximum. */
uint64_t histogram_percentile(const struct histogram *h, uint32_t ppm);
