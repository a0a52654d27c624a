/* rows - the counters that the kernel side writes, summed up and handed out */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "syscalls.h"

/* The mapped arrays (their shapes: syscalls.h). `details` and `errnos` count from level errors on, `buckets` from level
 * latency on; below that they are not looked at. */
struct rows {
	uint32_t n, n_rows; /* targets; rows in all: 2 n + threads */
	enum trace_level level;
	struct trace_counts *counts;
	struct trace_details *details;
	struct trace_errnos *errnos;
	struct trace_buckets *buckets;
	struct trace_batches *batches;
	struct trace_opcodes *opcodes;
	struct trace_slot *slots;
	const struct trace_gauges *gauges;
};

/* Takes a record whose head is not filled in; a non-zero return stops the reading. */
typedef int row_sink(void *ctx, const struct trace_record *r);

/* Moves whenever a watched thread enters a call (or leaves one, from level errors on). */
uint64_t rows_activity(const struct rows *r);

/* Adds the row of an ended thread to its target's shared row and clears it. Exact while others count there. */
void rows_fold(const struct rows *r, uint32_t slot);

/* All counters that are not zero; `threads`: those of each thread too. `missed`: runs that the kernel skipped. */
int rows_read(const struct rows *r, bool threads, uint64_t missed, row_sink *put, void *ctx);
