#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/rawrepl.h"

#define BANNER \
	"MicroPython v1.29.0-preview on 2026-11-21; linux [GCC 12.2.0] version\r\n" \
	"Type \"help()\" for more information.\r\n"
#define RAW "raw REPL; CTRL-B to exit\r\n>"

enum op { WAIT, ENTER, INTERRUPT_ENTER, START, EXIT, RESET, EXEC, PASTE, FOLLOW };

static const char *const kind_name[] = {
	[RAWREPL_EV_PROMPT] = "PROMPT", [RAWREPL_EV_READY] = "READY",
	[RAWREPL_EV_REBOOT] = "REBOOT", [RAWREPL_EV_WINDOW] = "WINDOW",
	[RAWREPL_EV_CREDIT] = "CREDIT", [RAWREPL_EV_NO_PASTE] = "NO_PASTE",
	[RAWREPL_EV_ACCEPTED] = "OK",	[RAWREPL_EV_ABORTED] = "ABORTED",
	[RAWREPL_EV_STDOUT] = "out",	[RAWREPL_EV_STDERR] = "err",
	[RAWREPL_EV_DONE] = "DONE",	[RAWREPL_EV_LOST] = "LOST",
};

/* What a device answers to an operation, the events in order and the bytes that the host sent. Pieces of one
 * section are joined in the transcript, so it is the same for every split. */
struct row {
	enum op op;
	const char *code;
	const char *device;
	size_t device_len;
	const char *events;
	const char *sent;
	size_t sent_len;
	const char *text; /* NULL: not looked at */
};

#define S(text) (text), sizeof(text) - 1
#define RUN(op_, code_, device_, events_, sent_) \
	{ \
		.op = (op_), .code = (code_), .device = (device_), \
		.device_len = sizeof(device_) - 1, .events = (events_), .sent = (sent_), \
		.sent_len = sizeof(sent_) - 1, \
	}
#define RUN_TEXT(op_, device_, events_, sent_, text_) \
	{ \
		.op = (op_), .device = (device_), .device_len = sizeof(device_) - 1, \
		.events = (events_), .sent = (sent_), .sent_len = sizeof(sent_) - 1, \
		.text = (text_), \
	}

static void make_ready(struct rawrepl *r)
{
	struct rawrepl_event ev;
	const uint8_t *p;

	rawrepl_init(r);
	rawrepl_enter(r, RAWREPL_ENTER_PLAIN);
	assert_int_equal(rawrepl_pull(r, 0, &p), 1);
	assert_int_equal(rawrepl_feed(r, RAW, sizeof(RAW) - 1, &ev), sizeof(RAW) - 1);
	assert_int_equal(ev.kind, RAWREPL_EV_READY);
}

static void begin(struct rawrepl *r, const struct row *row)
{
	size_t len = row->code ? strlen(row->code) - 1 : 0;

	switch (row->op) {
	case WAIT:
		rawrepl_init(r);
		rawrepl_wait_prompt(r);
		return;
	case ENTER:
		rawrepl_init(r);
		rawrepl_enter(r, RAWREPL_ENTER_PLAIN);
		return;
	case INTERRUPT_ENTER:
		rawrepl_init(r);
		rawrepl_enter(r, RAWREPL_ENTER_INTERRUPT);
		return;
	case START:
		rawrepl_init(r);
		rawrepl_enter(r, RAWREPL_ENTER_START);
		return;
	case EXIT:
		make_ready(r);
		rawrepl_exit(r);
		return;
	case RESET:
		make_ready(r);
		assert_int_equal(rawrepl_soft_reset(r), 0);
		return;
	case EXEC:
		make_ready(r);
		assert_int_equal(rawrepl_exec(r, row->code, len), 0);
		return;
	case PASTE:
		make_ready(r);
		assert_int_equal(rawrepl_paste(r, row->code, len), 0);
		return;
	case FOLLOW:
		make_ready(r);
		assert_int_equal(rawrepl_follow(r), 0);
		return;
	}
}

static void pull_all(struct rawrepl *r, struct buf *sent)
{
	const uint8_t *p;
	size_t n;

	while ((n = rawrepl_pull(r, 0, &p)) > 0)
		assert_int_equal(buf_add(sent, p, n), 0);
}

static void note(struct buf *log, enum rawrepl_event_kind *last, const struct rawrepl_event *ev)
{
	char quoted[256];

	if (ev->kind == RAWREPL_EV_MORE)
		return;
	if (ev->kind != RAWREPL_EV_STDOUT && ev->kind != RAWREPL_EV_STDERR) {
		buf_addf(log, "%s%s", log->len ? " " : "", kind_name[ev->kind]);
	} else {
		if (*last != ev->kind)
			buf_addf(log, " %s:", kind_name[ev->kind]);
		buf_adds(log, rawrepl_quote(quoted, sizeof(quoted), ev->data, ev->len));
	}
	*last = ev->kind;
}

static void feed(struct rawrepl *r, const char *data, size_t len, struct buf *log,
		 enum rawrepl_event_kind *last, struct buf *sent)
{
	/* A block of exactly this size, so that a read beyond it is seen by the address sanitizer. */
	char *copy = test_malloc(len);
	size_t at = 0;

	memcpy(copy, data, len);
	while (at < len) {
		struct rawrepl_event ev;
		size_t used = rawrepl_feed(r, copy + at, len - at, &ev);

		assert_in_range(used, 1, len - at);
		note(log, last, &ev);
		at += used;
		pull_all(r, sent);
	}
	test_free(copy);
}

/* Feeds the answer in two pieces cut at `cut`, or (cut SIZE_MAX) byte by byte. */
static void run_row(const struct row *row, size_t cut)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	enum rawrepl_event_kind last = RAWREPL_EV_MORE;
	struct rawrepl r;

	begin(&r, row);
	pull_all(&r, &sent);
	if (cut == SIZE_MAX) {
		for (size_t i = 0; i < row->device_len; i++)
			feed(&r, row->device + i, 1, &log, &last, &sent);
	} else {
		if (cut)
			feed(&r, row->device, cut, &log, &last, &sent);
		if (cut < row->device_len)
			feed(&r, row->device + cut, row->device_len - cut, &log, &last, &sent);
	}
	assert_string_equal(buf_text(&log), row->events);
	assert_int_equal(sent.len, row->sent_len);
	assert_memory_equal(buf_text(&sent), row->sent, row->sent_len);
	if (row->text)
		assert_string_equal(r.text.data, row->text);
}

static const struct row rows[] = {
	RUN_TEXT(WAIT, BANNER ">>> ", "PROMPT", "", BANNER),
	RUN_TEXT(WAIT, "a>>> b\r\n>>>> \r\n>>> ", "PROMPT", "", "a>>> b\r\n>>>> \r\n"),
	RUN_TEXT(ENTER, "\r\n" RAW, "READY", "\x01", "\r\n"),
	RUN_TEXT(ENTER, RAW, "READY", "\x01", ""),
	RUN_TEXT(ENTER, "raraw REPLraw REPL; CTRL-B to exit\r\nraw " RAW, "READY", "\x01",
		 "raraw REPLraw REPL; CTRL-B to exit\r\nraw "),
	RUN_TEXT(INTERRUPT_ENTER, "\r\n>>> \r\n>>> \r\n>>> \r\n" RAW, "READY", "\r\x03\r\x01",
		 "\r\n>>> \r\n>>> \r\n>>> \r\n"),
	RUN(START, NULL, "\r\n>>> \r\n" RAW, "READY", "\r\x01"),
	RUN_TEXT(EXIT, "\r\n" BANNER ">>> ", "PROMPT", "\x02", "\r\n" BANNER),
	RUN(RESET, NULL, "OK\r\n", "OK", "\x04"),
	RUN_TEXT(RESET, "OK\r\nMPY: soft reboot\r\nhello from boot.py\r\n" RAW, "OK REBOOT READY",
		 "\x04", "hello from boot.py\r\n"),
	RUN_TEXT(RESET, "OK\r\n" RAW, "OK READY", "\x04", "\r\n"),
	RUN(RESET, NULL, "MPY: soft reboot\r\n", "LOST", "\x04"),
	RUN(EXEC, "pass\x04", "OK\x04\x04>", "OK DONE", "pass\x04"),
	RUN(EXEC, "print(1)\x04", "OK1\n\x04\x04>", "OK out:1\\n DONE", "print(1)\x04"),
	RUN(EXEC, "print(1)\x04", "OK1\r\n\x04\x04>", "OK out:1\\r\\n DONE", "print(1)\x04"),
	RUN(EXEC, "1/0\x04",
	    "OK\x04Traceback (most recent call last):\n  File \"<stdin>\", line 1, in "
	    "<module>\nZeroDivisionError: divide by zero\n\x04>",
	    "OK err:Traceback (most recent call last):\\n  File \\\"<stdin>\\\", line 1, in "
	    "<module>\\nZeroDivisionError: divide by zero\\n DONE",
	    "1/0\x04"),
	RUN(EXEC, "raise SystemExit(3)\x04", "OK\x04\x04", "OK", "raise SystemExit(3)\x04"),
	RUN(EXEC, "pass\x04", "pass", "LOST", "pass\x04"),
	RUN(EXEC, "pass\x04", "OX", "LOST", "pass\x04"),
	/* Output that holds the byte that ends it. */
	RUN(EXEC, "print('a\\x04b')\x04",
	    "OKa\x04"
	    "b\n\x04\x04>",
	    "OK out:a err:b\\n LOST", "print('a\\x04b')\x04"),
	RUN(EXEC, "print('\\x04',end='')\x04", "OK\x04\x04\x04>", "OK LOST",
	    "print('\\x04',end='')\x04"),
	RUN(EXEC, "print('\\x04\\x04>')\x04", "OK\x04\x04>\n\x04\x04>", "OK DONE LOST",
	    "print('\\x04\\x04>')\x04"),
	RUN(PASTE, "print(123)\x04",
	    "R\x01\x80\x00\x01\x04"
	    "123\n\x04\x04>",
	    "WINDOW OK out:123\\n DONE",
	    "\x05"
	    "A\x01print(123)\x04"),
	RUN(PASTE, "1 +* 2\n\x04",
	    "R\x01\x04\x00\x01\x04\x04Traceback\nSyntaxError: invalid syntax\n\x04>",
	    "WINDOW CREDIT OK err:Traceback\\nSyntaxError: invalid syntax\\n DONE",
	    "\x05"
	    "A\x01"
	    "1 +* 2\n\x04"),
	RUN(PASTE, "1 +* 2\nxx\x04", "R\x01\x04\x00\x04\x04SyntaxError\n\x04>",
	    "WINDOW ABORTED err:SyntaxError\\n DONE",
	    "\x05"
	    "A\x01"
	    "1 +*\x04"),
	RUN(PASTE, "pass\x04", "R\x00>", "NO_PASTE",
	    "\x05"
	    "A\x01"),
	RUN(PASTE, "pass\x04", RAW, "NO_PASTE",
	    "\x05"
	    "A\x01"),
	RUN(PASTE, "pass\x04", "R\x02", "LOST",
	    "\x05"
	    "A\x01"),
	RUN(PASTE, "pass\x04", "R\x01\x00\x00", "LOST",
	    "\x05"
	    "A\x01"),
	RUN(PASTE, "passpass\x04", "R\x01\x04\x00x", "WINDOW LOST",
	    "\x05"
	    "A\x01pass"),
	RUN(PASTE, "pass\x04", "OK", "LOST",
	    "\x05"
	    "A\x01"),
};

static void test_every_row_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut = 0; cut <= rows[i].device_len; cut++)
			run_row(&rows[i], cut);
		run_row(&rows[i], SIZE_MAX);
	}
}

static void test_pipelined_executions(void **state)
{
	static const char answer[] = "OK\x04\x04>OK\x04\x04>OK9\n\x04\x04>";
	struct rawrepl_event ev;
	struct rawrepl r;
	size_t at = 0;
	int done = 0;

	(void)state;
	make_ready(&r);
	assert_int_equal(rawrepl_follow(&r), 0);
	while (at < sizeof(answer) - 1) {
		at += rawrepl_feed(&r, answer + at, sizeof(answer) - 1 - at, &ev);
		if (ev.kind == RAWREPL_EV_DONE && ++done < 3)
			assert_int_equal(rawrepl_follow(&r), 0);
		assert_int_not_equal(ev.kind, RAWREPL_EV_LOST);
	}
	assert_int_equal(done, 3);
	assert_int_equal(r.stdout_bytes, 2);
}

/* A device with window 128 that reads as the real one does: credit of two windows, one more per window read. */
static void test_flow_of_a_long_paste(void **state)
{
	char code[1014];
	size_t got = 0, credit = 256, unread = 0;
	unsigned flow = 0;
	struct rawrepl_event ev;
	const uint8_t *p;
	struct rawrepl r;
	size_t n;

	(void)state;
	memset(code, 'x', sizeof(code));
	code[1013] = '\x04';
	make_ready(&r);
	assert_int_equal(rawrepl_paste(&r, code, 1013), 0);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 3);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 0);
	assert_int_equal(rawrepl_feed(&r, "R\x01\x80\x00", 4, &ev), 4);
	assert_int_equal(ev.kind, RAWREPL_EV_WINDOW);
	assert_int_equal(r.window, 128);
	rawrepl_feed(&r, "\x01", 1, &ev);
	while (rawrepl_unsent(&r)) {
		n = rawrepl_pull(&r, 0, &p);
		assert_true(n > 0);
		got += n;
		if (got == 1014)
			n--;
		assert_true(n <= credit);
		credit -= n;
		for (unread += n; unread >= 128; unread -= 128) {
			credit += 128;
			flow++;
			rawrepl_feed(&r, "\x01", 1, &ev);
		}
	}
	assert_int_equal(flow, 7);
	assert_int_equal(r.windows, 8);
	assert_int_equal(r.state, RAWREPL_WAIT_END);
}

static void test_plain_pieces(void **state)
{
	char code[601];
	const uint8_t *p;
	struct rawrepl r;

	(void)state;
	memset(code, 'x', sizeof(code));
	code[600] = '\x04';
	make_ready(&r);
	assert_int_equal(rawrepl_exec(&r, code, 600), 0);
	assert_int_equal(rawrepl_unsent(&r), 601);
	assert_int_equal(rawrepl_pull(&r, 256, &p), 256);
	assert_ptr_equal(p, code);
	assert_int_equal(rawrepl_pull(&r, 256, &p), 256);
	assert_int_equal(rawrepl_pull(&r, 256, &p), 89);
	assert_int_equal(p[88], 4);
	assert_int_equal(rawrepl_pull(&r, 256, &p), 0);
}

static void test_refused_beginnings(void **state)
{
	struct rawrepl r;

	(void)state;
	rawrepl_init(&r);
	assert_int_equal(rawrepl_exec(&r, "pass\x04", 4), -1);
	assert_int_equal(rawrepl_soft_reset(&r), -1);
	assert_int_equal(rawrepl_follow(&r), -1);
	make_ready(&r);
	assert_int_equal(rawrepl_exec(&r, "pass", 4), -1);
	assert_int_equal(rawrepl_exec(&r, "\x04", 0), -1);
	assert_int_equal(rawrepl_paste(&r, "pass", 4), -1);
	assert_int_equal(r.state, RAWREPL_READY);
	assert_true(rawrepl_code_ok("print('\t')\n", 11));
	assert_false(rawrepl_code_ok("a\x04", 2));
	assert_false(rawrepl_code_ok("a\x01", 2));
	assert_false(rawrepl_code_ok("", 0));
}

static void test_interrupts(void **state)
{
	static const char paste_end[] = "\x04\x04KeyboardInterrupt: \n\x04>";
	struct rawrepl_event ev;
	const uint8_t *p;
	struct rawrepl r;
	size_t at = 0;

	(void)state;
	/* Plain text not complete: the device empties its line and stays silent. */
	make_ready(&r);
	assert_int_equal(rawrepl_exec(&r, "pass\x04", 4), 0);
	assert_int_equal(rawrepl_pull(&r, 2, &p), 2);
	assert_false(rawrepl_interrupt(&r));
	assert_int_equal(r.state, RAWREPL_READY);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 1);
	assert_int_equal(p[0], 3);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 0);

	/* A running program ends with an exception. */
	assert_int_equal(rawrepl_exec(&r, "pass\x04", 4), 0);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 5);
	assert_true(rawrepl_interrupt(&r));
	for (const char *s = "OK\x04KeyboardInterrupt: \n\x04>"; *s; s++)
		rawrepl_feed(&r, s, 1, &ev);
	assert_int_equal(ev.kind, RAWREPL_EV_DONE);
	assert_string_equal(r.line, "KeyboardInterrupt: ");

	/* In the middle of a raw-paste it stands for the end: no 0x04 may follow it. */
	assert_int_equal(rawrepl_paste(&r, "x=1\npass\x04", 8), 0);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 3);
	assert_int_equal(rawrepl_feed(&r, "R\x01\x04\x00", 4, &ev), 4);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 4);
	assert_true(rawrepl_interrupt(&r));
	assert_int_equal(rawrepl_pull(&r, 0, &p), 1);
	while (at < sizeof(paste_end) - 1)
		at += rawrepl_feed(&r, paste_end + at, sizeof(paste_end) - 1 - at, &ev);
	assert_int_equal(ev.kind, RAWREPL_EV_DONE);
	assert_false(r.aborted);
	assert_int_equal(rawrepl_pull(&r, 0, &p), 0);
	assert_false(rawrepl_interrupt(&r));
}

static void test_refused_paste_falls_back(void **state)
{
	static const char *const refusals[] = { "R\0", "R\0>", RAW };
	static const size_t lens[] = { 2, 3, sizeof(RAW) - 1 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct rawrepl_event ev;
		const uint8_t *p;
		struct rawrepl r;
		size_t at = 0;

		make_ready(&r);
		assert_int_equal(rawrepl_paste(&r, "pass\x04", 4), 0);
		rawrepl_pull(&r, 0, &p);
		at = rawrepl_feed(&r, refusals[i], lens[i], &ev);
		assert_int_equal(ev.kind, RAWREPL_EV_NO_PASTE);
		assert_int_equal(r.paste_reply, i < 2 ? RAWREPL_PASTE_REFUSED : RAWREPL_PASTE_OLD);
		assert_int_equal(rawrepl_exec(&r, "pass\x04", 4), 0);
		assert_int_equal(rawrepl_pull(&r, 0, &p), 5);
		if (at < lens[i])
			rawrepl_feed(&r, refusals[i] + at, lens[i] - at, &ev);
		for (const char *s = "OK\x04\x04>"; *s; s++)
			rawrepl_feed(&r, s, 1, &ev);
		assert_int_equal(ev.kind, RAWREPL_EV_DONE);
	}
}

static void test_long_texts_are_bounded(void **state)
{
	struct rawrepl_event ev;
	struct rawrepl r;
	const uint8_t *p;
	char line[101];

	(void)state;
	memset(line, 'y', 100);
	line[100] = '\n';
	rawrepl_init(&r);
	rawrepl_wait_prompt(&r);
	for (int i = 0; i < 100; i++)
		rawrepl_feed(&r, line, sizeof(line), &ev);
	rawrepl_feed(&r, ">>> ", 4, &ev);
	assert_int_equal(ev.kind, RAWREPL_EV_PROMPT);
	assert_int_equal(r.text.total, 10100);
	assert_int_equal(r.text.len, RAWREPL_TEXT_MAX - 1);
	assert_int_equal(strlen(r.text.data), r.text.len);

	make_ready(&r);
	assert_int_equal(rawrepl_exec(&r, "pass\x04", 4), 0);
	rawrepl_pull(&r, 0, &p);
	for (const char *s = "OK\x04"; *s; s++)
		rawrepl_feed(&r, s, 1, &ev);
	for (int i = 0; i < 100; i++)
		rawrepl_feed(&r, line, sizeof(line), &ev);
	rawrepl_feed(&r, "ValueError: 1\r\n", 15, &ev);
	rawrepl_feed(&r, "\x04>", 2, &ev);
	assert_int_equal(ev.kind, RAWREPL_EV_DONE);
	assert_int_equal(r.stderr_bytes, 10115);
	assert_int_equal(r.error_len, RAWREPL_ERROR_MAX - 1);
	assert_string_equal(r.line, "ValueError: 1");
}

static void test_messages(void **state)
{
	struct rawrepl_event ev;
	const uint8_t *p;
	struct rawrepl r;
	char out[12];
	struct err e;
	const char *s;

	(void)state;
	make_ready(&r);
	assert_int_equal(rawrepl_exec(&r, "print('\\x04')\x04", 13), 0);
	rawrepl_pull(&r, 0, &p);
	assert_int_equal(rawrepl_error(&r, &e), -1);
	assert_string_equal(e.code, "timeout");
	assert_non_null(strstr(e.msg, "OK for the code"));
	for (s = "OK\x04\n\x04\x04>"; *s; s++)
		rawrepl_feed(&r, s, 1, &ev);
	assert_int_equal(r.state, RAWREPL_LOST);
	assert_int_equal(rawrepl_error(&r, &e), -1);
	assert_string_equal(e.code, "desync");
	assert_int_equal(e.kind, ERR_TARGET);
	assert_non_null(strstr(e.msg, "got \"\\x04>\" (does the program print 0x04?)"));

	rawrepl_enter(&r, RAWREPL_ENTER_PLAIN);
	rawrepl_feed(&r, "login: ", 7, &ev);
	rawrepl_error(&r, &e);
	assert_non_null(strstr(e.msg, "last of 7 bytes: \"login: \""));

	assert_string_equal(rawrepl_quote(out, sizeof(out), "\xff\"\\\n", 4), "\\xff\\\"\\\\\\n");
	assert_string_equal(rawrepl_quote(out, sizeof(out), "abcdefghijkl", 12), "abcdefgh...");
	assert_string_equal(rawrepl_quote(out, sizeof(out), "abcdefghijk", 11), "abcdefghijk");
	assert_string_equal(rawrepl_quote(out, 1, "abc", 3), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_at_every_split),
		cmocka_unit_test(test_pipelined_executions),
		cmocka_unit_test(test_flow_of_a_long_paste),
		cmocka_unit_test(test_plain_pieces),
		cmocka_unit_test(test_refused_beginnings),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_refused_paste_falls_back),
		cmocka_unit_test(test_long_texts_are_bounded),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
