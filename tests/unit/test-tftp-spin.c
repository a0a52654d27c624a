/* To sleep or to ask: what is quicker is found, kept, and given up when it is quicker no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peer/tftp-spin.h"

/* A way to the server: how long a packet takes for a client that sleeps and for one that asks. */
struct road {
	uint64_t sleep_ns, ask_ns;
};

struct journey {
	uint64_t ns;
	uint32_t asked, missed;
};

static struct journey travel(struct tftp_spin *s, struct road r, uint32_t packets)
{
	struct journey j = { 0 };

	for (uint32_t i = 0; i < packets; i++) {
		bool missed = s->asks && r.ask_ns > TFTP_SPIN_NS;
		uint64_t ns = missed ? TFTP_SPIN_NS + r.sleep_ns : s->asks ? r.ask_ns : r.sleep_ns;

		j.asked += s->asks;
		j.missed += missed;
		j.ns += ns;
		tftp_spin_came(s, ns, missed);
	}
	return j;
}

static const struct road one_cpu = { 20000, UINT64_MAX };
static const struct road two_cpus = { 80000, 40000 };
static const struct road far = { 5000000, 5000000 };

static void the_quicker_way_is_found(void **state)
{
	struct tftp_spin s = { 0 };
	struct journey j = travel(&s, two_cpus, 65536);

	(void)state;
	assert_true(j.asked > 64000);
	assert_int_equal(j.missed, 0);
	/* the trials of the slower way cost next to nothing */
	assert_true(j.ns < 65536 * two_cpus.ask_ns / 100 * 102);
}

static void asking_in_vain_stays_cheap(void **state)
{
	struct tftp_spin s = { 0 };
	struct journey j = travel(&s, one_cpu, 65536);

	(void)state;
	assert_int_equal(j.asked, j.missed);
	assert_true(j.asked > 0 && j.asked < 60);
	assert_true(j.ns < 65536 * one_cpu.sleep_ns / 1000 * 1005);

	s = (struct tftp_spin){ 0 };
	j = travel(&s, far, 10000);
	assert_true(j.missed < 40);
	assert_true(j.ns < 10000 * far.sleep_ns / 1000 * 1001);
}

static void a_change_is_followed(void **state)
{
	struct tftp_spin s = { 0 };
	struct journey j;

	(void)state;
	travel(&s, two_cpus, 100000);
	assert_true(s.chose);
	/* at once: what no longer answers in time is not asked a fourth time */
	j = travel(&s, one_cpu, 1000);
	assert_false(s.chose);
	assert_true(j.asked <= 9);
	/* within the longest stay and a trial */
	travel(&s, one_cpu, 100000);
	j = travel(&s, two_cpus, 8192 + 64);
	assert_true(s.chose);
	/* where it makes no difference a packet that is held up does not matter */
	for (int i = 0; i < 2; i++)
		tftp_spin_came(&s, 1000000, true);
	assert_true(s.asks);
	tftp_spin_came(&s, two_cpus.ask_ns, false);
	for (int i = 0; i < 2; i++)
		tftp_spin_came(&s, 1000000, true);
	assert_true(s.asks);
}

/* Both are tried, the sleeper first, and a tie is the sleeper's. */
static void trials(void **state)
{
	struct tftp_spin s = { 0 };
	struct road even = { 30000, 30000 };

	(void)state;
	assert_int_equal(travel(&s, even, 33).asked, 0);
	assert_int_equal(travel(&s, even, 32).asked, 32);
	assert_false(s.asks);
	assert_int_equal(travel(&s, even, 512).asked, 0);
	assert_int_equal(travel(&s, even, 32).asked, 0);
	assert_int_equal(travel(&s, even, 32).asked, 32);
	/* the same again: it holds for twice as long */
	assert_int_equal(travel(&s, even, 1024 + 32).asked, 0);
	assert_int_equal(travel(&s, even, 1).asked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_quicker_way_is_found),
		cmocka_unit_test(asking_in_vain_stays_cheap),
		cmocka_unit_test(a_change_is_followed),
		cmocka_unit_test(trials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
