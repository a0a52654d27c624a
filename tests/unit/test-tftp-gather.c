/* How long a reader stays away from its socket: never past the end of the window that it expects, and not at all for little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peer/tftp-gather.h"

/* Blocks that come every gap_ns, read as the answers say; returns the reads that a window takes and how long after its last block
 * it was complete. */
static unsigned read_window(struct tftp_gather *g, uint64_t *now, uint64_t gap_ns, uint32_t size,
			    uint64_t *late_ns)
{
	uint64_t began = *now, end = began + gap_ns * size;
	uint32_t taken = 0;
	unsigned reads = 0;

	while (taken < size) {
		uint64_t next = began + gap_ns * (taken + 1);

		/* a wait in the socket ends with the next block */
		*now = *now > next ? *now : next;
		taken = (uint32_t)((*now - began) / gap_ns);
		taken = taken < size ? taken : size;
		reads++;
		*now += tftp_gather_wait(g, taken == size ? 0 : taken, size, *now);
	}
	*late_ns = *now - end;
	return reads;
}

static void test_few_reads_and_never_late(void **state)
{
	static const uint64_t gaps[] = { 3000, 10000, 40000 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct tftp_gather g = { 0 };
		uint64_t now = 1000000, late;

		for (int window = 0; window < 20; window++) {
			unsigned reads = read_window(&g, &now, gaps[i], 64, &late);

			assert_true(late < gaps[i]);
			assert_true(window == 0 || reads <= 24);
		}
	}
}

static void test_what_is_not_worth_it(void **state)
{
	struct tftp_gather g = { 0 };

	(void)state;
	/* nothing known yet; then a window that is as good as over; then one that is */
	assert_int_equal(tftp_gather_wait(&g, 1, 16, 1000), 0);
	assert_int_equal(tftp_gather_wait(&g, 14, 16, 15000), 0);
	assert_int_equal(tftp_gather_wait(&g, 0, 16, 17000), 0);
	/* the next begins with what the last one taught */
	assert_int_equal(g.gap_ns, 1000);
	assert_int_equal(tftp_gather_wait(&g, 1, 65, 18000), 32000);
	/* lockstep never waits */
	assert_int_equal(tftp_gather_wait(&g, 0, 1, 19000), 0);
}

static void test_a_bound(void **state)
{
	struct tftp_gather g = { 0 };

	(void)state;
	assert_int_equal(tftp_gather_wait(&g, 1, 65535, 1000), 0);
	assert_int_equal(tftp_gather_wait(&g, 2, 65535, UINT64_C(60000000000)), 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_reads_and_never_late),
		cmocka_unit_test(test_what_is_not_worth_it),
		cmocka_unit_test(test_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
