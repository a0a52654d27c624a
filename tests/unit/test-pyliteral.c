#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pyliteral.h"

/* What CPython 3 prints for repr(). */
static const struct {
	const char *data;
	size_t len;
	const char *literal;
} reprs[] = {
#define REPR(data, literal) \
	{ \
		(data), sizeof(data) - 1, (literal) \
	}
	REPR("", "b''"),
	REPR("abc", "b'abc'"),
	REPR("a'b", "b\"a'b\""),
	REPR("a\"b", "b'a\"b'"),
	REPR("a'\"b", "b'a\\'\"b'"),
	REPR("\\\t\n\r\x00\x01\x04\x1f ~\x7f\x80\xff",
	     "b'\\\\\\t\\n\\r\\x00\\x01\\x04\\x1f ~\\x7f\\x80\\xff'"),
};

static void test_bytes_literals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reprs) / sizeof(reprs[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;
		CLEANUP(buf_done) struct buf back = BUF_INIT;

		assert_int_equal(pyliteral_add_bytes(&b, reprs[i].data, reprs[i].len), 0);
		assert_string_equal(buf_text(&b), reprs[i].literal);
		buf_adds(&b, ")rest");
		assert_int_equal(pyliteral_parse_bytes(b.data, b.len, &back), b.len - 5);
		assert_int_equal(back.len, reprs[i].len);
		assert_memory_equal(buf_text(&back), reprs[i].data, reprs[i].len);
		assert_int_equal(pyliteral_parse_bytes(b.data, b.len, NULL), b.len - 5);
	}
}

static void test_all_bytes_in_all_codings(void **state)
{
	uint8_t data[512];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t len = 0; len <= sizeof(data); len += 1 + len / 9) {
		for (int coding = 0; coding < 4; coding++) {
			CLEANUP(buf_done) struct buf b = BUF_INIT;
			CLEANUP(buf_done) struct buf back = BUF_INIT;

			if (coding == 0) {
				assert_int_equal(pyliteral_add_bytes(&b, data, len), 0);
				assert_int_equal(pyliteral_parse_bytes(b.data, b.len, &back),
						 b.len);
			} else if (coding == 1) {
				assert_int_equal(pyliteral_add_str(&b, data, len), 0);
				assert_int_equal(pyliteral_parse_str(b.data, b.len, &back), b.len);
			} else if (coding == 2) {
				assert_int_equal(pyliteral_add_hex(&b, data, len), 0);
				assert_int_equal(b.len, len * 2);
				assert_int_equal(pyliteral_parse_hex(b.data, b.len, &back), 0);
			} else {
				assert_int_equal(pyliteral_add_base64(&b, data, len), 0);
				assert_int_equal(b.len, (len + 2) / 3 * 4);
				assert_int_equal(pyliteral_parse_base64(b.data, b.len, &back), 0);
			}
			/* In a str, \x7f and control bytes come back as they were; bytes from 0x80 are not
			 * escaped at all. */
			assert_int_equal(back.len, len);
			assert_memory_equal(buf_text(&back), data, len);
		}
	}
}

static void test_base64_vectors(void **state)
{
	/* RFC 4648 section 10 */
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;

		assert_int_equal(pyliteral_add_base64(&b, pairs[i][0], strlen(pairs[i][0])), 0);
		assert_string_equal(buf_text(&b), pairs[i][1]);
		buf_addc(&b, '\n');
		CLEANUP(buf_done) struct buf back = BUF_INIT;
		assert_int_equal(pyliteral_parse_base64(b.data, b.len, &back), 0);
		assert_string_equal(buf_text(&back), pairs[i][0]);
	}
}

static void test_str_escapes(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	static const char text[] = "'a\\u20ac\\U0001F600\\x41\\101\\n\\'\"'";

	(void)state;
	assert_int_equal(pyliteral_parse_str(text, sizeof(text) - 1, &out), sizeof(text) - 1);
	assert_string_equal(buf_text(&out), "a\xe2\x82\xac\xf0\x9f\x98\x80"
					    "AA\n'\"");
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"",	  "b",	     "b'",   "b'a",	 "'abc'", "b'\\x1'",
		"b'\\q'", "b'a\nb'", "b'\\", "b'\\777'", "c'a'",
	};
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	int64_t n = 5;

	(void)state;
	buf_adds(&out, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pyliteral_parse_bytes(bad[i], strlen(bad[i]), &out), 0);
	assert_int_equal(pyliteral_parse_str("'\\U00110000'", 12, &out), 0);
	assert_string_equal(buf_text(&out), "kept");
	assert_int_equal(pyliteral_parse_hex("abc", 3, &out), -1);
	assert_int_equal(pyliteral_parse_hex("zz", 2, &out), -1);
	assert_int_equal(pyliteral_parse_base64("Z", 1, &out), -1);
	assert_int_equal(pyliteral_parse_base64("Zg=a", 4, &out), -1);
	assert_int_equal(pyliteral_parse_base64("Z*==", 4, &out), -1);
	assert_int_equal(pyliteral_parse_int("", 0, &n), 0);
	assert_int_equal(pyliteral_parse_int("-", 1, &n), 0);
	assert_int_equal(pyliteral_parse_int("9223372036854775808", 19, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(pyliteral_parse_int("-9223372036854775808x", 21, &n), 20);
	assert_true(n == INT64_MIN);
	assert_int_equal(pyliteral_parse_int("123\r\n", 5, &n), 3);
	assert_int_equal(n, 123);
}

static void test_bounds_are_kept(void **state)
{
	CLEANUP(buf_done) struct buf b;

	(void)state;
	buf_init(&b, 16);
	assert_int_equal(pyliteral_add_bytes(&b, "0123456789", 10), -1);
	assert_true(b.failed);
	assert_true(b.len <= 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_literals),
		cmocka_unit_test(test_all_bytes_in_all_codings),
		cmocka_unit_test(test_base64_vectors),
		cmocka_unit_test(test_str_escapes),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_bounds_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
