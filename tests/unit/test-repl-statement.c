#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pyliteral.h"
#include "proto/rawrepl.h"
#include "proto/repl-statement.h"

static struct repl_statement sample(int kind)
{
	return (struct repl_statement){
		.kind = (enum repl_statement_kind)kind,
		.data = "a'b\n",
		.len = kind == REPL_EVAL ? 3 : 4,
		.number = { 17, 3 },
	};
}

/* What is built is recognised as the same, alone and in front of another statement. */
static void test_every_kind_is_recognised(void **state)
{
	(void)state;
	for (int kind = 0; kind < REPL_STATEMENTS; kind++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT;
		struct repl_statement want = sample(kind), got;
		size_t len;

		assert_int_equal(repl_statement_add(&b, &want), 0);
		assert_true(rawrepl_code_ok(b.data, b.len));
		assert_int_equal(repl_statement_match(b.data, b.len, &got), b.len);
		assert_int_equal(got.kind, kind);
		len = b.len;
		assert_int_equal(repl_statement_add_kind(&b, REPL_PASS), 0);
		assert_int_equal(repl_statement_match(b.data, b.len, &got), len + 1);
		if (got.data && kind == REPL_EVAL)
			assert_memory_equal(got.data, "a'b", 3);
		for (size_t cut = 0; cut < len; cut++)
			if (repl_statement_match(b.data, cut, &got))
				assert_int_not_equal(got.kind, kind);
	}
}

static void test_values_come_back(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct repl_statement got, flood = sample(REPL_FLOOD);
	static const uint8_t bytes[] = { 0, 4, '\'', 255 };

	(void)state;
	assert_int_equal(
		repl_statement_add(&b, &(struct repl_statement){ .kind = REPL_WRITE,
								 .data = (const char *)bytes,
								 .len = 4 }),
		0);
	assert_string_equal(buf_text(&b), "w(b\"\\x00\\x04'\\xff\")");
	assert_true(repl_statement_match(b.data, b.len, &got));
	assert_int_equal(pyliteral_parse_bytes(got.data, got.len, &value), got.len);
	assert_memory_equal(value.data, bytes, 4);
	buf_clear(&b);
	assert_int_equal(repl_statement_add(&b, &flood), 0);
	assert_string_equal(buf_text(&b), "s='U'*17\nfor _ in range(3):\n print(s,end='')");
	assert_true(repl_statement_match(b.data, b.len, &got));
	assert_int_equal(got.number[0], 17);
	assert_int_equal(got.number[1], 3);
	buf_clear(&b);
	assert_int_equal(repl_statement_add_path(&b, REPL_OPEN_READ, "/x"), 0);
	assert_string_equal(buf_text(&b), "f=open('/x','rb')\nr=f.read");
}

static void test_anything_else_is_not(void **state)
{
	static const char *const other[] = {
		"",	  "x=1",	"pass;pass",
		"passx",  "print(-1)",	"print(x)",
		"w('a')", "import sys", "print(r(99999999999999999999))"
	};
	struct repl_statement got;

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_int_equal(repl_statement_match(other[i], strlen(other[i]), &got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_is_recognised),
		cmocka_unit_test(test_values_come_back),
		cmocka_unit_test(test_anything_else_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
