/* child-watch - which servers have children whose CPU time the kernel forgets */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * A process that ignores SIGCHLD is not told of its children's end, and what they took is added to nobody's account
 * (wait(2), NOTES; the kernel's release of a process that nobody waits for). That it ignores the signal is in
 * /proc/PID/status (SigIgn); that it does the same by SA_NOCLDWAIT is not to be seen from outside.
 */
bool child_time_is_lost(pid_t pid);

struct child_watch;
/*
 * Looks, from a thread of its own, whether any of those processes that ignore SIGCHLD has a child (/proc/PID/task/TID/children), until
 * one is seen; ever more rarely, so that a process without children costs next to nothing. *out is NULL when none of them
 * ignores it. -1 when no thread or descriptor is to be had.
 */
int child_watch_start(struct child_watch **out, const pid_t *pids, size_t n,
		      struct err *e) ERR_MUST_CHECK;
/* The process whose child was seen so far, 0: none. */
pid_t child_watch_seen(const struct child_watch *w);
/* Ends the thread; NULL is legal. */
void child_watch_free(struct child_watch *w);
CLEANUP_PTR(struct child_watch, child_watch_free)
