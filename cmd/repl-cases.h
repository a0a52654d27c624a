/* repl-cases - the cases of bench-repl on its targets */
#pragma once

#include "base/opt.h"
#include "common.h"
#include "measure/engine.h"
#include "peer/command-session.h"
#include "peer/repl-session.h"

/* Options of single cases. */
struct repl_case_opts {
	struct opt_strings evals, gaps, scripts, encodings;
	struct opt_numbers sizes, chunks;
	int payload;
	uint64_t option_timeout_ns, flood_bytes;
	uint32_t statements, bm_n, bm_m;
	const char *path;
};

struct repl_opts {
	struct plan plan;
	struct common_opts common;
	struct compare_opts compare;
	struct syscalls_opts syscalls;
	struct repl_case_opts of;
	struct opt_strings cases, styles;
	int mode;
	bool soft_reset, resume;
};

enum { REPL_TARGETS_MAX = 32, REPL_CASES_MAX = 2048 };

/* A target under one client style: what the table shows as a column or row of its own. */
struct repl_variant {
	const struct target *target;
	unsigned index; /* of the variant */
	char label[64]; /* target's label, with @STYLE when several styles are compared */
	enum repl_style style;
	bool spawned, telnet;
	struct repl_seen seen;
	char window[16]; /* seen.window as text */
};

/* Everything the cases point to; owned. */
struct repl_plan {
	struct target target[REPL_TARGETS_MAX];
	size_t n_targets;
	struct repl_variant variant[REPL_TARGETS_MAX * 3];
	size_t n_variants;
	struct engine_case *cases;
	struct repl_workload **workload; /* one per repl case */
	size_t n_cases, n_workloads;
	struct repl_job **job;
	size_t n_jobs;
	struct command_workload *client;
	size_t n_clients;
	int server_cpu;
	const struct log *log;
};

/* Parses targets and makes the cases. ERR_USAGE names the wrong option. */
int repl_plan_make(struct repl_plan *p, const struct repl_opts *o, const char *const *targets,
		   size_t n_targets, const struct log *log, struct err *e) ERR_MUST_CHECK;
void repl_plan_done(struct repl_plan *p);
CLEANUP_OBJ(struct repl_plan, repl_plan_done)

/* All names --case takes, NULL-terminated. */
extern const char *const repl_case_names[];
