/* iperf-cases - the cases of iperf: targets times block sizes, and what their runs brought */
#pragma once

#include "io/spawn.h"
#include "iperf-opts.h"
#include "peer/iperf-session.h"

enum { IPERF_TARGETS_MAX = 16 };

/* The metrics of a run. */
enum iperf_metric {
	IPERF_M_THROUGHPUT,
	IPERF_M_SENT,
	IPERF_M_UP,
	IPERF_M_DOWN,
	IPERF_M_RETRANSMITS,
	IPERF_M_LOSS,
	IPERF_M_LOST,
	IPERF_M_DUPLICATES,
	IPERF_M_REORDERED,
	IPERF_M_JITTER,
	IPERF_M_CLIENT_CPU,
	IPERF_M_PEER_CPU,
	IPERF_M_RPM,
	IPERF_M_RPM_IDLE,
	IPERF_M_PACING,
	IPERF_M_CONNECT,
	IPERF_M_SYSCALLS,
	IPERF_M_COUNT,
};

struct iperf_target {
	const struct target *target;
	const struct url *url;
	struct addr address;
	struct child child; /* of builtin: */
	bool is_builtin;
	char version[64]; /* what is known of the server */
};

/* What one run brought: the sums of its tests. */
struct iperf_window {
	uint64_t tests;
	struct iperf_flow flow[2]; /* of the last test but for the sums below */
	double up_bits, up_s, down_bits, down_s, sent_bits, sent_s;
	double cpu_ns, remote_cpu_ns; /* of our and the peer's process */
	double bytes_moved;	      /* both directions */
	double connect_ns;
	uint32_t hello_retries, busy_retries;
	bool gso_refused;
	uint64_t rcvbuf, rcvbuf_wanted;
	struct series series[IPERF_S_COUNT];
};

struct iperf_cell {
	struct iperf_cases *all;
	struct iperf_target *target;
	struct iperf_session_plan plan;
	size_t len;
	struct iperf_window *window; /* one per run, in order */
	size_t n_windows;
	bool recording;
	struct iperf_report last; /* of the last test that was complete */
	bool has_last;
	double median[IPERF_M_COUNT];	 /* over the runs, NaN: none */
	const struct iperf_report *live; /* of the test that runs, for --json-stream */
};

struct iperf_cases {
	const struct iperf_opts *opts;
	struct common *common;
	struct target parsed[IPERF_TARGETS_MAX];
	struct iperf_target *target;
	size_t n_targets;
	struct iperf_cell *cell; /* one per engine case, same order */
	struct engine_case *cases;
	size_t n_cases;
};

int iperf_cases_make(struct iperf_cases *c, const struct iperf_opts *o, struct common *common,
		     const char *const *operands, size_t n, struct err *e) ERR_MUST_CHECK;
void iperf_cases_done(struct iperf_cases *c);
CLEANUP_OBJ(struct iperf_cases, iperf_cases_done)

struct engine_probe iperf_cases_probe(struct iperf_cases *c);
int iperf_metrics_derive(void *ctx, struct measurement *m, struct err *e);
int iperf_metrics_extend(void *ctx, struct document *d, const struct measurement *m, struct err *e);
void iperf_metrics_identity(void *ctx, size_t i, const char **pairs, size_t max);
/* What the table has no columns for, in words: latency idle and under load, losses, CPU. */
void iperf_metrics_say(const struct iperf_cases *c, struct buf *out);
/* The cell behind a benchmark of the measurement; NULL: none. */
struct iperf_cell *iperf_cases_find(struct iperf_cases *c, const struct benchmark *b);
