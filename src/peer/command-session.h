/* command-session - a program timed whole: the user's own client beside ours (--compare-client) */
#pragma once

#include "io/session.h"
#include "base/err.h"

/* argv with the target's URL in place of {}; borrowed by sessions. */
struct command_workload {
	char **argv;
	int cpu; /* -1: not pinned */
};

/*
 * Splits `command` and puts `url` in place of every {} (ERR_USAGE when there is none: a client that does not know the
 * target measures something else). out->argv is free()d by the caller.
 */
int command_workload_make(struct command_workload *out, const char *command, const char *url,
			  struct err *e) ERR_MUST_CHECK;

/* A session_maker: every operation starts the program (stdin /dev/null, output discarded) and waits until it has ended;
 * sent = before fork, done = when it had ended. Exit status 0 is success, others fail as "exit-status", a signal as
 * "killed". Its CPU time is the outcome's value (ns). Cancel kills its process group. */
int command_session_make(void *workload, struct loop *loop, unsigned index, struct sub_sink *sink,
			 struct session **out, struct err *e) ERR_MUST_CHECK;
