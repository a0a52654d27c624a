/* bridge-report - what a bridge counted: printed, and as a result document */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/url.h"
#include "cmd.h"
#include "peer/bridge.h"

struct bridge_opts {
	const char *rfc2217, *raw, *pty, *trace, *output;
	bool rfc2217_given, raw_given, shared, stats, quiet;
	struct opt_strings allow;
	uint64_t keepalive_ns, reboot_timeout_ns, chardelay_ns;
	int restart, lines, brk;
	uint32_t verbose;
};

/* The counts outlive their bridge. Zeroed: none taken. */
struct bridge_report {
	bool taken;
	struct bridge_stats stats;
	struct bridge_link_stats link;
	struct bridge_calls calls;
};

int bridge_report_take(struct bridge_report *r, const struct bridge *b,
		       struct err *e) ERR_MUST_CHECK;
void bridge_report_done(struct bridge_report *r);
CLEANUP_OBJ(struct bridge_report, bridge_report_done)
/* To stderr. */
void bridge_report_print(const struct bridge_report *r);
/* Writes the document to o->output; `failed`: why the bridge ended, NULL in order. */
int bridge_report_emit(const struct bridge_report *r, const struct bridge_opts *o,
		       const struct target *t, const struct cmd *c, char **argv,
		       const struct err *failed, struct err *e) ERR_MUST_CHECK;
