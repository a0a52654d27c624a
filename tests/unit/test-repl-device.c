#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sha256.h"
#include "peer/repl-device.h"
#include "proto/pyliteral.h"
#include "proto/rawrepl.h"
#include "proto/repl-statement.h"

/* A device on one end of a socket pair, the codec of the host on the other. */
struct bench {
	struct repl_device_params params;
	pthread_t thread;
	int host, device, status;
	struct rawrepl r;
	struct buf out, code;
	bool gone, paste;
	unsigned reads;
	uint8_t in[65536];
	size_t in_at, in_len;
};

static void *serve(void *arg)
{
	struct bench *b = arg;
	struct err e;

	b->status = repl_device_run(b->device, b->device, &b->params, &e);
	shutdown(b->device, SHUT_RDWR);
	return NULL;
}

static void send_allowed(struct bench *b)
{
	const uint8_t *p;
	size_t n;

	while ((n = rawrepl_pull(&b->r, 0, &p)) > 0 && !b->gone)
		b->gone = send(b->host, p, n, MSG_NOSIGNAL) != (ssize_t)n;
}

/* On to the next event that is neither output nor credit; EV_MORE when the device has closed. */
static enum rawrepl_event_kind next(struct bench *b)
{
	struct rawrepl_event ev;

	for (;;) {
		send_allowed(b);
		if (b->in_at == b->in_len) {
			ssize_t n = b->gone ? 0 : read(b->host, b->in, sizeof(b->in));

			if (n <= 0) {
				b->gone = true;
				return RAWREPL_EV_MORE;
			}
			b->reads++;
			b->in_at = 0;
			b->in_len = (size_t)n;
		}
		b->in_at += rawrepl_feed(&b->r, b->in + b->in_at, b->in_len - b->in_at, &ev);
		if (ev.kind == RAWREPL_EV_STDOUT)
			assert_int_equal(buf_add(&b->out, ev.data, ev.len), 0);
		else if (ev.kind != RAWREPL_EV_MORE && ev.kind != RAWREPL_EV_STDERR &&
			 ev.kind != RAWREPL_EV_CREDIT)
			return ev.kind;
	}
}

static void start(struct bench *b, int fault)
{
	int pair[2];

	alarm(60); /* a hang ends the test program */
	memset(b, 0, sizeof(*b));
	b->params = (struct repl_device_params)REPL_DEVICE_DEFAULT;
	b->params.fault = fault;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b->host = pair[0];
	b->device = pair[1];
	rawrepl_init(&b->r);
}

static void run_device(struct bench *b)
{
	assert_int_equal(pthread_create(&b->thread, NULL, serve, b), 0);
}

static void enter(struct bench *b)
{
	run_device(b);
	rawrepl_wait_prompt(&b->r);
	assert_int_equal(next(b), RAWREPL_EV_PROMPT);
	assert_non_null(strstr(b->r.text.data, "mpbench builtin device"));
	rawrepl_enter(&b->r, RAWREPL_ENTER_INTERRUPT);
	assert_int_equal(next(b), RAWREPL_EV_READY);
}

static void finish(struct bench *b)
{
	shutdown(b->host, SHUT_WR);
	while (read(b->host, b->in, sizeof(b->in)) > 0)
		;
	assert_int_equal(pthread_join(b->thread, NULL), 0);
	assert_int_equal(b->status, 0);
	close(b->host);
	close(b->device);
	buf_done(&b->out);
	buf_done(&b->code);
}

/* Runs what was built in b->code; the output is in b->out. */
static enum rawrepl_event_kind run(struct bench *b)
{
	enum rawrepl_event_kind kind;
	size_t len = b->code.len;

	assert_int_equal(buf_addc(&b->code, RAWREPL_CTRL_D), 0);
	buf_clear(&b->out);
	if (b->paste)
		assert_int_equal(rawrepl_paste(&b->r, b->code.data, len), 0);
	else
		assert_int_equal(rawrepl_exec(&b->r, b->code.data, len), 0);
	do
		kind = next(b);
	while (kind == RAWREPL_EV_ACCEPTED || kind == RAWREPL_EV_WINDOW);
	buf_clear(&b->code);
	return kind;
}

static void run_text(struct bench *b, const char *code, const char *out, const char *line)
{
	buf_adds(&b->code, code);
	assert_int_equal(run(b), RAWREPL_EV_DONE);
	assert_string_equal(buf_text(&b->out), out);
	assert_string_equal(b->r.line, line);
}

static void run_kind(struct bench *b, enum repl_statement_kind kind, const char *path,
		     const char *out, const char *line)
{
	assert_int_equal(repl_statement_add_path(&b->code, kind, path), 0);
	assert_int_equal(run(b), RAWREPL_EV_DONE);
	assert_string_equal(buf_text(&b->out), out);
	assert_string_equal(b->r.line, line);
}

static void test_statements(void **state)
{
	struct bench b;

	(void)state;
	for (int paste = 0; paste < 2; paste++) {
		start(&b, REPL_FAULT_NONE);
		enter(&b);
		b.paste = paste;
		run_text(&b, "pass", "", "");
		run_text(&b, "print(1)", "1\r\n", "");
		run_text(&b, "print('a\\nb')", "a\r\nb\r\n", "");
		run_text(&b, "print(repr(1+1))", "2\r\n", "");
		run_text(&b, "print(repr(b'a'))", "b'a'\r\n", "");
		run_text(&b, "print(repr(x))", "",
			 "NotImplementedError: the mpbench builtin device evaluates nothing");
		run_text(&b, "print(1)\nprint(2)\nx=1\nprint(3)", "1\r\n2\r\n",
			 "NotImplementedError: the mpbench builtin device evaluates nothing");
		run_kind(&b, REPL_IDENTITY, "", "mpbench builtin device\r\n", "");
		run_kind(&b, REPL_MKDIR, "d", "", "NameError: name 'os' isn't defined");
		run_kind(&b, REPL_IMPORT_OS, "", "", "");
		run_kind(&b, REPL_MKDIR, "d", "", "");
		run_kind(&b, REPL_MKDIR, "/d", "", "OSError: [Errno 17] EEXIST");
		run_kind(&b, REPL_OPEN_WRITE, "d/f", "", "");
		run_text(&b, "w(b'\\x04abc')", "", "");
		run_kind(&b, REPL_CLOSE, "", "", "");
		run_text(&b, "w(b'')", "", "NameError: name 'w' isn't defined");
		run_kind(&b, REPL_STAT, "d/f", "(32768, 0, 0, 0, 0, 0, 4, 0, 0, 0)\r\n", "");
		run_kind(&b, REPL_LIST, "", "['d']\r\n", "");
		run_kind(&b, REPL_LIST, "d", "['f']\r\n", "");
		run_kind(&b, REPL_RMDIR, "d", "", "OSError: [Errno 39] ENOTEMPTY");
		run_kind(&b, REPL_MEMORY, "", "33554428\r\n", "");
		run_kind(&b, REPL_REMOVE, "d/f", "", "");
		run_kind(&b, REPL_RMDIR, "d", "", "");
		run_kind(&b, REPL_LIST, "/", "[]\r\n", "");
		run_kind(&b, REPL_OPEN_READ, "d/f", "", "OSError: [Errno 2] ENOENT");
		finish(&b);
	}
}

static const struct {
	enum repl_statement_kind to, from, write, read;
} codings[] = {
	{ REPL_PASS, REPL_PASS, REPL_WRITE, REPL_READ },
	{ REPL_IMPORT_UNHEX, REPL_IMPORT_HEX, REPL_WRITE_CODED, REPL_READ_CODED },
	{ REPL_IMPORT_UNBASE64, REPL_IMPORT_BASE64, REPL_WRITE_CODED, REPL_READ_CODED },
};

static void add_chunk(struct bench *b, int coding, const uint8_t *data, size_t len)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct repl_statement s = { .kind = codings[coding].write };

	if (coding == 0)
		buf_add(&text, data, len);
	else if (coding == 1)
		pyliteral_add_hex(&text, data, len);
	else
		pyliteral_add_base64(&text, data, len);
	s.data = text.data;
	s.len = text.len;
	assert_int_equal(repl_statement_add(&b->code, &s), 0);
}

static void read_back(struct bench *b, int coding, const uint8_t *want, size_t total)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT;
	size_t before;

	do {
		CLEANUP(buf_done) struct buf piece = BUF_INIT;

		before = got.len;
		assert_int_equal(repl_statement_add(&b->code,
						    &(struct repl_statement){
							    .kind = codings[coding].read,
							    .number = { 1000 },
						    }),
				 0);
		assert_int_equal(run(b), RAWREPL_EV_DONE);
		assert_int_equal(pyliteral_parse_bytes(b->out.data, b->out.len, &piece),
				 b->out.len - 2);
		if (coding == 0)
			buf_add(&got, piece.data, piece.len);
		else if (coding == 1)
			assert_int_equal(pyliteral_parse_hex(buf_text(&piece), piece.len, &got), 0);
		else
			assert_int_equal(pyliteral_parse_base64(buf_text(&piece), piece.len, &got),
					 0);
	} while (got.len > before);
	assert_int_equal(got.len, total);
	assert_memory_equal(got.data, want, total);
}

static void test_files_in_all_codings(void **state)
{
	uint8_t data[10000];
	struct sha256 sum;
	char hex[65], answer[80];
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	sha256_init(&sum);
	sha256_add(&sum, data, sizeof(data));
	sha256_hex(&sum, hex);
	snprintf(answer, sizeof(answer), "b'%s'\r\n", hex);
	start(&b, REPL_FAULT_NONE);
	enter(&b);
	for (int coding = 0; coding < 6; coding++) {
		b.paste = coding >= 3;
		run_kind(&b, codings[coding % 3].to, "", "", "");
		run_kind(&b, REPL_OPEN_WRITE, "f", "", "");
		for (size_t at = 0; at < sizeof(data); at += 300) {
			add_chunk(&b, coding % 3, data + at,
				  sizeof(data) - at < 300 ? sizeof(data) - at : 300);
			assert_int_equal(run(&b), RAWREPL_EV_DONE);
			assert_int_equal(b.r.stderr_bytes, 0);
		}
		run_kind(&b, REPL_CLOSE, "", "", "");
		run_kind(&b, REPL_SHA256, "f", answer, "");
		run_kind(&b, codings[coding % 3].from, "", "", "");
		run_kind(&b, REPL_OPEN_READ, "f", "", "");
		read_back(&b, coding % 3, data, sizeof(data));
	}
	finish(&b);
}

static void test_modes(void **state)
{
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_NONE);
	enter(&b);
	run_kind(&b, REPL_IMPORT_OS, "", "", "");
	assert_int_equal(rawrepl_soft_reset(&b.r), 0);
	assert_int_equal(next(&b), RAWREPL_EV_ACCEPTED);
	assert_int_equal(next(&b), RAWREPL_EV_REBOOT);
	assert_int_equal(next(&b), RAWREPL_EV_READY);
	run_kind(&b, REPL_LIST, "", "", "NameError: name 'os' isn't defined");
	rawrepl_exit(&b.r);
	assert_int_equal(next(&b), RAWREPL_EV_PROMPT);
	assert_string_equal(
		b.r.text.data,
		"\r\nmpbench builtin device (speaks the raw REPL, evaluates nothing)\r\n");
	/* By hand, as a person would. */
	rawrepl_wait_prompt(&b.r);
	assert_int_equal(send(b.host, "print(7)\r", 9, 0), 9);
	assert_int_equal(next(&b), RAWREPL_EV_PROMPT);
	assert_string_equal(b.r.text.data, "print(7)\r\n7\r\n");
	rawrepl_enter(&b.r, RAWREPL_ENTER_PLAIN);
	assert_int_equal(next(&b), RAWREPL_EV_READY);
	rawrepl_enter(&b.r, RAWREPL_ENTER_PLAIN);
	assert_int_equal(next(&b), RAWREPL_EV_READY);
	finish(&b);
}

static void test_paste_is_windowed_and_interruptible(void **state)
{
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_NONE);
	enter(&b);
	b.paste = true;
	for (int i = 0; i < 300; i++)
		repl_statement_add_kind(&b.code, REPL_PASS);
	assert_int_equal(run(&b), RAWREPL_EV_DONE);
	assert_int_equal(b.r.window, 128);
	assert_int_equal(b.r.windows, 1 + 1499 / 128);
	assert_string_equal(b.r.error, "");

	buf_adds(&b.code, "x=1\n");
	assert_int_equal(buf_addc(&b.code, RAWREPL_CTRL_D), 0);
	assert_int_equal(rawrepl_paste(&b.r, b.code.data, 4), 0);
	assert_true(rawrepl_interrupt(&b.r));
	while (next(&b) != RAWREPL_EV_DONE)
		assert_false(b.gone);
	assert_string_equal(b.r.line, "KeyboardInterrupt: ");
	finish(&b);
}

static void test_flood_and_its_interruption(void **state)
{
	struct repl_statement flood = { .kind = REPL_FLOOD, .number = { 1000, 2000 } };
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_NONE);
	enter(&b);
	repl_statement_add(&b.code, &flood);
	assert_int_equal(run(&b), RAWREPL_EV_DONE);
	assert_int_equal(b.r.stdout_bytes, 2000000);
	assert_null(memchr(b.out.data, 0, b.out.len));
	flood.number[1] = 1000000000;
	repl_statement_add(&b.code, &flood);
	buf_addc(&b.code, RAWREPL_CTRL_D);
	assert_int_equal(rawrepl_exec(&b.r, b.code.data, b.code.len - 1), 0);
	assert_int_equal(next(&b), RAWREPL_EV_ACCEPTED);
	assert_true(rawrepl_interrupt(&b.r));
	assert_int_equal(next(&b), RAWREPL_EV_DONE);
	assert_string_equal(b.r.line, "KeyboardInterrupt: ");
	finish(&b);
}

/* The floor: what is asked in one write is answered in one. */
static void test_one_write_per_answer(void **state)
{
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_NONE);
	enter(&b);
	b.reads = 0;
	for (int i = 0; i < 100; i++)
		run_text(&b, "pass", "", "");
	assert_int_equal(b.reads, 100);
	finish(&b);
}

static void test_faults(void **state)
{
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_SILENT);
	run_device(&b);
	assert_int_equal(send(b.host, "\x01", 1, 0), 1);
	shutdown(b.host, SHUT_WR);
	assert_int_equal(read(b.host, b.in, 1), 0);
	finish(&b);

	start(&b, REPL_FAULT_GARBAGE);
	enter(&b);
	buf_adds(&b.code, "pass");
	assert_int_equal(run(&b), RAWREPL_EV_LOST);
	finish(&b);

	start(&b, REPL_FAULT_HALF);
	enter(&b);
	buf_adds(&b.code, "pass\x04");
	assert_int_equal(rawrepl_exec(&b.r, b.code.data, 4), 0);
	assert_int_equal(next(&b), RAWREPL_EV_ACCEPTED);
	send_allowed(&b);
	shutdown(b.host, SHUT_WR);
	assert_int_equal(next(&b), RAWREPL_EV_MORE);
	assert_string_equal(buf_text(&b.out), "half an ans");
	finish(&b);

	start(&b, REPL_FAULT_ENDLESS);
	enter(&b);
	buf_adds(&b.code, "pass\x04");
	assert_int_equal(rawrepl_exec(&b.r, b.code.data, 4), 0);
	assert_int_equal(next(&b), RAWREPL_EV_ACCEPTED);
	assert_true(rawrepl_interrupt(&b.r));
	assert_int_equal(next(&b), RAWREPL_EV_DONE);
	finish(&b);

	start(&b, REPL_FAULT_EOF_IN_OUTPUT);
	enter(&b);
	buf_adds(&b.code, "pass");
	assert_int_equal(run(&b), RAWREPL_EV_LOST);
	assert_true(b.r.eof_in_output);
	finish(&b);

	for (int fault = REPL_FAULT_NO_PASTE; fault <= REPL_FAULT_OLD; fault++) {
		start(&b, fault);
		enter(&b);
		b.paste = true;
		buf_adds(&b.code, "pass");
		assert_int_equal(run(&b), RAWREPL_EV_NO_PASTE);
		b.paste = false;
		run_text(&b, "pass", "", "");
		finish(&b);
	}

	start(&b, REPL_FAULT_EXIT_ON_RESET);
	enter(&b);
	assert_int_equal(rawrepl_soft_reset(&b.r), 0);
	assert_int_equal(next(&b), RAWREPL_EV_ACCEPTED);
	assert_int_equal(next(&b), RAWREPL_EV_MORE);
	assert_true(b.gone);
	finish(&b);

	start(&b, REPL_FAULT_RAISE);
	enter(&b);
	run_text(&b, "pass", "", "RuntimeError: the builtin device was told to raise");
	finish(&b);

	start(&b, REPL_FAULT_NO_RAW);
	run_device(&b);
	rawrepl_enter(&b.r, RAWREPL_ENTER_PLAIN);
	send_allowed(&b);
	shutdown(b.host, SHUT_WR);
	assert_int_equal(next(&b), RAWREPL_EV_MORE);
	assert_int_equal(b.r.state, RAWREPL_WAIT_RAW);
	finish(&b);
}

static void test_pieces_and_the_end_after_n_bytes(void **state)
{
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_NONE);
	b.params.piece_bytes = 1;
	b.params.delay_ns = 1000;
	b.params.piece_pause_ns = 1000;
	enter(&b);
	run_text(&b, "print(123)", "123\r\n", "");
	finish(&b);

	start(&b, REPL_FAULT_NONE);
	b.params.drop_after_bytes = 10;
	run_device(&b);
	rawrepl_wait_prompt(&b.r);
	assert_int_equal(next(&b), RAWREPL_EV_MORE);
	assert_true(b.gone);
	assert_string_equal(b.r.text.data, "mpbench bu");
	finish(&b);
}

static void test_code_beyond_the_bound(void **state)
{
	struct bench b;

	(void)state;
	start(&b, REPL_FAULT_NONE);
	enter(&b);
	b.paste = true;
	assert_int_equal(buf_reserve(&b.code, 2 << 20), 0);
	memset(b.code.data, 'x', 2 << 20);
	b.code.len = 2 << 20;
	assert_int_equal(run(&b), RAWREPL_EV_DONE);
	assert_string_equal(b.r.line, "MemoryError: memory allocation failed");
	run_text(&b, "pass", "", "");
	finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_files_in_all_codings),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_paste_is_windowed_and_interruptible),
		cmocka_unit_test(test_flood_and_its_interruption),
		cmocka_unit_test(test_one_write_per_answer),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_pieces_and_the_end_after_n_bytes),
		cmocka_unit_test(test_code_beyond_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
