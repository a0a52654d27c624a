#include <stdio.h>

#include "peer/bridge-link-impl.h"

/* RFC 2217 section 3, NOTIFY-LINESTATE. */
enum { LINE_BREAK = 16, LINE_FRAMING = 8, LINE_PARITY = 4, LINE_OVERRUN = 2 };

static int serial_make(struct bridge_link *l, struct err *e)
{
	static const char *const known[] = { SERIAL_SETTINGS_KEYS, NULL };
	struct rfc2217_port *port = &l->port;

	l->layer = l->p.serial ? l->p.serial : &serial_layer_real;
	l->settings = (struct serial_settings)SERIAL_SETTINGS_DEFAULT;
	if (url_check_query(l->p.url, known, e) < 0 ||
	    serial_settings_read(&l->settings, l->p.url, e) < 0)
		return -1;
	/* parity, stop and flow are in the order of RFC 2217's values */
	port->settings.baud = l->settings.baud;
	port->settings.datasize = (uint8_t)l->settings.bits;
	port->settings.parity = (uint8_t)(RFC2217_PARITY_NONE + l->settings.parity);
	port->settings.stopsize = (uint8_t)(RFC2217_STOP_1 + l->settings.stop);
	port->settings.flow = (uint8_t)(RFC2217_FLOW_NONE + l->settings.flow);
	if (l->settings.dtr == SERIAL_OFF)
		port->dtr = RFC2217_DTR_OFF;
	if (l->settings.rts == SERIAL_OFF)
		port->rts = RFC2217_RTS_OFF;
	return 0;
}

static uint8_t read_lines(struct bridge_link *l)
{
	int lines = serial_lines(l->layer, l->stream.fd);

	/* a pty has none; it is there */
	return lines < 0 ? RFC2217_MODEM_CD | RFC2217_MODEM_DSR | RFC2217_MODEM_CTS
			 : (uint8_t)lines;
}

static int serial_start(struct bridge_link *l, struct err *e)
{
	int fd;

	if (serial_open(l->layer, l->p.url->path, &l->settings, l->p.log, &fd, e) < 0 ||
	    stream_init(&l->stream, l->loop, fd, LINK_QUEUE_MAX, l->stream.ops, e) < 0)
		return -1;
	l->counted = serial_count(l->layer, fd, &l->counts) == 0;
	link_set_lines(l, read_lines(l));
	return 0;
}

static void serial_stop(struct bridge_link *l, struct err *e)
{
	stream_done(&l->stream);
	err_set(e, ERR_TARGET, "closed", "%s is gone", l->p.url->path);
	snprintf(l->stats.last_end, sizeof(l->stats.last_end), "gone");
	link_set_lines(l, 0);
}

static void take_settings(struct serial_settings *s, const struct rfc2217_settings *from)
{
	s->baud = from->baud;
	s->bits = from->datasize;
	s->parity = from->parity - RFC2217_PARITY_NONE;
	s->stop = from->stopsize - RFC2217_STOP_1;
	s->flow = from->flow - RFC2217_FLOW_NONE;
}

/* The whole of the settings is written: the driver takes them together. */
static bool configure(struct bridge_link *l)
{
	struct serial_settings next = l->settings;
	struct err e;

	take_settings(&next, &l->port.settings);
	if (l->up && serial_configure(l->layer, l->p.url->path, l->stream.fd, &next, &e) < 0) {
		log_say(l->p.log, LOG_WARNING, "setting-refused", "%s", e.msg);
		return false;
	}
	l->settings = next;
	return true;
}

static void serial_brk(struct bridge_link *l, bool on)
{
	serial_break(l->layer, l->stream.fd, on);
}

static bool set_line(struct bridge_link *l, int *line, bool on)
{
	*line = on ? SERIAL_ON : SERIAL_OFF;
	if (l->up)
		serial_set_lines(l->layer, l->stream.fd,
				 line == &l->settings.dtr ? *line : SERIAL_KEEP,
				 line == &l->settings.rts ? *line : SERIAL_KEEP, l->p.log);
	return true;
}

static bool control(struct bridge_link *l, uint32_t value)
{
	switch (value) {
	case RFC2217_FLOW_NONE:
	case RFC2217_FLOW_XONXOFF:
	case RFC2217_FLOW_HARDWARE:
		return configure(l);
	case RFC2217_BREAK_ON:
	case RFC2217_BREAK_OFF:
		if (l->up)
			serial_brk(l, value == RFC2217_BREAK_ON);
		return true;
	case RFC2217_DTR_ON:
	case RFC2217_DTR_OFF:
		return set_line(l, &l->settings.dtr, value == RFC2217_DTR_ON);
	case RFC2217_RTS_ON:
	case RFC2217_RTS_OFF:
		return set_line(l, &l->settings.rts, value == RFC2217_RTS_ON);
	default:
		/* Linux has one switch for both directions: an inbound setting must be what both are. */
		return value ==
		       (uint32_t)l->port.settings.flow - RFC2217_FLOW_NONE + RFC2217_INBOUND_NONE;
	}
}

static bool serial_apply(struct bridge_link *l, enum rfc2217_command command, uint32_t value)
{
	return command == RFC2217_SET_CONTROL ? control(l, value) : configure(l);
}

static void serial_purged(struct bridge_link *l, bool received, bool unsent)
{
	serial_discard(l->layer, l->stream.fd, received, unsent);
}

static void serial_observe(struct bridge_link *l)
{
	struct serial_counts now;
	uint8_t bits = 0;

	link_set_lines(l, read_lines(l));
	if (!l->counted || serial_count(l->layer, l->stream.fd, &now) < 0)
		return;
	bits |= now.brk != l->counts.brk ? LINE_BREAK : 0;
	bits |= now.frame != l->counts.frame ? LINE_FRAMING : 0;
	bits |= now.parity != l->counts.parity ? LINE_PARITY : 0;
	bits |= now.overrun != l->counts.overrun ? LINE_OVERRUN : 0;
	l->counts = now;
	if (bits)
		l->p.ops->errors(l->p.ctx, bits);
}

static void serial_free(struct bridge_link *l)
{
	(void)l;
}

const struct link_kind link_serial = {
	.scheme = "serial",
	.make = serial_make,
	.start = serial_start,
	.stop = serial_stop,
	.apply = serial_apply,
	.purge = serial_purged,
	.brk = serial_brk,
	.observe = serial_observe,
	.free = serial_free,
};
