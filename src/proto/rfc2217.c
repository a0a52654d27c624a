#include "proto/rfc2217.h"

#include <stdio.h>
#include <string.h>

/* An answer to anything that one event can bring fits into this. */
enum { OUT_RESERVE = RFC2217_PUT_MAX };

size_t rfc2217_put(uint8_t *out, size_t size, uint8_t command, const void *data, size_t len)
{
	uint8_t body[RFC2217_TEXT_MAX + 1];

	if (len > RFC2217_TEXT_MAX)
		return 0;
	body[0] = command;
	if (len)
		memcpy(body + 1, data, len);
	return telnet_put_sub(out, size, TELNET_COM_PORT, body, len + 1);
}

void rfc2217_put_u32(uint8_t out[4], uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

uint32_t rfc2217_get_u32(const uint8_t in[4])
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static const struct {
	uint8_t code;
	uint32_t baud;
} cisco_bauds[] = {
	{ 3, 300 },    { 4, 600 },    { 5, 1200 },   { 6, 2400 },    { 7, 4800 },    { 8, 9600 },
	{ 10, 19200 }, { 12, 38400 }, { 13, 57600 }, { 14, 115200 }, { 15, 230400 },
};
enum { CISCO_BAUDS = sizeof(cisco_bauds) / sizeof(cisco_bauds[0]) };

uint32_t rfc2217_cisco_to_baud(uint8_t code)
{
	for (size_t i = 0; i < CISCO_BAUDS; i++)
		if (cisco_bauds[i].code == code)
			return cisco_bauds[i].baud;
	return 0;
}

uint8_t rfc2217_baud_to_cisco(uint32_t baud)
{
	for (size_t i = 0; i < CISCO_BAUDS; i++)
		if (cisco_bauds[i].baud == baud)
			return cisco_bauds[i].code;
	return 0;
}

/* What the items are called and asked with; DTR and RTS are values of SET-CONTROL. */
static const struct {
	const char *name;
	uint8_t command;
	bool required;
} item_info[RFC2217_ITEMS] = {
	[RFC2217_ITEM_BINARY] = { "binary", 0, false },
	[RFC2217_ITEM_COM_PORT] = { "com-port", 0, true },
	[RFC2217_ITEM_BAUD] = { "baud", RFC2217_SET_BAUDRATE, true },
	[RFC2217_ITEM_DATASIZE] = { "datasize", RFC2217_SET_DATASIZE, true },
	[RFC2217_ITEM_PARITY] = { "parity", RFC2217_SET_PARITY, true },
	[RFC2217_ITEM_STOPSIZE] = { "stopsize", RFC2217_SET_STOPSIZE, true },
	[RFC2217_ITEM_FLOW] = { "flow", RFC2217_SET_CONTROL, true },
	[RFC2217_ITEM_DTR] = { "dtr", RFC2217_SET_CONTROL, false },
	[RFC2217_ITEM_RTS] = { "rts", RFC2217_SET_CONTROL, false },
	[RFC2217_ITEM_PURGE_RX] = { "purge-rx", RFC2217_PURGE_DATA, false },
	[RFC2217_ITEM_PURGE_TX] = { "purge-tx", RFC2217_PURGE_DATA, false },
	[RFC2217_ITEM_SIGNATURE] = { "signature", RFC2217_SIGNATURE, false },
	[RFC2217_ITEM_BREAK] = { "break", RFC2217_SET_CONTROL, false },
};

#define BIT(id) (1u << RFC2217_ITEM_##id)
static const unsigned burst_steps[] = {
	BIT(COM_PORT),
	BIT(BAUD) | BIT(DATASIZE) | BIT(PARITY) | BIT(STOPSIZE) | BIT(FLOW) | BIT(DTR) | BIT(RTS) |
		BIT(PURGE_RX) | BIT(PURGE_TX) | BIT(SIGNATURE),
	0,
};
static const unsigned pyserial_steps[] = {
	BIT(COM_PORT),
	BIT(BAUD) | BIT(DATASIZE) | BIT(PARITY) | BIT(STOPSIZE),
	BIT(FLOW),
	BIT(DTR),
	BIT(RTS),
	BIT(PURGE_RX),
	BIT(PURGE_TX),
	BIT(SIGNATURE),
	0,
};

static const unsigned *steps(const struct rfc2217_client *c)
{
	return c->params.order == RFC2217_PYSERIAL ? pyserial_steps : burst_steps;
}

static void want(struct rfc2217_client *c, enum rfc2217_item_id id, uint32_t value)
{
	c->item[id].wanted = true;
	c->item[id].requested = value;
}

void rfc2217_client_init(struct rfc2217_client *c, const struct rfc2217_client_params *p)
{
	memset(c, 0, sizeof(*c));
	c->params = *p;
	for (int i = 0; i < RFC2217_ITEMS; i++) {
		c->item[i].name = item_info[i].name;
		c->item[i].required = item_info[i].required;
	}
	want(c, RFC2217_ITEM_BINARY, 1);
	want(c, RFC2217_ITEM_COM_PORT, 1);
	want(c, RFC2217_ITEM_BAUD, p->settings.baud);
	want(c, RFC2217_ITEM_DATASIZE, p->settings.datasize);
	want(c, RFC2217_ITEM_PARITY, p->settings.parity);
	want(c, RFC2217_ITEM_STOPSIZE, p->settings.stopsize);
	want(c, RFC2217_ITEM_FLOW, p->settings.flow);
	if (p->set_lines) {
		want(c, RFC2217_ITEM_DTR, p->dtr ? RFC2217_DTR_ON : RFC2217_DTR_OFF);
		want(c, RFC2217_ITEM_RTS, p->rts ? RFC2217_RTS_ON : RFC2217_RTS_OFF);
	}
	if (p->purge) {
		want(c, RFC2217_ITEM_PURGE_RX, RFC2217_PURGE_RX);
		want(c, RFC2217_ITEM_PURGE_TX, RFC2217_PURGE_TX);
	}
	if (p->signature)
		want(c, RFC2217_ITEM_SIGNATURE, 0);
	telnet_options_add(&c->options, TELNET_BINARY, true, true);
	telnet_options_add(&c->options, TELNET_ECHO, false, true);
	telnet_options_add(&c->options, TELNET_SGA, true, true);
	telnet_options_add(&c->options, TELNET_COM_PORT, true, true);
}

/* Marks the end of a piece behind what was added; two pieces are one where there is no room to tell them apart. */
static void out_close(struct rfc2217_out *o)
{
	size_t last = o->n_pieces ? o->end[o->n_pieces - 1] : 0;

	if (o->len == last)
		return;
	if (o->n_pieces == RFC2217_PIECES_MAX)
		o->end[o->n_pieces - 1] = o->len;
	else
		o->end[o->n_pieces++] = o->len;
}

static size_t out_room(const struct rfc2217_out *o)
{
	return sizeof(o->data) - o->len;
}

size_t rfc2217_client_pull(struct rfc2217_client *c, const uint8_t **data)
{
	struct rfc2217_out *o = &c->out;
	size_t from, n;

	/* What was handed out by the call before is no longer needed. */
	if (o->sent_pieces && o->sent_pieces == o->n_pieces) {
		size_t done = o->end[o->n_pieces - 1];

		memmove(o->data, o->data + done, o->len - done);
		o->len -= done;
		o->n_pieces = o->sent_pieces = 0;
	}
	if (o->sent_pieces == o->n_pieces)
		out_close(o);
	if (o->sent_pieces == o->n_pieces)
		return 0;
	from = o->sent_pieces ? o->end[o->sent_pieces - 1] : 0;
	n = o->end[o->sent_pieces++] - from;
	*data = o->data + from;
	return n;
}

static void ask_option(struct rfc2217_client *c, uint8_t command, uint8_t option)
{
	c->out.len += telnet_options_ask(&c->options, command, option, c->out.data + c->out.len);
	if (c->params.order == RFC2217_PYSERIAL)
		out_close(&c->out);
}

void rfc2217_client_start(struct rfc2217_client *c, uint64_t now_ns)
{
	if (c->started)
		return;
	c->started = true;
	c->item[RFC2217_ITEM_BINARY].asked_ns = now_ns;
	c->item[RFC2217_ITEM_COM_PORT].asked_ns = now_ns;
	ask_option(c, TELNET_DO, TELNET_ECHO);
	ask_option(c, TELNET_WILL, TELNET_SGA);
	ask_option(c, TELNET_DO, TELNET_SGA);
	if (c->params.order == RFC2217_PYSERIAL) {
		/* It accepts BINARY when asked, and asks for COM-PORT in both directions. */
		c->item[RFC2217_ITEM_BINARY].wanted = false;
		ask_option(c, TELNET_DO, TELNET_COM_PORT);
	} else {
		ask_option(c, TELNET_WILL, TELNET_BINARY);
		ask_option(c, TELNET_DO, TELNET_BINARY);
	}
	ask_option(c, TELNET_WILL, TELNET_COM_PORT);
	out_close(&c->out);
}

static void queue_item(struct rfc2217_client *c, enum rfc2217_item_id id, uint64_t now_ns)
{
	struct rfc2217_item *item = &c->item[id];
	uint8_t data[4] = { (uint8_t)item->requested };
	size_t len = id == RFC2217_ITEM_BAUD ? 4 : id == RFC2217_ITEM_SIGNATURE ? 0 : 1;

	if (id == RFC2217_ITEM_BAUD)
		rfc2217_put_u32(data, item->requested);
	c->out.len += rfc2217_put(c->out.data + c->out.len, out_room(&c->out),
				  item_info[id].command, data, len);
	item->asked_ns = now_ns;
	item->answered_ns = 0;
	item->expired = false;
}

static bool outstanding(const struct rfc2217_item *item)
{
	return item->wanted && item->asked_ns && !item->answered_ns && !item->expired;
}

static bool step_is_over(const struct rfc2217_client *c)
{
	unsigned mask = steps(c)[c->step];

	for (int i = 0; i < RFC2217_ITEMS; i++)
		if ((mask & 1u << i) && outstanding(&c->item[i]))
			return false;
	return true;
}

static void begin_step(struct rfc2217_client *c, uint64_t now_ns)
{
	unsigned mask = steps(c)[c->step];

	for (int i = 0; i < RFC2217_ITEMS; i++)
		if ((mask & 1u << i) && c->item[i].wanted)
			queue_item(c, (enum rfc2217_item_id)i, now_ns);
	out_close(&c->out);
}

bool rfc2217_client_awaits_required(const struct rfc2217_client *c)
{
	for (int i = 0; i < RFC2217_ITEMS; i++)
		if (c->item[i].required && outstanding(&c->item[i]))
			return true;
	return false;
}

static void set_stage(struct rfc2217_client *c)
{
	bool waiting = false;

	for (int i = 0; i < RFC2217_ITEMS; i++) {
		const struct rfc2217_item *item = &c->item[i];

		if (item->required && item->wanted && item->expired)
			c->stage = RFC2217_STAGE_FAILED;
		waiting = waiting || outstanding(item);
	}
	if (c->item[RFC2217_ITEM_COM_PORT].answered_ns && !c->item[RFC2217_ITEM_COM_PORT].answered)
		c->stage = RFC2217_STAGE_FAILED;
	if (c->stage >= RFC2217_STAGE_READY)
		return;
	if (c->step == 0)
		c->stage = RFC2217_STAGE_TELNET;
	else if (rfc2217_client_awaits_required(c) || (steps(c)[c->step] && steps(c)[c->step + 1]))
		c->stage = RFC2217_STAGE_SETTINGS;
	else
		c->stage = waiting ? RFC2217_STAGE_OPTIONAL : RFC2217_STAGE_READY;
}

void rfc2217_client_advance(struct rfc2217_client *c, uint64_t now_ns)
{
	if (!c->started || c->stage >= RFC2217_STAGE_READY)
		return;
	set_stage(c);
	while (c->stage != RFC2217_STAGE_FAILED && steps(c)[c->step] && step_is_over(c)) {
		c->step++;
		begin_step(c, now_ns);
	}
	set_stage(c);
}

void rfc2217_client_expire(struct rfc2217_client *c, uint64_t now_ns)
{
	bool required = rfc2217_client_awaits_required(c);

	for (int i = 0; i < RFC2217_ITEMS; i++)
		if (outstanding(&c->item[i]) && (!required || c->item[i].required))
			c->item[i].expired = true;
	rfc2217_client_advance(c, now_ns);
}

int rfc2217_client_ask(struct rfc2217_client *c, enum rfc2217_item_id id, uint32_t value,
		       uint64_t now_ns)
{
	if (id <= RFC2217_ITEM_COM_PORT || id >= RFC2217_ITEMS ||
	    out_room(&c->out) < OUT_RESERVE * 2)
		return -1;
	want(c, id, value);
	queue_item(c, id, now_ns);
	out_close(&c->out);
	return 0;
}

static void answered(struct rfc2217_client *c, enum rfc2217_item_id id, uint32_t value,
		     uint64_t now_ns, struct rfc2217_event *ev)
{
	struct rfc2217_item *item = &c->item[id];

	ev->kind = RFC2217_EV_ANSWER;
	ev->item = id;
	ev->value = value;
	c->answers++;
	if (!item->asked_ns || item->answered_ns) {
		ev->kind = RFC2217_EV_OTHER;
		c->unknown++;
		return;
	}
	item->answered_ns = now_ns ? now_ns : 1;
	item->answered = value;
}

static void receive_option(struct rfc2217_client *c, const struct telnet_event *t, uint64_t now_ns,
			   struct rfc2217_event *ev)
{
	const struct rfc2217_item *binary = &c->item[RFC2217_ITEM_BINARY];
	const struct rfc2217_item *port = &c->item[RFC2217_ITEM_COM_PORT];
	enum telnet_agreement us, him;

	c->telnet_seen = true;
	ev->kind = RFC2217_EV_OTHER;
	c->out.len += telnet_options_receive(&c->options, t->command, t->option,
					     c->out.data + c->out.len);
	if (!c->started)
		return;
	us = telnet_options_us(&c->options, t->option);
	him = telnet_options_him(&c->options, t->option);
	if (t->option == TELNET_BINARY && binary->wanted && !binary->answered_ns &&
	    us != TELNET_WANTYES && him != TELNET_WANTYES) {
		answered(c, RFC2217_ITEM_BINARY, us == TELNET_YES && him == TELNET_YES, now_ns, ev);
	} else if (t->option == TELNET_COM_PORT &&
		   (t->command == TELNET_DO || t->command == TELNET_DONT)) {
		if (!port->answered_ns)
			answered(c, RFC2217_ITEM_COM_PORT, us == TELNET_YES, now_ns, ev);
	}
}

/* SET-CONTROL answers many questions; which one is told by the value (RFC 2217 section 3). */
static int control_item(uint32_t value)
{
	if (value >= RFC2217_BREAK_ON && value <= RFC2217_BREAK_OFF)
		return RFC2217_ITEM_BREAK;
	if (value >= RFC2217_DTR_ON && value <= RFC2217_DTR_OFF)
		return RFC2217_ITEM_DTR;
	if (value >= RFC2217_RTS_ON && value <= RFC2217_RTS_OFF)
		return RFC2217_ITEM_RTS;
	if ((value >= RFC2217_FLOW_NONE && value <= RFC2217_FLOW_HARDWARE) ||
	    value == RFC2217_FLOW_DCD || value == RFC2217_FLOW_DSR)
		return RFC2217_ITEM_FLOW;
	return -1;
}

static bool awaited(const struct rfc2217_client *c, enum rfc2217_item_id id)
{
	return c->item[id].asked_ns && !c->item[id].answered_ns;
}

static int answered_item(const struct rfc2217_client *c, uint8_t command, uint32_t value)
{
	switch (command) {
	case RFC2217_SET_BAUDRATE:
		return RFC2217_ITEM_BAUD;
	case RFC2217_SET_DATASIZE:
		return RFC2217_ITEM_DATASIZE;
	case RFC2217_SET_PARITY:
		return RFC2217_ITEM_PARITY;
	case RFC2217_SET_STOPSIZE:
		return RFC2217_ITEM_STOPSIZE;
	case RFC2217_SET_CONTROL:
		return control_item(value);
	case RFC2217_PURGE_DATA:
		if (value == RFC2217_PURGE_TX)
			return RFC2217_ITEM_PURGE_TX;
		/* "Both" is asked by nobody but answered by some. */
		return value == RFC2217_PURGE_RX || awaited(c, RFC2217_ITEM_PURGE_RX)
			       ? RFC2217_ITEM_PURGE_RX
			       : RFC2217_ITEM_PURGE_TX;
	default:
		return -1;
	}
}

static void receive_signature(struct rfc2217_client *c, const struct telnet_event *t,
			      uint64_t now_ns, struct rfc2217_event *ev)
{
	static const char ours[] = "mpbench";
	size_t len = t->len - 1;

	if (len == 0 && !awaited(c, RFC2217_ITEM_SIGNATURE)) {
		/* The server asks for ours; once is enough. */
		ev->kind = RFC2217_EV_OTHER;
		if (!c->signature_sent)
			c->out.len += rfc2217_put(c->out.data + c->out.len, out_room(&c->out),
						  RFC2217_SIGNATURE, ours, sizeof(ours) - 1);
		c->signature_sent = true;
		return;
	}
	if (len > RFC2217_TEXT_MAX)
		len = RFC2217_TEXT_MAX;
	memcpy(c->signature, t->data + 1, len);
	c->signature[len] = '\0';
	if (awaited(c, RFC2217_ITEM_SIGNATURE))
		answered(c, RFC2217_ITEM_SIGNATURE, 0, now_ns, ev);
	ev->kind = RFC2217_EV_SIGNATURE;
}

static void receive_sub(struct rfc2217_client *c, const struct telnet_event *t, uint64_t now_ns,
			struct rfc2217_event *ev)
{
	uint8_t command;
	uint32_t value = 0;
	int id;

	ev->kind = RFC2217_EV_OTHER;
	if (t->option != TELNET_COM_PORT || t->truncated || t->len == 0 ||
	    t->data[0] < RFC2217_ANSWER) {
		c->unknown++;
		return;
	}
	command = (uint8_t)(t->data[0] - RFC2217_ANSWER);
	if (command == RFC2217_SIGNATURE) {
		receive_signature(c, t, now_ns, ev);
		return;
	}
	if (t->len == 5 && command == RFC2217_SET_BAUDRATE)
		value = rfc2217_get_u32(t->data + 1);
	else if (t->len == 2)
		value = command == RFC2217_SET_BAUDRATE ? rfc2217_cisco_to_baud(t->data[1])
							: t->data[1];
	ev->value = value;
	if (t->len == 2 && command == RFC2217_NOTIFY_LINESTATE) {
		c->linestate = (uint8_t)value;
		ev->kind = RFC2217_EV_LINESTATE;
		c->notifications++;
	} else if (t->len == 2 && command == RFC2217_NOTIFY_MODEMSTATE) {
		c->modemstate = (uint8_t)value;
		ev->kind = RFC2217_EV_MODEMSTATE;
		c->notifications++;
	} else if (command == RFC2217_FLOWCONTROL_SUSPEND ||
		   command == RFC2217_FLOWCONTROL_RESUME) {
		c->suspended = command == RFC2217_FLOWCONTROL_SUSPEND;
		ev->kind = RFC2217_EV_FLOW;
		ev->value = c->suspended;
	} else {
		id = t->len >= 2 ? answered_item(c, command, value) : -1;
		if (id >= 0)
			answered(c, (enum rfc2217_item_id)id, value, now_ns, ev);
		else
			c->unknown++;
	}
}

size_t rfc2217_client_feed(struct rfc2217_client *c, const void *data, size_t len, uint64_t now_ns,
			   struct rfc2217_event *ev)
{
	struct telnet_event t;
	size_t used;

	*ev = (struct rfc2217_event){ .kind = RFC2217_EV_NONE };
	/* An answer may start a whole step, so there must be room for that too. */
	if (out_room(&c->out) < OUT_RESERVE * 2)
		return 0;
	used = telnet_feed(&c->telnet, data, len, &t);
	switch (t.kind) {
	case TELNET_EV_NONE:
		return used;
	case TELNET_EV_DATA:
		ev->kind = RFC2217_EV_DATA;
		ev->data = t.data;
		ev->len = t.len;
		c->data_bytes += t.len;
		return used;
	case TELNET_EV_OPTION:
		receive_option(c, &t, now_ns, ev);
		break;
	case TELNET_EV_SUB:
		receive_sub(c, &t, now_ns, ev);
		break;
	case TELNET_EV_COMMAND:
		ev->kind = RFC2217_EV_OTHER;
		c->unknown++;
		return used;
	}
	if (c->params.order == RFC2217_BURST)
		rfc2217_client_advance(c, now_ns);
	return used;
}

int rfc2217_client_error(const struct rfc2217_client *c, struct err *e)
{
	const struct rfc2217_item *port = &c->item[RFC2217_ITEM_COM_PORT];
	char names[160] = "";
	size_t used = 0;

	if (port->answered_ns && !port->answered)
		return err_set(
			e, ERR_TARGET, "refused",
			"the server speaks telnet but refuses serial port control (RFC 2217)");
	if (!port->answered_ns && !c->telnet_seen)
		return err_set(e, ERR_TARGET, "timeout",
			       "no telnet answer; the server %s (is it a raw port? try socket://)",
			       c->data_bytes ? "sent plain data only" : "sent nothing");
	for (int i = 0; i < RFC2217_ITEMS; i++) {
		const struct rfc2217_item *item = &c->item[i];
		int n;

		if (!item->wanted || !item->asked_ns || item->answered_ns || !item->required)
			continue;
		n = snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
			     item->name);
		if (n > 0 && (size_t)n < sizeof(names) - used)
			used += (size_t)n;
	}
	return err_set(e, ERR_TARGET, "timeout", "no answer to RFC 2217 option %s",
		       used ? names : "(none)");
}
