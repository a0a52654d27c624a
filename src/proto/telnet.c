#include "proto/telnet.h"

#include <string.h>

enum { ST_DATA, ST_IAC, ST_OPTION, ST_SUB_OPTION, ST_SUB, ST_SUB_IAC };

static bool is_negotiation(uint8_t c)
{
	return c >= TELNET_WILL && c <= TELNET_DONT;
}

/* The byte after IAC outside a subnegotiation; 0xFF was handled by the caller. */
static enum telnet_event_kind take_command(struct telnet *t, uint8_t c, struct telnet_event *ev)
{
	t->state = ST_DATA;
	t->command = c;
	if (is_negotiation(c)) {
		t->state = ST_OPTION;
		return TELNET_EV_NONE;
	}
	if (c == TELNET_SB) {
		t->state = ST_SUB_OPTION;
		return TELNET_EV_NONE;
	}
	ev->command = c;
	return TELNET_EV_COMMAND;
}

static void add_sub(struct telnet *t, uint8_t c)
{
	if (t->sub_len < sizeof(t->sub))
		t->sub[t->sub_len++] = c;
	else
		t->truncated = true;
}

static enum telnet_event_kind end_sub(struct telnet *t, struct telnet_event *ev)
{
	t->state = ST_DATA;
	ev->option = t->option;
	ev->data = t->sub;
	ev->len = t->sub_len;
	ev->truncated = t->truncated;
	return TELNET_EV_SUB;
}

static enum telnet_event_kind feed_byte(struct telnet *t, uint8_t c, struct telnet_event *ev)
{
	switch (t->state) {
	case ST_IAC:
		return take_command(t, c, ev);
	case ST_OPTION:
		t->state = ST_DATA;
		ev->command = t->command;
		ev->option = c;
		return TELNET_EV_OPTION;
	case ST_SUB_OPTION:
		t->state = ST_SUB;
		t->option = c;
		t->sub_len = 0;
		t->truncated = false;
		return TELNET_EV_NONE;
	case ST_SUB:
		if (c == TELNET_IAC)
			t->state = ST_SUB_IAC;
		else
			add_sub(t, c);
		return TELNET_EV_NONE;
	default:
		if (c == TELNET_SE)
			return end_sub(t, ev);
		if (c != TELNET_IAC)
			return take_command(t, c, ev);
		add_sub(t, c);
		t->state = ST_SUB;
		return TELNET_EV_NONE;
	}
}

/* Data from p on, whose first byte is data whatever it is (the second of a doubled 0xFF). */
static size_t take_data(const uint8_t *p, size_t len, struct telnet_event *ev)
{
	const uint8_t *iac = len > 1 ? memchr(p + 1, TELNET_IAC, len - 1) : NULL;

	ev->kind = TELNET_EV_DATA;
	ev->data = p;
	ev->len = iac ? (size_t)(iac - p) : len;
	return ev->len;
}

size_t telnet_feed(struct telnet *t, const void *data, size_t len, struct telnet_event *ev)
{
	const uint8_t *p = data;
	size_t used = 0;

	*ev = (struct telnet_event){ .kind = TELNET_EV_NONE };
	while (used < len && ev->kind == TELNET_EV_NONE) {
		uint8_t c = p[used];

		if (t->state == ST_DATA && c == TELNET_IAC) {
			t->state = ST_IAC;
			used++;
		} else if (t->state == ST_DATA || (t->state == ST_IAC && c == TELNET_IAC)) {
			t->state = ST_DATA;
			used += take_data(p + used, len - used, ev);
		} else {
			ev->kind = feed_byte(t, c, ev);
			used++;
		}
	}
	return used;
}

size_t telnet_put_option(uint8_t out[3], uint8_t command, uint8_t option)
{
	out[0] = TELNET_IAC;
	out[1] = command;
	out[2] = option;
	return 3;
}

size_t telnet_escape(uint8_t *out, size_t size, const void *data, size_t len, size_t *used)
{
	const uint8_t *p = data;
	size_t in = 0, n = 0;

	while (in < len && n < size) {
		const uint8_t *iac = memchr(p + in, TELNET_IAC, len - in);
		size_t run = iac ? (size_t)(iac - p) - in : len - in;

		if (run > size - n)
			run = size - n;
		memcpy(out + n, p + in, run);
		n += run;
		in += run;
		if (in == len || p[in] != TELNET_IAC)
			continue;
		if (size - n < 2)
			break;
		out[n++] = TELNET_IAC;
		out[n++] = TELNET_IAC;
		in++;
	}
	*used = in;
	return n;
}

bool telnet_plain(const void *data, size_t len)
{
	return len == 0 || !memchr(data, TELNET_IAC, len);
}

size_t telnet_put_sub(uint8_t *out, size_t size, uint8_t option, const void *data, size_t len)
{
	size_t n, used;

	if (size < 5)
		return 0;
	n = telnet_put_option(out, TELNET_SB, option);
	n += telnet_escape(out + n, size - 5, data, len, &used);
	if (used < len)
		return 0;
	out[n++] = TELNET_IAC;
	out[n++] = TELNET_SE;
	return n;
}
