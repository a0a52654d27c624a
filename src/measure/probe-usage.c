#include "measure/probe-usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "measure/child-watch.h"
#include "measure/sysfile.h"

enum { TREE_MAX = 1024 };

struct probe_usage {
	probe_servers *servers;
	void *ctx;
	pid_t pids[PROBE_PIDS_MAX];
	size_t n;
	bool open;
	struct usage before;
	const struct log *log;
	struct child_watch *children;
	bool warned;
};

/* Fields of /proc/PID/stat that follow the command's name, in ticks. */
struct stat_line {
	int ppid;
	uint64_t user, system, children_user, children_system;
};

static bool read_stat(pid_t pid, struct stat_line *out)
{
	char path[64], line[1024];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!sysfile_line("", path, line, sizeof(line)))
		return false;
	at = strrchr(line, ')'); /* the name may hold anything, also ')' */
	return at && sscanf(at + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
			    &out->ppid, &out->user, &out->system, &out->children_user,
			    &out->children_system) == 5;
}

/* All processes of the machine with their parents. */
struct family {
	struct {
		pid_t pid, parent;
	} * of;
	size_t n, room;
};

static void family_done(struct family *f)
{
	free(f->of);
}
CLEANUP_OBJ(struct family, family_done)

static bool family_grow(struct family *f)
{
	size_t room = f->room ? 2 * f->room : 256;
	void *p = realloc(f->of, room * sizeof(f->of[0]));

	if (!p)
		return false;
	f->of = p;
	f->room = room;
	return true;
}

static void read_family(struct family *f)
{
	DIR *dir = opendir("/proc");

	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));) {
		struct stat_line s;
		uint64_t pid;

		if (!sysfile_parse_u64(d->d_name, &pid, NULL) || !read_stat((pid_t)pid, &s))
			continue;
		if (f->n == f->room && !family_grow(f))
			break;
		f->of[f->n].pid = (pid_t)pid;
		f->of[f->n++].parent = s.ppid;
	}
	closedir(dir);
}

static bool contains(const pid_t *list, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == pid)
			return true;
	return false;
}

size_t process_tree(const pid_t *pids, size_t n, pid_t *out, size_t max)
{
	CLEANUP(family_done) struct family f = { 0 };
	size_t have = 0, before;

	for (size_t i = 0; i < n && have < max; i++)
		if (!contains(out, have, pids[i]))
			out[have++] = pids[i];
	read_family(&f);
	do {
		before = have;
		for (size_t i = 0; i < f.n && have < max; i++)
			if (contains(out, have, f.of[i].parent) &&
			    !contains(out, have, f.of[i].pid))
				out[have++] = f.of[i].pid;
	} while (have > before);
	return have;
}

static void add_switches(pid_t pid, struct usage *u)
{
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));) {
		char value[64];
		uint64_t n;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)pid, d->d_name);
		if (sysfile_value("", path, "voluntary_ctxt_switches", value, sizeof(value)) &&
		    sysfile_parse_u64(value, &n, NULL))
			u->voluntary_switches += n;
		if (sysfile_value("", path, "nonvoluntary_ctxt_switches", value, sizeof(value)) &&
		    sysfile_parse_u64(value, &n, NULL))
			u->involuntary_switches += n;
	}
	closedir(dir);
}

uint64_t usage_peak(pid_t pid)
{
	char path[64], value[64];
	uint64_t kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!sysfile_value("", path, "VmHWM", value, sizeof(value)) ||
	    !sysfile_parse_u64(value, &kib, NULL))
		return 0;
	return kib * 1024;
}

/* The process clock counts nanoseconds; how they divide into user and system only the ticks tell. */
static bool add_process(pid_t pid, struct usage *u)
{
	const uint64_t tick_ns = NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	struct stat_line s;
	struct timespec ts;
	uint64_t total, user;
	clockid_t clock;

	if (!read_stat(pid, &s) || clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) != 0)
		return false;
	total = (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
	user = s.user + s.system
		       ? (uint64_t)((double)total * (double)s.user / (double)(s.user + s.system))
		       : total;
	u->user_ns += user + s.children_user * tick_ns;
	u->system_ns += total - user + s.children_system * tick_ns;
	add_switches(pid, u);
	u->rss_peak_bytes += usage_peak(pid);
	return true;
}

bool usage_read(const pid_t *pids, size_t n, struct usage *out)
{
	CLEANUP_FREE pid_t *tree = calloc(TREE_MAX, sizeof(*tree));
	bool known = true;
	size_t all;

	memset(out, 0, sizeof(*out));
	if (!tree || n == 0)
		return false;
	all = process_tree(pids, n, tree, TREE_MAX);
	for (size_t i = 0; i < all; i++)
		/* a descendant may come and go; what it took is its parent's then */
		if (!add_process(tree[i], out) && i < n)
			known = false;
	out->known = known;
	return known;
}

void usage_reset_peak(const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pids[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* refused for processes of others: their peak is of their whole life then */
		dprintf(fd, "5");
		close(fd);
	}
}

int probe_usage_new(struct probe_usage **out, probe_servers *servers, void *ctx,
		    const struct log *log, struct err *e)
{
	struct probe_usage *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(e);
	p->servers = servers;
	p->ctx = ctx;
	p->log = log;
	*out = p;
	return 0;
}

void probe_usage_free(struct probe_usage *p)
{
	if (p)
		child_watch_free(p->children);
	free(p);
}

/* Ends the look-out of this window; what it saw is told once. */
static void tell_children(struct probe_usage *p)
{
	pid_t pid = child_watch_seen(p->children);
	char path[64], name[64];

	child_watch_free(p->children);
	p->children = NULL;
	if (!pid || p->warned)
		return;
	p->warned = true;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	sysfile_line("", path, name, sizeof(name));
	log_say(p->log, LOG_WARNING, "server-cpu",
		"the server's CPU time is too low: process %d (%s) ignores SIGCHLD, and the kernel forgets what its children "
		"took when they end",
		(int)pid, name);
}

static int window_open(void *ctx, const struct engine_case *c, struct run *run, struct err *e)
{
	struct probe_usage *p = ctx;
	uint32_t group = 0;

	(void)run;
	p->n = 0;
	if (p->servers(p->ctx, c, p->pids, &p->n, &group, e) < 0)
		return -1;
	usage_reset_peak(p->pids, p->n);
	child_watch_free(p->children);
	p->children = NULL;
	if (!p->warned && child_watch_start(&p->children, p->pids, p->n, e) < 0)
		return -1;
	p->open = usage_read(p->pids, p->n, &p->before);
	return 0;
}

static int window_close(void *ctx, const struct engine_case *c, struct run *run, struct err *e)
{
	struct probe_usage *p = ctx;
	struct usage after;

	(void)c;
	(void)e;
	tell_children(p);
	if (!p->open || !usage_read(p->pids, p->n, &after))
		return 0;
	run->server.known = true;
	run->server.user_ns = ns_since(p->before.user_ns, after.user_ns);
	run->server.system_ns = ns_since(p->before.system_ns, after.system_ns);
	run->server.voluntary_switches =
		ns_since(p->before.voluntary_switches, after.voluntary_switches);
	run->server.involuntary_switches =
		ns_since(p->before.involuntary_switches, after.involuntary_switches);
	run->server.rss_peak_bytes = after.rss_peak_bytes;
	return 0;
}

struct engine_probe probe_usage_engine(struct probe_usage *p)
{
	return (struct engine_probe){ .ctx = p,
				      .window_open = window_open,
				      .window_close = window_close };
}
