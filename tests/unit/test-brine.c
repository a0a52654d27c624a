/* brine: the values as rpyc writes them, any values there and back, and every way to break them. */
#include "rpc-vectors.h"

#include <math.h>
#include <stdlib.h>

#include "proto/brine.h"
#include "random.h"

/* A copy of exactly this size, so that a sanitizer sees the first byte read beyond it. */
static uint8_t *exact(const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, data, len);
	return copy;
}

/* Decodes and encodes again. */
static void assert_again(const void *data, size_t len)
{
	uint8_t *copy = exact(data, len);
	CLEANUP(buf_done) struct buf again = BUF_INIT;
	struct brine_reader r;
	struct brine_item item;
	const char *why = NULL;
	size_t rest = 99;

	if (brine_open(&r, copy, len, &rest, &why) < 0)
		fail_msg("refused: %s", why);
	assert_int_equal(rest, 0);
	while (brine_next(&r, &item))
		assert_int_equal(brine_put_item(&again, &item), 0);
	assert_int_equal(again.len, len);
	assert_memory_equal(again.data, data, len);
	free(copy);
}

static void assert_refused(const void *data, size_t len, const char *expected)
{
	uint8_t *copy = exact(data, len);
	const char *why = NULL;

	assert_int_equal(brine_check(copy, len, &why), 0);
	assert_non_null(why);
	assert_string_equal(why, expected);
	free(copy);
}

static void assert_text(const void *data, size_t len, size_t max, const char *expected)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct brine_reader r;
	const char *why;

	assert_int_equal(brine_open(&r, data, len, NULL, &why), 0);
	assert_int_equal(brine_add_text(&text, &r, max), 0);
	assert_string_equal(buf_text(&text), expected);
	assert_ptr_equal(r.at, r.end);
}

/* What the vectors cut: made here from what they say about it. */
static void make_long(const char *type, size_t len, struct buf *out)
{
	static char filler[512];

	buf_clear(out);
	memset(filler, 'x', sizeof(filler));
	if (strcmp(type, "int") == 0) {
		memset(filler + 1, '0', sizeof(filler) - 1);
		filler[0] = '1';
		brine_put_digits(out, filler, len - 5);
	} else if (strcmp(type, "bytes") == 0) {
		brine_put_bytes(out, filler, len == 257 ? 255 : 256);
	} else if (strcmp(type, "str") == 0) {
		brine_put_str(out, filler, 300);
	} else {
		assert_string_equal(type, "tuple");
		brine_put_tuple(out, 256);
		for (int i = 0; i < 256; i++)
			brine_put_int(out, i);
	}
}

static void test_vectors(void **state)
{
	json_t *root = rpc_vectors_load(), *v;
	size_t i, whole = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "brine"), i, v)
	{
		CLEANUP(buf_done) struct buf bytes = BUF_INIT;
		CLEANUP(buf_done) struct buf made = BUF_INIT;
		const char *hex = rpc_vectors_text(v, "hex"), *value = rpc_vectors_text(v, "value");
		const char *why = NULL;
		size_t len = (size_t)json_integer_value(json_object_get(v, "len"));

		rpc_vectors_bytes(hex, &bytes);
		if (strstr(hex, "...")) {
			make_long(rpc_vectors_text(v, "type"), len, &made);
			assert_int_equal(made.len, len);
			assert_memory_equal(made.data, bytes.data, bytes.len);
			assert_again(made.data, made.len);
			continue;
		}
		whole++;
		assert_int_equal(bytes.len, len);
		assert_again(bytes.data, bytes.len);
		assert_text(bytes.data, bytes.len, 1000, value);
		/* these two are no literals */
		if (strcmp(value, "inf") == 0 || strcmp(value, "(1+2j)") == 0)
			continue;
		if (brine_parse(&made, value, strlen(value), &why) < 0)
			fail_msg("%s: %s", value, why);
		assert_int_equal(made.len, bytes.len);
		assert_memory_equal(made.data, bytes.data, bytes.len);
	}
	assert_int_equal(i, 50);
	assert_true(whole > 35);
	json_decref(root);
}

static void put_random(struct random *r, struct buf *b, unsigned depth);

static void put_random_string(struct random *r, struct buf *b)
{
	static const char *const pieces[] = {
		"a",  "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "'", "\"", "\\",
		"\n", "\x7f",	  "\x01"
	};
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	size_t n = (size_t)(random_u64(r) % 20);

	buf_adds(&text, "");
	if (random_u64(r) % 20 == 0)
		n = (size_t)(random_u64(r) % 700);
	for (size_t i = 0; i < n; i++) {
		if (random_u64(r) & 1)
			buf_adds(&text, pieces[random_u64(r) % 10]);
		else
			buf_addc(&text, (char)('a' + random_u64(r) % 26));
	}
	if (random_u64(r) & 1) {
		brine_put_str(b, buf_text(&text), text.len);
		return;
	}
	for (size_t i = 0; i < text.len; i++)
		text.data[i] = (char)random_u64(r);
	brine_put_bytes(b, buf_text(&text), text.len);
}

static void put_random_number(struct random *r, struct buf *b)
{
	char digits[400];
	uint64_t bits = random_u64(r);
	double v;

	switch (random_u64(r) % 5) {
	case 0:
		brine_put_int(b, (int64_t)(random_u64(r) >> (random_u64(r) % 64)) -
					 (int64_t)(random_u64(r) % 300));
		break;
	case 1: {
		size_t n = 20 + (size_t)(random_u64(r) % 300), sign = random_u64(r) & 1;

		digits[0] = '-';
		for (size_t i = 0; i < n; i++)
			digits[sign + i] = (char)('0' + random_u64(r) % 10);
		digits[sign] = '7';
		brine_put_digits(b, digits, sign + n);
		break;
	}
	case 2:
		brine_put_float(b, (random_unit(r) - 0.5) * pow(10, (double)(bits % 40) - 20));
		break;
	case 3:
		memcpy(&v, &bits, sizeof(v));
		brine_put_float(b, v);
		break;
	default:
		memcpy(&v, &bits, sizeof(v));
		brine_put_complex(b, random_normal(r), v);
	}
}

static void put_random_container(struct random *r, struct buf *b, unsigned depth)
{
	uint32_t count = (uint32_t)(random_u64(r) % 7);

	if (random_u64(r) % 30 == 0)
		count = (uint32_t)(random_u64(r) % 400);
	switch (random_u64(r) % 4) {
	case 0:
		count = 3;
		brine_put_slice(b);
		break;
	case 1:
		brine_put_frozenset(b, count);
		break;
	default:
		brine_put_tuple(b, count);
	}
	for (uint32_t i = 0; i < count; i++)
		put_random(r, b, depth + 1);
}

static void put_random(struct random *r, struct buf *b, unsigned depth)
{
	switch (random_u64(r) % (depth < 6 ? 10 : 7)) {
	case 0:
		brine_put_none(b);
		break;
	case 1:
		brine_put_bool(b, random_u64(r) & 1);
		break;
	case 2:
		if (random_u64(r) & 1)
			brine_put_not_implemented(b);
		else
			brine_put_ellipsis(b);
		break;
	case 3:
	case 4:
		put_random_number(r, b);
		break;
	case 5:
	case 6:
		put_random_string(r, b);
		break;
	default:
		put_random_container(r, b, depth);
	}
}

/* Any value: there and back, whole behind other bytes, cut at every byte, as text. */
static void test_property(void **state)
{
	struct random r = { 5 };
	size_t longest = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;
		CLEANUP(buf_done) struct buf text = BUF_INIT;
		struct brine_reader reader, value;
		const char *why = NULL;
		size_t len, rest;

		put_random(&r, &b, 0);
		assert_false(b.failed);
		len = b.len;
		longest = len > longest ? len : longest;
		assert_again(b.data, len);
		buf_adds(&b, "tail");
		assert_int_equal(brine_open(&reader, b.data, b.len, &rest, &why), 0);
		assert_int_equal(rest, 4);
		for (size_t cut = 0; cut < len && cut < 300; cut++)
			assert_int_equal(brine_check(b.data, cut, &why), 0);
		value = reader;
		assert_true(brine_value(&reader, &value));
		assert_ptr_equal(value.end, reader.end);
		assert_false(brine_value(&reader, NULL));
		reader = value;
		assert_int_equal(brine_add_text(&text, &reader, 60), 0);
		assert_true(text.len >= 1 && text.len <= 60);
		for (size_t k = 0; k < text.len; k++)
			assert_true((unsigned char)text.data[k] >= 0x20);
		/* a byte changed: refused or another value, never more */
		b.data[random_u64(&r) % len] = (char)random_u64(&r);
		brine_check(b.data, len, &why);
	}
	assert_true(longest > 1000);
}

/* What is printed whole is a literal that means the same. */
static void test_literals(void **state)
{
	struct random r = { 17 };
	unsigned whole = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;
		CLEANUP(buf_done) struct buf text = BUF_INIT;
		CLEANUP(buf_done) struct buf again = BUF_INIT;
		struct brine_reader reader;
		const char *why = NULL;

		put_random(&r, &b, 4);
		assert_int_equal(brine_open(&reader, b.data, b.len, NULL, &why), 0);
		assert_int_equal(brine_add_text(&text, &reader, 1 << 20), 0);
		/* nan, inf and complex numbers with both parts are no literals */
		if (strstr(text.data, "nan") || strstr(text.data, "inf") ||
		    strchr(text.data, 'j') || strchr(text.data, '<'))
			continue;
		whole++;
		if (brine_parse(&again, text.data, text.len, &why) < 0)
			fail_msg("%s: %s", text.data, why);
		/* what is deceptive or a control character was printed as an escape, which a literal knows */
		assert_int_equal(again.len, b.len);
		assert_memory_equal(again.data, b.data, b.len);
	}
	assert_true(whole > 1000);
}

#define REFUSED(literal, why) assert_refused(literal, sizeof(literal) - 1, why)

static void test_refused(void **state)
{
	char deep[BRINE_DEPTH_MAX + 2];
	static char digits[5 + BRINE_INT_DIGITS_MAX + 1];

	(void)state;
	REFUSED("", "ends inside a value");
	REFUSED("\x07", "an unknown tag");
	REFUSED("\x09", "an unknown tag");
	REFUSED("\x1c", "an unknown tag");
	REFUSED("\xf0", "an unknown tag");
	REFUSED("\xff", "an unknown tag");
	REFUSED("\x08", "ends inside a value");
	REFUSED("\x08\x50", "no bytes where they belong");
	REFUSED("\x0e\x05"
		"abcd",
		"a string longer than the bytes that are there");
	REFUSED("\x0f\xff\xff\xff\xff"
		"abcd",
		"a string longer than the bytes that are there");
	REFUSED("\x15\xff\xff\xff\xff\x50", "a tuple longer than the bytes that are there");
	REFUSED("\x14\x02\x50", "a tuple longer than the bytes that are there");
	REFUSED("\x19\x11\x50\x50", "a slice that is not made of three values");
	REFUSED("\x19\x50", "no tuple where one belongs");
	REFUSED("\x1a", "ends inside a value");
	REFUSED("\x18\x00\x00", "ends inside a float");
	REFUSED("\x1b\x00\x00\x00\x00\x00\x00\x00\x00", "ends inside a float");
	REFUSED("\x16\x00", "an int without digits, or with too many");
	REFUSED("\x16\x01-", "an int that is no number");
	REFUSED("\x16\x03"
		"1 2",
		"an int that is no number");
	REFUSED("\x16\x03\x2b"
		"12",
		"an int that is no number");
	REFUSED("\x17\xff\xff\xff\xff"
		"1",
		"an int longer than the bytes that are there");
	REFUSED("\x08\x0a\xff", "a str that is not UTF-8");
	REFUSED("\x08\x0c\xed\xa0\x80", "a str that is not UTF-8");
	REFUSED("\x08\x0e\x09"
		"12345678\xc3",
		"a str that is not UTF-8");
	memset(deep, 0x10, sizeof(deep));
	deep[sizeof(deep) - 1] = 0x50;
	assert_refused(deep, sizeof(deep), "tuples too deep in each other");
	assert_again(deep + 1, sizeof(deep) - 1);
	memset(digits, '1', sizeof(digits));
	memcpy(digits, "\x17\x00\x00\x10\xcd", 5); /* one digit more than is taken */
	assert_refused(digits, sizeof(digits), "an int without digits, or with too many");
}

/* Forms that rpyc would read and never writes are made its own. */
static void test_other_forms(void **state)
{
	static const struct {
		const char *from, *to;
		size_t from_len, to_len;
	} forms[] = {
		{ "\x16\x01"
		  "5",
		  "\x55", 3, 1 },
		{ "\x16\x02-0", "\x50", 4, 1 },
		{ "\x17\x00\x00\x00\x03"
		  "007",
		  "\x57", 8, 1 },
		{ "\x0f\x00\x00\x00\x02hi", "\x0bhi", 7, 3 },
		{ "\x15\x00\x00\x00\x00", "\x02", 5, 1 },
		{ "\x16\x18"
		  "000099999999999999999999",
		  "\x16\x14"
		  "99999999999999999999",
		  26, 22 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;
		struct brine_reader r;
		struct brine_item item;
		const char *why;

		assert_int_equal(brine_open(&r, forms[i].from, forms[i].from_len, NULL, &why), 0);
		while (brine_next(&r, &item))
			brine_put_item(&b, &item);
		assert_int_equal(b.len, forms[i].to_len);
		assert_memory_equal(b.data, forms[i].to, b.len);
	}
}

static void assert_parsed(const char *text, const char *bytes, size_t len)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	const char *why = NULL;

	if (brine_parse(&b, text, strlen(text), &why) < 0)
		fail_msg("%s: %s", text, why);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, bytes, len);
}

static void assert_not_parsed(const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	const char *why = NULL;

	buf_adds(&b, "before");
	assert_int_equal(brine_parse(&b, text, strlen(text), &why), -1);
	assert_non_null(why);
	assert_string_equal(buf_text(&b), "before");
}

static void test_parse(void **state)
{
	(void)state;
	assert_parsed("1000",
		      "\x16\x04"
		      "1000",
		      6);
	assert_parsed("-3", "\x4d", 1);
	assert_parsed("+3", "\x53", 1);
	assert_parsed("0", "\x50", 1);
	assert_parsed("1.5", "\x18\x3f\xf8\0\0\0\0\0\0", 9);
	assert_parsed("-15e-1", "\x18\xbf\xf8\0\0\0\0\0\0", 9);
	assert_parsed("hello", "\x08\x0e\x05hello", 8);
	assert_parsed("/etc/a-b.c", "\x08\x0e\x0a/etc/a-b.c", 13);
	assert_parsed("Nonesuch", "\x08\x0e\x08Nonesuch", 11);
	assert_parsed(" ( 1 , 'a' ) ",
		      "\x11\x51\x08\x0a"
		      "a",
		      5);
	assert_parsed("(1)", "\x51", 1);
	assert_parsed("(1,)", "\x10\x51", 2);
	assert_parsed("()", "\x02", 1);
	assert_parsed("frozenset()", "\x1a\x02", 2);
	assert_parsed("b'\\x00'", "\x0a\x00", 2);
	assert_parsed("...", "\x06", 1);
	assert_not_parsed("");
	assert_not_parsed("(");
	assert_not_parsed("(1 2)");
	assert_not_parsed("(1,2");
	assert_not_parsed("1 2");
	assert_not_parsed("'open");
	assert_not_parsed("-");
	assert_not_parsed("1.2.3");
	assert_not_parsed("[1]");
	assert_not_parsed("{}");
	assert_not_parsed("slice(1)");
	assert_not_parsed("__import__('os')");
	assert_not_parsed("'\xff'");
}

static void test_text(void **state)
{
	(void)state;
	assert_text("\x08\x0e\x06h\xc3\xa9llo", 9, 100, "'h\xc3\xa9llo'");
	assert_text("\x08\x0e\x06h\xc3\xa9llo", 9, 16, "'h\xc3\xa9llo'");
	assert_text("\x08\x0e\x12"
		    "abcdefghijklmnopqr",
		    21, 16, "'abcdefghijkl...");
	assert_text("\x08\x0c\xe2\x80\xae", 5, 100, "'\\u{202e}'"); /* turns the text around */
	assert_text("\x14\x06\x50\x51\x52\x53\x54\x55", 8, 16, "(0, 1, 2, 3, ...");
	assert_text("\x10\x1a\x02", 3, 100, "(frozenset(),)");
}

static void test_floats(void **state)
{
	static const struct {
		double v;
		const char *text;
	} floats[] = { { 0.1, "0.1" },
		       { 100, "100.0" },
		       { 1e15, "1000000000000000.0" },
		       { 1e16, "1e+16" },
		       { 1.2345678901234568e17, "1.2345678901234568e+17" },
		       { 0.0001, "0.0001" },
		       { 0.00001, "1e-05" },
		       { -0.0, "-0.0" },
		       { 123456.789, "123456.789" },
		       { -INFINITY, "-inf" },
		       { NAN, "nan" } };

	(void)state;
	for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;

		brine_put_float(&b, floats[i].v);
		assert_text(b.data, b.len, 100, floats[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	    cmocka_unit_test(test_property),
		cmocka_unit_test(test_literals),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_other_forms), cmocka_unit_test(test_parse),
		cmocka_unit_test(test_text),	    cmocka_unit_test(test_floats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
