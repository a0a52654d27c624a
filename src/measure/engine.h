/* engine - drives sessions of any protocol through a plan and records what comes back */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "io/session.h"
#include "measure/measurement.h"
#include "measure/plan.h"

/* How a session of a case is made. `index` counts the sessions of the run from 0; `sink` (may be ignored) takes
 * sub-samples. The session belongs to the loop's thread; the engine frees it. */
typedef int session_maker(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
			  struct session **out, struct err *e);

/*
 * One case on one target. phases: names of the distributions made from the outcome's marks, written
 * "phase.NAME"; subs: names of sub-sample distributions; value_name: distribution of outcome.value. `sessions` 0 means the plan's concurrency.
 * `slow_cap` bounds the automatic iterations of a case that is known to be slow (0: 1,000).
 */
struct engine_case {
	const char *name;      /* "repl.exec" */
	const char *target;    /* label */
	unsigned target_index; /* position among the targets: interleaving order, --start */
	struct param params[PARAMS_MAX];
	size_t n_params;
	const char *headline;
	const char *const *phases; /* NULL-terminated or NULL */
	const char *const *subs;
	const char *value_name, *value_unit;
	enum better value_better;
	bool fresh; /* every operation opens a session of its own: `open` does nothing */
	unsigned sessions;
	uint64_t slow_cap;
	uint32_t patience; /* the plan's time-out counts so many times for this case; 0: once */
	uint64_t
		fixed_iterations; /* 0: by plan; else exactly this many a run (unless --iterations is given) */
	uint64_t rate;		  /* operations per second in place of the plan's; 0: the plan's */
	session_maker *make;
	void *ctx;
};

/* A probe watches the windows of runs (syscall counts, CPU of the server). Called from the main thread, outside timed
 * regions; both may take time. A failing probe fails the measurement. NULL members are skipped. */
struct engine_probe {
	void *ctx;
	int (*window_open)(void *ctx, const struct engine_case *c, struct run *run, struct err *e);
	int (*window_close)(void *ctx, const struct engine_case *c, struct run *run, struct err *e);
};

enum engine_event { ENGINE_ESTIMATE, ENGINE_RUN_BEGIN, ENGINE_RUN_END };
struct engine_progress {
	enum engine_event event;
	uint64_t estimate_ns;	       /* of the whole measurement; ENGINE_ESTIMATE */
	const struct engine_case *now; /* RUN_* */
	uint32_t run, runs;
	size_t step, steps;	  /* runs done and to do, over all cases */
	const struct run *record; /* RUN_END */
};

struct engine {
	const struct plan *plan;
	const struct engine_case
		*cases; /* case-major; the cases of all targets with the same name stand together */
	size_t n_cases;
	const struct engine_probe *probes;
	size_t n_probes;
	void (*progress)(void *ctx, const struct engine_progress *p); /* may be NULL */
	void *progress_ctx;
	const struct log *log;
	/* Tests give a maker of fake loops; NULL: real ones. */
	int (*make_loop)(struct loop **out, struct err *e);
};

/*
 * Runs everything: a short pilot of each case (its cost and set-up time decide iterations where the plan leaves them
 * open), then plan.runs rounds; in each round every case in order, its targets in ABBA order (even rounds forward, odd
 * rounds backward), each run with fresh sessions. Open loop: operation k is planned at start + k/rate and latency
 * counts from there. A time-out cancels the session, counts "timeout" and goes on with a fresh one. A run in which
 * nothing succeeded is RUN_FAILED; a case whose session cannot be opened three times in a row ends its run as failed
 * with the reason counted. Returns 0 also when operations failed (see engine_verdict); -1 for trouble of our own. When
 * the user asks to stop, the run under way ends, `interrupted` is set and what was measured stays.
 */
int engine_run(const struct engine *g, struct measurement *out, struct err *e) ERR_MUST_CHECK;

/* ERR_NONE, or ERR_TARGET with *e filled when a case had no success at all or failures beyond plan.max_errors. */
int engine_verdict(const struct measurement *m, const struct plan *plan,
		   struct err *e) ERR_MUST_CHECK;
