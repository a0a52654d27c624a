/* onerun - one run of one case: workers, threads, the window */
#pragma once

#include "measure/engine.h"
#include "measure/worker.h"

struct onerun {
	const struct engine *g;
	const struct engine_case *c;
	uint64_t warmup, iterations, duration_ns;
	uint32_t round;	    /* offset of the open loop's phase is the same in all rounds */
	bool probed;	    /* open and close the probes' windows */
	uint64_t origin_ns; /* start of the session, for start_offset_ns */
};

/* Fills everything of run but index, order and pair. setup_ns (may be NULL): time to open, close and warm nothing. */
int onerun_go(const struct onerun *o, struct run *run, uint64_t *setup_ns, bool *interrupted,
	      struct err *e) ERR_MUST_CHECK;
