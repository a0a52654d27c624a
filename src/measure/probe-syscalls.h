/* probe-syscalls - system calls per operation, counted over the window of each run */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "measure/engine.h"
#include "measure/listener.h"
#include "measure/probe-usage.h"
#include "measure/tracer.h"

enum syscalls_whose { SYSCALLS_OFF, SYSCALLS_PID, SYSCALLS_PORT, SYSCALLS_SERVER, SYSCALLS_SELF };

/* The value of --syscalls. */
struct syscalls_choice {
	enum syscalls_whose whose;
	pid_t pid;
	struct listener_port port;
	bool automatic; /* only where it can be done; else a warning */
};

/* "pid:N", "port:69/udp", "server", "self", each with or without ",auto"; "auto" alone is "server,auto". NULL: off. */
int syscalls_parse(const char *text, struct syscalls_choice *out, struct err *e) ERR_MUST_CHECK;

struct probe_syscalls;

/*
 * Starts the tracer. `servers` tells the processes of SYSCALLS_SERVER. With choice.automatic, trouble is a warning of
 * code "syscalls" and *out NULL, which all functions here accept; so is SYSCALLS_OFF.
 */
int probe_syscalls_open(struct probe_syscalls **out, const struct syscalls_choice *choice,
			probe_servers *servers, void *ctx, const struct log *log,
			struct err *e) ERR_MUST_CHECK;
void probe_syscalls_close(struct probe_syscalls *p);
CLEANUP_PTR(struct probe_syscalls, probe_syscalls_close)

/* The tracer's process, 0 without one: a child of ours that is no server. */
pid_t probe_syscalls_child(const struct probe_syscalls *p);

/* Fills run.syscalls; warm-up and set-up lie outside the window. */
struct engine_probe probe_syscalls_engine(struct probe_syscalls *p);

/* ERR_MACHINE: nobody is there who could be counted, and what to do. */
int probe_syscalls_nobody(const struct syscalls_choice *choice, struct err *e) ERR_MUST_CHECK;

/*
 * After engine_run: adds to each benchmark the metrics syscalls.total and syscalls.NAME, count per operation (succeeded
 * and failed), one value a run, exact with their totals and operations. A run whose counts are not exact, or that has
 * none, has no value; a warning says why. Notes what tracing cost the processes that were not watched. Without
 * `automatic`, ERR_MACHINE when no window had a process at all.
 */
int probe_syscalls_metrics(const struct probe_syscalls *p, struct measurement *m,
			   const struct log *log, struct err *e) ERR_MUST_CHECK;
