/* Two samples, pairs, families of tests: against the vectors, and against plain enumeration. */
#include "unit/vectors.h"

#include "stats/compare.h"
#include "stats/rank.h"
#include "stats/summary.h"
#include "unit/random.h"

static void check_tests(const char *set, const json_t *row, const double *x, size_t m,
			const double *y, size_t n)
{
	struct mann_whitney u;
	struct err e;

	assert_int_equal(compare_mann_whitney(x, m, y, n, &u, &e), 0);
	vectors_key(set, row, "U_x", u.u_x);
	vectors_key(set, row, "U_y", u.u_y);
	vectors_p(set, row, "p_normal_tie_cc", u.p_normal);
	vectors_key(set, row, "z_normal", u.z);
	if (m + n > COMPARE_EXACT_MAX) {
		assert_int_equal(u.method, COMPARE_MWU_NORMAL);
		assert_null(json_object_get(row, "p_exact"));
		vectors_p(set, row, "p_normal_tie_cc", u.p);
		return;
	}
	assert_int_equal(u.method, COMPARE_MWU_EXACT);
	if (json_object_get(row, "p_exact"))
		vectors_p(set, row, "p_exact", u.p);
	else /* left out where all values are equal: every permutation is as extreme */
		assert_true(isnan(u.z) && vectors_close(1, u.p, 0, 1e-15));
}

static void check_shifts(const char *set, const json_t *row, const double *x, size_t m,
			 const double *y, size_t n)
{
	static const char *const keys[] = { "lo", "hi", "coverage", "k", NULL };
	json_t *ci = json_object_get(row, "hl_ci95"),
	       *ratio_ci = json_object_get(row, "hl_ratio_ci95");
	struct shift s, r;
	struct err e;

	assert_int_equal(compare_shift(x, m, y, n, 0.05, &s, &e), 0);
	assert_int_equal(compare_ratio(x, m, y, n, 0.05, &r, &e), 0);
	vectors_check_keys(ci, keys);
	vectors_key(set, row, "hodges_lehmann_y_minus_x", s.estimate);
	vectors_key(set, ci, "lo", s.lo);
	vectors_key(set, ci, "hi", s.hi);
	vectors_key(set, ci, "coverage", s.coverage);
	assert_int_equal(s.k, vectors_integer(json_object_get(ci, "k")));
	vectors_key(set, row, "hl_ratio_y_over_x", r.estimate);
	assert_int_equal(json_array_size(ratio_ci), 2);
	if (s.k) {
		vectors_number(set, "ratio lo", json_array_get(ratio_ci, 0), r.lo, 0);
	} else { /* null: nothing known below */
		assert_true(json_is_null(json_array_get(ratio_ci, 0)) && r.lo <= 0);
	}
	vectors_number(set, "ratio hi", json_array_get(ratio_ci, 1), r.hi, 0);
}

static bool has_ties(const double *x, size_t m, const double *y, size_t n)
{
	size_t ties = 0;

	for (size_t i = 0; i < m + n; i++)
		for (size_t k = 0; k < i; k++) {
			double a = i < m ? x[i] : y[i - m], b = k < m ? x[k] : y[k - m];

			ties += a >= b && a <= b;
		}
	return ties > 0;
}

static void check_effects(const char *set, const json_t *row, double *x, size_t m, double *y,
			  size_t n)
{
	double cliff = compare_cliff(x, m, y, n);
	struct welch w = compare_welch(x, m, y, n);

	vectors_key(set, row, "cliffs_delta_y_vs_x", cliff);
	vectors_key(set, row, "cles_p_y_gt_x", (cliff + 1) / 2);
	vectors_key(set, row, "welch_t_y_minus_x", w.t);
	vectors_p(set, row, "welch_p", w.p);
	assert_int_equal(has_ties(x, m, y, n), json_is_true(json_object_get(row, "has_ties")));
	summary_sort(x, m);
	summary_sort(y, n);
	vectors_key(set, row, "median_ratio_y_over_x",
		    summary_median_sorted(y, n) / summary_median_sorted(x, m));
}

static void pairs_of_samples_of_the_vectors(void **state)
{
	static const char *const keys[] = { "name",
					    "note",
					    "x",
					    "y",
					    "U_x",
					    "U_y",
					    "has_ties",
					    "p_normal_tie_cc",
					    "z_normal",
					    "p_exact",
					    "hodges_lehmann_y_minus_x",
					    "hl_ci95",
					    "median_ratio_y_over_x",
					    "hl_ratio_y_over_x",
					    "hl_ratio_ci95",
					    "cliffs_delta_y_vs_x",
					    "cles_p_y_gt_x",
					    "welch_t_y_minus_x",
					    "welch_p",
					    NULL };
	json_t *root = vectors_load(), *rows = json_object_get(root, "pair"), *row;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(rows), 11);
	json_array_foreach(rows, i, row)
	{
		const char *set = json_string_value(json_object_get(row, "name"));
		size_t m, n;
		double *x = vectors_doubles(json_object_get(row, "x"), &m);
		double *y = vectors_doubles(json_object_get(row, "y"), &n);

		vectors_check_keys(row, keys);
		check_tests(set, row, x, m, y, n);
		check_shifts(set, row, x, m, y, n);
		check_effects(set, row, x, m, y, n);
		free(x);
		free(y);
	}
	json_decref(root);
}

static void paired_samples_of_the_vectors(void **state)
{
	static const char *const keys[] = { "name",    "x",
					    "y",       "n_nonzero",
					    "W_plus",  "ties_in_abs",
					    "p_exact", "hodges_lehmann_pseudomedian",
					    NULL };
	json_t *root = vectors_load(), *rows = json_object_get(root, "paired"), *row;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(rows), 2);
	json_array_foreach(rows, i, row)
	{
		const char *set = json_string_value(json_object_get(row, "name"));
		size_t n, n_y, equal = 0;
		double *x = vectors_doubles(json_object_get(row, "x"), &n);
		double *y = vectors_doubles(json_object_get(row, "y"), &n_y);
		struct signed_rank r;
		struct shift s;
		struct err e;

		vectors_check_keys(row, keys);
		assert_int_equal(n, n_y);
		assert_int_equal(compare_signed_rank(x, y, n, &r, &e), 0);
		assert_int_equal(r.method, COMPARE_SIGNED_RANK_EXACT);
		assert_int_equal(r.n_used, vectors_integer(json_object_get(row, "n_nonzero")));
		vectors_key(set, row, "W_plus", r.w_plus);
		vectors_key(set, row, "hodges_lehmann_pseudomedian", r.pseudomedian);
		vectors_p(set, row, "p_exact", r.p);
		assert_int_equal(compare_paired_shift(x, y, n, 0.05, &s, &e), 0);
		vectors_key(set, row, "hodges_lehmann_pseudomedian", s.estimate);
		assert_true(s.lo < s.estimate && s.estimate < s.hi && s.coverage >= 0.95);
		for (size_t k = 0; k < n * n; k++)
			equal += k / n < k % n &&
				 fabs(fabs(y[k / n] - x[k / n]) - fabs(y[k % n] - x[k % n])) <= 0;
		assert_int_equal(equal > 0, json_is_true(json_object_get(row, "ties_in_abs")));
		free(x);
		free(y);
	}
	json_decref(root);
}

static void families_of_the_vectors(void **state)
{
	static const char *const keys[] = { "p", "holm", "benjamini_hochberg", NULL };
	json_t *root = vectors_load(), *family = json_object_get(root, "multiple");
	size_t n;
	double *p = vectors_doubles(json_object_get(family, "p"), &n), *out;
	struct err e;

	(void)state;
	vectors_check_keys(family, keys);
	out = calloc(n, sizeof(*out));
	assert_non_null(out);
	assert_int_equal(compare_holm(p, n, out, &e), 0);
	for (size_t i = 0; i < n; i++)
		vectors_number("holm", "p", json_array_get(json_object_get(family, "holm"), i),
			       out[i], 0);
	assert_int_equal(compare_benjamini_hochberg(p, n, out, &e), 0);
	for (size_t i = 0; i < n; i++)
		vectors_number("bh", "p",
			       json_array_get(json_object_get(family, "benjamini_hochberg"), i),
			       out[i], 0);
	assert_int_equal(compare_holm(NULL, 0, NULL, &e), 0);
	free(p);
	free(out);
	json_decref(root);
}

static void smallest_p_of_the_vectors(void **state)
{
	json_t *root = vectors_load(), *value;
	json_t *table = json_object_get(root, "mwu_min_two_sided_p_equal_n");
	const char *key;

	(void)state;
	assert_int_equal(json_object_size(table), 14);
	json_object_foreach(table, key, value)
	{
		size_t n = strtoull(key, NULL, 10);
		double x[16], y[16];
		struct mann_whitney u;
		struct err e;

		vectors_number("smallest p", key, value, compare_smallest_p(n, n), 0);
		for (size_t i = 0; i < n; i++) {
			x[i] = (double)i;
			y[i] = 100 + (double)i;
		}
		assert_int_equal(compare_mann_whitney(x, n, y, n, &u, &e), 0);
		vectors_number("smallest p", key, value, u.p, 0);
	}
	assert_true(vectors_close(2.0 / 1024, compare_smallest_p_paired(10), 1e-15, 0));
	assert_true(vectors_close(1, compare_smallest_p_paired(0), 0, 0));
	assert_true(vectors_close(1, compare_smallest_p(0, 5), 0, 0));
	json_decref(root);
}

/* P by going through every choice of m of the n pooled values. */
static double enumerated_p(const double *pooled, size_t n, size_t m)
{
	uint32_t rank[16];
	struct err e;
	double observed = 0, mu = (double)m * (double)(n + 1), hits = 0, all = 0;

	assert_int_equal(rank_doubled(pooled, n, rank, NULL, &e), 0);
	for (size_t i = 0; i < m; i++)
		observed += rank[i];
	for (uint32_t mask = 0; mask < 1U << n; mask++) {
		double sum = 0;

		if ((size_t)__builtin_popcount(mask) != m)
			continue;
		for (size_t i = 0; i < n; i++)
			sum += mask >> i & 1 ? rank[i] : 0;
		all++;
		hits += fabs(sum - mu) >= fabs(observed - mu);
	}
	return hits / all;
}

static double enumerated_signed_p(const double *d, size_t n)
{
	double magnitude[16], observed = 0, mu = (double)n * (double)(n + 1) / 2, hits = 0;
	uint32_t rank[16];
	struct err e;

	for (size_t i = 0; i < n; i++)
		magnitude[i] = fabs(d[i]);
	assert_int_equal(rank_doubled(magnitude, n, rank, NULL, &e), 0);
	for (size_t i = 0; i < n; i++)
		observed += d[i] > 0 ? rank[i] : 0;
	for (uint32_t mask = 0; mask < 1U << n; mask++) {
		double sum = 0;

		for (size_t i = 0; i < n; i++)
			sum += mask >> i & 1 ? rank[i] : 0;
		hits += fabs(sum - mu) >= fabs(observed - mu);
	}
	return hits / (double)(1U << n);
}

static void exact_p_equals_enumeration(void **state)
{
	struct random r = { 2 };

	(void)state;
	for (int round = 0; round < 60; round++) {
		size_t m = 1 + random_u64(&r) % 6, n = 1 + random_u64(&r) % 6;
		uint64_t kinds = round % 3 ? 4 : 1000; /* with and without ties */
		double v[16], d[16], zero[16] = { 0 };
		struct mann_whitney u, swapped;
		struct signed_rank s;
		struct err e;

		for (size_t i = 0; i < 16; i++) {
			v[i] = (double)(random_u64(&r) % kinds);
			d[i] = (1 + (double)(random_u64(&r) % kinds)) *
			       (random_u64(&r) % 3 ? 1 : -1);
		}
		assert_int_equal(compare_mann_whitney(v, m, v + m, n, &u, &e), 0);
		assert_true(vectors_close(enumerated_p(v, m + n, m), u.p, 0, 1e-12));
		assert_int_equal(compare_mann_whitney(v + m, n, v, m, &swapped, &e), 0);
		assert_true(vectors_close(u.p, swapped.p, 0, 1e-15));
		assert_true(vectors_close(u.u_x, swapped.u_y, 0, 0));
		assert_true(vectors_close((double)(m * n), u.u_x + u.u_y, 0, 0));
		assert_int_equal(compare_signed_rank(zero, d, m + n, &s, &e), 0);
		assert_true(vectors_close(enumerated_signed_p(d, m + n), s.p, 0, 1e-12));
	}
}

/* Where exact meets normal the two agree to within what an approximation can. */
static void normal_takes_over_smoothly(void **state)
{
	double x[101], y[101], zero[101] = { 0 }, d[101];
	struct random r = { 4 };
	struct mann_whitney u;
	struct signed_rank s;
	size_t k, k_normal;
	double tail, size = 50;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 101; i++) {
		x[i] = random_normal(&r);
		y[i] = random_normal(&r) + 0.4;
		d[i] = random_normal(&r) + 0.2;
	}
	assert_int_equal(compare_mann_whitney(x, 28, y, 29, &u, &e), 0);
	assert_int_equal(u.method, COMPARE_MWU_EXACT);
	assert_true(vectors_close(u.p, u.p_normal, 0.05, 0.002));
	assert_int_equal(compare_mann_whitney(x, 29, y, 29, &u, &e), 0);
	assert_int_equal(u.method, COMPARE_MWU_NORMAL);
	assert_int_equal(compare_signed_rank(zero, d, 51, &s, &e), 0);
	assert_int_equal(s.method, COMPARE_SIGNED_RANK_NORMAL);
	assert_int_equal(s.n_used, 51);
	assert_int_equal(rank_w_quantile(50, 0.025, &k, &tail, &e), 0);
	k_normal = (size_t)(size * 51 / 4 + 0.5 - 1.959964 * sqrt(size * 51 * 101 / 24));
	assert_true(k <= k_normal + 1 && k_normal <= k + 1);
	assert_int_equal(rank_u_quantile(100, 100, 0.025, &k, &tail, &e), 0);
	k_normal = (size_t)(5000.5 - 1.959964 * sqrt(10000.0 * 201 / 12));
	assert_true(k <= k_normal + 1 && k_normal <= k + 1);
	assert_int_equal(rank_u_quantile(100, 101, 0.025, &k, &tail, &e), 0);
	k_normal = (size_t)(5050.5 - 1.959964 * sqrt(10100.0 * 202 / 12));
	assert_int_equal(k, k_normal);
	assert_true(tail <= 0.025 && tail > 0.0245);
}

/* An interval misses the truth at most as often as it says. */
static void intervals_cover(void **state)
{
	enum { ROUNDS = 1000 };
	struct random r = { 8 };
	int missed = 0, missed_ratio = 0, missed_pairs = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		double x[10], y[10];
		struct shift s;
		struct err e;

		for (int i = 0; i < 10; i++) {
			x[i] = 100 * exp(0.1 * random_normal(&r));
			y[i] = 120 * exp(0.1 * random_normal(&r));
		}
		assert_int_equal(compare_ratio(x, 10, y, 10, 0.05, &s, &e), 0);
		missed_ratio += s.lo > 1.2 || s.hi < 1.2;
		assert_int_equal(compare_paired_ratio(x, y, 10, 0.05, &s, &e), 0);
		missed_pairs += s.lo > 1.2 || s.hi < 1.2;
		for (int i = 0; i < 10; i++)
			y[i] = x[i] * 0 + 100 * exp(0.1 * random_normal(&r)) + 7;
		assert_int_equal(compare_shift(x, 10, y, 10, 0.05, &s, &e), 0);
		missed += s.lo > 7 || s.hi < 7;
	}
	/* 5 % of 1,000 and 3 standard deviations; far fewer would be no interval at level 5 %. */
	assert_in_range(missed, 15, 71);
	assert_in_range(missed_ratio, 15, 71);
	assert_in_range(missed_pairs, 15, 71);
}

static void small_and_odd_samples(void **state)
{
	double x[] = { 1, 2, 3 }, y[] = { 4, 5, 6 }, zero[] = { 0, 1, 2 }, same[] = { 1, 2, 3 };
	struct mann_whitney u;
	struct signed_rank s;
	struct shift d;
	struct welch w;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(compare_mann_whitney(x, 0, y, 3, &u, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(compare_shift(x, 3, y, 0, 0.05, &d, &e), -1);
	assert_int_equal(compare_signed_rank(x, y, 0, &s, &e), -1);
	assert_int_equal(compare_shift(x, 3, y, 3000000, 0.05, &d, &e), -1);
	assert_string_equal(e.code, "too-many");
	assert_int_equal(compare_ratio(zero, 3, y, 3, 0.05, &d, &e), 0);
	assert_true(isnan(d.estimate) && isnan(d.lo) && isnan(d.hi));
	assert_int_equal(compare_paired_ratio(x, y, 3, 0.05, &d, &e), 0);
	assert_true(d.lo <= 0 && isinf(d.hi) && d.k == 0);
	assert_int_equal(compare_signed_rank(x, same, 3, &s, &e), 0);
	assert_int_equal(s.n_used, 0);
	assert_true(vectors_close(1, s.p, 0, 0));
	assert_true(vectors_close(0, s.pseudomedian, 0, 0));
	w = compare_welch(x, 1, y, 3);
	assert_true(isnan(w.t) && isnan(w.p));
	for (int i = 0; i < 3; i++)
		zero[i] = 5;
	assert_true(isnan(compare_welch(zero, 3, zero, 3).t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_of_samples_of_the_vectors),
		cmocka_unit_test(paired_samples_of_the_vectors),
		cmocka_unit_test(families_of_the_vectors),
		cmocka_unit_test(smallest_p_of_the_vectors),
		cmocka_unit_test(exact_p_equals_enumeration),
		cmocka_unit_test(normal_takes_over_smoothly),
		cmocka_unit_test(intervals_cover),
		cmocka_unit_test(small_and_odd_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
