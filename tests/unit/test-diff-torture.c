/* Fail the Nth allocation while two documents are compared, shown in every format, merged, followed and watched: each time
 * an error, or the same bytes as without failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diff-fixture.h"
#include "result-fixture.h"
#include "result/emit.h"
#include "result/entry.h"
#include "result/format.h"
#include "result/merge.h"
#include "result/trend.h"
#include "result/watcher.h"
#include "torture.h"

static int load_both(json_t *const root[2], struct side *base, struct side *new, struct err *e)
{
	return side_add(base, "base", root[0], e) < 0 ? -1 : side_add(new, "new", root[1], e);
}

static int show(const struct report *r, struct buf *out, struct err *e)
{
	const struct table_style style = { .width = 80, .verbose = 1 };
	CLEANUP(json_decref) json_t *json = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t len;

	for (int f = FORMAT_MARKDOWN; f <= FORMAT_LAVA; f++) {
		const struct format_options o = { (enum format)f, BETTER_LOWER };

		if (format_report(r, &o, out, e) < 0)
			return -1;
	}
	json = report_json(r, e);
	if (!json || report_table(r, &style, out, e) < 0 || emit_text(json, &text, &len, e) < 0)
		return -1;
	return buf_add(out, text, len) < 0 ? err_nomem(e) : 0;
}

typedef int work_fn(json_t *const root[2], struct buf *out, struct err *e);

static int compare(json_t *const root[2], struct buf *out, struct err *e)
{
	static struct diff_rules rules;
	static const struct diff_opts defaults;
	CLEANUP(side_done) struct side base = { 0 };
	CLEANUP(side_done) struct side new = { 0 };
	CLEANUP(report_done) struct report report = { 0 };

	if (diff_rules_parse(&rules, &defaults, e) < 0 || load_both(root, &base, &new, e) < 0 ||
	    diff_make(&base, &new, &rules, &report, e) < 0)
		return -1;
	return show(&report, out, e);
}

static int merge(json_t *const root[2], struct buf *out, struct err *e)
{
	CLEANUP(merge_done) struct merge m = { 0 };
	CLEANUP(json_decref) json_t *sum = NULL;
	CLEANUP_FREE char *merged = NULL;
	struct merge_facts facts;
	size_t len;

	for (int i = 0; i < 2; i++)
		if (merge_add(&m, i ? "b" : "a", json_incref(root[i]), e) < 0)
			return -1;
	if (merge_finish(&m, 2, &sum, &facts, e) < 0 || emit_text(sum, &merged, &len, e) < 0)
		return -1;
	return buf_add(out, merged, len) < 0 ? err_nomem(e) : 0;
}

static int follow(json_t *const root[2], struct buf *out, struct err *e)
{
	const struct trend_options o = { .all = true, .magnitude = 0.03 };
	const struct table_style style = { .width = 80, .verbose = 1 };
	CLEANUP(history_done) struct history h = { 0 };
	CLEANUP(trend_done) struct trend t = { 0 };
	CLEANUP(json_decref) json_t *json = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t len;

	for (int i = 0; i < 2; i++) {
		CLEANUP(side_done) struct side side = { 0 };
		CLEANUP(json_decref) json_t *entry = NULL;

		if (side_add(&side, i ? "b" : "a", root[i], e) < 0)
			return -1;
		entry = entry_make(&side, e);
		if (!entry || history_add(&h, i ? "b" : "a", entry, e) < 0)
			return -1;
	}
	if (history_sort(&h, e) < 0 || trend_make(&h, &o, &t, e) < 0 ||
	    trend_table(&t, &style, out, e) < 0)
		return -1;
	json = trend_json(&t, &o, e);
	if (!json || emit_text(json, &text, &len, e) < 0)
		return -1;
	return buf_add(out, text, len) < 0 ? err_nomem(e) : 0;
}

static int watch(json_t *const root[2], struct buf *out, struct err *e)
{
	static struct watcher w;
	const struct table_style style = { .width = 80 };
	struct limit limit;
	int rc = limit_parse(&limit, "* latency.* > 1ns", e);

	watcher_done(&w);
	w = (struct watcher){ .limit = &limit, .n_limits = 1 };
	for (int i = 0; rc == 0 && i < 3; i++) {
		const struct watch_run run = { .at_ns = (int64_t)(i + 1) * 1000000000,
					       .root = i < 2 ? root[i] : NULL,
					       .exit_status = i < 2 ? 0 : 4,
					       .message = "" };
		CLEANUP_FREE char *line = NULL;

		rc = watcher_take(&w, &run, &line, e);
		if (rc == 0 && buf_adds(out, line) < 0)
			rc = err_nomem(e);
		if (rc == 0)
			rc = watcher_prom(&w, &run, out, e);
	}
	if (rc == 0 && watcher_summary(&w, &style, 1, out) < 0)
		rc = err_nomem(e);
	watcher_done(&w);
	return rc;
}

/* On copies, which merging changes; jansson's parser is not under test here (2.14 asserts that it has memory). */
static int work_on(json_t *const root[2], work_fn *work, long n, struct buf *out, struct err *e)
{
	json_t *copy[2];
	int rc;

	countdown = -1;
	for (int i = 0; i < 2; i++) {
		copy[i] = json_deep_copy(root[i]);
		assert_non_null(copy[i]);
	}
	countdown = n;
	rc = work(copy, out, e);
	for (int i = 0; i < 2; i++)
		json_decref(copy[i]);
	return rc;
}

static void torture(work_fn *work, json_t *const root[2])
{
	CLEANUP(buf_done) struct buf expected = BUF_INIT;
	struct err e = { 0 };
	long failed = 0, fine = 0;

	assert_int_equal(work_on(root, work, -1, &expected, &e), 0);
	for (long n = 1;; n += stride()) {
		CLEANUP(buf_done) struct buf out = BUF_INIT;
		int rc;

		e = (struct err){ 0 };
		rc = work_on(root, work, n, &out, &e);
		if (countdown > 0) { /* there were fewer than n */
			countdown = -1;
			assert_int_equal(rc, 0);
			break;
		}
		countdown = -1;
		if (rc < 0) {
			assert_int_not_equal(e.kind, ERR_NONE);
			failed++;
			continue;
		}
		fine++;
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, out.len);
	}
	/* Most failures must be seen, not passed over. */
	assert_true(failed > 25 && failed > fine);
}

static void make_roots(json_t *root[2])
{
	struct err e;

	countdown = -1;
	for (int i = 0; i < 2; i++) {
		CLEANUP(document_done) struct document d = { 0 };

		assert_int_equal(fixture_document_of(&d, 1, false, true, &e), 0);
		json_object_set_new(d.root, "run_id", json_string(i ? "b" : "a"));
		json_object_set_new(d.root, "started_at", json_string("2026-01-01T00:00:00.000Z"));
		json_object_set_new(d.root, "finished_at", json_string("2026-01-01T00:00:09.000Z"));
		assert_int_equal(load_check(d.root, &e), 0);
		root[i] = TAKE(d.root);
	}
}

static void test_diff(void **state)
{
	json_t *root[2];

	(void)state;
	make_roots(root);
	torture(compare, root);
	json_decref(root[0]);
	json_decref(root[1]);
}

static void test_merge(void **state)
{
	json_t *root[2];

	(void)state;
	make_roots(root);
	torture(merge, root);
	json_decref(root[0]);
	json_decref(root[1]);
}

static void test_trend(void **state)
{
	json_t *root[2];

	(void)state;
	make_roots(root);
	torture(follow, root);
	json_decref(root[0]);
	json_decref(root[1]);
}

static void test_watch(void **state)
{
	json_t *root[2];

	(void)state;
	make_roots(root);
	torture(watch, root);
	json_decref(root[0]);
	json_decref(root[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_watch),
	};

	json_set_alloc_funcs(failing_malloc, free);
	countdown = -1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
