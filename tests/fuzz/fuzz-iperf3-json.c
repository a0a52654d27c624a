/* Any text as parameters and as results; what is accepted can be written and read again, and is the same then. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/iperf3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void params(const char *text, size_t size)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct iperf3_params p, again;
	int32_t refusal = 0;
	struct err e;

	if (iperf3_params_decode(&p, text, size, &refusal, &e) < 0) {
		if (!refusal)
			abort();
		return;
	}
	if (p.parallel < 1 || p.parallel > IPERF3_STREAMS_MAX || p.len > IPERF3_LEN_MAX)
		abort();
	/* texts may be cut within a character, which cannot be written then */
	if (iperf3_params_encode(&p, &out, &e) < 0)
		return;
	if (iperf3_params_decode(&again, out.data, out.len, &refusal, &e) < 0 ||
	    again.num != p.num || again.parallel != p.parallel || again.udp != p.udp ||
	    again.bandwidth != p.bandwidth || again.time_s != p.time_s)
		abort();
}

static void results(const char *text, size_t size)
{
	CLEANUP(iperf3_results_done) struct iperf3_results r = { 0 };
	CLEANUP(iperf3_results_done) struct iperf3_results again = { 0 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct err e;

	if (iperf3_results_decode(&r, text, size, &e) < 0 ||
	    iperf3_results_encode(&r, &out, &e) < 0)
		return;
	if (iperf3_results_decode(&again, out.data, out.len, &e) < 0 || again.n != r.n)
		abort();
	for (size_t i = 0; i < r.n; i++)
		if (again.stream[i].id != r.stream[i].id ||
		    again.stream[i].bytes != r.stream[i].bytes)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	params((const char *)data, size);
	results((const char *)data, size);
	return 0;
}
