/* chan - a byte channel to a device: pty child, serial port, raw TCP, RFC 2217 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/url.h"
#include "io/loop.h"

enum chan_event {
	CHAN_CONNECTED, /* transport is there: process spawned, port open, TCP connected */
	CHAN_READY, /* negotiated as well (at once after CONNECTED but for rfc2217); bytes may flow */
	CHAN_SETTLED, /* rfc2217 only, after READY: every option was answered or given up (chan_options is final) */
	CHAN_READABLE, /* chan_read will bring bytes or the end */
	CHAN_DRAINED, /* everything given to chan_write is with the kernel (only after it was not) */
	CHAN_FAILED,  /* chan_error() says why; nothing else will come */
};

struct chan;
struct serial_layer;

/* Called from the loop; may call any chan function but chan_free on its own channel only as the last thing. */
typedef void chan_handler(void *ctx, struct chan *c, enum chan_event ev);

/* An RFC 2217 option and when it was asked and answered (0: not yet / never). */
struct chan_option {
	const char *
		name; /* "binary", "com-port", "baud", "datasize", "parity", "stopsize", "flow", "dtr", "rts", "purge-rx", "purge-tx", "signature" */
	uint64_t asked_ns, answered_ns;
	uint32_t requested, answered; /* wire values; for telnet options 1 = agreed, 0 = refused */
	bool required;		      /* missing answer fails the channel; else it is a warning */
};
enum { CHAN_OPTIONS_MAX = 24 };

/* A peer's documented client-side waits, for --client-style: how an imitated client opens, polls and closes. */
struct chan_style {
	bool nodelay;		    /* TCP_NODELAY */
	uint64_t negotiate_poll_ns; /* sleep before each look at the negotiation, 0: event-driven */
	bool negotiate_serial;	    /* ask for one option after the other instead of one burst */
	uint64_t read_poll_ns;	    /* sleep when nothing is there, 0: event-driven */
	uint64_t close_wait_ns;	    /* sleep in close */
	bool lower_lines_on_close;  /* RTS and DTR off (acknowledged) before closing */
};
extern const struct chan_style chan_style_native, chan_style_pyserial, chan_style_mpremote;

struct chan_params {
	const struct url *url; /* borrowed for the life of the channel */
	const struct chan_style *style;
	const struct log *log;
	uint64_t
		option_timeout_ns; /* for required answers; optional ones get a fifth of it, at most 100 ms */
	bool raise_dtr, raise_rts, set_lines; /* set_lines: touch DTR/RTS at all */
	bool purge;			      /* purge both buffers on open */
	const struct serial_layer
		*serial; /* io/serial-port.h; NULL: the machine's own (others are for tests) */
	chan_handler *handler;
	void *ctx;
};

/* Why chan_open exists in two halves: making is untimed (resolution, parsing), chan_start begins the timed part and
 * returns at once; CONNECTED/READY/FAILED follow from the loop (or from inside chan_start). */
int chan_new(struct chan **out, struct loop *l, const struct chan_params *p,
	     struct err *e) ERR_MUST_CHECK;
void chan_start(struct chan *c);

/* Reads up to size bytes, telnet removed. Returns > 0 bytes, 0 nothing now, -1 end or failure (chan_error()). A
 * process that ended, a closed pty (0, EIO or HUP) and a closed socket are failures with code "closed". */
ssize_t chan_read(struct chan *c, void *buf, size_t size);
/* Sends or queues all of data (0xFF doubled for telnet). Queue bound 4 MiB: where what waits and data together could
 * exceed it, nothing of data is taken and *e is "queue-full". Any other -1 is the end of the channel. */
int chan_write(struct chan *c, const void *data, size_t len, struct err *e) ERR_MUST_CHECK;
/* Bytes queued and not yet with the kernel. */
size_t chan_pending(const struct chan *c);
/* Stops (true) or resumes READABLE events: back-pressure. */
void chan_pause(struct chan *c, bool pause);

const struct err *chan_error(const struct chan *c);
/* The option table of the negotiation so far; n = 0 but for rfc2217. */
const struct chan_option *chan_options(const struct chan *c, size_t *n);
/* What is known of the peer, for targets[].identity; NULL where it is not known. rfc2217: "signature"; serial: "baud" (as
 * the driver set it), "driver", "latency_timer_ms". */
const char *chan_identity(const struct chan *c, const char *key);
/* The child of an exec: channel, NULL else. */
pid_t chan_pid(const struct chan *c);
/* exec: channels whose process ended (soft reset): starts a new process on a fresh pty; CONNECTED/READY come again,
 * from the loop. */
int chan_respawn(struct chan *c, struct err *e) ERR_MUST_CHECK;
/* Interrupts a device that runs wild: exec: SIGKILL to the group; others: nothing. */
void chan_kill(struct chan *c);

enum { CHAN_HANGUP_GRACE_MS = 100 };
/* Begins an orderly close in the manner of the style; `closed` is called once when it is over. For exec: the terminal is
 * closed, the process group gets SIGHUP and `closed` comes from the loop as soon as the process has ended; what is left
 * after CHAN_HANGUP_GRACE_MS gets SIGKILL. Other kinds in the native style, and failed channels: from inside the call. */
void chan_close(struct chan *c, void (*closed)(void *ctx, struct chan *c));
/* Releases at once: closes descriptors, kills and reaps the child. NULL is legal. */
void chan_free(struct chan *c);
CLEANUP_PTR(struct chan, chan_free)
