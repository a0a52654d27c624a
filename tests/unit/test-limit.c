#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "diff-fixture.h"
#include "result/limit.h"

enum { RUNS = 3 };

struct checked {
	struct side side;
	json_t *checks;
	struct limit_counts counts;
	struct err e;
};

static void checked_done(struct checked *c)
{
	side_done(&c->side);
	json_decref(c->checks);
}
CLEANUP_OBJ(struct checked, checked_done)

static json_t *document(void)
{
	static const double p99[RUNS] = { 4.0e6, 4.5e6, 9.0e6 }, bytes[RUNS] = { 3e6, 3e6, 3e6 };
	static const double nothing[RUNS] = { NAN, NAN, NAN }, share[RUNS] = { 0.004, 0.004, 0.01 };
	json_t *root = fx_document("a"), *exec, *read;

	exec = fx_case(root, "repl.exec", "latency.median", RUNS);
	fx_metric(exec, "latency.p99", "ns", "lower", "distribution", p99);
	fx_metric(exec, "latency.p99.9", "ns", "lower", "distribution", nothing);
	fx_metric(exec, "error_ratio", "ratio", "lower", "distribution", share);
	read = fx_case(root, "tftp.read", "throughput", RUNS);
	fx_metric(read, "throughput", "bytes_per_second", "higher", "distribution", bytes);
	fx_metric(read, "latency.p99", "ns", "lower", "distribution", p99);
	json_object_set_new(json_object_get(read, "params"), "blksize", json_integer(512));
	json_object_set_new(json_array_get(json_object_get(read, "runs"), 1), "failed",
			    json_integer(2));
	return root;
}

static struct checked check(const char *text)
{
	struct checked c = { .checks = json_array() };
	json_t *root = document();
	struct limit l;

	assert_int_equal(side_add(&c.side, "a.json", root, &c.e), 0);
	assert_int_equal(limit_parse(&l, text, &c.e), 0);
	assert_int_equal(limit_check(&l, 1, &c.side, NULL, c.checks, &c.counts, &c.e), 0);
	json_decref(root);
	return c;
}

static void test_limits(void **state)
{
	static const struct {
		const char *text;
		size_t pass, fail, error;
	} cases[] = {
		{ "repl.exec latency.p99 < 5ms", 1, 0, 0 },
		{ "repl.exec latency.p99<4ms", 0, 1, 0 },
		{ "repl.exec  latency.p99  <=  4500us", 1, 0, 0 },
		{ "repl.exec:latency.p99 == 4.5ms", 1, 0, 0 },
		{ "repl.exec:latency.p99 != 4.5ms", 0, 1, 0 },
		{ "latency.p99 < 5ms", 2, 0, 0 },
		{ "* latency.p99 > 5ms", 0, 2, 0 },
		{ "tftp.read,blksize=512 latency.p99 < 5ms", 1, 0, 0 },
		{ "tftp.read,blksize=512@t1 latency.p99 < 5ms", 1, 0, 0 },
		{ "tftp.read,blksize=1468 latency.p99 < 5ms", 0, 0, 1 },
		{ "tftp.read@t2 latency.p99 < 5ms", 0, 0, 1 },
		{ "error_ratio <= 0.4%", 1, 0, 0 },
		{ "throughput >= 3M", 1, 0, 0 },
		{ "throughput >= 2.8MiB/s", 1, 0, 0 },
		{ "throughput >= 2.9MiB/s", 0, 1, 0 },
		{ "repl.exec errors == 0", 1, 0, 0 },
		{ "errors == 0", 1, 1, 0 },
		{ "latency.p98 < 5ms", 0, 0, 1 },
		/* No run has so many samples: unknown is not a pass. */
		{ "latency.p99.9 < 5s", 0, 0, 1 },
		{ "latency.p99 < 5MiB", 0, 0, 2 },
		{ "latency.p99 < 5", 0, 0, 2 },
		{ "latency.p99 > 0", 2, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(checked_done) struct checked c = check(cases[i].text);

		if (c.counts.pass != cases[i].pass || c.counts.fail != cases[i].fail ||
		    c.counts.error != cases[i].error)
			fail_msg("%s: %zu %zu %zu", cases[i].text, c.counts.pass, c.counts.fail,
				 c.counts.error);
		assert_int_equal(json_array_size(c.checks),
				 cases[i].pass + cases[i].fail + cases[i].error);
		assert_int_equal(limit_status(&c.counts), cases[i].error  ? ERR_USAGE
							  : cases[i].fail ? ERR_CHECK
									  : 0);
	}
}

static void test_value_and_limit_are_told(void **state)
{
	CLEANUP(checked_done) struct checked c = check("repl.exec latency.p99 < 5ms");
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = { .width = 80 };
	const json_t *o = json_array_get(c.checks, 0);

	(void)state;
	assert_float_equal(json_number_value(json_object_get(o, "value")), 4.5e6, 0);
	assert_float_equal(json_number_value(json_object_get(o, "limit")), 5e6, 0);
	assert_string_equal(json_string_value(json_object_get(o, "unit")), "ns");
	limit_table(c.checks, &(struct screen){ &out, &style });
	assert_non_null(strstr(buf_text(&out), "pass"));
	assert_non_null(strstr(buf_text(&out), "4.50 ms  repl.exec latency.p99 < 5ms"));
}

/* Against a baseline whose P99 of repl.exec is 4.5 ms, and which has nothing else. */
static void test_changes_against_a_baseline(void **state)
{
	static const struct {
		const char *text;
		double factor; /* of the new values */
		int status;
	} cases[] = {
		{ "repl.exec latency.p99 <= +3%", 1.02, 0 },
		{ "repl.exec latency.p99 <= +3%", 1.04, ERR_CHECK },
		{ "repl.exec latency.p99 >= -3%", 0.98, 0 },
		{ "repl.exec latency.p99 >= -3%", 0.96, ERR_CHECK },
		{ "repl.exec latency.p99 < +0.5%", 1.004, 0 },
		/* Nothing failed in the baseline; it has no such case. */
		{ "repl.exec errors <= +3%", 1, ERR_USAGE },
		{ "tftp.read throughput >= -3%", 1, ERR_USAGE },
	};
	static const double base_values[RUNS] = { 4.0e6, 4.5e6, 9.0e6 };
	json_t *root = fx_document("base");
	struct side base = { 0 };
	struct err e;

	(void)state;
	fx_metric(fx_case(root, "repl.exec", "latency.median", RUNS), "latency.p99", "ns", "lower",
		  "distribution", base_values);
	assert_int_equal(side_add(&base, "base.json", root, &e), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(checked_done) struct checked c = { .checks = json_array() };
		json_t *mine = document();
		struct limit l;

		assert_int_equal(side_add(&c.side, "a.json", mine, &e), 0);
		for (int k = 0; k < RUNS; k++)
			c.side.cases[0].metric[0].values[k] *= cases[i].factor;
		assert_int_equal(limit_parse(&l, cases[i].text, &e), 0);
		assert_ptr_equal(limit_find_relative(&l, 1), &l);
		assert_int_equal(limit_check(&l, 1, &c.side, &base, c.checks, &c.counts, &e), 0);
		if (limit_status(&c.counts) != cases[i].status)
			fail_msg("%s at %g: %d", cases[i].text, cases[i].factor,
				 limit_status(&c.counts));
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(c.checks, 0), "unit")),
			"change");
		json_decref(mine);
	}
	side_done(&base);
	json_decref(root);
}

static void test_an_unknown_metric_suggests(void **state)
{
	CLEANUP(checked_done) struct checked c = check("latency.p98 < 5ms");
	const char *message =
		json_string_value(json_object_get(json_array_get(c.checks, 0), "message"));

	(void)state;
	assert_non_null(strstr(message, "did you mean latency.p99?"));
}

static void test_what_is_no_limit(void **state)
{
	static const char *const bad[] = { "",
					   "latency.p99",
					   "latency.p99 <",
					   "< 5ms",
					   "latency.p99 < 5 ms",
					   "latency.p99 = 5ms",
					   "repl.exec,x latency.p99 < 5ms",
					   "latency.p99 < --5%",
					   "latency.p99 < +%" };
	struct limit l;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (limit_parse(&l, bad[i], &e) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

static void test_a_file_of_limits(void **state)
{
	char path[] = "/tmp/mpbench-limits-XXXXXX";
	int fd = mkstemp(path);
	const char text[] = "# limits\n\nlatency.p99 < 5ms # all cases\r\n  throughput > 1M\n";
	const char bad[] = "latency.p99 < 5ms\nnonsense\n";
	struct limit *list = NULL;
	size_t n = 0;
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(limit_read(path, &list, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].text, "latency.p99 < 5ms");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bad, strlen(bad), 0), (ssize_t)strlen(bad));
	assert_int_equal(limit_read(path, &list, &n, &e), -1);
	assert_non_null(strstr(e.msg, ":2: "));
	free(list);
	unlink(path);
	close(fd);
	assert_int_equal(limit_read("/nonexistent", &list, &n, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_value_and_limit_are_told),
		cmocka_unit_test(test_changes_against_a_baseline),
		cmocka_unit_test(test_an_unknown_metric_suggests),
		cmocka_unit_test(test_what_is_no_limit),
		cmocka_unit_test(test_a_file_of_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
