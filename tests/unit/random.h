/* random - a small generator with fixed seeds: the same numbers on every machine */
#pragma once

#include <math.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/* splitmix64. */
static inline uint64_t random_u64(struct random *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform in (0, 1). */
static inline double random_unit(struct random *r)
{
	return ((double)(random_u64(r) >> 11) + 0.5) * 0x1p-53;
}

/* Standard normal (Box-Muller). */
static inline double random_normal(struct random *r)
{
	double radius = sqrt(-2 * log(random_unit(r)));

	return radius * cos(2 * M_PI * random_unit(r));
}
