/* rpyc-refs - which objects are held for the other side, and how many references it has to each */
#pragma once

#include "base/err.h"
#include "proto/rpyc-message.h"

enum { RPYC_REF_NAME_MAX = 96 };

/*
 * One object. `count` references were boxed and not given back; `sent` in all. `tag` and `data` are the caller's (an
 * index, a time, what it stands for). An entry stays where it is until it is removed.
 */
struct rpyc_ref {
	int64_t class_id, instance_id;
	char name[RPYC_REF_NAME_MAX]; /* "module.Class", cut, printable */
	uint64_t count, sent;
	uint64_t tag;
	void *data;
};

/* A set of them, found by (class id, instance id): as many as memory for `max` takes. */
struct rpyc_refs {
	struct rpyc_ref **slot; /* open addressing, a power of two */
	size_t room, n, max;
	uint64_t references; /* the sum of all counts */
};

void rpyc_refs_init(struct rpyc_refs *r, size_t max);
void rpyc_refs_done(struct rpyc_refs *r);
CLEANUP_OBJ(struct rpyc_refs, rpyc_refs_done)

/* The entry; NULL where there is none. */
struct rpyc_ref *rpyc_refs_find(const struct rpyc_refs *r, int64_t class_id, int64_t instance_id);
/* A box of the object went out: one reference more; the entry is made where there is none (its count is 1 then). ERR_TARGET
 * "refs" where there are `max` objects already, or no memory. */
int rpyc_refs_add(struct rpyc_refs *r, const struct rpyc_id *id, struct rpyc_ref **out,
		  struct err *e) ERR_MUST_CHECK;
/* DEL: that many references come back. Returns whether there are such; with the last one the entry goes, after it was
 * copied to *last (may be NULL; last->count is 0 then, else what is left). */
bool rpyc_refs_release(struct rpyc_refs *r, int64_t class_id, int64_t instance_id, int64_t count,
		       struct rpyc_ref *last);
/* Every entry, in no order; a return other than 0 ends it. The set must not be changed meanwhile. */
int rpyc_refs_each(const struct rpyc_refs *r, int (*each)(void *ctx, struct rpyc_ref *ref),
		   void *ctx);
