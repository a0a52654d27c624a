/* traces - what a trace-rpc document says about the calls of an application */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "result/json.h"
#include "result/screen.h"

struct trace_call {
	const char *name; /* "call Known.item"; borrowed from the document */
	bool asked_by_server;
	double calls, errors, total_ns, median_ns, p99_ns,
		max_ns; /* NaN where the document has none */
};

enum { TRACE_CALLS_MAX = 1024 };

/* extensions.trace_rpc of a result document; NULL where it has none. */
const json_t *traces_of(const json_t *root);
/* The calls of one, most time in all first; at most `max` are put, returns how many. */
size_t traces_calls(const json_t *trace, struct trace_call *out, size_t max);
/* "33 round trips in 94.2 ms over 1 connection, nested up to 3 deep", one sentence without a full stop. */
void traces_extent(const json_t *trace, struct buf *out);
/* "17 references created, 15 released, 1 left when their connection ended. ...": references, slow calls, loops, exceptions. */
void traces_notes(const json_t *trace, struct buf *out);
/* The calls as rows of a markdown table, and as lines for a terminal. Text is escaped; out->failed
 * tells of no memory. */
void traces_markdown(const json_t *trace, struct buf *out);
void traces_text(const json_t *trace, const struct screen *o);
