#include "proto/rfc2217-server.h"

#include <string.h>

enum { ANSWER_RESERVE = RFC2217_PUT_MAX + 16 };

/* Values of SET-CONTROL that answer one question. */
enum group { GROUP_NONE, GROUP_FLOW, GROUP_BREAK, GROUP_DTR, GROUP_RTS, GROUP_INBOUND };

static const uint8_t control_group[] = {
	[RFC2217_FLOW_QUERY] = GROUP_FLOW,
	[RFC2217_FLOW_NONE] = GROUP_FLOW,
	[RFC2217_FLOW_XONXOFF] = GROUP_FLOW,
	[RFC2217_FLOW_HARDWARE] = GROUP_FLOW,
	[RFC2217_BREAK_QUERY] = GROUP_BREAK,
	[RFC2217_BREAK_ON] = GROUP_BREAK,
	[RFC2217_BREAK_OFF] = GROUP_BREAK,
	[RFC2217_DTR_QUERY] = GROUP_DTR,
	[RFC2217_DTR_ON] = GROUP_DTR,
	[RFC2217_DTR_OFF] = GROUP_DTR,
	[RFC2217_RTS_QUERY] = GROUP_RTS,
	[RFC2217_RTS_ON] = GROUP_RTS,
	[RFC2217_RTS_OFF] = GROUP_RTS,
	[RFC2217_INBOUND_QUERY] = GROUP_INBOUND,
	[RFC2217_INBOUND_NONE] = GROUP_INBOUND,
	[RFC2217_INBOUND_XONXOFF] = GROUP_INBOUND,
	[RFC2217_INBOUND_HARDWARE] = GROUP_INBOUND,
	[RFC2217_FLOW_DCD] = GROUP_FLOW,
	[RFC2217_INBOUND_DTR] = GROUP_INBOUND,
	[RFC2217_FLOW_DSR] = GROUP_FLOW,
};

void rfc2217_server_init(struct rfc2217_server *s, const struct rfc2217_server_ops *ops, void *ctx,
			 const struct rfc2217_port *start, const char *signature)
{
	size_t len = strlen(signature);

	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->ctx = ctx;
	s->port = *start;
	if (len > RFC2217_TEXT_MAX)
		len = RFC2217_TEXT_MAX;
	memcpy(s->signature, signature, len);
	telnet_options_add(&s->options, TELNET_BINARY, true, true);
	telnet_options_add(&s->options, TELNET_ECHO, true, false);
	telnet_options_add(&s->options, TELNET_SGA, true, true);
	telnet_options_add(&s->options, TELNET_COM_PORT, true, true);
}

static size_t room(const struct rfc2217_server *s)
{
	return sizeof(s->out) - s->out_len;
}

static void send_command(struct rfc2217_server *s, uint8_t command, const void *data, size_t len)
{
	s->out_len += rfc2217_put(s->out + s->out_len, room(s), (uint8_t)(command + RFC2217_ANSWER),
				  data, len);
}

static void send_u8(struct rfc2217_server *s, uint8_t command, uint8_t value)
{
	send_command(s, command, &value, 1);
}

static void ask(struct rfc2217_server *s, uint8_t command, uint8_t option)
{
	s->out_len += telnet_options_ask(&s->options, command, option, s->out + s->out_len);
}

void rfc2217_server_start(struct rfc2217_server *s)
{
	ask(s, TELNET_WILL, TELNET_SGA);
	ask(s, TELNET_DO, TELNET_SGA);
	ask(s, TELNET_WILL, TELNET_BINARY);
	ask(s, TELNET_DO, TELNET_BINARY);
	ask(s, TELNET_DO, TELNET_COM_PORT);
}

static void receive_option(struct rfc2217_server *s, const struct telnet_event *t)
{
	bool was = s->agreed;

	s->out_len +=
		telnet_options_receive(&s->options, t->command, t->option, s->out + s->out_len);
	s->agreed = telnet_options_him(&s->options, TELNET_COM_PORT) == TELNET_YES ||
		    telnet_options_us(&s->options, TELNET_COM_PORT) == TELNET_YES;
	/* Clients learn the lines from the first notification (pyserial's server and ser2net send it too). */
	if (s->agreed && !was)
		send_u8(s, RFC2217_NOTIFY_MODEMSTATE, s->modemstate);
}

static uint32_t apply(struct rfc2217_server *s, enum rfc2217_command command, uint32_t value)
{
	return s->ops->apply ? s->ops->apply(s->ctx, command, value) : value;
}

/* The 1-byte form is answered in the 1-byte form, that request only. */
static void set_baud(struct rfc2217_server *s, const uint8_t *data, size_t len)
{
	uint32_t wanted = len == 4 ? rfc2217_get_u32(data) : rfc2217_cisco_to_baud(data[0]);
	uint8_t wire[4];

	if (wanted) {
		uint32_t now = apply(s, RFC2217_SET_BAUDRATE, wanted);

		s->port.settings.baud = now ? now : s->port.settings.baud;
	}
	if (len == 4) {
		rfc2217_put_u32(wire, s->port.settings.baud);
		send_command(s, RFC2217_SET_BAUDRATE, wire, 4);
	} else {
		send_u8(s, RFC2217_SET_BAUDRATE, rfc2217_baud_to_cisco(s->port.settings.baud));
	}
}

static void set_small(struct rfc2217_server *s, enum rfc2217_command command, uint8_t value)
{
	static const struct {
		uint8_t min, max;
	} range[] = {
		[RFC2217_SET_DATASIZE] = { 5, 8 },
		[RFC2217_SET_PARITY] = { RFC2217_PARITY_NONE, RFC2217_PARITY_SPACE },
		[RFC2217_SET_STOPSIZE] = { RFC2217_STOP_1, RFC2217_STOP_1_5 },
	};
	uint8_t *field = command == RFC2217_SET_DATASIZE ? &s->port.settings.datasize
			 : command == RFC2217_SET_PARITY ? &s->port.settings.parity
							 : &s->port.settings.stopsize;

	if (value >= range[command].min && value <= range[command].max) {
		uint32_t now = apply(s, command, value);

		if (now >= range[command].min && now <= range[command].max)
			*field = (uint8_t)now;
	}
	send_u8(s, (uint8_t)command, *field);
}

static uint8_t *control_field(struct rfc2217_server *s, enum group group)
{
	switch (group) {
	case GROUP_FLOW:
		return &s->port.settings.flow;
	case GROUP_BREAK:
		return &s->port.brk;
	case GROUP_DTR:
		return &s->port.dtr;
	case GROUP_RTS:
		return &s->port.rts;
	default:
		return &s->port.inbound;
	}
}

static bool is_query(uint32_t value)
{
	return value == RFC2217_FLOW_QUERY || value == RFC2217_BREAK_QUERY ||
	       value == RFC2217_DTR_QUERY || value == RFC2217_RTS_QUERY ||
	       value == RFC2217_INBOUND_QUERY;
}

static void set_control(struct rfc2217_server *s, uint8_t value)
{
	enum group group;
	uint8_t *field;
	uint32_t now;

	if (value >= sizeof(control_group)) {
		s->unknown++;
		return;
	}
	group = (enum group)control_group[value];
	field = control_field(s, group);
	if (!is_query(value)) {
		now = apply(s, RFC2217_SET_CONTROL, value);
		if (now < sizeof(control_group) && control_group[now] == group && !is_query(now))
			*field = (uint8_t)now;
		/* 1 to 3 are "outbound/both": they set the inbound side as well. */
		if (group == GROUP_FLOW && *field == value && value <= RFC2217_FLOW_HARDWARE)
			s->port.inbound =
				(uint8_t)(RFC2217_INBOUND_NONE + value - RFC2217_FLOW_NONE);
	}
	send_u8(s, RFC2217_SET_CONTROL, *field);
}

static void receive_signature(struct rfc2217_server *s, const uint8_t *data, size_t len)
{
	if (len == 0) {
		send_command(s, RFC2217_SIGNATURE, s->signature, strlen(s->signature));
		return;
	}
	if (len > RFC2217_TEXT_MAX)
		len = RFC2217_TEXT_MAX;
	memcpy(s->client_signature, data, len);
	s->client_signature[len] = '\0';
}

static void suspend(struct rfc2217_server *s, bool on)
{
	s->suspended = on;
	if (s->ops->flow)
		s->ops->flow(s->ctx, on);
}

/* Commands of one byte; false for any other. */
static bool receive_byte_command(struct rfc2217_server *s, uint8_t command, uint8_t value)
{
	switch (command) {
	case RFC2217_SET_DATASIZE:
	case RFC2217_SET_PARITY:
	case RFC2217_SET_STOPSIZE:
		set_small(s, (enum rfc2217_command)command, value);
		return true;
	case RFC2217_SET_CONTROL:
		set_control(s, value);
		return true;
	case RFC2217_SET_LINESTATE_MASK:
		s->port.linestate_mask = value;
		send_u8(s, command, value);
		return true;
	case RFC2217_SET_MODEMSTATE_MASK:
		s->port.modemstate_mask = value;
		send_u8(s, command, value);
		return true;
	case RFC2217_PURGE_DATA:
		if (value < RFC2217_PURGE_RX || value > RFC2217_PURGE_BOTH)
			return false;
		if (s->ops->purge)
			s->ops->purge(s->ctx, value);
		send_u8(s, command, value);
		return true;
	default:
		return false;
	}
}

static void receive_sub(struct rfc2217_server *s, const struct telnet_event *t)
{
	uint8_t command = t->len ? t->data[0] : 255;
	const uint8_t *data = t->data + 1;
	size_t len = t->len ? t->len - 1 : 0;

	if (t->option != TELNET_COM_PORT || t->truncated || !s->agreed) {
		s->unknown++;
		return;
	}
	s->requests++;
	if (command == RFC2217_SIGNATURE)
		receive_signature(s, data, len);
	else if (command == RFC2217_SET_BAUDRATE && (len == 4 || len == 1))
		set_baud(s, data, len);
	else if (command == RFC2217_NOTIFY_LINESTATE)
		send_u8(s, command, s->linestate);
	else if (command == RFC2217_NOTIFY_MODEMSTATE)
		send_u8(s, command, s->modemstate);
	else if (command == RFC2217_FLOWCONTROL_SUSPEND || command == RFC2217_FLOWCONTROL_RESUME)
		suspend(s, command == RFC2217_FLOWCONTROL_SUSPEND);
	else if (len != 1 || !receive_byte_command(s, command, data[0]))
		s->unknown++;
}

size_t rfc2217_server_feed(struct rfc2217_server *s, const void *in, size_t len,
			   const uint8_t **data, size_t *data_len)
{
	const uint8_t *p = in;
	size_t used = 0;

	*data = NULL;
	*data_len = 0;
	while (used < len && *data_len == 0 && room(s) >= ANSWER_RESERVE) {
		struct telnet_event t;

		used += telnet_feed(&s->telnet, p + used, len - used, &t);
		if (t.kind == TELNET_EV_DATA) {
			*data = t.data;
			*data_len = t.len;
		} else if (t.kind == TELNET_EV_OPTION) {
			receive_option(s, &t);
		} else if (t.kind == TELNET_EV_SUB) {
			receive_sub(s, &t);
		} else if (t.kind == TELNET_EV_COMMAND && t.command == TELNET_BREAK &&
			   s->ops->brk) {
			s->ops->brk(s->ctx);
		}
	}
	return used;
}

size_t rfc2217_server_pull(struct rfc2217_server *s, const uint8_t **out)
{
	size_t n;

	if (s->out_sent) {
		memmove(s->out, s->out + s->out_sent, s->out_len - s->out_sent);
		s->out_len -= s->out_sent;
		s->out_sent = 0;
	}
	n = s->out_len;
	s->out_sent = n;
	*out = s->out;
	return n;
}

static void notify(struct rfc2217_server *s, uint8_t command, uint8_t value)
{
	/* Answers come first: what they may need is not spent on notifications. */
	if (room(s) < ANSWER_RESERVE) {
		s->lost_notifications++;
		return;
	}
	send_u8(s, command, value);
	s->notifications++;
}

void rfc2217_server_modemstate(struct rfc2217_server *s, uint8_t levels)
{
	uint8_t before = s->modemstate, changed, deltas;

	levels &= 0xf0;
	changed = levels ^ before;
	/* A ring counts when it ends (trailing edge), the others with every change. */
	if (levels & RFC2217_MODEM_RI)
		changed = (uint8_t)(changed & ~RFC2217_MODEM_RI);
	deltas = (uint8_t)(changed >> 4);
	s->modemstate = levels;
	if (s->agreed && levels != before &&
	    (((levels ^ before) | deltas) & s->port.modemstate_mask))
		notify(s, RFC2217_NOTIFY_MODEMSTATE, levels | deltas);
}

void rfc2217_server_linestate(struct rfc2217_server *s, uint8_t status)
{
	uint8_t changed = status ^ s->linestate;

	s->linestate = status;
	if (s->agreed && (changed & s->port.linestate_mask))
		notify(s, RFC2217_NOTIFY_LINESTATE, status);
}

bool rfc2217_server_flow(struct rfc2217_server *s, bool suspended)
{
	if (room(s) < ANSWER_RESERVE)
		return false;
	if (s->agreed)
		send_command(s,
			     suspended ? RFC2217_FLOWCONTROL_SUSPEND : RFC2217_FLOWCONTROL_RESUME,
			     NULL, 0);
	return true;
}
