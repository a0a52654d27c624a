#include "bench-watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "io/sock.h"

/* Group 0 is what mpbench itself spawned for a target; 1 + i the server of started target i. */
enum { GROUP_CHILDREN = 0, TREE_MAX = 256 };

static bool is_started(const struct bench_watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->servers->n; i++)
		if (w->servers->v[i].child.pid == pid)
			return true;
	return false;
}

/* Processes spawned for sessions: exec: and builtin: targets. They are mpbench's descendants, but for the tracer and the
 * servers of --start with their own descendants. */
static size_t session_processes(const struct bench_watch *w, pid_t *out)
{
	pid_t self = getpid(), all[TREE_MAX], others[OPT_LIST_MAX + 1], not_ours[TREE_MAX];
	size_t n_others = 0, n = 0, n_all, n_not;

	for (size_t i = 0; i < w->servers->n; i++)
		others[n_others++] = w->servers->v[i].child.pid;
	others[n_others] = probe_syscalls_child(w->syscalls);
	n_others += others[n_others] != 0;
	n_not = n_others ? process_tree(others, n_others, not_ours, TREE_MAX) : 0;
	n_all = process_tree(&self, 1, all, TREE_MAX);
	for (size_t i = 1; i < n_all && n < PROBE_PIDS_MAX; i++) {
		bool ours = !is_started(w, all[i]);

		for (size_t k = 0; ours && k < n_not; k++)
			ours = not_ours[k] != all[i];
		if (ours)
			out[n++] = all[i];
	}
	return n;
}

/* A socket can be bound to an address of this machine only. */
static bool is_local(const char *host)
{
	struct addr a[1];
	struct err ignored = { 0 };
	CLEANUP_FD int fd = -1;
	size_t n;

	if (addr_resolve(a, 1, &n, host, 0, SOCK_DGRAM, &ignored) < 0 || n == 0)
		return false;
	fd = socket(a[0].sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && bind(fd, (const struct sockaddr *)&a[0].sa, a[0].len) == 0;
}

static bool port_of(const struct url *u, struct listener_port *out)
{
	static const struct {
		const char *scheme;
		uint16_t port;
	} defaults[] = { { "tftp", 69 },    { "http", 80 },	{ "https", 443 },
			 { "rpyc", 18812 }, { "rpycs", 18821 }, { "iperf3", 5201 },
			 { "socket", 0 },   { "rfc2217", 2217 } };

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (strcmp(u->scheme, defaults[i].scheme) != 0)
			continue;
		out->udp = strcmp(u->scheme, "tftp") == 0;
		out->tcp = !out->udp;
		out->port = u->port ? u->port : defaults[i].port;
		return out->port != 0;
	}
	return false;
}

/* The listener of a target's port, where the target is on this machine. */
static int listeners(const struct url *u, pid_t *out, size_t *n, struct err *e)
{
	struct listener_port port;

	*n = 0;
	if (!port_of(u, &port) || !u->host || !is_local(u->host))
		return 0;
	return listener_find("", &port, out, n, e);
}

/* A process of ours stands behind it while it is measured. */
static bool is_spawned(const struct target *t)
{
	return strcmp(t->member[0].scheme, "exec") == 0 ||
	       strcmp(t->member[0].scheme, "builtin") == 0;
}

/* Index of a target among those that --start counts. */
static size_t started_index(const struct bench_watch *w, const struct target *t)
{
	const struct bench *b = w->bench;

	for (size_t i = 0; i < b->n_started; i++)
		if (&b->started[i] == t)
			return i;
	return 0;
}

static uint32_t group_of(struct bench_watch *w, size_t index, pid_t first)
{
	w->first[index] = first;
	for (size_t i = 0; i < index; i++)
		if (w->first[i] == first)
			return 1 + (uint32_t)i;
	return 1 + (uint32_t)index;
}

static int find_servers(void *ctx, const struct engine_case *c, pid_t pids[PROBE_PIDS_MAX],
			size_t *n, uint32_t *group, struct err *e)
{
	struct bench_watch *w = ctx;
	const struct bench *b = w->bench;
	struct err unseen = { 0 };
	const struct target *t;
	size_t index;
	pid_t own;

	(void)e;
	*n = 0;
	*group = GROUP_CHILDREN;
	if (c->target_index >= b->n_targets)
		return 0;
	t = b->targets[c->target_index].target;
	index = started_index(w, t);
	own = b->server ? b->server(b->ctx, c->target_index) : 0;
	if (own > 0) {
		index = c->target_index;
		*n = process_tree(&own, 1, pids, PROBE_PIDS_MAX);
	} else if (index < w->servers->n && w->servers->v[index].child.pid > 0) {
		pid_t server = w->servers->v[index].child.pid;

		*n = process_tree(&server, 1, pids, PROBE_PIDS_MAX);
	} else if (is_spawned(t)) {
		*n = session_processes(w, pids);
		return 0;
	} else if (listeners(&t->member[0], pids, n, &unseen) < 0) {
		*n = 0; /* somebody else's is as good as none here */
	}
	if (*n && index < OPT_LIST_MAX)
		*group = group_of(w, index, pids[0]);
	return 0;
}

/* Somebody whom we may count is behind at least one target. */
static int check_targets(const struct bench *b, const struct syscalls_choice *choice, struct err *e)
{
	struct err unseen = { 0 };
	pid_t pids[LISTENERS_MAX];

	for (size_t i = 0; i < b->n_targets; i++) {
		struct err now = { 0 };
		size_t n;

		if (listeners(&b->targets[i].target->member[0], pids, &n, &now) < 0)
			unseen = now;
		else if (n > 0)
			return 0;
	}
	if (!unseen.kind)
		return probe_syscalls_nobody(choice, e);
	*e = unseen;
	return err_wrap(e, "--syscalls");
}

/* That nobody is there to be counted is told before anything is measured, but where processes come with the sessions. */
static int check_anyone(const struct bench_watch *w, const struct syscalls_choice *choice,
			struct err *e)
{
	const struct bench *b = w->bench;
	pid_t pids[LISTENERS_MAX];
	size_t n;

	if (choice->automatic || w->servers->n > 0)
		return 0;
	for (size_t i = 0; i < b->n_targets; i++)
		if (is_spawned(b->targets[i].target) || (b->server && b->server(b->ctx, i) > 0))
			return 0;
	if (choice->whose == SYSCALLS_SERVER)
		return check_targets(b, choice, e);
	if (choice->whose != SYSCALLS_PORT)
		return 0;
	if (listener_find("", &choice->port, pids, &n, e) < 0)
		return err_wrap(e, "--syscalls");
	return n > 0 ? 0 : probe_syscalls_nobody(choice, e);
}

int bench_watch_open(struct bench_watch *w, const struct bench *b, const struct servers *servers,
		     struct err *e)
{
	struct syscalls_choice choice;

	w->bench = b;
	w->servers = servers;
	for (size_t i = 0; i < b->n_probes && w->n_probes < BENCH_PROBES_MAX - 2; i++)
		w->probes[w->n_probes++] = b->probes[i];
	if (probe_usage_new(&w->usage, find_servers, w, &b->common->log, e) < 0 ||
	    syscalls_parse(b->syscalls ? b->syscalls->syscalls : NULL, &choice, e) < 0 ||
	    check_anyone(w, &choice, e) < 0 ||
	    probe_syscalls_open(&w->syscalls, &choice, find_servers, w, &b->common->log, e) < 0)
		return -1;
	/* the syscall probe is the inner one: it must not count what reading the usage takes */
	w->probes[w->n_probes++] = probe_usage_engine(w->usage);
	if (w->syscalls)
		w->probes[w->n_probes++] = probe_syscalls_engine(w->syscalls);
	return 0;
}

void bench_watch_done(struct bench_watch *w)
{
	probe_syscalls_close(w->syscalls);
	probe_usage_free(w->usage);
	w->syscalls = NULL;
	w->usage = NULL;
}
