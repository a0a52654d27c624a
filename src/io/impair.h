/* impair - a bad link for datagrams: delay, jitter, loss, repetition, reordering, and a script */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/sock.h"

enum impair_action { IMPAIR_DROP, IMPAIR_DUP, IMPAIR_DELAY, IMPAIR_CORRUPT, IMPAIR_SWAP };

/* What happens to the packets with those numbers (from 1, in their direction), on top of the rest. IMPAIR_SWAP keeps a packet until the next
 * one that is not kept or dropped has passed it, however long that takes: an order that no clock decides. */
struct impair_rule {
	uint64_t packet, last; /* first and last of a range */
	enum impair_action action;
	uint64_t delay_ns; /* IMPAIR_DELAY */
};
enum { IMPAIR_RULES_MAX = 64 };

struct impair_params {
	uint64_t delay_ns;
	uint64_t jitter_ns; /* up to so much more, evenly spread; order is kept */
	uint32_t loss_ppm, dup_ppm;
	uint32_t reorder_ppm; /* held back by reorder_ns more, so that later ones overtake */
	uint64_t reorder_ns;  /* 0: 1 ms */
	uint64_t rate_bps; /* of the line, which carries one packet after the other; 0: no limit */
	struct impair_rule rule[IMPAIR_RULES_MAX];
	size_t n_rules;
};

/* True when the link does anything. */
bool impair_is_on(const struct impair_params *p);
/* "drop:5,9,20-29 dup:3 swap:6 delay:7=100ms corrupt:4"; words split at blanks or ';'. ERR_USAGE shows an example. */
int impair_parse_script(struct impair_params *p, const char *text, struct err *e) ERR_MUST_CHECK;

/* Exact counts: seen + repeated = passed + dropped + held + overflow. held: on their way now; overflow: dropped because IMPAIR_HELD_MAX bytes
 * were on their way. Bytes are payload. */
struct impair_counts {
	uint64_t seen, passed, dropped, repeated, reordered, corrupted, held, overflow;
	uint64_t seen_bytes, passed_bytes;
};
/* Adds `more` to `sum`. */
void impair_add_counts(struct impair_counts *sum, const struct impair_counts *more);
enum { IMPAIR_HELD_MAX = 64 << 20 };

/* One direction of one link. The same seed and the same sequence of packets give the same fate, whatever the times. */
struct impair;
/* A packet leaves the link; to as given to impair_put. */
typedef void impair_emit(void *ctx, const struct addr *to, const uint8_t *bytes, size_t len);

int impair_new(struct impair **out, struct loop *l, const struct impair_params *p, uint64_t seed,
	       impair_emit *emit, void *ctx, struct err *e) ERR_MUST_CHECK;
/* A packet enters; emitted from inside the call when nothing holds it. to may be NULL. */
void impair_put(struct impair *i, const struct addr *to, const void *bytes, size_t len);
/* Lets everything out that is on its way, without waiting. */
void impair_flush(struct impair *i);
const struct impair_counts *impair_counts(const struct impair *i);
/* Drops what is on its way. NULL is legal. */
void impair_free(struct impair *i);
CLEANUP_PTR(struct impair, impair_free)
