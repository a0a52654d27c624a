/* The calls of trace-rpc for Perfetto. */
#include <stdio.h>
#include <stdlib.h>

#include "trace-rpc.h"

/* Tracks of one connection, and such tracks as get a name. */
enum { LANES = 64, CONNECTION_BITS = 24, NAMED_MAX = 4096 };

/*
 * Slices of one track must lie in each other or apart, and one that lies in another is read as made from it. So each call
 * goes below the one it was made from, or to the first track of its connection where nothing is under way: calls at the
 * same time (threads, async) are on tracks of their own.
 */
struct lanes {
	const struct rpc_tracker *t;
	uint32_t *order; /* events by connection and begin */
	uint8_t *lane;	 /* of each event */
	int32_t *below;	 /* what each event lies on in its lane, -1 nothing */
	int32_t top[LANES];
};

static void lanes_done(struct lanes *l)
{
	free(l->order);
	free(l->lane);
	free(l->below);
}
CLEANUP_OBJ(struct lanes, lanes_done)

static uint64_t end_of(const struct rpc_tracker *t, int32_t i)
{
	return t->event[i].end_ns ? t->event[i].end_ns : t->now_ns;
}

/* The outer one first. */
static int by_begin(const void *a, const void *b, void *ctx)
{
	const struct rpc_tracker *t = ctx;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct rpc_event *x = &t->event[i], *y = &t->event[k];

	if (x->connection != y->connection)
		return x->connection < y->connection ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return i < k ? -1 : i > k;
}

static void leave_ended(struct lanes *l, uint64_t now)
{
	for (int k = 0; k < LANES; k++)
		while (l->top[k] >= 0 && end_of(l->t, l->top[k]) <= now)
			l->top[k] = l->below[l->top[k]];
}

/* Where the call it was made from is on top and ends after it; or else the first free one. */
static uint8_t find_lane(const struct lanes *l, int32_t at)
{
	int32_t parent = l->t->event[at].parent;

	if (parent >= 0 && l->top[l->lane[parent]] == parent &&
	    end_of(l->t, at) <= end_of(l->t, parent))
		return l->lane[parent];
	for (int k = 0; k < LANES; k++)
		if (l->top[k] < 0)
			return (uint8_t)k;
	return LANES - 1;
}

static int lanes_init(struct lanes *l, const struct rpc_tracker *t, struct err *e)
{
	size_t n = t->n_events;

	*l = (struct lanes){ .t = t,
			     .order = calloc(n + 1, sizeof(*l->order)),
			     .lane = calloc(n + 1, sizeof(*l->lane)),
			     .below = calloc(n + 1, sizeof(*l->below)) };
	if (!l->order || !l->lane || !l->below)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		l->order[i] = (uint32_t)i;
	qsort_r(l->order, n, sizeof(*l->order), by_begin, (void *)(uintptr_t)t);
	for (size_t i = 0; i < n; i++) {
		int32_t at = (int32_t)l->order[i];
		const struct rpc_event *ev = &t->event[at];

		if (i == 0 || ev->connection != t->event[l->order[i - 1]].connection)
			for (int k = 0; k < LANES; k++)
				l->top[k] = -1;
		leave_ended(l, ev->start_ns);
		if (ev->async)
			continue;
		l->lane[at] = find_lane(l, at);
		l->below[at] = l->top[l->lane[at]];
		l->top[l->lane[at]] = at;
	}
	return 0;
}

static uint64_t track(const struct lanes *l, size_t at)
{
	return (uint64_t)l->lane[at] << CONNECTION_BITS |
	       (l->t->event[at].connection & ((1u << CONNECTION_BITS) - 1));
}

/* Microseconds, as the format has it. */
static json_t *us(uint64_t ns)
{
	return json_number((double)ns / 1000);
}

static int put_event(json_t *list, const struct lanes *l, size_t at, struct err *e)
{
	const struct rpc_tracker *t = l->t;
	const struct rpc_event *ev = &t->event[at];
	json_t *o = json_push_object(list, e), *args;

	if (!o || json_put(o, "name", json_outside_text(t->rows.row[ev->row]->name), e) < 0 ||
	    json_put(o, "cat", json_known_text(ev->from_server ? "server calls" : "client calls"),
		     e) < 0 ||
	    json_put(o, "ph", json_known_text(ev->async ? "i" : "X"), e) < 0 ||
	    json_put(o, "ts", us(ev->start_ns - t->begin_ns), e) < 0 ||
	    json_put(o, "pid", json_u64(1), e) < 0 ||
	    json_put(o, "tid", json_u64(track(l, at)), e) < 0)
		return -1;
	if (ev->async)
		return json_put(o, "s", json_known_text("t"), e);
	args = json_put_object(o, "args", e);
	return json_put(o, "dur", us(end_of(t, (int32_t)at) - ev->start_ns), e) < 0 || !args ||
			       json_put(args, "depth", json_u64(ev->depth), e) < 0 ||
			       json_put(args, "failed", json_boolean(ev->failed), e) < 0 ||
			       json_put(args, "answered", json_boolean(ev->end_ns != 0), e) < 0
		       ? -1
		       : 0;
}

static int put_name(json_t *list, const char *what, uint64_t tid, const char *name, struct err *e)
{
	json_t *o = json_push_object(list, e), *args;

	if (!o || json_put(o, "name", json_known_text(what), e) < 0 ||
	    json_put(o, "ph", json_known_text("M"), e) < 0 ||
	    json_put(o, "pid", json_u64(1), e) < 0 || json_put(o, "tid", json_u64(tid), e) < 0)
		return -1;
	args = json_put_object(o, "args", e);
	return args ? json_put(args, "name", json_known_text(name), e) : -1;
}

/* Each track once, where its first event comes: lanes of a connection are taken in order. */
static int put_names(json_t *list, const struct lanes *l, struct err *e)
{
	uint32_t connection = 0;
	int lanes = 0, named = 0;
	char name[64];

	for (size_t i = 0; i < l->t->n_events && named < NAMED_MAX; i++) {
		uint32_t at = l->order[i];
		const struct rpc_event *ev = &l->t->event[at];

		if (i == 0 || ev->connection != connection)
			lanes = 0;
		connection = ev->connection;
		if (l->lane[at] < lanes)
			continue;
		lanes = l->lane[at] + 1;
		snprintf(name, sizeof(name), "connection %u", connection);
		if (l->lane[at])
			snprintf(name, sizeof(name), "connection %u, beside it (%d)", connection,
				 l->lane[at]);
		if (put_name(list, "thread_name", track(l, at), name, e) < 0)
			return -1;
		named++;
	}
	return 0;
}

static int put_chrome(json_t *root, const struct lanes *l, struct err *e)
{
	json_t *list = json_put_array(root, "traceEvents", e);

	if (!list || json_put(root, "displayTimeUnit", json_known_text("ns"), e) < 0 ||
	    put_name(list, "process_name", 0, "RPyC", e) < 0 || put_names(list, l, e) < 0)
		return -1;
	for (size_t i = 0; i < l->t->n_events; i++)
		if (put_event(list, l, l->order[i], e) < 0)
			return -1;
	return 0;
}

json_t *rpc_json_chrome(const struct rpc_tracker *t, struct err *e)
{
	CLEANUP(lanes_done) struct lanes l = { 0 };
	json_t *root = json_object();

	if (!root)
		err_nomem(e);
	else if (lanes_init(&l, t, e) < 0 || put_chrome(root, &l, e) < 0) {
		json_decref(root);
		root = NULL;
	}
	return root;
}
