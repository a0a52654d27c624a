/* plan - how hard and how long */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"

/* Common options of every bench. 0 (or the stated value) means "chosen by the engine". */
struct plan {
	uint64_t iterations;  /* operations per run; 0: what fits the budget */
	uint64_t duration_ns; /* length of a run instead of a count; 0: by iterations */
	uint32_t runs;	      /* independent runs, default 10 */
	uint64_t warmup;      /* operations discarded per run; UINT64_MAX: automatic */
	uint64_t timeout_ns;  /* one operation; default 10 s */
	uint32_t concurrency; /* sessions at once, default 1 */
	uint32_t threads;     /* threads that share the sessions, default 1 */
	uint64_t rate;	    /* operations per second over all sessions, open loop; 0: closed loop */
	uint64_t settle_ns; /* pause between runs */
	uint64_t budget_ns; /* a default invocation ends within this; default 30 s */
	uint64_t seed;
	double max_errors; /* share of failures above which the exit status is 4; default 0.01 */
	const char *pin;   /* "CLIENT[,SERVER]": CPU numbers; NULL: not pinned */
	struct opt_strings starts; /* --start, one per target in order */
	bool samples;		   /* keep raw samples in the document */
};

#define PLAN_DEFAULT \
	{ \
		.runs = 10, .warmup = UINT64_MAX, .timeout_ns = UINT64_C(10000000000), \
		.concurrency = 1, .threads = 1, .budget_ns = UINT64_C(30000000000), .seed = 1, \
		.max_errors = 0.01 \
	}

/* Option rows of struct plan. */
extern const struct opt plan_opts[];
/* The same without --concurrency, for commands that take several values of it. */
extern const struct opt plan_matrix_opts[];

/* Checks what rows cannot say (rate with threads, iterations with duration...). ERR_USAGE. */
int plan_check(const struct plan *p, struct err *e) ERR_MUST_CHECK;
/* The client and server CPU of `pin`, -1 where none. */
int plan_pin(const struct plan *p, int *client, int *server, struct err *e) ERR_MUST_CHECK;
