/* rpc-added - what an application adds to a baseline call: --call beside --against, run by run */
#pragma once

#include "base/buf.h"
#include "measure/measurement.h"

/* Adds the metric `overhead` (ns, of each run: its median latency less that of the baseline's run of the same round) to every
 * benchmark rpc.call that has an rpc.against of the same target and number of clients. */
int rpc_added_derive(struct measurement *m, struct err *e) ERR_MUST_CHECK;

/* Adds a row for each of them: the overhead with its interval, and the ratio. Nothing where there is none; out of memory is
 * seen by out->failed. */
void rpc_added_table(const struct measurement *m, struct buf *out);
