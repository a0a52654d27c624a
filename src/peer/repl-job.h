/* repl-job - what a session executes: code snippets made beforehand, and what must come back */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum repl_expect {
	REPL_EXPECT_NOTHING, /* no output at all */
	REPL_EXPECT_ANY,     /* whatever comes; counted, not kept */
	REPL_EXPECT_TEXT,    /* exactly `text`, carriage returns ignored */
	REPL_EXPECT_NUMBER,  /* a decimal number: the operation's value */
	REPL_EXPECT_PIECE,   /* the next piece of the job's content, decoded by `encoding` */
	REPL_EXPECT_BYTES,   /* exactly `bytes` bytes, carriage returns not counted */
	REPL_EXPECT_DEVICE_TIME, /* perf_bench's last line "TIME NORM RESULT": TIME in us is the value */
};

enum repl_encoding { REPL_REPR, REPL_HEX, REPL_BASE64 };
extern const char *const repl_encoding_names[]; /* "repr", "hex", "base64", NULL */

/* One execution. code[len] is 0x04, as rawrepl wants it. mark: phase that ends with it, -1: none. may_fail: an exception
 * is no failure (tidying up what may not be there). */
struct repl_snippet {
	char *code;
	size_t len;
	enum repl_expect expect;
	char *text;	/* of REPL_EXPECT_TEXT */
	uint64_t bytes; /* of REPL_EXPECT_BYTES */
	int mark;
	bool may_fail;
};

struct repl_snippets {
	struct repl_snippet *v;
	size_t n, cap;
};

/* setup: once per session, untimed; timed: the operation; after: untimed, after every operation (verification); instead:
 * in place of `after` on a device where that ends in ImportError. All are executed in order; the first exception or
 * mismatch fails the operation. */
struct repl_job {
	struct repl_snippets setup, timed, after, instead;
	enum repl_encoding encoding;
	uint8_t *content; /* what a download must bring, NULL */
	size_t content_len;
	uint64_t bytes; /* payload of one operation */
};

void repl_job_free(struct repl_job *j);
CLEANUP_PTR(struct repl_job, repl_job_free)

/* The jobs of bench-repl. Each makes a job owned by the caller. `text` may be NULL unless expect is TEXT. */
int repl_job_exec(struct repl_job **out, const char *code, enum repl_expect expect,
		  const char *text, struct err *e) ERR_MUST_CHECK;
/* print(repr(EXPRESSION)). */
int repl_job_eval(struct repl_job **out, const char *expression, struct err *e) ERR_MUST_CHECK;
/* n statements in one execution, or in n executions. */
int repl_job_batch(struct repl_job **out, uint32_t statements, bool one_execution,
		   struct err *e) ERR_MUST_CHECK;

/* A file of `size` bytes (seeded) moved in chunks of `chunk` bytes, each one execution, as mpremote does with REPL_REPR.
 * An upload is then checked on the device (sha256, or read back where it has no hashlib). */
struct repl_file {
	uint64_t size, chunk, seed;
	enum repl_encoding encoding;
	bool random;	  /* any bytes instead of printable text */
	const char *path; /* on the device; letters, digits, '/', '.', '_', '-' */
};
int repl_job_upload(struct repl_job **out, const struct repl_file *f, struct err *e) ERR_MUST_CHECK;
int repl_job_download(struct repl_job **out, const struct repl_file *f,
		      struct err *e) ERR_MUST_CHECK;
/* mkdir, put, stat, ls, get, rm of a directory and a file in it; phases repl_fs_phases. */
int repl_job_fs(struct repl_job **out, const struct repl_file *f, struct err *e) ERR_MUST_CHECK;
extern const char *const repl_fs_phases[];
/* gc.collect() and gc.mem_free(): the value of the operation. */
int repl_job_memory(struct repl_job **out, struct err *e) ERR_MUST_CHECK;
/* `bytes` of output in lines of 64. */
int repl_job_throughput(struct repl_job **out, uint64_t bytes, struct err *e) ERR_MUST_CHECK;
/* A Python file as it is; with bm_params (MicroPython's perf_bench convention) it is run by bm_run(n, m), and the
 * device's time is the value. */
int repl_job_script(struct repl_job **out, const char *source, size_t len, uint32_t n, uint32_t m,
		    struct err *e) ERR_MUST_CHECK;
