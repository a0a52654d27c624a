/* bench-watch - the probes of a benchmark: system calls and usage of the server behind each target */
#pragma once

#include "bench.h"
#include "measure/probe-syscalls.h"
#include "measure/servers.h"

enum { BENCH_PROBES_MAX = 8 };

struct bench_watch {
	const struct bench *bench;
	const struct servers *servers; /* of --start */
	struct probe_syscalls *syscalls;
	struct probe_usage *usage;
	struct engine_probe probes[BENCH_PROBES_MAX]; /* the command's own and these */
	size_t n_probes;
	pid_t first[OPT_LIST_MAX]; /* of each started target's server: one process is one group */
};

/* After the servers were started. ERR_MACHINE when --syscalls cannot be done and is not ",auto". */
int bench_watch_open(struct bench_watch *w, const struct bench *b, const struct servers *servers,
		     struct err *e) ERR_MUST_CHECK;
void bench_watch_done(struct bench_watch *w);
CLEANUP_OBJ(struct bench_watch, bench_watch_done)
