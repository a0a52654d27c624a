/* Counters of system calls: records to tables, windows between two of them, and when a window is not exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "measure/call-table.h"

static void take(struct call_table *t, const struct trace_record *r)
{
	struct err e;

	assert_int_equal(call_table_add(t, r, &e), 0);
}

static void put_call(struct call_table *t, uint32_t slot, uint32_t nr, uint64_t calls,
		     struct trace_detail d)
{
	struct trace_record r = { .type = TRACE_CALL, .slot = slot, .nr = nr };

	r.value[0] = calls;
	memcpy(&r.value[1], &d, sizeof(d));
	take(t, &r);
}

static void put_detail(struct call_table *t, enum trace_type type, uint32_t nr, uint32_t index,
		       uint64_t n)
{
	struct trace_record r = { .type = (uint16_t)type, .nr = nr, .index = index };

	r.value[0] = n;
	take(t, &r);
}

static void put_thread(struct call_table *t, uint32_t slot, uint32_t pid, uint32_t tid)
{
	struct trace_record r = { .type = TRACE_THREAD, .slot = slot, .nr = pid, .index = tid };

	memset(r.text + sizeof(r.value[0]), 'x', TRACE_COMM);
	take(t, &r);
}

static void put_state(struct call_table *t, uint64_t started, uint64_t failed, uint64_t missed)
{
	struct trace_record r = { .type = TRACE_STATE };

	r.value[1] = started;
	r.value[2] = failed;
	r.value[7] = missed;
	take(t, &r);
}

static void put_end(struct call_table *t, uint64_t at_ns, bool still, uint64_t settle_ns)
{
	struct trace_record r = { .type = TRACE_END };

	r.value[0] = at_ns;
	r.value[1] = still;
	r.value[2] = settle_ns;
	take(t, &r);
	call_table_sort(t);
}

static struct call_table minus(const struct call_table *after, const struct call_table *before)
{
	struct call_table out = { 0 };
	struct err e;

	assert_int_equal(call_table_minus(&out, after, before, &e), 0);
	return out;
}

static void a_window_is_the_growth(void **state)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };
	const struct call_entry *c;

	(void)state;
	put_call(&a, 0, SYS_write, 7, (struct trace_detail){ .done = 7, .bytes = 700 });
	put_call(&a, 0, SYS_read, 5,
		 (struct trace_detail){ .done = 4, .errors = 1, .bytes = 40, .time_ns = 900 });
	put_call(&a, 0, SYS_close, 3, (struct trace_detail){ .done = 3 });
	put_state(&a, 4, 0, 0);
	put_end(&a, 1000, true, 11);
	put_call(&b, 0, SYS_close, 3, (struct trace_detail){ .done = 3 });
	put_call(&b, 0, SYS_openat, 1, (struct trace_detail){ .done = 1 });
	put_call(&b, 0, SYS_read, 105,
		 (struct trace_detail){ .done = 105, .errors = 3, .bytes = 140, .time_ns = 1900 });
	put_call(&b, 0, SYS_write, 7, (struct trace_detail){ .done = 7, .bytes = 700 });
	put_state(&b, 9, 0, 0);
	put_end(&b, 5000, true, 7);
	d = minus(&b, &a);

	assert_int_equal(d.n_entries, 2); /* what did not happen is not there */
	c = call_table_find(&d, 0, 0, 0, SYS_read);
	assert_non_null(c);
	assert_int_equal(c->calls, 100);
	assert_int_equal(c->detail.done,
			 101); /* one more: it was under way when the window began */
	assert_int_equal(c->detail.errors, 2);
	assert_int_equal(c->detail.bytes, 100);
	assert_int_equal(c->detail.time_ns, 1000);
	assert_int_equal(call_table_find(&d, 0, 0, 0, SYS_openat)->calls, 1);
	assert_null(call_table_find(&d, 0, 0, 0, SYS_write));
	assert_null(call_table_find(&d, 1, 0, 0, SYS_read));
	assert_null(call_table_find(&d, 0, 0, 1, SYS_read));
	assert_int_equal(call_table_total(&d, 0), 101);
	assert_int_equal(call_table_total(&d, 1), 0);
	assert_int_equal(d.at_ns, 4000);
	assert_int_equal(d.settle_ns, 11);
	assert_int_equal(d.state[0].started, 5);
	assert_null(call_table_doubt(&d));
}

static void a_call_that_only_returned_is_kept(void **state)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };

	(void)state;
	put_call(&a, 0, SYS_read, 5, (struct trace_detail){ .done = 4 });
	put_end(&a, 1, true, 0);
	put_call(&b, 0, SYS_read, 5, (struct trace_detail){ .done = 5, .errors = 1 });
	put_end(&b, 2, true, 0);
	d = minus(&b, &a);
	assert_int_equal(d.n_entries, 1);
	assert_int_equal(d.entry[0].calls, 0);
	assert_int_equal(d.entry[0].detail.errors, 1);
}

static void a_row_that_changed_hands_begins_anew(void **state)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };

	(void)state;
	put_call(&a, 40, SYS_read, 90, (struct trace_detail){ .done = 90 });
	put_call(&a, 41, SYS_read, 10, (struct trace_detail){ .done = 10 });
	put_thread(&a, 40, 100, 100);
	put_thread(&a, 41, 200, 201);
	put_end(&a, 1, true, 0);
	put_call(&b, 40, SYS_read, 6, (struct trace_detail){ .done = 6 });
	put_call(&b, 41, SYS_read, 25, (struct trace_detail){ .done = 25 });
	put_thread(&b, 40, 100, 105); /* another thread has the row now */
	put_thread(&b, 41, 200, 201);
	put_end(&b, 2, true, 0);
	d = minus(&b, &a);
	assert_int_equal(call_table_find(&d, 0, 40, 0, SYS_read)->calls, 6);
	assert_int_equal(call_table_find(&d, 0, 41, 0, SYS_read)->calls, 15);
	assert_int_equal(d.n_threads, 2);
	assert_int_equal(d.thread[0].comm[TRACE_COMM - 1], 0); /* ended, whatever came */
	assert_int_equal(call_table_total(&d, 0), 0);	       /* threads are shares, not sums */
}

static void restarts_are_told_apart_from_errors(void **state)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };
	const struct call_detail *errnos;
	size_t n;

	(void)state;
	put_end(&a, 1, true, 0);
	put_call(&b, 0, SYS_read, 40, (struct trace_detail){ .done = 40, .errors = 5 });
	put_detail(&b, TRACE_ERRNO, SYS_read, trace_errno_index(11), 5);
	put_detail(&b, TRACE_ERRNO, SYS_read, trace_errno_index(512), 20);
	put_detail(&b, TRACE_ERRNO, SYS_read, trace_errno_index(516), 3);
	put_detail(&b, TRACE_ERRNO, SYS_read, trace_errno_index(515), 1); /* no restart */
	put_detail(&b, TRACE_ERRNO, SYS_write, trace_errno_index(512), 7);
	put_end(&b, 2, true, 0);
	d = minus(&b, &a);
	assert_int_equal(d.entry[0].restarts, 23);
	errnos = call_table_details(&d, TRACE_ERRNO, 0, 0, SYS_read, &n);
	assert_int_equal(n, 4);
	assert_int_equal(trace_errno_value(errnos[0].index), 11);
	assert_null(call_table_details(&d, TRACE_ERRNO, 0, 0, SYS_close, &n));
	assert_int_equal(n, 0);
	for (uint32_t error = 1; error < 140; error++)
		assert_int_equal(trace_errno_value(trace_errno_index(error)), error);
	assert_int_equal(trace_errno_value(trace_errno_index(4000)), 0);
}

static void percentiles_and_maxima_come_from_the_buckets(void **state)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };
	const struct call_entry *c;

	(void)state;
	put_call(&a, 0, SYS_read, 1, (struct trace_detail){ .done = 1, .max_ns = 1000000 });
	put_detail(&a, TRACE_BUCKET, SYS_read, trace_bucket(1000000), 1);
	put_end(&a, 1, true, 0);
	put_call(&b, 0, SYS_read, 101, (struct trace_detail){ .done = 101, .max_ns = 1000000 });
	put_detail(&b, TRACE_BUCKET, SYS_read, trace_bucket(1000000), 1);
	put_detail(&b, TRACE_BUCKET, SYS_read, trace_bucket(100), 90);
	put_detail(&b, TRACE_BUCKET, SYS_read, trace_bucket(3000), 10);
	put_end(&b, 2, true, 0);
	d = minus(&b, &a);
	c = &d.entry[0];
	/* the largest one lies before the window, of which only the top of the highest bucket is known */
	assert_int_equal(c->detail.max_ns, call_bucket_high(trace_bucket(3000)));
	assert_int_equal(call_table_percentile(&d, c, 500000), call_bucket_high(trace_bucket(100)));
	assert_int_equal(call_table_percentile(&d, c, 900000), call_bucket_high(trace_bucket(100)));
	assert_int_equal(call_table_percentile(&d, c, 910000), c->detail.max_ns);
	assert_int_equal(call_table_percentile(&d, c, 1000000), c->detail.max_ns);
}

static void buckets_and_batches_cover_every_value(void **state)
{
	(void)state;
	for (uint32_t i = 0; i + 1 < TRACE_BUCKETS; i++) {
		assert_int_equal(trace_bucket(call_bucket_low(i)), i);
		assert_int_equal(trace_bucket(call_bucket_high(i)), i);
		assert_int_equal(call_bucket_high(i) + 1, call_bucket_low(i + 1));
		/* an eighth of the value at most */
		assert_true((call_bucket_high(i) - call_bucket_low(i)) * 8 <= call_bucket_low(i));
	}
	assert_int_equal(trace_bucket(UINT64_MAX), TRACE_BUCKETS - 1);
	assert_true(call_bucket_high(TRACE_BUCKETS - 1) == UINT64_MAX);
	for (uint32_t i = 0; i <= 69; i++)
		assert_int_equal(trace_batch_index(call_batch_low(i)), i);
	assert_int_equal(trace_batch_index(1024), 69);
	assert_int_equal(trace_batch_index(127), 65);
	assert_int_equal(trace_batch_index(128), 66);
}

static void doubts(void **state)
{
	static const struct {
		uint64_t failed, missed;
		bool first, second;
		const char *word;
	} cases[] = {
		{ 0, 0, true, true, NULL },	 { 1, 0, true, true, "memory" },
		{ 0, 1, true, true, "skipped" }, { 0, 0, false, true, "rest" },
		{ 0, 0, true, false, "rest" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };
		const char *doubt;

		put_end(&a, 1, cases[i].first, 0);
		put_state(&b, 0, cases[i].failed, cases[i].missed);
		put_end(&b, 2, cases[i].second, 0);
		d = minus(&b, &a);
		doubt = call_table_doubt(&d);
		if (!cases[i].word)
			assert_null(doubt);
		else
			assert_non_null(strstr(doubt, cases[i].word));
	}
}

static void part_of_a_run(void **state)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };
	struct syscall_window w = { 0 };
	struct trace_record other = { .type = TRACE_CALL, .target = 1, .nr = SYS_close };
	struct err e;

	(void)state;
	put_end(&a, 1, true, 0);
	put_call(&b, 0, SYS_read, 4,
		 (struct trace_detail){ .done = 4, .errors = 1, .bytes = 9, .time_ns = 77 });
	put_call(&b, 0, SYS_recvmmsg, 2, (struct trace_detail){ .done = 2, .messages = 12 });
	put_call(&b, 33, SYS_read, 4, (struct trace_detail){ .done = 4 });
	other.value[0] = 8;
	take(&b, &other);
	put_end(&b, 2, true, 0);
	d = minus(&b, &a);
	assert_int_equal(call_table_window(&d, 0, &w, &e), 0);
	assert_true(w.known && w.exact);
	assert_int_equal(w.n, 2);
	assert_string_equal(w.count[0].name, "read");
	assert_int_equal(w.count[0].calls, 4);
	assert_int_equal(w.count[0].errors, 1);
	assert_int_equal(w.count[0].bytes, 9);
	assert_int_equal(w.count[0].time_ns, 77);
	assert_string_equal(w.count[1].name, "recvmmsg");
	assert_int_equal(w.count[1].messages, 12);
	/* filled again, its old array is given back */
	assert_int_equal(call_table_window(&d, 1, &w, &e), 0);
	assert_int_equal(w.n, 1);
	assert_int_equal(w.count[0].calls, 8);
	free(w.count);
}

static void records_of_no_meaning_do_no_harm(void **state)
{
	CLEANUP(call_table_done) struct call_table t = { 0 };
	static const struct trace_record wrong[] = {
		{ .type = TRACE_STATE, .target = TRACE_TARGETS_MAX },
		{ .type = TRACE_THREAD, .target = UINT32_MAX },
		{ .type = TRACE_CALL, .compat = 2 },
		{ .type = TRACE_CALL, .target = TRACE_TARGETS_MAX },
		{ .type = TRACE_ERRNO, .index = TRACE_ERRNOS },
		{ .type = TRACE_BUCKET, .index = TRACE_BUCKETS },
		{ .type = TRACE_BATCH, .index = TRACE_BATCHES },
		{ .type = TRACE_BATCH, .nr = 2 },
		{ .type = TRACE_URING, .nr = TRACE_OPCODES },
	};
	struct trace_record r = { .type = 999 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(call_table_add(&t, &wrong[i], &e), -1);
		assert_int_equal(e.kind, ERR_MACHINE);
	}
	take(&t, &r);
	r.type = TRACE_READY;
	take(&t, &r);
	call_table_sort(&t);
	assert_int_equal(t.n_entries + t.n_details + t.n_threads, 0);
	assert_null(call_table_find(&t, 0, 0, 0, 0));
}

static void a_flood_of_records_has_an_end(void **state)
{
	CLEANUP(call_table_done) struct call_table t = { 0 };
	struct trace_record r = { .type = TRACE_ERRNO };
	struct err e = { 0 };
	uint32_t n = 0;

	(void)state;
	while (call_table_add(&t, &r, &e) == 0) {
		r.nr++;
		assert_true(++n <= 1 << 20);
	}
	assert_int_equal(n, 1 << 20);
	assert_string_equal(e.code, "too-many");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_is_the_growth),
		cmocka_unit_test(a_call_that_only_returned_is_kept),
		cmocka_unit_test(a_row_that_changed_hands_begins_anew),
		cmocka_unit_test(restarts_are_told_apart_from_errors),
		cmocka_unit_test(percentiles_and_maxima_come_from_the_buckets),
		cmocka_unit_test(buckets_and_batches_cover_every_value),
		cmocka_unit_test(doubts),
		cmocka_unit_test(part_of_a_run),
		cmocka_unit_test(records_of_no_meaning_do_no_harm),
		cmocka_unit_test(a_flood_of_records_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
