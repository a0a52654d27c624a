#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/rawrepl.h"
#include "proto/telnet-option.h"
#include "proto/telnet.h"

struct row {
	const char *in;
	size_t len;
	const char *events;
};
#define ROW(in, events) \
	{ \
		(in), sizeof(in) - 1, (events) \
	}

static const struct row rows[] = {
	ROW("abc", " abc"),
	ROW("a\xff\xff"
	    "b\xff\xff\xff\xff",
	    " a\\xffb\\xff\\xff"),
	ROW("x\xff\xfd\x2cy\xff\xfb\x01\xff\xfc\x03\xff\xfe\xff", " x do44 y will1 wont3 dont255"),
	ROW("\xff\xfa\x2c\x01\xff\xff\xff\xff\xff\xff\x00\xff\xf0z",
	    " sub44[\\x01\\xff\\xff\\xff\\x00] z"),
	ROW("\xff\xfa\x2c\xff\xf0", " sub44[]"),
	ROW("\xff\xf3"
	    "a\xff\xf1\xff\xf6",
	    " cmd243 a cmd241 cmd246"),
	/* A subnegotiation broken off by another command. */
	ROW("\xff\xfa\x2c\x01\xff\xfd\x03"
	    "a",
	    " do3 a"),
	ROW("\xff\xfa\x2c\x01\xff\xfa\x2c\x05\x01\xff\xf0", " sub44[\\x05\\x01]"),
	ROW("\xff\xf0"
	    "a",
	    " cmd240 a"),
};

static void note(struct buf *log, enum telnet_event_kind *last, const struct telnet_event *ev)
{
	static const char *const verbs[] = { "will", "wont", "do", "dont" };
	char quoted[600];

	rawrepl_quote(quoted, sizeof(quoted), ev->data, ev->len);
	switch (ev->kind) {
	case TELNET_EV_NONE:
		return;
	case TELNET_EV_DATA:
		buf_addf(log, "%s%s", *last == TELNET_EV_DATA ? "" : " ", quoted);
		break;
	case TELNET_EV_OPTION:
		buf_addf(log, " %s%u", verbs[ev->command - TELNET_WILL], (unsigned)ev->option);
		break;
	case TELNET_EV_SUB:
		buf_addf(log, " sub%u[%s]%s", (unsigned)ev->option, quoted,
			 ev->truncated ? "cut" : "");
		break;
	case TELNET_EV_COMMAND:
		buf_addf(log, " cmd%u", (unsigned)ev->command);
		break;
	}
	*last = ev->kind;
}

static void feed(struct telnet *t, const char *data, size_t len, struct buf *log,
		 enum telnet_event_kind *last)
{
	char *copy = test_malloc(len);
	size_t at = 0;

	memcpy(copy, data, len);
	while (at < len) {
		struct telnet_event ev;
		size_t used = telnet_feed(t, copy + at, len - at, &ev);

		assert_in_range(used, 1, len - at);
		note(log, last, &ev);
		at += used;
	}
	test_free(copy);
}

static void test_every_row_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut = 0; cut <= rows[i].len + 1; cut++) {
			CLEANUP(buf_done) struct buf log = BUF_INIT;
			enum telnet_event_kind last = TELNET_EV_NONE;
			struct telnet t = { 0 };

			if (cut > rows[i].len) {
				for (size_t k = 0; k < rows[i].len; k++)
					feed(&t, rows[i].in + k, 1, &log, &last);
			} else {
				feed(&t, rows[i].in, cut, &log, &last);
				feed(&t, rows[i].in + cut, rows[i].len - cut, &log, &last);
			}
			assert_string_equal(buf_text(&log), rows[i].events);
		}
	}
}

static void test_endless_subnegotiation_is_cut(void **state)
{
	struct telnet t = { 0 };
	struct telnet_event ev;

	(void)state;
	telnet_feed(&t, "\xff\xfa\x2c", 3, &ev);
	for (int i = 0; i < 100000; i++) {
		telnet_feed(&t, "0123456789", 10, &ev);
		assert_int_equal(ev.kind, TELNET_EV_NONE);
	}
	telnet_feed(&t, "\xff\xf0", 2, &ev);
	assert_int_equal(ev.kind, TELNET_EV_SUB);
	assert_true(ev.truncated);
	assert_int_equal(ev.len, TELNET_SUB_MAX);
	telnet_feed(&t, "\xff\xfa\x2c\x01\xff\xf0", 6, &ev);
	assert_false(ev.truncated);
	assert_int_equal(ev.len, 1);
}

static void test_escape_gives_back_what_went_in(void **state)
{
	uint8_t data[600], wire[1200], back[600];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = seed >> 30 ? (uint8_t)(seed >> 16) : 0xff;
	}
	for (size_t room = 1; room < 40; room++) {
		struct telnet t = { 0 };
		size_t in = 0, n = 0, got = 0;

		while (in < sizeof(data)) {
			size_t used = 0;
			size_t wrote = telnet_escape(wire + n, room < 2 ? 2 : room, data + in,
						     sizeof(data) - in, &used);

			assert_true(used > 0 && wrote <= (room < 2 ? 2 : room));
			in += used;
			n += wrote;
		}
		for (size_t at = 0; at < n;) {
			struct telnet_event ev;

			at += telnet_feed(&t, wire + at, n - at, &ev);
			if (ev.kind == TELNET_EV_DATA) {
				memcpy(back + got, ev.data, ev.len);
				got += ev.len;
			}
		}
		assert_int_equal(got, sizeof(data));
		assert_memory_equal(back, data, sizeof(data));
	}
	assert_true(telnet_plain("abc", 3));
	assert_true(telnet_plain(NULL, 0));
	assert_false(telnet_plain("ab\xff", 3));
}

static void test_encoders(void **state)
{
	uint8_t out[16];

	(void)state;
	assert_int_equal(telnet_put_option(out, TELNET_WILL, 44), 3);
	assert_memory_equal(out, "\xff\xfb\x2c", 3);
	assert_int_equal(telnet_put_sub(out, sizeof(out), 44, "\x01\xff\xff\xff\x00", 5), 13);
	assert_memory_equal(out, "\xff\xfa\x2c\x01\xff\xff\xff\xff\xff\xff\x00\xff\xf0", 13);
	assert_int_equal(telnet_put_sub(out, 12, 44, "\x01\xff\xff\xff\x00", 5), 0);
	assert_int_equal(telnet_put_sub(out, 4, 44, "", 0), 0);
}

static size_t receive(struct telnet_options *o, uint8_t command, uint8_t option, uint8_t *answer)
{
	uint8_t out[3] = { 0 };
	size_t n = telnet_options_receive(o, command, option, out);

	*answer = out[1];
	return n;
}

/* RFC 1143: an answer to our question is never answered, a change always once, a repetition never. */
static void test_negotiation(void **state)
{
	struct telnet_options o = { 0 };
	uint8_t out[3], a;

	(void)state;
	telnet_options_add(&o, TELNET_COM_PORT, true, false);
	telnet_options_add(&o, TELNET_SGA, true, true);
	assert_int_equal(telnet_options_ask(&o, TELNET_WILL, TELNET_COM_PORT, out), 3);
	assert_int_equal(telnet_options_ask(&o, TELNET_WILL, TELNET_COM_PORT, out), 0);
	assert_int_equal(telnet_options_ask(&o, TELNET_WILL, 99, out), 0);
	assert_int_equal(telnet_options_us(&o, TELNET_COM_PORT), TELNET_WANTYES);
	assert_int_equal(receive(&o, TELNET_DO, TELNET_COM_PORT, &a), 0);
	assert_int_equal(receive(&o, TELNET_DO, TELNET_COM_PORT, &a), 0);
	assert_int_equal(telnet_options_us(&o, TELNET_COM_PORT), TELNET_YES);
	assert_int_equal(receive(&o, TELNET_DONT, TELNET_COM_PORT, &a), 3);
	assert_int_equal(a, TELNET_WONT);
	assert_int_equal(telnet_options_us(&o, TELNET_COM_PORT), TELNET_NO);
	assert_int_equal(receive(&o, TELNET_WILL, TELNET_COM_PORT, &a), 3);
	assert_int_equal(a, TELNET_DONT);
	assert_int_equal(receive(&o, TELNET_WILL, TELNET_COM_PORT, &a), 0);
	assert_int_equal(receive(&o, TELNET_WILL, TELNET_SGA, &a), 3);
	assert_int_equal(a, TELNET_DO);
	assert_int_equal(receive(&o, TELNET_WONT, TELNET_SGA, &a), 3);
	assert_int_equal(a, TELNET_DONT);
	assert_int_equal(telnet_options_ask(&o, TELNET_DO, TELNET_SGA, out), 3);
	assert_int_equal(receive(&o, TELNET_WONT, TELNET_SGA, &a), 0);
	assert_int_equal(telnet_options_him(&o, TELNET_SGA), TELNET_NO);
	assert_int_equal(receive(&o, TELNET_WONT, 77, &a), 0);
	assert_int_equal(receive(&o, TELNET_DONT, 77, &a), 0);
	assert_int_equal(receive(&o, TELNET_DO, 77, &a), 3);
	assert_int_equal(a, TELNET_WONT);
}

static void test_option_bomb_is_answered_in_bounds(void **state)
{
	static const uint8_t commands[] = { TELNET_WILL, TELNET_WONT, TELNET_DO, TELNET_DONT };
	struct telnet_options o = { 0 };
	size_t total = 0;
	uint8_t a;

	(void)state;
	telnet_options_add(&o, TELNET_SGA, true, true);
	for (int round = 0; round < 1000; round++)
		for (int option = 0; option < 256; option++)
			for (int i = 0; i < 4; i++)
				total += receive(&o, commands[i], (uint8_t)option, &a);
	assert_int_equal(total, (255 * 2 + TELNET_FLIPS_MAX) * 3);
	assert_true(o.dropped > 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_at_every_split),
		cmocka_unit_test(test_endless_subnegotiation_is_cut),
		cmocka_unit_test(test_escape_gives_back_what_went_in),
		cmocka_unit_test(test_encoders),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_option_bomb_is_answered_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
