/* worker - one thread's share of a run: its loop, its sessions, what they brought */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure/engine.h"

/* What one worker is to do in a run. */
struct work {
	const struct engine_case *c;
	unsigned sessions, first_index; /* how many sessions, and the number of the first */
	uint64_t warmup;		/* operations discarded first */
	uint64_t iterations;		/* operations of the window; 0: by duration */
	uint64_t duration_ns;
	uint64_t interval_ns; /* open loop: between planned sends of this worker; 0: closed loop */
	uint64_t offset_ns;   /* open loop: of the first planned send */
	uint64_t timeout_ns;
};

struct worker;

/* The loop is borrowed and must not be used elsewhere meanwhile. */
int worker_new(struct worker **out, const struct work *work, struct loop *loop,
	       struct err *e) ERR_MUST_CHECK;
void worker_free(struct worker *w);
CLEANUP_PTR(struct worker, worker_free)

/*
 * The three parts of a run, in order: open all sessions and warm up; the measured window; close. Each blocks in the loop.
 * worker_prepare returns -1 only for trouble of our own (no memory, no descriptors); a target that cannot be opened is
 * counted and seen by worker_dead. After the user's stop request each part ends early and worker_interrupted is true.
 */
int worker_prepare(struct worker *w, struct err *e) ERR_MUST_CHECK;
int worker_measure(struct worker *w, struct err *e) ERR_MUST_CHECK;
int worker_finish(struct worker *w, struct err *e) ERR_MUST_CHECK;

bool worker_interrupted(const struct worker *w);
/* No session is usable any more. */
bool worker_dead(const struct worker *w);
/* Adds what this worker recorded to a run (distributions are made by the first call). start/end: of its window. */
int worker_collect(const struct worker *w, struct run *run, uint64_t *start_ns, uint64_t *end_ns,
		   struct err *e) ERR_MUST_CHECK;
