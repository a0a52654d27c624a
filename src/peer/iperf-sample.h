/* iperf-sample - what is looked at while a test runs: TCP_INFO, acknowledged tags, intervals */
#pragma once

#include "peer/iperf-report.h"
#include "peer/iperf-test.h"

struct iperf_sampler {
	struct iperf_test *test;
	struct iperf_report *report;
	uint64_t every_ns, interval_ns; /* looks, and intervals */
	uint64_t next_look_ns, next_interval_ns, interval_began_ns, usage_ns;
	bool counting, tags; /* after the omitted time; send-to-ACK times are wanted */
	bool silent;	     /* rows are made, distributions are not */
	unsigned turn;	     /* the stream that is looked at next */
	uint64_t last_bytes[2 * IPERF3_STREAMS_MAX], last_retransmits[2 * IPERF3_STREAMS_MAX];
	uint64_t last_packets[2 * IPERF3_STREAMS_MAX], last_lost[2 * IPERF3_STREAMS_MAX];
	void (*row)(void *ctx, const struct iperf_row *rows,
		    unsigned n); /* one interval of all streams; NULL */
	void *ctx;
};

void iperf_sampler_init(struct iperf_sampler *x, struct iperf_test *t, struct iperf_report *r,
			uint64_t every_ns, uint64_t interval_ns);
/* Asks the kernel for send-to-ACK times on the TCP senders, where it can. Before the threads start. */
void iperf_sampler_tag(struct iperf_sampler *x);
void iperf_sampler_start(struct iperf_sampler *x, bool counting);
/* The omitted time is over: what follows counts. */
int iperf_sampler_counts(struct iperf_sampler *x, struct err *e) ERR_MUST_CHECK;
/* Does what is due at `now`; returns when it wants to be called next. */
int iperf_sampler_look(struct iperf_sampler *x, uint64_t now, uint64_t *next,
		       struct err *e) ERR_MUST_CHECK;
/* The last interval, where more than a tenth of it has passed. */
int iperf_sampler_end(struct iperf_sampler *x, uint64_t now, struct err *e) ERR_MUST_CHECK;
