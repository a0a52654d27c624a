/* journal - a file of lines that only grows, and is put aside when it is large */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* FILE, FILE.1 (the one before), FILE.2... up to FILE.`keep`; one process at a time writes (it holds a lock). */
struct journal {
	const char *path; /* borrowed */
	uint64_t max_bytes;
	uint32_t keep;
	int fd; /* -1: not open */
	uint64_t size;
	bool torn; /* the last line was not written whole */
};
#define JOURNAL_CLOSED \
	{ \
		.fd = -1 \
	}

/* Creates the file where there is none. A last line that is not whole (of a writer that was killed) gets its end. ERR_USAGE when it is no
 * regular file, when another process has it open, or cannot be opened. */
int journal_open(struct journal *j, const char *path, uint64_t max_bytes, uint32_t keep,
		 struct err *e) ERR_MUST_CHECK;
void journal_close(struct journal *j);
CLEANUP_OBJ(struct journal, journal_close)
/* The last lines of the file and, before them, of the one put aside last: at most max_bytes of each, whole lines. */
int journal_tail(const struct journal *j, size_t max_bytes, struct buf *out,
		 struct err *e) ERR_MUST_CHECK;
/* Puts the file aside first when it would become larger than max_bytes. The line holds no newline; it is written in one call and
 * flushed to the disk. After ERR_INTERNAL the next line begins anew. */
int journal_append(struct journal *j, const char *line, struct err *e) ERR_MUST_CHECK;
