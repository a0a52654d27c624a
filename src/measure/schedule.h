/* schedule - how many operations fit, and in which order runs go: pure arithmetic */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a case costs, from its pilot. `cap` is the most iterations it may get; `fixed` (not 0) overrides. */
struct schedule_cost {
	uint64_t setup_ns;     /* opening and closing the sessions of one run */
	uint64_t operation_ns; /* wall time per operation at the case's concurrency, at least 1 */
	uint64_t cap, fixed;
	uint64_t iterations; /* result: at least 1 */
};

/* Operations thrown away before the window of a run of n: a twentieth, at least 10, where a run is long enough to carry
 * that; a tenth, at least 1, of a short one; 1 for fresh sessions. */
uint64_t schedule_warmup(uint64_t n, int fresh);

/*
 * Shares budget_ns among `runs` runs of all cases: set-up is paid first, what is left is divided evenly, and what a case
 * at its cap does not need goes to the others. Fills iterations, returns the estimated time of everything (it exceeds the
 * budget only when one operation per run already does).
 */
uint64_t schedule_fit(struct schedule_cost *cost, size_t n, uint32_t runs, uint64_t budget_ns,
		      uint64_t settle_ns);

/* Position of step k (0..n) in round r of a block of n: forward in even rounds, backward in odd ones (ABBA, ABCCBA). */
size_t schedule_abba(size_t n, uint32_t round, size_t k);
