/* bridge-pty - a pseudo-terminal that local programs open as if it were the port */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/loop.h"

struct bridge_pty;

/* Makes a pty and the link `path` to its device. A link to a pty that is left over from before is replaced; anything else
 * at that place is ERR_USAGE. `opened` is called when a program has opened it while nobody had; it may take a session
 * with bridge_pty_session. */
int bridge_pty_open(struct bridge_pty **out, struct loop *l, const char *path,
		    void (*opened)(void *ctx), void *ctx, struct err *e) ERR_MUST_CHECK;
/* Removes the link where it is still ours. */
void bridge_pty_close(struct bridge_pty *p);
CLEANUP_PTR(struct bridge_pty, bridge_pty_close)
const char *bridge_pty_device(const struct bridge_pty *p);
/* A descriptor of the master's side for the present opening; the caller's. -1 with *e. */
int bridge_pty_session(struct bridge_pty *p, int *fd, struct err *e) ERR_MUST_CHECK;
/* The session is over (its descriptor closed): `opened` comes again, also at once where a program has it open. */
void bridge_pty_over(struct bridge_pty *p);
