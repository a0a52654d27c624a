#include "proto/tftp-reply.h"

#include <string.h>

enum { BACKOFF_MAX = 8, BLOCKS_AT_ONCE = 64 };

static void arm(struct tftp_reply *r, uint64_t now)
{
	r->left = r->limits->retries;
	r->tries = 0;
	r->deadline_ns = now + r->timeout_ns;
}

static void send_ack(struct tftp_reply *r, uint64_t now)
{
	uint8_t packet[TFTP_HEADER];

	tftp_format_header(packet, TFTP_ACK, tftp_wire(r->rx.last, r->rx.rollover));
	r->ops->send(r->ctx, packet, sizeof(packet));
	tftp_receiver_acked(&r->rx, now);
}

static void send_oack(struct tftp_reply *r)
{
	uint8_t packet[TFTP_CONTROL_MAX];
	size_t n = tftp_format_oack(packet, sizeof(packet), &r->got);

	if (n)
		r->ops->send(r->ctx, packet, n);
}

static void send_window(struct tftp_reply *r)
{
	uint64_t first;
	uint32_t n, sent = 0;

	while (r->state == TFTP_REPLY_RUNNING &&
	       (n = tftp_sender_take(&r->tx, BLOCKS_AT_ONCE, &first)) > 0) {
		sent = r->ops->send_blocks(r->ctx, first, n);
		if (sent < n) {
			tftp_sender_untake(&r->tx, first + sent);
			return;
		}
	}
}

void tftp_reply_resume(struct tftp_reply *r)
{
	if (!r->write)
		send_window(r);
}

static void end(struct tftp_reply *r, const char *why)
{
	r->state = why ? TFTP_REPLY_FAILED : TFTP_REPLY_FINISHED;
	r->why = why;
	r->deadline_ns = 0;
}

void tftp_reply_abort(struct tftp_reply *r, uint16_t code, const char *text)
{
	uint8_t packet[TFTP_CONTROL_MAX];
	size_t n = tftp_format_error(packet, sizeof(packet), code, text);

	if (tftp_reply_over(r))
		return;
	r->ops->send(r->ctx, packet, n);
	end(r, text);
}

void tftp_limits_agree(const struct tftp_limits *l, const struct tftp_options *ask, uint64_t size,
		       bool write, struct tftp_options *out)
{
	memset(out, 0, sizeof(*out));
	out->set = ask->set & l->options;
	if (out->set & TFTP_OPT_BLKSIZE)
		out->blksize = ask->blksize < l->blksize_max ? ask->blksize : l->blksize_max;
	if (out->set & TFTP_OPT_WINDOWSIZE)
		out->windowsize =
			ask->windowsize < l->windowsize_max ? ask->windowsize : l->windowsize_max;
	if (out->set & TFTP_OPT_TSIZE)
		out->tsize = write ? ask->tsize : size;
	if (out->set & TFTP_OPT_TIMEOUT)
		out->timeout_s = ask->timeout_s;
	if (out->set & TFTP_OPT_UTIMEOUT)
		out->utimeout_us = ask->utimeout_us;
	if (out->set & TFTP_OPT_ROLLOVER)
		out->rollover = ask->rollover;
}

void tftp_reply_start(struct tftp_reply *r, const struct tftp_limits *l,
		      const struct tftp_packet *request, uint64_t size,
		      const struct tftp_reply_ops *ops, void *ctx, uint64_t now_ns)
{
	unsigned rollover;

	memset(r, 0, sizeof(*r));
	r->limits = l;
	r->ops = ops;
	r->ctx = ctx;
	r->write = request->op == TFTP_WRQ;
	r->started_ns = now_ns;
	tftp_limits_agree(l, &request->opt, size, r->write, &r->got);
	/* the size of translated text is not known beforehand */
	if (request->mode == TFTP_NETASCII && !r->write)
		r->got.set &= ~(unsigned)TFTP_OPT_TSIZE;
	r->blksize = r->got.set & TFTP_OPT_BLKSIZE ? r->got.blksize : TFTP_BLKSIZE_DEFAULT;
	r->windowsize = r->got.set & TFTP_OPT_WINDOWSIZE ? r->got.windowsize : 1;
	rollover = r->got.set & TFTP_OPT_ROLLOVER ? r->got.rollover : 0;
	r->timeout_ns = r->got.set & TFTP_OPT_UTIMEOUT	? r->got.utimeout_us * UINT64_C(1000)
			: r->got.set & TFTP_OPT_TIMEOUT ? r->got.timeout_s * UINT64_C(1000000000)
							: l->timeout_ns;
	tftp_receiver_init(&r->rx, r->blksize, r->windowsize, rollover, r->timeout_ns / 8);
	tftp_sender_init(&r->tx, r->blksize, r->windowsize, rollover, size);
	arm(r, now_ns);
	if (r->got.set) {
		r->state = TFTP_REPLY_NEGOTIATING;
		send_oack(r);
	} else if (r->write) {
		r->state = TFTP_REPLY_NEGOTIATING;
		send_ack(r, now_ns);
	} else {
		r->state = TFTP_REPLY_RUNNING;
		send_window(r);
	}
}

static void take_block(struct tftp_reply *r, const struct tftp_packet *p, uint64_t now)
{
	const char *text = "";
	uint16_t code = 0;
	enum tftp_rx what;

	if (p->len > r->blksize) {
		tftp_reply_abort(r, TFTP_E_ILLEGAL, "block larger than agreed");
		return;
	}
	what = tftp_receiver_block(&r->rx, p->block, (uint32_t)p->len, now);
	if (what == TFTP_RX_IGNORE)
		return;
	if (what != TFTP_RX_ACK) {
		r->state = TFTP_REPLY_RUNNING;
		arm(r, now);
		if (r->rx.bytes > r->limits->max_bytes) {
			tftp_reply_abort(r, TFTP_E_FULL, "upload too large");
			return;
		}
		if (r->ops->deliver(r->ctx, r->rx.bytes - p->len, p->data, p->len, &code, &text) <
			    0 ||
		    (r->rx.finished && r->ops->commit(r->ctx, &code, &text) < 0)) {
			tftp_reply_abort(r, code, text);
			return;
		}
	}
	if (what != TFTP_RX_TAKE)
		send_ack(r, now);
	if (r->rx.finished) {
		/* a client that repeats its last block is waited for again */
		r->state = TFTP_REPLY_DALLYING;
		r->deadline_ns = now + 4 * r->timeout_ns;
	}
}

static void take_ack(struct tftp_reply *r, const struct tftp_packet *p, uint64_t now)
{
	uint64_t base = r->tx.base;

	if (r->state == TFTP_REPLY_NEGOTIATING) {
		if (p->block != 0)
			return;
		r->state = TFTP_REPLY_RUNNING;
		arm(r, now);
		send_window(r);
		return;
	}
	if (!tftp_sender_ack(&r->tx, p->block))
		return;
	if (r->tx.base != base)
		arm(r, now);
	if (r->tx.finished)
		end(r, NULL);
	else
		send_window(r);
}

void tftp_reply_input(struct tftp_reply *r, const void *packet, size_t len, uint64_t now_ns)
{
	struct tftp_packet p;
	const char *why = "";

	if (tftp_reply_over(r))
		return;
	if (tftp_parse(&p, packet, len, &why) < 0) {
		tftp_reply_abort(r, TFTP_E_ILLEGAL, why);
		return;
	}
	if (p.op == TFTP_ERROR) {
		/* an upload that is complete stays complete */
		if (r->state == TFTP_REPLY_DALLYING)
			end(r, NULL);
		else
			end(r, "ended by the client");
	} else if (p.op == TFTP_DATA && r->write) {
		take_block(r, &p, now_ns);
	} else if (p.op == TFTP_ACK && !r->write) {
		take_ack(r, &p, now_ns);
	} else if (p.op != TFTP_RRQ && p.op != TFTP_WRQ) {
		tftp_reply_abort(r, TFTP_E_ILLEGAL, "illegal TFTP operation");
	}
}

void tftp_reply_expire(struct tftp_reply *r, uint64_t now_ns)
{
	uint64_t factor;

	if (!r->deadline_ns || now_ns < r->deadline_ns)
		return;
	if (r->state == TFTP_REPLY_DALLYING) {
		end(r, NULL);
		return;
	}
	r->timeouts++;
	if (r->left == 0) {
		end(r, "no answer");
		return;
	}
	r->left--;
	r->tries++;
	factor = r->tries < 3 ? UINT64_C(1) << r->tries : BACKOFF_MAX;
	r->deadline_ns = now_ns + r->timeout_ns * factor;
	if (r->state == TFTP_REPLY_NEGOTIATING && r->got.set) {
		send_oack(r);
	} else if (r->write) {
		send_ack(r, now_ns);
	} else {
		tftp_sender_rewind(&r->tx);
		send_window(r);
	}
}

uint64_t tftp_reply_bytes(const struct tftp_reply *r)
{
	uint64_t acked = (r->tx.base - 1) * r->tx.blksize;

	if (r->write)
		return r->rx.bytes;
	return acked < r->tx.size ? acked : r->tx.size;
}
