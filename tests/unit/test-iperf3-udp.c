/* What a receiver of datagrams counts, against a count that knows the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/iperf3-udp.h"

static int64_t add(struct iperf3_udp_account *a, uint64_t number, uint64_t sent_us, uint64_t now_us)
{
	struct iperf3_udp_header h = { (uint32_t)(sent_us / 1000000), (uint32_t)(sent_us % 1000000),
				       number };
	uint8_t bytes[16];

	iperf3_udp_encode(bytes, &h, true);
	return iperf3_udp_account_add(a, bytes, sizeof(bytes), true, now_us * 1000);
}

static void test_header(void **state)
{
	static const uint8_t narrow[] = { 0, 0, 7, 0x93, 0, 6, 0x0b, 0xb5, 0, 0, 0, 1 };
	static const uint8_t wide[] = { 0, 0, 7, 0x97, 0, 6, 0xe5, 0xc7, 0, 0, 0, 0, 0, 0, 0, 1 };
	struct iperf3_udp_header h;
	uint8_t out[16];

	(void)state;
	assert_true(iperf3_udp_decode(&h, narrow, 12, false));
	assert_int_equal(h.sec, 0x793);
	assert_int_equal(h.usec, 0x60bb5);
	assert_int_equal(h.number, 1);
	iperf3_udp_encode(out, &h, false);
	assert_memory_equal(out, narrow, 12);
	assert_true(iperf3_udp_decode(&h, wide, 16, true));
	iperf3_udp_encode(out, &h, true);
	assert_memory_equal(out, wide, 16);
	assert_false(iperf3_udp_decode(&h, wide, 15, true));
	assert_false(iperf3_udp_decode(&h, narrow, 11, false));
	memset(out, 0xff, sizeof(out));
	assert_false(iperf3_udp_decode(&h, out, 16, true));
	memset(out, 0, sizeof(out));
	assert_false(iperf3_udp_decode(&h, out, 12, false));
}

static void test_hello(void **state)
{
	static const uint8_t old_hello[] = { 0x15, 0xcd, 0x5b, 7 },
			     old[] = { 0xb1, 0x68, 0xde, 0x3a };

	(void)state;
	assert_true(iperf3_udp_is_hello((const uint8_t *)"9876", 4));
	assert_true(iperf3_udp_is_hello(old_hello, 4));
	assert_true(iperf3_udp_is_reply((const uint8_t *)"6789", 4));
	assert_true(iperf3_udp_is_reply(old, 4));
	assert_false(iperf3_udp_is_hello((const uint8_t *)"98765", 5));
	assert_false(iperf3_udp_is_reply(old_hello, 4));
}

/* The table of the reference: the truth is known in every row. */
static void test_rows(void **state)
{
	static const struct {
		unsigned drop, dup, swap;
	} rows[] = { { 20, 0, 0 }, { 20, 10, 0 }, { 20, 0, 10 },
		     { 0, 10, 0 }, { 0, 0, 10 },  { 7, 5, 3 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iperf3_udp_account a;
		uint64_t dropped = 0, dup = 0, swapped = 0, held = 0;
		struct err e;

		assert_int_equal(iperf3_udp_account_init(&a, &e), 0);
		for (uint64_t n = 1; n <= 1712; n++) {
			if (rows[i].drop && n % rows[i].drop == 0) {
				dropped++;
				continue;
			}
			if (rows[i].swap && n % rows[i].swap == 1 && !held && n < 1700) {
				held = n;
				continue;
			}
			add(&a, n, n, n);
			if (rows[i].dup && n % rows[i].dup == 0) {
				add(&a, n, n, n);
				dup++;
			}
			if (held) {
				add(&a, held, held, n);
				swapped++;
				held = 0;
			}
		}
		assert_int_equal(1712 - a.unique, dropped);
		assert_int_equal(a.duplicates, dup);
		assert_int_equal(a.reordered, swapped);
		assert_int_equal(a.late, 0);
		assert_int_equal(a.received, a.unique + a.duplicates);
		iperf3_udp_account_done(&a);
	}
}

/* Random arrivals against a plain array of what was seen, with jumps beyond the window. */
static void test_random(void **state)
{
	enum { TOP = 1 << 20 };
	uint8_t *seen = calloc(TOP, 1);
	struct iperf3_udp_account a;
	uint64_t unique = 0, dup = 0, late = 0, highest = 0, x = 88172645463325252U, base = 1;
	struct err e;

	(void)state;
	assert_non_null(seen);
	assert_int_equal(iperf3_udp_account_init(&a, &e), 0);
	for (int i = 0; i < 300000; i++) {
		uint64_t n;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		base += x % 1000 == 0 ? 40000 : x % 3;
		n = base + x / 7 % 2000;
		n = x % 500 == 1 && base > 200000 ? base - 150000 : n;
		if (n >= TOP)
			break;
		add(&a, n, 1, 1);
		if (n <= highest && highest - n >= IPERF3_WINDOW)
			late++;
		else if (seen[n])
			dup++;
		else
			unique++;
		seen[n] = 1;
		highest = n > highest ? n : highest;
	}
	assert_int_equal(a.unique, unique);
	assert_int_equal(a.duplicates, dup);
	assert_int_equal(a.late, late);
	assert_true(late > 0 && dup > 1000);
	iperf3_udp_account_done(&a);
	free(seen);
}

/* RFC 3550 A.8: J += (|D| - J) / 16, the first datagram only sets the start. */
static void test_jitter(void **state)
{
	struct iperf3_udp_account a;
	struct err e;

	(void)state;
	assert_int_equal(iperf3_udp_account_init(&a, &e), 0);
	assert_int_equal(add(&a, 1, 1000, 5000), 0);
	assert_int_equal(add(&a, 2, 2000, 6000), 0);
	assert_int_equal((int64_t)a.jitter_ns, 0);
	assert_int_equal(add(&a, 3, 3000, 7160), 160000);
	assert_int_equal((int64_t)a.jitter_ns, 10000);
	assert_int_equal(add(&a, 4, 4000, 7900), 0);
	assert_int_equal((int64_t)a.jitter_ns, 10000 + (260000 - 10000) / 16);
	/* a greeting that came twice is none of the test */
	assert_int_equal(iperf3_udp_account_add(&a, iperf3_udp_hello, 4, true, 1), -1);
	assert_int_equal(a.alien, 1);
	assert_int_equal(a.received, 4);
	iperf3_udp_account_done(&a);
}

/* What iperf3 would say of the same arrivals: duplicates hide losses there. */
static void test_peer_meaning(void **state)
{
	static const uint64_t numbers[] = { 1, 2, 4, 5, 5, 8 };
	struct iperf3_udp_account a;
	struct err e;

	(void)state;
	assert_int_equal(iperf3_udp_account_init(&a, &e), 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		add(&a, numbers[i], 1, 1);
	assert_int_equal(a.peer_errors, 2);
	assert_int_equal(a.highest - a.unique, 3);
	iperf3_udp_account_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header), cmocka_unit_test(test_hello),
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_random),
		cmocka_unit_test(test_jitter), cmocka_unit_test(test_peer_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
