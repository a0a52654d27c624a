/* Change points: rarely where nothing changed, nearly always where something did. */
#include "unit/vectors.h"

#include "stats/change.h"
#include "unit/random.h"

enum { POINTS = 100, SERIES = 400 };

static const struct change_options defaults = CHANGE_DEFAULT;

/* Level 1000, 2 % noise with lag-1 autocorrelation rho, times `factor` from `at` on. */
static void make_series(double *v, struct random *r, double rho, size_t at, double factor)
{
	double noise = random_normal(r);

	for (size_t i = 0; i < POINTS; i++) {
		v[i] = 1000 * (1 + 0.02 * noise) * (i >= at ? factor : 1);
		noise = rho * noise + sqrt(1 - rho * rho) * random_normal(r);
	}
}

static size_t find(const double *v, size_t n, struct change out[POINTS])
{
	struct err e;
	size_t found;

	assert_int_equal(change_find(v, n, &defaults, out, POINTS, &found, &e), 0);
	return found;
}

static int false_alarms(double rho, uint64_t seed)
{
	struct random r = { seed };
	struct change c[POINTS];
	double v[POINTS];
	int alarms = 0;

	for (int k = 0; k < SERIES; k++) {
		make_series(v, &r, rho, POINTS, 1);
		alarms += find(v, POINTS, c) > 0;
	}
	print_message("lag-1 %.1f: %d of %d null series have a change point\n", rho, alarms,
		      SERIES);
	return alarms;
}

static void null_series_stay_whole(void **state)
{
	(void)state;
	assert_true(false_alarms(0, 1) <= SERIES * 5 / 100);
	assert_true(false_alarms(0.5, 2) <= SERIES * 5 / 100);
}

/* No help from the magnitude: the level of the test itself. */
static void level_holds_without_a_magnitude(void **state)
{
	const struct change_options bare = { .p = 0.01, .magnitude = 0 };
	struct random r = { 4 };
	struct change c[POINTS];
	double v[POINTS];
	int alarms = 0;

	(void)state;
	for (int k = 0; k < SERIES; k++) {
		struct err e;
		size_t n;

		make_series(v, &r, 0, POINTS, 1);
		assert_int_equal(change_find(v, POINTS, &bare, c, POINTS, &n, &e), 0);
		alarms += n > 0;
	}
	print_message("without a magnitude: %d of %d null series\n", alarms, SERIES);
	assert_true(alarms <= SERIES * 5 / 100);
}

static void steps_are_found(void **state)
{
	struct random r = { 3 };
	struct change c[POINTS];
	double v[POINTS];
	int found = 0, more = 0, exact = 0;

	(void)state;
	for (int k = 0; k < SERIES; k++) {
		size_t at = 20 + random_u64(&r) % 61, n;
		double factor = k % 2 ? 1.05 : 1 / 1.05;
		bool near = false;

		make_series(v, &r, 0, at, factor);
		n = find(v, POINTS, c);
		for (size_t i = 0; i < n; i++) {
			exact += c[i].at == at;
			near = near || (c[i].at + 3 >= at && c[i].at <= at + 3 &&
					(c[i].after > c[i].before) == (factor > 1));
		}
		found += near;
		more += n > 1;
	}
	print_message("step of 5 %% found within 3 points in %d of %d series; %d with more\n",
		      found, SERIES, more);
	print_message("at the very point in %d\n", exact);
	assert_true(exact >= SERIES * 65 / 100);
	assert_true(found >= SERIES * 90 / 100);
	assert_true(more <= SERIES * 5 / 100);
}

static void several_steps_have_their_levels(void **state)
{
	struct change c[POINTS];
	double v[60];
	size_t n;

	(void)state;
	for (size_t i = 0; i < 60; i++)
		v[i] = (i < 20 ? 100 : i < 40 ? 120 : 90) + (double)(i * 7 % 5) / 10;
	n = find(v, 60, c);
	assert_int_equal(n, 2);
	assert_int_equal(c[0].at, 20);
	assert_int_equal(c[1].at, 40);
	assert_true(vectors_close(100.2, c[0].before, 1e-3, 0));
	assert_true(vectors_close(120.2, c[0].after, 1e-3, 0));
	assert_true(vectors_close(90.2, c[1].after, 1e-3, 0));
	assert_true(c[0].p < 0.01 && c[1].p < 0.01);
}

/* A regression that was mended: on the whole, both sides of any cut look alike. */
static void a_rise_that_came_back_is_found(void **state)
{
	struct random r = { 5 };
	int found = 0;

	(void)state;
	for (int k = 0; k < SERIES; k++) {
		double v[POINTS];
		struct change c[POINTS];
		size_t from = 20 + random_u64(&r) % 30, to = from + 20 + random_u64(&r) % 10, n;

		for (size_t i = 0; i < POINTS; i++)
			v[i] = (1 + 0.02 * random_normal(&r)) * (i >= from && i < to ? 1.08 : 1);
		n = find(v, POINTS, c);
		found += n == 2 && c[0].at + 3 >= from && c[0].at <= from + 3 &&
			 c[1].at + 3 >= to && c[1].at <= to + 3;
	}
	print_message("a rise of 8 %% over 20 to 29 results found in %d of %d\n", found, SERIES);
	assert_true(found >= SERIES * 90 / 100);
}

static void small_steps_and_outliers_do_not_count(void **state)
{
	struct change c[POINTS];
	double v[60] = { 0 };

	(void)state;
	assert_int_equal(find(v, 60, c), 0);
	assert_int_equal(find(v, 0, c), 0);
	assert_int_equal(find(v, 7, c), 0);
	for (size_t i = 0; i < 60; i++)
		v[i] = (i < 30 ? 100 : 102) + (double)(i % 3) / 100;
	assert_int_equal(find(v, 60, c), 0); /* certain, but below the magnitude */
	for (size_t i = 0; i < 60; i++)
		v[i] = i == 30 || i == 31 ? 1e6 : 100 + (double)(i % 7);
	assert_int_equal(find(v, 60, c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_series_stay_whole),
		cmocka_unit_test(level_holds_without_a_magnitude),
		cmocka_unit_test(steps_are_found),
		cmocka_unit_test(several_steps_have_their_levels),
		cmocka_unit_test(a_rise_that_came_back_is_found),
		cmocka_unit_test(small_steps_and_outliers_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
