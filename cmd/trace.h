/* trace - the parts of trace-syscalls: whom to watch, the watching, the table and the document */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/opt.h"
#include "common.h"
#include "io/spawn.h"
#include "measure/listener.h"
#include "measure/tracer.h"

struct trace_opts {
	struct opt_numbers pids;
	struct opt_strings comms, cgroups, ports;
	bool all, wait, children;
	int level; /* enum trace_level */
	bool errors, latency;
	struct opt_strings filter;
	int sort, by;
	uint32_t top, threads;
	uint64_t operations, interval_ns, duration_ns;
	struct common_opts common;
};
enum trace_sort { TRACE_SORT_COUNT, TRACE_SORT_TIME, TRACE_SORT_ERRORS, TRACE_SORT_BYTES };
enum trace_by { TRACE_BY_TARGET, TRACE_BY_PROCESS, TRACE_BY_THREAD };

/* One target: what the user named, and the processes behind it. */
struct trace_target {
	char label[80];
	char selector[128]; /* for mpbench-bpf */
	char url[160]; /* for the document: "pid:12", "comm:NAME", "port:69/udp", "exec:CMD..." */
	bool is_port, found; /* a port without a listener yet is not found */
	struct listener_port port;
	pid_t pid; /* of -p, else 0 */
	int pidfd; /* of it: readable when it has ended */
};

struct trace_watch {
	const struct trace_opts *opts;
	struct trace_target target[TRACE_TARGETS_MAX];
	size_t n;
	struct tracer *tracer;
	struct child child; /* CMD */
	bool has_child;
	int status; /* of CMD: as a shell gives it */
	bool interrupted;
};
void trace_watch_done(struct trace_watch *w);
CLEANUP_OBJ(struct trace_watch, trace_watch_done)

/* Makes the targets from the options; `command` NULL or CMD ARGS. Nothing is started. */
int trace_choose(struct trace_watch *w, const struct trace_opts *o, const char *const *command,
		 size_t n_words, struct err *e) ERR_MUST_CHECK;

/* A window that grows: `now` is what was counted since the beginning, `step` since the last call. */
typedef int trace_view(void *ctx, const struct call_table *now, const struct call_table *step,
		       struct err *e);

/*
 * Attaches, starts CMD (its stdout is ours, or stderr when `to_stderr`), watches until CMD or every process named by -p has
 * ended, the duration is over or the user stops it; signals go on to CMD. *out is what was counted. A CMD that cannot be
 * found or run is ERR_USAGE with code "exec-missing" or "exec-refused".
 */
int trace_run(struct trace_watch *w, const char *const *command, bool to_stderr, trace_view *view,
	      void *ctx, struct call_table *out, struct err *e) ERR_MUST_CHECK;

/* The calls of `t` that are shown for a target (or a thread's row), sorted and cut; the caller frees *out. */
struct trace_rows {
	const struct call_entry **row;
	size_t n, hidden;      /* hidden: filtered out or beyond --top */
	struct call_entry sum; /* of all, hidden ones too */
};
int trace_rows_make(struct trace_rows *out, const struct trace_opts *o, const struct call_table *t,
		    uint32_t target, uint32_t slot, struct err *e) ERR_MUST_CHECK;
void trace_rows_done(struct trace_rows *r);
CLEANUP_OBJ(struct trace_rows, trace_rows_done)

/* The tables for people. */
int trace_text(const struct trace_watch *w, const struct call_table *t,
	       const struct table_style *style, struct buf *out, struct err *e) ERR_MUST_CHECK;

/* extensions.trace of the document; also what --interval --json prints, one line each. NULL with *e filled. */
json_t *trace_json(const struct trace_watch *w, const struct call_table *t, struct err *e);
/* targets[], benchmarks[] (one run each) and extensions.trace. */
int trace_document(struct document *d, const struct trace_watch *w, const struct call_table *t,
		   struct err *e) ERR_MUST_CHECK;
