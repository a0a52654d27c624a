/* rpc-usage - the last tables of bench-rpc: many clients, and what an operation cost client and server beside its time */
#pragma once

#include "base/buf.h"
#include "measure/measurement.h"

/*
 * Success and fairness of the cases with many clients; a line for each benchmark: CPU time, memory and context switches of
 * client and server, connections opened; the cases with stalls. Medians over the runs; a dash is not known. Out of memory is
 * seen by out->failed.
 */
void rpc_usage_table(const struct measurement *m, struct buf *out);
