/* Starts on a grid: no drift, none twice, fewer while something fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "measure/timetable.h"
#include "unit/random.h"

static void starts_do_not_drift(void **state)
{
	struct timetable t;
	struct random r = { 1 };
	uint64_t now = 1000;

	(void)state;
	timetable_init(&t, 1000, 100, 1000);
	for (uint64_t i = 0; i < 10000; i++) {
		assert_int_equal(timetable_due(&t), 1000 + 100 * i);
		/* Late by some, for a while: less than a period in all. */
		now = timetable_due(&t) + random_u64(&r) % 50 + random_u64(&r) % 50;
		assert_int_equal(timetable_next(&t, now, false), 0);
	}
}

static void long_runs_cost_the_starts_that_pass(void **state)
{
	struct timetable t;

	(void)state;
	timetable_init(&t, 0, 100, 1000);
	assert_int_equal(timetable_next(&t, 100, false), 0);
	assert_int_equal(timetable_due(&t), 100);
	/* Over exactly when the next but one is due: that is not missed. */
	assert_int_equal(timetable_next(&t, 300, false), 1);
	assert_int_equal(timetable_due(&t), 300);
	assert_int_equal(timetable_next(&t, 1001, false), 7);
	assert_int_equal(timetable_due(&t), 1100);
	assert_int_equal(t.skipped, 8);
}

static void failures_are_backed_off_on_the_grid(void **state)
{
	static const uint64_t due[] = { 100, 300, 700, 1500, 2500, 3500 };
	struct timetable t;

	(void)state;
	timetable_init(&t, 0, 100, 1000);
	for (int i = 0; i < 6; i++) {
		timetable_next(&t, timetable_due(&t) + 10, true);
		assert_int_equal(timetable_due(&t), due[i]);
	}
	/* The first that is fine ends it. */
	assert_int_equal(timetable_next(&t, 3510, false), 0);
	assert_int_equal(timetable_due(&t), 3600);
	timetable_next(&t, 3610, true);
	assert_int_equal(timetable_due(&t), 3700);
}

static void failing_for_ever_overflows_nothing(void **state)
{
	struct timetable t;

	(void)state;
	timetable_init(&t, 0, 100, 50);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(timetable_next(&t, timetable_due(&t), true), 0);
	assert_int_equal(timetable_due(&t), 100000);
	timetable_init(&t, 0, 1, UINT64_MAX / 4);
	for (int i = 0; i < 100; i++)
		timetable_next(&t, timetable_due(&t), true);
	assert_int_equal(t.failures, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_do_not_drift),
		cmocka_unit_test(long_runs_cost_the_starts_that_pass),
		cmocka_unit_test(failures_are_backed_off_on_the_grid),
		cmocka_unit_test(failing_for_ever_overflows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
