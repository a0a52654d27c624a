/* iperf-report - what one test came to, seen from the client */
#pragma once

#include "base/cleanup.h"
#include "io/sock.h"
#include "proto/iperf3.h"
#include "stats/series.h"

enum { IPERF_ROWS_MAX = 1 << 16 };

/* One stream over one interval; times in seconds after the start of the test. */
struct iperf_row {
	unsigned stream; /* index */
	bool omitted;
	double start_s, end_s;
	uint64_t bytes, packets, lost; /* packets: sent; of a receiver with those that were lost */
	int64_t retransmits;	       /* -1: unknown */
	uint64_t cwnd_bytes, snd_wnd, rtt_ns, rttvar_ns, pmtu, reorder;
	uint64_t jitter_ns; /* of datagrams that came, at the end of the interval */
};

/* One direction over all its streams. Datagram counts are -1 where nobody knows; `exact`: duplicates cannot have hidden losses. */
struct iperf_flow {
	bool used, exact;
	uint64_t sent_bytes, received_bytes;
	double sent_s, received_s;
	int64_t retransmits;
	int64_t packets, unique, duplicates, reordered, late, lost;
	double jitter_ns;
	bool has_jitter;
};

enum { IPERF_UP, IPERF_DOWN };

enum iperf_series {
	IPERF_S_THROUGHPUT,   /* bit/s of each interval, all streams of the measured direction */
	IPERF_S_RTT,	      /* ns, sampled under load */
	IPERF_S_RTT_IDLE,     /* before the load */
	IPERF_S_RTT_RECEIVER, /* as the kernel of a receiver estimates it */
	IPERF_S_RTTVAR,
	IPERF_S_ACK,   /* from send() to the acknowledgement of its last byte */
	IPERF_S_DELAY, /* one-way, above the smallest */
	IPERF_S_CWND,
	IPERF_S_RETRANSMITS, /* of each interval */
	IPERF_S_CPU,	     /* of this process in each interval, ppm of one CPU */
	IPERF_S_COUNT,
};

struct iperf_stream_shown {
	int id, fd;
	bool sends;
	struct addr local, remote;
	int cpu;
};

struct iperf_report {
	uint8_t cookie[IPERF3_COOKIE];
	struct iperf3_results ours, theirs;
	bool have_theirs;
	struct iperf_flow flow[2];
	struct series series[IPERF_S_COUNT];
	struct iperf_row *row;
	size_t n_rows, rows_dropped;
	struct iperf_stream_shown *stream;
	unsigned n_streams;
	size_t len;
	uint64_t running_ns, end_ns;	 /* CLOCK_MONOTONIC of TEST_RUNNING and of the end */
	uint64_t began_ns, connected_ns; /* of the control connection */
	double wall_s;			 /* CLOCK_REALTIME at the start */
	uint64_t user_ns, system_ns;	 /* of the client */
	uint32_t mss;
	uint64_t sndbuf, rcvbuf, rcvbuf_wanted; /* as the kernel charges it; wanted 0: left alone */
	bool gso_refused;
	uint32_t busy_retries, hello_retries;
	char congestion[32];
};

int iperf_report_init(struct iperf_report *r, struct err *e) ERR_MUST_CHECK;
void iperf_report_done(struct iperf_report *r);
CLEANUP_OBJ(struct iperf_report, iperf_report_done)

/* Bits per second of what arrived in a direction (of what was sent where the peer did not say); 0 without time. */
double iperf_flow_rate(const struct iperf_flow *f);
