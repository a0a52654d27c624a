/* rpc-rows - what a traced RPyC application calls, by name, with the distribution of how long it takes */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stats/histogram.h"

/* Beyond RPC_ROWS_MAX names, further ones share one row called "others". */
enum { RPC_NAME_MAX = 96, RPC_ROWS_MAX = 256 };

struct rpc_row {
	char name[RPC_NAME_MAX]; /* "call Service.ping"; printable */
	int64_t handler;
	bool from_server;
	uint64_t n, answered, errors;
	uint64_t total_ns, min_ns, max_ns; /* of what was answered */
	uint64_t bytes_out, bytes_in;	   /* of requests and answers, on the wire */
	struct histogram latency_ns;
};

struct rpc_rows {
	struct rpc_row *row[RPC_ROWS_MAX];
	size_t n;
	uint16_t slot[4 * RPC_ROWS_MAX]; /* open addressing: index + 1 */
};

void rpc_rows_done(struct rpc_rows *r);
CLEANUP_OBJ(struct rpc_rows, rpc_rows_done)
/* The row of a name, made where there is none; the index stays. -1 without memory. */
int rpc_rows_find(struct rpc_rows *r, int64_t handler, bool from_server, const char *name,
		  uint16_t *out, struct err *e) ERR_MUST_CHECK;
void rpc_row_answered(struct rpc_row *row, uint64_t ns, bool failed);
/* The percentile, never beyond what was really seen; 0 while nothing was. */
uint64_t rpc_row_percentile(const struct rpc_row *row, uint32_t ppm);
