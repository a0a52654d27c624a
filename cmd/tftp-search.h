/* tftp-search - the most clients, or the highest rate, that a server stands */
#pragma once

#include "tftp-cases.h"

/* One try. p99_ns and least_ns, of the latency, are 0 when nothing succeeded. */
struct tftp_step {
	uint64_t value, ok, failed, p99_ns, least_ns, duration_ns;
	bool stands;
};
enum { TFTP_STEPS_MAX = 64 };

struct tftp_search {
	struct tftp_step step[TFTP_STEPS_MAX]; /* in the order tried */
	size_t n;
	uint64_t best,
		beyond; /* the highest that stood, 0: none; the lowest above it that did not, 0: none was found */
};

/* --find-max and what goes with it. ERR_USAGE. */
int tftp_search_check(const struct tftp_opts *o, struct err *e) ERR_MUST_CHECK;
bool tftp_finds_clients(const struct tftp_opts *o);
/*
 * bench.before: for each cell doubles the clients (or the rate) until a limit is passed, then halves the interval until it is 1 or 5 % wide. A
 * step that does not stand is tried twice, so that one bad moment does not decide. The cell then is what was found. ctx is the tftp_cases.
 */
int tftp_search_all(void *ctx, struct err *e) ERR_MUST_CHECK;
/* The finding; nothing for a cell that was not searched. b is what was then measured. */
int tftp_search_advise(const struct tftp_cases *c, size_t i, struct document *d,
		       const struct benchmark *b, struct err *e) ERR_MUST_CHECK;
json_t *tftp_search_json(const struct tftp_cell *cell, struct err *e);
