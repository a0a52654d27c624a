/* What executions print, judged while it streams: whole, and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer/repl-job.h"
#include "peer/repl-output.h"

/* Feeds `text` in pieces of `step` bytes and ends; NULL when it is right, else what was wrong. */
static const char *judge(struct repl_output *o, const struct repl_snippet *s, const char *text,
			 size_t step)
{
	size_t len = strlen(text);
	const char *why = NULL;

	repl_output_begin(o, s);
	for (size_t at = 0; at < len; at += step)
		repl_output_feed(o, (const uint8_t *)text + at, len - at < step ? len - at : step);
	return repl_output_end(o, &why) == 0 ? NULL : why;
}

static void check(enum repl_expect expect, const char *want, uint64_t bytes, const char *text,
		  const char *wrong)
{
	static const size_t steps[] = { 1, 3, 4096 };
	struct repl_job job = { .encoding = REPL_REPR };

	for (size_t i = 0; i < 3; i++) {
		char *copy = want ? strdup(want) : NULL;
		struct repl_snippet s = { .expect = expect, .text = copy, .bytes = bytes };
		struct repl_output o = { 0 };
		const char *why;

		repl_output_restart(&o, &job);
		why = judge(&o, &s, text, steps[i]);
		if (!wrong)
			assert_null(why);
		else
			assert_non_null(strstr(why, wrong));
		repl_output_done(&o);
		free(copy);
	}
}

static void texts(void **state)
{
	(void)state;
	check(REPL_EXPECT_NOTHING, NULL, 0, "", NULL);
	check(REPL_EXPECT_NOTHING, NULL, 0, "\r\r", NULL);
	check(REPL_EXPECT_NOTHING, NULL, 0, "x", "1 bytes where nothing");
	check(REPL_EXPECT_ANY, NULL, 0, "whatever\x80", NULL);
	check(REPL_EXPECT_TEXT, "1\n", 0, "1\r\n", NULL);
	check(REPL_EXPECT_TEXT, "1\n", 0, "1\n", NULL);
	check(REPL_EXPECT_TEXT, "1\n", 0, "2\n", "differs at byte 0");
	check(REPL_EXPECT_TEXT, "1\n", 0, "1\n1\n", "differs at byte 2");
	check(REPL_EXPECT_TEXT, "12\n", 0, "12", "differs at byte 2");
	check(REPL_EXPECT_TEXT, "12\n", 0, "", "differs at byte 0");
	check(REPL_EXPECT_BYTES, NULL, 4, "ab\r\nc", NULL);
	check(REPL_EXPECT_BYTES, NULL, 4, "abc", "3 bytes instead of 4");
}

static uint64_t number(enum repl_expect expect, const char *text)
{
	struct repl_job job = { .encoding = REPL_REPR };
	struct repl_snippet s = { .expect = expect };
	struct repl_output o = { 0 };

	repl_output_restart(&o, &job);
	assert_null(judge(&o, &s, text, 2));
	assert_true(o.has_value);
	repl_output_done(&o);
	return o.value;
}

static void numbers(void **state)
{
	char many[2000];

	(void)state;
	assert_int_equal(number(REPL_EXPECT_NUMBER, "123456\r\n"), 123456);
	assert_int_equal(number(REPL_EXPECT_NUMBER, "start-up noise\n7\n\n"), 7);
	assert_int_equal(number(REPL_EXPECT_DEVICE_TIME, "progress\n2837 100 (1, 2)\n"), 2837000);
	memset(many, 'x', sizeof(many));
	snprintf(many + 1500, 100, "\n99 1 ok\n");
	assert_int_equal(number(REPL_EXPECT_DEVICE_TIME, many), 99000);
	check(REPL_EXPECT_NUMBER, NULL, 0, "", "not a number");
	check(REPL_EXPECT_NUMBER, NULL, 0, "None\n", "\"None\", not a number");
	check(REPL_EXPECT_NUMBER, NULL, 0, "-5\n", "not a number");
	check(REPL_EXPECT_DEVICE_TIME, NULL, 0, "18446744073709551615 1 x\n", "not a number");
	check(REPL_EXPECT_DEVICE_TIME, NULL, 0, "SKIP\n", "not a number");
}

/* Pieces of "hello" in an encoding; NULL when all came right. */
static const char *pieces(enum repl_encoding how, const char *first, const char *second)
{
	static char told[160];
	uint8_t content[] = "hello";
	struct repl_job job = { .encoding = how, .content = content, .content_len = 5 };
	struct repl_snippet s = { .expect = REPL_EXPECT_PIECE };
	struct repl_output o = { 0 };
	const char *why;

	repl_output_restart(&o, &job);
	why = judge(&o, &s, first, 2);
	if (!why)
		why = judge(&o, &s, second, 100);
	if (!why && repl_output_complete(&o, &why) == 0)
		why = NULL;
	if (why)
		why = strncpy(told, why, sizeof(told) - 1);
	repl_output_done(&o);
	return why;
}

static void content_comes_back(void **state)
{
	(void)state;
	assert_null(pieces(REPL_REPR, "b'hel'\r\n", "b'lo'\n"));
	assert_null(pieces(REPL_REPR, "b\"h\\x65l\"\n", "b'lo'\n"));
	assert_null(pieces(REPL_HEX, "b'68656c'\n", "b'6c6f'\n"));
	assert_null(pieces(REPL_BASE64, "b'aGVs\\n'\n", "b'bG8=\\n'\n"));
	assert_non_null(strstr(pieces(REPL_REPR, "b'hel'\n", "b'l'\n"), "only 4 of 5"));
	assert_non_null(strstr(pieces(REPL_REPR, "b'hel'\n", "b'LO'\n"), "piece at byte 3"));
	assert_non_null(strstr(pieces(REPL_REPR, "b'hel'\n", "b'lo!'\n"), "piece at byte 3"));
	assert_non_null(strstr(pieces(REPL_REPR, "hel\n", "b'lo'\n"), "no bytes literal"));
	assert_non_null(strstr(pieces(REPL_REPR, "b'hel'\n", "b'lo' junk\n"), "no bytes literal"));
	assert_non_null(strstr(pieces(REPL_HEX, "b'6'\n", "b'lo'\n"), "(hex)"));
	assert_non_null(strstr(pieces(REPL_BASE64, "b'!!'\n", "b'lo'\n"), "(base64)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(numbers),
		cmocka_unit_test(content_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
