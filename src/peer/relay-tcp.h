/* relay-tcp - connections passed on byte for byte, beside the datagrams of a relay */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/sock.h"

/* Payload bytes that were read from one side / written to the other lie at most one buffer apart; counts are of what was written.
 * failed: the server could not be reached, or a side was reset; refused: more than `max` at once. */
struct relay_tcp_counts {
	uint64_t connections, active, refused, failed;
	uint64_t bytes_to_server, bytes_to_client;
};

/*
 * Nothing is delayed or lost here. The end of one direction is passed on (shutdown) while the other goes on; a reset is passed on as a reset. A
 * side that does not read stops the other: one buffer of 64 KiB lies between them each way.
 */
struct relay_tcp;
/* Takes the listening socket over, also on failure. At most `max` connections at once. */
int relay_tcp_open(struct relay_tcp **out, struct loop *l, int listener, const struct addr *target,
		   unsigned max, struct err *e) ERR_MUST_CHECK;
/*
 * Whoever listens in. All of it is told when it is done: bytes when as many of them as the kernel took are on their way; read_ns is when
 * they were asked for, sent_ns now. Connections are numbered from 0. With `quickack` what came is acknowledged at once (TCP_QUICKACK with
 * each read), since a relay that delays that may make a sender wait 40 ms; but also one that waits so without the relay then does not.
 * NULL takes the tap away; borrowed.
 */
struct relay_tcp_tap {
	void (*opened)(void *ctx, uint32_t connection, uint64_t ns);
	void (*bytes)(void *ctx, uint32_t connection, bool to_server, uint64_t read_ns,
		      uint64_t sent_ns, const void *data, size_t len);
	void (*ended)(void *ctx, uint32_t connection, uint64_t ns);
	bool quickack;
	void *ctx;
};
void relay_tcp_tap(struct relay_tcp *r, const struct relay_tcp_tap *tap);
const struct relay_tcp_counts *relay_tcp_counts(const struct relay_tcp *r);
/* Closes all. NULL is legal. */
void relay_tcp_close(struct relay_tcp *r);
CLEANUP_PTR(struct relay_tcp, relay_tcp_close)
