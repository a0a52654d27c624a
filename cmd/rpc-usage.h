/* rpc-usage - the last table of bench-rpc: what an operation cost client and server beside its time */
#pragma once

#include "base/buf.h"
#include "measure/measurement.h"

/* Adds a line for each benchmark that succeeded: CPU time of client and server, the server's memory and context switches,
 * connections opened; medians over the runs. Out of memory is seen by out->failed. */
void rpc_usage_table(const struct measurement *m, struct buf *out);
