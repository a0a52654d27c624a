/* rpc-feed - from a relay that must not wait to a tracker that may: records over a bounded queue to a thread of its own */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "peer/relay-tcp.h"
#include "peer/rpc-tracker.h"

/*
 * tracker  belongs to the thread until rpc_feed_finish
 * capture  a descriptor that all records go to as well, after RPC_CAPTURE_MAGIC; -1: none. Not taken over
 * delayed_acks  what came is acknowledged when the kernel likes, as a server or client does, and not at once
 * looked   called by the thread where rpc_feed_look asked for it, between two records: reads the tracker
 * A connection whose bytes find the queue full is lost from there on (RPC_CAPTURE_LOST): it is passed on all the same.
 */
struct rpc_feed_params {
	struct rpc_tracker *tracker;
	int capture;
	bool delayed_acks;
	void (*looked)(void *ctx, const struct rpc_tracker *t);
	void *ctx;
};

enum { RPC_FEED_QUEUE_MAX = 32 << 20 };

struct rpc_feed;
int rpc_feed_start(struct rpc_feed **out, const struct rpc_feed_params *p,
		   struct err *e) ERR_MUST_CHECK;
/* For relay_tcp_tap; lives as long as the feed. */
const struct relay_tcp_tap *rpc_feed_tap(struct rpc_feed *f);
void rpc_feed_look(struct rpc_feed *f);
/* Waits until all is decoded and ends the thread; what is not decoded after 10 s is lost to the tracker (compressed data can
 * take any time), not to the capture. -1: memory was out, or the capture could not be written. */
int rpc_feed_finish(struct rpc_feed *f, struct err *e) ERR_MUST_CHECK;
/* The same and frees; NULL is legal. */
void rpc_feed_free(struct rpc_feed *f);
CLEANUP_PTR(struct rpc_feed, rpc_feed_free)
