/* rpc-tracker - what an RPyC application does, from the bytes that pass between its two sides; no descriptor, no clock */
#pragma once

#include "peer/rpc-capture.h"
#include "peer/rpc-chatty.h"
#include "peer/rpc-objects.h"
#include "proto/rpyc.h"

enum {
	RPC_SLOW_MAX = 100,
	RPC_FAULTS_MAX = 64,
	RPC_EVENTS_MAX = 1000000,
	/* of one connection and direction, and places for all; of requests beyond that the oldest is not followed */
	RPC_OPEN_MAX = 1024,
	RPC_OPEN_ROOM = 65536,
	/* bytes of unfinished frames, all connections together; one that goes beyond is not decoded any more */
	RPC_MEMORY_MAX = 256 << 20,
	/* a longer frame ends decoding of its connection */
	RPC_FRAME_MAX = 64 << 20,
	/* Python's RPyC sends what is longer in three writes, the last of one byte (rpyc/core/channel.py, STREAM_CHUNK): without
	   TCP_NODELAY that byte waits for the acknowledgement of the others, which a receiver may delay by 40 ms */
	RPC_SPLIT_ABOVE = 64000,
};

/* One request, kept for the tree, the timeline and the Chrome trace. `parent`: the index of the call it was made from (a
 * callback), -1: none. end_ns 0: not answered. Depth 1 is a call that nothing called back from. */
struct rpc_event {
	uint64_t start_ns, end_ns;
	uint32_t connection;
	int32_t parent;
	uint16_t row, depth;
	bool from_server, failed, async;
};

/* The longest of those beyond the threshold, longest first. */
struct rpc_slow {
	uint64_t start_ns, ns;
	uint32_t connection;
	uint16_t row, depth;
};

/* Exceptions that were answered, by type. `text`: the last one. */
struct rpc_fault {
	char name[RPC_NAME_MAX], text[160];
	bool from_server; /* raised there */
	uint64_t n;
};

/* One direction: 0 to the server, 1 to the client. added: what passing on took, from before the read to after the write. */
struct rpc_way {
	uint64_t bytes, frames, requests, answers;
	uint64_t packed_frames, packed_bytes,
		unpacked_bytes; /* compressed payloads: on the wire, and plain */
	uint64_t payload_bytes; /* of all, plain */
	uint64_t split_frames;	/* of more than RPC_SPLIT_ABOVE bytes */
	uint64_t handlers[RPYC_HANDLER_END];
	uint64_t added_min_ns, added_max_ns;
	struct histogram added_ns;
};

struct rpc_tracker_params {
	uint64_t slow_ns;
	size_t max_events; /* at most RPC_EVENTS_MAX */
	bool delayed_acks; /* by whoever passed the bytes on */
};

struct rpc_connection;

struct rpc_tracker {
	struct rpc_tracker_params p;
	struct rpc_rows rows;
	struct rpc_objects objects;
	struct rpc_chatty chatty;
	struct rpc_way way[2];
	struct rpc_connection *bucket[256];
	struct rpyc_zip *zip;
	struct buf name;
	uint64_t begin_ns, now_ns; /* the first and the last record */
	uint64_t connections, active;
	uint64_t undecoded,
		lost; /* connections that were passed on without being understood, or not seen whole */
	char why[ERR_MSG_MAX]; /* of the first of them; "" */
	uint64_t round_trips,
		dels; /* answered requests that somebody waited for; DELs, which nobody does */
	uint64_t unanswered, orphans, overlapping, nested, unfollowed;
	unsigned max_depth;
	uint64_t slow_calls;
	struct rpc_slow slow[RPC_SLOW_MAX];
	size_t n_slow;
	uint64_t faults_n;
	struct rpc_fault fault[RPC_FAULTS_MAX];
	size_t n_faults;
	/* 40 ms: a frame that stood still in its middle for 35 ms or more; a round trip of 38 to 48 ms */
	uint64_t stuck_frames, round_trips_40ms;
	char version[2][32]; /* of RPyC, as its exceptions tell; "" */
	int layout;	     /* 5 or 6, 0 unknown */
	struct rpc_event *event;
	size_t n_events, room_events;
	uint64_t dropped_events;
	size_t memory;	  /* of readers */
	size_t open_room; /* places for requests under way */
};

int rpc_tracker_init(struct rpc_tracker *t, const struct rpc_tracker_params *p,
		     struct err *e) ERR_MUST_CHECK;
void rpc_tracker_done(struct rpc_tracker *t);
CLEANUP_OBJ(struct rpc_tracker, rpc_tracker_done)

/* Takes the next record; -1: memory is out. */
int rpc_tracker_take(struct rpc_tracker *t, const struct rpc_capture_record *r,
		     struct err *e) ERR_MUST_CHECK;
/* All connections end here (a capture that was cut, the end of a trace): what is open stays unanswered, what is held is left. */
void rpc_tracker_finish(struct rpc_tracker *t);
