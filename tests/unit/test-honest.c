/* How often the decision rule of diff is wrong: simulated run values with fixed seeds. */
#include "unit/vectors.h"

#include "stats/compare.h"
#include "unit/random.h"

enum { RUNS = 10, PAIRS = 1000 };

/* The verdict "different" for one metric: significant and at least 5 %. */
static bool unpaired(const double *x, const double *y)
{
	struct mann_whitney u;
	struct shift ratio;
	struct err e;

	assert_int_equal(compare_mann_whitney(x, RUNS, y, RUNS, &u, &e), 0);
	assert_int_equal(compare_ratio(x, RUNS, y, RUNS, 0.05, &ratio, &e), 0);
	return u.p < 0.05 && fabs(ratio.estimate - 1) >= 0.05;
}

static bool paired_significant(const double *x, const double *y)
{
	struct signed_rank r;
	struct err e;

	assert_int_equal(compare_signed_rank(x, y, RUNS, &r, &e), 0);
	return r.p < 0.05;
}

/* `differ` of PAIRS comparisons of runs with coefficient of variation cv, the second side times `factor`. */
static int unpaired_rate(double cv, double factor, uint64_t seed)
{
	struct random r = { seed };
	int differ = 0;

	for (int k = 0; k < PAIRS; k++) {
		double x[RUNS], y[RUNS];

		for (int i = 0; i < RUNS; i++) {
			x[i] = 15000 * exp(cv * random_normal(&r));
			y[i] = 15000 * exp(cv * random_normal(&r)) * factor;
		}
		differ += unpaired(x, y);
	}
	print_message("CV %.0f %%, factor %.2f: %d of %d differ\n", cv * 100, factor, differ,
		      PAIRS);
	return differ;
}

static void equal_sides_rarely_differ(void **state)
{
	(void)state;
	assert_true(unpaired_rate(0.02, 1, 1) <= PAIRS * 5 / 100);
	assert_true(unpaired_rate(0.10, 1, 2) <= PAIRS * 5 / 100);
	assert_true(unpaired_rate(0.30, 1, 3) <= PAIRS * 5 / 100);
}

static void ten_percent_slower_is_seen(void **state)
{
	(void)state;
	assert_true(unpaired_rate(0.02, 1.10, 4) >= PAIRS * 90 / 100);
	assert_true(unpaired_rate(0.02, 1 / 1.10, 5) >= PAIRS * 90 / 100);
}

/* ABBA: pair i is run in the order AB or BA in turn, while everything gets slower by `drift` over the session. */
static int abba_rate(double drift, double factor, uint64_t seed)
{
	struct random r = { seed };
	int differ = 0;

	for (int k = 0; k < PAIRS; k++) {
		double x[RUNS], y[RUNS];

		for (int i = 0; i < RUNS; i++) {
			double first = 1 + drift * (2 * i) / (2 * RUNS);
			double second = 1 + drift * (2 * i + 1) / (2 * RUNS);

			x[i] = (i % 2 ? second : first) * (1 + 0.01 * random_normal(&r));
			y[i] = (i % 2 ? first : second) * (1 + 0.01 * random_normal(&r)) * factor;
		}
		differ += paired_significant(x, y);
	}
	print_message("drift %.0f %%, factor %.2f: %d of %d differ\n", drift * 100, factor, differ,
		      PAIRS);
	return differ;
}

static void drift_does_not_deceive_pairs(void **state)
{
	(void)state;
	/* 46 of 1,000 are due by chance (the largest attainable level below .05 is .0488); 20 more are 3 sigma. */
	assert_true(abba_rate(0, 1, 6) <= 69);
	assert_true(abba_rate(0.05, 1, 7) <= 69);
	assert_true(abba_rate(0.20, 1, 8) <= 69);
	assert_true(abba_rate(0.05, 1.02, 9) >= PAIRS * 90 / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_sides_rarely_differ),
		cmocka_unit_test(ten_percent_slower_is_seen),
		cmocka_unit_test(drift_does_not_deceive_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
