/* probe-usage - what a server took of CPU and memory while it was measured */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "measure/engine.h"

enum { PROBE_PIDS_MAX = 64 };

/*
 * The processes behind a case's target, asked at the opening of each window: *n of them, 0 where none is known on this
 * machine (that is no error). *group tells servers apart: a process must always come with the same one.
 */
typedef int probe_servers(void *ctx, const struct engine_case *c, pid_t pids[PROBE_PIDS_MAX],
			  size_t *n, uint32_t *group, struct err *e);

/*
 * CPU time, context switches and the peak of resident memory of those processes and all their descendants, into
 * run.server. Unknown when there are none, or when one of them ended in between. Where a server has children whose time is
 * lost when they end (measure/child-watch), the log gets the warning "server-cpu", once.
 */
struct probe_usage;
int probe_usage_new(struct probe_usage **out, probe_servers *servers, void *ctx,
		    const struct log *log, struct err *e) ERR_MUST_CHECK;
void probe_usage_free(struct probe_usage *p);
CLEANUP_PTR(struct probe_usage, probe_usage_free)
struct engine_probe probe_usage_engine(struct probe_usage *p);

/* Processes with all their descendants, each once; returns how many (at most max; the given ones come first). */
size_t process_tree(const pid_t *pids, size_t n, pid_t *out, size_t max);

/*
 * The sums so far of some processes and their descendants: CPU time since their start (to the nanosecond, of threads and
 * reaped children that ended too), switches of the threads that live, peak memory since the start or since
 * usage_reset_peak. false when one of `pids` cannot be read.
 */
bool usage_read(const pid_t *pids, size_t n, struct usage *out);
/*
 * Peak resident memory in bytes of one process, 0 where it cannot be read. Of its program alone: ru_maxrss begins with what
 * the parent held when it forked.
 */
uint64_t usage_peak(pid_t pid);
/* Makes the peak of those processes begin anew, where the kernel lets us (own processes, or root). */
void usage_reset_peak(const pid_t *pids, size_t n);
