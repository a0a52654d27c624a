/* repl-session - a MicroPython device driven through its raw REPL, one workload at a time */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/url.h"
#include "io/chan.h"
#include "io/session.h"
#include "peer/repl-job.h"
#include "proto/rawrepl.h"

enum repl_kind {
	REPL_CONNECT, /* fresh channel: until TCP is connected, the port open, the process spawned */
	REPL_NEGOTIATE, /* fresh channel: from connected until negotiated; one sub-sample per option */
	REPL_BANNER, /* spawned device: from spawned to its first prompt; others: ^B until the prompt after the banner */
	REPL_ENTER, /* raw mode on */
	REPL_EXIT,  /* raw mode off */
	REPL_SOFT_RESET, /* ^D in raw mode until the raw prompt is back, also where the process ends and is started anew */
	REPL_JOB,	/* what the job says, in raw mode */
	REPL_RECONNECT, /* session, close, gap, then timed: connect until the device answers */
	REPL_SESSION, /* fresh channel: connect, negotiate, enter, one execution, exit, close, each a phase */
};

enum repl_mode { REPL_MODE_AUTO, REPL_MODE_RAW, REPL_MODE_PASTE };
extern const char *const repl_mode_names[]; /* "auto", "raw", "paste", NULL */

/* Whose client-side waits: chan_style_*, and mpremote's way of entering raw mode and sending code. */
enum repl_style { REPL_STYLE_NATIVE, REPL_STYLE_PYSERIAL, REPL_STYLE_MPREMOTE };
extern const char *const repl_style_names[]; /* "native", "pyserial", "mpremote", NULL */

/* Sub-samples of REPL_NEGOTIATE ("negotiate.binary"...), NULL-terminated. */
extern const char *const repl_negotiate_subs[];
/* Phases of REPL_SESSION: "phase.connect", "phase.negotiate", "phase.banner", "phase.enter", "phase.exec",
 * "phase.exit", "phase.close"; NULL-terminated. */
extern const char *const repl_session_phases[];

/*
 * What all sessions of one case on one target share; made once, read-only while sessions run but for `seen`, which
 * sessions of one thread fill. Borrowed pointers must outlive the sessions.
 */
struct repl_workload {
	const struct target *target; /* session i uses member i modulo n_members */
	enum repl_kind kind;
	enum repl_mode mode;
	enum repl_style style;
	bool soft_reset;	    /* reset after entering, as mpremote does without `resume` */
	struct repl_job *job;	    /* REPL_JOB and REPL_SESSION: what is executed; else NULL */
	uint64_t gap_ns;	    /* REPL_RECONNECT */
	uint64_t option_timeout_ns; /* negotiation: longest wait for a required answer */
	int server_cpu;		    /* a spawned device is pinned there; -1: not */
	const struct log *log;
	struct repl_seen *seen; /* may be NULL */
};

/* Facts that sessions learn for the document's targets[].identity; empty text: not learnt. All made printable. */
struct repl_seen {
	char banner[160];   /* "MicroPython v1.27.0 on ...; linux [GCC ...] version" */
	char signature[96]; /* RFC 2217 signature */
	char latency_timer[16], driver[48]; /* of a serial port */
	char options[256];		    /* "baud=115200 parity=1 ..." as answered */
	char missing[128];		    /* names of options without an answer */
	uint16_t window;		    /* raw-paste window, 0: not used */
	const char *paste;		    /* "yes", "refused", "old"; NULL unknown */
	pid_t pid;			    /* of the newest spawned device */
	bool respawned;			    /* a soft reset ended the process */
};

/* A session_maker (measure/engine.h) for ctx = struct repl_workload. */
int repl_session_make(void *workload, struct loop *loop, unsigned index, struct sub_sink *sink,
		      struct session **out, struct err *e) ERR_MUST_CHECK;

/* The exec: URL that runs the builtin device of a builtin: URL, which is mpbench itself on the other end of a pty. *out is
 * the caller's (url_done). */
int repl_builtin_url(struct url *out, const struct url *u, struct err *e) ERR_MUST_CHECK;
/* Whether a URL's device is started by us and dies with the channel (exec:, builtin:). */
bool repl_is_spawned(const struct url *u);
