/* repl-steps - a session's doings as short lists of steps */
#pragma once

#include <stdint.h>

#include "peer/repl-session.h"

enum repl_step {
	STEP_NEW,	/* a channel, not started */
	STEP_CONNECT,	/* start it; until connected */
	STEP_NEGOTIATE, /* until ready */
	STEP_SETTLE,	/* until every option is answered or given up */
	STEP_PROMPT,	/* a spawned device's first prompt, without sending */
	STEP_SYNC,	/* any state of a device that was there before: interrupt, raw mode on */
	STEP_ENTER,
	STEP_EXIT,
	STEP_RESET,
	STEP_SETUP, /* the job's snippets */
	STEP_TIMED,
	STEP_AFTER,
	STEP_CLOSE, /* orderly; the channel is gone afterwards */
	STEP_GAP,
	STEP_SENT,  /* the timed part begins */
	STEP_STAMP, /* ... and ends */
	STEP_MARK0, /* + i: phase i ends here */
	STEP_END = STEP_MARK0 + OUTCOME_MARKS,
};

enum { REPL_STEPS_MAX = 24 };

struct repl_steps {
	uint8_t step[REPL_STEPS_MAX]; /* ends with STEP_END */
};

enum repl_part { REPL_PART_OPEN, REPL_PART_OPERATION, REPL_PART_CLOSE };

/* The program of a part of a case. `spawned`: the device is started by the channel. */
struct repl_steps repl_steps_make(const struct repl_workload *w, enum repl_part part, bool spawned);
