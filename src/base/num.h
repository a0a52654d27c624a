/* num - numbers with units, parsed and printed */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Parsers take the whole string, accept no sign, no blanks, no overflow, and fail with ERR_USAGE and a
 * message that shows the text and an example of what would do. A decimal fraction is allowed before a unit
 * ("1.5M"); the value is rounded to the nearest integer. Unit letters are as written in design: case matters
 * only for nothing (k = K), "i" is tolerated ("64KiB").
 */
int num_parse_u64(const char *text, uint64_t *out, struct err *e) ERR_MUST_CHECK;
/* Nanoseconds. Units ns us ms s m h d; a bare number is seconds ("2.5" = 2.5 s). */
int num_parse_duration(const char *text, uint64_t *out_ns, struct err *e) ERR_MUST_CHECK;
/* Bytes. K M G T count 1024; an optional B or iB follows. */
int num_parse_size(const char *text, uint64_t *out_bytes, struct err *e) ERR_MUST_CHECK;
/* Per second. K M G T count 1000; "bit", "bit/s", "bps", "/s" may follow. */
int num_parse_rate(const char *text, uint64_t *out_per_s, struct err *e) ERR_MUST_CHECK;
/* A finite decimal number; "5%" gives 0.05. */
int num_parse_double(const char *text, double *out, struct err *e) ERR_MUST_CHECK;

enum { NUM_TEXT_MAX = 32 };

/* Short forms for people, at most 3 significant digits: "59.1 us", "1.20 ms", "64 KiB", "863 KiB/s", "12.3 k".
 * They return out (size NUM_TEXT_MAX at least). */
char *num_format_ns(char *out, double ns);
char *num_format_bytes(char *out, double bytes);
char *num_format_count(char *out, double n);
/* Any metric by its unit string ("ns", "bytes", "bytes_per_second", "bits_per_second", "ops_per_second",
 * "count", "ratio", "count_per_op", "ppm" (in percent from 0.1 % on)...); unknown units print the number and the unit. NaN prints "-". */
char *num_format_unit(char *out, double value, const char *unit);
