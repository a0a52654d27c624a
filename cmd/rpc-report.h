/* rpc-report - what bench-rpc adds to the engine's numbers: counts of the wire, fairness, what was learned of servers */
#pragma once

#include "rpc-cases.h"

/* Reads the counts of every window. */
struct engine_probe rpc_report_probe(struct rpc_cases *c);
/* struct bench's hooks; ctx is the cases. */
int rpc_report_derive(void *ctx, struct measurement *m, struct err *e);
void rpc_report_identity(void *ctx, size_t i, const char **pairs, size_t max);
