/* listener - which processes serve a port of this machine */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { LISTENERS_MAX = 64 };

struct listener_port {
	uint16_t port;
	bool tcp, udp; /* which to look at; at least one */
};

/* "69/udp", "80/tcp", "8080" (both). ERR_USAGE shows an example. */
int listener_parse(const char *text, struct listener_port *out, struct err *e) ERR_MUST_CHECK;

/*
 * The processes that hold a listening TCP socket or an unconnected UDP socket of the port in this network namespace, in
 * order of pid. *n = 0 when nobody listens. ERR_MACHINE "owner", naming the user, when somebody does whose
 * descriptors we may not see. `root` is "" but in tests.
 */
int listener_find(const char *root, const struct listener_port *port, pid_t out[LISTENERS_MAX],
		  size_t *n, struct err *e) ERR_MUST_CHECK;
