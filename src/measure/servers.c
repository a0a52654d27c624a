#include "measure/servers.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/loop.h"

enum { PORT_POLL_MS = 5, TCP_LISTEN_STATE = 0x0A };

static bool table_has_port(const char *path, uint16_t port, bool tcp)
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned local = 0, state = 0;

		if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) ==
		    2)
			found = local == port && (!tcp || state == TCP_LISTEN_STATE);
	}
	if (f)
		fclose(f);
	return found;
}

bool servers_port_is_open(uint16_t port)
{
	return table_has_port("/proc/net/tcp", port, true) ||
	       table_has_port("/proc/net/tcp6", port, true) ||
	       table_has_port("/proc/net/udp", port, false) ||
	       table_has_port("/proc/net/udp6", port, false);
}

/* Waiting for a port is looking again and again: the kernel tells nobody of a new listener. */
struct wait {
	struct loop *loop;
	struct timer timer;
	struct watch ended;
	struct server *server;
	uint16_t port;
	bool open, dead;
};

static void look(struct timer *t, uint64_t now)
{
	struct wait *w = CONTAINER_OF(t, struct wait, timer);

	w->open = servers_port_is_open(w->port);
	if (w->open)
		loop_stop(w->loop);
	else
		timer_set(w->loop, t, now + PORT_POLL_MS * NS_PER_MS, look);
}

static void server_ended(struct watch *watch, uint32_t events)
{
	struct wait *w = CONTAINER_OF(watch, struct wait, ended);

	(void)events;
	w->dead = spawn_poll(&w->server->child);
	loop_stop(w->loop);
}

static int wait_for_port(struct server *s, uint16_t port, uint64_t wait_ns, struct err *e)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	struct wait w = { .server = s, .port = port };
	enum loop_end why;
	char how[64];
	int rc;

	if (loop_new(&loop, e) < 0)
		return -1;
	w.loop = loop;
	if (loop_add(loop, &w.ended, s->child.pidfd, 1 /* EPOLLIN */, server_ended, e) < 0)
		return -1;
	timer_set(loop, &w.timer, loop_now(loop), look);
	rc = loop_run(loop, loop_now(loop) + wait_ns, &why, e);
	timer_cancel(loop, &w.timer);
	loop_remove(&w.ended);
	if (rc < 0)
		return -1;
	if (w.open)
		return 0;
	if (w.dead)
		return err_set(e, ERR_TARGET, "start", "--start '%s' ended at once: %s", s->command,
			       spawn_describe(&s->child, how, sizeof(how)));
	return err_set(e, ERR_TARGET, "start",
		       "--start '%s': nothing listens on port %u after %.1f s", s->command, port,
		       (double)wait_ns / 1e9);
}

static int start_one(struct server *s, const char *command, int cpu, bool loud, struct err *e)
{
	CLEANUP_FREE char **argv = NULL;
	struct spawn_params p = SPAWN_DEFAULT;
	cpu_set_t set;

	snprintf(s->command, sizeof(s->command), "%s", command);
	if (opt_split_command(command, &argv, e) < 0)
		return err_wrap(e, "--start");
	p.argv = argv;
	if (loud)
		p.out = p.err = 2;
	p.hold = cpu >= 0;
	if (spawn_start(&s->child, &p, e) < 0)
		return err_wrap(e, "--start");
	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(s->child.pid, sizeof(set), &set) < 0)
		return err_sys(e, ERR_MACHINE, "pin '%s' to CPU %d", s->command, cpu);
	return spawn_release(&s->child, e);
}

int servers_start(struct servers *s, const struct opt_strings *commands,
		  const struct target *targets, size_t n_targets, uint64_t wait_ns, int cpu,
		  bool loud, struct err *e)
{
	s->n = 0;
	if (commands->n > n_targets)
		return err_set(e, ERR_USAGE, "usage",
			       "%zu --start commands for %zu targets: one per target, in order",
			       commands->n, n_targets);
	for (size_t i = 0; i < commands->n; i++) {
		uint16_t port = targets[i].member[0].port;

		if (port && servers_port_is_open(port)) {
			servers_stop(s);
			return err_set(
				e, ERR_USAGE, "in-use",
				"--start '%s': port %u is in use already, the wrong server would be measured",
				commands->v[i], port);
		}
		memset(&s->v[i], 0, sizeof(s->v[i]));
		s->n = i + 1;
		if (start_one(&s->v[i], commands->v[i], cpu, loud, e) < 0 ||
		    (port && wait_for_port(&s->v[i], port, wait_ns, e) < 0)) {
			servers_stop(s);
			return -1;
		}
	}
	return 0;
}

void servers_stop(struct servers *s)
{
	for (size_t i = s->n; i > 0; i--)
		if (s->v[i - 1].child.pid > 0)
			spawn_stop(&s->v[i - 1].child, NS_PER_SEC);
	s->n = 0;
}
