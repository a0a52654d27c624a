/* brine - the values of RPyC as bytes: immutable Python objects, nested */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Source: rpyc/core/brine.py of RPyC 3.4 to 6.0, one tag byte before each value:
 *
 *   00 None        01 b""         02 ()          03 True       04 False     05 NotImplemented   06 Ellipsis
 *   08 str: a bytes value follows, in UTF-8      0a..0d bytes of length 1..4   0e/0f bytes, u8/u32be length
 *   10..13 tuple of 1..4 values   14/15 tuple, u8/u32be count   16/17 int as ASCII decimal, u8/u32be length
 *   18 float, f64be   19 slice: a tuple of 3 follows   1a frozenset: a tuple follows   1b complex, 2 x f64be
 *   20..ef int, tag - 0x50 (-48..159)   all others are refused (09, the long of Python 2, too)
 *
 * Lists, dicts and everything else that can change are no brine: RPyC sends references to them.
 *
 * Reading is in two steps: brine_check() once over bytes that came from outside, then brine_next() walks them without
 * any way to fail. Nothing is copied and nothing is allocated: items point into the bytes.
 */
enum brine_type {
	BRINE_NONE,
	BRINE_BOOL, /* integer 0 or 1 */
	BRINE_NOT_IMPLEMENTED,
	BRINE_ELLIPSIS,
	BRINE_INT, /* integer where `fits`; data[0..len) is its decimal text (len 0 for tags 20..ef) */
	BRINE_FLOAT,	 /* real */
	BRINE_COMPLEX,	 /* real, imag */
	BRINE_BYTES,	 /* data[0..len) */
	BRINE_STR,	 /* data[0..len): valid UTF-8 */
	BRINE_TUPLE,	 /* `count` values follow as items of their own */
	BRINE_SLICE,	 /* three values follow: start, stop, step (count 3) */
	BRINE_FROZENSET, /* `count` values follow */
};

struct brine_item {
	enum brine_type type;
	bool fits; /* BRINE_INT: integer holds it */
	int64_t integer;
	double real, imag;
	const uint8_t *data;
	size_t len;
	uint32_t count;
};

/* The bytes of one or more values that brine_check has seen; at == end: nothing left. */
struct brine_reader {
	const uint8_t *at, *end;
};

enum { BRINE_DEPTH_MAX = 64, BRINE_INT_DIGITS_MAX = 4300 /* as sys.get_int_max_str_digits() */ };

/*
 * Checks that `data` begins with one whole value: known tags, lengths and counts that the bytes can hold (a length bomb
 * is refused at its head), at most BRINE_DEPTH_MAX tuples deep, UTF-8, decimal digits. Returns the bytes that the value
 * takes (at least 1), or 0 with *why set to a literal. Time is linear in those bytes; no memory is taken.
 */
size_t brine_check(const void *data, size_t len, const char **why);

/* A reader over one value; *rest (may be NULL) is how many bytes stood behind it. -1 with *why as brine_check. */
int brine_open(struct brine_reader *r, const void *data, size_t len, size_t *rest,
	       const char **why);

/* The next item of checked bytes: a tuple's head comes before its values. false: nothing left (*out is BRINE_NONE). */
bool brine_next(struct brine_reader *r, struct brine_item *out);
/* Steps over one whole value and gives it as a reader of its own (`out` may be NULL). false: nothing left. */
bool brine_value(struct brine_reader *r, struct brine_reader *out);

/* As brine_next, when the item is of that type; else r stays where it is and false is returned. */
bool brine_take(struct brine_reader *r, enum brine_type type, struct brine_item *out);
/* Steps into a tuple of exactly `count` values. */
bool brine_enter(struct brine_reader *r, uint32_t count);
/* Steps over an int that fits; over a bool too, as in Python. */
bool brine_take_int(struct brine_reader *r, int64_t *out);
/* Steps over a str. The text is not terminated. */
bool brine_take_str(struct brine_reader *r, const char **text, size_t *len);

/* Whether two whole values are the same bytes; values that mean the same are, for rpyc and these writers make one form
 * of each (sets apart, whose order is free). */
bool brine_same(const struct brine_reader *a, const struct brine_reader *b);

/*
 * Writers append a value, in the form that rpyc itself gives it. They return -1 when b is full or memory is out
 * (b->failed stays set, so a run of them may be checked once). The values of a tuple, slice (3) or frozenset are
 * appended behind its head by the caller.
 */
int brine_put_none(struct buf *b);
int brine_put_bool(struct buf *b, bool v);
int brine_put_not_implemented(struct buf *b);
int brine_put_ellipsis(struct buf *b);
int brine_put_int(struct buf *b, int64_t v);
/* An int of any size from its decimal text: an optional '-', no leading zeros; at most BRINE_INT_DIGITS_MAX long. */
int brine_put_digits(struct buf *b, const char *digits, size_t len);
int brine_put_float(struct buf *b, double v);
int brine_put_complex(struct buf *b, double real, double imag);
int brine_put_bytes(struct buf *b, const void *data, size_t len);
/* Only the head of a bytes value; the caller sends its `len` bytes behind it. */
int brine_put_bytes_head(struct buf *b, size_t len);
/* `text` is valid UTF-8. */
int brine_put_str(struct buf *b, const char *text, size_t len);
int brine_put_tuple(struct buf *b, uint32_t count);
int brine_put_slice(struct buf *b);
int brine_put_frozenset(struct buf *b, uint32_t count);
/* An item that brine_next gave; for a tuple, slice or frozenset its head. */
int brine_put_item(struct buf *b, const struct brine_item *item);
/* Checked bytes as they are. */
int brine_put_value(struct buf *b, const struct brine_reader *value);

/* Adds one value as repr() prints it, printable ASCII and valid UTF-8 only, cut with "..." where it would add more than
 * `max` bytes (at least 16). r moves over the value; nothing is added where none is left. */
int brine_add_text(struct buf *b, struct brine_reader *r, size_t max);

/*
 * One Python literal as a value: None, True, False, numbers (int of any size, float, 1j), '...', "...", b'...', (...)
 * nested, slice(a, b, c), frozenset({...}), ... (Ellipsis). Words that are nothing of the kind are taken as str when
 * they hold only [A-Za-z0-9_./-] and begin with a letter, '_', '.' or '/': `--arg hello`. Returns -1 with *why set to a
 * literal, and out as it was.
 */
int brine_parse(struct buf *out, const char *text, size_t len, const char **why);
