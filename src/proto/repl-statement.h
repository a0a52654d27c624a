/* repl-statement - the Python that mpbench sends to a device, built here and recognised by the builtin device */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * One table of templates serves both sides: bench-repl builds statements from it, the builtin device (which evaluates
 * nothing) recognises exactly them. All are valid MicroPython 1.12 and later. Names are shared by the statements of one
 * session and are lost by a soft reset: `f` the open file, `w` its write, `r` its read, `d` the decoder and `c` the coder
 * of bytes, `os`. So a coded upload is
 *
 *     IMPORT_UNHEX (or IMPORT_UNBASE64), OPEN_WRITE, WRITE_CODED..., CLOSE         each in its own exec or joined
 *     IMPORT_HEX (or IMPORT_BASE64), OPEN_READ, READ_CODED..., CLOSE
 *
 * and a plain one OPEN_WRITE, WRITE..., CLOSE / OPEN_READ, READ..., CLOSE. READ answers repr(bytes) and a newline, empty
 * bytes at the end of the file; READ_CODED b'hex digits' or b'base64\n'.
 */
enum repl_statement_kind {
	REPL_PASS,	      /* pass */
	REPL_IMPORT_OS,	      /* import os */
	REPL_IMPORT_UNHEX,    /* d = binascii.unhexlify */
	REPL_IMPORT_UNBASE64, /* d = binascii.a2b_base64 */
	REPL_IMPORT_HEX,      /* c = binascii.hexlify */
	REPL_IMPORT_BASE64,   /* c = binascii.b2a_base64 */
	REPL_OPEN_WRITE,      /* data: path */
	REPL_OPEN_READ,	      /* data: path */
	REPL_WRITE,	      /* data: the bytes */
	REPL_WRITE_CODED,     /* data: text for d, as a bytes literal */
	REPL_READ,	      /* number[0]: at most so many bytes */
	REPL_READ_CODED,      /* the same, through c */
	REPL_CLOSE,
	REPL_SHA256, /* data: path. Answers b'64 hex digits' */
	REPL_MKDIR,  /* data: path; so the next four (they need IMPORT_OS) */
	REPL_STAT,   /* answers a tuple; index 6 is the size */
	REPL_LIST,   /* answers a list of str */
	REPL_REMOVE,
	REPL_RMDIR,
	REPL_MEMORY,	/* gc.collect(), then answers gc.mem_free() */
	REPL_FLOOD,	/* number[0] bytes 'U', number[1] times, no newlines */
	REPL_PRINT_INT, /* number[0] */
	REPL_PRINT_STR, /* data: the text */
	REPL_EVAL,	/* data: an expression; answers its repr */
	REPL_IDENTITY,	/* answers sys.version */
	REPL_STATEMENTS,
};

/* What fills a template. When building, data is the plain value (path, bytes, text); when matching, it is the literal as
 * written (for pyliteral_parse_str / _bytes), inside the code. */
struct repl_statement {
	enum repl_statement_kind kind;
	const char *data;
	size_t len;
	uint64_t number[2];
};

/* Appends the statement, after a newline where b holds text already; no newline and no 0x04 behind it. -1 when b is
 * full. For rawrepl_exec add the closing 0x04: buf_addc(b, RAWREPL_CTRL_D), code length b->len - 1. */
int repl_statement_add(struct buf *b, const struct repl_statement *s);
/* Shorthands. */
int repl_statement_add_kind(struct buf *b, enum repl_statement_kind kind);
int repl_statement_add_path(struct buf *b, enum repl_statement_kind kind, const char *path);

/* Recognises the statement at the beginning of code; returns its length with the newline behind it, or 0. */
size_t repl_statement_match(const char *code, size_t len, struct repl_statement *out);
