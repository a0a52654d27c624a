/* iperf-builtin - the builtin: target of iperf: mpbench iperf --server in a child */
#pragma once

#include "io/sock.h"
#include "io/spawn.h"

/* Waits until it serves (at most 10 s). cpu >= 0 pins it. */
int iperf_builtin_start(struct child *c, int cpu, struct addr *address,
			struct err *e) ERR_MUST_CHECK;
