/* tracer - system call counting by mpbench-bpf: find it, start it, talk to it */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "measure/call-table.h"

/* A window opens and closes when the counters have stood still for so long, waiting at most so long. */
#define TRACER_STILL_NS UINT64_C(5000000)
#define TRACER_LIMIT_NS UINT64_C(200000000)

struct tracer_params {
	enum trace_level level;
	uint32_t
		threads; /* threads that get counters of their own, 0: 256; the rest shares (exactly) */
	bool no_children;		       /* do not follow fork */
	size_t n_targets;		       /* 1..TRACE_TARGETS_MAX */
	const char *target[TRACE_TARGETS_MAX]; /* "pids", "comm:NAME", "cgroup:PATH", "all" */
};

struct tracer;

/*
 * Starts mpbench-bpf (beside mpbench, or in ../libexec/mpbench), where that lacks the privilege through `sudo -n`, and
 * returns when it counts. mpbench's own process is never counted unless it is added. ERR_MACHINE, code "privilege",
 * "btf", "kernel", "refused" or "no-tracer", says what is missing and the command that would give it.
 */
int tracer_open(struct tracer **out, const struct tracer_params *p, struct err *e) ERR_MUST_CHECK;
/* Detaches: nothing stays in the kernel. NULL is legal. */
void tracer_close(struct tracer *t);
CLEANUP_PTR(struct tracer, tracer_close)

/*
 * Watches a process with its threads (and from now on its children) as target number `target`. `armed`: counted from its
 * next exec on, that call included. A process that is watched already is no error. ERR_TARGET "no-process"; ERR_MACHINE
 * "owner" for a process of somebody else; ERR_USAGE "taken" for one that another target has.
 */
int tracer_add(struct tracer *t, uint32_t target, pid_t pid, bool armed,
	       struct err *e) ERR_MUST_CHECK;

/* All counters, sorted. With `settle` when they have stood still (see above; out->still says whether they did). *out must
 * be empty ({0}). */
int tracer_snapshot(struct tracer *t, bool settle, bool threads, struct call_table *out,
		    struct err *e) ERR_MUST_CHECK;

/* io_uring operations are seen. */
bool tracer_sees_uring(const struct tracer *t);
/* What each system call of a process that is not watched became slower by, in ns: measured at the opening, on ourselves. */
uint64_t tracer_others_ns(const struct tracer *t);
/* Our child: mpbench-bpf, or the sudo that runs it. */
pid_t tracer_pid(const struct tracer *t);

/* Calls that talking to mpbench-bpf had taken when the last snapshot was: to be subtracted where mpbench counts itself. */
struct tracer_own {
	uint64_t reads, writes, polls;
};
struct tracer_own tracer_own(const struct tracer *t);

/* The path of mpbench-bpf, NULL when there is none; *out is malloc'ed. */
char *tracer_find_program(void);
