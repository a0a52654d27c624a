/* watch-run - one run of a benchmark as a child process, and what came of it */
#pragma once

#include "base/buf.h"
#include "io/loop.h"
#include "io/spawn.h"
#include "result/json.h"

struct bench_run {
	/* set by the owner */
	struct loop *loop;
	char *const *words; /* subcommand and its arguments, NULL-terminated; borrowed */
	const char *file;   /* where the result is put; borrowed */
	uint64_t budget_ns, timeout_ns; /* of a whole run: what it may plan, when it is ended */
	void (*done)(struct bench_run *r);
	/* its own */
	bool running, timed_out;
	uint64_t begun_ns, ended_ns;
	int64_t begun_wall_ns;
	struct child child;
	struct watch end, output;
	struct timer too_long;
	int err_fd;
	struct buf text; /* what it said on standard error, its beginning */
};

/* Runs mpbench WORDS... --quiet --output FILE. `done` is called once, from the loop. */
int bench_run_start(struct bench_run *r, struct err *e) ERR_MUST_CHECK;
/* Ends it if it runs (`done` is not called), and releases everything. Legal on a zeroed one. */
void bench_run_stop(struct bench_run *r);
/*
 * After `done`: its exit status (-1: killed), the last line that it wrote, and the document, NULL where there is none;
 * a file that is no result is ERR_INTERNAL.
 */
int bench_run_result(struct bench_run *r, json_t **root, int *exit_status, char message[256],
		     struct err *e) ERR_MUST_CHECK;
