/* repl-replay - a device that says again what a recorded one said (bridge --trace) */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * Plays the trace at `path` (peer/bridge-trace.h) on a terminal: what the device said is said when everything that it had
 * been sent before has arrived, byte for byte (but for 0x0d and 0x03, by which hosts knock), and with `paced` not before the time that the device took. Ends (0) when
 * the trace does and the peer is gone; input that differs from the record is -1 with *e ERR_TARGET "mismatch", which says
 * where. Descriptors are borrowed and blocking; in_fd is made raw where it is a terminal.
 */
int repl_replay_run(int in_fd, int out_fd, const char *path, bool paced,
		    struct err *e) ERR_MUST_CHECK;
