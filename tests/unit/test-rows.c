/* Tests of bpf/rows and of the index rules in bpf/syscalls.h: the arithmetic that needs no kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/rows.h"

enum { TARGETS = 2, THREADS = 3, ROWS = 2 * TARGETS + THREADS };

struct seen {
	size_t n;
	struct trace_record r[256];
	size_t fail_at;
};

static int keep(void *ctx, const struct trace_record *r)
{
	struct seen *s = ctx;

	assert_true(s->n < 256);
	s->r[s->n++] = *r;
	return s->n == s->fail_at ? -1 : 0;
}

static const struct trace_record *find(const struct seen *s, enum trace_type type, uint32_t target,
				       uint32_t slot, uint32_t compat, uint32_t nr, uint32_t index)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct trace_record *r = &s->r[i];

		if (r->type == type && r->target == target && r->slot == slot &&
		    r->compat == compat && r->nr == nr && r->index == index)
			return r;
	}
	return NULL;
}

static struct trace_gauges gauges;

static int setup(void **state)
{
	struct rows *r = calloc(1, sizeof(*r));

	r->n = TARGETS;
	r->n_rows = ROWS;
	r->level = TRACE_LATENCY;
	r->counts = calloc(ROWS, sizeof(*r->counts));
	r->details = calloc(ROWS, sizeof(*r->details));
	r->errnos = calloc(2 * TARGETS * TRACE_NR, sizeof(*r->errnos));
	r->buckets = calloc(2 * TARGETS * TRACE_NR, sizeof(*r->buckets));
	r->batches = calloc(TARGETS, sizeof(*r->batches));
	r->opcodes = calloc(TARGETS, sizeof(*r->opcodes));
	r->slots = calloc(ROWS, sizeof(*r->slots));
	memset(&gauges, 0, sizeof(gauges));
	r->gauges = &gauges;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rows *r = *state;

	free(r->counts);
	free(r->details);
	free(r->errnos);
	free(r->buckets);
	free(r->batches);
	free(r->opcodes);
	free(r->slots);
	free(r);
	return 0;
}

static void use(struct rows *r, uint32_t slot, uint32_t target, uint32_t state)
{
	r->slots[slot].target = target;
	r->slots[slot].state = state;
	r->slots[slot].pid = 100 + slot;
	r->slots[slot].tid = 200 + slot;
	memcpy(r->slots[slot].comm, "worker", 7);
}

static void sums_threads_and_shared_rows(void **state)
{
	struct rows *r = *state;
	struct seen s = { 0 };
	const struct trace_record *c;

	use(r, 4, 0, TRACE_SLOT_LIVE);
	use(r, 5, 1, TRACE_SLOT_LIVE);
	use(r, 6, 0, TRACE_SLOT_ENDED);
	r->counts[0].n[7] = 1; /* shared row of target 0 */
	r->counts[4].n[7] = 10;
	r->counts[5].n[7] = 100; /* the other target's */
	r->counts[6].n[7] = 1000;
	r->counts[2].n[7] = 5; /* 32-bit calls of target 0 */
	r->details[4].of[7] = (struct trace_detail){ 9, 1, 1, 20, 3, 400, 50, 60 };
	r->details[6].of[7] = (struct trace_detail){ 1000, 2, 0, 5, 1, 100, 5, 90 };
	assert_int_equal(rows_read(r, false, 4, keep, &s), 0);
	c = find(&s, TRACE_CALL, 0, 0, 0, 7, 0);
	assert_non_null(c);
	assert_int_equal(c->value[0], 1011);
	assert_int_equal(c->value[1], 1009);
	assert_int_equal(c->value[2], 3);
	assert_int_equal(c->value[3], 1);
	assert_int_equal(c->value[4], 25);
	assert_int_equal(c->value[5], 4);
	assert_int_equal(c->value[6], 500);
	assert_int_equal(c->value[7], 55);
	assert_int_equal(c->value[8], 90); /* the larger one, not the sum */
	assert_int_equal(find(&s, TRACE_CALL, 0, 0, 1, 7, 0)->value[0], 5);
	assert_int_equal(find(&s, TRACE_CALL, 1, 0, 0, 7, 0)->value[0], 100);
	assert_int_equal(find(&s, TRACE_STATE, 0, 0, 0, 0, 0)->value[7], 4);
	assert_null(find(&s, TRACE_THREAD, 0, 4, 0, 104, 204));
}

static void shows_each_thread(void **state)
{
	struct rows *r = *state;
	struct seen s = { 0 };

	use(r, 4, 0, TRACE_SLOT_LIVE);
	use(r, 5, 0, TRACE_SLOT_FREE);
	r->counts[4].n[3] = 2;
	assert_int_equal(rows_read(r, true, 0, keep, &s), 0);
	assert_non_null(find(&s, TRACE_THREAD, 0, 4, 0, 104, 204));
	assert_string_equal(find(&s, TRACE_THREAD, 0, 4, 0, 104, 204)->text + 8, "worker");
	assert_int_equal(find(&s, TRACE_CALL, 0, 4, 0, 3, 0)->value[0], 2);
	assert_null(find(&s, TRACE_THREAD, 0, 5, 0, 105, 205));
}

static void folding_changes_no_sum(void **state)
{
	struct rows *r = *state;
	struct seen before = { 0 }, after = { 0 };
	uint64_t activity;

	use(r, 4, 1, TRACE_SLOT_ENDED);
	use(r, 5, 1, TRACE_SLOT_LIVE);
	for (uint32_t nr = 0; nr < 40; nr += 3) {
		r->counts[4].n[nr] = 1 + nr;
		r->counts[5].n[nr] = 7;
		r->counts[1].n[nr] = 2;
		r->details[4].of[nr] = (struct trace_detail){ nr, 1, 1, nr, 2, nr * 5, nr, nr };
		r->details[1].of[nr].max_ns = 20;
	}
	activity = rows_activity(r);
	assert_int_equal(rows_read(r, false, 0, keep, &before), 0);
	rows_fold(r, 4);
	r->slots[4].state = TRACE_SLOT_FREE;
	assert_int_equal(r->counts[4].n[3], 0);
	assert_int_equal(r->details[4].of[3].done, 0);
	assert_int_equal(rows_activity(r), activity);
	assert_int_equal(rows_read(r, false, 0, keep, &after), 0);
	assert_int_equal(before.n, after.n);
	assert_memory_equal(before.r, after.r, before.n * sizeof(before.r[0]));
}

static void hands_out_tables(void **state)
{
	struct rows *r = *state;
	struct seen s = { 0 };
	uint32_t table = (1 * TARGETS + 1) * TRACE_NR + 5; /* 32-bit call 5 of target 1 */

	r->counts[TARGETS + 1].n[5] = 4;
	r->errnos[table].n[11] = 3;
	r->buckets[table].n[100] = 4;
	r->batches[1].n[1][8] = 2;
	r->opcodes[1].n[22] = 6;
	gauges.of[1].started = 5;
	gauges.of[1].ended = 2;
	gauges.of[0].found_open = 1;
	gauges.of[1].found_open = 7;
	assert_int_equal(rows_read(r, false, 0, keep, &s), 0);
	assert_int_equal(find(&s, TRACE_ERRNO, 1, 0, 1, 5, 11)->value[0], 3);
	assert_int_equal(find(&s, TRACE_BUCKET, 1, 0, 1, 5, 100)->value[0], 4);
	assert_int_equal(find(&s, TRACE_BATCH, 1, 0, 0, 1, 8)->value[0], 2);
	assert_int_equal(find(&s, TRACE_URING, 1, 0, 0, 22, 0)->value[0], 6);
	assert_int_equal(find(&s, TRACE_STATE, 1, 0, 0, 0, 0)->value[0], 3);
	assert_int_equal(find(&s, TRACE_STATE, 0, 0, 0, 0, 0)->value[4], 1);
	assert_int_equal(find(&s, TRACE_STATE, 1, 0, 0, 0, 0)->value[4], 7);
	/* a sink that fails stops it there */
	memset(&s, 0, sizeof(s));
	s.fail_at = 2;
	assert_int_equal(rows_read(r, false, 0, keep, &s), -1);
	assert_int_equal(s.n, 2);
}

static void count_level_looks_at_counts_only(void **state)
{
	struct rows *r = *state;
	struct rows count = *r;
	struct seen s = { 0 };

	count.level = TRACE_COUNT;
	count.details = NULL;
	count.errnos = NULL;
	count.buckets = NULL;
	use(r, 4, 0, TRACE_SLOT_ENDED);
	r->counts[4].n[0] = 3;
	assert_int_equal(rows_activity(&count), 3);
	assert_int_equal(rows_read(&count, true, 0, keep, &s), 0);
	rows_fold(&count, 4);
	assert_int_equal(r->counts[0].n[0], 3);
}

/* The same rule as histogram.h with 3 instead of 7 bits: exact to 15, then width at most 1/8. */
static void buckets_follow_the_rule(void **state)
{
	(void)state;
	for (uint64_t ns = 0; ns < 16; ns++)
		assert_int_equal(trace_bucket(ns), ns);
	for (unsigned bit = 4; bit < 42; bit++) {
		for (unsigned step = 0; step < 8; step++) {
			uint64_t low = (UINT64_C(8) + step) << (bit - 3);
			uint32_t index = ((bit - 3) << TRACE_BUCKET_BITS) + 8 + step;

			assert_int_equal(trace_bucket(low), index);
			assert_int_equal(trace_bucket(low + (UINT64_C(1) << (bit - 3)) - 1), index);
		}
	}
	assert_int_equal(trace_bucket(UINT64_C(1) << 42), TRACE_BUCKETS - 1);
	assert_int_equal(trace_bucket(UINT64_MAX), TRACE_BUCKETS - 1);
}

static void errnos_and_batches_have_places(void **state)
{
	(void)state;
	for (uint32_t error = 1; error < 600; error++) {
		uint32_t index = trace_errno_index(error);

		assert_true(index < TRACE_ERRNOS);
		if (error < 140 || (error >= 512 && error <= 530))
			assert_int_equal(trace_errno_value(index), error);
		else
			assert_int_equal(index, TRACE_ERRNOS - 1);
	}
	assert_true(trace_errno_restarts(512) && trace_errno_restarts(516));
	assert_false(trace_errno_restarts(515) || trace_errno_restarts(4));
	for (uint32_t n = 0; n <= 64; n++)
		assert_int_equal(trace_batch_index(n), n);
	assert_int_equal(trace_batch_index(127), 65);
	assert_int_equal(trace_batch_index(128), 66);
	assert_int_equal(trace_batch_index(1023), 68);
	assert_int_equal(trace_batch_index(1024), 69);
	assert_int_equal(trace_batch_index(UINT32_MAX), 69);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sums_threads_and_shared_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(shows_each_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(folding_changes_no_sum, setup, teardown),
		cmocka_unit_test_setup_teardown(hands_out_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(count_level_looks_at_counts_only, setup, teardown),
		cmocka_unit_test(buckets_follow_the_rule),
		cmocka_unit_test(errnos_and_batches_have_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
