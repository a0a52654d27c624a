/* iperf-opts - the options of iperf, and of its alias iperf3 */
#pragma once

#include "bench.h"

enum { IPERF_AUTO, IPERF_ON, IPERF_OFF };

struct iperf_opts {
	struct plan plan;
	struct common_opts common;
	struct syscalls_opts syscalls;
	bool udp, reverse, bidir, wide;
	uint32_t parallel;
	uint64_t time_ns, bytes, blocks, omit_ns;
	bool has_time, endless;
	struct opt_numbers lengths;
	bool has_lengths;
	const char *bandwidth; /* RATE[/BURST] */
	uint64_t rate;	       /* of bandwidth */
	uint32_t burst;
	uint64_t window, fq_rate;
	uint32_t mss, dscp, tos, cport;
	bool nodelay, dont_fragment, ipv4, ipv6;
	uint32_t flow_label, user_timeout_ms; /* 0: none */
	const char *device;		      /* to bind to */
	const char *file; /* sent instead of a pattern; written by who receives */
	const char *congestion, *bind, *affinity;
	int32_t cpu, server_cpu; /* of affinity, -1: any */
	const char *zerocopy;	 /* auto, vmsplice, sendfile, msg; NULL: off */
	bool skip_rx_copy, repeating, get_server_output, latency;
	int gso, gro;
	uint64_t rcvbuf, connect_timeout_ns, busy_retry_ns, interval_ns;
	const char *title, *extra_data;
	/* the server */
	bool server, one_off, ready, as_iperf3;
	uint32_t port, max_clients, ready_fd;
	uint64_t idle_timeout_ns, rate_limit;
	/* what iperf3 prints */
	bool iperf3_json, json_stream;
};

extern const struct iperf_opts iperf_defaults;
/* Parses what rows cannot, and checks what belongs together. */
int iperf_opts_check(struct iperf_opts *o, struct err *e) ERR_MUST_CHECK;

/* Measures the targets, or serves: the two halves behind both names. */
int iperf_measure(const struct cmd *cmd, char **argv, struct iperf_opts *o,
		  const char *const *operands, size_t n, struct err *e) ERR_MUST_CHECK;
int iperf_serve(const struct iperf_opts *o, struct err *e) ERR_MUST_CHECK;
