/* Groups of sessions: one a loop, filled for the first member, kept for its counts after the last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "peer/group.h"

struct mine {
	struct group base;
	unsigned filled, released, count;
};

static bool refuse;

static int fill(struct group *g, void *plan, struct err *e)
{
	assert_string_equal(plan, "plan");
	if (refuse)
		return err_nomem(e);
	((struct mine *)g)->filled++;
	return 0;
}

static void release(struct group *g)
{
	((struct mine *)g)->released++;
}

static const struct group_kind kind = { sizeof(struct mine), fill, release };
static char plan[] = "plan";

static void add(struct group *g, void *arg)
{
	*(unsigned *)arg += 100 + ((struct mine *)g)->count;
}

static struct mine *join(struct groups *all, uintptr_t loop)
{
	struct group *g;
	struct err e;

	assert_int_equal(groups_join(all, (struct loop *)loop, plan, &g, &e), 0);
	return (struct mine *)g;
}

static void test_one_a_loop(void **state)
{
	CLEANUP(groups_done) struct groups all = { 0 };
	unsigned sum = 0;
	struct mine *a, *b;
	struct err e;

	(void)state;
	assert_int_equal(groups_init(&all, &kind, &e), 0);
	a = join(&all, 8);
	assert_ptr_equal(join(&all, 8), a);
	b = join(&all, 16);
	assert_ptr_not_equal(a, b);
	assert_int_equal(a->base.members, 2);
	assert_int_equal(a->filled, 1);
	a->count = 1;
	b->count = 2;
	groups_each(&all, add, &sum);
	assert_int_equal(sum, 203);
	groups_leave(&all, &a->base);
	assert_int_equal(a->released, 0);
	groups_leave(&all, &a->base);
	assert_int_equal(a->released, 1);
	/* What the last one left serves the next loop, with its counts. */
	assert_ptr_equal(join(&all, 24), a);
	assert_int_equal(a->filled, 2);
	assert_int_equal(a->count, 1);
	groups_leave(&all, &a->base);
	groups_leave(&all, &b->base);
}

static void test_a_group_that_cannot_be_filled(void **state)
{
	CLEANUP(groups_done) struct groups all = { 0 };
	struct group *g;
	struct err e;

	(void)state;
	assert_int_equal(groups_init(&all, &kind, &e), 0);
	refuse = true;
	assert_int_equal(groups_join(&all, (struct loop *)8, plan, &g, &e), -1);
	refuse = false;
	assert_null(g);
	assert_int_equal(((struct mine *)all.first)->released, 1);
	assert_int_equal(join(&all, 8)->base.members, 1);
	groups_leave(&all, all.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_a_loop),
		cmocka_unit_test(test_a_group_that_cannot_be_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
