#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "peer/bridge-repl.h"

#define BANNER \
	"MicroPython v1.27.0 on 2026-01-01; linux version\r\nType \"help()\" for more information.\r\n"
#define RAW "raw REPL; CTRL-B to exit\r\n>"

/* Feeds text in pieces of `piece`, gathers what the client gets; returns how often 0x01 was asked for. */
static int feed(struct bridge_repl *r, const char *text, size_t piece, struct buf *out)
{
	size_t len = strlen(text);
	int asked = 0;

	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		char *copy = test_malloc(n);
		struct bridge_repl_bytes got;

		memcpy(copy, text + at, n);
		asked += bridge_repl_output(r, copy, n, &got);
		buf_add(out, got.data, got.len);
		test_free(copy);
	}
	return asked;
}

static void test_raw_soft_reset_at_every_piece(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 120; piece++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT;
		struct bridge_repl r = { 0 };

		feed(&r, BANNER ">>> \r\n" RAW "OK\r\n", piece, &out);
		assert_string_equal(buf_text(&out), BANNER ">>> \r\n" RAW "OK\r\n");
		assert_int_equal(r.mode, BRIDGE_REPL_RAW);
		buf_clear(&out);
		assert_string_equal(bridge_repl_restart(&r, true), "MPY: soft reboot\r\n");
		assert_int_equal(feed(&r, "from boot.py\r\n" BANNER ">>> ", piece, &out), 1);
		assert_int_equal(feed(&r, "\r\n" RAW, piece, &out), 0);
		assert_string_equal(buf_text(&out), "from boot.py\r\n" RAW);
		assert_int_equal(r.state, BRIDGE_REPL_PASS);
		/* and a second time */
		assert_string_equal(bridge_repl_restart(&r, true), "MPY: soft reboot\r\n");
		assert_int_equal(r.state, BRIDGE_REPL_WAIT_PROMPT);
	}
}

static void test_friendly(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct bridge_repl r = { 0 };

	(void)state;
	feed(&r, BANNER ">>> \r\n", 1000, &out);
	assert_string_equal(bridge_repl_restart(&r, true), "MPY: soft reboot\r\n");
	assert_int_equal(r.state, BRIDGE_REPL_PASS);
	/* after 0x02 it is friendly again, before it is not, whatever is printed */
	feed(&r, BANNER ">>> \r\n" RAW, 7, &out);
	feed(&r, "OK>>> \x04\x04>", 7, &out);
	feed(&r, ">>> ", 4, &out);
	assert_int_equal(r.mode, BRIDGE_REPL_RAW);
	bridge_repl_input(&r, "\x02", 1);
	feed(&r, "\r\n" BANNER ">>> ", 5, &out);
	assert_int_equal(r.mode, BRIDGE_REPL_FRIENDLY);
}

static void test_no_repl_and_no_exit(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct bridge_repl r = { 0 };

	(void)state;
	feed(&r, "a program that prints lines\r\n", 3, &out);
	assert_string_equal(bridge_repl_restart(&r, true), "");
	feed(&r, BANNER ">>> \r\n" RAW, 11, &out);
	assert_string_equal(bridge_repl_restart(&r, false), "");
	assert_int_equal(r.state, BRIDGE_REPL_PASS);
	/* a device that says it itself */
	feed(&r, BANNER ">>> \r\n" RAW "OK\r\nMPY: soft reboot\r\n", 11, &out);
	assert_string_equal(bridge_repl_restart(&r, true), "");
	assert_int_equal(r.state, BRIDGE_REPL_WAIT_PROMPT);
}

static void test_start_without_prompt_is_bounded(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct bridge_repl_bytes rest;
	struct bridge_repl r = { 0 };
	char block[1001];

	(void)state;
	memset(block, 'x', 1000);
	block[1000] = '\0';
	feed(&r, BANNER ">>> \r\n" RAW, 1000, &out);
	bridge_repl_restart(&r, true);
	buf_clear(&out);
	for (int i = 0; i < 100; i++)
		feed(&r, block, 1000, &out);
	assert_int_equal(out.len, 0);
	bridge_repl_give_up(&r, &rest);
	assert_int_equal(rest.len, BRIDGE_REPL_HELD);
	assert_int_equal(r.state, BRIDGE_REPL_PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_soft_reset_at_every_piece),
		cmocka_unit_test(test_friendly),
		cmocka_unit_test(test_no_repl_and_no_exit),
		cmocka_unit_test(test_start_without_prompt_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
