/* session - the small interface between the engine and every protocol */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"

enum { OUTCOME_MARKS = 16 };

/*
 * What one operation came to. Times are loop time in ns, 0 where not reached; sent <= first <= done. Set-up and
 * tidying that are not part of the operation lie before sent_ns and after done_ns. mark_ns[i] is the end of phase i
 * of the case (its names are in the case); phase i runs from the previous reached mark (or sent_ns) to mark_ns[i].
 * failure NULL: it succeeded. Else a short stable word ("timeout", "closed", "remote-error", "http-404"; the string
 * must outlive the run: a literal or interned) under which it is counted; detail is one line for people, valid
 * during the callback only, may hold outside text already made safe, may be NULL.
 */
struct outcome {
	uint64_t planned_ns; /* filled by the engine */
	uint64_t sent_ns, first_ns, done_ns;
	uint64_t mark_ns[OUTCOME_MARKS];
	uint64_t bytes; /* payload moved, for throughput */
	uint64_t
		value; /* a number of the target's own (device time, free memory...), with has_value */
	bool has_value;
	const char *failure;
	const char *detail;
};

struct session;

/*
 * All calls are made from the thread of the loop that the session was made with; none may block. Exactly one `done`
 * callback answers each open, start and close; it may come from inside the call. `done` may start the next operation.
 *
 * open    brings the session to where operations can start; its outcome's times are recorded as set-up
 * start   begins one operation. May do untimed work before sent_ns (a case that measures connecting connects here)
 *         and after done_ns (restoring the state); `done` is called when all of that is over
 * cancel  the engine's time-out or an interrupted run: stop what is under way at once; `done` is NOT called for it.
 *         The session is then broken: only close and free follow
 * close   ends in good order and bounded time (the engine cancels after its time-out)
 * free    releases everything, also in the middle of something; kills what it started
 * stalled optional (may be NULL): writes one line for people that says what has not come, for the message of a time-out;
 *         asked before cancel
 * drive   optional (may be NULL): see below
 *
 * After an outcome with failure set, `broken` tells whether the session can go on; the engine closes and reopens a
 * broken one (not timed, counted as `reopened`).
 */
struct session_ops {
	void (*open)(struct session *s);
	void (*start)(struct session *s);
	void (*cancel)(struct session *s);
	void (*close)(struct session *s);
	void (*free)(struct session *s);
	void (*stalled)(struct session *s, char *out, size_t size);
};

struct session {
	const struct session_ops *ops;
	struct loop *loop;
	bool broken;
	/* set by the engine */
	void (*done)(struct session *s, struct outcome *o);
	void *owner;
};

/* Repeated sub-samples inside operations (block round trips, negotiation answers): the session calls
 * sub->record(sub, index, value); index is into the case's sub_names. NULL when nobody listens (warm-up). */
struct sub_sink {
	void (*record)(struct sub_sink *sink, unsigned index, uint64_t value);
};
