#include "peer/iperf-report.h"

#include <stdlib.h>
#include <string.h>

int iperf_report_init(struct iperf_report *r, struct err *e)
{
	memset(r, 0, sizeof(*r));
	for (unsigned i = 0; i < IPERF_S_COUNT; i++)
		if (series_init(&r->series[i], 256, e) < 0)
			return -1;
	for (unsigned i = 0; i < 2; i++)
		r->flow[i] = (struct iperf_flow){ .retransmits = -1,
						  .packets = -1,
						  .unique = -1,
						  .duplicates = -1,
						  .reordered = -1,
						  .late = -1,
						  .lost = -1 };
	return 0;
}

void iperf_report_done(struct iperf_report *r)
{
	iperf3_results_done(&r->ours);
	iperf3_results_done(&r->theirs);
	for (unsigned i = 0; i < IPERF_S_COUNT; i++)
		series_done(&r->series[i]);
	free(r->row);
	free(r->stream);
	r->row = NULL;
	r->stream = NULL;
}

double iperf_flow_rate(const struct iperf_flow *f)
{
	if (f->received_s > 0)
		return (double)f->received_bytes * 8 / f->received_s;
	return 0;
}
