/* iperf-client - one whole test against an iperf3 server, from the connection to the results */
#pragma once

#include "base/log.h"
#include "peer/iperf-report.h"
#include "peer/iperf-socket.h"
#include "peer/iperf-stream.h"

/* What a test is to be; texts are borrowed. */
struct iperf_client_plan {
	struct addr to;
	struct addr local; /* of the data connections (port: of the first one); len 0: any */
	struct iperf3_params params;
	struct iperf_work work;
	struct iperf_socket_opts socket;
	uint64_t time_ns; /* where nothing else limits the test */
	bool endless;	  /* until cancelled */
	uint64_t omit_ns;
	uint64_t connect_timeout_ns, answer_timeout_ns; /* answer: of each step of the protocol */
	uint64_t busy_retry_ns; /* how long a busy server is asked again; 0: never */
	uint64_t interval_ns, sample_ns;
	bool latency; /* send-to-ACK times */
	const struct log *log;
	void (*started)(void *ctx, const struct iperf_report *r);
	void (*row)(void *ctx, const struct iperf_row *rows,
		    unsigned n); /* after each interval; NULL */
	void *ctx;
};

/*
 * Runs one test; blocks for as long as it takes, every wait but the test itself bounded. cancel_fd readable ends it within tenths of a
 * second (after CLIENT_TERMINATE where the server still listens). On failure *out holds what was measured until then. Codes
 * beside those of proto/iperf3-client.h: "timeout", "refused" and others of connect, "cancelled", "reset".
 */
int iperf_client_run(const struct iperf_client_plan *p, int cancel_fd, struct iperf_report *out,
		     struct err *e) ERR_MUST_CHECK;
