/* bridge-trace - a record of every byte that passed, to be read by people and to be played again as a device */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * Text, one line for up to 16 bytes:
 *
 *   # mpbench trace 1
 *   0.000000000 < 3e 3e 3e 20                                      |>>> |
 *   0.012345678 > 0d 03                                            |..|
 *   0.020000000 ! session 1: rfc2217 127.0.0.1:40000
 *
 * Seconds since the beginning; '<' from the device, '>' to it, '!' a remark. Lines of the same time and direction are one
 * piece. What stands behind two blanks and '|' is for people.
 */
struct bridge_trace;

/* Makes FILE anew (0600: it may hold secrets). */
int bridge_trace_open(struct bridge_trace **out, const char *path, uint64_t now_ns,
		      struct err *e) ERR_MUST_CHECK;
/* Writes what is left; a write that failed at any time is the error of this one. NULL is legal. */
int bridge_trace_close(struct bridge_trace *t, struct err *e) ERR_MUST_CHECK;
void bridge_trace_bytes(struct bridge_trace *t, uint64_t now_ns, bool to_device, const void *data,
			size_t len);
void bridge_trace_remark(struct bridge_trace *t, uint64_t now_ns, const char *text);
/* Whether something waits for bridge_trace_flush. */
bool bridge_trace_pending(const struct bridge_trace *t);
void bridge_trace_flush(struct bridge_trace *t);

enum { BRIDGE_TRACE_LINE = 16 };
/* One line of a trace. Returns 0 for remarks, comments and empty lines; -1 with *e (ERR_USAGE) for what is no line of a trace;
 * 1 with up to BRIDGE_TRACE_LINE bytes. */
struct bridge_trace_line {
	uint64_t at_ns;
	bool to_device;
	uint8_t data[BRIDGE_TRACE_LINE];
	size_t len;
};
int bridge_trace_parse(const char *line, struct bridge_trace_line *out,
		       struct err *e) ERR_MUST_CHECK;
