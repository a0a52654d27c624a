/* tftp-report - what a bench-tftp result says beside the engine's numbers */
#pragma once

#include "tftp-cases.h"

/* Counts of the window of each run into its cell. */
struct engine_probe tftp_report_probe(struct tftp_cases *c);
/* bench.derive: metrics of the wire, of negotiation, of the receive buffer, of a storm. ctx is the tftp_cases. */
int tftp_report_derive(void *ctx, struct measurement *m, struct err *e) ERR_MUST_CHECK;
/* bench.extend: extensions.tftp (requested and negotiated options, counts, capabilities) and findings. */
int tftp_report_extend(void *ctx, struct document *d, const struct measurement *m,
		       struct err *e) ERR_MUST_CHECK;
/* bench.identity. */
void tftp_report_identity(void *ctx, size_t i, const char **pairs, size_t max);
/* The capability tables of the case options, for people; nothing when it was not asked for. */
int tftp_report_capabilities(const struct tftp_cases *c, struct buf *out) ERR_MUST_CHECK;
