/* The noise gauge, between two states of a tree that looks like /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "measure/host.h"

static void assert_close(double expected, double actual)
{
	if (!(fabs(expected - actual) < 1e-12))
		fail_msg("%.17g, expected %.17g", actual, expected);
}

static void gauge_reads_the_tree(void **state)
{
	struct noise_gauge g;

	(void)state;
	noise_open(&g, "tests/data/noise-before");
	assert_true(g.has_ticks && g.has_psi);
	assert_int_equal(g.busy_ticks, 1500);
	assert_int_equal(g.steal_ticks, 10);
	assert_int_equal(g.total_ticks, 9610);
	assert_int_equal(g.own_ticks, 360); /* ours and our child's, not the stranger's */
	assert_int_equal(g.psi_some_us, 1000);
	assert_int_equal(g.throttle_count, 11);
	assert_true(g.started_ns > 0);
}

/* 1,010 ticks passed: 500 busy, of which 450 ours, 10 stolen. */
static void quiet_when_the_load_is_ours(void **state)
{
	struct noise_gauge g;
	struct noise n;

	(void)state;
	noise_open(&g, "tests/data/noise-before");
	noise_close(&g, "tests/data/noise-quiet", &n);
	assert_string_equal(n.verdict, "quiet");
	assert_int_equal(n.n_reasons, 0);
	assert_close(50.0 / 1010, n.other_cpu_ratio);
	assert_close(10.0 / 1010, n.steal_ratio);
	assert_close(0, n.psi_cpu_some_ratio);
	assert_int_equal(n.throttled, 0);
}

/* 1,000 ticks passed: 700 busy, of which 60 ours, 100 stolen; two throttle events. */
static void noisy_for_three_reasons(void **state)
{
	struct noise_gauge g;
	struct noise n;

	(void)state;
	noise_open(&g, "tests/data/noise-before");
	noise_close(&g, "tests/data/noise-noisy", &n);
	assert_string_equal(n.verdict, "noisy");
	assert_int_equal(n.n_reasons, 3);
	assert_close(0.64, n.other_cpu_ratio);
	assert_close(0.1, n.steal_ratio);
	assert_string_equal(n.reasons[0], "other processes took 64 % of the CPU time");
	assert_non_null(strstr(n.reasons[1], "steal"));
	assert_non_null(strstr(n.reasons[2], "throttled"));
	assert_int_equal(n.throttled, 1);
	assert_true(n.psi_cpu_some_ratio > 0 && n.psi_cpu_some_ratio <= 1);
}

static void unknown_without_ticks(void **state)
{
	struct noise_gauge g;
	struct noise n;

	(void)state;
	noise_open(&g, "tests/data/host-nowhere");
	assert_false(g.has_ticks || g.has_psi);
	noise_close(&g, "tests/data/host-nowhere", &n);
	assert_string_equal(n.verdict, "unknown");
	assert_true(isnan(n.other_cpu_ratio) && isnan(n.steal_ratio) &&
		    isnan(n.psi_cpu_some_ratio));
	assert_int_equal(n.throttled, -1);

	noise_open(&g, "tests/data/noise-before"); /* no time passed */
	noise_close(&g, "tests/data/noise-before", &n);
	assert_string_equal(n.verdict, "unknown");
}

static void this_machine_has_a_gauge(void **state)
{
	struct noise_gauge g;

	(void)state;
	noise_open(&g, "");
	assert_true(g.has_ticks);
	assert_true(g.total_ticks > 0 && g.busy_ticks >= g.own_ticks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gauge_reads_the_tree),
		cmocka_unit_test(quiet_when_the_load_is_ours),
		cmocka_unit_test(noisy_for_three_reasons),
		cmocka_unit_test(unknown_without_ticks),
		cmocka_unit_test(this_machine_has_a_gauge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
