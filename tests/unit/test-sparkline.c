/* Values in order as one line of text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "result/sparkline.h"

static void expect(const double *v, size_t n, unsigned cells, bool utf8, const char *text)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	unsigned columns = sparkline_values(v, n, cells, utf8, &out);

	assert_string_equal(buf_text(&out), text);
	assert_int_equal(columns, n < cells ? n : cells);
}

static void values_lie_between_their_ends(void **state)
{
	static const double v[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

	(void)state;
	expect(v, 8, 20, false, "_.:-=+*#");
	expect(v, 8, 20, true, "▁▂▃▄▅▆▇█");
	expect(v, 4, 20, false, "_:+#");
	/* Four values share two characters: 0.5 and 2.5. */
	expect(v, 4, 2, false, "_#");
}

static void gaps_are_seen(void **state)
{
	static const double v[] = { 5, NAN, 10, NAN, NAN, INFINITY };

	(void)state;
	expect(v, 4, 10, false, "_!#!");
	expect(v, 6, 3, false, "_#!");
}

static void flat_and_empty(void **state)
{
	static const double v[] = { 3, 3, 3 };

	(void)state;
	expect(v, 3, 10, false, "===");
	expect(v, 0, 10, false, "");
	expect(v, 3, 0, false, "");
}

static void never_more_than_its_maximum(void **state)
{
	double v[1000];
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		v[i] = i;
	assert_int_equal(sparkline_values(v, 1000, 1000, false, &out), SPARKLINE_VALUES_MAX);
	assert_int_equal(out.len, SPARKLINE_VALUES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_lie_between_their_ends),
		cmocka_unit_test(gaps_are_seen),
		cmocka_unit_test(flat_and_empty),
		cmocka_unit_test(never_more_than_its_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
