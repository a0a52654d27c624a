/* bridge-gather - bytes of a device that are held for a while, so that many small reads become one packet */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/loop.h"

enum { BRIDGE_GATHER_MAX = 32768 };

/*
 * Embedded in its owner. Without a delay nothing is held: what is added goes on at once, in the same call. With one it goes on so long
 * after the first byte that is held, or when BRIDGE_GATHER_MAX bytes are. pass: bytes that go on, and when the first of them was read
 * (0: made here).
 */
struct bridge_gather {
	struct loop *loop;
	uint64_t delay_ns, read_ns;
	struct timer timer;
	struct buf held;
	bool full; /* nothing goes on now, however long it has waited */
	void (*pass)(struct bridge_gather *g, const void *data, size_t len, uint64_t read_ns);
};

void bridge_gather_init(struct bridge_gather *g, struct loop *l, uint64_t delay_ns,
			void (*pass)(struct bridge_gather *, const void *, size_t, uint64_t));
void bridge_gather_done(struct bridge_gather *g);
void bridge_gather_add(struct bridge_gather *g, const void *data, size_t len, uint64_t read_ns);
/* What is held goes on now. */
void bridge_gather_flush(struct bridge_gather *g);
/* Whoever takes the bytes takes none for now; nothing is added then. Not so any more: what is late goes on. */
void bridge_gather_full(struct bridge_gather *g, bool full);
