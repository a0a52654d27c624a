/* bridge - a serial port or a program, offered by raw TCP, RFC 2217 and a pty */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "io/cidr.h"
#include "peer/bridge-client.h"
#include "peer/bridge-link.h"
#include "peer/bridge-stats.h"

struct bridge;

enum { BRIDGE_PORTS_MAX = 16, BRIDGE_CLIENTS_MAX = 64, BRIDGE_WATCHER_QUEUE = 262144 };

struct bridge_params {
	struct bridge_link_params link; /* ops and ctx are filled in by the bridge */
	uint64_t chardelay_ns; /* how long bytes of the device are held for more; 0: not at all */
	bool shared;	       /* further clients watch instead of being refused */
	const struct cidr *allow; /* who may connect; none: everybody */
	size_t n_allow;
	uint64_t keepalive_ns; /* until a silent peer is first asked whether it lives; 0: never */
	const char *signature; /* what RFC 2217 clients are told */
	const char *pty;       /* where to put the link of a pty; NULL: none */
	const char *trace;     /* file of all bytes; NULL: none */
	const struct log *log;
};

/* Starts the link. Ports are added afterwards. */
int bridge_new(struct bridge **out, struct loop *l, const struct bridge_params *p,
	       struct err *e) ERR_MUST_CHECK;
/* Listens on fd (taken over, also on failure). */
int bridge_add_port(struct bridge *b, int fd, enum bridge_kind kind, struct err *e) ERR_MUST_CHECK;
/* Runs until the user asks to stop (0), or the link is over for good: 0 where its process ended with exit status 0,
 * else -1 with the reason. */
int bridge_run(struct bridge *b, struct err *e) ERR_MUST_CHECK;
/* -1: the trace could not be written whole. Ends the device and everything else in any case. */
int bridge_free(struct bridge *b, struct err *e);

const struct bridge_stats *bridge_stats(const struct bridge *b);
void bridge_link_counts(const struct bridge *b, struct bridge_link_stats *out);
void bridge_calls(const struct bridge *b, struct bridge_calls *out);
/* "/dev/pts/3"; NULL without --pty. */
const char *bridge_pty_name(const struct bridge *b);
