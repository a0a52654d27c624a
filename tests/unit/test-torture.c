/* Fail the Nth allocation while a document is built, written, read and shown: each time an error, or the same
 * bytes as without failure. The allocator is jansson's through its hook, and under no sanitizer the C library's too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "result-fixture.h"
#include "result/emit.h"
#include "result/load.h"
#include "result/table.h"
#include "torture.h"

/* What differs from one document to the next is made constant. */
static int make_text(char **text, size_t *len, struct err *e)
{
	CLEANUP(document_done) struct document d = { 0 };

	if (fixture_document_of(&d, 2, true, true, e) < 0 ||
	    json_put(d.root, "run_id", json_string("0"), e) < 0 ||
	    json_put(d.root, "started_at", json_string("2026-01-01T00:00:00.000Z"), e) < 0 ||
	    json_put(d.root, "finished_at", json_string("2026-01-01T00:00:00.000Z"), e) < 0)
		return -1;
	return emit_text(d.root, text, len, e);
}

/* Parsing is left out: when a long string's buffer cannot grow, jansson 2.14 drops the byte without a word and then looks
 * for the closing quote beyond the end (lex_save and lex_scan_string of its load.c). */
static int read_back(const char *text, size_t len, long fail_at, struct buf *shown, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL;
	const struct table_style style = { .width = 80, .utf8 = true, .verbose = 1 };

	if (load_text("text", text, len, &root, e) < 0)
		return -1;
	countdown = fail_at;
	return load_check(root, e) < 0 ? -1 : table_result(root, &style, shown, e);
}

static void writing_is_whole_or_an_error(void **state)
{
	CLEANUP_FREE char *whole = NULL;
	size_t len = 0, errors = 0;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(make_text(&whole, &len, &e), 0);
	for (long n = 1;; n += stride()) {
		CLEANUP_FREE char *text = NULL;
		size_t text_len = 0;
		int rc;

		countdown = n;
		rc = make_text(&text, &text_len, &e);
		if (countdown > 0) {
			countdown = 0;
			assert_int_equal(rc, 0);
			break;
		}
		countdown = 0;
		if (rc == 0 && (text_len != len || memcmp(text, whole, len) != 0))
			fail_msg("allocation %ld failed: a thinner document and no error", n);
		if (rc < 0) {
			assert_int_equal(e.kind, ERR_INTERNAL);
			errors++;
		}
	}
	assert_true(errors > 100);
}

static void reading_is_whole_or_an_error(void **state)
{
	CLEANUP_FREE char *whole = NULL;
	CLEANUP(buf_done) struct buf expected = BUF_INIT;
	size_t len = 0, errors = 0;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(make_text(&whole, &len, &e), 0);
	assert_int_equal(read_back(whole, len, 0, &expected, &e), 0);
	for (long n = 1;; n++) {
		CLEANUP(buf_done) struct buf shown = BUF_INIT;
		int rc;

		rc = read_back(whole, len, n, &shown, &e);
		if (countdown > 0) {
			countdown = 0;
			assert_int_equal(rc, 0);
			break;
		}
		countdown = 0;
		if (rc == 0 && strcmp(buf_text(&shown), buf_text(&expected)) != 0)
			fail_msg("allocation %ld failed: another table and no error", n);
		errors += rc < 0;
	}
	assert_true(errors > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writing_is_whole_or_an_error),
		cmocka_unit_test(reading_is_whole_or_an_error),
	};

	json_set_alloc_funcs(failing_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
