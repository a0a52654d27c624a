/* trace-rpc - the options of the command, and its ways to show what a tracker saw */
#pragma once

#include "common.h"
#include "peer/rpc-tracker.h"
#include "result/json.h"
#include "result/screen.h"

struct rpc_opts {
	const char *listen, *to, *chrome, *record, *read;
	uint64_t slow_ns, max_events;
	uint32_t top, lines;
	bool tree, timeline, live, delayed_acks;
	struct common_opts common;
};

/* The summary, then the tree and the timeline where they are asked for. -1: no memory. */
int rpc_text(const struct rpc_tracker *t, const struct rpc_opts *o, const struct table_style *style,
	     struct buf *out, struct err *e) ERR_MUST_CHECK;
/* What of the summary fits into so many lines. */
int rpc_text_view(const struct rpc_tracker *t, const struct table_style *style, unsigned rows,
		  struct buf *out, struct err *e) ERR_MUST_CHECK;
/* Calls below the call they were made from; one line for each, at most o->lines. */
void rpc_text_tree(const struct rpc_tracker *t, const struct rpc_opts *o, const struct screen *s);
/* Calls in the order of their begin, with a bar of when and how long. */
void rpc_text_timeline(const struct rpc_tracker *t, const struct rpc_opts *o,
		       const struct screen *s);

/* extensions.trace_rpc of the document; NULL with *e. */
json_t *rpc_json(const struct rpc_tracker *t, struct err *e);
/* The Trace Event Format of Chromium, which Perfetto reads: calls as slices, releases as instants. */
json_t *rpc_json_chrome(const struct rpc_tracker *t, struct err *e);
