/* rpyc-server - the builtin RPyC server: connections of rpyc-service in one loop */
#pragma once

#include <stdint.h>

#include "io/loop.h"
#include "io/sock.h"

struct rpyc_server_params {
	const char *host; /* NULL: loopback */
	uint16_t port;	  /* 0: the kernel chooses */
	uint32_t max_connections;
	uint64_t max_payload; /* taken, and made */
	bool compress;	      /* as Python does; else never */
};

struct rpyc_server_counts {
	uint64_t connections, requests, exceptions,
		refused; /* refused: broken off for what they sent, or for want of room */
};

struct rpyc_server;

/*
 * Listens, and serves from then on whenever the loop runs. It speaks the layout of RPyC 5 or 6, as the client does.
 * A client's requests are answered in order; one that takes no answers is not read any more. ERR_USAGE for an address that
 * is in use.
 */
int rpyc_server_open(struct rpyc_server **out, struct loop *loop,
		     const struct rpyc_server_params *p, struct addr *bound,
		     struct err *e) ERR_MUST_CHECK;
/* Ends all connections at once. */
void rpyc_server_close(struct rpyc_server *s);
CLEANUP_PTR(struct rpyc_server, rpyc_server_close)
struct rpyc_server_counts rpyc_server_counts(const struct rpyc_server *s);
