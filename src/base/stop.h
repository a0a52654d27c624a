/* stop - the one signal flag: has the user asked to end? */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * Installs handlers for SIGINT, SIGTERM and SIGHUP: the first such signal sets the flag and makes
 * stop_fd() readable; the second one of a kind kills the process (default action). SIGPIPE is ignored.
 */
int stop_install(struct err *e) ERR_MUST_CHECK;
/* The signal number that asked to stop, 0 for none. */
int stop_signal(void);
/* Readable for ever once stop was asked; -1 before stop_install. Loops watch it. Not owned by the caller. */
int stop_fd(void);
/* For tests: sets (signal > 0) or clears (0) the flag. */
void stop_set(int signal);
