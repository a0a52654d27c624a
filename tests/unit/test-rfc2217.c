#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/rawrepl.h"
#include "proto/rfc2217.h"

#define WILL(o) "\xff\xfb" o
#define WONT(o) "\xff\xfc" o
#define DO(o) "\xff\xfd" o
#define DONT(o) "\xff\xfe" o
#define SUB(body) "\xff\xfa\x2c" body "\xff\xf0"
#define PORT "\x2c"
#define BIN "\x00"
#define SGA "\x03"
#define ECHO "\x01"

static const struct rfc2217_client_params all_wanted = {
	.settings = RFC2217_SETTINGS_8N1,
	.set_lines = true,
	.dtr = true,
	.rts = false,
	.purge = true,
};

static void drain(struct rfc2217_client *c, struct buf *sent, const char *between)
{
	const uint8_t *p;
	size_t n;

	while ((n = rfc2217_client_pull(c, &p)) > 0) {
		assert_int_equal(buf_add(sent, p, n), 0);
		buf_adds(sent, between);
	}
}

static void note(struct buf *log, const struct rfc2217_client *c, const struct rfc2217_event *ev)
{
	char quoted[300];

	switch (ev->kind) {
	case RFC2217_EV_NONE:
	case RFC2217_EV_OTHER:
		break;
	case RFC2217_EV_DATA:
		buf_adds(log, rawrepl_quote(quoted, sizeof(quoted), ev->data, ev->len));
		break;
	case RFC2217_EV_ANSWER:
		buf_addf(log, " %s=%u", c->item[ev->item].name, (unsigned)ev->value);
		break;
	case RFC2217_EV_LINESTATE:
		buf_addf(log, " line%u", (unsigned)ev->value);
		break;
	case RFC2217_EV_MODEMSTATE:
		buf_addf(log, " modem%u", (unsigned)ev->value);
		break;
	case RFC2217_EV_FLOW:
		buf_addf(log, " flow%u", (unsigned)ev->value);
		break;
	case RFC2217_EV_SIGNATURE:
		buf_addf(log, " signature:%s", c->signature);
		break;
	}
}

static void feed(struct rfc2217_client *c, const char *data, size_t len, uint64_t now,
		 struct buf *log, struct buf *sent)
{
	char *copy = test_malloc(len);
	size_t at = 0;

	memcpy(copy, data, len);
	while (at < len) {
		struct rfc2217_event ev;
		size_t used = rfc2217_client_feed(c, copy + at, len - at, now, &ev);

		assert_in_range(used, 1, len - at);
		note(log, c, &ev);
		at += used;
		drain(c, sent, "");
	}
	test_free(copy);
}

#define FEED(c, text, now, log, sent) feed(c, text, sizeof(text) - 1, now, log, sent)

#define TELNET_BURST DO(ECHO) WILL(SGA) DO(SGA) WILL(BIN) DO(BIN) WILL(PORT)
#define SETTINGS \
	SUB("\x01\x00\x01\xc2\x00") SUB("\x02\x08") SUB("\x03\x01") SUB("\x04\x01") SUB("\x05\x01")

static void assert_sent(const struct buf *sent, const char *want, size_t len)
{
	assert_int_equal(sent->len, len);
	assert_memory_equal(buf_text(sent), want, len);
}
#define ASSERT_SENT(sent, want) assert_sent(sent, want, sizeof(want) - 1)

/* The bytes of the reference servers, fed at every split: pyserial's PortManager and ser2net over a pty (which leaves
 * DTR and RTS unanswered). */
static const struct {
	const char *hello, *acks;
	size_t hello_len, ack_len;
	const char *events;
	enum rfc2217_stage stage;
} servers[] = {
#define SERVER(hello, acks, events, stage) \
	{ \
		(hello), (acks), sizeof(hello) - 1, sizeof(acks) - 1, (events), (stage) \
	}
	SERVER(WILL(ECHO) WILL(SGA) DO(BIN) WILL(PORT) DO(SGA) WILL(BIN) DO(PORT) SUB("\x6b\xb0"),
	       SUB("\x65\x00\x01\xc2\x00") SUB("\x66\x08") SUB("\x67\x01") SUB("\x68\x01") SUB(
		       "\x69\x01") SUB("\x69\x08") SUB("\x69\x0c") SUB("\x70\x01") SUB("\x70\x02"),
	       " binary=1 com-port=1 modem176 baud=115200 datasize=8 parity=1 stopsize=1 flow=1 dtr=8 "
	       "rts=12 purge-rx=1 purge-tx=2",
	       RFC2217_STAGE_READY),
	SERVER(WILL(SGA) DO(SGA) WILL(ECHO) DONT(ECHO) DO(BIN) WILL(BIN) DO(PORT) SUB("\x6b\x00"),
	       SUB("\x65\x00\x01\xc2\x00") SUB("\x66\x08") SUB("\x67\x01") SUB("\x68\x01")
		       SUB("\x69\x01") SUB("\x70\x01") SUB("\x70\x02"),
	       " binary=1 com-port=1 modem0 baud=115200 datasize=8 parity=1 stopsize=1 flow=1 purge-rx=1 "
	       "purge-tx=2",
	       RFC2217_STAGE_OPTIONAL),
};

static void open_at_split(size_t which, size_t cut)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	const char *hello = servers[which].hello, *acks = servers[which].acks;
	size_t len = servers[which].hello_len, ack_len = servers[which].ack_len;
	struct rfc2217_client c;

	rfc2217_client_init(&c, &all_wanted);
	rfc2217_client_start(&c, 100);
	drain(&c, &sent, "");
	ASSERT_SENT(&sent, TELNET_BURST);
	buf_clear(&sent);
	feed(&c, hello, cut < len ? cut : len, 200, &log, &sent);
	feed(&c, hello + (cut < len ? cut : len), len - (cut < len ? cut : len), 201, &log, &sent);
	assert_int_equal(c.stage, RFC2217_STAGE_SETTINGS);
	assert_true(rfc2217_client_awaits_required(&c));
	/* What the server says on its own is answered once, what we asked never. */
	if (which == 0)
		ASSERT_SENT(&sent, DO(PORT) SETTINGS SUB("\x05\x08") SUB("\x05\x0c") SUB("\x0c\x01")
					   SUB("\x0c\x02"));
	else
		ASSERT_SENT(&sent, SETTINGS SUB("\x05\x08") SUB("\x05\x0c") SUB("\x0c\x01")
					   SUB("\x0c\x02"));
	cut = cut < ack_len ? cut : ack_len;
	feed(&c, acks, cut, 300, &log, &sent);
	feed(&c, acks + cut, ack_len - cut, 300, &log, &sent);
	assert_string_equal(buf_text(&log), servers[which].events);
	assert_int_equal(c.stage, servers[which].stage);
	assert_false(rfc2217_client_awaits_required(&c));
	if (c.stage == RFC2217_STAGE_OPTIONAL) {
		rfc2217_client_expire(&c, 400);
		assert_int_equal(c.stage, RFC2217_STAGE_READY);
		assert_int_equal(c.item[RFC2217_ITEM_DTR].answered_ns, 0);
		assert_true(c.item[RFC2217_ITEM_RTS].expired);
		/* A late answer still counts as one. */
		FEED(&c, SUB("\x69\x08"), 500, &log, &sent);
		assert_int_equal(c.item[RFC2217_ITEM_DTR].answered_ns, 500);
	}
	assert_int_equal(c.item[RFC2217_ITEM_COM_PORT].asked_ns, 100);
	assert_in_range(c.item[RFC2217_ITEM_COM_PORT].answered_ns, 200, 201);
	assert_int_equal(c.item[RFC2217_ITEM_BAUD].answered_ns, 300);
}

static void test_servers_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		for (size_t cut = 0; cut <= servers[i].ack_len; cut++)
			open_at_split(i, cut);
}

/* Every answer of the table, on an opened client. */
static void test_answers(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *events;
	} rows[] = {
#define ANSWER(in, events) { (in), sizeof(in) - 1, (events) }
		ANSWER(SUB("\x64ser2net"), " signature:ser2net"),
		ANSWER(SUB("\x65\xff\xff\xff\xff\xff\xff\x00"), " baud=4294967040"),
		ANSWER(SUB("\x65\x0e"), " baud=115200"),
		ANSWER(SUB("\x66\x07"), " datasize=7"),
		ANSWER(SUB("\x67\x03"), " parity=3"),
		ANSWER(SUB("\x68\x03"), " stopsize=3"),
		ANSWER(SUB("\x69\x03"), " flow=3"),
		ANSWER(SUB("\x69\x11"), " flow=17"),
		ANSWER(SUB("\x69\x05"), " break=5"),
		ANSWER(SUB("\x69\x09"), " dtr=9"),
		ANSWER(SUB("\x69\x07"), ""),
		ANSWER(SUB("\x69\x0b"), " rts=11"),
		ANSWER(SUB("\x69\x0e"), ""),
		ANSWER(SUB("\x6a\x10"), " line16"),
		ANSWER(SUB("\x6b\xff\xff"), " modem255"),
		ANSWER(SUB("\x6c"), " flow1"),
		ANSWER(SUB("\x6d"), " flow0"),
		ANSWER(SUB("\x70\x01"), " purge-rx=1"),
		ANSWER(SUB("\x70\x02"), " purge-tx=2"),
		ANSWER(SUB("\x70\x03"), " purge-rx=3"),
		ANSWER(SUB("\x01\x00"), ""),
		ANSWER(SUB(""), ""),
		ANSWER(SUB("\xc8\x01"), ""),
		ANSWER(SUB("\x65"), ""),
		ANSWER("\xff\xfa\x18\x01\xff\xf0", ""),
		ANSWER("a\xff\xff"
		       "b",
		       "a\\xffb"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut = 0; cut <= rows[i].len; cut++) {
			CLEANUP(buf_done) struct buf log = BUF_INIT;
			CLEANUP(buf_done) struct buf sent = BUF_INIT;
			struct rfc2217_client c;

			rfc2217_client_init(&c, &all_wanted);
			rfc2217_client_start(&c, 1);
			for (int id = RFC2217_ITEM_BAUD; id < RFC2217_ITEMS; id++) {
				assert_int_equal(
					rfc2217_client_ask(&c, (enum rfc2217_item_id)id, 1, 2), 0);
				drain(&c, &sent, "");
			}
			feed(&c, rows[i].in, cut, 5, &log, &sent);
			feed(&c, rows[i].in + cut, rows[i].len - cut, 5, &log, &sent);
			assert_string_equal(buf_text(&log), rows[i].events);
		}
	}
}

/* pyserial's order: five sends, then one group after the other, moved on only by advance. */
static void test_pyserial_order(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	struct rfc2217_client_params p = all_wanted;
	struct rfc2217_client c;
	struct rfc2217_event ev;

	(void)state;
	p.order = RFC2217_PYSERIAL;
	rfc2217_client_init(&c, &p);
	rfc2217_client_start(&c, 1);
	drain(&c, &sent, "|");
	ASSERT_SENT(&sent, DO(ECHO) "|" WILL(SGA) "|" DO(SGA) "|" DO(PORT) "|" WILL(PORT) "|");
	buf_clear(&sent);
	assert_int_equal(rfc2217_client_feed(&c, DO(PORT), 3, 2, &ev), 3);
	drain(&c, &sent, "|");
	assert_int_equal(sent.len, 0);
	rfc2217_client_advance(&c, 3);
	drain(&c, &sent, "|");
	ASSERT_SENT(&sent, SUB("\x01\x00\x01\xc2\x00") SUB("\x02\x08") SUB("\x03\x01")
				   SUB("\x04\x01") "|");
	buf_clear(&sent);
	FEED(&c, SUB("\x65\x00\x01\xc2\x00") SUB("\x66\x08") SUB("\x67\x01"), 4, &log, &sent);
	rfc2217_client_advance(&c, 5);
	drain(&c, &sent, "|");
	assert_int_equal(sent.len, 0);
	FEED(&c, SUB("\x68\x01"), 6, &log, &sent);
	rfc2217_client_advance(&c, 7);
	drain(&c, &sent, "|");
	ASSERT_SENT(&sent, SUB("\x05\x01") "|");
	buf_clear(&sent);
	FEED(&c, SUB("\x69\x01"), 8, &log, &sent);
	rfc2217_client_advance(&c, 9);
	drain(&c, &sent, "|");
	ASSERT_SENT(&sent, SUB("\x05\x08") "|");
	assert_false(rfc2217_client_awaits_required(&c));
	/* DTR is never answered: given up, the next is asked. */
	buf_clear(&sent);
	rfc2217_client_expire(&c, 10);
	drain(&c, &sent, "|");
	ASSERT_SENT(&sent, SUB("\x05\x0c") "|");
	FEED(&c, SUB("\x69\x0c"), 11, &log, &sent);
	rfc2217_client_advance(&c, 12);
	FEED(&c, SUB("\x70\x01"), 13, &log, &sent);
	rfc2217_client_advance(&c, 14);
	assert_int_not_equal(c.stage, RFC2217_STAGE_READY);
	FEED(&c, SUB("\x70\x02"), 15, &log, &sent);
	rfc2217_client_advance(&c, 16);
	assert_int_equal(c.stage, RFC2217_STAGE_READY);
	assert_int_equal(c.item[RFC2217_ITEM_RTS].asked_ns, 10);
	assert_int_equal(c.item[RFC2217_ITEM_RTS].answered_ns, 11);
}

static void test_failures_name_their_option(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	struct rfc2217_client c;
	struct err e;

	(void)state;
	rfc2217_client_init(&c, &all_wanted);
	rfc2217_client_start(&c, 1);
	drain(&c, &sent, "");
	FEED(&c, ">>> ", 2, &log, &sent);
	rfc2217_client_expire(&c, 3);
	assert_int_equal(c.stage, RFC2217_STAGE_FAILED);
	assert_int_equal(rfc2217_client_error(&c, &e), -1);
	assert_non_null(strstr(e.msg, "sent plain data only"));

	rfc2217_client_init(&c, &all_wanted);
	rfc2217_client_start(&c, 1);
	drain(&c, &sent, "");
	FEED(&c, DONT(PORT), 2, &log, &sent);
	assert_int_equal(c.stage, RFC2217_STAGE_FAILED);
	rfc2217_client_error(&c, &e);
	assert_string_equal(e.code, "refused");

	rfc2217_client_init(&c, &all_wanted);
	rfc2217_client_start(&c, 1);
	drain(&c, &sent, "");
	FEED(&c, DO(PORT) SUB("\x65\x00\x01\xc2\x00") SUB("\x67\x01") SUB("\x69\x01"), 2, &log,
	     &sent);
	rfc2217_client_expire(&c, 3);
	assert_int_equal(c.stage, RFC2217_STAGE_FAILED);
	rfc2217_client_error(&c, &e);
	assert_string_equal(e.code, "timeout");
	assert_non_null(strstr(e.msg, "option datasize, stopsize"));
	assert_null(strstr(e.msg, "dtr"));
}

/* Nothing that a server says makes the client talk without end, nor take what it has no room to answer. */
static void test_hostile_server(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	struct rfc2217_client c;
	struct rfc2217_event ev;
	size_t before;
	int stuck = 0;

	(void)state;
	rfc2217_client_init(&c, &all_wanted);
	rfc2217_client_start(&c, 1);
	drain(&c, &sent, "");
	FEED(&c, DO(PORT), 2, &log, &sent);
	before = sent.len;
	for (int i = 0; i < 10000; i++)
		FEED(&c, WILL(SGA) WONT(SGA) DO(PORT) DONT(PORT) SUB("\x64") WILL("\x63"), 3, &log,
		     &sent);
	assert_true(sent.len - before < 400);

	rfc2217_client_init(&c, &all_wanted);
	rfc2217_client_start(&c, 1);
	for (int i = 0; i < 256; i++) {
		char option[] = { '\xff', '\xfb', (char)i };

		stuck += rfc2217_client_feed(&c, option, 3, 2, &ev) == 0;
	}
	assert_true(stuck > 0);
	assert_true(c.out.len < sizeof(c.out.data));
	drain(&c, &sent, "");
	assert_int_equal(rfc2217_client_feed(&c, "x", 1, 2, &ev), 1);
}

static void test_numbers(void **state)
{
	uint8_t out[4];

	(void)state;
	rfc2217_put_u32(out, 0x01020304);
	assert_memory_equal(out, "\x01\x02\x03\x04", 4);
	assert_int_equal(rfc2217_get_u32(out), 0x01020304);
	for (unsigned code = 0; code < 256; code++)
		if (rfc2217_cisco_to_baud((uint8_t)code))
			assert_int_equal(
				rfc2217_baud_to_cisco(rfc2217_cisco_to_baud((uint8_t)code)), code);
	assert_int_equal(rfc2217_cisco_to_baud(8), 9600);
	assert_int_equal(rfc2217_baud_to_cisco(123456), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers_at_every_split),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_pyserial_order),
		cmocka_unit_test(test_failures_name_their_option),
		cmocka_unit_test(test_hostile_server),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
