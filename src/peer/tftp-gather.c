#include "peer/tftp-gather.h"

/* Below the one, going to sleep costs more than it saves; above the other, the estimate is not to be trusted. */
enum { LEAST_NS = 20000, MOST_NS = 500000 };

uint64_t tftp_gather_wait(struct tftp_gather *g, uint32_t taken, uint32_t size, uint64_t now_ns)
{
	uint64_t gap, wait;

	if (taken == 0 || taken >= size) {
		g->first_ns = 0;
		return 0;
	}
	if (!g->first_ns)
		g->first_ns = now_ns;
	gap = (now_ns - g->first_ns) / taken;
	if (gap)
		g->gap_ns = gap;
	wait = g->gap_ns * (size - taken) / 2;
	if (wait < LEAST_NS)
		return 0;
	return wait < MOST_NS ? wait : MOST_NS;
}
