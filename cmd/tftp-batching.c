#include "tftp-batching.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FEW_CALLS = 8 };

/* recvmmsg of all runs. */
static struct syscall_count sum_calls(const struct benchmark *b)
{
	struct syscall_count sum = { .name = "recvmmsg" };

	for (size_t i = 0; i < b->n_runs; i++) {
		const struct syscall_window *w = &b->run[i].syscalls;

		for (size_t k = 0; w->known && k < w->n; k++) {
			const struct syscall_count *c = &w->count[k];

			if (strcmp(c->name, sum.name) != 0)
				continue;
			sum.calls += c->calls;
			sum.errors += c->errors;
			sum.messages += c->messages;
		}
	}
	return sum;
}

/* What we had to repeat, on a link that loses nothing. */
static uint64_t repeated(const struct tftp_cell *cell)
{
	uint64_t n = 0;

	if (impair_is_on(&cell->plan.out) || impair_is_on(&cell->plan.in))
		return 0;
	for (size_t i = 0; i < cell->n_windows; i++)
		n += cell->window[i].tally.timeouts;
	return n;
}

int tftp_batching_advise(const struct tftp_cases *c, size_t i, struct document *d,
			 const struct benchmark *b, struct err *e)
{
	struct syscall_count n = sum_calls(b);
	uint64_t good = n.calls - n.errors, late = repeated(c->cell[i]);
	char evidence[256];
	const char *remedy;

	if (n.calls < FEW_CALLS)
		return 0;
	if (n.errors > good) {
		snprintf(evidence, sizeof(evidence),
			 "%" PRIu64 " of the server's %" PRIu64 " recvmmsg calls failed, %" PRIu64
			 " datagrams came in the others",
			 n.errors, n.calls, n.messages);
		remedy =
			"on a non-blocking socket recvmmsg's time-out is ignored and the loop spins: wait in "
			"epoll, then read with MSG_DONTWAIT";
	} else if (late && n.messages > good) {
		snprintf(
			evidence, sizeof(evidence),
			"the server gathers %.1f datagrams a recvmmsg, and we had to repeat %" PRIu64
			" packets while it did",
			(double)n.messages / (double)good, late);
		remedy =
			"recvmmsg looks at its time-out only after a datagram came and waits for the rest of the "
			"batch: use MSG_WAITFORONE";
	} else if (good && (double)n.messages < 1.05 * (double)good) {
		snprintf(evidence, sizeof(evidence),
			 "%" PRIu64 " recvmmsg calls of the server brought %" PRIu64 " datagrams",
			 n.calls, n.messages);
		remedy =
			"one datagram a call: nothing is gathered that recvfrom would not bring as cheaply";
	} else {
		return 0;
	}
	return document_add_finding(d, "tftp-recvmmsg", b->name, b->target, evidence, remedy, e);
}
