/* rpc-tracker-impl - connections of a tracker; private to src/peer/rpc-tracker.c and rpc-calls.c */
#pragma once

#include "peer/rpc-tracker.h"

enum { RPC_CHAT_DEPTH = 8, RPC_NO_CALL = 0 };

/* A request that is under way. `number` tells it from all others, 1 and up. */
struct rpc_open {
	int64_t seq;
	uint64_t number, start_ns, parent;
	int32_t event;
	uint16_t row, depth;
	bool async;
	char label[RPC_NAME_MAX]; /* of what it may bring: an attribute's name */
};

/* What one side sends. */
struct rpc_direction {
	struct rpyc_reader reader;
	uint64_t begin_ns, last_ns; /* when the frame under way began; when bytes came */
	struct rpc_open *open;	    /* of this direction's requests, oldest first */
	size_t n_open, room_open;
	struct rpyc_refs refs; /* objects that live at the sender */
	struct rpc_chat chat[RPC_CHAT_DEPTH];
	uint64_t chat_parent[RPC_CHAT_DEPTH];
};

struct rpc_connection {
	struct rpc_connection *next;
	uint32_t id;
	bool given_up;
	uint64_t numbers;
	size_t memory;
	struct rpc_direction way[2]; /* 0: the client sends */
};

/* One message, d: the way it goes; begin and ns: when its first and its last byte came. -1: no memory. */
int rpc_calls_message(struct rpc_tracker *t, struct rpc_connection *c, int d,
		      const struct rpyc_message *m, const struct rpyc_frame *f, uint64_t begin_ns,
		      uint64_t ns, struct err *e) ERR_MUST_CHECK;
/* Nothing more will come. */
void rpc_calls_end(struct rpc_tracker *t, struct rpc_connection *c);
