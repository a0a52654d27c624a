/* buf - bytes that grow, up to a bound */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * data[0..len) are the bytes; data[len] is always NUL once anything was added, so text can be read in
 * place. All adders keep what is there and return -1 when memory or the bound `max` (0: none) is
 * exceeded; `failed` then stays set, so a run of adds may be checked once at its end.
 */
struct buf {
	char *data;
	size_t len, cap, max;
	bool failed;
};

#define BUF_INIT \
	{ \
		0 \
	}

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
CLEANUP_OBJ(struct buf, buf_done)

int buf_reserve(struct buf *b, size_t more);
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *text);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops the first n bytes (n <= len). */
void buf_drop(struct buf *b, size_t n);
/* Empties, keeps the memory, clears `failed`. */
void buf_clear(struct buf *b);
/* The text, "" for an empty buf; stays owned by the buf. */
const char *buf_text(const struct buf *b);
/* Hands the NUL-terminated block over (free()); NULL when empty and nothing was allocated. */
char *buf_take(struct buf *b);

/*
 * Adds outside bytes as printable valid UTF-8: control characters, invalid UTF-8 and bidirectional
 * marks become \xNN (or \u{...}); newline too. For device text in tables and messages.
 */
int buf_add_safe(struct buf *b, const void *data, size_t len);
/* Adds outside bytes as valid UTF-8 and nothing else changed: each byte that belongs to no valid sequence becomes
 * \xNN; NUL too. For text that goes into documents. */
int buf_add_utf8(struct buf *b, const void *data, size_t len);
/* Length of the valid UTF-8 sequence (RFC 3629) that p[0..len), len > 0, begins with; 0 where it is none. */
size_t buf_utf8_length(const unsigned char *p, size_t len, uint32_t *code);
