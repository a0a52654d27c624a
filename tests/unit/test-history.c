/* Many results in the order of time: what is read, what is skipped, what a trend makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diff-fixture.h"
#include "random.h"
#include "result/entry.h"
#include "result/history.h"
#include "result/trend.h"
#include "result/wall.h"

/* An entry of one case with one metric, i seconds after the beginning of 2026. */
static json_t *entry(int i, double value)
{
	char at[WALL_MAX];
	struct err e;
	json_t *o, *benchmark;

	wall_format((INT64_C(1767225600) + i) * 1000000000, 1, at);
	o = entry_make_empty(at, &e);
	assert_non_null(o);
	json_object_set_new(o, "commit", json_sprintf("c%d", i));
	json_object_set_new(o, "run_id", json_sprintf("%032x", (unsigned)i + 1));
	json_object_set_new(o, "config", json_string("0123456789ab"));
	benchmark = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:{s:{s:o, s:s, s:s, s:s}}}", "name",
			      "repl.exec", "target", "t1", "params", "", "headline",
			      "latency.median", "ok", 100, "failed", 0, "metrics", "latency.median",
			      "value", json_number(value), "unit", "ns", "better", "lower",
			      "assume", "distribution");
	assert_non_null(benchmark);
	json_array_append_new(json_object_get(o, "benchmarks"), benchmark);
	return o;
}

static void add(struct history *h, json_t *o)
{
	struct err e;

	if (history_add(h, "x", o, &e) < 0)
		fail_msg("%s", e.msg);
	json_decref(o);
}

static void results_are_put_in_order(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };
	struct err e;

	(void)state;
	add(&h, entry(5, 50));
	add(&h, entry_make_empty("2026-01-01T00:00:03.000Z", &e));
	add(&h, entry(1, 10));
	add(&h, entry(3, 30));
	assert_int_equal(history_sort(&h, &e), 0);
	assert_int_equal(h.n, 4);
	assert_int_equal(h.n_series, 1);
	assert_string_equal(h.point[0].commit, "c1");
	assert_float_equal(h.series[0].value[0], 10, 0);
	/* Of equal times the one that was added first. */
	assert_true(isnan(h.series[0].value[1]));
	assert_float_equal(h.series[0].value[2], 30, 0);
	assert_float_equal(h.series[0].value[3], 50, 0);
}

static void the_same_run_counts_once(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };

	(void)state;
	add(&h, entry(1, 10));
	add(&h, entry(1, 10));
	assert_int_equal(h.n, 1);
	assert_int_equal(h.skipped, 1);
	/* One that was dropped may come again. */
	add(&h, entry(2, 20));
	history_keep_last(&h, 1);
	add(&h, entry(1, 10));
	assert_int_equal(h.n, 2);
	assert_float_equal(h.series[0].value[0], 20, 0);
	assert_float_equal(h.series[0].value[1], 10, 0);
}

static void other_options_and_units_are_other_series(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };
	json_t *o = entry(2, 20), *metric;

	(void)state;
	add(&h, entry(1, 10));
	json_object_set_new(o, "config", json_string("ffffffffffff"));
	add(&h, o);
	o = entry(3, 30);
	metric = json_object_get(
		json_object_get(json_array_get(json_object_get(o, "benchmarks"), 0), "metrics"),
		"latency.median");
	json_object_set_new(metric, "unit", json_string("count"));
	add(&h, o);
	assert_int_equal(h.n_series, 3);
	assert_true(isnan(h.series[0].value[1]) && isnan(h.series[0].value[2]));
	assert_true(isnan(h.series[2].value[0]));
	assert_float_equal(h.series[2].value[2], 30, 0);
}

static void only_the_newest_are_kept(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		add(&h, entry(i, i));
		history_keep_last(&h, 7);
	}
	assert_int_equal(h.n, 7);
	assert_true(h.room <= 16 && json_object_size(h.run_ids) == 7);
	for (int i = 0; i < 7; i++)
		assert_float_equal(h.series[0].value[i], (float)(993 + i), 0);
}

static void broken_lines_are_skipped(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct err e;

	(void)state;
	for (int i = 0; i < 3; i++) {
		json_t *o = entry(i, i);
		char *line = entry_line(o, &e);

		assert_non_null(line);
		buf_addf(&text, "%s\n%s", line,
			 i == 1 ? "{\"schema\": \"mpbench.watch\", \n\n" : "");
		free(line);
		json_decref(o);
	}
	assert_int_equal(history_add_lines(&h, "w", text.data, text.len, &e), 0);
	assert_int_equal(h.n, 3);
	assert_int_equal(h.skipped, 1);
	assert_string_equal(h.point[2].name, "w:5");
	/* Nothing readable at all is an error that tells of the first line. */
	assert_int_equal(history_add_lines(&h, "w", "{}\n[]\n", 6, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.msg, "w:1"));
	assert_int_equal(history_add_lines(&h, "w", "\n", 1, &e), -1);
}

static void what_is_no_entry_is_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{'schema': 'mpbench.watch', 'schema_version': '2.0'}",
		"{'schema': 'mpbench.watch', 'schema_version': '1.'}",
		"{'schema': 'mpbench.watch', 'schema_version': '1.0', 'started_at': 'yesterday'}",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP_FREE char *text = strdup(bad[i]);
		json_t *o;

		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		o = json_loads(text, 0, NULL);
		assert_non_null(o);
		assert_int_equal(entry_check(o, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		json_decref(o);
	}
}

static void a_result_leaves_its_medians(void **state)
{
	static const double p99[] = { 4e6, 9e6, 4.5e6 };
	CLEANUP(side_done) struct side side = { 0 };
	json_t *root = fx_document("a"), *made;
	const json_t *benchmark;
	struct err e;

	(void)state;
	fx_metric(fx_case(root, "repl.exec", "latency.p99", 3), "latency.p99", "ns", "lower",
		  "distribution", p99);
	assert_int_equal(side_add(&side, "a.json", root, &e), 0);
	made = entry_make(&side, &e);
	assert_non_null(made);
	assert_int_equal(entry_check(made, &e), 0);
	benchmark = json_array_get(json_object_get(made, "benchmarks"), 0);
	assert_string_equal(json_string_value(json_object_get(benchmark, "headline")),
			    "latency.p99");
	assert_float_equal(
		json_number_value(json_object_get(
			json_object_get(json_object_get(benchmark, "metrics"), "latency.p99"),
			"value")),
		4.5e6, 0);
	json_decref(made);
	json_decref(root);
}

/* --- trend --- */

static const struct trend_options plain = { .magnitude = 0.03 };

/* 60 results around 1000 with 2 % of noise, `factor` from `at` on. */
static void make(struct trend *t, struct history *h, struct random *r, int at, double factor)
{
	struct err e;

	for (int i = 0; i < 60; i++)
		add(h, entry(i, 1000 * (1 + 0.02 * random_normal(r)) * (i >= at ? factor : 1)));
	assert_int_equal(trend_make(h, &plain, t, &e), 0);
	assert_int_equal(t->n, 1);
}

static void nothing_happens_to_null_series(void **state)
{
	struct random r = { 1 };
	int alarms = 0;

	(void)state;
	for (int k = 0; k < 200; k++) {
		CLEANUP(history_done) struct history h = { 0 };
		CLEANUP(trend_done) struct trend t = { 0 };

		make(&t, &h, &r, 60, 1);
		alarms += t.row[0].n_changes > 0;
	}
	print_message("%d of 200 null series have a change\n", alarms);
	assert_true(alarms <= 200 * 5 / 100);
}

static void a_step_is_found_and_judged(void **state)
{
	struct random r = { 2 };
	int found = 0;

	(void)state;
	for (int k = 0; k < 200; k++) {
		CLEANUP(history_done) struct history h = { 0 };
		CLEANUP(trend_done) struct trend t = { 0 };
		const struct trend_row *row;
		bool slower = k % 2;
		size_t at = 15 + random_u64(&r) % 31;

		make(&t, &h, &r, (int)at, slower ? 1.05 : 0.95);
		row = &t.row[0];
		found += row->n_changes == 1 && row->change[0].at + 3 >= at &&
			 row->change[0].at <= at + 3 && row->direction == (slower ? 1 : -1) &&
			 t.worse == slower;
	}
	print_message("a step of 5 %% is found in %d of 200\n", found);
	assert_true(found >= 200 * 90 / 100);
}

static void the_newest_level_decides(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };
	CLEANUP(trend_done) struct trend t = { 0 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = { .width = 80 };
	struct err e;

	(void)state;
	/* Worse for a while, with two gaps, then better than ever. */
	for (int i = 0; i < 60; i++)
		add(&h, entry(i, i == 7 || i == 33 ? (double)NAN
						   : (i < 20   ? 1000
						      : i < 40 ? 1200
							       : 900) +
							     i % 3));
	assert_int_equal(trend_make(&h, &plain, &t, &e), 0);
	assert_int_equal(t.row[0].n, 58);
	assert_int_equal(t.row[0].n_changes, 2);
	assert_int_equal(t.row[0].place[t.row[0].change[0].at], 20);
	assert_int_equal(t.row[0].place[t.row[0].change[1].at], 40);
	assert_int_equal(t.row[0].direction, -1);
	assert_int_equal(t.worse, 0);
	assert_int_equal(trend_table(&t, &style, &out, &e), 0);
	assert_non_null(strstr(buf_text(&out), "WORSE +20%"));
	assert_non_null(strstr(buf_text(&out), "better -25%"));
	assert_non_null(strstr(buf_text(&out), "commit c40"));
}

static void metrics_are_chosen(void **state)
{
	CLEANUP(history_done) struct history h = { 0 };
	CLEANUP(trend_done) struct trend t = { 0 };
	struct selector s;
	struct trend_options o = { .metric = &s, .n_metrics = 1, .magnitude = 0.03 };
	struct err e;

	(void)state;
	add(&h, entry(0, 1));
	assert_int_equal(selector_parse(&s, "latency.p99", &e), 0);
	assert_int_equal(trend_make(&h, &o, &t, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(selector_parse(&s, "repl.* latency.m*", &e), 0);
	assert_int_equal(trend_make(&h, &o, &t, &e), 0);
	assert_int_equal(t.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_are_put_in_order),
		cmocka_unit_test(the_same_run_counts_once),
		cmocka_unit_test(other_options_and_units_are_other_series),
		cmocka_unit_test(only_the_newest_are_kept),
		cmocka_unit_test(broken_lines_are_skipped),
		cmocka_unit_test(what_is_no_entry_is_refused),
		cmocka_unit_test(a_result_leaves_its_medians),
		cmocka_unit_test(nothing_happens_to_null_series),
		cmocka_unit_test(a_step_is_found_and_judged),
		cmocka_unit_test(the_newest_level_decides),
		cmocka_unit_test(metrics_are_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
