#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "peer/bridge-link-impl.h"

static const uint64_t back_off_first_ns = 100 * NS_PER_MS;
static const uint64_t back_off_last_ns = 10 * NS_PER_SEC;
/* What ran for so long was no failing start. */
static const uint64_t lived_ns = 2 * NS_PER_SEC;
/* What a process may take to its first word before its input goes to it all the same. */
static const uint64_t first_word_ns = 2 * NS_PER_SEC;
static const uint64_t break_ns = 250 * NS_PER_MS;

const char *const bridge_restart_names[] = { "always", "reboot", "never", NULL };
const char *const bridge_lines_names[] = { "ignore", "dtr", "esp", NULL };
const char *const bridge_break_names[] = { "ignore", "interrupt", "restart", NULL };

void link_tell(struct bridge_link *l, const char *data, size_t len, uint64_t read_ns)
{
	if (len)
		l->p.ops->data(l->p.ctx, data, len, read_ns);
}

static void reboot_over(struct bridge_link *l)
{
	timer_cancel(l->loop, &l->reboot);
	if (!bridge_link_busy(l))
		l->p.ops->drained(l->p.ctx);
}

static void started(struct bridge_link *l)
{
	l->starting = false;
	timer_cancel(l->loop, &l->first);
	if (!bridge_link_busy(l))
		l->p.ops->drained(l->p.ctx);
}

static void keeps_silent(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	started(CONTAINER_OF(t, struct bridge_link, first));
}

static void received(struct bridge_link *l, size_t n, uint64_t read_ns)
{
	static const char enter_raw = 1;
	struct bridge_repl_bytes out;
	enum bridge_repl_state before = l->repl.state;

	l->stats.bytes_in += n;
	if (bridge_repl_output(&l->repl, l->buffer, n, &out))
		stream_write(&l->stream, &enter_raw, 1);
	link_tell(l, out.data, out.len, read_ns);
	if (before != BRIDGE_REPL_PASS && l->repl.state == BRIDGE_REPL_PASS)
		reboot_over(l);
	if (l->starting)
		started(l);
}

static void readable(struct stream *s)
{
	struct bridge_link *l = CONTAINER_OF(s, struct bridge_link, stream);
	uint64_t read_ns = clock_now();
	ssize_t n = stream_read(s, l->buffer, sizeof(l->buffer));

	if (n > 0)
		received(l, (size_t)n, read_ns);
	else if (n < 0)
		link_ended(l, false);
}

static void link_drain(struct bridge_link *l)
{
	while (l->stream.open && !l->paused && !l->stream.failed) {
		ssize_t n = stream_read(&l->stream, l->buffer, sizeof(l->buffer));

		if (n <= 0)
			return;
		received(l, (size_t)n, clock_now());
	}
}

void link_drain_and_end(struct bridge_link *l)
{
	link_drain(l);
	if (!l->paused)
		link_ended(l, false);
}

static void drained(struct stream *s)
{
	struct bridge_link *l = CONTAINER_OF(s, struct bridge_link, stream);

	if (!bridge_link_busy(l))
		l->p.ops->drained(l->p.ctx);
}

static void gone(struct stream *s, bool dead)
{
	(void)dead;
	link_ended(CONTAINER_OF(s, struct bridge_link, stream), false);
}

static const struct stream_ops stream_ops = { readable, drained, gone };

void link_set_lines(struct bridge_link *l, uint8_t lines)
{
	if (lines == l->lines)
		return;
	l->lines = lines;
	l->p.ops->lines(l->p.ctx, lines);
}

static int start(struct bridge_link *l, struct err *e)
{
	if (l->kind->start(l, e) < 0)
		return -1;
	stream_pause(&l->stream, l->paused);
	l->started_ns = loop_now(l->loop);
	l->stats.starts++;
	l->up = true;
	l->starting = l->kind == &link_process;
	if (l->starting)
		timer_set(l->loop, &l->first, l->started_ns + first_word_ns, keeps_silent);
	return 0;
}

static void retry(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	link_start(CONTAINER_OF(t, struct bridge_link, retry));
}

static void start_later(struct bridge_link *l)
{
	l->back_off_ns = l->back_off_ns ? 2 * l->back_off_ns : back_off_first_ns;
	if (l->back_off_ns > back_off_last_ns)
		l->back_off_ns = back_off_last_ns;
	timer_set(l->loop, &l->retry, loop_now(l->loop) + l->back_off_ns, retry);
}

void link_start(struct bridge_link *l)
{
	struct err e;

	if (l->up || l->held || l->finished)
		return;
	if (start(l, &e) < 0) {
		log_say(l->p.log, LOG_WARNING, "link-start", "%s", e.msg);
		start_later(l);
		return;
	}
	l->p.ops->up(l->p.ctx);
	if (!bridge_link_busy(l))
		l->p.ops->drained(l->p.ctx);
}

static void reboot_late(struct timer *t, uint64_t now_ns)
{
	struct bridge_link *l = CONTAINER_OF(t, struct bridge_link, reboot);
	struct bridge_repl_bytes out;

	(void)now_ns;
	log_say(l->p.log, LOG_WARNING, "reboot-no-prompt",
		"no prompt within the time for it after a soft reset of %s", l->p.url->shown);
	bridge_repl_give_up(&l->repl, &out);
	link_tell(l, out.data, out.len, 0);
	reboot_over(l);
}

/* A process that exits after it had shown a prompt has rebooted; what follows is decided by the policy. */
static void start_again(struct bridge_link *l, bool rebooted, bool wanted)
{
	if (loop_now(l->loop) - l->started_ns >= lived_ns || rebooted || wanted)
		l->back_off_ns = 0;
	if (l->repl.state != BRIDGE_REPL_PASS)
		timer_set(l->loop, &l->reboot, loop_now(l->loop) + l->p.reboot_timeout_ns,
			  reboot_late);
	if (l->back_off_ns || !(rebooted || wanted))
		start_later(l);
	else
		link_start(l);
}

static bool is_over(const struct bridge_link *l, bool rebooted, bool wanted)
{
	if (l->kind != &link_process || wanted)
		return false;
	return l->p.restart == BRIDGE_RESTART_NEVER ||
	       (l->p.restart == BRIDGE_RESTART_REBOOT && !rebooted);
}

void link_ended(struct bridge_link *l, bool wanted)
{
	bool exited, rebooted;
	const char *text;
	struct err why;

	if (!l->up)
		return;
	l->up = false;
	l->stats.reads += l->stream.reads;
	l->stats.writes += l->stream.writes;
	l->kind->stop(l, &why);
	timer_cancel(l->loop, &l->reboot);
	timer_cancel(l->loop, &l->rest);
	timer_cancel(l->loop, &l->first);
	exited = !wanted && strcmp(why.code, "exited") == 0;
	rebooted = exited && l->repl.mode != BRIDGE_REPL_UNKNOWN;
	l->finished = is_over(l, rebooted, wanted);
	l->stats.reboots += rebooted;
	log_say(l->p.log, rebooted || wanted ? LOG_NOTE : LOG_WARNING, "link-down", "%s%s", why.msg,
		rebooted ? " (soft reset)" : "");
	text = l->finished ? "" : bridge_repl_restart(&l->repl, exited);
	link_tell(l, text, strlen(text), 0);
	l->p.ops->down(l->p.ctx, l->finished, &why);
	if (!l->finished && !l->held)
		start_again(l, rebooted, wanted);
}

static int find_kind(struct bridge_link *l, struct err *e)
{
	static const char *const known[] = { "exec", "serial", NULL };

	if (url_check_scheme(l->p.url, known, e) < 0)
		return -1;
	l->kind = strcmp(l->p.url->scheme, "exec") == 0 ? &link_process : &link_serial;
	return l->kind->make(l, e);
}

int bridge_link_open(struct bridge_link **out, struct loop *loop,
		     const struct bridge_link_params *p, struct err *e)
{
	CLEANUP(bridge_link_close) struct bridge_link *l = calloc(1, sizeof(*l));

	if (!l)
		return err_nomem(e);
	l->p = *p;
	l->loop = loop;
	l->port = (struct rfc2217_port)RFC2217_PORT_DEFAULT;
	l->stream.ops = &stream_ops;
	if (find_kind(l, e) < 0 || start(l, e) < 0)
		return -1;
	*out = TAKE(l);
	return 0;
}

void bridge_link_close(struct bridge_link *l)
{
	struct err e;

	if (!l)
		return;
	timer_cancel(l->loop, &l->retry);
	timer_cancel(l->loop, &l->reboot);
	timer_cancel(l->loop, &l->brk_end);
	timer_cancel(l->loop, &l->observe);
	timer_cancel(l->loop, &l->rest);
	timer_cancel(l->loop, &l->first);
	if (l->up)
		l->kind->stop(l, &e);
	if (l->kind)
		l->kind->free(l);
	free(l);
}

int bridge_link_write(struct bridge_link *l, const void *data, size_t len)
{
	if (!l->up)
		return -1;
	bridge_repl_input(&l->repl, data, len);
	l->stats.bytes_out += len;
	return stream_write(&l->stream, data, len);
}

bool bridge_link_busy(const struct bridge_link *l)
{
	return (!l->up && !l->held) || l->starting || l->repl.state != BRIDGE_REPL_PASS ||
	       stream_pending(&l->stream) > 0;
}

size_t bridge_link_pending(const struct bridge_link *l)
{
	return l->up ? stream_pending(&l->stream) : 0;
}

bool bridge_link_up(const struct bridge_link *l)
{
	return l->up;
}

void bridge_link_drop(struct bridge_link *l)
{
	if (l->up)
		stream_drop(&l->stream);
}

/* What an ended process left behind, now that it is wanted. */
static void rest(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	link_drain_and_end(CONTAINER_OF(t, struct bridge_link, rest));
}

void bridge_link_pause(struct bridge_link *l, bool pause)
{
	l->paused = pause;
	if (!l->up)
		return;
	stream_pause(&l->stream, pause);
	if (!pause && l->kind == &link_process && l->child.reaped)
		timer_set(l->loop, &l->rest, loop_now(l->loop), rest);
}

static void look(struct timer *t, uint64_t now_ns)
{
	struct bridge_link *l = CONTAINER_OF(t, struct bridge_link, observe);

	if (!l->up || !l->kind->observe)
		return;
	l->kind->observe(l);
	timer_set(l->loop, t, now_ns + 100 * NS_PER_MS, look);
}

void bridge_link_observe(struct bridge_link *l, bool on)
{
	l->observed = on;
	if (!on || !l->kind->observe)
		timer_cancel(l->loop, &l->observe);
	else if (!timer_is_set(&l->observe))
		look(&l->observe, loop_now(l->loop));
}

static void remember_control(struct rfc2217_port *port, uint8_t value)
{
	if (value <= RFC2217_FLOW_HARDWARE || value == RFC2217_FLOW_DCD ||
	    value == RFC2217_FLOW_DSR)
		port->settings.flow = value;
	else if (value <= RFC2217_BREAK_OFF)
		port->brk = value;
	else if (value <= RFC2217_DTR_OFF)
		port->dtr = value;
	else if (value <= RFC2217_RTS_OFF)
		port->rts = value;
	else
		port->inbound = value;
}

/* What the port now has, in the group of the value that was asked for. */
static uint32_t in_effect(const struct rfc2217_port *port, enum rfc2217_command command,
			  uint32_t value)
{
	switch (command) {
	case RFC2217_SET_BAUDRATE:
		return port->settings.baud;
	case RFC2217_SET_DATASIZE:
		return port->settings.datasize;
	case RFC2217_SET_PARITY:
		return port->settings.parity;
	case RFC2217_SET_STOPSIZE:
		return port->settings.stopsize;
	default:
		break;
	}
	if (value <= RFC2217_FLOW_HARDWARE || value == RFC2217_FLOW_DCD ||
	    value == RFC2217_FLOW_DSR)
		return port->settings.flow;
	if (value <= RFC2217_BREAK_OFF)
		return port->brk;
	if (value <= RFC2217_DTR_OFF)
		return port->dtr;
	return value <= RFC2217_RTS_OFF ? port->rts : port->inbound;
}

static void remember(struct rfc2217_port *port, enum rfc2217_command command, uint32_t value)
{
	switch (command) {
	case RFC2217_SET_BAUDRATE:
		port->settings.baud = value;
		break;
	case RFC2217_SET_DATASIZE:
		port->settings.datasize = (uint8_t)value;
		break;
	case RFC2217_SET_PARITY:
		port->settings.parity = (uint8_t)value;
		break;
	case RFC2217_SET_STOPSIZE:
		port->settings.stopsize = (uint8_t)value;
		break;
	default:
		remember_control(port, (uint8_t)value);
	}
}

uint32_t bridge_link_apply(struct bridge_link *l, enum rfc2217_command command, uint32_t value)
{
	struct rfc2217_port before = l->port;
	char text[RFC2217_SETTING_TEXT_MAX], kept[RFC2217_SETTING_TEXT_MAX];
	uint32_t old = in_effect(&l->port, command, value), now;

	remember(&l->port, command, value);
	if (!l->kind->apply(l, command, value))
		l->port = before;
	now = in_effect(&l->port, command, value);
	rfc2217_setting_text(text, command, value);
	if (now == value)
		log_say(l->p.log, now == old ? LOG_DETAIL : LOG_NOTE, "setting", "%s%s", text,
			now == old ? ", as before" : "");
	else
		log_say(l->p.log, LOG_NOTE, "setting", "%s refused by the port: %s stays", text,
			rfc2217_setting_text(kept, command, now));
	return now;
}

void bridge_link_purge(struct bridge_link *l, uint8_t what)
{
	if (!l->up)
		return;
	if (what & RFC2217_PURGE_TX)
		stream_drop(&l->stream);
	l->kind->purge(l, what & RFC2217_PURGE_RX, what & RFC2217_PURGE_TX);
}

static void break_over(struct timer *t, uint64_t now_ns)
{
	struct bridge_link *l = CONTAINER_OF(t, struct bridge_link, brk_end);

	(void)now_ns;
	if (l->up && l->port.brk == RFC2217_BREAK_OFF)
		l->kind->brk(l, false);
}

void bridge_link_break(struct bridge_link *l)
{
	if (!l->up)
		return;
	l->kind->brk(l, true);
	timer_set(l->loop, &l->brk_end, loop_now(l->loop) + break_ns, break_over);
}

const struct rfc2217_port *bridge_link_port(const struct bridge_link *l)
{
	return &l->port;
}

uint8_t bridge_link_lines(const struct bridge_link *l)
{
	return l->lines;
}

void bridge_link_stats(const struct bridge_link *l, struct bridge_link_stats *out)
{
	*out = l->stats;
	out->reads += l->up ? l->stream.reads : 0;
	out->writes += l->up ? l->stream.writes : 0;
}
