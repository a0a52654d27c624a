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
 * The log-linear scale with `bits` sub-bucket bits (1..31): index of v is v itself below 2^(bits+1); else
 * e = floor(log2 v) - bits, index = (e << bits) + (v >> e). Bucket i holds the values
 * [loglinear_low(i), loglinear_high(i)]; its width is at most low / 2^bits.
 */
static inline size_t loglinear_index(unsigned bits, uint64_t v)
{
	/* | 1 keeps clz defined and changes no index. */
	unsigned top = 63 - (unsigned)__builtin_clzll(v | 1);
	unsigned e = top > bits ? top - bits : 0;

	return ((size_t)e << bits) + (size_t)(v >> e);
}

static inline uint64_t loglinear_low(unsigned bits, size_t index)
{
	size_t e = index >> bits ? (index >> bits) - 1 : 0;

	return (uint64_t)(index - (e << bits)) << e;
}

static inline uint64_t loglinear_high(unsigned bits, size_t index)
{
	size_t e = index >> bits ? (index >> bits) - 1 : 0;

	return loglinear_low(bits, index) + ((UINT64_C(1) << e) - 1);
}

/* The same with HISTOGRAM_BITS; index < HISTOGRAM_SIZE. */
static inline size_t histogram_index(uint64_t v)
{
	return loglinear_index(HISTOGRAM_BITS, v);
}
uint64_t histogram_low(size_t index);
uint64_t histogram_high(size_t index);

/* n is the sum of all counts. Zeroed memory is a valid empty one for histogram_done only. */
struct histogram {
	uint64_t n;
	size_t lowest, highest; /* used range of indexes; lowest > highest when empty */
	uint64_t *count;	/* HISTOGRAM_SIZE entries */
};

int histogram_init(struct histogram *h, struct err *e) ERR_MUST_CHECK;
void histogram_done(struct histogram *h);
CLEANUP_OBJ(struct histogram, histogram_done)
/* Empties, keeps the memory. */
void histogram_reset(struct histogram *h);
/* Never allocates. What would carry n beyond 2^64-1 is cut off: n then stays at 2^64-1. */
void histogram_add(struct histogram *h, uint64_t v, uint64_t times);
/* a += b: exact, commutative, associative. Fails (ERR_USAGE) when a count would overflow; a is then unchanged. */
int histogram_merge(struct histogram *a, const struct histogram *b, struct err *e) ERR_MUST_CHECK;
/* Highest value of the bucket that holds rank = ceil(n * ppm / 1e6) (1-based, at least 1); 0 when empty. The caller
 * clamps it to the recorded maximum. */
uint64_t histogram_percentile(const struct histogram *h, uint32_t ppm);
/* Highest value of the bucket that holds the rank (1-based, cut to n); 0 when empty. */
uint64_t histogram_at_rank(const struct histogram *h, uint64_t rank);
