/* relay - datagrams passed on over a bad link, with the changing port of TFTP */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/impair.h"
#include "io/loop.h"
#include "io/sock.h"

/*
 * One session per client address. With `tftp` the first answer's port becomes the session's peer, as in a TFTP transfer, and the client is
 * answered from a port of the session's own; without, all goes through the one port that is listened on. A session ends after idle_ns
 * without a packet, the oldest one when there are max_sessions.
 */
struct relay_params {
	struct addr listen, target;
	bool tftp;
	struct impair_params to_server, to_client;
	uint64_t seed, idle_ns;
	unsigned max_sessions;
};

struct relay_counts {
	uint64_t sessions, active, foreign; /* foreign: packets of neither side, dropped */
	struct impair_counts to_server, to_client;
};

struct relay;
int relay_open(struct relay **out, struct loop *l, const struct relay_params *p,
	       struct err *e) ERR_MUST_CHECK;
const struct addr *relay_address(const struct relay *r);
/* Exact, sessions under way included. */
void relay_counts(const struct relay *r, struct relay_counts *out);
void relay_close(struct relay *r);
CLEANUP_PTR(struct relay, relay_close)
