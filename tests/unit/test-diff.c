#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "diff-fixture.h"

enum { RUNS = 10 };

/* Ten values around `level`, 0.1 % apart, in a mixed order. */
static void around(double *out, double level)
{
	static const int place[RUNS] = { 3, -4, 0, 5, -1, 2, -3, 4, 1, -2 };

	for (size_t i = 0; i < RUNS; i++)
		out[i] = level * (1 + 0.001 * place[i]);
}

static struct fx_diff two_levels(double base, double new, const struct diff_opts *o)
{
	double x[RUNS], y[RUNS];

	around(x, base);
	around(y, new);
	return fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), o);
}

static void test_verdicts(void **state)
{
	static const struct {
		double ratio;
		enum verdict verdict;
		int status;
	} cases[] = {
		{ 1.10, VERDICT_REGRESSION, ERR_CHECK }, { 0.90, VERDICT_IMPROVEMENT, 0 },
		{ 1.00, VERDICT_UNCHANGED, 0 },		 { 1.04, VERDICT_UNCHANGED, 0 },
		{ 0.96, VERDICT_UNCHANGED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(fx_diff_done)
		struct fx_diff d = two_levels(50000, 50000 * cases[i].ratio, NULL);

		assert_int_equal(d.rc, 0);
		assert_int_equal(d.report.n, 1);
		assert_int_equal(d.report.row[0].verdict, cases[i].verdict);
		assert_true(d.report.row[0].gates);
		assert_float_equal(d.report.row[0].estimate.ratio, cases[i].ratio, 2e-3);
		assert_int_equal(diff_status(&d.report, NULL), cases[i].status);
	}
}

static void test_too_few_runs_are_inconclusive(void **state)
{
	const double x[3] = { 100, 101, 102 }, y[3] = { 200, 201, 202 };
	CLEANUP(fx_diff_done)
	struct fx_diff d = fx_compare(fx_latency("a", x, 3), fx_latency("b", y, 3), NULL);
	const struct opt_strings fail_on = { 1, { "inconclusive" } };
	char why[160];

	(void)state;
	assert_int_equal(d.rc, 0);
	/* 2 / C(6, 3) */
	assert_float_equal(d.report.row[0].p, 0.1, 1e-12);
	assert_int_equal(d.report.row[0].verdict, VERDICT_INCONCLUSIVE);
	assert_int_equal(d.report.row[0].runs_needed, 4);
	assert_true(report_explain(&d.report.row[0], why, sizeof(why)) > 0);
	assert_string_equal(why, "3 runs are too few: at least 4");
	assert_int_equal(diff_status(&d.report, NULL), 0);
	assert_int_equal(diff_status(&d.report, &fail_on), ERR_CHECK);
}

static void test_wide_runs_say_what_they_could_have_shown(void **state)
{
	double x[RUNS], y[RUNS];
	char why[160];

	(void)state;
	around(x, 100);
	around(y, 100);
	for (size_t i = 0; i < RUNS; i++) {
		x[i] = 100 + 60 * (x[i] - 100);
		y[i] = 100 + 60 * (y[i] - 100);
	}
	CLEANUP(fx_diff_done)
	struct fx_diff d = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);
	const struct report_row *row = &d.report.row[0];

	assert_int_equal(row->verdict, VERDICT_INCONCLUSIVE);
	assert_float_equal(row->p, 1, 1e-12);
	/* Half the interval on a logarithmic axis. */
	assert_float_equal(verdict_detectable(&row->estimate),
			   sqrt(row->estimate.hi / row->estimate.lo) - 1, 1e-6);
	assert_true(row->runs_needed > RUNS && row->runs_needed <= VERDICT_RUNS_MAX);
	report_explain(row, why, sizeof(why));
	assert_non_null(strstr(why, "10 runs can show "));
	assert_non_null(strstr(why, " would show 5 %"));
}

static void test_direction_follows_better(void **state)
{
	double x[RUNS], y[RUNS];
	json_t *a = fx_document("a"), *b = fx_document("b");

	(void)state;
	around(x, 1e6);
	around(y, 1.2e6);
	fx_metric(fx_case(a, "tftp.read", "throughput", RUNS), "throughput", "bytes_per_second",
		  "higher", "distribution", x);
	fx_metric(fx_case(b, "tftp.read", "throughput", RUNS), "throughput", "bytes_per_second",
		  "higher", "distribution", y);
	CLEANUP(fx_diff_done) struct fx_diff up = fx_compare(json_incref(a), json_incref(b), NULL);
	CLEANUP(fx_diff_done) struct fx_diff down = fx_compare(b, a, NULL);

	assert_int_equal(up.report.row[0].verdict, VERDICT_IMPROVEMENT);
	assert_int_equal(down.report.row[0].verdict, VERDICT_REGRESSION);
}

/* All values the same. */
static void level(double *out, double value)
{
	for (size_t i = 0; i < RUNS; i++)
		out[i] = value;
}

static struct fx_diff two_counts(const double *x, const double *y, const struct diff_opts *o)
{
	json_t *a = fx_document("a"), *b = fx_document("b");

	fx_metric(fx_case(a, "repl.exec", "latency.median", RUNS), "syscalls.read", "count_per_op",
		  "lower", "exact", x);
	fx_metric(fx_case(b, "repl.exec", "latency.median", RUNS), "syscalls.read", "count_per_op",
		  "lower", "exact", y);
	return fx_compare(a, b, o);
}

static void test_counts_are_exact(void **state)
{
	double three[RUNS], two[RUNS], zero[RUNS], mixed[RUNS];
	const struct diff_opts loose = { .thresholds = { 1, { "syscalls.*=60%" } } };
	char text[REPORT_TEXT_MAX];

	(void)state;
	level(three, 3);
	level(two, 2.97);
	level(zero, 0);
	level(mixed, 3);
	mixed[4] = 3.01;
	CLEANUP(fx_diff_done) struct fx_diff more = two_counts(two, three, NULL);
	CLEANUP(fx_diff_done) struct fx_diff same = two_counts(three, three, NULL);
	CLEANUP(fx_diff_done) struct fx_diff ignored = two_counts(two, three, &loose);
	CLEANUP(fx_diff_done) struct fx_diff from_zero = two_counts(zero, three, NULL);
	CLEANUP(fx_diff_done) struct fx_diff disagree = two_counts(three, mixed, NULL);

	/* 1 % is below the threshold of 5 %, but a count is no estimate. */
	assert_int_equal(more.report.row[0].verdict, VERDICT_REGRESSION);
	assert_true(more.report.row[0].gates && isnan(more.report.row[0].p));
	assert_string_equal(report_change(text, &more.report.row[0]), "+1.01%");
	assert_string_equal(report_interval(text, &more.report.row[0]), "exact");
	assert_string_equal(report_p(text, &more.report.row[0]), "-");
	assert_int_equal(more.report.family, 0);
	assert_int_equal(same.report.row[0].verdict, VERDICT_UNCHANGED);
	assert_int_equal(ignored.report.row[0].verdict, VERDICT_UNCHANGED);
	assert_int_equal(from_zero.report.row[0].verdict, VERDICT_REGRESSION);
	assert_string_equal(report_change(text, &from_zero.report.row[0]), "from 0");
	assert_false(disagree.report.row[0].gates);
	assert_true(disagree.report.row[0].estimate.disagree);
	assert_int_equal(disagree.report.row[0].verdict, VERDICT_UNCHANGED);
}

static void add_ten(json_t *root, double shift, const double *base)
{
	double y[RUNS];
	char name[32];

	for (int i = 0; i < 10; i++) {
		for (size_t k = 0; k < RUNS; k++)
			y[k] = base[k] * (1 + shift * i);
		snprintf(name, sizeof(name), "repl.case%d", i);
		json_t *b = fx_case(root, name, "latency.median", RUNS);

		fx_metric(b, "latency.median", "ns", "lower", "distribution", y);
		fx_metric(b, "latency.p99", "ns", "lower", "distribution", y);
	}
}

static void test_holm_runs_over_what_gates(void **state)
{
	const struct diff_opts wider = { .gates = { 1, { "repl.case[0-4]:latency.p99" } } };
	const struct diff_opts unknown = { .gates = { 1, { "latency.p98" } } };
	double x[RUNS];

	(void)state;
	around(x, 1000);
	for (int i = 0; i < 3; i++) {
		json_t *a = fx_document("a"), *b = fx_document("b");

		add_ten(a, 0, x);
		add_ten(b, 0.0005, x);
		CLEANUP(fx_diff_done)
		struct fx_diff d = fx_compare(a, b, i == 0 ? NULL : i == 1 ? &wider : &unknown);

		if (i == 2) {
			assert_int_equal(d.rc, -1);
			assert_int_equal(d.e.kind, ERR_USAGE);
			assert_non_null(strstr(d.e.msg, "latency.p98"));
			continue;
		}
		assert_int_equal(d.report.n, 20);
		assert_int_equal(d.report.family, i ? 15 : 10);
		for (size_t k = 0; k < d.report.n; k++) {
			const struct report_row *row = &d.report.row[k];

			assert_true(row->p >= row->estimate.p);
			assert_true(row->p <= 1);
			assert_int_equal(k < (i ? 15U : 10U), row->gates);
		}
	}
}

static void test_missing_and_added(void **state)
{
	const struct opt_strings fail_on = { 1, { "missing" } };
	double x[RUNS];
	json_t *a, *b;

	(void)state;
	around(x, 1000);
	a = fx_latency("a", x, RUNS);
	b = fx_latency("b", x, RUNS);
	fx_metric(fx_case(a, "repl.gone", "latency.median", RUNS), "latency.median", "ns", "lower",
		  "distribution", x);
	fx_metric(fx_case(b, "repl.came", "latency.median", RUNS), "latency.median", "ns", "lower",
		  "distribution", x);
	CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(a, b, NULL);

	assert_int_equal(d.report.gating[VERDICT_MISSING], 1);
	assert_int_equal(d.report.gating[VERDICT_ADDED], 1);
	assert_string_equal(d.report.row[0].benchmark, "repl.gone");
	assert_int_equal(diff_status(&d.report, NULL), 0);
	assert_int_equal(diff_status(&d.report, &fail_on), ERR_CHECK);
}

static void test_runs_that_failed_have_no_value(void **state)
{
	double x[RUNS], y[RUNS];

	(void)state;
	around(x, 1000);
	around(y, 1000);
	y[3] = y[7] = (double)NAN;
	CLEANUP(fx_diff_done)
	struct fx_diff some = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);

	assert_int_equal(some.report.row[0].n, 8);
	level(y, (double)NAN);
	CLEANUP(fx_diff_done)
	struct fx_diff none = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);

	assert_int_equal(none.report.row[0].verdict, VERDICT_MISSING);
}

static void test_unlike_what_is_refused(void **state)
{
	const struct diff_opts allow = { .allow = { 1, { "chunk" } } };
	double x[RUNS];

	(void)state;
	around(x, 1000);
	for (int allowed = 0; allowed < 2; allowed++) {
		json_t *a = fx_latency("a", x, RUNS), *b = fx_latency("b", x, RUNS);
		json_t *config = json_object_get(b, "config");

		json_object_set_new(json_object_get(config, "what"), "chunk", json_integer(256));
		json_object_set_new(json_object_get(config, "how"), "runs", json_integer(20));
		CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(a, b, allowed ? &allow : NULL);

		if (!allowed) {
			assert_int_equal(d.rc, -1);
			assert_int_equal(d.e.kind, ERR_USAGE);
			assert_non_null(
				strstr(d.e.msg, "chunk is 64 in base.json, 256 in new.json"));
			continue;
		}
		assert_int_equal(d.rc, 0);
		assert_int_equal(d.report.n_notes, 1);
		assert_non_null(strstr(d.report.note[0].text, "runs was 10"));
	}
}

static void test_what_to_know_is_noted(void **state)
{
	const struct opt_strings fail_on = { 1, { "noisy" } };
	double x[RUNS];
	json_t *a, *b;

	(void)state;
	around(x, 1000);
	a = fx_latency("a", x, RUNS);
	b = fx_latency("b", x, RUNS);
	json_object_set_new(json_object_get(b, "environment"), "fingerprint", json_string("f2"));
	json_object_set_new(json_object_get(b, "noise"), "verdict", json_string("noisy"));
	json_array_append_new(json_object_get(json_object_get(b, "noise"), "reasons"),
			      json_string("steal 9 %"));
	json_object_set_new(b, "status", json_string("interrupted"));
	CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(a, b, NULL);

	assert_int_equal(d.rc, 0);
	assert_false(d.report.same_machine);
	assert_true(d.report.noisy);
	assert_int_equal(d.report.n_notes, 3);
	assert_int_equal(diff_status(&d.report, NULL), 0);
	assert_int_equal(diff_status(&d.report, &fail_on), ERR_CHECK);
}

static void test_nothing_in_common_is_refused(void **state)
{
	double x[RUNS];
	json_t *b = fx_document("b");

	(void)state;
	around(x, 1000);
	fx_metric(fx_case(b, "repl.other", "latency.median", RUNS), "latency.median", "ns", "lower",
		  "distribution", x);
	CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(fx_latency("a", x, RUNS), b, NULL);

	assert_int_equal(d.rc, -1);
	assert_int_equal(d.e.kind, ERR_USAGE);
	assert_string_equal(d.e.code, "nothing-matches");
}

static void test_files_of_a_side_are_pooled_once(void **state)
{
	CLEANUP(side_done) struct side s = { 0 };
	struct err e = { 0 };
	double x[RUNS];
	json_t *a, *b;

	(void)state;
	around(x, 1000);
	a = fx_latency("a", x, RUNS);
	b = fx_latency("b", x, RUNS);
	assert_int_equal(side_add(&s, "a", a, &e), 0);
	assert_int_equal(side_add(&s, "b", b, &e), 0);
	assert_int_equal(s.n_cases, 1);
	assert_int_equal(s.cases[0].n_runs, 2 * RUNS);
	assert_float_equal(s.cases[0].metric[0].values[RUNS], x[0], 0);
	assert_int_equal(side_add(&s, "again", a, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	json_decref(a);
	json_decref(b);
}

/* Load that rises by a half during the session hides nothing when runs are paired. */
static void test_interleaved_runs_are_paired(void **state)
{
	double x[RUNS], y[RUNS];
	json_t *a, *b;

	(void)state;
	for (size_t i = 0; i < RUNS; i++) {
		double load = 1000 * (1 + 0.05 * (double)i);

		x[i] = load;
		y[i] = load * (1.1 + 0.0005 * (double)((i * 7) % RUNS));
	}
	a = fx_latency("a", x, RUNS);
	b = fx_latency("b", y, RUNS);
	CLEANUP(fx_diff_done)
	struct fx_diff apart = fx_compare(json_incref(a), json_incref(b), NULL);

	fx_interleave(a, "s1");
	fx_interleave(b, "s1");
	CLEANUP(fx_diff_done) struct fx_diff paired = fx_compare(a, b, NULL);

	assert_int_equal(apart.report.row[0].verdict, VERDICT_INCONCLUSIVE);
	assert_false(apart.report.paired);
	assert_true(paired.report.paired);
	assert_int_equal(paired.report.row[0].estimate.method, VERDICT_BY_PAIR);
	assert_int_equal(paired.report.row[0].verdict, VERDICT_REGRESSION);
	assert_float_equal(paired.report.row[0].p, 2.0 / 1024, 1e-12);
}

static void test_pairs_of_other_sessions_do_not_belong_together(void **state)
{
	double x[RUNS];
	json_t *a, *b;

	(void)state;
	around(x, 1000);
	a = fx_latency("a", x, RUNS);
	b = fx_latency("b", x, RUNS);
	fx_interleave(a, "s1");
	fx_interleave(b, "s2");
	CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(a, b, NULL);

	assert_false(d.report.paired);
	assert_int_equal(d.report.row[0].n, RUNS);
}

static void test_strict_wants_the_whole_interval(void **state)
{
	const struct diff_opts strict = { .strict = true };
	double x[RUNS], y[RUNS];

	(void)state;
	around(x, 1000);
	around(y, 1051);
	CLEANUP(fx_diff_done)
	struct fx_diff d = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);
	CLEANUP(fx_diff_done)
	struct fx_diff s = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), &strict);

	assert_int_equal(d.report.row[0].verdict, VERDICT_REGRESSION);
	assert_int_equal(s.report.row[0].verdict, VERDICT_INCONCLUSIVE);
}

static void test_values_at_zero_have_no_ratio(void **state)
{
	double x[RUNS], y[RUNS];

	(void)state;
	level(x, 0);
	level(y, 0);
	CLEANUP(fx_diff_done)
	struct fx_diff same = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);

	assert_int_equal(same.report.row[0].verdict, VERDICT_UNCHANGED);
	around(y, 5);
	CLEANUP(fx_diff_done)
	struct fx_diff more = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);

	assert_int_equal(more.report.row[0].verdict, VERDICT_REGRESSION);
	assert_true(isnan(more.report.row[0].estimate.ratio));
	y[0] = 0;
	around(x, 100);
	x[0] = 0;
	CLEANUP(fx_diff_done)
	struct fx_diff shift = fx_compare(fx_latency("a", x, RUNS), fx_latency("b", y, RUNS), NULL);

	assert_int_equal(shift.report.row[0].verdict, VERDICT_IMPROVEMENT);
	assert_true(shift.report.row[0].estimate.ratio < 0.1);
}

static void test_thresholds_are_checked(void **state)
{
	static const char *const bad[] = { "x", "-1%", "100%", "latency.p99=", "=5%", "a,b:c=5%" };
	struct diff_rules *rules = malloc(sizeof(*rules));
	struct err e;

	(void)state;
	assert_non_null(rules);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct diff_opts o = { .thresholds = { 1, { bad[i] } } };

		assert_int_equal(diff_rules_parse(rules, &o, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
	free(rules);
}

static void test_p_is_never_zero_in_text(void **state)
{
	struct report_row row = { .p = 1e-9 };
	char text[REPORT_TEXT_MAX];

	(void)state;
	assert_string_equal(report_p(text, &row), "<0.001");
	row.p = 0.0456789;
	assert_string_equal(report_p(text, &row), "0.046");
	row.p = 1;
	assert_string_equal(report_p(text, &row), "1");
	row.p = 0.437;
	assert_string_equal(report_p(text, &row), "0.44");
}

static void test_a_thousand_metrics_of_twenty_runs(void **state)
{
	json_t *a = fx_document("a"), *b = fx_document("b");
	double x[20];

	(void)state;
	for (int c = 0; c < 20; c++) {
		char name[32];

		snprintf(name, sizeof(name), "repl.case%d", c);
		json_t *p = fx_case(a, name, "m0", 20), *q = fx_case(b, name, "m0", 20);

		for (int m = 0; m < 50; m++) {
			snprintf(name, sizeof(name), "m%d", m);
			for (size_t i = 0; i < 20; i++)
				x[i] = 1000 + (double)((i * 7919 + (size_t)m * 104729) % 101);
			fx_metric(p, name, "ns", "lower", "distribution", x);
			x[0] += 3;
			fx_metric(q, name, "ns", "lower", "distribution", x);
		}
	}
	CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(a, b, NULL);

	assert_int_equal(d.rc, 0);
	assert_int_equal(d.report.n, 1000);
	assert_int_equal(d.report.family, 20);
}

static void test_table_and_json_show_every_gate(void **state)
{
	CLEANUP(fx_diff_done) struct fx_diff d = two_levels(1000, 1200, NULL);
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = { .width = 80 };
	json_t *root = report_json(&d.report, &d.e), *row;

	(void)state;
	assert_int_equal(report_table(&d.report, &style, &out, &d.e), 0);
	assert_non_null(strstr(buf_text(&out), "REGRESSION"));
	assert_non_null(strstr(buf_text(&out), "repl.exec latency.median"));
	assert_non_null(strstr(buf_text(&out), "1 regression (threshold 5 %"));
	assert_null(strchr(buf_text(&out), '\033'));
	assert_non_null(root);
	row = json_array_get(json_object_get(root, "rows"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "verdict")), "regression");
	assert_float_equal(json_real_value(json_object_get(row, "ratio")), 1.2, 1e-3);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_too_few_runs_are_inconclusive),
		cmocka_unit_test(test_wide_runs_say_what_they_could_have_shown),
		cmocka_unit_test(test_direction_follows_better),
		cmocka_unit_test(test_counts_are_exact),
		cmocka_unit_test(test_holm_runs_over_what_gates),
		cmocka_unit_test(test_missing_and_added),
		cmocka_unit_test(test_runs_that_failed_have_no_value),
		cmocka_unit_test(test_unlike_what_is_refused),
		cmocka_unit_test(test_what_to_know_is_noted),
		cmocka_unit_test(test_nothing_in_common_is_refused),
		cmocka_unit_test(test_files_of_a_side_are_pooled_once),
		cmocka_unit_test(test_interleaved_runs_are_paired),
		cmocka_unit_test(test_pairs_of_other_sessions_do_not_belong_together),
		cmocka_unit_test(test_strict_wants_the_whole_interval),
		cmocka_unit_test(test_values_at_zero_have_no_ratio),
		cmocka_unit_test(test_thresholds_are_checked),
		cmocka_unit_test(test_p_is_never_zero_in_text),
		cmocka_unit_test(test_a_thousand_metrics_of_twenty_runs),
		cmocka_unit_test(test_table_and_json_show_every_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
