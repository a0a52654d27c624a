/* words - what numbers say, in a sentence */
#pragma once

#include "base/buf.h"
#include "picture/study.h"

/*
 * "B takes 3.1 times as long as A", "A and B cannot be told apart by 10 runs"...: how an arm stands against the one it is
 * compared with, as far as the interval allows; "" where nothing is known. Labels are not escaped.
 */
void words_contrast(struct buf *out, const struct study_case *c, const struct arm *a);
/* "3.1 times slower", "12 % faster", "2 times more": new against base for metrics of that unit; ratio > 0. */
enum { WORDS_MAX = 80 };
char *words_ratio(char *out, double ratio, enum better better, const char *unit);
/* The ratio with its interval: "1.12 [1.08, 1.17]"; "-" where it is not known. */
char *words_interval(char *out, const struct contrast *c);
/* As much of the text as fits into `size` bytes, whole characters only. */
void words_copy(char *out, size_t size, const char *text);
/* What an axis of the case's distribution shows: "latency of one operation", "interval.throughput". Returns out. */
char *words_axis(char *out, size_t size, const struct study_case *c);
