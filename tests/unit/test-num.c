/* num: units read exactly, nonsense refused, short forms for people. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"

typedef int parser(const char *text, uint64_t *out, struct err *e);

struct good {
	parser *parse;
	const char *text;
	uint64_t value;
};

static void reads_units(void **state)
{
	static const struct good good[] = {
		{ num_parse_u64, "0", 0 },
		{ num_parse_u64, "18446744073709551615", UINT64_MAX },
		{ num_parse_duration, "10s", UINT64_C(10000000000) },
		{ num_parse_duration, "250ms", 250000000 },
		{ num_parse_duration, "2.5", UINT64_C(2500000000) },
		{ num_parse_duration, "1.5us", 1500 },
		{ num_parse_duration, ".5", 500000000 },
		{ num_parse_duration, "0.4ns", 0 },
		{ num_parse_duration, "0.5ns", 1 },
		{ num_parse_duration, "1.5m", UINT64_C(90000000000) },
		{ num_parse_duration, "2h", UINT64_C(7200000000000) },
		{ num_parse_duration, "1d", UINT64_C(86400000000000) },
		{ num_parse_duration, "18446744073.709551615s", UINT64_MAX },
		{ num_parse_size, "64K", 65536 },
		{ num_parse_size, "64KiB", 65536 },
		{ num_parse_size, "64kb", 65536 },
		{ num_parse_size, "1.5M", 1572864 },
		{ num_parse_size, "512", 512 },
		{ num_parse_size, "3G", UINT64_C(3221225472) },
		{ num_parse_size, "1T", UINT64_C(1099511627776) },
		{ num_parse_rate, "100Mbit", 100000000 },
		{ num_parse_rate, "100Mbit/s", 100000000 },
		{ num_parse_rate, "1.5k/s", 1500 },
		{ num_parse_rate, "500", 500 },
		{ num_parse_rate, "10Gbps", UINT64_C(10000000000) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err e = { 0 };
		uint64_t v = 77;

		if (good[i].parse(good[i].text, &v, &e) < 0)
			fail_msg("%s: %s", good[i].text, e.msg);
		if (v != good[i].value)
			fail_msg("%s gave %llu", good[i].text, (unsigned long long)v);
	}
}

static void refuses_nonsense(void **state)
{
	static const struct good bad[] = {
		{ num_parse_u64, "", 0 },
		{ num_parse_u64, "-1", 0 },
		{ num_parse_u64, "+1", 0 },
		{ num_parse_u64, " 1", 0 },
		{ num_parse_u64, "1 ", 0 },
		{ num_parse_u64, "1.5", 0 },
		{ num_parse_u64, "0x10", 0 },
		{ num_parse_u64, "18446744073709551616", 0 },
		{ num_parse_duration, "s", 0 },
		{ num_parse_duration, ".s", 0 },
		{ num_parse_duration, "..5s", 0 },
		{ num_parse_duration, "1.s", 0 },
		{ num_parse_duration, "1 s", 0 },
		{ num_parse_duration, "10sec", 0 },
		{ num_parse_duration, "-1s", 0 },
		{ num_parse_duration, "18446744074s", 0 },
		{ num_parse_duration, "99999999999999999999", 0 },
		{ num_parse_size, "64Q", 0 },
		{ num_parse_size, "64KK", 0 },
		{ num_parse_size, "16777216T", 0 },
		{ num_parse_rate, "bit", 0 },
		{ num_parse_rate, "1MB", 0 },
		{ num_parse_rate, "/s", 0 },
		{ num_parse_rate, "inf", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };
		uint64_t v = 77;

		if (bad[i].parse(bad[i].text, &v, &e) == 0)
			fail_msg("'%s' was taken as %llu", bad[i].text, (unsigned long long)v);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_non_null(strstr(e.msg, "try"));
		assert_int_equal(v, 77);
	}
}

static void reads_doubles(void **state)
{
	static const char *const bad[] = { "",	    "nan", "inf", "-1", "0x1p3",
					   "1e999", "5%%", "1e",  "1,5" };
	struct err e = { 0 };
	double v = 0;

	(void)state;
	assert_int_equal(num_parse_double("5%", &v, &e), 0);
	assert_true(fabs(v - 0.05) < 1e-15);
	assert_int_equal(num_parse_double("1.25e-3", &v, &e), 0);
	assert_true(fabs(v - 0.00125) < 1e-15);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (num_parse_double(bad[i], &v, &e) == 0)
			fail_msg("'%s' was taken", bad[i]);
}

static void writes_short_forms(void **state)
{
	static const struct {
		const char *unit;
		double value;
		const char *text;
	} rows[] = {
		{ "ns", 0, "0 ns" },
		{ "ns", 59, "59 ns" },
		{ "ns", 59.12, "59.1 ns" },
		{ "ns", 59123, "59.1 us" },
		{ "ns", 1200000, "1.20 ms" },
		{ "ns", 999600, "1.00 ms" },
		{ "ns", 355e6, "355 ms" },
		{ "ns", 120e9, "120 s" },
		{ "ns", -59123, "-59.1 us" },
		{ "ns", 1e300, "1e+291 s" },
		{ "bytes", 1000, "1000 B" },
		{ "bytes", 65536, "64 KiB" },
		{ "bytes", 1536, "1.50 KiB" },
		{ "bytes_per_second", 883712, "863 KiB/s" },
		{ "bits_per_second", 94.1e6, "94.1 Mbit/s" },
		{ "ops_per_second", 12345, "12.3 k/s" },
		{ "count", 12345, "12.3 k" },
		{ "count", 7, "7" },
		{ "ratio", 1.0234, "1.02" },
		{ "ratio", 0.00123, "0.00123" },
		{ "count_per_op", 3.5, "3.50/op" },
		{ "ppm", 163000, "16.3 %" },
		{ "ppm", 1500, "0.150 %" },
		{ "ppm", 250, "250 ppm" },
		{ "frames", 12, "12 frames" },
		{ "frames", 12345, "12.3 kframes" },
		{ "ns", NAN, "-" },
		{ "count", INFINITY, "-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[NUM_TEXT_MAX];

		assert_string_equal(num_format_unit(text, rows[i].value, rows[i].unit),
				    rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_units),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(reads_doubles),
		cmocka_unit_test(writes_short_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
