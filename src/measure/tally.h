/* tally - what one worker recorded in one run */
#pragma once

#include "measure/engine.h"

struct work;

/* Distributions in the order: latency, service_time (open loop), first_byte, phases, subs, value. */
struct tally {
	struct sub_sink sink; /* given to sessions; records only while `listening` */
	const struct engine_case *c;
	struct distribution *distribution;
	size_t n;
	size_t service_time, first_byte, phases, n_phases, subs, n_subs,
		value; /* indexes; SIZE_MAX: none */
	bool listening;
	uint64_t ok, failed, warmed, bytes, reopened, late_sends, planned, late_limit_ns;
	uint64_t first_ns;
	bool seen_first;
	struct error_count error[RUN_ERRORS_MAX];
	size_t n_errors;
};

int tally_init(struct tally *t, const struct work *work, struct err *e) ERR_MUST_CHECK;
void tally_done(struct tally *t);
/* One finished operation; `measured`: inside the window (else warm-up: only the very first one's latency is kept). */
void tally_operation(struct tally *t, const struct outcome *o, bool measured);
/* A failure that is not an operation's: opening. */
void tally_failure(struct tally *t, const struct outcome *o);
/* Open loop: planned operations that were never sent. */
void tally_not_sent(struct tally *t, uint64_t n);
/* Adds to a run: distributions are created by the first worker's call and merged by the next ones. */
int tally_add_to_run(const struct tally *t, struct run *run, struct err *e) ERR_MUST_CHECK;
