/* call-table - counters of system calls at one moment, or their growth over a window */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/syscalls.h"
#include "measure/measurement.h"

/* One system call of one target; `slot` 0: the sum over its threads, else one thread's share. */
struct call_entry {
	uint32_t target, slot, compat, nr;
	uint64_t calls;
	struct trace_detail detail;
	uint64_t restarts; /* begun again, or EINTR for the caller; only in sums */
};

/* A count that belongs to a system call of a target: type TRACE_ERRNO (index: an errno), TRACE_BUCKET (a latency
 * bucket), TRACE_BATCH (nr 0 received, 1 sent; a batch index) or TRACE_URING (nr: an opcode). */
struct call_detail {
	uint32_t type, target, compat, nr, index;
	uint64_t n;
};

struct call_thread {
	uint32_t target, slot, pid, tid;
	bool ended;
	char comm[TRACE_COMM];
};

/* Per target: threads now and ever. Of all targets, since the tracer began: the rest (see struct trace_gauges). */
struct call_state {
	uint64_t live, started, storage_failed, shared, found_open, left_uid, compat, missed;
};

/* All arrays sorted by their fields in the order of declaration. */
struct call_table {
	struct call_entry *entry;
	struct call_detail *detail;
	struct call_thread *thread;
	size_t n_entries, n_details, n_threads;
	struct call_state state[TRACE_TARGETS_MAX];
	uint64_t at_ns; /* when it was taken; of a difference: its length */
	uint64_t
		settle_ns; /* how long the counters were waited for; of a difference: the longer wait */
	bool still; /* they had come to rest, where that was asked for; of a difference: at both ends */
};

void call_table_done(struct call_table *t);
CLEANUP_OBJ(struct call_table, call_table_done)

/* Takes one record of a snapshot; types that hold no counters are ignored. Bounded to 2^20 of each kind. ERR_MACHINE
 * "tracer" for a record whose target, table or index lies beyond what bpf/syscalls.h knows. */
int call_table_add(struct call_table *t, const struct trace_record *r,
		   struct err *e) ERR_MUST_CHECK;
/* After the last record. */
void call_table_sort(struct call_table *t);

/*
 * What happened between two sorted snapshots of one tracer. A largest duration cannot be taken apart: where the later
 * one is no larger, it is the top of the highest bucket that grew. *out must be empty ({0}).
 */
int call_table_minus(struct call_table *out, const struct call_table *after,
		     const struct call_table *before, struct err *e) ERR_MUST_CHECK;

const struct call_entry *call_table_find(const struct call_table *t, uint32_t target, uint32_t slot,
					 uint32_t compat, uint32_t nr);
/* The details of one kind of one call, in order of index; *n is their number. */
const struct call_detail *call_table_details(const struct call_table *t, enum trace_type type,
					     uint32_t target, uint32_t compat, uint32_t nr,
					     size_t *n);
/* Nearest rank among a call's durations, as the top of its bucket (12.5 % wide) but at most max_ns; 0 without any. */
uint64_t call_table_percentile(const struct call_table *t, const struct call_entry *c,
			       uint32_t ppm);
/* Sum of calls of a target. */
uint64_t call_table_total(const struct call_table *t, uint32_t target);

/* NULL when nothing was lost and both ends stood still; else why the counts are not exact (a literal). */
const char *call_table_doubt(const struct call_table *difference);

/* The calls of a target as part of a run; *out owns its array. */
int call_table_window(const struct call_table *difference, uint32_t target,
		      struct syscall_window *out, struct err *e) ERR_MUST_CHECK;

/* Lowest and highest value of a bucket and of a batch index. */
uint64_t call_bucket_low(uint32_t index);
uint64_t call_bucket_high(uint32_t index);
uint32_t call_batch_low(uint32_t index);
