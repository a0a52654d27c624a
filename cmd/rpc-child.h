/* rpc-child - a builtin RPC server: mpbench itself, serving on loopback in a child process */
#pragma once

#include "base/url.h"
#include "io/sock.h"
#include "io/spawn.h"

struct rpc_child {
	struct child child;
};

/* Starts `mpbench serve NAME --port=0` and waits until it has said its port; `options` (NULL-terminated, may be NULL) are
 * added to the command line. cpu: pinned there, -1: not. Blocks at most 10 s. */
int rpc_child_start(struct rpc_child *c, const char *name, const char *const *options, int cpu,
		    struct addr *address, struct err *e) ERR_MUST_CHECK;
/* Legal on a zeroed one. */
void rpc_child_stop(struct rpc_child *c);
