#include "proto/rpyc-refs.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 16 };

void rpyc_refs_init(struct rpyc_refs *r, size_t max)
{
	*r = (struct rpyc_refs){ .max = max };
}

void rpyc_refs_done(struct rpyc_refs *r)
{
	for (size_t i = 0; i < r->room; i++)
		free(r->slot[i]);
	free(r->slot);
	rpyc_refs_init(r, r->max);
}

/* Ids are addresses: their low bits are alike, so all bits are mixed (the finaliser of splitmix64). */
static size_t hash(int64_t class_id, int64_t instance_id)
{
	uint64_t z = (uint64_t)class_id * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)instance_id;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)(z ^ (z >> 31));
}

/* Where the entry is, or would be. */
static size_t place(struct rpyc_ref *const *slot, size_t room, int64_t class_id,
		    int64_t instance_id)
{
	size_t i = hash(class_id, instance_id) & (room - 1);

	while (slot[i] && (slot[i]->class_id != class_id || slot[i]->instance_id != instance_id))
		i = (i + 1) & (room - 1);
	return i;
}

struct rpyc_ref *rpyc_refs_find(const struct rpyc_refs *r, int64_t class_id, int64_t instance_id)
{
	return r->room ? r->slot[place(r->slot, r->room, class_id, instance_id)] : NULL;
}

/* At most half of the slots are in use. */
static int grow(struct rpyc_refs *r, struct err *e)
{
	size_t room = r->room ? 2 * r->room : ROOM_MIN;
	struct rpyc_ref **slot = calloc(room, sizeof(*slot));

	if (!slot)
		return err_nomem(e);
	for (size_t i = 0; i < r->room; i++) {
		struct rpyc_ref *ref = r->slot[i];

		if (ref)
			slot[place(slot, room, ref->class_id, ref->instance_id)] = ref;
	}
	free(r->slot);
	r->slot = slot;
	r->room = room;
	return 0;
}

static void copy_name(struct rpyc_ref *ref, const struct rpyc_id *id)
{
	size_t n = id->name_len < RPYC_REF_NAME_MAX - 1 ? id->name_len : RPYC_REF_NAME_MAX - 1;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)id->name[i];

		ref->name[i] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
}

int rpyc_refs_add(struct rpyc_refs *r, const struct rpyc_id *id, struct rpyc_ref **out,
		  struct err *e)
{
	struct rpyc_ref *ref = rpyc_refs_find(r, id->class_id, id->instance_id);

	if (!ref) {
		if (r->n >= r->max)
			return err_set(e, ERR_TARGET, "refs", "more than %zu objects are held",
				       r->max);
		if (2 * (r->n + 1) > r->room && grow(r, e) < 0)
			return -1;
		ref = calloc(1, sizeof(*ref));
		if (!ref)
			return err_nomem(e);
		ref->class_id = id->class_id;
		ref->instance_id = id->instance_id;
		copy_name(ref, id);
		r->slot[place(r->slot, r->room, id->class_id, id->instance_id)] = ref;
		r->n++;
	}
	ref->count++;
	ref->sent++;
	r->references++;
	*out = ref;
	return 0;
}

/* Entries behind a gap that belong before it move up, so that searches never need a mark for what was removed. */
static void close_gap(struct rpyc_refs *r, size_t gap)
{
	for (size_t i = (gap + 1) & (r->room - 1); r->slot[i]; i = (i + 1) & (r->room - 1)) {
		size_t home = hash(r->slot[i]->class_id, r->slot[i]->instance_id) & (r->room - 1);

		if (((i - home) & (r->room - 1)) < ((i - gap) & (r->room - 1)))
			continue;
		r->slot[gap] = r->slot[i];
		r->slot[i] = NULL;
		gap = i;
	}
}

bool rpyc_refs_release(struct rpyc_refs *r, int64_t class_id, int64_t instance_id, int64_t count,
		       struct rpyc_ref *last)
{
	size_t at = r->room ? place(r->slot, r->room, class_id, instance_id) : 0;
	struct rpyc_ref *ref = r->room ? r->slot[at] : NULL;

	if (!ref || count < 0 || (uint64_t)count > ref->count)
		return false;
	ref->count -= (uint64_t)count;
	r->references -= (uint64_t)count;
	if (last)
		*last = *ref;
	if (ref->count > 0)
		return true;
	r->slot[at] = NULL;
	r->n--;
	free(ref);
	close_gap(r, at);
	return true;
}

int rpyc_refs_each(const struct rpyc_refs *r, int (*each)(void *ctx, struct rpyc_ref *ref),
		   void *ctx)
{
	for (size_t i = 0; i < r->room; i++) {
		int rc = r->slot[i] ? each(ctx, r->slot[i]) : 0;

		if (rc != 0)
			return rc;
	}
	return 0;
}
