/* repl-output - checks what an execution printed against what its snippet expects, while it streams */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "peer/repl-job.h"

enum { REPL_OUTPUT_TAIL = 512 };

/* Carriage returns do not count: boards print \r\n where the unix port prints \n. */
struct repl_output {
	const struct repl_job *job;
	const struct repl_snippet *snippet;
	uint64_t seen; /* bytes of this execution, without \r */
	bool mismatch; /* REPL_EXPECT_TEXT, at byte `mismatch_at` */
	uint64_t mismatch_at;
	char tail[REPL_OUTPUT_TAIL]; /* the last bytes, NUL-terminated: numbers and messages */
	size_t tail_len;
	struct buf piece;  /* REPL_EXPECT_PIECE: the text of one piece */
	bool pieces;	   /* the list has some */
	size_t content_at; /* bytes of the job's content that came right so far */
	bool has_value;
	uint64_t value; /* REPL_EXPECT_NUMBER; REPL_EXPECT_DEVICE_TIME in ns */
	char why[160];
};

/* Before the first snippet of a list. */
void repl_output_restart(struct repl_output *o, const struct repl_job *job);
void repl_output_begin(struct repl_output *o, const struct repl_snippet *s);
void repl_output_feed(struct repl_output *o, const uint8_t *data, size_t len);
/* 0 when it is what was expected; else -1 and *why (valid until the next begin) says what was wrong. */
int repl_output_end(struct repl_output *o, const char **why);
/* After the last snippet of a list: whether all content came. */
int repl_output_complete(struct repl_output *o, const char **why);
void repl_output_done(struct repl_output *o);
