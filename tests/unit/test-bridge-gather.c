#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "peer/bridge-gather.h"
#include "proto/rfc2217.h"

struct sink {
	struct bridge_gather g;
	struct loop *loop;
	struct buf got;
	unsigned pieces;
	uint64_t read_ns;
};

static void pass(struct bridge_gather *g, const void *data, size_t len, uint64_t read_ns)
{
	struct sink *s = CONTAINER_OF(g, struct sink, g);

	buf_add(&s->got, data, len);
	s->pieces++;
	s->read_ns = read_ns;
}

static void begin(struct sink *s, uint64_t delay_ns)
{
	struct err e;

	*s = (struct sink){ 0 };
	assert_int_equal(loop_new_fake(&s->loop, NS_PER_SEC, &e), 0);
	bridge_gather_init(&s->g, s->loop, delay_ns, pass);
}

static void end(struct sink *s)
{
	bridge_gather_done(&s->g);
	loop_free(s->loop);
	buf_done(&s->got);
}

static void run_for(struct sink *s, uint64_t ns)
{
	enum loop_end why;
	struct err e;
	uint64_t until = loop_now(s->loop) + ns;

	assert_int_equal(loop_run(s->loop, until, &why, &e), 0);
	if (loop_now(s->loop) < until)
		loop_advance(s->loop, until - loop_now(s->loop));
}

static void nothing_is_held_without_a_delay(void **state)
{
	struct sink s;

	(void)state;
	begin(&s, 0);
	bridge_gather_add(&s.g, "a", 1, 5);
	assert_int_equal(s.pieces, 1);
	bridge_gather_add(&s.g, "b", 1, 6);
	assert_int_equal(s.pieces, 2);
	assert_int_equal(s.read_ns, 6);
	assert_false(timer_is_set(&s.g.timer));
	end(&s);
}

static void small_pieces_become_one(void **state)
{
	struct sink s;

	(void)state;
	begin(&s, 5 * NS_PER_MS);
	bridge_gather_add(&s.g, "ab", 2, 100);
	run_for(&s, 4 * NS_PER_MS);
	bridge_gather_add(&s.g, "cd", 2, 200);
	assert_int_equal(s.pieces, 0);
	/* of the first byte, not of the last */
	run_for(&s, 2 * NS_PER_MS);
	assert_int_equal(s.pieces, 1);
	assert_int_equal(s.got.len, 4);
	assert_memory_equal(s.got.data, "abcd", 4);
	assert_int_equal(s.read_ns, 100);
	bridge_gather_add(&s.g, "e", 1, 300);
	bridge_gather_flush(&s.g);
	assert_int_equal(s.pieces, 2);
	assert_int_equal(s.read_ns, 300);
	bridge_gather_flush(&s.g);
	run_for(&s, 20 * NS_PER_MS);
	assert_int_equal(s.pieces, 2);
	end(&s);
}

static void what_is_held_is_bounded(void **state)
{
	static char block[BRIDGE_GATHER_MAX + 1];
	struct sink s;

	(void)state;
	begin(&s, NS_PER_SEC);
	for (int i = 0; i < 100; i++) {
		memset(block, i, 1000);
		bridge_gather_add(&s.g, block, 1000, 1);
		assert_true(s.g.held.len <= BRIDGE_GATHER_MAX);
	}
	assert_int_equal(s.got.len + s.g.held.len, 100 * 1000);
	/* more than there is room for goes on behind what was held */
	bridge_gather_add(&s.g, block, sizeof(block), 2);
	assert_int_equal(s.got.len, 100 * 1000 + sizeof(block));
	for (size_t i = 0; i < 100 * 1000; i++)
		assert_int_equal(s.got.data[i], i / 1000);
	end(&s);
}

static void who_is_full_gets_nothing(void **state)
{
	struct sink s;

	(void)state;
	begin(&s, NS_PER_MS);
	bridge_gather_add(&s.g, "a", 1, 1);
	bridge_gather_full(&s.g, true);
	run_for(&s, 10 * NS_PER_MS);
	assert_int_equal(s.pieces, 0);
	bridge_gather_full(&s.g, false);
	assert_int_equal(s.pieces, 1);
	bridge_gather_add(&s.g, "b", 1, 1);
	bridge_gather_full(&s.g, false);
	assert_int_equal(s.pieces, 1); /* its time has not come */
	end(&s);
}

static void settings_have_words(void **state)
{
	static const struct {
		enum rfc2217_command command;
		uint32_t value;
		const char *text;
	} rows[] = {
		{ RFC2217_SET_BAUDRATE, 4000000000, "baud 4000000000" },
		{ RFC2217_SET_DATASIZE, 7, "data bits 7" },
		{ RFC2217_SET_PARITY, 5, "parity space" },
		{ RFC2217_SET_PARITY, 0, "parity 0" },
		{ RFC2217_SET_STOPSIZE, 3, "stop bits 1.5" },
		{ RFC2217_SET_CONTROL, 3, "flow control RTS/CTS" },
		{ RFC2217_SET_CONTROL, 9, "DTR off" },
		{ RFC2217_SET_CONTROL, 19, "flow control by DSR" },
		{ RFC2217_SET_CONTROL, 7, "control 7" },
		{ RFC2217_SET_CONTROL, 4294967295, "control 4294967295" },
	};
	char text[RFC2217_SETTING_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(rfc2217_setting_text(text, rows[i].command, rows[i].value),
				    rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_held_without_a_delay),
		cmocka_unit_test(small_pieces_become_one),
		cmocka_unit_test(what_is_held_is_bounded),
		cmocka_unit_test(who_is_full_gets_nothing),
		cmocka_unit_test(settings_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
