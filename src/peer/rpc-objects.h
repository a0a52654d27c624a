/* rpc-objects - the references (netrefs) that each side of an RPyC connection holds to objects of the other */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer/rpc-rows.h"
#include "proto/rpyc-refs.h"

/* Objects that are followed at once; more are counted as untracked. Beyond RPC_CLASSES_MAX kinds the rest is one kind. */
enum { RPC_CLASSES_MAX = 128, RPC_OBJECTS_MAX = 100000, RPC_NO_ROW = 0xffff };

/*
 * All objects of one class that live on one side and came out of calls of one name. `left`: still held when their connection
 * ended, which a program that gives its references back leaves none of; the root of a service is not counted there, it is
 * held on purpose. life: of those that were released; held: of those that were left, until the end of their connection.
 */
struct rpc_class {
	char name[RPC_NAME_MAX];
	bool at_server, root;
	uint16_t creator; /* a row; RPC_NO_ROW: none */
	uint64_t created, released, left, alive, uses;
	uint64_t life_total_ns, life_max_ns, held_total_ns, held_max_ns;
};

struct rpc_objects {
	struct rpc_class kind[RPC_CLASSES_MAX];
	size_t n;
	uint64_t created, released, left, alive, peak, untracked;
};

/* What is behind rpyc_ref.data. `label`: what it is called where it came from an attribute ("Service.ping"). */
struct rpc_object {
	uint64_t created_ns;
	uint16_t kind;
	char label[RPC_NAME_MAX];
};

struct rpc_birth {
	bool at_server, root;
	uint16_t creator;
	const char *label; /* "" for none */
	uint64_t ns;
};

/* A reference to an object was sent; `refs` is the set of the side where it lives. No memory: it is untracked. */
void rpc_objects_boxed(struct rpc_objects *o, struct rpyc_refs *refs, const struct rpyc_id *id,
		       const struct rpc_birth *birth);
/* One that is held is used: asked, called, handed back. NULL where it is not known. */
const struct rpc_object *rpc_objects_use(struct rpc_objects *o, const struct rpyc_refs *refs,
					 const struct rpyc_id *id);
const struct rpc_object *rpc_objects_find(const struct rpyc_refs *refs, const struct rpyc_id *id);
/* So many references are given back. */
void rpc_objects_release(struct rpc_objects *o, struct rpyc_refs *refs, const struct rpyc_id *id,
			 int64_t count, uint64_t ns);
/* The connection is over: what is held is left; refs is empty then. */
void rpc_objects_end(struct rpc_objects *o, struct rpyc_refs *refs, uint64_t ns);
