/* tracer - the loaded programs and their counters */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "privilege.h"
#include "rows.h"

struct tracer_target {
	enum trace_select select;
	char comm[TRACE_COMM]; /* NUL-padded */
	const char *cgroup;    /* directory in a cgroup v2 hierarchy */
};

struct tracer_params {
	enum trace_level level;
	uint32_t threads; /* rows for threads */
	bool follow;
	uid_t limit; /* as of privilege_limit() */
	size_t n_targets;
	struct tracer_target target[TRACE_TARGETS_MAX];
};

struct tracer;

/* Loads and attaches; needs the privileges. *out is complete or untouched. */
int tracer_open(struct tracer **out, const struct tracer_params *p, struct fault *f);
/* Detaches and releases; NULL is legal. */
void tracer_close(struct tracer *t);

/* What still works, as of READY's flags; asked after the privileges are gone. */
uint64_t tracer_abilities(const struct tracer *t);

/* Watches a process with all its threads; *threads says how many were added (0: it was watched already). `target`
 * TRACE_NEVER excludes it. */
int tracer_add(struct tracer *t, uint32_t target, pid_t pid, bool armed, uint64_t *threads,
	       struct fault *f);

/* Where the counters are. */
const struct rows *tracer_rows(const struct tracer *t);

/* Runs of our programs that the kernel skipped because one was running on that CPU already; each is a lost call. */
uint64_t tracer_missed(const struct tracer *t);

/* Gives rows of ended threads back, but only while fewer than a quarter are free, so that they can be shown. */
void tracer_reclaim(struct tracer *t);
