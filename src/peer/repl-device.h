/* repl-device - the builtin device: the device's side of raw REPL and raw-paste, the floor of bench-repl */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

/* How the device misbehaves; for tests of whoever talks to it. */
enum repl_fault {
	REPL_FAULT_NONE,
	REPL_FAULT_SILENT,  /* reads, never writes */
	REPL_FAULT_GARBAGE, /* answers every execution with bytes that mean nothing */
	REPL_FAULT_HALF,    /* answers an execution with OK and half of its output, then nothing */
	REPL_FAULT_ENDLESS, /* an execution prints without end */
	REPL_FAULT_EOF_IN_OUTPUT, /* puts 0x04 into the output of an execution */
	REPL_FAULT_NO_RAW,	  /* ignores 0x01: a build without raw REPL */
	REPL_FAULT_NO_PASTE,	  /* answers a raw-paste request with R 0x00 */
	REPL_FAULT_OLD, /* answers it with the raw banner: a device older than raw-paste */
	REPL_FAULT_EXIT_ON_RESET, /* ends on a soft reset, as the unix port does */
	REPL_FAULT_RAISE,	  /* every execution ends in an exception */
};

struct repl_device_params {
	int fault;		   /* enum repl_fault */
	uint64_t drop_after_bytes; /* ends after so many bytes written; 0: never */
	uint64_t delay_ns;	   /* before each answer to an execution */
	uint64_t piece_bytes;	   /* writes in pieces of this size; 0: whole */
	uint64_t piece_pause_ns;   /* between the pieces */
	uint32_t window;	   /* raw-paste window increment */
	const char *
		replay; /* play this trace (peer/repl-replay.h) instead of being a device; NULL: be one */
	bool replay_paced; /* with the times of the trace */
};
#define REPL_DEVICE_DEFAULT \
	{ \
		.window = 128 \
	}

/* Rows for the hidden subcommand that runs it, which are also the query keys of builtin:repl?key=value: fault (words of
 * repl_fault_names), drop-after, delay, piece, piece-pause, window, replay, replay-paced. */
extern const struct opt repl_device_opts[];
extern const char *const repl_fault_names[];

/*
 * Serves until the peer is gone (end of file, EIO, EPIPE): 0; or a fault ended it: 0. -1 with *e on a local failure. Both
 * descriptors are borrowed and blocking; where in_fd is a terminal it is made raw without signals. For the
 * process it ignores SIGINT (0x03 may arrive before the terminal is raw) and lets SIGTERM and SIGHUP end it at once. What it recognises is in proto/repl-statement.h; the answer to an
 * execution is one write where it is below 16 KiB. Memory is bounded: code 1 MiB (then MemoryError), files 32 MiB.
 */
int repl_device_run(int in_fd, int out_fd, const struct repl_device_params *p,
		    struct err *e) ERR_MUST_CHECK;
