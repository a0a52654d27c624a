/* tftp-sim - both halves of a transfer on a fake clock, over a network that loses, repeats, reorders and lies */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "proto/tftp-client.h"
#include "proto/tftp-reply.h"

enum { SIM_FLIGHT = 4096, SIM_STEPS = 400000 };

struct sim_packet {
	uint64_t at_ns;
	bool to_client;
	uint32_t port; /* of the sender, towards the client */
	size_t len;
	uint8_t *bytes;
};

/* A source of decisions: a seeded generator, or a fuzzer's bytes. Returns 0..bound-1. */
struct sim_source {
	uint32_t (*pick)(struct sim_source *s, uint32_t bound);
	uint64_t state;
	const uint8_t *bytes;
	size_t left;
};

struct sim_plan {
	uint32_t loss_ppm, dup_ppm, reorder_ppm, lie_ppm, stray_ppm;
	uint64_t delay_ns;
	bool mute_client; /* the client vanishes after a while */
};

struct sim {
	struct sim_source *source;
	struct sim_plan plan;
	uint64_t now_ns;
	struct sim_packet flight[SIM_FLIGHT];
	size_t n;
	size_t peak, sent, dropped;
	uint64_t data_sent; /* DATA packets made by either side */

	const uint8_t *content; /* of the file, on the sending side */
	uint64_t size;
	uint8_t *got; /* on the receiving side; size + 65536 bytes */
	uint64_t got_len;
	bool out_of_order;

	struct tftp_client_params params;
	struct tftp_limits limits;
	struct tftp_client client;
	struct tftp_reply reply;
	bool reply_live;
	uint32_t strangers_rejected;
	bool committed;
};

static inline uint32_t sim_random(struct sim_source *s, uint32_t bound)
{
	uint64_t z = (s->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return bound ? (uint32_t)((z ^ z >> 31) % bound) : 0;
}

static inline uint32_t sim_bytes(struct sim_source *s, uint32_t bound)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < (bound > 256 ? 3 : 1) && s->left; i++, s->left--)
		v = v << 8 | *s->bytes++;
	return bound ? v % bound : 0;
}

static inline bool sim_chance(struct sim *s, uint32_t ppm)
{
	return ppm && s->source->pick(s->source, 1000000) < ppm;
}

static inline void sim_push(struct sim *s, bool to_client, uint32_t port, const void *bytes,
			    size_t len, uint64_t delay)
{
	struct sim_packet *p;

	s->sent++;
	if (s->n == SIM_FLIGHT) {
		s->dropped++;
		return;
	}
	p = &s->flight[s->n++];
	if (s->n > s->peak)
		s->peak = s->n;
	p->at_ns = s->now_ns + delay;
	p->to_client = to_client;
	p->port = port;
	p->len = len;
	p->bytes = malloc(len ? len : 1);
	if (!p->bytes)
		abort();
	memcpy(p->bytes, bytes, len);
}

/* Overwrites, cuts or invents: what a broken or hostile peer sends. */
static inline size_t sim_lie(struct sim *s, uint8_t *bytes, size_t len, size_t cap)
{
	switch (s->source->pick(s->source, 6)) {
	case 0:
		return s->source->pick(s->source, (uint32_t)len + 1);
	case 1:
		if (len)
			bytes[s->source->pick(s->source, (uint32_t)len)] ^=
				(uint8_t)(1U << s->source->pick(s->source, 8));
		return len;
	case 2:
		if (len > 1)
			bytes[1] = (uint8_t)s->source->pick(s->source, 8);
		return len;
	case 3:
		if (len > 3) {
			bytes[2] = (uint8_t)s->source->pick(s->source, 256);
			bytes[3] = (uint8_t)s->source->pick(s->source, 256);
		}
		return len;
	case 4:
		if (len + 40 > cap)
			return len;
		memset(bytes + len, 0x41, 40);
		return len + 40;
	default:
		for (size_t i = 0; i < len && i < 64; i++)
			bytes[i] = (uint8_t)s->source->pick(s->source, 256);
		return len;
	}
}

static inline void sim_send(struct sim *s, bool to_client, uint32_t port, const void *bytes,
			    size_t len)
{
	static uint8_t copy[TFTP_PACKET_MAX + 64];
	uint64_t delay = s->plan.delay_ns;

	if (sim_chance(s, s->plan.loss_ppm)) {
		s->sent++;
		return;
	}
	memcpy(copy, bytes, len);
	if (sim_chance(s, s->plan.lie_ppm))
		len = sim_lie(s, copy, len, sizeof(copy));
	if (sim_chance(s, s->plan.reorder_ppm))
		delay += s->source->pick(s->source, 400) * UINT64_C(100000);
	sim_push(s, to_client, port, copy, len, delay);
	if (sim_chance(s, s->plan.dup_ppm))
		sim_push(s, to_client, port, copy, len,
			 delay + s->source->pick(s->source, 300) * UINT64_C(1000000));
	if (sim_chance(s, s->plan.stray_ppm))
		/* after the true one: who answers first is the peer, by the rules */
		sim_push(s, to_client, port + 1 + s->source->pick(s->source, 3), copy, len,
			 delay + 41000000);
}

static inline void sim_client_send(void *ctx, const void *packet, size_t len)
{
	struct sim *s = ctx;

	if (!s->plan.mute_client || s->sent < 40)
		sim_send(s, false, 1000, packet, len);
}

static inline void sim_reject(void *ctx, const void *packet, size_t len)
{
	struct sim *s = ctx;

	(void)packet;
	(void)len;
	s->strangers_rejected++;
}

static inline void sim_blocks(struct sim *s, const struct tftp_sender *tx, uint64_t first,
			      uint32_t count, bool to_client)
{
	static uint8_t packet[TFTP_PACKET_MAX];

	for (uint64_t i = first; i < first + count; i++) {
		uint32_t len = tftp_sender_length(tx, i);

		tftp_format_header(packet, TFTP_DATA, tftp_wire(i, tx->rollover));
		memcpy(packet + TFTP_HEADER, s->content + (i - 1) * tx->blksize, len);
		s->data_sent++;
		sim_send(s, to_client, 2000, packet, TFTP_HEADER + len);
	}
}

static inline uint32_t sim_client_blocks(void *ctx, uint64_t first, uint32_t count)
{
	struct sim *s = ctx;

	if (!s->plan.mute_client || s->sent < 40)
		sim_blocks(s, &s->client.tx, first, count, false);
	return count;
}

static inline uint32_t sim_reply_blocks(void *ctx, uint64_t first, uint32_t count)
{
	struct sim *s = ctx;

	sim_blocks(s, &s->reply.tx, first, count, true);
	return count;
}

static inline int sim_take(struct sim *s, uint64_t offset, const void *data, size_t len)
{
	if (offset != s->got_len)
		s->out_of_order = true;
	if (s->got_len + len > s->size + 65536)
		return -1;
	memcpy(s->got + s->got_len, data, len);
	s->got_len += len;
	return 0;
}

static inline void sim_client_deliver(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct sim *s = ctx;

	if (sim_take(s, offset, data, len) < 0)
		tftp_client_abort(&s->client, TFTP_CORRUPT, "more than there is", s->now_ns);
}

static inline int sim_reply_deliver(void *ctx, uint64_t offset, const void *data, size_t len,
				    uint16_t *code, const char **text)
{
	*code = TFTP_E_FULL;
	*text = "more than there is";
	return sim_take(ctx, offset, data, len);
}

static inline int sim_reply_commit(void *ctx, uint16_t *code, const char **text)
{
	struct sim *s = ctx;

	(void)code;
	(void)text;
	s->committed = true;
	return 0;
}

static inline void sim_reply_send(void *ctx, const void *packet, size_t len)
{
	sim_send(ctx, true, 2000, packet, len);
}

static const struct tftp_client_ops sim_client_ops = {
	.send = sim_client_send,
	.send_blocks = sim_client_blocks,
	.reject = sim_reject,
	.deliver = sim_client_deliver,
};
static const struct tftp_reply_ops sim_reply_ops = {
	.send = sim_reply_send,
	.send_blocks = sim_reply_blocks,
	.deliver = sim_reply_deliver,
	.commit = sim_reply_commit,
};

static inline void sim_to_server(struct sim *s, const struct sim_packet *p)
{
	struct tftp_packet request;
	const char *why;

	if (s->reply_live) {
		tftp_reply_input(&s->reply, p->bytes, p->len, s->now_ns);
		return;
	}
	/* one transfer for each client port: a repeated request starts none */
	if (tftp_parse(&request, p->bytes, p->len, &why) < 0 ||
	    request.op != (s->params.write ? TFTP_WRQ : TFTP_RRQ))
		return;
	s->reply_live = true;
	tftp_reply_start(&s->reply, &s->limits, &request, s->size, &sim_reply_ops, s, s->now_ns);
}

static inline size_t sim_earliest(const struct sim *s)
{
	size_t best = 0;

	for (size_t i = 1; i < s->n; i++) {
		if (s->flight[i].at_ns < s->flight[best].at_ns)
			best = i;
	}
	return best;
}

/* Runs until both halves have ended and nothing is in flight. False: they had not after SIM_STEPS steps. */
static inline bool sim_run(struct sim *s)
{
	tftp_client_start(&s->client, &s->params, &sim_client_ops, s, s->now_ns);
	for (unsigned step = 0; step < SIM_STEPS; step++) {
		size_t i = sim_earliest(s);
		uint64_t packet_ns = s->n ? s->flight[i].at_ns : UINT64_MAX;
		uint64_t client_ns = s->client.deadline_ns ? s->client.deadline_ns : UINT64_MAX;
		uint64_t reply_ns =
			s->reply_live && s->reply.deadline_ns ? s->reply.deadline_ns : UINT64_MAX;
		uint64_t timer_ns = client_ns < reply_ns ? client_ns : reply_ns;

		if (packet_ns == UINT64_MAX && timer_ns == UINT64_MAX)
			return true;
		if (packet_ns <= timer_ns) {
			struct sim_packet p = s->flight[i];
			struct tftp_tid from = { .port = p.port };

			/* order among equals is kept */
			memmove(&s->flight[i], &s->flight[i + 1], (s->n - i - 1) * sizeof(p));
			s->n--;
			s->now_ns = packet_ns;
			if (p.to_client)
				tftp_client_input(&s->client, &from, p.bytes, p.len, s->now_ns);
			else
				sim_to_server(s, &p);
			free(p.bytes);
		} else {
			s->now_ns = timer_ns;
			if (client_ns <= reply_ns)
				tftp_client_expire(&s->client, s->now_ns);
			else
				tftp_reply_expire(&s->reply, s->now_ns);
		}
	}
	return false;
}

static inline void sim_done(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->flight[i].bytes);
	s->n = 0;
}
