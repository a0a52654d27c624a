#include "measure/schedule.h"

#include <stdbool.h>

uint64_t schedule_warmup(uint64_t n, int fresh)
{
	uint64_t share;

	if (fresh)
		return 1;
	if (n >= 100)
		share = n / 20 > 10 ? n / 20 : 10;
	else
		share = n / 10 > 1 ? n / 10 : 1;
	return share;
}

/* Time of one run of n operations with its warm-up. */
static uint64_t run_time(const struct schedule_cost *c, uint64_t n)
{
	return (n + schedule_warmup(n, 0)) * c->operation_ns;
}

static uint64_t most(const struct schedule_cost *c)
{
	return c->fixed ? c->fixed : c->cap ? c->cap : 1;
}

/* The largest n whose run fits into `share`. */
static uint64_t fitting(const struct schedule_cost *c, uint64_t share)
{
	uint64_t lo = 1, hi = most(c);

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo + 1) / 2;

		if (run_time(c, mid) <= share)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

uint64_t schedule_fit(struct schedule_cost *cost, size_t n, uint32_t runs, uint64_t budget_ns,
		      uint64_t settle_ns)
{
	uint64_t per_round = budget_ns / (runs ? runs : 1), used = 0, total = 0;
	size_t open = n;
	bool changed = true;

	for (size_t i = 0; i < n; i++) {
		cost[i].iterations = 0;
		used += cost[i].setup_ns + settle_ns;
	}
	/* whoever is content with less than an even share frees the rest for the others */
	while (changed && open) {
		uint64_t left = per_round > used ? per_round - used : 0;
		uint64_t share = left / open;

		changed = false;
		for (size_t i = 0; i < n; i++) {
			if (cost[i].iterations ||
			    (!cost[i].fixed && run_time(&cost[i], most(&cost[i])) > share))
				continue;
			cost[i].iterations = most(&cost[i]);
			used += run_time(&cost[i], cost[i].iterations);
			open--;
			changed = true;
		}
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t left = per_round > used ? per_round - used : 0;

		if (!cost[i].iterations)
			cost[i].iterations = fitting(&cost[i], open ? left / open : 0);
		total += cost[i].setup_ns + settle_ns + run_time(&cost[i], cost[i].iterations);
	}
	return total * runs;
}

size_t schedule_abba(size_t n, uint32_t round, size_t k)
{
	return round % 2 ? n - 1 - k : k;
}
