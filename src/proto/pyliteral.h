/* pyliteral - Python literals as MicroPython prints and reads them, and the text codings of bytes */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Builders append to b; -1 when it is full or memory is out (b->failed). */

/* b'...' exactly as repr() of bytes prints it (CPython and MicroPython alike): quote " only where the text holds ' and
 * no ", escapes \\ \t \n \r and the quote, else \xNN outside 0x20..0x7e. */
int pyliteral_add_bytes(struct buf *b, const void *data, size_t len);
/* '...' for UTF-8 text: the same, bytes from 0x80 on as they are. */
int pyliteral_add_str(struct buf *b, const void *data, size_t len);
int pyliteral_add_hex(struct buf *b, const void *data, size_t len);
/* RFC 4648 section 4, padded, no line breaks. */
int pyliteral_add_base64(struct buf *b, const void *data, size_t len);

/*
 * Parsers take a prefix of text[0..len), append what it says to out (NULL: only look), and return how many bytes of
 * text they took; 0 where it is not what was asked for. str: '...' or "..."; bytes the same behind a b. Escapes
 * \\ \' \" \a \b \f \n \r \t \v \xNN \ooo and, in str only, \uNNNN \UNNNNNNNN (made UTF-8). A literal is on one line.
 */
size_t pyliteral_parse_str(const char *text, size_t len, struct buf *out);
size_t pyliteral_parse_bytes(const char *text, size_t len, struct buf *out);
/* Decimal, with a sign; 0 when it is no number or beyond int64_t. */
size_t pyliteral_parse_int(const char *text, size_t len, int64_t *out);
/* All of text or -1: an even number of hex digits; base64 with or without padding, blanks and line ends skipped. */
int pyliteral_parse_hex(const char *text, size_t len, struct buf *out);
int pyliteral_parse_base64(const char *text, size_t len, struct buf *out);
