#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/cidr.h"

static bool has(const char *range, const char *host)
{
	struct cidr c;
	struct addr a;
	struct err e;
	size_t n;

	assert_int_equal(cidr_parse(&c, range, &e), 0);
	assert_int_equal(addr_resolve(&a, 1, &n, host, 1, SOCK_STREAM, &e), 0);
	return cidr_has(&c, &a);
}

static void test_ranges(void **state)
{
	(void)state;
	assert_true(has("127.0.0.0/8", "127.255.0.1"));
	assert_false(has("127.0.0.0/8", "128.0.0.1"));
	assert_true(has("10.1.2.3", "10.1.2.3"));
	assert_false(has("10.1.2.3", "10.1.2.2"));
	assert_true(has("0.0.0.0/0", "8.8.8.8"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_true(has("::/0", "::1"));
	assert_true(has("fe80::/10", "febf::1"));
	assert_false(has("fe80::/10", "fec0::1"));
	assert_true(has("192.168.0.0/17", "::ffff:192.168.127.255"));
	assert_false(has("192.168.0.0/17", "::ffff:192.168.128.0"));
	assert_false(has("::ffff:0:0/96", "::ffff:192.168.128.0"));
}

static void test_refused_texts(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"127.0.0.1/33",
		"127.0.0.1/",
		"127.0.0.1/8",
		"::1/129",
		"10.0.0",
		"127.0.0.1/-1",
		"::/0/0",
		"1.2.3.4/8x",
		"localhost/8",
		"fe80::1/10",
		"1234:1234:1234:1234:1234:1234:1234:1234:1234/128",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cidr c;
		struct err e;

		assert_int_equal(cidr_parse(&c, bad[i], &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_refused_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
