/* Reading documents back, with no trust. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "result-fixture.h"
#include "result/load.h"

static json_t *fixture_copy(void)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct err e = { 0 };

	assert_int_equal(fixture_document_of(&d, 2, true, true, &e), 0);
	return json_incref(d.root);
}

static void bad_text_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *expected;
	} bad[] = {
		{ "", "file:" },
		{ "{\n\"a\": 1,\n\"a\": 2}", "file:3: duplicate" },
		{ "{\"a\": NaN}", "file:1:" },
		{ "{\"a\": \"\xff\"}", "file:1:" },
		{ "{\"a\": \"\\u0000\"}", "file:1:" },
		{ "{\"a\": 1e999}", "file:1:" },
		{ "{\"a\": 99999999999999999999}", "file:1:" },
		{ "{} x", "file:1:" },
		{ "{\"a\": [1, 2", "file:1:" },
	};
	char deep[140];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = { 0 };
		json_t *out = NULL;

		assert_int_equal(load_text("file", bad[i].text, strlen(bad[i].text), &out, &e), -1);
		assert_null(out);
		assert_int_equal(e.kind, ERR_USAGE);
		if (strncmp(e.msg, bad[i].expected, strlen(bad[i].expected)) != 0)
			fail_msg("%s: %s", bad[i].text, e.msg);
	}
	for (size_t n = 64; n <= 65; n++) {
		CLEANUP(json_decref) json_t *out = NULL;
		struct err e = { 0 };

		memset(deep, '[', n);
		memset(deep + n, ']', n);
		assert_int_equal(load_text("file", deep, 2 * n, &out, &e), n > 64 ? -1 : 0);
	}
}

static void other_major_is_refused(void **state)
{
	CLEANUP(json_decref) json_t *root = fixture_copy();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_object_set_new(root, "schema_version", json_string("1.7")), 0);
	assert_int_equal(json_object_set_new(root, "of the future", json_integer(1)), 0);
	assert_int_equal(load_check(root, &e), 0);
	assert_int_equal(json_object_set_new(root, "schema_version", json_string("2.0")), 0);
	assert_int_equal(load_check(root, &e), -1);
	assert_non_null(strstr(e.msg, "file is schema 2.x, this mpbench reads 1.x"));
	assert_int_equal(json_object_set_new(root, "schema_version", json_string("10.0")), 0);
	assert_int_equal(load_check(root, &e), -1);
	assert_int_equal(json_object_set_new(root, "schema", json_string("other")), 0);
	assert_int_equal(load_check(root, &e), -1);
}

static json_t *at(json_t *v, const char *path)
{
	char copy[256];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key = strtok_r(copy, "/", &save); key && v; key = strtok_r(NULL, "/", &save))
		v = json_is_array(v) ? json_array_get(v, (size_t)(*key - '0'))
				     : json_object_get(v, key);
	assert_non_null(v);
	return v;
}

static void first_error_is_named_by_its_path(void **state)
{
	static const struct {
		const char *parent, *key, *value, *expected;
	} wrong[] = {
		{ "", "status", "\"done\"",
		  "$.status: must be one of complete, interrupted, failed" },
		{ "", "started_at", "\"yesterday\"", "$.started_at: must be an RFC 3339" },
		{ "benchmarks/2/metrics/latency.median", "unit", "1",
		  "$.benchmarks[2].metrics.latency.median.unit: must be a string" },
		{ "benchmarks/2/metrics/latency.median", "better", "\"fast\"",
		  "$.benchmarks[2].metrics.latency.median.better:" },
		{ "benchmarks/2/metrics/latency.median", "values", "[1]",
		  "$.benchmarks[2]: metrics.latency.median.values has 1 elements for 2 runs" },
		{ "benchmarks/0/metrics/latency.median", "values", "[1,\"x\"]",
		  "$.benchmarks[0].metrics.latency.median.values[1]: must be a number or null" },
		{ "benchmarks/0/runs/1/distributions/latency", "n", "9007199254740992",
		  "$.benchmarks[0].runs[1].distributions.latency.n: must be a whole number" },
		{ "benchmarks/0/runs/1/distributions/latency", "n", "2",
		  "$.benchmarks[0].runs[1].distributions.latency: hist.count adds up to 3, not to n - lost = 2" },
		{ "benchmarks/0/runs/1/distributions/latency", "lost", "4",
		  "$.benchmarks[0].runs[1].distributions.latency: lost is more than n" },
		{ "benchmarks/0/runs/1/distributions/latency", "samples", "[1]",
		  "$.benchmarks[0].runs[1].distributions.latency: samples has 1" },
		{ "benchmarks/0/runs/1/distributions/latency", "mean", "null",
		  "$.benchmarks[0].runs[1].distributions.latency: mean must be" },
		{ "benchmarks/0/runs/1/distributions/latency/percentiles", "99th", "1",
		  "$.benchmarks[0].runs[1].distributions.latency.percentiles: key 99th" },
		{ "benchmarks/0/runs/1/distributions/latency/hist", "index_delta",
		  "[9007199254740991,9007199254740991,9007199254740991]",
		  "$.benchmarks[0].runs[1].distributions.latency: hist" },
		{ "benchmarks/0/runs/1/distributions/latency/hist", "bits", "60",
		  "$.benchmarks[0].runs[1].distributions.latency.hist: bits must be" },
		{ "comparisons/0", "ci", "[1]", "$.comparisons[0].ci: must have two elements" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CLEANUP(json_decref) json_t *root = fixture_copy();
		json_t *value = json_loads(wrong[i].value, JSON_DECODE_ANY, NULL);
		struct err e = { 0 };

		assert_int_equal(
			json_object_set_new(at(root, wrong[i].parent), wrong[i].key, value), 0);
		assert_int_equal(load_check(root, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		if (strncmp(e.msg, wrong[i].expected, strlen(wrong[i].expected)) != 0)
			fail_msg("expected %s, not %s", wrong[i].expected, e.msg);
	}
}

static void missing_key_is_named(void **state)
{
	CLEANUP(json_decref) json_t *root = fixture_copy();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_object_del(at(root, "benchmarks/1/runs/0"), "errors"), 0);
	assert_int_equal(load_check(root, &e), -1);
	assert_string_equal(e.msg, "$.benchmarks[1].runs[0]: errors is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_text_is_refused_with_its_line),
		cmocka_unit_test(other_major_is_refused),
		cmocka_unit_test(first_error_is_named_by_its_path),
		cmocka_unit_test(missing_key_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
