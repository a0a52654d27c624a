/* What runs again and again come to: alerts that begin and end, outages, a line each, going on after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff-fixture.h"
#include "result/entry.h"
#include "result/watcher.h"

#define SECOND INT64_C(1000000000)
#define BEGIN (INT64_C(1767225600) * SECOND) /* 2026-01-01T00:00:00Z */

static int id;

/* A result whose median is `level`; 0: no operation succeeded. */
static json_t *document(double level, const char *status)
{
	char name[32];
	const double values[] = { level, level, level };
	json_t *root, *c, *run;
	size_t i;

	snprintf(name, sizeof(name), "run%d", id++);
	root = fx_document(name);
	c = fx_case(root, "repl.exec", "latency.median", 3);
	fx_metric(c, "latency.median", "ns", "lower", "distribution", values);
	json_array_foreach(json_object_get(c, "runs"), i, run) if (level <= 0)
		json_object_set_new(run, "ok", json_integer(0));
	json_object_set_new(root, "status", json_string(status));
	return root;
}

/* Second `at`: level NaN is a run without a result. Returns the line. */
static json_t *take_status(struct watcher *w, int at, double level, const char *status, int exit)
{
	CLEANUP(json_decref) json_t *root = isnan(level) ? NULL : document(level, status);
	CLEANUP_FREE char *line = NULL;
	struct watch_run run = { .at_ns = BEGIN + at * SECOND,
				 .duration_ns = 5,
				 .root = root,
				 .exit_status = exit,
				 .message = isnan(level) ? "refused" : "" };
	json_t *entry;
	struct err e;

	if (watcher_take(w, &run, &line, &e) < 0)
		fail_msg("%s", e.msg);
	entry = json_loads(line, 0, NULL);
	assert_non_null(entry);
	assert_int_equal(entry_check(entry, &e), 0);
	return entry;
}

static json_t *take(struct watcher *w, int at, double level)
{
	return take_status(w, at, level, "complete", isnan(level) ? ERR_TARGET : 0);
}

static void drop(struct watcher *w, int at, double level)
{
	json_decref(take(w, at, level));
}

static const char *status_of(const json_t *entry)
{
	return json_string_value(json_object_get(entry, "status"));
}

static void expect_events(const struct watcher *w, size_t n, enum watch_event_kind kind, bool news)
{
	assert_int_equal(w->n_events, n);
	if (n) {
		assert_int_equal(w->event[0].kind, kind);
		assert_int_equal(w->event[0].news, news);
	}
}

static struct watcher *watcher_of(struct watcher *w, struct limit *l, const char *text)
{
	struct err e;

	memset(w, 0, sizeof(*w));
	if (!text)
		return w;
	assert_int_equal(limit_parse(l, text, &e), 0);
	w->limit = l;
	w->n_limits = 1;
	return w;
}

static void an_alert_begins_and_ends_once(void **state)
{
	static struct watcher w;
	struct limit l;
	json_t *entry;

	(void)state;
	watcher_of(&w, &l, "latency.median < 100us");
	drop(&w, 0, 50e3);
	expect_events(&w, 0, WATCH_ALERT, false);
	entry = take(&w, 1, 200e3);
	assert_string_equal(status_of(entry), "bad");
	assert_int_equal(json_array_size(json_object_get(entry, "alerts")), 1);
	json_decref(entry);
	expect_events(&w, 1, WATCH_ALERT, true);
	assert_non_null(strstr(w.event[0].text, "latency.median < 100us: 200 us"));
	drop(&w, 2, 300e3);
	expect_events(&w, 1, WATCH_ALERT, false);
	drop(&w, 3, 60e3);
	expect_events(&w, 1, WATCH_CLEARED, true);
	drop(&w, 4, 60e3);
	expect_events(&w, 0, WATCH_ALERT, false);
	assert_int_equal(w.runs[WATCH_BAD], 2);
	assert_int_equal(w.runs[WATCH_OK], 3);
	assert_int_equal(w.alerts_of[0], 2);
	watcher_done(&w);
}

static void an_outage_is_counted_and_ends(void **state)
{
	static struct watcher w;
	struct limit l;
	json_t *entry;
	const json_t *outage;

	(void)state;
	watcher_of(&w, &l, "latency.median < 100us");
	drop(&w, 0, 50e3);
	drop(&w, 10, (double)NAN);
	expect_events(&w, 1, WATCH_TARGET_DOWN, true);
	assert_non_null(strstr(w.event[0].text, "outage 1: refused"));
	assert_true(w.down);
	/* A result in which nothing succeeded is no better. */
	entry = take_status(&w, 20, 0, "failed", ERR_TARGET);
	assert_string_equal(status_of(entry), "down");
	json_decref(entry);
	expect_events(&w, 1, WATCH_TARGET_DOWN, false);
	entry = take(&w, 70, 50e3);
	assert_string_equal(status_of(entry), "ok");
	outage = json_object_get(entry, "outage");
	assert_int_equal(json_integer_value(json_object_get(outage, "runs")), 2);
	assert_int_equal(json_integer_value(json_object_get(outage, "down_ns")), 60 * SECOND);
	assert_true(json_is_true(json_object_get(outage, "over")));
	json_decref(entry);
	expect_events(&w, 1, WATCH_RECOVERED, true);
	drop(&w, 80, (double)NAN);
	assert_non_null(strstr(w.event[0].text, "outage 2"));
	assert_int_equal(w.outages, 2);
	assert_int_equal(w.down_ns, 60 * SECOND);
	watcher_done(&w);
}

static void failures_beside_successes_are_no_outage(void **state)
{
	static struct watcher w;
	struct limit l;
	json_t *entry;

	(void)state;
	watcher_of(&w, &l, NULL);
	entry = take_status(&w, 0, 50e3, "failed", ERR_TARGET);
	assert_string_equal(status_of(entry), "failed");
	json_decref(entry);
	assert_false(w.down);
	expect_events(&w, 1, WATCH_ALERT, true);
	/* The benchmark's own limits. */
	entry = take_status(&w, 1, 50e3, "complete", ERR_CHECK);
	assert_string_equal(status_of(entry), "bad");
	json_decref(entry);
	expect_events(&w, 1, WATCH_ALERT, true);
	drop(&w, 2, 50e3);
	expect_events(&w, 1, WATCH_CLEARED, true);
	watcher_done(&w);
}

static void an_unknown_metric_is_a_mistake_at_first(void **state)
{
	static struct watcher w;
	struct limit l;
	CLEANUP(json_decref) json_t *root = document(5, "complete");
	CLEANUP_FREE char *line = NULL;
	struct watch_run run = { .at_ns = BEGIN, .root = root, .message = "" };
	struct err e;

	(void)state;
	watcher_of(&w, &l, "latency.medain < 100us");
	assert_int_equal(watcher_take(&w, &run, &line, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.msg, "did you mean latency.median?"));
	watcher_done(&w);
}

/* Lines of one watcher, read by the next. */
static void a_restart_goes_on(void **state)
{
	static struct watcher w, again;
	CLEANUP(buf_done) struct buf lines = BUF_INIT;
	struct limit l;
	struct err e;
	json_t *entry;

	(void)state;
	watcher_of(&w, &l, NULL);
	for (int i = 0; i < 6; i++) {
		CLEANUP_FREE char *line = NULL;

		entry = take(&w, i * 10, i >= 4 || i == 1 ? (double)NAN : 50e3 + i);
		line = entry_line(entry, &e);
		buf_addf(&lines, "%s\n", line);
		json_decref(entry);
	}
	buf_adds(&lines, "{\"schema\":\"mpbench.wa"); /* killed while it wrote */
	watcher_done(&w);
	watcher_of(&again, &l, NULL);
	assert_int_equal(watcher_resume(&again, "w.jsonl", lines.data, lines.len, &e), 0);
	assert_int_equal(again.seq, 6);
	assert_int_equal(again.h.n, 6);
	assert_true(again.down);
	assert_int_equal(again.outage, 2);
	entry = take(&again, 100, 50e3);
	assert_int_equal(json_integer_value(json_object_get(entry, "seq")), 7);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(entry, "outage"), "number")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(entry, "outage"), "runs")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(entry, "outage"), "down_ns")),
		60 * SECOND);
	json_decref(entry);
	expect_events(&again, 1, WATCH_RECOVERED, true);
	drop(&again, 110, (double)NAN);
	assert_int_equal(again.outage, 3);
	assert_int_equal(again.outages, 1);
	watcher_done(&again);
}

static size_t lines_of(const char *text, size_t *widest)
{
	size_t n = 0;

	*widest = 0;
	for (; *text; text += strcspn(text, "\n") + (text[strcspn(text, "\n")] != '\0')) {
		size_t length = strcspn(text, "\n");

		*widest = length > *widest ? length : *widest;
		n++;
	}
	return n;
}

static void the_screen_fits(void **state)
{
	static struct watcher w;
	struct limit l;
	const char *const log[] = {
		"one",
		"two",
		"three",
		"four",
		"five",
		"a line that is longer than any terminal is wide: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	};
	const struct table_style style = { .width = 80 };

	(void)state;
	watcher_of(&w, &l, "latency.median < 100us");
	for (int i = 0; i < 300; i++)
		drop(&w, i, i % 50 == 7 ? (double)NAN : 50e3 + i % 13 * 1e4);
	for (unsigned rows = 6; rows < 40; rows++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT;
		const struct watch_screen s = { .style = &style,
						.rows = rows,
						.head = "every 60 s: bench-repl\x1b[31m",
						.now = "next run in 5 s",
						.log = log,
						.n_log = sizeof(log) / sizeof(*log) };
		size_t widest;

		assert_int_equal(watcher_screen(&w, &s, &out), 0);
		assert_true(lines_of(buf_text(&out), &widest) <= (rows < 9 ? 9 : rows));
		assert_true(widest <= 80);
		assert_null(strchr(buf_text(&out), '\x1b'));
		assert_non_null(strstr(buf_text(&out), "300 runs: "));
		assert_non_null(strstr(buf_text(&out), "repl.exec latency.median"));
	}
	watcher_done(&w);
}

static void the_summary_and_prometheus_tell_the_same(void **state)
{
	static struct watcher w;
	struct limit l;
	CLEANUP(json_decref) json_t *root = document(70e3, "complete");
	struct watch_run run = { .at_ns = BEGIN, .root = root, .message = "" };
	const struct table_style style = { .width = 80 };
	CLEANUP(buf_done) struct buf out = BUF_INIT, prom = BUF_INIT;
	struct err e;

	(void)state;
	watcher_of(&w, &l, "latency.median < 60us");
	drop(&w, 0, 50e3);
	drop(&w, 1, 70e3);
	assert_int_equal(watcher_summary(&w, &style, 5000000000, &out), 0);
	assert_non_null(strstr(buf_text(&out), "2 runs: 1 ok, 1 bad, 0 failed, 0 down"));
	assert_non_null(strstr(buf_text(&out), "median 60.0 us, 50.0 us to 70.0 us in 2 results"));
	assert_non_null(strstr(buf_text(&out), "latency.median < 60us: broken in 1 of 2 runs"));
	assert_int_equal(watcher_prom(&w, &run, &prom, &e), 0);
	assert_non_null(strstr(buf_text(&prom), "mpbench_watch_up 1\n"));
	assert_non_null(strstr(buf_text(&prom), "mpbench_watch_limits_broken 1\n"));
	assert_non_null(strstr(buf_text(&prom), "metric=\"latency.median\"} 7e-05\n"));
	/* What is down has no values. */
	drop(&w, 2, (double)NAN);
	buf_clear(&prom);
	assert_int_equal(watcher_prom(&w, &run, &prom, &e), 0);
	assert_non_null(strstr(buf_text(&prom), "mpbench_watch_up 0\n"));
	assert_null(strstr(buf_text(&prom), "latency.median"));
	watcher_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_alert_begins_and_ends_once),
		cmocka_unit_test(an_outage_is_counted_and_ends),
		cmocka_unit_test(failures_beside_successes_are_no_outage),
		cmocka_unit_test(an_unknown_metric_is_a_mistake_at_first),
		cmocka_unit_test(a_restart_goes_on),
		cmocka_unit_test(the_screen_fits),
		cmocka_unit_test(the_summary_and_prometheus_tell_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
