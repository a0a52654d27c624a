/* repl-program - what the builtin device does with a program: recognise our statements, evaluate nothing */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	REPL_FILES_MAX = 32,
	REPL_PATH_MAX = 128,
	REPL_STORE_MAX = 32 << 20, /* bytes in all files together */
};

/* A file or (data unused) a directory of the device's memory. */
struct repl_file {
	char path[REPL_PATH_MAX];
	bool directory;
	struct buf data;
};

/* The device's memory: its files, which survive a soft reset, and its names, which do not. */
struct repl_program {
	struct repl_file file[REPL_FILES_MAX];
	size_t n_files;
	struct repl_file *open; /* the f, w and r of repl-statement.h */
	size_t position;
	enum { REPL_NO_CODING, REPL_HEX_CODING, REPL_BASE64_CODING } decoder, coder;
	bool os;
	struct buf value; /* scratch */
};

void repl_program_init(struct repl_program *p);
void repl_program_done(struct repl_program *p);
CLEANUP_OBJ(struct repl_program, repl_program_done)
/* Forgets names as a soft reset does. */
void repl_program_reset(struct repl_program *p);

/* Where output goes: piece by piece for long outputs. Returns false to interrupt (KeyboardInterrupt). */
struct repl_sink {
	struct buf *out;
	bool (*flush)(void *ctx);
	void *ctx;
};

/*
 * Runs the statements of repl-statement.h that code consists of (empty lines between them are legal), output to
 * sink->out with \r\n line ends, as boards print. On the first failure appends to `error` what MicroPython would: a
 * traceback whose last line is the exception; a statement that is not in the table is a NotImplementedError that
 * says what this device is. EVAL knows literals of int, str and bytes and sums of ints.
 */
void repl_program_run(struct repl_program *p, const char *code, size_t len,
		      const struct repl_sink *sink, struct buf *error);
