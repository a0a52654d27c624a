/* trace-reader - the records that mpbench-bpf sends, taken one at a time from its pipe */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/syscalls.h"

enum { TRACE_READER_BATCH = 256 };

/* All zero but `fd`, which is the caller's, at the beginning. */
struct trace_reader {
	int fd;
	uint32_t request;      /* whose answer is read now */
	uint64_t reads, polls; /* system calls made so far */
	size_t n, next;	       /* records read ahead */
	struct trace_record record[TRACE_READER_BATCH];
};

/*
 * The next record, which lasts until the call after it; its kind and contents are as they came. NULL with *e filled: ERR_MACHINE, code
 * "tracer" when none came by the deadline or it is no answer to `request` (another version), "ended" at the end of
 * the stream, also in the middle of a record.
 */
const struct trace_record *trace_reader_next(struct trace_reader *r, uint64_t deadline_ns,
					     struct err *e);
