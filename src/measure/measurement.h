/* measurement - what the engine found: benchmarks, their runs, the numbers of each run */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "stats/series.h"

enum param_type { PARAM_INTEGER, PARAM_TEXT, PARAM_BOOL };

/* A parameter of a benchmark (payload size, chunk size, mode): part of the match key of diff. */
struct param {
	const char *key;
	enum param_type type;
	int64_t integer;
	const char *text; /* borrowed for the life of the measurement */
};
enum { PARAMS_MAX = 12 };

enum better { BETTER_LOWER, BETTER_HIGHER, BETTER_NONE };

/* A distribution within a run: "latency", "service_time", "phase.connect", "block_rtt"... */
struct distribution {
	const char *name; /* borrowed literal or case text */
	const char *unit; /* "ns" for all but `value` distributions */
	enum better better;
	struct series series;
};

struct error_count {
	const char *name; /* failure word */
	uint64_t count;
	char detail[160]; /* the first one's detail */
};
enum { RUN_ERRORS_MAX = 24 };

/* CPU and memory of client or server over the window of a run. */
struct usage {
	bool known;
	uint64_t user_ns, system_ns;
	uint64_t voluntary_switches, involuntary_switches;
	uint64_t rss_peak_bytes;
};

/* System calls of the watched process over the window of a run. */
struct syscall_count {
	const char *name; /* lasts as long as the program */
	uint64_t calls, errors, bytes, messages, time_ns;
};
struct syscall_window {
	bool known, exact;
	const char *why_not_exact; /* literal, NULL when exact */
	struct syscall_count *count;
	size_t n;
};

enum run_status { RUN_OK, RUN_FAILED, RUN_INTERRUPTED };

struct run {
	uint32_t index; /* of this benchmark, from 0 */
	uint32_t order; /* position in the whole session, from 0 */
	int32_t pair; /* runs of different targets with the same pair were interleaved; -1: none */
	uint64_t start_offset_ns,
		duration_ns; /* from the session's start; of the measured window */
	enum run_status status;
	uint64_t warmup_discarded, ok, failed, reopened;
	uint64_t bytes;	   /* moved by successful operations */
	uint64_t first_ns; /* latency of the very first operation, warm-up included; 0: it failed */
	uint64_t
		late_sends; /* open loop: sends later than 1 ms (or a tenth of the interval) after plan */
	uint64_t planned; /* open loop: operations planned in the window */
	struct distribution *distribution;
	size_t n_distributions;
	struct error_count error[RUN_ERRORS_MAX];
	size_t n_errors;
	struct usage client, server;
	struct syscall_window syscalls;
};

/* A further metric that a subcommand computes itself: one value per run, NaN for none. */
struct extra_metric {
	char name[64];
	const char *unit;
	enum better better;
	bool exact;
	double *values;		       /* one per run, owned */
	uint64_t *totals, *operations; /* for exact metrics, one per run each; NULL: none */
};

struct benchmark {
	char name[64];	 /* "repl.exec" */
	char target[64]; /* label */
	struct param params[PARAMS_MAX];
	size_t n_params;
	const char *
		headline; /* metric that gates by default and is shown: "latency.median" or "throughput" */
	bool open_loop;
	bool first_only;  /* each operation is a fresh session: warm-up is of the host only */
	const char *note; /* shown under the table, NULL */
	struct run *run;
	size_t n_runs;
	struct extra_metric *extra;
	size_t n_extra;
};

/* Everything one invocation measured; owned by the caller of engine_run. */
struct measurement {
	struct benchmark *benchmark;
	size_t n;
	bool interrupted;
	bool traced; /* system calls were counted meanwhile, which took ... */
	uint64_t
		others_ns_per_call; /* ... so much for each call of a process that was not watched */
	uint64_t duration_ns;
};

void measurement_done(struct measurement *m);
CLEANUP_OBJ(struct measurement, measurement_done)

/* Adds a metric with room for the benchmark's runs (values NaN); NULL on no memory. */
struct extra_metric *benchmark_add_metric(struct benchmark *b, const char *name, const char *unit,
					  enum better better, bool exact);
const struct distribution *run_distribution(const struct run *r, const char *name);

/*
 * Which percentiles n samples can carry, decided here for the whole program. Nearest rank gives something else than the
 * maximum from 1e6/(1e6-ppm) samples on (P95 20, P99 100, P99.9 1,000): below, a percentile is not stated. Its 95 %
 * interval has an upper end from percentile_needs_bound() samples on (P95 72, P99 368): below, that is noted. The median
 * is always stated.
 */
uint64_t percentile_needs(uint32_t ppm);
uint64_t percentile_needs_bound(uint32_t ppm);
bool percentile_is_carried(uint64_t n, uint32_t ppm);

/*
 * One metric of a benchmark over its runs, as stored in the document. Names: DIST.mean .median .p95 .p99 .max .min
 * for every distribution, "throughput" (bytes_per_second, where bytes moved), "rate" (ops_per_second),
 * "error_ratio", "first", "achieved_ratio" (open loop), client.cpu / server.cpu (ns per operation),
 * "syscalls.NAME" and "syscalls.total" (count_per_op, exact where every run's window was), extras. A name that no run
 * has a value for is left out. values[i] is NaN for a run that has none: failed (but its error_ratio stays), interrupted,
 * a percentile not carried by its samples.
 */
struct metric {
	char name[96];
	const char *unit;
	enum better better;
	bool exact;
	double *values; /* n = benchmark's n_runs; owned by the list */
	uint64_t *totals,
		*operations; /* one per run each, owned; NULL where the metric is no count */
};
struct metric_list {
	struct metric *metric;
	size_t n;
	double *value_store; /* back the metrics' values, totals and operations */
	uint64_t *count_store;
};
int metric_list_make(struct metric_list *out, const struct benchmark *b,
		     struct err *e) ERR_MUST_CHECK;
void metric_list_done(struct metric_list *l);
CLEANUP_OBJ(struct metric_list, metric_list_done)
const struct metric *metric_find(const struct metric_list *l, const char *name);
