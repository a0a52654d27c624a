/* chan-tcp - connecting, as socket:// and rfc2217:// both need it; private to src/io/chan*.c */
#pragma once

#include "io/chan-impl.h"
#include "io/sock.h"

enum { TCP_ADDRS_MAX = 8 };

/* The addresses of one host, tried in turn. */
struct tcp_dial {
	struct addr addr[TCP_ADDRS_MAX];
	size_t n, at;
	bool nodelay;
};

/* Resolves the URL's host; ERR_USAGE without a port. */
int tcp_dial_make(struct tcp_dial *d, const struct url *u, struct err *e);
/* Begins with the address `at`; on failure with the next ones. -1: none is left. */
int tcp_dial_start(struct tcp_dial *d, struct chan *c, struct err *e);
/* The descriptor became writable: 1 connected, 0 the next address is being tried, -1 none is left. */
int tcp_dial_finish(struct tcp_dial *d, struct chan *c, struct err *e);
