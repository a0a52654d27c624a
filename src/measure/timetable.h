/* timetable - when something that is done again and again is due: a grid that does not drift */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Starts are at start + k * every and nowhere else, however long each takes: one that is too long costs the starts that pass
 * meanwhile. After failures in a row 1, 2, 4... starts of the grid are waited for, at most `most`.
 */
struct timetable {
	uint64_t start_ns, every_ns;
	uint64_t slot;	   /* of the start that is due next */
	uint64_t most;	   /* at least 1 */
	uint32_t failures; /* in a row */
	uint64_t skipped;  /* starts left out since the beginning */
};

/* The first start is at start_ns; every_ns is at least 1. After failures no start is further away than max_wait_ns, but for the
 * next one. */
void timetable_init(struct timetable *t, uint64_t start_ns, uint64_t every_ns,
		    uint64_t max_wait_ns);
uint64_t timetable_due(const struct timetable *t);
/* What was due is over, at now_ns. Returns how many starts are left out until the next one. */
uint64_t timetable_next(struct timetable *t, uint64_t now_ns, bool failed);
