/* Both halves of a transfer against each other and against peers that lie, on a fake clock: thousands of schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tftp-sim.h"

enum { CONTENT = 1 << 20 };

static uint8_t *content, *room;

static int set_up(void **state)
{
	struct sim_source s = { .pick = sim_random, .state = 7 };

	(void)state;
	content = malloc(CONTENT);
	room = malloc(CONTENT + 65536);
	if (!content || !room)
		return -1;
	for (size_t i = 0; i < CONTENT; i++)
		content[i] = (uint8_t)sim_random(&s, 256);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(content);
	free(room);
	return 0;
}

static void sim_prepare(struct sim *s, struct sim_source *source)
{
	memset(s, 0, sizeof(*s));
	s->source = source;
	s->now_ns = 1000000000;
	s->content = content;
	s->got = room;
	s->plan.delay_ns = 1000000;
	s->limits = (struct tftp_limits)TFTP_LIMITS_DEFAULT;
	s->limits.retries = 12;
	s->params = (struct tftp_client_params){
		.file = "f",
		.rollover = -1,
		.timeout_ns = 1000000000,
		.retries = 12,
	};
}

/* Options, sizes and damage of schedule number `seed`. */
static void sim_draw(struct sim *s, struct sim_source *r)
{
	static const uint32_t blk[] = { 8, 9, 64, 512, 1428, 8192 };
	static const uint32_t win[] = { 1, 1, 2, 3, 4, 8, 16, 64, 200 };
	struct tftp_options *o = &s->params.ask;
	uint32_t blocks;

	if (sim_random(r, 4)) {
		o->set |= TFTP_OPT_BLKSIZE;
		o->blksize = blk[sim_random(r, 6)];
	}
	if (sim_random(r, 3)) {
		o->set |= TFTP_OPT_WINDOWSIZE;
		o->windowsize = win[sim_random(r, 9)];
	}
	if (sim_random(r, 2))
		o->set |= TFTP_OPT_TSIZE;
	if (!sim_random(r, 8)) {
		o->set |= TFTP_OPT_ROLLOVER;
		o->rollover = sim_random(r, 2);
	}
	if (!sim_random(r, 5))
		s->limits.options &= sim_random(r, 64);
	if (!sim_random(r, 5))
		s->limits.blksize_max = 100;
	if (!sim_random(r, 5))
		s->limits.windowsize_max = 3;
	s->params.write = sim_random(r, 2);
	blocks = sim_random(r, 60);
	s->size = (uint64_t)blocks * (o->set & TFTP_OPT_BLKSIZE ? o->blksize : 512);
	if (sim_random(r, 2))
		s->size += sim_random(r, 512);
	s->params.size = s->size;
	o->tsize = s->params.write ? s->size : 0;
}

static bool whole(const struct sim *s)
{
	return !s->out_of_order && s->got_len == s->size && memcmp(s->got, content, s->size) == 0;
}

static void test_clean(void **state)
{
	static struct sim s;

	(void)state;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct sim_source r = { .pick = sim_random, .state = seed };

		sim_prepare(&s, &r);
		sim_draw(&s, &r);
		assert_true(sim_run(&s));
		assert_int_equal(s.client.state, TFTP_FINISHED);
		assert_int_equal(s.reply.state, TFTP_REPLY_FINISHED);
		assert_true(whole(&s));
		assert_int_equal(s.client.timeouts, 0);
		/* not one block was sent twice */
		assert_true(s.data_sent == s.size / s.client.blksize + 1);
		if (s.client.oack)
			assert_memory_equal(&s.client.got, &s.reply.got, sizeof(s.client.got));
		assert_int_equal(s.client.blksize, s.reply.blksize);
		assert_int_equal(s.client.windowsize, s.reply.windowsize);
		sim_done(&s);
	}
}

/* Loss, repetition and reordering change the time, never the bytes; and what both sides send stays in proportion. */
static void test_damaged_network(void **state)
{
	static struct sim s;
	unsigned ok = 0, failed = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 12000; seed++) {
		struct sim_source r = { .pick = sim_random, .state = seed << 20 };
		uint64_t started;

		sim_prepare(&s, &r);
		sim_draw(&s, &r);
		s.plan.loss_ppm = sim_random(&r, 4) * 50000;
		s.plan.dup_ppm = sim_random(&r, 4) * 60000;
		s.plan.reorder_ppm = sim_random(&r, 4) * 80000;
		s.plan.stray_ppm = sim_random(&r, 3) * 20000;
		started = s.now_ns;
		assert_true(sim_run(&s));
		if (s.client.state == TFTP_FINISHED) {
			ok++;
			assert_true(whole(&s));
			if (s.params.write)
				assert_true(s.committed);
		} else {
			failed++;
			assert_int_not_equal(s.client.failure, TFTP_OK);
		}
		/* sixty blocks, each at most all retries apart */
		assert_true(s.now_ns - started < UINT64_C(62) * 90 * 1000000000);
		/* going back to the lost block costs up to a window each time, but never more */
		assert_true(s.data_sent <=
			    (8 + s.client.windowsize) * (s.size / s.client.blksize + 2));
		assert_int_equal(s.dropped, 0);
		sim_done(&s);
	}
	print_message("%u transfers ended well, %u failed\n", ok, failed);
	assert_true(ok > 11900);
}

/* A peer that cuts, overwrites and invents packets: the machines end, in time, and a file that is called right is right.
 * What the owner of the machine does (compare each byte) is done here with `whole`. */
static void test_lying_peer(void **state)
{
	static struct sim s;
	unsigned fine = 0, caught = 0, failed = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 12000; seed++) {
		struct sim_source r = { .pick = sim_random, .state = seed << 24 | 5 };

		sim_prepare(&s, &r);
		sim_draw(&s, &r);
		s.limits.max_bytes = s.size + 60000;
		s.params.max_bytes = s.size + 60000;
		s.plan.lie_ppm = 1000 + sim_random(&r, 300000);
		s.plan.loss_ppm = sim_random(&r, 3) * 50000;
		s.plan.mute_client = !sim_random(&r, 10);
		assert_true(sim_run(&s));
		assert_true(tftp_client_over(&s.client));
		assert_true(!s.reply_live || tftp_reply_over(&s.reply));
		if (s.client.state == TFTP_FAILED)
			failed++;
		else if (whole(&s))
			fine++;
		else
			caught++;
		assert_true(s.peak < SIM_FLIGHT);
		sim_done(&s);
	}
	print_message("%u whole, %u wrong and seen by comparing, %u failed\n", fine, caught,
		      failed);
	assert_true(failed > 1000 && fine > 1000);
}

/* RFC 1123 section 4.2.3.1: every packet repeated by the network, and yet each block crosses once. */
static void test_no_sorcerers_apprentice(void **state)
{
	static struct sim s;

	(void)state;
	for (int write = 0; write < 2; write++) {
		struct sim_source r = { .pick = sim_random, .state = 1 };

		sim_prepare(&s, &r);
		s.params.write = write;
		s.params.size = s.size = 512 * 200;
		s.plan.dup_ppm = 1000000;
		assert_true(sim_run(&s));
		assert_int_equal(s.client.state, TFTP_FINISHED);
		assert_true(whole(&s));
		/* repeats come up to 0.3 s late, where a lost ACK is possible, so a few re-ACKs are right: none breeds another */
		assert_true(s.data_sent == 201);
		sim_done(&s);
	}
}

static void test_rollover(void **state)
{
	static struct sim s;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct sim_source r = { .pick = sim_random, .state = i };

		sim_prepare(&s, &r);
		s.plan.delay_ns = 1000;
		s.params.write = i & 1;
		s.params.size = s.size = 8 * 131073 - 8 * 2;
		s.params.ask.set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE;
		s.params.ask.blksize = 8;
		s.params.ask.windowsize = i & 2 ? 1 : 64;
		if (i & 4) {
			s.params.ask.set |= TFTP_OPT_ROLLOVER;
			s.params.ask.rollover = 1;
		}
		/* 131072 blocks need more steps than SIM_STEPS in lockstep: DATA and ACK each */
		assert_true(sim_run(&s));
		assert_int_equal(s.client.state, TFTP_FINISHED);
		assert_true(whole(&s));
		sim_done(&s);
	}
}

/* A lockstep server that goes from 65535 to 1 without saying so. */
static void test_rollover_guessed(void **state)
{
	struct tftp_receiver r;
	uint64_t now = 1;

	(void)state;
	tftp_receiver_init(&r, 8, 1, 0, 100);
	r.guess_rollover = true;
	for (uint32_t i = 1; i <= 70000; i++)
		assert_int_equal(tftp_receiver_block(&r, tftp_wire(i, 1), 8, now++),
				 TFTP_RX_TAKE_ACK);
	/* not in a window, where block 1 may be the one after the lost block 0 */
	tftp_receiver_init(&r, 8, 4, 0, 100);
	r.guess_rollover = true;
	r.last = 65535;
	assert_int_equal(tftp_receiver_block(&r, 1, 8, now), TFTP_RX_ACK);
}

static void test_gap_gets_one_ack(void **state)
{
	struct tftp_receiver r;

	(void)state;
	tftp_receiver_init(&r, 512, 8, 0, 1000);
	assert_int_equal(tftp_receiver_block(&r, 1, 512, 1), TFTP_RX_TAKE);
	assert_int_equal(tftp_receiver_block(&r, 3, 512, 2), TFTP_RX_ACK);
	for (uint16_t b = 4; b <= 8; b++)
		assert_int_equal(tftp_receiver_block(&r, b, 512, 3), TFTP_RX_IGNORE);
	/* the window begins again at 2, whose loss is reported again */
	assert_int_equal(tftp_receiver_block(&r, 3, 512, 4), TFTP_RX_ACK);
	assert_int_equal(tftp_receiver_block(&r, 4, 512, 4), TFTP_RX_IGNORE);
	for (uint16_t b = 2; b <= 8; b++)
		assert_int_equal(tftp_receiver_block(&r, b, 512, 5), TFTP_RX_TAKE);
	assert_int_equal(tftp_receiver_block(&r, 9, 512, 5), TFTP_RX_TAKE_ACK);
	/* beyond the window, or far behind: not ours */
	assert_int_equal(tftp_receiver_block(&r, 18, 512, 6), TFTP_RX_IGNORE);
	assert_int_equal(tftp_receiver_block(&r, 9, 512, 7), TFTP_RX_IGNORE);
	assert_int_equal(tftp_receiver_block(&r, 9, 512, 2000), TFTP_RX_ACK);
}

static void test_sender_window(void **state)
{
	struct tftp_sender s;
	uint64_t first = 0;

	(void)state;
	tftp_sender_init(&s, 512, 8, 0, 512 * 100);
	assert_int_equal(tftp_sender_take(&s, 64, &first), 8);
	assert_int_equal(first, 1);
	assert_false(tftp_sender_ack(&s, 9)); /* never sent */
	assert_false(tftp_sender_ack(&s, 65535));
	assert_int_equal(s.stray_acks, 2);
	assert_true(tftp_sender_ack(&s, 4)); /* a gap: begin again at 5 */
	assert_int_equal(tftp_sender_take(&s, 64, &first), 8);
	assert_int_equal(first, 5);
	assert_int_equal(s.resent, 4);
	assert_true(tftp_sender_ack(&s, 12));
	assert_int_equal(tftp_sender_take(&s, 64, &first), 8);
	/* the first block of the window was lost: once */
	assert_true(tftp_sender_ack(&s, 12));
	assert_int_equal(tftp_sender_take(&s, 64, &first), 8);
	assert_int_equal(first, 13);
	assert_false(tftp_sender_ack(&s, 12));
}

/* A client that acknowledges each packet of a window (a firmware did) must not multiply what is sent. */
static void test_sender_creeping_acks(void **state)
{
	struct tftp_sender s;
	uint16_t queue[4096];
	unsigned head = 0, tail = 0, sent = 0;
	uint64_t first, last = 0;

	(void)state;
	tftp_sender_init(&s, 512, 8, 0, 512 * 399);
	do {
		uint32_t n;

		while ((n = tftp_sender_take(&s, 64, &first)) > 0) {
			sent += n;
			for (uint64_t b = first; b < first + n; b++) {
				if (b == last + 1)
					last = b;
				assert_true(tail < 4096);
				queue[tail++] = (uint16_t)last;
			}
		}
		assert_true(head < tail);
		tftp_sender_ack(&s, queue[head++]);
	} while (!s.finished);
	assert_true(sent < 3 * 400);
}

struct wire {
	unsigned acks, errors, requests, others;
	uint16_t error_code;
	unsigned rejected;
	uint16_t reject_code;
	uint64_t delivered;
	uint16_t last_ack;
};

static void wire_send(void *ctx, const void *packet, size_t len)
{
	struct wire *w = ctx;
	const uint8_t *b = packet;

	assert_true(len >= 4);
	if (b[1] == TFTP_ACK) {
		w->acks++;
		w->last_ack = (uint16_t)(b[2] << 8 | b[3]);
	} else if (b[1] == TFTP_ERROR) {
		w->errors++;
		w->error_code = b[3];
	} else if (b[1] == TFTP_RRQ || b[1] == TFTP_WRQ) {
		w->requests++;
	}
}

static uint32_t wire_blocks(void *ctx, uint64_t first, uint32_t count)
{
	struct wire *w = ctx;

	(void)first;
	w->others += count;
	return count;
}

static void wire_reject(void *ctx, const void *packet, size_t len)
{
	struct wire *w = ctx;

	assert_true(len >= 5);
	w->rejected++;
	w->reject_code = ((const uint8_t *)packet)[3];
}

static void wire_deliver(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct wire *w = ctx;

	(void)data;
	assert_true(offset == w->delivered);
	w->delivered += len;
}

static const struct tftp_client_ops wire_ops = { wire_send, wire_blocks, wire_reject,
						 wire_deliver };
static const struct tftp_client_params read_params = {
	.file = "f",
	.rollover = -1,
	.timeout_ns = 1000,
	.retries = 3,
	.ask = { .set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE, .blksize = 1024, .windowsize = 4 },
};
static const struct tftp_tid peer = { .port = 7 }, stranger = { .port = 8 },
			     far = { .host = { 1 }, .port = 7 };

#define INPUT(c, from, literal, now) tftp_client_input(c, from, literal, sizeof(literal) - 1, now)

/* The second answer to a repeated request, a packet of another host: ERROR 5 for them, no harm for us. */
static void test_strangers(void **state)
{
	struct wire w = { 0 };
	struct tftp_client c;

	(void)state;
	tftp_client_start(&c, &read_params, &wire_ops, &w, 0);
	INPUT(&c, &far, "\0\3\0\1x", 1);
	assert_int_equal(c.state, TFTP_REQUESTED);
	assert_int_equal(w.rejected, 1);
	INPUT(&c, &peer,
	      "\0\6blksize\0"
	      "1024\0",
	      2);
	assert_int_equal(c.state, TFTP_RUNNING);
	INPUT(&c, &stranger,
	      "\0\6blksize\0"
	      "8\0",
	      3);
	INPUT(&c, &stranger, "\0\3\0\1evil", 3);
	assert_int_equal(w.rejected, 3);
	assert_int_equal(w.reject_code, TFTP_E_UNKNOWN_TID);
	/* an ERROR is not answered */
	INPUT(&c, &stranger, "\0\5\0\1no\0", 3);
	assert_int_equal(w.rejected, 3);
	INPUT(&c, &peer, "\0\3\0\1good", 4);
	assert_int_equal(c.state, TFTP_FINISHED);
	assert_int_equal(w.delivered, 4);
	assert_int_equal(c.strangers, 4);
	/* the last ACK was lost: it is repeated as long as we are asked */
	INPUT(&c, &peer, "\0\3\0\1good", 1000);
	assert_int_equal(w.acks, 3);
	assert_int_equal(w.delivered, 4);
}

static enum tftp_failure answer(const char *bytes, size_t len, const struct tftp_client_params *p,
				struct wire *w)
{
	struct tftp_client c;

	memset(w, 0, sizeof(*w));
	tftp_client_start(&c, p, &wire_ops, w, 0);
	tftp_client_input(&c, &peer, bytes, len, 1);
	return c.failure;
}
#define ANSWER(literal, p, w) answer(literal, sizeof(literal) - 1, p, w)

static void test_oack_refused(void **state)
{
	struct tftp_client_params put = read_params;
	struct wire w;

	(void)state;
	assert_int_equal(ANSWER("\0\6blksize\0"
				"1024\0windowsize\0"
				"2\0",
				&read_params, &w),
			 TFTP_OK);
	/* may only lower */
	assert_int_equal(ANSWER("\0\6blksize\0"
				"1025\0",
				&read_params, &w),
			 TFTP_OPTION_REFUSED);
	assert_int_equal(w.error_code, TFTP_E_OPTION);
	assert_int_equal(ANSWER("\0\6windowsize\0"
				"5\0",
				&read_params, &w),
			 TFTP_OPTION_REFUSED);
	assert_int_equal(ANSWER("\0\6windowsize\0"
				"0\0",
				&read_params, &w),
			 TFTP_OPTION_REFUSED);
	assert_int_equal(ANSWER("\0\6timeout\0"
				"1\0",
				&read_params, &w),
			 TFTP_OPTION_REFUSED);
	assert_int_equal(ANSWER("\0\6foo_blksize_bar\0"
				"1024\0",
				&read_params, &w),
			 TFTP_OPTION_REFUSED);
	assert_int_equal(ANSWER("\0\5\0\10no\0", &read_params, &w), TFTP_OPTION_REFUSED);
	assert_int_equal(ANSWER("\0\5\0\1no\0", &read_params, &w), TFTP_SERVER_ERROR);
	/* a read answered like a write gets no bytes of ours; and the other way round */
	assert_int_equal(ANSWER("\0\4\0\0", &read_params, &w), TFTP_MALFORMED);
	assert_int_equal(w.others, 0);
	put.write = true;
	put.size = 5000;
	assert_int_equal(ANSWER("\0\3\0\1abc", &put, &w), TFTP_MALFORMED);
	assert_int_equal(w.delivered, 0);
	assert_int_equal(ANSWER("\0\4\0\0", &put, &w), TFTP_OK);
	assert_int_equal(w.others, 1);
}

static void test_sizes_announced(void **state)
{
	struct tftp_client_params p = read_params;
	struct wire w = { 0 };
	struct tftp_client c;

	(void)state;
	p.ask.set |= TFTP_OPT_TSIZE;
	tftp_client_start(&c, &p, &wire_ops, &w, 0);
	INPUT(&c, &peer,
	      "\0\6tsize\0"
	      "5\0",
	      1);
	INPUT(&c, &peer, "\0\3\0\1abcd", 2);
	assert_int_equal(c.failure, TFTP_SHORT);
	tftp_client_start(&c, &p, &wire_ops, memset(&w, 0, sizeof(w)), 0);
	INPUT(&c, &peer,
	      "\0\6tsize\0"
	      "3\0",
	      1);
	INPUT(&c, &peer, "\0\3\0\1abcd", 2);
	assert_int_equal(c.failure, TFTP_LONG);
}

static void test_no_answer(void **state)
{
	struct wire w = { 0 };
	struct tftp_client c;
	uint64_t now = 0;

	(void)state;
	tftp_client_start(&c, &read_params, &wire_ops, &w, 0);
	tftp_client_expire(&c, 999);
	assert_int_equal(w.requests, 1);
	while (!tftp_client_over(&c)) {
		now = c.deadline_ns;
		tftp_client_expire(&c, now);
	}
	assert_int_equal(c.failure, TFTP_NO_REPLY);
	assert_int_equal(w.requests, 4);
	assert_int_equal(now, 1000 + 2000 + 4000 + 8000);
}

/* What atftpd sends as its first retransmission is no packet: counted, and the transfer goes on. */
static void test_malformed_is_survived(void **state)
{
	struct wire w = { 0 };
	struct tftp_client c;

	(void)state;
	tftp_client_start(&c, &read_params, &wire_ops, &w, 0);
	INPUT(&c, &peer,
	      "\0\6blksize\0"
	      "8\0",
	      1);
	INPUT(&c, &peer, "\0\3\0", 2);
	INPUT(&c, &peer,
	      "\0\3\0\1"
	      "123456789",
	      2);
	assert_int_equal(c.malformed, 2);
	assert_int_equal(w.delivered, 0);
	INPUT(&c, &peer, "\0\3\0\1abc", 3);
	assert_int_equal(c.state, TFTP_FINISHED);
	tftp_client_start(&c, &read_params, &wire_ops, memset(&w, 0, sizeof(w)), 0);
	INPUT(&c, &peer,
	      "\0\6blksize\0"
	      "8\0",
	      1);
	for (int i = 0; i < 20; i++)
		INPUT(&c, &peer, "\0\3\0", 2);
	assert_int_equal(c.failure, TFTP_MALFORMED);
}

/* Packets of the peer after the end change nothing and cannot make it send for ever. */
static void test_after_the_end(void **state)
{
	struct wire w = { 0 };
	struct tftp_client c;

	(void)state;
	tftp_client_start(&c, &read_params, &wire_ops, &w, 0);
	INPUT(&c, &peer, "\0\5\0\1gone\0", 1);
	assert_string_equal(c.text, "gone");
	INPUT(&c, &peer, "\0\3\0\1abc", 2);
	INPUT(&c, &peer,
	      "\0\6blksize\0"
	      "8\0",
	      2);
	assert_int_equal(c.failure, TFTP_SERVER_ERROR);
	assert_int_equal(w.delivered, 0);
	assert_int_equal(w.acks, 0);
	assert_int_equal(c.deadline_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_damaged_network),
		cmocka_unit_test(test_lying_peer),
		cmocka_unit_test(test_no_sorcerers_apprentice),
		cmocka_unit_test(test_rollover),
		cmocka_unit_test(test_rollover_guessed),
		cmocka_unit_test(test_gap_gets_one_ack),
		cmocka_unit_test(test_sender_window),
		cmocka_unit_test(test_sender_creeping_acks),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_oack_refused),
		cmocka_unit_test(test_sizes_announced),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_malformed_is_survived),
		cmocka_unit_test(test_after_the_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
