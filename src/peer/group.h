/* group - what the sessions of one thread share: made for the first of them, kept for its counts after the last has left */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "io/loop.h"

/* The first member of a protocol's own struct. The loop stands for its thread. */
struct group {
	struct loop *loop;
	unsigned members;
	struct group *next;
};

struct group_kind {
	size_t size; /* of the protocol's struct */
	/* What the members need, before the first of them; what is there already is kept. */
	int (*fill)(struct group *g, void *plan, struct err *e);
	/* Lets go of what fill made, also of a part of it; the counts stay. */
	void (*release)(struct group *g);
};

/* All groups of a plan; threads may join and leave at once. */
struct groups {
	const struct group_kind *kind;
	struct group *first;
	void *lock; /* pthread mutex; NULL: not made */
};

/* kind is borrowed. 0, -1 without memory. */
int groups_init(struct groups *all, const struct group_kind *kind, struct err *e) ERR_MUST_CHECK;
/* Nobody may be a member any more. Zeroed memory is fine. */
void groups_done(struct groups *all);
CLEANUP_OBJ(struct groups, groups_done)
/* The group of that loop with one member more; the plan goes to fill. -1: none has joined. */
int groups_join(struct groups *all, struct loop *loop, void *plan, struct group **out,
		struct err *e) ERR_MUST_CHECK;
void groups_leave(struct groups *all, struct group *g);
/* Each group once, under the lock. */
void groups_each(struct groups *all, void (*visit)(struct group *g, void *arg), void *arg);
