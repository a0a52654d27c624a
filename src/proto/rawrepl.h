/* rawrepl - the host side of MicroPython's raw REPL and raw-paste mode, as a state machine */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Source: MicroPython docs/reference/repl.rst ("Raw mode and raw-paste mode"), shared/runtime/pyexec.c.
 *
 * The owner moves bytes; the machine has no descriptor, no clock, no heap. One operation at a time:
 *
 *   rawrepl_enter(&r, ...);                            begin an operation
 *   while ((n = rawrepl_pull(&r, 0, &p)) > 0)          send what may be sent now: after each beginning,
 *           send(p, n);                                after each feed, and after a pause of the owner's
 *   while (len > 0) {                                  on every read
 *           used = rawrepl_feed(&r, data, len, &ev);   used > 0 whenever len > 0
 *           data += used, len -= used;
 *           handle(ev);                                at most one event per call
 *   }
 *
 * Nothing is copied but bounded excerpts: code is sent from the caller's memory, program output is handed on as
 * pieces of what was fed.
 */

enum {
	RAWREPL_TEXT_MAX = 1024,  /* banner, start-up output, what came before the raw prompt */
	RAWREPL_ERROR_MAX = 2048, /* text of an exception */
	RAWREPL_LINE_MAX = 256,	  /* its last line */
	RAWREPL_QUOTE_MAX = 32,	  /* bytes kept of an unexpected answer */
};

/* Bytes with a special meaning (repl.rst). */
enum {
	RAWREPL_CTRL_A = 0x01, /* enter raw mode; also the raw-paste flow byte */
	RAWREPL_CTRL_B = 0x02, /* leave raw mode */
	RAWREPL_CTRL_C = 0x03, /* interrupt */
	RAWREPL_CTRL_D =
		0x04, /* end of code, of output, of error text; on an empty line soft reset */
	RAWREPL_CTRL_E = 0x05, /* begins the raw-paste request */
};

enum rawrepl_state {
	RAWREPL_IDLE,	     /* nothing asked; what comes is kept as text */
	RAWREPL_WAIT_PROMPT, /* for ">>> " at the start of a line */
	RAWREPL_WAIT_RAW,    /* for "raw REPL; CTRL-B to exit\r\n>" */
	RAWREPL_WAIT_RESET,  /* soft reset: for "OK", then "soft reboot", then as WAIT_RAW */
	RAWREPL_READY,	     /* at the raw prompt; the next operation may begin */
	RAWREPL_WAIT_OK,     /* plain raw: code (being) sent, for "OK" */
	RAWREPL_WAIT_WINDOW, /* raw-paste: asked, for the device's answer */
	RAWREPL_WAIT_CREDIT, /* raw-paste: code is being sent by windows */
	RAWREPL_WAIT_END,    /* raw-paste: all sent, for the 0x04 that says compiled */
	RAWREPL_STDOUT,	     /* program runs: output up to 0x04 */
	RAWREPL_STDERR,	     /* error text up to 0x04 */
	RAWREPL_WAIT_ANGLE,  /* for the ">" that ends an execution */
	RAWREPL_LOST,	     /* desynchronised; rawrepl_enter() starts again */
};

enum rawrepl_event_kind {
	RAWREPL_EV_MORE,   /* all input taken, nothing to report */
	RAWREPL_EV_PROMPT, /* friendly prompt; r->text is what came before it. State IDLE */
	RAWREPL_EV_READY,  /* raw prompt; r->text is what came before it. State READY */
	RAWREPL_EV_REBOOT, /* soft reset: "soft reboot\r\n" passed; boot.py and main.py run now */
	RAWREPL_EV_WINDOW, /* raw-paste accepted, r->window is known; pull will give code */
	RAWREPL_EV_CREDIT, /* another window: pull gives more (only when code is left) */
	RAWREPL_EV_NO_PASTE, /* the device has no raw-paste (r->paste_reply says how it said so); state READY, nothing
			      * of the code was sent: call rawrepl_exec with it */
	RAWREPL_EV_ACCEPTED, /* code accepted: "OK" (plain, soft reset) or compiled (raw-paste) */
	RAWREPL_EV_ABORTED, /* raw-paste: the device stopped reading early (syntax error); output and error follow */
	RAWREPL_EV_STDOUT, /* data/len: a piece of program output; the first one is the first byte */
	RAWREPL_EV_STDERR, /* data/len: a piece of error text (also kept in r->error) */
	RAWREPL_EV_DONE, /* execution ended; stdout_bytes, stderr_bytes, error are final. State READY */
	RAWREPL_EV_LOST, /* unexpected byte: rawrepl_error() says which; state LOST */
};

struct rawrepl_event {
	enum rawrepl_event_kind kind;
	const uint8_t *data; /* into what was fed; EV_STDOUT and EV_STDERR only */
	size_t len;
};

enum rawrepl_paste_reply {
	RAWREPL_PASTE_UNKNOWN, /* not asked on this connection */
	RAWREPL_PASTE_YES,     /* R 0x01 */
	RAWREPL_PASTE_REFUSED, /* R 0x00: command understood, mode not built in */
	RAWREPL_PASTE_OLD,     /* "ra": a device older than raw-paste repeated its banner */
};

/* The first bytes of a text, its exact length, NUL-terminated. dropped = total > len. */
struct rawrepl_text {
	uint64_t total;
	size_t len;
	char data[RAWREPL_TEXT_MAX];
};

/* Read the fields, do not write them. */
struct rawrepl {
	enum rawrepl_state state;
	struct rawrepl_text text;

	/* of the current or last execution */
	uint64_t stdout_bytes, stderr_bytes;
	char error[RAWREPL_ERROR_MAX]; /* first bytes of the error text, NUL-terminated */
	size_t error_len;
	char line
		[RAWREPL_LINE_MAX]; /* its last non-empty line, even where error was cut: the exception itself */
	size_t line_len;
	bool line_ended;
	bool aborted;	  /* EV_ABORTED happened */
	bool interrupted; /* rawrepl_interrupt() was called */

	/* raw-paste */
	enum rawrepl_paste_reply paste_reply;
	uint16_t window;  /* increment in bytes */
	uint32_t credit;  /* bytes that may be sent now */
	uint32_t windows; /* flow bytes seen in this execution, the first included */

	/* sending */
	const uint8_t *code;
	size_t code_len, code_sent; /* code_len counts the closing 0x04 */
	uint8_t control[16];
	size_t control_len;

	/* matching */
	unsigned step, reboot_step;
	bool line_start, skip_angle, pasting, reset_ok;

	/* desync */
	const char *expected;
	uint8_t got[RAWREPL_QUOTE_MAX];
	size_t got_len;
	uint64_t got_total;
	bool eof_in_output;
};

void rawrepl_init(struct rawrepl *r);

enum rawrepl_entry {
	RAWREPL_ENTER_PLAIN,	 /* 0x01: for a device at its friendly or raw prompt */
	RAWREPL_ENTER_INTERRUPT, /* \r 0x03 \r 0x01 in one: stops what runs first */
	RAWREPL_ENTER_STOP, /* only \r 0x03: the first half of mpremote's entry; then drain, then ENTER_START */
	RAWREPL_ENTER_START, /* only \r 0x01 */
};

/* Operations. They forget an operation under way and its unsent bytes (but not what the device may still send for
 * it). Without a fixed answer text all leftovers before the awaited text are kept in r->text. */
void rawrepl_enter(struct rawrepl *r,
		   enum rawrepl_entry how);  /* -> EV_READY (ENTER_STOP: nothing; state IDLE) */
void rawrepl_wait_prompt(struct rawrepl *r); /* sends nothing -> EV_PROMPT */
void rawrepl_exit(struct rawrepl *r);	     /* 0x02 -> EV_PROMPT, banner in r->text */
/* 0x04 on the empty line, only in READY (-1 else) -> EV_ACCEPTED, EV_REBOOT, EV_READY. A device that ends instead
 * (the unix port) closes its channel after EV_ACCEPTED; the owner sees that. */
int rawrepl_soft_reset(struct rawrepl *r) ERR_MUST_CHECK;

/*
 * Executions, only in READY (-1 else, nothing changed). code[0..len) is borrowed until pulled; code[len] must be 0x04
 * (-1 else), so that it leaves with the last piece. It must hold no bytes 0x01..0x05 otherwise: see
 * rawrepl_code_ok(), once per text. An empty text would be a soft reset: -1.
 */
int rawrepl_exec(struct rawrepl *r, const void *code,
		 size_t len) ERR_MUST_CHECK; /* -> ACCEPTED, STDOUT*, STDERR*, DONE */
int rawrepl_paste(struct rawrepl *r, const void *code,
		  size_t len) ERR_MUST_CHECK; /* -> WINDOW or NO_PASTE, CREDIT*, ... */
bool rawrepl_code_ok(const void *code, size_t len);
/* Awaits the answer of an execution whose plain-raw text was already sent behind another's (pipelining; needs a raw
 * tty). Only in READY. */
int rawrepl_follow(struct rawrepl *r) ERR_MUST_CHECK;

/*
 * Queues 0x03 and drops unsent code. Returns true when an end (EV_DONE, EV_READY, EV_PROMPT) will still come; false
 * when none is due: the device has nothing to answer (plain-raw text not complete: state is READY again; or idle).
 */
bool rawrepl_interrupt(struct rawrepl *r);

/*
 * What may be sent now: returns its length and points *data at it (valid until the next call on r, or as long as the
 * code is), 0 when nothing may be. It counts as sent. `max` bounds code pieces (clients without raw-paste send 256
 * bytes and pause, because plain raw mode has no flow control); 0: no bound. In raw-paste the windows bound it.
 */
size_t rawrepl_pull(struct rawrepl *r, size_t max, const uint8_t **data);
/* Bytes of the code, closing 0x04 included, not yet pulled. */
size_t rawrepl_unsent(const struct rawrepl *r);

size_t rawrepl_feed(struct rawrepl *r, const void *data, size_t len, struct rawrepl_event *ev);

/* After EV_LOST: -1 with *e ERR_TARGET, code "desync", saying what was expected and quoting what came. In any other
 * state that waits: code "timeout", naming what is missing. */
int rawrepl_error(const struct rawrepl *r, struct err *e);
/* What the state waits for, for messages ("the raw prompt"). */
const char *rawrepl_awaits(const struct rawrepl *r);

/* Printable ASCII, others as \xNN, \r, \n; cut at the end of out with "..."; always NUL-terminated. */
char *rawrepl_quote(char *out, size_t size, const void *data, size_t len);
