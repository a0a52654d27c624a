/* Fail the Nth allocation while a report is made of two documents: each time an error, or the same page as without failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "picture/page.h"
#include "picture/paper.h"
#include "result-fixture.h"
#include "torture.h"

enum kind { PAGE, MARKDOWN, TEXT, KINDS };

static json_t *root[2];

static int make(enum kind kind, struct buf *out, struct err *e)
{
	static const char *const names[] = { "base.json", "new.json" };
	static const struct diff_opts none;
	const struct table_style style = { .width = 80, .utf8 = true, .verbose = 1 };
	CLEANUP(study_done) struct study s = { 0 };
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));

	if (!rules)
		return err_nomem(e);
	if (diff_rules_parse(rules, &none, e) < 0 || study_make(&s, names, root, 2, rules, e) < 0)
		return -1;
	return kind == PAGE	  ? page_html(&s, out, e)
	       : kind == MARKDOWN ? paper_markdown(&s, out, e)
				  : paper_text(&s, &style, out, e);
}

static void a_report_is_whole_or_an_error(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (enum kind kind = PAGE; kind < KINDS; kind++) {
		CLEANUP(buf_done) struct buf whole = BUF_INIT;
		size_t errors = 0;

		assert_int_equal(make(kind, &whole, &e), 0);
		for (long n = 1;; n += stride()) {
			CLEANUP(buf_done) struct buf out = BUF_INIT;
			bool done;
			int rc;

			countdown = n;
			rc = make(kind, &out, &e);
			done = countdown > 0;
			countdown = 0;
			if (rc < 0)
				errors++;
			else if (strcmp(buf_text(&out), buf_text(&whole)) != 0)
				fail_msg("allocation %ld failed: another report %d and no error", n,
					 kind);
			if (done)
				break;
		}
		assert_true(errors > 10);
	}
}

static int load(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct document d = { 0 };
		char id[8];

		snprintf(id, sizeof(id), "run-%zu", i);
		if (fixture_document_of(&d, 2, true, true, &e) < 0 ||
		    json_put(d.root, "run_id", json_string(id), &e) < 0)
			return -1;
		root[i] = d.root;
	}
	return 0;
}

static int unload(void **state)
{
	(void)state;
	json_decref(root[0]);
	json_decref(root[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_report_is_whole_or_an_error) };

	json_set_alloc_funcs(failing_malloc, free);
	return cmocka_run_group_tests(tests, load, unload);
}
