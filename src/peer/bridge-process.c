#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "base/opt.h"
#include "peer/bridge-link-impl.h"

/* A terminal that is there, as real servers report a pty (ser2net: 176). */
enum { LINES_UP = RFC2217_MODEM_CD | RFC2217_MODEM_DSR | RFC2217_MODEM_CTS };

static int process_make(struct bridge_link *l, struct err *e)
{
	return opt_split_command(l->p.url->path, &l->argv, e);
}

/* The terminal's end of file does not come while a process that left the group keeps it open. */
static void has_ended(struct watch *w, uint32_t events)
{
	struct bridge_link *l = CONTAINER_OF(w, struct bridge_link, ended);

	(void)events;
	if (!spawn_poll(&l->child))
		return;
	loop_remove(w);
	link_drain_and_end(l);
}

static int process_start(struct bridge_link *l, struct err *e)
{
	struct spawn_params sp = SPAWN_DEFAULT;
	CLEANUP_FD int master = -1, slave = -1;

	if (pty_open(&master, &slave, NULL, e) < 0)
		return -1;
	sp.argv = l->argv;
	sp.tty = slave;
	if (spawn_start(&l->child, &sp, e) < 0)
		return -1;
	if (stream_init(&l->stream, l->loop, fd_take(&master), LINK_QUEUE_MAX, l->stream.ops, e) <
	    0)
		return -1;
	if (loop_add(l->loop, &l->ended, l->child.pidfd, EPOLLIN, has_ended, e) < 0) {
		stream_done(&l->stream);
		return -1;
	}
	link_set_lines(l, LINES_UP);
	return 0;
}

static void process_stop(struct bridge_link *l, struct err *e)
{
	loop_remove(&l->ended);
	stream_done(&l->stream);
	spawn_stop(&l->child, 0);
	spawn_describe(&l->child, l->stats.last_end, sizeof(l->stats.last_end));
	/* its terminal is closed a moment before its end can be told; a kill then changes nothing */
	err_set(e, ERR_TARGET, WIFEXITED(l->child.status) ? "exited" : "killed", "%s ended: %s",
		l->argv[0], l->stats.last_end);
	link_set_lines(l, 0);
}

static void restart(struct bridge_link *l)
{
	if (l->up)
		link_ended(l, true);
}

/* The circuit of ESP boards (esptool documents it): reset is pulled low by RTS while DTR is off. */
static void esp_lines(struct bridge_link *l)
{
	bool reset = l->port.rts == RFC2217_RTS_ON && l->port.dtr == RFC2217_DTR_OFF;

	if (reset == l->held)
		return;
	l->held = reset;
	if (reset)
		restart(l);
	else
		link_start(l);
}

static void process_break(struct bridge_link *l, bool on)
{
	static const char ctrl_c = 3;

	if (!on)
		return;
	if (l->p.brk == BRIDGE_BREAK_INTERRUPT)
		bridge_link_write(l, &ctrl_c, 1);
	else if (l->p.brk == BRIDGE_BREAK_RESTART)
		restart(l);
}

static bool process_apply(struct bridge_link *l, enum rfc2217_command command, uint32_t value)
{
	if (command != RFC2217_SET_CONTROL)
		return true;
	if (value == RFC2217_BREAK_ON)
		process_break(l, true);
	else if (value >= RFC2217_DTR_ON && value <= RFC2217_RTS_OFF &&
		 l->p.lines == BRIDGE_LINES_ESP)
		esp_lines(l);
	else if (value == RFC2217_DTR_OFF && l->p.lines == BRIDGE_LINES_DTR)
		restart(l);
	return true;
}

/* On the master's side "received" is what the process wrote. */
static void process_purge(struct bridge_link *l, bool received, bool unsent)
{
	serial_discard(&serial_layer_real, l->stream.fd, received, unsent);
}

static void process_free(struct bridge_link *l)
{
	free(l->argv);
}

const struct link_kind link_process = {
	.scheme = "exec",
	.make = process_make,
	.start = process_start,
	.stop = process_stop,
	.apply = process_apply,
	.purge = process_purge,
	.brk = process_break,
	.free = process_free,
};
