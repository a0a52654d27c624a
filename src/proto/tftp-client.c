#include "proto/tftp-client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Packets that are none are let pass so often: a server with one broken retransmission still gives a file. */
enum { MALFORMED_MAX = 8, BACKOFF_MAX = 8, BLOCKS_AT_ONCE = 64 };

const char *tftp_failure_word(enum tftp_failure f)
{
	static const char *const word[] = {
		[TFTP_OK] = "ok",
		[TFTP_NO_REPLY] = "no-reply",
		[TFTP_SERVER_ERROR] = "server-error",
		[TFTP_STALLED] = "stalled",
		[TFTP_SHORT] = "short",
		[TFTP_LONG] = "long",
		[TFTP_MALFORMED] = "malformed",
		[TFTP_OPTION_REFUSED] = "option-refused",
		[TFTP_UNREACHABLE] = "unreachable",
		[TFTP_CORRUPT] = "corrupt",
		[TFTP_ABORTED] = "aborted",
	};

	return word[f];
}

static void arm(struct tftp_client *c, uint64_t now)
{
	c->left = c->params->retries;
	c->tries = 0;
	c->deadline_ns = now + c->params->timeout_ns;
}

static void send_request(struct tftp_client *c)
{
	uint8_t packet[TFTP_CONTROL_MAX];
	const struct tftp_client_params *p = c->params;
	size_t n = tftp_format_request(packet, sizeof(packet), p->write ? TFTP_WRQ : TFTP_RRQ,
				       p->file, p->mode, &p->ask);

	if (n)
		c->ops->send(c->ctx, packet, n);
}

static void send_ack(struct tftp_client *c, uint64_t index)
{
	uint8_t packet[TFTP_HEADER];

	tftp_format_header(packet, TFTP_ACK, tftp_wire(index, c->rx.rollover));
	c->ops->send(c->ctx, packet, sizeof(packet));
}

static void send_error(struct tftp_client *c, uint16_t code, const char *text, bool stranger)
{
	uint8_t packet[TFTP_CONTROL_MAX];
	size_t n = tftp_format_error(packet, sizeof(packet), code, text);

	if (stranger)
		c->ops->reject(c->ctx, packet, n);
	else
		c->ops->send(c->ctx, packet, n);
}

static void send_window(struct tftp_client *c)
{
	uint64_t first;
	uint32_t n, sent = 0;

	while (c->state == TFTP_RUNNING &&
	       (n = tftp_sender_take(&c->tx, BLOCKS_AT_ONCE, &first)) > 0) {
		sent = c->ops->send_blocks(c->ctx, first, n);
		if (sent < n) {
			tftp_sender_untake(&c->tx, first + sent);
			return;
		}
	}
}

void tftp_client_resume(struct tftp_client *c)
{
	if (c->params->write)
		send_window(c);
}

static void end(struct tftp_client *c, enum tftp_failure why, uint64_t now)
{
	c->state = why == TFTP_OK ? TFTP_FINISHED : TFTP_FAILED;
	c->failure = why;
	c->done_ns = now;
	c->deadline_ns = 0;
}

__attribute__((format(printf, 4, 5))) static void fail(struct tftp_client *c, enum tftp_failure why,
						       uint64_t now, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
	end(c, why, now);
}

void tftp_client_abort(struct tftp_client *c, enum tftp_failure why, const char *text,
		       uint64_t now_ns)
{
	if (tftp_client_over(c))
		return;
	if (c->has_peer)
		send_error(c, TFTP_E_OTHER, text, false);
	fail(c, why, now_ns, "%s", text);
}

void tftp_client_start(struct tftp_client *c, const struct tftp_client_params *p,
		       const struct tftp_client_ops *ops, void *ctx, uint64_t now_ns)
{
	memset(c, 0, sizeof(*c));
	c->params = p;
	c->ops = ops;
	c->ctx = ctx;
	c->blksize = TFTP_BLKSIZE_DEFAULT;
	c->windowsize = 1;
	c->started_ns = now_ns;
	c->state = TFTP_REQUESTED;
	arm(c, now_ns);
	send_request(c);
}

/* The bit of the first option that the server may not answer like this, 0 when all are acceptable. */
static unsigned unacceptable(const struct tftp_options *ask, const struct tftp_options *got)
{
	unsigned wrong = (got->set & ~ask->set) | got->bad;

	if ((got->set & TFTP_OPT_BLKSIZE) && got->blksize > ask->blksize)
		wrong |= TFTP_OPT_BLKSIZE;
	if ((got->set & TFTP_OPT_WINDOWSIZE) && got->windowsize > ask->windowsize)
		wrong |= TFTP_OPT_WINDOWSIZE;
	if ((got->set & TFTP_OPT_TIMEOUT) && got->timeout_s != ask->timeout_s)
		wrong |= TFTP_OPT_TIMEOUT;
	if ((got->set & TFTP_OPT_UTIMEOUT) && got->utimeout_us != ask->utimeout_us)
		wrong |= TFTP_OPT_UTIMEOUT;
	return wrong & -wrong;
}

/* Both ends begin with what is in effect now. */
static void begin(struct tftp_client *c, uint64_t now)
{
	unsigned rollover = c->params->rollover == 1;

	if (c->params->rollover < 0 && (c->got.set & TFTP_OPT_ROLLOVER))
		rollover = c->got.rollover;
	c->state = TFTP_RUNNING;
	tftp_receiver_init(&c->rx, c->blksize, c->windowsize, rollover, c->params->timeout_ns / 8);
	c->rx.guess_rollover = c->params->rollover < 0 && !(c->got.set & TFTP_OPT_ROLLOVER);
	tftp_sender_init(&c->tx, c->blksize, c->windowsize, rollover, c->params->size);
	arm(c, now);
}

/* True when the transfer goes on. */
static bool probed(struct tftp_client *c, uint64_t now)
{
	if (!c->params->probe)
		return true;
	send_error(c, TFTP_E_OTHER, "only asking", false);
	end(c, TFTP_OK, now);
	return false;
}

static void take_oack(struct tftp_client *c, const struct tftp_packet *p, uint64_t now)
{
	unsigned wrong = unacceptable(&c->params->ask, &p->opt);

	if (wrong || p->opt.unknown) {
		send_error(c, TFTP_E_OPTION, "option not acceptable", false);
		if (wrong)
			fail(c, TFTP_OPTION_REFUSED, now, "the server's %s is not acceptable%s",
			     tftp_option_name((unsigned)__builtin_ctz(wrong)),
			     c->params->ask.set & wrong ? "" : ": it was not requested");
		else
			fail(c, TFTP_OPTION_REFUSED, now,
			     "the server acknowledged an option that was not requested");
		return;
	}
	c->oack = true;
	c->got = p->opt;
	if (p->opt.set & TFTP_OPT_BLKSIZE)
		c->blksize = p->opt.blksize;
	if (p->opt.set & TFTP_OPT_WINDOWSIZE)
		c->windowsize = p->opt.windowsize;
	begin(c, now);
	if (!probed(c, now))
		return;
	if (c->params->write) {
		send_window(c);
	} else {
		send_ack(c, 0);
		tftp_receiver_acked(&c->rx, now);
	}
}

/* The last block is in: is it all of it? */
static void check_size(struct tftp_client *c, uint64_t now)
{
	uint64_t want = c->got.tsize;

	/* a size of 0 is what servers answer that do not know it (netascii) */
	if (!(c->got.set & TFTP_OPT_TSIZE) || c->params->mode == TFTP_NETASCII ||
	    c->rx.bytes == want)
		end(c, TFTP_OK, now);
	else
		fail(c, c->rx.bytes < want ? TFTP_SHORT : TFTP_LONG, now,
		     "%" PRIu64 " bytes came, %" PRIu64 " were announced", c->rx.bytes, want);
}

/* Beyond this no byte is wanted. */
static uint64_t bound_of(const struct tftp_client *c)
{
	uint64_t bound = c->params->max_bytes ? c->params->max_bytes : UINT64_MAX;

	/* a size of 0 is also what servers answer that do not know it */
	if ((c->got.set & TFTP_OPT_TSIZE) && c->got.tsize && c->params->mode != TFTP_NETASCII &&
	    c->got.tsize < bound)
		bound = c->got.tsize;
	return bound;
}

static void take_block(struct tftp_client *c, const struct tftp_packet *p, uint64_t now)
{
	enum tftp_rx what;

	if (p->len > c->blksize) {
		c->malformed++;
		return;
	}
	what = tftp_receiver_block(&c->rx, p->block, (uint32_t)p->len, now);
	if (what == TFTP_RX_IGNORE)
		return;
	if (what != TFTP_RX_ACK) {
		if (c->rx.bytes > bound_of(c)) {
			tftp_client_abort(c, TFTP_LONG, "more bytes than announced or allowed",
					  now);
			return;
		}
		c->ops->deliver(c->ctx, c->rx.bytes - p->len, p->data, p->len);
		arm(c, now);
		if (tftp_client_over(c))
			return;
	}
	if (what != TFTP_RX_TAKE)
		send_ack(c, c->rx.last);
	if (c->rx.finished)
		check_size(c, now);
}

static void take_ack(struct tftp_client *c, const struct tftp_packet *p, uint64_t now)
{
	uint64_t base = c->tx.base;

	if (!tftp_sender_ack(&c->tx, p->block))
		return;
	if (c->tx.base != base)
		arm(c, now);
	if (c->tx.finished)
		end(c, TFTP_OK, now);
	else
		send_window(c);
}

static void take_error(struct tftp_client *c, const struct tftp_packet *p, uint64_t now)
{
	size_t n = p->text_len < sizeof(c->text) - 1 ? p->text_len : sizeof(c->text) - 1;

	memcpy(c->text, p->text, n);
	c->text[n] = '\0';
	c->code = p->code;
	end(c, p->code == TFTP_E_OPTION ? TFTP_OPTION_REFUSED : TFTP_SERVER_ERROR, now);
}

/* Only these packets may come from a server in this state; a read that is answered like a write gets none of our bytes. */
static bool expected(const struct tftp_client *c, enum tftp_op op)
{
	if (op == TFTP_ERROR)
		return true;
	if (op == TFTP_OACK)
		return c->params->ask.set != 0;
	return op == (c->params->write ? TFTP_ACK : TFTP_DATA);
}

static void bad_packet(struct tftp_client *c, const char *why, uint64_t now)
{
	if (++c->malformed < MALFORMED_MAX)
		return;
	send_error(c, TFTP_E_ILLEGAL, why, false);
	fail(c, TFTP_MALFORMED, now, "%s", why);
}

static void wrong_direction(struct tftp_client *c, const struct tftp_packet *p, uint64_t now)
{
	send_error(c, TFTP_E_ILLEGAL, "illegal TFTP operation", false);
	fail(c, TFTP_MALFORMED, now, "packet with opcode %u in answer to a %s", (unsigned)p->op,
	     c->params->write ? "write" : "read");
}

/* The first answer. A server that knows no options goes right on: all options have their defaults then. */
static void take_first(struct tftp_client *c, const struct tftp_packet *p, uint64_t now)
{
	if (p->op == TFTP_OACK) {
		take_oack(c, p, now);
		return;
	}
	if (p->block != (c->params->write ? 0 : 1)) {
		/* a stray of an earlier transfer, or not TFTP */
		c->has_peer = false;
		c->malformed++;
		return;
	}
	begin(c, now);
	if (!probed(c, now))
		return;
	if (c->params->write)
		send_window(c);
	else
		take_block(c, p, now);
}

static bool same_host(const struct tftp_tid *a, const struct tftp_tid *b)
{
	return a->host[0] == b->host[0] && a->host[1] == b->host[1];
}

/* True when the packet is the peer's. */
static bool from_peer(struct tftp_client *c, const struct tftp_tid *from,
		      const struct tftp_packet *p, uint64_t now)
{
	if (!c->has_peer && !tftp_client_over(c) && same_host(&c->params->asked, from)) {
		c->peer = *from;
		c->has_peer = true;
		if (!c->first_ns)
			c->first_ns = now;
		return true;
	}
	if (c->has_peer && same_host(&c->peer, from) && c->peer.port == from->port)
		return true;
	c->strangers++;
	/* an ERROR is never answered with one: two ends could do that for ever */
	if (p->op != TFTP_ERROR)
		send_error(c, TFTP_E_UNKNOWN_TID, "unknown transfer ID", true);
	return false;
}

static void repeat_ack_of_oack(struct tftp_client *c, uint64_t now)
{
	if (!c->oack || c->rx.last > 0 || now - c->rx.acked_ns < c->rx.quiet_ns)
		return;
	send_ack(c, 0);
	tftp_receiver_acked(&c->rx, now);
}

void tftp_client_input(struct tftp_client *c, const struct tftp_tid *from, const void *packet,
		       size_t len, uint64_t now_ns)
{
	struct tftp_packet p;
	const char *why = "";

	if (c->state == TFTP_IDLE)
		return;
	if (tftp_parse(&p, packet, len, &why) < 0) {
		bool peers = c->has_peer && same_host(&c->peer, from) && c->peer.port == from->port;

		if (peers && !tftp_client_over(c))
			bad_packet(c, why, now_ns);
		else if (!c->has_peer)
			c->malformed++;
		return;
	}
	if (!from_peer(c, from, &p, now_ns))
		return;
	if (tftp_client_over(c)) {
		/* dally: our last ACK was lost */
		if (c->state == TFTP_FINISHED && p.op == TFTP_DATA && !c->params->write &&
		    !c->params->probe &&
		    tftp_receiver_block(&c->rx, p.block, (uint32_t)p.len, now_ns) == TFTP_RX_ACK)
			send_ack(c, c->rx.last);
		return;
	}
	if (!expected(c, p.op))
		wrong_direction(c, &p, now_ns);
	else if (p.op == TFTP_ERROR)
		take_error(c, &p, now_ns);
	else if (c->state == TFTP_REQUESTED)
		take_first(c, &p, now_ns);
	else if (p.op == TFTP_OACK && c->params->write)
		return; /* repeated: the first window answers it */
	else if (p.op == TFTP_OACK)
		repeat_ack_of_oack(c, now_ns);
	else if (p.op == TFTP_DATA)
		take_block(c, &p, now_ns);
	else if (p.op == TFTP_ACK)
		take_ack(c, &p, now_ns);
}

static void give_up(struct tftp_client *c, uint64_t now)
{
	if (c->malformed)
		fail(c, TFTP_MALFORMED, now, "%" PRIu64 " malformed packets, then nothing",
		     c->malformed);
	else if (c->state == TFTP_REQUESTED)
		fail(c, TFTP_NO_REPLY, now, "no reply to %u requests", c->tries + 1);
	else
		fail(c, TFTP_STALLED, now, "nothing new after block %" PRIu64,
		     c->params->write ? c->tx.base - 1 : c->rx.last);
}

void tftp_client_expire(struct tftp_client *c, uint64_t now_ns)
{
	uint64_t factor;

	if (!c->deadline_ns || now_ns < c->deadline_ns)
		return;
	c->timeouts++;
	if (c->left == 0) {
		give_up(c, now_ns);
		return;
	}
	c->left--;
	c->tries++;
	factor = c->tries < 3 ? UINT64_C(1) << c->tries : BACKOFF_MAX;
	c->deadline_ns = now_ns + c->params->timeout_ns * factor;
	if (c->state == TFTP_REQUESTED) {
		send_request(c);
	} else if (c->params->write) {
		tftp_sender_rewind(&c->tx);
		send_window(c);
	} else if (c->rx.last > 0 || c->oack) {
		send_ack(c, c->rx.last);
		tftp_receiver_acked(&c->rx, now_ns);
	}
}

uint64_t tftp_client_bytes(const struct tftp_client *c)
{
	uint64_t acked;

	if (!c->params || !c->params->write)
		return c->rx.bytes;
	if (c->tx.finished)
		return c->tx.size;
	acked = c->tx.base ? (c->tx.base - 1) * c->tx.blksize : 0;
	return acked < c->tx.size ? acked : c->tx.size;
}
