/* The arithmetic of budget, warm-up and interleaving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "measure/schedule.h"

static void warmup_follows_length(void **state)
{
	(void)state;
	assert_int_equal(schedule_warmup(1, 0), 1);
	assert_int_equal(schedule_warmup(50, 0), 5);
	assert_int_equal(schedule_warmup(100, 0), 10);
	assert_int_equal(schedule_warmup(1000, 0), 50);
	assert_int_equal(schedule_warmup(1000, 1), 1);
}

static void cheap_cases_reach_their_cap(void **state)
{
	struct schedule_cost cost[2] = {
		{ .setup_ns = NS_PER_MS, .operation_ns = 50 * NS_PER_US, .cap = 1000 },
		{ .setup_ns = NS_PER_MS, .operation_ns = 100 * NS_PER_US, .cap = 1000 },
	};
	uint64_t total = schedule_fit(cost, 2, 10, 30 * NS_PER_SEC, 0);

	(void)state;
	assert_int_equal(cost[0].iterations, 1000);
	assert_int_equal(cost[1].iterations, 1000);
	assert_int_equal(total, 10 * (2 * NS_PER_MS + 1050 * 150 * NS_PER_US));
}

static void slow_cases_take_what_is_left(void **state)
{
	struct schedule_cost cost[3] = {
		{ .operation_ns = 10 * NS_PER_US, .cap = 1000 },
		{ .operation_ns = 100 * NS_PER_MS, .cap = 1000 },
		{ .operation_ns = 100 * NS_PER_MS, .cap = 1000 },
	};
	uint64_t total = schedule_fit(cost, 3, 10, 30 * NS_PER_SEC, 0);

	(void)state;
	assert_int_equal(cost[0].iterations, 1000);
	assert_int_equal(cost[1].iterations, cost[2].iterations);
	/* 3 s a round: half each is 1.5 s; 13 operations and their warm-up take 1.4 s */
	assert_in_range(cost[1].iterations, 12, 14);
	assert_true(total <= 30 * NS_PER_SEC);
}

static void one_operation_even_when_over_budget(void **state)
{
	struct schedule_cost cost[1] = {
		{ .setup_ns = NS_PER_SEC, .operation_ns = 10 * NS_PER_SEC, .cap = 5 },
	};

	(void)state;
	assert_int_equal(schedule_fit(cost, 1, 10, 30 * NS_PER_SEC, 0), 210 * NS_PER_SEC);
	assert_int_equal(cost[0].iterations, 1);
}

static void fixed_iterations_are_kept(void **state)
{
	struct schedule_cost cost[1] = { { .operation_ns = NS_PER_SEC, .cap = 5, .fixed = 40 } };

	(void)state;
	schedule_fit(cost, 1, 10, 30 * NS_PER_SEC, 0);
	assert_int_equal(cost[0].iterations, 40);
}

static void order_is_abba(void **state)
{
	(void)state;
	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(schedule_abba(3, 0, k), k);
		assert_int_equal(schedule_abba(3, 1, k), 2 - k);
		assert_int_equal(schedule_abba(3, 2, k), k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warmup_follows_length),
		cmocka_unit_test(cheap_cases_reach_their_cap),
		cmocka_unit_test(slow_cases_take_what_is_left),
		cmocka_unit_test(one_operation_even_when_over_budget),
		cmocka_unit_test(fixed_iterations_are_kept),
		cmocka_unit_test(order_is_abba),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
