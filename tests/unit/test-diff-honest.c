/* How often diff is wrong: simulated pairs of result files with fixed seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "diff-fixture.h"
#include "stats/summary.h"
#include "unit/random.h"

enum { RUNS = 10, PAIRS = 600, CASES = 5, SAMPLES = 301 };

/* How the values of a simulated run come about. */
struct world {
	double cv;    /* from run to run */
	double rho;   /* of successive samples within a run; below 0: a run is one number */
	double drift; /* over the whole session */
	double slow;  /* the new side is slower by this share */
	bool interleaved;
	const struct diff_opts *opts;
};

/* The median of autocorrelated samples around a level. */
static double median_of_samples(struct random *r, double level, double rho)
{
	double v[SAMPLES], state = random_normal(r);

	for (size_t i = 0; i < SAMPLES; i++) {
		state = rho * state + sqrt(1 - rho * rho) * random_normal(r);
		v[i] = level * exp(0.25 * state);
	}
	summary_sort(v, SAMPLES);
	return summary_median_sorted(v, SAMPLES);
}

static double run_value(struct random *r, const struct world *w, double level)
{
	double run = level * exp(w->cv * random_normal(r));

	return w->rho < 0 ? run : median_of_samples(r, run, w->rho);
}

/* Where in the session run i of a side is: A A A B B B, or A B B A A B B A. */
static double place(const struct world *w, size_t side, size_t i)
{
	size_t at = w->interleaved ? 2 * i + (i % 2 ? 1 - side : side) : side * RUNS + i;

	return 1 + w->drift * (double)at / (2 * RUNS - 1);
}

static json_t *file(struct random *r, const struct world *w, size_t side)
{
	json_t *root = fx_document(side ? "b" : "a");
	double v[RUNS];
	char name[32];

	for (int c = 0; c < CASES; c++) {
		snprintf(name, sizeof(name), "repl.case%d", c);
		json_t *b = fx_case(root, name, "latency.median", RUNS);

		for (size_t i = 0; i < RUNS; i++)
			v[i] = run_value(r, w, 15000.0 * (c + 1)) * place(w, side, i) *
			       (side ? 1 + w->slow : 1);
		fx_metric(b, "latency.median", "ns", "lower", "distribution", v);
	}
	if (w->interleaved)
		fx_interleave(root, "session");
	return root;
}

struct outcome {
	int files;   /* pairs of files with any regression or improvement */
	int metrics; /* regressions, of all cases of all pairs */
};

static struct outcome simulate(const struct world *w, int pairs, uint64_t seed)
{
	struct random r = { seed };
	struct outcome out = { 0 };

	for (int k = 0; k < pairs; k++) {
		json_t *a = file(&r, w, 0), *b = file(&r, w, 1);
		CLEANUP(fx_diff_done) struct fx_diff d = fx_compare(a, b, w->opts);

		assert_int_equal(d.rc, 0);
		assert_int_equal(d.report.family, CASES);
		out.files +=
			d.report.gating[VERDICT_REGRESSION] + d.report.gating[VERDICT_IMPROVEMENT] >
			0;
		out.metrics += (int)d.report.gating[VERDICT_REGRESSION];
	}
	return out;
}

/* Any change counts: the test itself, with no threshold behind it. */
static const struct diff_opts no_threshold = { .thresholds = { 1, { "0%" } } };

static void test_runs_that_vary_are_no_alarm(void **state)
{
	static const double cv[] = { 0.01, 0.05, 0.2 };
	int alarms = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct world w = { .cv = cv[i], .rho = -1, .opts = &no_threshold };

		alarms += simulate(&w, 4 * PAIRS, 11 + (uint64_t)i).files;
	}
	assert_true(alarms <= 3 * 4 * PAIRS * 5 / 100);
}

static void test_noisy_runs_are_no_alarm_with_the_threshold(void **state)
{
	const struct world w = { .cv = 0.1, .rho = -1 };

	(void)state;
	assert_true(simulate(&w, PAIRS, 21).files <= PAIRS * 5 / 100);
}

static void test_autocorrelated_samples_are_no_alarm(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct world w = { .cv = 0.01,
					 .rho = (double[]){ 0.5, 0.9 }[i],
					 .opts = &no_threshold };

		assert_true(simulate(&w, PAIRS, 31 + (uint64_t)i).files <= PAIRS * 5 / 100);
	}
}

static void test_drift_is_no_alarm_when_interleaved(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct world w = { .cv = 0.01,
					 .rho = -1,
					 .drift = (double[]){ 0.02, 0.2 }[i],
					 .interleaved = true,
					 .opts = &no_threshold };

		assert_true(simulate(&w, PAIRS, 41 + (uint64_t)i).files <= PAIRS * 5 / 100);
	}
}

/* Why interleaving is needed: the same drift, one side after the other. */
static void test_drift_is_an_alarm_in_sequence(void **state)
{
	const struct world w = { .cv = 0.01, .rho = -1, .drift = 0.2 };

	(void)state;
	assert_true(simulate(&w, PAIRS, 51).files > PAIRS / 2);
}

static void test_a_tenth_is_seen(void **state)
{
	const struct world apart = { .cv = 0.02, .rho = -1, .slow = 0.1 };
	const struct world paired = {
		.cv = 0.02, .rho = -1, .slow = 0.1, .drift = 0.2, .interleaved = true
	};

	(void)state;
	assert_true(simulate(&apart, PAIRS, 61).metrics >= PAIRS * CASES * 90 / 100);
	assert_true(simulate(&paired, PAIRS, 62).metrics >= PAIRS * CASES * 90 / 100);
}

/* As many runs as an inconclusive verdict asks for do show a change of the threshold, in most cases. */
static void test_the_runs_it_asks_for_are_enough(void **state)
{
	struct random r = { 71 };
	int seen = 0, asked = 0;

	(void)state;
	for (int k = 0; k < 300; k++) {
		double x[60], y[60];
		struct estimate v;
		struct err e;
		const struct samples few = { x, y, RUNS, RUNS, false, false };
		struct verdict_rules rules = {
			.better = BETTER_LOWER, .threshold = 0.05, .p = 1, .family = 1
		};
		uint32_t n;

		for (int i = 0; i < 60; i++) {
			x[i] = exp(0.06 * random_normal(&r));
			y[i] = 1.1 * exp(0.06 * random_normal(&r));
		}
		assert_int_equal(verdict_estimate(&few, &v, &e), 0);
		n = verdict_runs_needed(&v, &rules);
		if (n > 60)
			continue;
		asked++;
		const struct samples more = { x, y, n, n, false, false };

		assert_int_equal(verdict_estimate(&more, &v, &e), 0);
		rules.p = v.p;
		seen += verdict_of(&v, &rules) == VERDICT_REGRESSION;
	}
	assert_true(asked >= 150);
	assert_true(seen >= asked * 80 / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_that_vary_are_no_alarm),
		cmocka_unit_test(test_noisy_runs_are_no_alarm_with_the_threshold),
		cmocka_unit_test(test_autocorrelated_samples_are_no_alarm),
		cmocka_unit_test(test_drift_is_no_alarm_when_interleaved),
		cmocka_unit_test(test_drift_is_an_alarm_in_sequence),
		cmocka_unit_test(test_a_tenth_is_seen),
		cmocka_unit_test(test_the_runs_it_asks_for_are_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
