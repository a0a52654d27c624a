/* servers - the servers of --start: started before the measurement, stopped after it */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/opt.h"
#include "base/url.h"
#include "io/spawn.h"

struct server {
	struct child child;
	char command[160]; /* for messages, cut */
};

struct servers {
	size_t n;
	struct server v[OPT_LIST_MAX];
};

/*
 * Starts command i for target i (no shell; stdout and stderr go to our stderr when `loud`, else nowhere), pinned to `cpu`
 * when >= 0, and waits up to wait_ns until something on this machine listens on the target's port (TCP LISTEN, or a bound
 * UDP socket, of /proc/net); a target without a port is not waited for. ERR_USAGE for more commands than targets or a
 * command that cannot be run; ERR_TARGET when it ends early or the port does not open. On failure all are stopped.
 */
int servers_start(struct servers *s, const struct opt_strings *commands,
		  const struct target *targets, size_t n_targets, uint64_t wait_ns, int cpu,
		  bool loud, struct err *e) ERR_MUST_CHECK;
/* SIGTERM, a second of grace, SIGKILL; legal on a zeroed one. */
void servers_stop(struct servers *s);
CLEANUP_OBJ(struct servers, servers_stop)

/* Whether any socket of this network namespace listens on (TCP) or is bound to (UDP) the port. */
bool servers_port_is_open(uint16_t port);
