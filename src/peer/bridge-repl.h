/* bridge-repl - a soft reset that ends the device's process, made to look like a board's */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * MicroPython's unix port ends where a board reboots: 0x04 on an empty raw REPL line gives "OK\r\n", then the process is
 * gone. A board goes on with "MPY: soft reboot\r\n", what boot.py and main.py print, and then, since it comes up in the
 * REPL mode it went down in, "raw REPL; CTRL-B to exit\r\n>" or its banner and ">>> ". This machine follows the mode
 * from the bytes that pass (no fd, no clock) and, over a restart, makes the new process's friendly start into that.
 */
enum bridge_repl_mode { BRIDGE_REPL_UNKNOWN, BRIDGE_REPL_FRIENDLY, BRIDGE_REPL_RAW };
enum bridge_repl_state {
	BRIDGE_REPL_PASS,	 /* bytes go through untouched */
	BRIDGE_REPL_WAIT_PROMPT, /* the new process's friendly prompt is awaited */
	BRIDGE_REPL_WAIT_RAW,	 /* it was sent 0x01 */
};

enum {
	BRIDGE_REPL_TAIL = 26,
	/* one less than the raw banner: none is found twice */ BRIDGE_REPL_HELD = 16384
};

/* All zero is the beginning. */
struct bridge_repl {
	enum bridge_repl_mode mode;
	enum bridge_repl_state state;
	bool leaving; /* 0x02 went in while raw */
	char tail[BRIDGE_REPL_TAIL];
	size_t tail_len;
	char held[BRIDGE_REPL_HELD + 1];
	size_t held_len;
};

struct bridge_repl_bytes {
	const char *data;
	size_t len;
};

/* Bytes on their way to the device. */
void bridge_repl_input(struct bridge_repl *r, const void *data, size_t len);
/* Bytes from the device: *out is what the client gets, valid until the next call. Returns true where the device now has
 * to be sent 0x01. */
bool bridge_repl_output(struct bridge_repl *r, const void *data, size_t len,
			struct bridge_repl_bytes *out);
/* The process ended and a new one will be started. `exited`: by itself, which a board calls a soft reset; else (a
 * signal) it is a power cycle, of which the client sees the banner. Returns what the client gets now. */
const char *bridge_repl_restart(struct bridge_repl *r, bool exited);
/* The new process does not come up as expected: what was held goes out, bytes pass. */
void bridge_repl_give_up(struct bridge_repl *r, struct bridge_repl_bytes *out);
