/* Metrics of a benchmark: one value per run, and which percentiles samples can carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "result-fixture.h"

static void percentiles_need_samples(void **state)
{
	(void)state;
	assert_int_equal(percentile_needs(500000), 1);
	assert_int_equal(percentile_needs(900000), 10);
	assert_int_equal(percentile_needs(950000), 20);
	assert_int_equal(percentile_needs(990000), 100);
	assert_int_equal(percentile_needs(999000), 1000);
	assert_int_equal(percentile_needs_bound(500000), 6);
	assert_int_equal(percentile_needs_bound(900000), 36);
	assert_int_equal(percentile_needs_bound(950000), 72);
	assert_int_equal(percentile_needs_bound(990000), 368);
	assert_int_equal(percentile_needs_bound(999000), 3688);
	/* Neighbours of the tabulated ones are searched for. */
	assert_in_range(percentile_needs_bound(950001), 72, 73);
	assert_in_range(percentile_needs_bound(990001), 368, 370);
	assert_in_range(percentile_needs_bound(989999), 366, 368);
	assert_false(percentile_is_carried(99, 990000));
	assert_true(percentile_is_carried(100, 990000));
}

static void metrics_have_one_value_per_run(void **state)
{
	CLEANUP(measurement_done) struct measurement m = { 0 };
	CLEANUP(metric_list_done) struct metric_list l = { 0 };
	struct err e = { 0 };
	struct benchmark *b;
	const struct metric *x;

	(void)state;
	assert_int_equal(fixture_measurement(&m, 2, &e), 0);
	b = &m.benchmark[3];
	b->run[2].status = RUN_FAILED;
	b->run[2].ok = 0;
	b->run[2].failed = 7;
	assert_int_equal(metric_list_make(&l, b, &e), 0);

	x = metric_find(&l, "latency.median");
	assert_non_null(x);
	assert_string_equal(x->unit, "ns");
	assert_true(x->better == BETTER_LOWER);
	assert_true(isnan(x->values[2]));
	assert_true(x->values[1] >= 232000 && x->values[1] < 300000);
	/* A failed run still says how much of it failed. */
	x = metric_find(&l, "error_ratio");
	assert_true(x->values[2] >= 1 && x->values[2] <= 1);
	assert_true(fabs(x->values[4] - 2.0 / 122) < 1e-12);
	assert_null(metric_find(&l, "throughput"));
	assert_non_null(metric_find(&l, "rate"));
	assert_non_null(metric_find(&l, "client.cpu"));
	assert_null(metric_find(&l, "server.cpu"));
	assert_null(metric_find(&l, "achieved_ratio"));
	x = metric_find(&l, "syscalls.read");
	assert_true(x->exact);
	assert_true(x->values[4] >= 2 && x->values[4] <= 2);
	assert_int_equal(x->totals[4], 244);
	assert_int_equal(x->operations[4], 122);
	x = metric_find(&l, "syscalls.total");
	assert_true(x->values[0] >= 3 && x->values[0] <= 3);
	assert_non_null(metric_find(&l, "memory.free"));
}

static void percentile_of_too_few_samples_is_absent(void **state)
{
	CLEANUP(measurement_done) struct measurement m = { 0 };
	CLEANUP(metric_list_done) struct metric_list few = { 0 }, many = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fixture_measurement(&m, 1, &e), 0);
	assert_int_equal(metric_list_make(&few, &m.benchmark[0], &e), 0);
	assert_int_equal(metric_list_make(&many, &m.benchmark[1], &e), 0);
	assert_null(metric_find(&few, "latency.p95"));
	assert_non_null(metric_find(&few, "latency.median"));
	assert_non_null(metric_find(&many, "latency.p99"));
	assert_non_null(metric_find(&few, "first"));
}

static void throughput_counts_bytes(void **state)
{
	CLEANUP(measurement_done) struct measurement m = { 0 };
	CLEANUP(metric_list_done) struct metric_list l = { 0 };
	struct err e = { 0 };
	const struct metric *x;

	(void)state;
	assert_int_equal(fixture_measurement(&m, 1, &e), 0);
	m.benchmark[2].run[0].bytes = 1000;
	m.benchmark[2].run[0].duration_ns = 500000000;
	m.benchmark[2].open_loop = true;
	m.benchmark[2].run[0].planned = 5;
	assert_int_equal(metric_list_make(&l, &m.benchmark[2], &e), 0);
	x = metric_find(&l, "throughput");
	assert_true(fabs(x->values[0] - 2000) < 1e-9);
	assert_string_equal(x->unit, "bytes_per_second");
	x = metric_find(&l, "achieved_ratio");
	assert_true(fabs(x->values[0] - 0.8) < 1e-12);
	assert_true(isnan(x->values[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_need_samples),
		cmocka_unit_test(metrics_have_one_value_per_run),
		cmocka_unit_test(percentile_of_too_few_samples_is_absent),
		cmocka_unit_test(throughput_counts_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
