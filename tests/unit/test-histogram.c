/* The log-linear scale, and histograms that add up. */
#include "unit/vectors.h"

#include "stats/histogram.h"
#include "unit/random.h"

static void index_rows_of_the_vectors(void **state)
{
	json_t *root = vectors_load();
	json_t *rows = json_object_get(root, "loglinear_index_m_value_index_lo_hi");
	size_t i, with_our_bits = 0;
	json_t *row;

	(void)state;
	assert_int_equal(json_array_size(rows), 46);
	json_array_foreach(rows, i, row)
	{
		unsigned bits = (unsigned)vectors_integer(json_array_get(row, 0));
		uint64_t v = vectors_integer(json_array_get(row, 1));
		size_t index = (size_t)vectors_integer(json_array_get(row, 2));

		assert_int_equal(json_array_size(row), 5);
		assert_int_equal(loglinear_index(bits, v), index);
		assert_int_equal(loglinear_low(bits, index),
				 vectors_integer(json_array_get(row, 3)));
		assert_int_equal(loglinear_high(bits, index),
				 vectors_integer(json_array_get(row, 4)));
		if (bits != HISTOGRAM_BITS)
			continue;
		with_our_bits++;
		assert_int_equal(histogram_index(v), index);
		assert_int_equal(histogram_low(index), vectors_integer(json_array_get(row, 3)));
		assert_int_equal(histogram_high(index), vectors_integer(json_array_get(row, 4)));
	}
	assert_int_equal(with_our_bits, 23);
	json_decref(root);
}

static void buckets_tile_the_range(void **state)
{
	(void)state;
	assert_int_equal(histogram_low(0), 0);
	for (size_t i = 0; i < HISTOGRAM_SIZE; i++) {
		uint64_t lo = histogram_low(i), hi = histogram_high(i);

		assert_true(lo <= hi);
		assert_int_equal(histogram_index(lo), i);
		assert_int_equal(histogram_index(hi), i);
		assert_true(hi - lo <= lo / 128);
		if (i + 1 < HISTOGRAM_SIZE)
			assert_int_equal(histogram_low(i + 1), hi + 1);
		else
			assert_true(hi == UINT64_MAX);
	}
}

static void fill(struct histogram *h, struct random *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		histogram_add(h, random_u64(r) >> (random_u64(r) % 64), 1 + random_u64(r) % 3);
}

static void assert_same(const struct histogram *a, const struct histogram *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->lowest, b->lowest);
	assert_int_equal(a->highest, b->highest);
	assert_memory_equal(a->count, b->count, HISTOGRAM_SIZE * sizeof(*a->count));
}

static void merge_into(struct histogram *sum, const struct histogram *part)
{
	struct err e;

	assert_int_equal(histogram_merge(sum, part, &e), 0);
}

static void merge_is_commutative_and_associative(void **state)
{
	struct histogram part[3], whole, left, right, inner;
	struct random r = { 1 }, again = { 1 };
	struct err e;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(histogram_init(&part[i], &e), 0);
		fill(&part[i], &r, 700);
	}
	assert_int_equal(histogram_init(&whole, &e) | histogram_init(&left, &e) |
				 histogram_init(&right, &e) | histogram_init(&inner, &e),
			 0);
	fill(&whole, &again, 2100);

	merge_into(&left, &part[0]);
	merge_into(&left, &part[1]);
	merge_into(&left, &part[2]);
	merge_into(&inner, &part[2]);
	merge_into(&inner, &part[1]);
	merge_into(&right, &inner);
	merge_into(&right, &part[0]);
	assert_same(&left, &right);
	assert_same(&left, &whole);

	/* The empty one is neutral, on both sides. */
	histogram_reset(&inner);
	merge_into(&left, &inner);
	assert_same(&left, &whole);
	merge_into(&inner, &whole);
	assert_same(&inner, &whole);
	for (int i = 0; i < 3; i++)
		histogram_done(&part[i]);
	histogram_done(&whole);
	histogram_done(&left);
	histogram_done(&right);
	histogram_done(&inner);
}

static void percentiles_are_bucket_tops(void **state)
{
	struct histogram h;
	struct err e;

	(void)state;
	assert_int_equal(histogram_init(&h, &e), 0);
	assert_int_equal(histogram_percentile(&h, 500000), 0);
	for (uint64_t v = 1; v <= 160; v++)
		histogram_add(&h, v, 1);
	assert_int_equal(histogram_percentile(&h, 0), 1);
	assert_int_equal(histogram_percentile(&h, 500000), 80);
	assert_int_equal(histogram_percentile(&h, 990000), 159);
	assert_int_equal(histogram_percentile(&h, 1000000), 160);
	histogram_add(&h, 25501, 1000);
	assert_int_equal(histogram_percentile(&h, 500000), 25599);
	assert_int_equal(histogram_at_rank(&h, 160), 160);
	assert_int_equal(histogram_at_rank(&h, 161), 25599);
	assert_int_equal(histogram_at_rank(&h, UINT64_MAX), 25599);
	histogram_reset(&h);
	assert_int_equal(h.n, 0);
	assert_true(h.lowest > h.highest);
	histogram_done(&h);
}

static void overflow_is_refused_or_cut(void **state)
{
	struct histogram a, b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(histogram_init(&a, &e) | histogram_init(&b, &e), 0);
	histogram_add(&a, 5, UINT64_MAX - 1);
	histogram_add(&b, 9, 2);
	assert_int_equal(histogram_merge(&a, &b, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_true(a.n == UINT64_MAX - 1);
	assert_int_equal(a.count[9], 0);
	assert_int_equal(a.highest, 5);

	histogram_add(&a, 9, 7);
	assert_true(a.n == UINT64_MAX);
	assert_int_equal(a.count[9], 1);
	histogram_add(&a, 9, 1);
	assert_true(a.n == UINT64_MAX);
	assert_int_equal(histogram_percentile(&a, 999999), 5);
	assert_int_equal(histogram_percentile(&a, 1000000), 9);
	histogram_done(&a);
	histogram_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_rows_of_the_vectors),
		cmocka_unit_test(buckets_tile_the_range),
		cmocka_unit_test(merge_is_commutative_and_associative),
		cmocka_unit_test(percentiles_are_bucket_tops),
		cmocka_unit_test(overflow_is_refused_or_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
