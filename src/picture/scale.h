/* scale - from values to places: linear or logarithmic, with ticks that people read */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Values lo..hi (lo < hi; both > 0 where log) lie at from..to of the picture. */
struct scale {
	double lo, hi, from, to;
	bool log;
	const char *unit; /* of the values, see num_format_unit */
};

/* Around the values, a little wider; a single value gets room on both sides. A logarithmic one becomes linear where lo is
 * not positive. */
struct scale scale_around(double lo, double hi, bool log, const char *unit, double from, double to);
/* The place of a value, kept within the ends. */
double scale_at(const struct scale *s, double value);

enum { SCALE_TICKS_MAX = 16, SCALE_TEXT_MAX = 40 };
struct scale_ticks {
	size_t n;
	double value[SCALE_TICKS_MAX];
	double step; /* 0: logarithmic steps */
};
/* About `wanted` (2 to 10) ticks within lo..hi. */
void scale_ticks(const struct scale *s, size_t wanted, struct scale_ticks *out);
/* "10 us", "0.5 MiB": of a tick, with as many digits as the step asks for. */
char *scale_text(char *out, const struct scale *s, const struct scale_ticks *t, size_t i);

/* The largest power of the unit's prefixes that is not above `most`, and its name ("MiB/s"; SCALE_TEXT_MAX). */
double scale_prefix(double most, const char *unit, char *name);
