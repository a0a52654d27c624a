#include "measure/timetable.h"

void timetable_init(struct timetable *t, uint64_t start_ns, uint64_t every_ns, uint64_t max_wait_ns)
{
	uint64_t most = max_wait_ns / every_ns;

	*t = (struct timetable){ .start_ns = start_ns,
				 .every_ns = every_ns,
				 .most = most ? most : 1 };
}

uint64_t timetable_due(const struct timetable *t)
{
	return t->start_ns + t->slot * t->every_ns;
}

static uint64_t step_of(const struct timetable *t)
{
	uint32_t doublings = t->failures ? t->failures - 1 : 0;

	return doublings > 32 || UINT64_C(1) << doublings > t->most ? t->most
								    : UINT64_C(1) << doublings;
}

uint64_t timetable_next(struct timetable *t, uint64_t now_ns, bool failed)
{
	uint64_t before = t->slot, earliest;

	t->failures = failed ? t->failures + (t->failures < UINT32_MAX) : 0;
	t->slot += step_of(t);
	/* The first that has not passed. */
	earliest =
		now_ns > t->start_ns ? (now_ns - t->start_ns + t->every_ns - 1) / t->every_ns : 0;
	if (t->slot < earliest)
		t->slot = earliest;
	t->skipped += t->slot - before - 1;
	return t->slot - before - 1;
}
