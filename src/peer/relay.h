/* relay - datagrams passed on over a bad link, with the changing port of TFTP, and connections beside them */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/impair.h"
#include "io/loop.h"
#include "io/sock.h"
#include "peer/relay-tcp.h"

/*
 * One session per client address. With `tftp` the first answer's port becomes the session's peer, as in a TFTP transfer, and the client is
 * answered from a port of the session's own; without, all goes through the one port that is listened on, only the target's packets go back,
 * and TCP connections to the port of that number are passed on untouched. A session ends after idle_ns without a packet, the oldest one when
 * there are max_sessions (which is the most connections at once, too).
 */
struct relay_params {
	struct addr listen, target;
	bool tftp;
	struct impair_params to_server, to_client;
	uint64_t seed, idle_ns;
	unsigned max_sessions;
};

/* One direction. What the link let pass and this machine lost all the same: overrun before the link, in a full receive buffer; unsent after it, on
 * a full socket or a closed port. */
struct relay_way {
	struct impair_counts link;
	uint64_t overrun, unsent;
};

struct relay_counts {
	uint64_t sessions, active, foreign; /* foreign: packets of neither side, dropped */
	struct relay_way to_server, to_client;
	struct relay_tcp_counts tcp;
};

struct relay;
int relay_open(struct relay **out, struct loop *l, const struct relay_params *p,
	       struct err *e) ERR_MUST_CHECK;
const struct addr *relay_address(const struct relay *r);
/* Exact, sessions under way included. */
void relay_counts(const struct relay *r, struct relay_counts *out);
void relay_close(struct relay *r);
CLEANUP_PTR(struct relay, relay_close)
