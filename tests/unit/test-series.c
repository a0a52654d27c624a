/* What a run records: exact moments, raw values, then a histogram. */
#include "unit/vectors.h"

#include "stats/series.h"
#include "stats/summary.h"
#include "unit/random.h"

static void begin(struct series *s, size_t expect)
{
	struct err e;

	assert_int_equal(series_init(s, expect, &e), 0);
}

static bool whole_numbers(const json_t *data)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)(uintptr_t)data, i, v) if (!json_is_integer(v)) return false;
	return true;
}

/* The data sets of whole numbers, recorded: the same numbers to 1e-9. */
static void integer_sets_of_the_vectors(void **state)
{
	json_t *root = vectors_load(), *row, *v;
	size_t i, k, sets = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "single"), i, row)
	{
		const char *set = json_string_value(json_object_get(row, "name"));
		json_t *data = json_object_get(row, "data"), *ranks;
		struct series s;

		if (!whole_numbers(data))
			continue;
		sets++;
		begin(&s, 4);
		json_array_foreach(data, k, v) series_record(&s, vectors_integer(v));
		assert_int_equal(s.n, json_array_size(data));
		vectors_key(set, row, "mean", s.mean);
		vectors_key(set, row, "stdev_n_minus_1", series_stdev(&s));
		vectors_key(set, row, "median", series_median(&s));
		vectors_key(set, row, "lag1_autocorr", series_lag1(&s));
		vectors_key(set, row, "min", (double)s.min);
		vectors_key(set, row, "max", (double)s.max);
		vectors_key(set, row, "sum", (double)s.sum);
		ranks = json_object_get(row, "percentile_nearest_rank");
		assert_int_equal(
			series_percentile(&s, 999000),
			vectors_integer(json_object_get(json_object_get(ranks, "p99.9"), "value")));
		assert_int_equal(
			series_percentile(&s, 50000),
			vectors_integer(json_object_get(json_object_get(ranks, "p5"), "value")));
		series_done(&s);
	}
	assert_int_equal(sets, 12);
	json_decref(root);
}

static void empty_and_single(void **state)
{
	struct series s;

	(void)state;
	begin(&s, 0);
	assert_true(series_is_raw(&s));
	assert_int_equal(series_percentile(&s, 500000), 0);
	assert_true(isnan(series_median(&s)) && isnan(series_stdev(&s)) && isnan(series_lag1(&s)));
	series_record(&s, UINT64_MAX);
	assert_true(series_percentile(&s, 500000) == UINT64_MAX);
	assert_true(isnan(series_stdev(&s)));
	series_record(&s, UINT64_MAX);
	assert_true(s.sum == UINT64_MAX - 1 && s.sum_high == 1);
	assert_true(series_stdev(&s) <= 0);
	series_done(&s);
}

/* Values a * 2^shift around 2e6 with a long tail. */
static uint64_t latency(struct random *r)
{
	return (uint64_t)(15000 * exp(0.25 * random_normal(r)))
	       << (random_u64(r) % 50 == 0 ? 4 : 0);
}

static void check_against_raw(const struct series *s, double *all, size_t n)
{
	static const uint32_t ppms[] = { 0, 10000, 500000, 900000, 990000, 999000, 1000000 };

	summary_sort(all, n);
	for (size_t i = 0; i < sizeof(ppms) / sizeof(*ppms); i++) {
		double exact = summary_percentile_sorted(all, n, ppms[i]);
		double got = (double)series_percentile(s, ppms[i]);

		if (series_is_raw(s))
			assert_true(vectors_close(exact, got, 0, 0));
		else /* the top of its bucket, so never below */
			assert_true(got >= exact && got <= exact * (1 + 1.0 / 128));
	}
	assert_true(vectors_close(summary_mean(all, n), s->mean, 1e-13, 0));
	assert_true(vectors_close(summary_stdev(all, n), series_stdev(s), 1e-11, 0));
	assert_true(vectors_close(summary_median_sorted(all, n), series_median(s),
				  series_is_raw(s) ? 0 : 1.0 / 128, 0));
}

/* Around the end of the raw values, with and without room made ahead. */
static void beyond_the_raw_values(void **state)
{
	static const size_t sizes[] = { SERIES_RAW_MAX - 1, SERIES_RAW_MAX, SERIES_RAW_MAX + 1,
					150000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		double *all = calloc(sizes[i], sizeof(*all));
		struct series small, ahead;
		struct random r = { 3 + i };

		assert_non_null(all);
		begin(&small, 1);
		begin(&ahead, 150000);
		assert_true(ahead.has_histogram && !small.has_histogram);
		for (size_t k = 0; k < sizes[i]; k++) {
			uint64_t v = latency(&r);

			all[k] = (double)v;
			series_record(&small, v);
			series_record(&ahead, v);
		}
		assert_true(series_is_raw(&small) == (sizes[i] <= SERIES_RAW_MAX));
		assert_true(series_is_raw(&ahead) == (sizes[i] <= SERIES_RAW_MAX));
		assert_int_equal(small.n_raw, ahead.n_raw);
		assert_int_equal(ahead.histogram.n, ahead.n);
		if (!series_is_raw(&small))
			assert_memory_equal(small.histogram.count, ahead.histogram.count,
					    HISTOGRAM_SIZE * sizeof(uint64_t));
		assert_true(isnan(series_lag1(&small)) == !series_is_raw(&small));
		assert_int_equal(small.lost, 0);
		assert_int_equal(small.raw[SERIES_RAW_MAX - 2], (uint64_t)all[SERIES_RAW_MAX - 2]);
		check_against_raw(&small, all, sizes[i]);
		check_against_raw(&ahead, all, sizes[i]);
		series_done(&small);
		series_done(&ahead);
		free(all);
	}
}

static void moments_survive_a_large_offset(void **state)
{
	struct series low, high, low_half, high_half;
	struct random r = { 11 };
	struct err e;

	(void)state;
	begin(&low, 100);
	begin(&high, 100);
	begin(&low_half, 100);
	begin(&high_half, 100);
	for (size_t i = 0; i < 100000; i++) {
		uint64_t v = random_u64(&r) % 1000;

		series_record(i % 2 ? &low : &low_half, v);
		series_record(i % 2 ? &high : &high_half, v + UINT64_C(1000000000000000));
	}
	assert_true(vectors_close(series_stdev(&low), series_stdev(&high), 1e-12, 0));
	assert_true(vectors_close(
		low.mean, high.mean_offset + (double)(high.origin - UINT64_C(1000000000000000)),
		1e-12, 0));
	assert_int_equal(series_merge(&low, &low_half, &e), 0);
	assert_int_equal(series_merge(&high, &high_half, &e), 0);
	assert_int_equal(high.sum, low.sum + UINT64_C(100000) * UINT64_C(1000000000000000));
	assert_true(vectors_close(series_stdev(&low), series_stdev(&high), 1e-12, 0));
	assert_true(vectors_close(1e15 + low.mean, high.mean, 2e-16, 0));
	series_done(&low);
	series_done(&high);
	series_done(&low_half);
	series_done(&high_half);
}

static void assert_same(const struct series *a, const struct series *b)
{
	struct histogram x, y;
	struct err e;

	assert_int_equal(a->n, b->n);
	assert_true(a->min == b->min && a->max == b->max);
	assert_true(a->sum == b->sum && a->sum_high == b->sum_high);
	assert_true(vectors_close(a->mean, b->mean, 1e-13, 0));
	assert_true(vectors_close(a->m2, b->m2, 1e-10, 0));
	assert_int_equal(series_histogram(a, &x, &e) | series_histogram(b, &y, &e), 0);
	assert_int_equal(x.n, y.n);
	assert_memory_equal(x.count, y.count, HISTOGRAM_SIZE * sizeof(*x.count));
	for (uint32_t ppm = 0; ppm <= 1000000; ppm += 99999)
		assert_int_equal(series_percentile(a, ppm), series_percentile(b, ppm));
	histogram_done(&x);
	histogram_done(&y);
}

/* Parts of n[0..3) values merged in two orders, against all values recorded into one. */
static void check_merge(const size_t n[3], size_t expect_a)
{
	struct series part[3], other[3], whole;
	struct random r = { 5 };
	struct err e;

	begin(&whole, 10);
	for (int i = 0; i < 3; i++) {
		begin(&part[i], i ? 10 : expect_a);
		begin(&other[i], 0);
		for (size_t k = 0; k < n[i]; k++) {
			uint64_t v = latency(&r);

			series_record(&part[i], v);
			series_record(&other[i], v);
			series_record(&whole, v);
		}
	}
	assert_int_equal(series_merge(&part[0], &part[1], &e), 0);
	assert_int_equal(series_merge(&part[0], &part[2], &e), 0);
	assert_int_equal(series_merge(&other[2], &other[1], &e), 0);
	assert_int_equal(series_merge(&other[2], &other[0], &e), 0);
	assert_true(series_is_raw(&part[0]) == series_is_raw(&other[2]));
	assert_same(&part[0], &other[2]);
	if (series_is_raw(&whole)) {
		assert_int_equal(part[0].n_raw, whole.n_raw);
		assert_memory_equal(part[0].raw, whole.raw, whole.n_raw * sizeof(*whole.raw));
	}
	assert_same(&part[0], &whole);
	for (int i = 0; i < 3; i++) {
		series_done(&part[i]);
		series_done(&other[i]);
	}
	series_done(&whole);
}

static void merge_equals_recording_into_one(void **state)
{
	(void)state;
	check_merge((const size_t[]){ 100, 200, 300 }, 5);
	check_merge((const size_t[]){ 0, 200, 0 }, 5);
	check_merge((const size_t[]){ 40000, 20000, 5536 }, 5);
	check_merge((const size_t[]){ 40000, 20000, 5537 }, 5);
	check_merge((const size_t[]){ 70000, 20, 66000 }, 5);
	check_merge((const size_t[]){ 100, 20, 0 }, 100000);
}

static void merge_of_counts_that_overflow_changes_nothing(void **state)
{
	struct series a, b;
	struct err e = { 0 };

	(void)state;
	begin(&a, 1);
	begin(&b, 1);
	series_record(&a, 1);
	series_record(&b, 2);
	b.n = UINT64_MAX;
	assert_int_equal(series_merge(&a, &b, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.max, 1);
	series_done(&a);
	series_done(&b);
}

static void recording_goes_on_after_a_merge(void **state)
{
	struct series a, b;
	struct err e;

	(void)state;
	begin(&a, 1);
	begin(&b, 1);
	for (uint64_t i = 0; i < 40000; i++) {
		series_record(&a, i);
		series_record(&b, i + 40000);
	}
	assert_int_equal(series_merge(&a, &b, &e), 0);
	assert_false(series_is_raw(&a));
	assert_int_equal(a.n_raw, 0);
	for (uint64_t i = 0; i < 20000; i++)
		series_record(&a, 80000 + i);
	assert_int_equal(a.histogram.n, 100000);
	assert_true(vectors_close(50000, (double)series_percentile(&a, 500000), 1.0 / 128, 0));
	series_reset(&a);
	assert_int_equal(a.n, 0);
	assert_true(series_is_raw(&a));
	series_record(&a, 7);
	assert_int_equal(series_percentile(&a, 500000), 7);
	assert_true(vectors_close(7, a.mean, 0, 0));
	series_done(&a);
	series_done(&b);
}

static void reserving_keeps_what_is_there(void **state)
{
	struct series s;
	struct err e;

	(void)state;
	begin(&s, 2);
	for (uint64_t i = 0; i < 2; i++)
		series_record(&s, i);
	assert_int_equal(series_reserve(&s, 1000000, &e), 0);
	assert_int_equal(s.cap_raw, SERIES_RAW_MAX);
	assert_int_equal(s.histogram.n, 2);
	for (uint64_t i = 2; i < SERIES_RAW_MAX + 5; i++)
		series_record(&s, i);
	assert_int_equal(s.histogram.n, SERIES_RAW_MAX + 5);
	assert_int_equal(s.raw[1], 1);
	series_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integer_sets_of_the_vectors),
		cmocka_unit_test(empty_and_single),
		cmocka_unit_test(beyond_the_raw_values),
		cmocka_unit_test(moments_survive_a_large_offset),
		cmocka_unit_test(merge_equals_recording_into_one),
		cmocka_unit_test(merge_of_counts_that_overflow_changes_nothing),
		cmocka_unit_test(recording_goes_on_after_a_merge),
		cmocka_unit_test(reserving_keeps_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
