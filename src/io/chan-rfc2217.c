#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "io/chan-tcp.h"
#include "io/serial-settings.h"
#include "proto/rfc2217.h"

/* EARLY_MAX: of a device that talks before READY; then it has to wait. */
enum { RAW_SIZE = 16384, EARLY_MAX = 256 << 10, OPTIONAL_MAX_MS = 100 };

enum closing { OPEN, LOWER_RTS, LOWER_DTR, WAITING };

struct rfc_chan {
	struct chan *c;
	struct tcp_dial dial;
	struct rfc2217_client_params params;
	struct rfc2217_client client;
	struct chan_option option[RFC2217_ITEMS];
	enum closing closing;
	enum rfc2217_stage stage; /* when the expiry timer was set */
	struct timer expiry;
	bool ignore_control, unsendable;
	struct buf in; /* decoded, not yet read from `at` on */
	size_t at;
	bool settled; /* CHAN_SETTLED was told */
};

static void rfc_expired(struct timer *t, uint64_t now_ns);

/* What pyserial sends whatever its caller wants. */
static void imitate_pyserial(struct rfc_chan *r)
{
	r->params.order = RFC2217_PYSERIAL;
	r->params.set_lines = r->params.dtr = r->params.rts = true;
	r->params.purge = true;
	r->params.signature = false;
	r->dial.nodelay = true; /* rfc2217.py sets it, unlike protocol_socket.py */
}

static int read_query(struct chan *c, struct rfc_chan *r, struct err *e)
{
	static const char *const known[] = { SERIAL_SETTINGS_KEYS,
					     "ign_set_control",
					     "timeout",
					     "poll_modem",
					     "logging",
					     "nodelay",
					     NULL };
	struct serial_settings s = SERIAL_SETTINGS_DEFAULT;
	const struct url *u = c->p.url;
	const char *ignore = url_query(u, "ign_set_control");

	if (url_check_query(u, known, e) < 0 || serial_settings_read(&s, u, e) < 0)
		return -1;
	r->ignore_control = ignore && strcmp(ignore, "0") != 0;
	r->params.settings = (struct rfc2217_settings){
		.baud = s.baud,
		.datasize = (uint8_t)s.bits,
		.parity = (uint8_t)(RFC2217_PARITY_NONE + s.parity),
		.stopsize = (uint8_t)(RFC2217_STOP_1 + s.stop),
		.flow = (uint8_t)(RFC2217_FLOW_NONE + s.flow),
	};
	r->params.set_lines = c->p.set_lines || s.dtr != SERIAL_KEEP || s.rts != SERIAL_KEEP;
	r->params.dtr = s.dtr == SERIAL_KEEP ? c->p.raise_dtr : s.dtr == SERIAL_ON;
	r->params.rts = s.rts == SERIAL_KEEP ? c->p.raise_rts : s.rts == SERIAL_ON;
	r->params.purge = c->p.purge;
	r->params.signature = true;
	r->dial.nodelay = true;
	return chan_query_bool(u, "nodelay", &r->dial.nodelay, e);
}

static int rfc_make(struct chan *c, struct err *e)
{
	struct rfc_chan *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	c->impl = r;
	r->c = c;
	buf_init(&r->in, EARLY_MAX);
	if (read_query(c, r, e) < 0)
		return -1;
	if (c->style.negotiate_serial)
		imitate_pyserial(r);
	rfc2217_client_init(&r->client, &r->params);
	if (c->style.negotiate_serial)
		for (int i = RFC2217_ITEM_FLOW; i <= RFC2217_ITEM_PURGE_TX; i++)
			r->client.item[i].required =
				i >= RFC2217_ITEM_PURGE_RX || !r->ignore_control;
	return tcp_dial_make(&r->dial, c->p.url, e);
}

static void rfc_start(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	struct err e;

	if (tcp_dial_start(&r->dial, c, &e) < 0)
		chan_fail(c, &e);
}

static void rfc_free(struct chan *c)
{
	struct rfc_chan *r = c->impl;

	timer_cancel(c->loop, &r->expiry);
	buf_done(&r->in);
	free(r);
}

static int send_pieces(struct chan *c, struct err *e)
{
	struct rfc_chan *r = c->impl;
	const uint8_t *piece;
	size_t n;

	while ((n = rfc2217_client_pull(&r->client, &piece)) > 0)
		if (chan_send(c, piece, n, e) < 0)
			return -1;
	return 0;
}

static size_t waiting(const struct rfc_chan *r)
{
	return r->in.len - r->at;
}

/* Takes received bytes apart: data into r->in, answers to the peer. */
static int take(struct chan *c, const uint8_t *raw, size_t n, struct err *e)
{
	struct rfc_chan *r = c->impl;
	uint64_t now = loop_now(c->loop);

	for (size_t i = 0; i < n;) {
		struct rfc2217_event ev;

		i += rfc2217_client_feed(&r->client, raw + i, n - i, now, &ev);
		if (ev.kind == RFC2217_EV_DATA && buf_add(&r->in, ev.data, ev.len) < 0)
			return err_nomem(e);
		if (send_pieces(c, e) < 0)
			return -1;
	}
	return 0;
}

/* Decodes what the socket has into r->in; returns as chan_read does, 0 also for telnet commands only. r->unsendable
 * tells a failure to answer from the end of the stream. */
static ssize_t decode(struct chan *c, struct err *e)
{
	struct rfc_chan *r = c->impl;
	uint8_t raw[RAW_SIZE];
	size_t room;
	ssize_t n;

	if (waiting(r) == 0) {
		buf_clear(&r->in);
		r->at = 0;
	}
	room = EARLY_MAX - r->in.len;
	n = room ? chan_receive(c, raw, room < sizeof(raw) ? room : sizeof(raw)) : 0;
	if (n < 0)
		*e = c->error;
	if (n <= 0)
		return n;
	r->unsendable = take(c, raw, (size_t)n, e) < 0;
	c->out_held = r->client.suspended;
	c->in_held = !c->ready && r->in.len == EARLY_MAX;
	if (r->unsendable || chan_update(c, e) < 0)
		return chan_break(c, e);
	return (ssize_t)waiting(r);
}

static uint64_t option_patience(const struct chan *c)
{
	uint64_t ns = c->p.option_timeout_ns / 5;

	return ns < OPTIONAL_MAX_MS * NS_PER_MS ? ns : OPTIONAL_MAX_MS * NS_PER_MS;
}

static uint64_t patience(const struct chan *c, const struct rfc_chan *r)
{
	return rfc2217_client_awaits_required(&r->client) ? c->p.option_timeout_ns
							  : option_patience(c);
}

/* One line for all options that were never answered; the signature is a courtesy. */
static void warn_missing(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	uint64_t waited = option_patience(c);
	char names[96] = "";

	for (size_t i = 0; i < RFC2217_ITEMS; i++) {
		const struct rfc2217_item *it = &r->client.item[i];
		size_t used = strlen(names);

		if (it->wanted && it->asked_ns && !it->answered_ns && i != RFC2217_ITEM_BINARY &&
		    i != RFC2217_ITEM_SIGNATURE)
			snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
				 it->name);
	}
	if (names[0])
		log_say(c->p.log, LOG_WARNING, "rfc2217-no-answer",
			"%s: no answer to %s within %.0f ms", c->p.url->shown, names,
			(double)waited / 1e6);
}

/* Bytes may flow as soon as the required answers are there; the others come behind them, or not at all. */
static bool become_ready(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	struct err e;

	timer_cancel(c->loop, &c->wait);
	c->ready = true;
	c->in_held = false;
	if (waiting(r))
		timer_set(c->loop, &c->look, loop_now(c->loop), c->look.fired);
	if (!chan_emit(c, CHAN_READY) || c->failed || c->fd < 0)
		return false;
	if (chan_update(c, &e) < 0) {
		chan_fail(c, &e);
		return false;
	}
	return true;
}

/* Every option is answered or given up. False when the handler ended the channel. */
static bool settle(struct chan *c)
{
	struct rfc_chan *r = c->impl;

	timer_cancel(c->loop, &r->expiry);
	r->settled = true;
	warn_missing(c);
	if (r->client.signature[0])
		chan_fact(c, "signature", r->client.signature);
	return chan_emit(c, CHAN_SETTLED) && !c->failed && c->fd >= 0;
}

/* What the opener may do about it, after the reason. */
static void advise(struct rfc_chan *r, struct err *e)
{
	struct err why = *e;
	const char *hint = "";

	for (int i = RFC2217_ITEM_FLOW; i <= RFC2217_ITEM_RTS; i++) {
		const struct rfc2217_item *it = &r->client.item[i];

		if (r->c->style.negotiate_serial && it->required && it->asked_ns &&
		    !it->answered_ns)
			hint = "; pyserial opens such a server with ?ign_set_control";
	}
	if (r->c->in_held)
		hint = "; the device talks so much that an answer may be behind it";
	err_set(e, why.kind, why.code, "%s%s", why.msg, hint);
}

static void fail_negotiation(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	struct err e;

	timer_cancel(c->loop, &r->expiry);
	if (rfc2217_client_error(&r->client, &e) == 0)
		err_set(&e, ERR_TARGET, "timeout", "the negotiation did not end");
	if (strcmp(e.code, "timeout") == 0)
		err_wrap(&e, "%s within %.0f ms", c->p.url->shown,
			 (double)c->p.option_timeout_ns / 1e6);
	else
		err_wrap(&e, "%s", c->p.url->shown);
	advise(r, &e);
	chan_fail(c, &e);
}

/* After anything that may have moved the negotiation on. False when the channel is not to be used any more. */
static bool proceed(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	bool may_start;
	struct err e;

	if (send_pieces(c, &e) < 0) {
		chan_fail_late(c, &e);
		return false;
	}
	if (r->client.stage == RFC2217_STAGE_FAILED) {
		fail_negotiation(c);
		return false;
	}
	if (r->client.stage != RFC2217_STAGE_READY &&
	    (r->client.stage != r->stage || !timer_is_set(&r->expiry))) {
		r->stage = r->client.stage;
		timer_set(c->loop, &r->expiry, loop_now(c->loop) + patience(c, r), rfc_expired);
	}
	may_start = r->client.stage == RFC2217_STAGE_READY ||
		    (r->client.stage == RFC2217_STAGE_OPTIONAL && !c->style.negotiate_serial);
	if (may_start && !c->ready && !become_ready(c))
		return false;
	return r->client.stage != RFC2217_STAGE_READY || r->settled || settle(c);
}

static void rfc_expired(struct timer *t, uint64_t now_ns)
{
	struct rfc_chan *r = CONTAINER_OF(t, struct rfc_chan, expiry);

	if (r->c->failed)
		return;
	rfc2217_client_expire(&r->client, now_ns);
	proceed(r->c);
}

static void polled(struct timer *t, uint64_t now_ns)
{
	struct chan *c = CONTAINER_OF(t, struct chan, wait);
	struct rfc_chan *r = c->impl;
	unsigned step = r->client.step;

	rfc2217_client_advance(&r->client, now_ns);
	if (r->client.stage != RFC2217_STAGE_READY && r->client.stage != RFC2217_STAGE_FAILED)
		timer_set(c->loop, t, now_ns + c->style.negotiate_poll_ns, polled);
	if (r->client.step != step)
		timer_cancel(c->loop, &r->expiry); /* each wait has its own time */
	proceed(c);
}

static void rfc_writable(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	struct err e;
	int rc = tcp_dial_finish(&r->dial, c, &e);

	if (rc == 0)
		return;
	if (rc < 0) {
		chan_fail(c, &e);
		return;
	}
	c->connected = true;
	if (!chan_emit(c, CHAN_CONNECTED) || c->failed || c->fd < 0)
		return;
	rfc2217_client_start(&r->client, loop_now(c->loop));
	if (chan_update(c, &e) < 0) {
		chan_fail(c, &e);
		return;
	}
	if (c->style.negotiate_poll_ns)
		timer_set(c->loop, &c->wait, loop_now(c->loop) + c->style.negotiate_poll_ns,
			  polled);
	proceed(c);
}

static void rfc_close(struct chan *c);

static void rfc_input(struct chan *c)
{
	struct rfc_chan *r = c->impl;
	struct err e;

	if (r->closing != OPEN) {
		r->at = r->in.len;
		if (decode(c, &e) < 0)
			chan_closed(c);
		else if (!c->style.negotiate_poll_ns)
			rfc_close(c);
		return;
	}
	if (!c->ready || !waiting(r)) {
		ssize_t n = decode(c, &e);

		if (n < 0 && (!c->ready || r->unsendable)) {
			if (!c->ready)
				err_wrap(&c->error, "during the RFC 2217 negotiation");
			chan_fail_late(c, &e);
			return;
		}
		if (!r->settled) {
			bool was_ready = c->ready;

			if (!proceed(c) || !was_ready)
				return;
		}
		if (n == 0)
			return;
	}
	if (!c->failed && !c->style.read_poll_ns)
		timer_set(c->loop, &c->look, loop_now(c->loop), c->look.fired);
	chan_emit(c, CHAN_READABLE);
}

static bool rfc_waiting(const struct chan *c)
{
	return waiting(c->impl) > 0;
}

static ssize_t rfc_read(struct chan *c, void *buf, size_t size)
{
	struct rfc_chan *r = c->impl;
	struct err e;
	size_t n;

	if (!waiting(r)) {
		ssize_t got = c->failed ? -1 : decode(c, &e);

		if (got <= 0)
			return got;
	}
	n = waiting(r) < size ? waiting(r) : size;
	memcpy(buf, r->in.data + r->at, n);
	r->at += n;
	if (!waiting(r) && !c->style.read_poll_ns)
		timer_cancel(c->loop, &c->look);
	return (ssize_t)n;
}

static int rfc_write(struct chan *c, const void *data, size_t len, struct err *e)
{
	uint8_t wire[8192];
	const uint8_t *p = data;

	if (telnet_plain(data, len))
		return chan_send(c, data, len, e);
	if (len > CHAN_QUEUE_MAX / 2 || chan_pending(c) > CHAN_QUEUE_MAX - 2 * len)
		return err_set(e, ERR_TARGET, "queue-full", "%s does not take what is sent",
			       c->p.url->shown);
	while (len) {
		size_t used, n = telnet_escape(wire, sizeof(wire), p, len, &used);

		if (chan_send(c, wire, n, e) < 0)
			return -1;
		p += used;
		len -= used;
	}
	return 0;
}

static const struct chan_option *rfc_options(const struct chan *c, size_t *n)
{
	struct rfc_chan *r = c->impl;

	*n = 0;
	for (size_t i = 0; i < RFC2217_ITEMS; i++) {
		const struct rfc2217_item *it = &r->client.item[i];

		if (!it->wanted || !it->asked_ns)
			continue;
		r->option[(*n)++] = (struct chan_option){ .name = it->name,
							  .asked_ns = it->asked_ns,
							  .answered_ns = it->answered_ns,
							  .requested = it->requested,
							  .answered = it->answered,
							  .required = it->required };
	}
	return r->option;
}

static void rfc_closed(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	chan_closed(CONTAINER_OF(t, struct chan, wait));
}

static void close_polled(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	rfc_close(CONTAINER_OF(t, struct chan, wait));
}

/* Asks for one line to be lowered; false when that cannot be asked. */
static bool lower(struct chan *c, enum rfc2217_item_id item, uint32_t value)
{
	struct rfc_chan *r = c->impl;
	struct err e;
	uint64_t now = loop_now(c->loop);
	uint64_t wait = c->style.negotiate_poll_ns;

	if (rfc2217_client_ask(&r->client, item, value, now) < 0 || send_pieces(c, &e) < 0)
		return false;
	timer_set(c->loop, &c->wait, now + (wait ? wait : patience(c, r)), close_polled);
	return true;
}

static bool still_waits(struct chan *c, enum rfc2217_item_id id)
{
	struct rfc_chan *r = c->impl;
	const struct rfc2217_item *it = &r->client.item[id];
	uint64_t now = loop_now(c->loop);

	if (it->answered_ns || ns_since(it->asked_ns, now) >= patience(c, r))
		return false;
	if (!timer_is_set(&c->wait))
		timer_set(c->loop, &c->wait, now + c->style.negotiate_poll_ns, close_polled);
	return true;
}

/* RTS, then DTR, each acknowledged before the next, then the socket, then the style's sleep. */
static void rfc_close(struct chan *c)
{
	struct rfc_chan *r = c->impl;

	if (r->closing == OPEN && c->ready && c->style.lower_lines_on_close) {
		r->closing = LOWER_RTS;
		c->paused = false;
		if (lower(c, RFC2217_ITEM_RTS, RFC2217_RTS_OFF))
			return;
	}
	if (r->closing == LOWER_RTS && !c->failed) {
		if (still_waits(c, RFC2217_ITEM_RTS))
			return;
		r->closing = LOWER_DTR;
		if (lower(c, RFC2217_ITEM_DTR, RFC2217_DTR_OFF))
			return;
	}
	if (r->closing == LOWER_DTR && !c->failed && still_waits(c, RFC2217_ITEM_DTR))
		return;
	timer_cancel(c->loop, &r->expiry);
	timer_cancel(c->loop, &c->look);
	chan_drop(c);
	r->closing = WAITING;
	if (c->style.close_wait_ns)
		timer_set(c->loop, &c->wait, loop_now(c->loop) + c->style.close_wait_ns,
			  rfc_closed);
	else
		chan_closed(c);
}

const struct chan_ops chan_rfc2217_ops = {
	.scheme = "rfc2217",
	.make = rfc_make,
	.start = rfc_start,
	.free = rfc_free,
	.input = rfc_input,
	.writable = rfc_writable,
	.read = rfc_read,
	.write = rfc_write,
	.waiting = rfc_waiting,
	.options = rfc_options,
	.close = rfc_close,
};
