/* wall - wall-clock times of documents as numbers */
#pragma once

#include <stdint.h>

/* RFC 3339 with up to nine digits of a second and "Z" or an offset; ns since 1970. 0, or -1 when it is none. */
int wall_parse(const char *text, int64_t *out_ns);
/* In UTC with nine digits ("2026-01-31T12:00:00.000000000Z"); milliseconds only when `ms`. */
enum { WALL_MAX = 40 };
void wall_format(int64_t ns, int ms, char out[WALL_MAX]);
