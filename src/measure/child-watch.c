#include "measure/child-watch.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/thread.h"
#include "measure/sysfile.h"

enum { WATCHED_MAX = 64, FIRST_MS = 1, LAST_MS = 256 };

struct child_watch {
	pid_t pids[WATCHED_MAX];
	size_t n;
	_Atomic(pid_t) seen;
	int stop; /* eventfd */
	struct thread *thread;
};

bool child_time_is_lost(pid_t pid)
{
	char path[64], mask[64];
	unsigned long long ignored;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return sysfile_value("", path, "SigIgn", mask, sizeof(mask)) &&
	       sscanf(mask, "%16llx", &ignored) == 1 && (ignored >> (SIGCHLD - 1) & 1);
}

/* A child belongs to the thread that made it. */
static bool has_child(pid_t pid)
{
	char path[300], first[64];
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return false;
	for (struct dirent *d; !found && (d = readdir(dir));) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, d->d_name);
		found = sysfile_line("", path, first, sizeof(first)) && first[0];
	}
	closedir(dir);
	return found;
}

static void look(void *arg)
{
	struct child_watch *w = arg;
	struct pollfd stop = { .fd = w->stop, .events = POLLIN };
	int wait_ms = FIRST_MS;

	do {
		for (size_t i = 0; i < w->n; i++) {
			if (has_child(w->pids[i])) {
				atomic_store(&w->seen, w->pids[i]);
				return;
			}
		}
		wait_ms = wait_ms < LAST_MS ? 2 * wait_ms : LAST_MS;
	} while (poll(&stop, 1, wait_ms) <= 0);
}

int child_watch_start(struct child_watch **out, const pid_t *pids, size_t n, struct err *e)
{
	CLEANUP(child_watch_free) struct child_watch *w = calloc(1, sizeof(*w));

	*out = NULL;
	if (!w)
		return err_nomem(e);
	w->stop = -1;
	for (size_t i = 0; i < n && w->n < WATCHED_MAX; i++) {
		if (child_time_is_lost(pids[i]))
			w->pids[w->n++] = pids[i];
	}
	if (w->n == 0)
		return 0;
	w->stop = eventfd(0, EFD_CLOEXEC);
	if (w->stop < 0)
		return err_sys(e, ERR_MACHINE, "eventfd");
	if (thread_start(&w->thread, "child-watch", -1, look, w, e) < 0)
		return -1;
	*out = TAKE(w);
	return 0;
}

pid_t child_watch_seen(const struct child_watch *w)
{
	return w ? atomic_load(&w->seen) : 0;
}

void child_watch_free(struct child_watch *w)
{
	if (!w)
		return;
	if (w->thread) {
		/* the counter is far from full: there is nothing else to wait for */
		while (eventfd_write(w->stop, 1) < 0 && errno == EINTR)
			continue;
		thread_join(w->thread);
	}
	if (w->stop >= 0)
		close(w->stop);
	free(w);
}
