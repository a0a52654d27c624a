#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "peer/bridge-trace.h"

/* All byte values, in every length of a line, come back with their time and direction. */
static void test_round_trip(void **state)
{
	char path[] = "build/trace-XXXXXX", line[256];
	struct bridge_trace *t;
	struct err e;
	uint8_t sent[1024], got[1024];
	size_t n_sent = 0, n_got = 0, lines = 0;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(bridge_trace_open(&t, path, 1000, &e), 0);
	for (size_t len = 1; len < 40; len++) {
		for (size_t i = 0; i < len; i++)
			sent[n_sent + i] = (uint8_t)((n_sent + i) * 7);
		bridge_trace_bytes(t, 1000 + len * 1000000007, len % 2, sent + n_sent, len);
		bridge_trace_remark(t, 2000, "a remark < 00");
		n_sent += len;
	}
	assert_true(bridge_trace_pending(t));
	assert_int_equal(bridge_trace_close(t, &e), 0);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct bridge_trace_line l;
		int rc = bridge_trace_parse(line, &l, &e);

		assert_true(rc >= 0);
		if (!rc)
			continue;
		lines++;
		assert_true(l.at_ns % 1000000007 == 0);
		assert_int_equal(l.to_device, (l.at_ns / 1000000007) % 2);
		memcpy(got + n_got, l.data, l.len);
		n_got += l.len;
	}
	fclose(f);
	unlink(path);
	assert_true(lines > 39);
	assert_int_equal(n_got, n_sent);
	assert_memory_equal(got, sent, n_sent);
}

static void test_bad_lines(void **state)
{
	static const char *const bad[] = {
		"x",	      "1.0",
		"1.0 ",	      "1.0 ? 00",
		"a < 00",     "1.0 <",
		"1.0 < 0",    "1.0 < 0g",
		"1.0 <00",    "-1.0 < 00",
		"1.0 < 00 0", "1.0 < 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bridge_trace_line l;
		struct err e;

		assert_int_equal(bridge_trace_parse(bad[i], &l, &e), -1);
	}
}

static void test_a_full_disk_is_told(void **state)
{
	struct bridge_trace *t;
	struct err e;

	(void)state;
	assert_int_equal(bridge_trace_open(&t, "/dev/full", 0, &e), 0);
	for (int i = 0; i < 10000; i++)
		bridge_trace_bytes(t, 1, true, "0123456789abcdef", 16);
	assert_int_equal(bridge_trace_close(t, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(bridge_trace_open(&t, "/nowhere/x", 0, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(bridge_trace_close(NULL, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
