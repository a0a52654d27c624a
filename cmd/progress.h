/* progress - one line on the terminal while a measurement runs */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "measure/engine.h"

/*
 * Draws on stderr, only when it is a terminal, at most 4 times a second, and only from the engine's events, which come
 * between runs: a timed region is never disturbed. The line is wiped by progress_end.
 */
struct progress {
	bool on;
	bool drawn;
	unsigned width;
	uint64_t estimate_ns, started_ns, last_ns;
};

void progress_begin(struct progress *p, bool quiet);
/* For engine.progress; ctx is the struct progress. */
void progress_event(void *ctx, const struct engine_progress *event);
void progress_end(struct progress *p);

enum { PROGRESS_LINE_MAX = 256 };
/* The line for an event, `elapsed_ns` after the start; at most width - 1 columns. */
void progress_text(const struct engine_progress *event, uint64_t elapsed_ns, uint64_t estimate_ns,
		   unsigned width, char out[PROGRESS_LINE_MAX]);
