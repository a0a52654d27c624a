/* rpc-chatty - loops that make one round trip after the other, where one call could do it all */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * A loop shows as names that repeat with a period of 1 to RPC_CHAT_PERIOD (getattr item, call item, getattr item, call
 * item...), at least RPC_CHAT_REPEATS times without another between. What one call that does the whole loop over there
 * would save is all round trips but one, each at least as long as the quickest of them took: that is the estimate, the work
 * itself is not saved.
 */
enum { RPC_CHAT_PERIOD = 8, RPC_CHAT_REPEATS = 5, RPC_CHAT_RING = 64, RPC_CHATTY_MAX = 64 };

struct rpc_loop {
	uint16_t row
		[RPC_CHAT_PERIOD]; /* the names of one repetition, in the order that begins with the least */
	size_t period;
	uint64_t loops, repeats, trips, total_ns, saved_ns;
};

/* All loops of a trace, those of the same names together; more than RPC_CHATTY_MAX different ones are counted only. */
struct rpc_chatty {
	struct rpc_loop loop[RPC_CHATTY_MAX];
	size_t n;
	uint64_t more;
};

/* One sequence of calls: one direction of one connection, below one call. All zero is the beginning. */
struct rpc_chat {
	struct {
		uint16_t row;
		uint64_t ns;
	} ring[RPC_CHAT_RING];
	uint64_t seen; /* calls pushed */
	uint64_t run
		[RPC_CHAT_PERIOD +
		 1]; /* for each period: how many calls in a row were the one of a period before */
	size_t active; /* the period of the loop under way, 0 none */
	uint64_t trips, total_ns, min_ns;
};

void rpc_chat_push(struct rpc_chat *c, struct rpc_chatty *all, uint16_t row, uint64_t ns);
/* The sequence is over; it is as at the beginning then. */
void rpc_chat_end(struct rpc_chat *c, struct rpc_chatty *all);
