#include "peer/rpc-objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static uint16_t find_kind(struct rpc_objects *o, const struct rpyc_ref *ref,
			  const struct rpc_birth *birth)
{
	struct rpc_class *k;

	for (size_t i = 0; i < o->n; i++) {
		k = &o->kind[i];
		if (k->at_server == birth->at_server && k->creator == birth->creator &&
		    strcmp(k->name, ref->name) == 0)
			return (uint16_t)i;
	}
	if (o->n == RPC_CLASSES_MAX)
		return RPC_CLASSES_MAX - 1;
	k = &o->kind[o->n];
	*k = (struct rpc_class){ .at_server = birth->at_server,
				 .root = birth->root,
				 .creator = birth->creator };
	if (o->n == RPC_CLASSES_MAX - 1) {
		k->creator = RPC_NO_ROW;
		snprintf(k->name, sizeof(k->name), "others");
	} else {
		snprintf(k->name, sizeof(k->name), "%s", ref->name);
	}
	return (uint16_t)o->n++;
}

void rpc_objects_boxed(struct rpc_objects *o, struct rpyc_refs *refs, const struct rpyc_id *id,
		       const struct rpc_birth *birth)
{
	struct rpc_object *object;
	struct rpyc_ref *ref;
	struct err ignored;

	ref = rpyc_refs_find(refs, id->class_id, id->instance_id);
	if (!ref && o->alive >= RPC_OBJECTS_MAX) {
		o->untracked++;
		return;
	}
	object = ref ? NULL : calloc(1, sizeof(*object));
	if ((!ref && !object) || rpyc_refs_add(refs, id, &ref, &ignored) < 0) {
		free(object);
		o->untracked++;
		return;
	}
	if (!object)
		return;
	object->created_ns = birth->ns;
	object->kind = find_kind(o, ref, birth);
	snprintf(object->label, sizeof(object->label), "%s", birth->label);
	ref->data = object;
	o->kind[object->kind].created++;
	o->kind[object->kind].alive++;
	o->created++;
	o->alive++;
	if (o->alive > o->peak)
		o->peak = o->alive;
}

const struct rpc_object *rpc_objects_find(const struct rpyc_refs *refs, const struct rpyc_id *id)
{
	const struct rpyc_ref *ref = rpyc_refs_find(refs, id->class_id, id->instance_id);

	return ref ? ref->data : NULL;
}

const struct rpc_object *rpc_objects_use(struct rpc_objects *o, const struct rpyc_refs *refs,
					 const struct rpyc_id *id)
{
	const struct rpc_object *object = rpc_objects_find(refs, id);

	if (object)
		o->kind[object->kind].uses++;
	return object;
}

static void gone(struct rpc_objects *o, struct rpc_object *object)
{
	o->kind[object->kind].alive--;
	o->alive--;
	free(object);
}

void rpc_objects_release(struct rpc_objects *o, struct rpyc_refs *refs, const struct rpyc_id *id,
			 int64_t count, uint64_t ns)
{
	struct rpc_object *object;
	struct rpc_class *k;
	struct rpyc_ref last;
	uint64_t life;

	if (!rpyc_refs_release(refs, id->class_id, id->instance_id, count, &last) || last.count)
		return;
	object = last.data;
	k = &o->kind[object->kind];
	life = ns_since(object->created_ns, ns);
	k->released++;
	k->life_total_ns += life;
	if (life > k->life_max_ns)
		k->life_max_ns = life;
	o->released++;
	gone(o, object);
}

struct end {
	struct rpc_objects *o;
	uint64_t ns;
};

static int leave(void *ctx, struct rpyc_ref *ref)
{
	const struct end *end = ctx;
	struct rpc_object *object = ref->data;
	struct rpc_class *k = &end->o->kind[object->kind];
	uint64_t held = ns_since(object->created_ns, end->ns);

	if (!k->root) {
		k->left++;
		k->held_total_ns += held;
		if (held > k->held_max_ns)
			k->held_max_ns = held;
		end->o->left++;
	}
	gone(end->o, object);
	return 0;
}

void rpc_objects_end(struct rpc_objects *o, struct rpyc_refs *refs, uint64_t ns)
{
	struct end end = { o, ns };

	rpyc_refs_each(refs, leave, &end);
	rpyc_refs_done(refs);
}
