/* Scales, SVG, samples, sentences, and what a report makes of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "picture/page.h"
#include "picture/sample.h"
#include "picture/scale.h"
#include "picture/svg.h"
#include "picture/words.h"
#include "random.h"
#include "result-fixture.h"
#include "result/load.h"
#include "stats/summary.h"

/* --- scales ------------------------------------------------------------------------------------------------------ */

static void check_ticks(double lo, double hi, bool log, const char *unit, size_t wanted,
			const char *expected)
{
	struct scale s = { .lo = lo, .hi = hi, .log = log, .unit = unit, .from = 0, .to = 100 };
	char text[SCALE_TEXT_MAX], all[512] = "";
	struct scale_ticks t;
	size_t used = 0;

	scale_ticks(&s, wanted, &t);
	for (size_t i = 0; i < t.n; i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "",
					 scale_text(text, &s, &t, i));
	assert_string_equal(all, expected);
}

static void ticks_are_round_and_carry_their_unit(void **state)
{
	(void)state;
	check_ticks(0, 1000000, false, "ns", 5, "0 ns, 0.2 ms, 0.4 ms, 0.6 ms, 0.8 ms, 1.0 ms");
	check_ticks(57.0e3, 57.9e3, false, "ns", 4, "57.0 us, 57.5 us");
	check_ticks(900, 120e6, true, "ns", 6, "1 us, 10 us, 100 us, 1 ms, 10 ms, 100 ms");
	check_ticks(40e3, 1.3e6, true, "ns", 6, "50 us, 100 us, 200 us, 500 us, 1 ms");
	/* Too narrow for powers: linear steps along a logarithmic axis. */
	check_ticks(57.0e3, 57.9e3, true, "ns", 4, "57.0 us, 57.5 us");
	check_ticks(100e3, 4e6, true, "bytes_per_second", 6,
		    "128 KiB/s, 256 KiB/s, 512 KiB/s, 1 MiB/s, 2 MiB/s");
	check_ticks(0, 3 * 1024 * 1024, false, "bytes", 3, "0 B, 1 MiB, 2 MiB, 3 MiB");
	check_ticks(0, 2000, false, "count", 4, "0, 500, 1000, 1500, 2000");
	check_ticks(0, 3, false, "count_per_op", 3, "0/op, 1/op, 2/op, 3/op");
	check_ticks(-3, 3, false, "count", 3, "-2, 0, 2");
}

static void scales_hold_their_values(void **state)
{
	struct scale s = scale_around(50, 50, false, "count", 10, 110);

	(void)state;
	assert_true(s.lo < 50 && s.hi > 50);
	assert_float_equal(scale_at(&s, 50), 60, 1e-9);
	assert_float_equal(scale_at(&s, -1e9), 10, 0);
	assert_float_equal(scale_at(&s, 1e300), 110, 0);
	assert_float_equal(scale_at(&s, NAN), 10, 0);
	s = scale_around(10, 1000, true, "ns", 0, 100);
	assert_true(s.log);
	assert_float_equal(scale_at(&s, 100), 50, 1e-9);
	/* No logarithm of nothing. */
	assert_false(scale_around(0, 10, true, "ns", 0, 1).log);
	s = scale_around(INFINITY, -INFINITY, true, "ns", 0, 1);
	assert_true(s.hi > s.lo && isfinite(s.hi));
}

/* --- SVG --------------------------------------------------------------------------------------------------------- */

static void svg_text_is_cut_and_escaped(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct svg s = { .out = &out };

	(void)state;
	svg_text(&s, 1.26, 2, SVG_END, "axis", "<b>&\"'\x1b[31m\xe2\x80\xae", 0);
	assert_string_equal(
		buf_text(&out),
		"<text x=\"1.3\" y=\"2\" class=\"e axis\">&lt;b&gt;&amp;&quot;&#39;\\x1b[31m\\u{202e}</text>");
	buf_clear(&out);
	svg_text(&s, 0, 0, SVG_START, "", "abcdef", 4);
	assert_string_equal(buf_text(&out), "<text x=\"0\" y=\"0\">abc\u2026</text>");
	buf_clear(&out);
	/* Wide characters take two columns. */
	svg_text(&s, 0, 0, SVG_START, "", "\u6f22\u5b57\u6f22\u5b57", 5);
	assert_string_equal(buf_text(&out), "<text x=\"0\" y=\"0\">\u6f22\u5b57\u2026</text>");
	buf_clear(&out);
	svg_text(&s, 0, 0, SVG_START, "", "\u6f22\u5b57", 4);
	assert_string_equal(buf_text(&out), "<text x=\"0\" y=\"0\">\u6f22\u5b57</text>");
}

static void svg_numbers_are_short_and_finite(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct svg s = { .out = &out };

	(void)state;
	svg_path_begin(&s, "line", 3);
	svg_move(&s, 1.04, -0.04);
	svg_to(&s, NAN, INFINITY);
	svg_to(&s, 12.25, 1e300);
	svg_path_end(&s);
	assert_string_equal(buf_text(&out), "<path class=\"line c3\" d=\"M1 0L0 0L12.2 0\"/>");
}

/* --- samples ----------------------------------------------------------------------------------------------------- */

static json_t *run_of(const double *value, size_t n)
{
	json_t *run = json_pack("{s:s,s:{s:{s:s,s:i,s:[]}}}", "status", "ok", "distributions",
				"latency", "unit", "ns", "n", (int)n, "samples");
	json_t *d = json_object_get(json_object_get(run, "distributions"), "latency");
	double lo = INFINITY, hi = 0;

	for (size_t i = 0; i < n; i++) {
		lo = fmin(lo, value[i]);
		hi = fmax(hi, value[i]);
		json_array_append_new(json_object_get(d, "samples"),
				      json_integer((json_int_t)value[i]));
	}
	json_object_set_new(d, "min", json_real(lo));
	json_object_set_new(d, "max", json_real(hi));
	return run;
}

/* Against the raw values: nearest rank, to the width of a bucket; nothing is lost between the cells. */
static void quantiles_and_cells_are_those_of_the_values(void **state)
{
	static const double share[] = { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
	double value[5000], got[8], end[11], cell[10], sum = 0;
	struct random r = { 7 };
	CLEANUP(sample_done) struct sample s = { .min = 0 };
	CLEANUP(json_decref) json_t *run = NULL;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < 5000; i++)
		value[i] = floor(50000 * exp(2 * random_normal(&r)));
	run = run_of(value, 5000);
	assert_int_equal(sample_of_run(run, "latency", &s, &e), 0);
	summary_sort(value, 5000);
	sample_quantiles(&s, share, 8, got);
	assert_float_equal(got[0], value[0], 0);
	assert_float_equal(got[7], value[4999], 0);
	for (size_t i = 1; i < 7; i++) {
		double exact =
			summary_percentile_sorted(value, 5000, (uint32_t)(share[i] * 1e6 + 0.5));

		assert_true(got[i] >= exact && got[i] <= exact * (1 + 1.0 / 128) + 1);
	}
	for (size_t i = 0; i <= 10; i++)
		end[i] = value[0] * pow((value[4999] + 1) / value[0], (double)i / 10);
	end[0] = 0;
	end[10] = INFINITY;
	sample_cells(&s, end, 10, cell);
	for (size_t i = 0; i < 10; i++)
		sum += cell[i];
	assert_float_equal(sum, 5000, 1e-6);
}

/* --- words ------------------------------------------------------------------------------------------------------- */

static void check_contrast(struct contrast k, enum better better, const char *unit,
			   const char *expected)
{
	char base_label[] = "A", label[] = "B";
	const struct arm base = { .label = base_label };
	struct arm a = { .label = label, .contrast = k };
	struct study_case c = { .unit = unit, .better = better };
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	a.contrast.base = &base;
	a.contrast.threshold = 0.05;
	words_contrast(&out, &c, &a);
	assert_string_equal(buf_text(&out), expected);
}

static void sentences_say_no_more_than_the_interval(void **state)
{
	char text[WORDS_MAX];

	(void)state;
	check_contrast((struct contrast){ .known = true, .ratio = 3.1, .lo = 3, .hi = 3.2 },
		       BETTER_LOWER, "ns", "B is 3.1 times slower than A");
	check_contrast((struct contrast){ .known = true, .ratio = 0.25, .lo = 0.2, .hi = 0.3 },
		       BETTER_HIGHER, "bytes_per_second", "B is 4.0 times slower than A");
	check_contrast((struct contrast){ .known = true, .ratio = 1.12, .lo = 1.08, .hi = 1.2 },
		       BETTER_HIGHER, "ops_per_second", "B is 12 % faster than A");
	check_contrast((struct contrast){ .known = true, .ratio = 1.4, .lo = 0.8, .hi = 2 },
		       BETTER_LOWER, "ns", "these runs cannot tell B and A apart");
	check_contrast((struct contrast){ .known = true, .ratio = 1.02, .lo = 1.01, .hi = 1.03 },
		       BETTER_LOWER, "ns", "B and A are the same within the threshold");
	check_contrast((struct contrast){ .known = true,
					  .ratio = 1.2,
					  .lo = 1.1,
					  .hi = 1.3,
					  .verdict = VERDICT_INCONCLUSIVE },
		       BETTER_LOWER, "ns", "these runs cannot tell B and A apart");
	check_contrast((struct contrast){ .known = true, .exact = true, .ratio = 1.5 },
		       BETTER_LOWER, "count_per_op", "B is 1.5 times more than A");
	check_contrast((struct contrast){ .known = true, .ratio = NAN }, BETTER_LOWER, "ns", "");
	check_contrast((struct contrast){ .known = false }, BETTER_LOWER, "ns", "");
	assert_string_equal(
		words_interval(
			text,
			&(struct contrast){ .known = true, .ratio = 4.06, .lo = 4, .hi = 4.113 }),
		"4.06 [4.00, 4.11]");
	assert_string_equal(
		words_interval(text,
			       &(struct contrast){ .known = true, .ratio = 4, .hi = INFINITY }),
		"4.00, no interval");
}

/* --- studies ----------------------------------------------------------------------------------------------------- */

static void study_of(struct study *s, size_t n, json_t *const *root)
{
	static const char *const names[] = { "a/base.json", "new.json", "third" };
	static const struct diff_opts none;
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));
	struct err e = { 0 };

	if (diff_rules_parse(rules, &none, &e) < 0 || study_make(s, names, root, n, rules, &e) < 0)
		fail_msg("%s", e.msg);
}

static void targets_of_one_file_are_arms(void **state)
{
	CLEANUP(document_done) struct document d = { 0 };
	CLEANUP(study_done) struct study s = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fixture_document_of(&d, 2, true, false, &e), 0);
	study_of(&s, 1, &d.root);
	assert_int_equal(s.n_cases, FIXTURE_CASES);
	assert_string_equal(s.cases[2].title, "repl.upload mode=paste size_bytes=65536");
	assert_string_equal(s.cases[2].headline, "throughput");
	assert_int_equal(s.cases[1].n, 2);
	assert_string_equal(s.cases[1].arm[1].label, "rfc2217");
	assert_ptr_equal(s.cases[1].arm[1].contrast.base, &s.cases[1].arm[0]);
	assert_true(s.cases[1].arm[1].contrast.lo > 3.5 && s.cases[1].arm[1].contrast.hi < 4.5);
	assert_false(s.cases[1].arm[0].contrast.known);
}

static void files_are_arms_too(void **state)
{
	CLEANUP(document_done) struct document d = { 0 }, second = { 0 };
	CLEANUP(study_done) struct study s = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fixture_document_of(&d, 1, true, false, &e), 0);
	assert_int_equal(fixture_document_of(&second, 1, true, false, &e), 0);
	study_of(&s, 2, (json_t *const[]){ d.root, second.root });
	assert_int_equal(s.cases[1].n, 2);
	assert_string_equal(s.cases[1].arm[0].label, "A base");
	assert_string_equal(s.cases[1].arm[1].label, "B new");
	assert_true(s.cases[1].arm[1].contrast.known);
	assert_int_equal(s.cases[1].arm[1].contrast.verdict, VERDICT_UNCHANGED);
}

/* The same document gives the same page, every byte of it. */
static void a_page_is_reproducible(void **state)
{
	CLEANUP(document_done) struct document d = { 0 };
	CLEANUP(buf_done) struct buf page = BUF_INIT, again = BUF_INIT;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(fixture_document_of(&d, 2, true, false, &e), 0);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(study_done) struct study s = { 0 };

		study_of(&s, 1, &d.root);
		assert_int_equal(page_html(&s, i ? &again : &page, &e), 0);
	}
	assert_string_equal(buf_text(&page), buf_text(&again));
	assert_non_null(
		strstr(buf_text(&page), "repl.exec: rfc2217 is 4.0 times slower than exec"));
}

static void too_many_files_are_refused(void **state)
{
	json_t *roots[STUDY_FILES_MAX + 1] = { NULL };
	static const struct diff_opts none;
	CLEANUP(study_done) struct study s = { 0 };
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));
	struct err e = { 0 };

	(void)state;
	assert_int_equal(diff_rules_parse(rules, &none, &e), 0);
	assert_int_equal(study_make(&s, NULL, roots, STUDY_FILES_MAX + 1, rules, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_are_round_and_carry_their_unit),
		cmocka_unit_test(scales_hold_their_values),
		cmocka_unit_test(svg_text_is_cut_and_escaped),
		cmocka_unit_test(svg_numbers_are_short_and_finite),
		cmocka_unit_test(quantiles_and_cells_are_those_of_the_values),
		cmocka_unit_test(sentences_say_no_more_than_the_interval),
		cmocka_unit_test(targets_of_one_file_are_arms),
		cmocka_unit_test(files_are_arms_too),
		cmocka_unit_test(a_page_is_reproducible),
		cmocka_unit_test(too_many_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
