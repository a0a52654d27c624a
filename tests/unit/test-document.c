/* The document: whole, checked, without credentials; and the text made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "result-fixture.h"
#include "result/emit.h"
#include "result/load.h"
#include "result/screen.h"

static const json_t *at(const json_t *v, const char *path)
{
	char copy[256];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key = strtok_r(copy, "/", &save); key && v; key = strtok_r(NULL, "/", &save))
		v = json_is_array(v) ? json_array_get(v, (size_t)(*key - '0'))
				     : json_object_get(v, key);
	return v;
}

static void document_is_valid_and_comes_back(void **state)
{
	CLEANUP(document_done) struct document d = { 0 };
	CLEANUP(json_decref) json_t *again = NULL;
	CLEANUP_FREE char *text = NULL, *second = NULL;
	size_t len = 0, second_len = 0;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fixture_document(&d, 2, true, &e), 0);
	assert_int_equal(load_check(d.root, &e), 0);
	assert_int_equal(emit_text(d.root, &text, &len, &e), 0);
	assert_int_equal(text[len - 1], '\n');
	assert_int_equal(load_text("text", text, len, &again, &e), 0);
	assert_int_equal(load_check(again, &e), 0);
	assert_int_equal(emit_text(again, &second, &second_len, &e), 0);
	assert_string_equal(text, second);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "rfc2217://***@127.0.0.1:2217"));
}

static void document_says_what_was_measured(void **state)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct err e = { 0 };
	const json_t *x;

	(void)state;
	assert_int_equal(fixture_document(&d, 2, false, &e), 0);
	assert_string_equal(json_string_value(at(d.root, "status")), "failed");
	assert_string_equal(json_string_value(at(d.root, "error/code")), "timeout");
	assert_string_equal(json_string_value(at(d.root, "labels/branch")), "main");
	assert_string_equal(json_string_value(at(d.root, "vcs/commit")), "0123abcd");
	assert_int_equal(json_integer_value(at(d.root, "config/how/timeout_ns")), 10000000000);
	assert_true(json_is_null(at(d.root, "config/how/warm_up")));
	assert_int_equal(json_integer_value(at(d.root, "config/what/size_bytes")), 65536);
	assert_string_equal(json_string_value(at(d.root, "config/what/mode")), "paste");
	assert_true(json_is_null(at(d.root, "config/out/output")));
	assert_int_equal(json_array_size(at(d.root, "warnings")), 1);
	assert_int_equal(json_array_size(at(d.root, "benchmarks")), 6);

	x = at(d.root, "benchmarks/0/runs/0/distributions/latency");
	assert_int_equal(json_integer_value(at(x, "n")), 12);
	assert_true(json_is_null(at(x, "percentiles/p95")));
	assert_non_null(strstr(json_string_value(at(x, "percentile_notes/p95")), "20"));
	assert_string_equal(json_string_value(at(x, "source")), "raw");
	assert_int_equal(json_integer_value(at(d.root, "benchmarks/0/pooled/latency/n")), 120);
	assert_true(json_is_integer(at(d.root, "benchmarks/0/pooled/latency/percentiles/p95")));
	x = at(d.root, "benchmarks/2/metrics/latency.median/summary");
	assert_int_equal(json_integer_value(at(x, "n")), 10);
	assert_true(json_number_value(at(x, "median_ci/0")) <= json_number_value(at(x, "median")));
	assert_true(json_number_value(at(x, "median_ci/1")) >= json_number_value(at(x, "median")));
}

static const json_t *find(const json_t *comparisons, const char *metric)
{
	const json_t *c;
	size_t i;

	json_array_foreach(comparisons, i,
			   c) if (strcmp(json_string_value(at(c, "metric")), metric) == 0 &&
				  strcmp(json_string_value(at(c, "benchmark")), "repl.exec") ==
					  0) return c;
	return NULL;
}

static void targets_are_compared_with_the_first(void **state)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct err e = { 0 };
	const json_t *c;

	(void)state;
	assert_int_equal(fixture_document(&d, 2, false, &e), 0);
	c = find(at(d.root, "comparisons"), "latency.median");
	assert_non_null(c);
	assert_string_equal(json_string_value(at(c, "method")), "hodges-lehmann/paired");
	assert_int_equal(json_integer_value(at(c, "pairs")), 10);
	assert_true(fabs(json_number_value(at(c, "ratio")) - 4) < 0.2);
	assert_true(json_number_value(at(c, "ci/0")) > 3.5 &&
		    json_number_value(at(c, "ci/1")) < 4.5);
	assert_true(json_number_value(at(c, "p")) < 0.01);
	c = find(at(d.root, "comparisons"), "syscalls.read");
	assert_string_equal(json_string_value(at(c, "method")), "exact");
	assert_int_equal(json_integer_value(at(c, "ratio")), 1);
	assert_true(json_is_null(at(c, "p")));
	assert_null(find(at(d.root, "comparisons"), "latency.max"));
}

static void outside_text_is_made_valid(void **state)
{
	CLEANUP(json_decref) json_t *bad = json_outside_text("a\xff\xc3(\xe2\x82\xac");
	CLEANUP(json_decref)
	json_t *masked =
		json_masked_text("x http://u:p@h/?token=abc&n=1 y rpyc://h:1 z http://a@b@c/");
	CLEANUP(json_decref) json_t *none = json_number((double)INFINITY);
	CLEANUP(json_decref) json_t *whole = json_number(3.0);
	CLEANUP(json_decref) json_t *large = json_u64(UINT64_C(1) << 53);

	(void)state;
	assert_string_equal(json_string_value(bad), "a\\xff\\xc3(\xe2\x82\xac");
	assert_string_equal(json_string_value(masked),
			    "x http://***@h/?token=***&n=1 y rpyc://h:1 z http://***@c/");
	assert_true(json_is_null(none));
	assert_true(json_is_integer(whole));
	assert_true(json_is_null(large));
}

static void text_has_no_line_longer_than_the_screen(const json_t *root, unsigned width, bool utf8)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT;
	CLEANUP(buf_done) struct buf colored = BUF_INIT;
	struct table_style style = { .width = width, .utf8 = utf8, .verbose = 1 };
	struct err e = { 0 };
	char *save = NULL;

	assert_int_equal(table_result(root, &style, &plain, &e), 0);
	style.color = true;
	assert_int_equal(table_result(root, &style, &colored, &e), 0);
	/* The same text once the colours are taken out. */
	for (size_t i = 0, k = 0; i <= colored.len; i++) {
		if (colored.data[i] == '\033')
			i += strcspn(colored.data + i, "m");
		else
			assert_int_equal(colored.data[i], plain.data[k++]);
	}
	for (char *line = strtok_r(plain.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (screen_columns(line) > width)
			fail_msg("%u columns: %s", screen_columns(line), line);
		for (const char *p = line; !utf8 && *p; p++)
			assert_in_range((unsigned char)*p, 0x20, 0x7e);
	}
}

static void table_fits_the_screen(void **state)
{
	static const unsigned widths[] = { 60, 80, 120 };
	struct err e = { 0 };

	(void)state;
	for (size_t targets = 1; targets <= 2; targets++) {
		CLEANUP(document_done) struct document d = { 0 };

		assert_int_equal(fixture_document(&d, targets, false, &e), 0);
		for (size_t i = 0; i < 3; i++) {
			text_has_no_line_longer_than_the_screen(d.root, widths[i], true);
			text_has_no_line_longer_than_the_screen(d.root, widths[i], false);
		}
	}
}

static void table_shows_what_matters(void **state)
{
	static const char *const expected[] = { "repl.exec",	   "P95",
						"KiB/s",	   "3.00 syscalls/op: read 2.00",
						"2 timeout",	   "noisy",
						"against exec",	   " worse",
						"negotiate",	   "50.0 %",
						"nagle",	   "set TCP_NODELAY",
						"too few samples", "Failed: no answer" };
	CLEANUP(document_done) struct document d = { 0 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = { .width = 80 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fixture_document(&d, 2, false, &e), 0);
	assert_int_equal(
		json_array_append_new((json_t *)(uintptr_t)at(d.root, "warnings"),
				      json_pack("{s:s,s:s}", "code", "x", "message", "a\033[2Jb")),
		0);
	assert_int_equal(table_result(d.root, &style, &out, &e), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
		if (!strstr(out.data, expected[i]))
			fail_msg("no \"%s\" in:\n%s", expected[i], out.data);
	assert_non_null(strstr(out.data, "throughput"));
	assert_null(strchr(out.data, '\033'));
	assert_non_null(strstr(out.data, "a\\x1b[2Jb"));
}

static void sparkline_follows_the_histogram(void **state)
{
	CLEANUP(json_decref)
	json_t *d = json_pack("{s:i,s:i,s:{s:i,s:[i,i],s:[i,i]}}", "min", 16, "max", 64, "hist",
			      "bits", 7, "index_delta", 16, 48, "count", 8, 1);
	CLEANUP(buf_done) struct buf utf8 = BUF_INIT;
	CLEANUP(buf_done) struct buf ascii = BUF_INIT;

	(void)state;
	assert_int_equal(table_sparkline(d, 4, true, &utf8), 0);
	assert_string_equal(utf8.data, "\u2588  \u2581");
	assert_int_equal(table_sparkline(d, 4, false, &ascii), 0);
	assert_string_equal(ascii.data, "#  _");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_is_valid_and_comes_back),
		cmocka_unit_test(document_says_what_was_measured),
		cmocka_unit_test(targets_are_compared_with_the_first),
		cmocka_unit_test(outside_text_is_made_valid),
		cmocka_unit_test(table_fits_the_screen),
		cmocka_unit_test(table_shows_what_matters),
		cmocka_unit_test(sparkline_follows_the_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
