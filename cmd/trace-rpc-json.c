/* What trace-rpc writes for programs. */
#include "result/distribution.h"
#include "trace-rpc.h"

struct field {
	const char *name;
	uint64_t value;
};

static int put_fields(json_t *o, const struct field *f, size_t n, struct err *e)
{
	if (!o)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (json_put(o, f[i].name, json_u64(f[i].value), e) < 0)
			return -1;
	return 0;
}

#define PUT(o, e, ...) \
	put_fields(o, (const struct field[]){ __VA_ARGS__ }, \
		   sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field), e)

static int put_way(json_t *parent, const char *name, const struct rpc_way *w, struct err *e)
{
	json_t *o = json_put_object(parent, name, e), *handlers, *added;

	if (!o)
		return -1;
	handlers = json_put_object(o, "handlers", e);
	if (!handlers)
		return -1;
	for (int h = 1; h < RPYC_HANDLER_END; h++)
		if (w->handlers[h] &&
		    json_put(handlers, rpyc_handler_name(h), json_u64(w->handlers[h]), e) < 0)
			return -1;
	added = json_put_object(o, "added_ns", e);
	if (!added ||
	    PUT(added, e, { "n", w->added_ns.n }, { "min", w->added_min_ns },
		{ "p50", histogram_percentile(&w->added_ns, 500000) },
		{ "p99", histogram_percentile(&w->added_ns, 990000) },
		{ "max", w->added_max_ns }) < 0 ||
	    distribution_put_hist(added, &w->added_ns, e) < 0)
		return -1;
	return PUT(
		o, e, { "bytes", w->bytes }, { "frames", w->frames }, { "requests", w->requests },
		{ "answers", w->answers }, { "payload_bytes", w->payload_bytes },
		{ "compressed_frames", w->packed_frames }, { "compressed_bytes", w->packed_bytes },
		{ "uncompressed_bytes", w->unpacked_bytes }, { "split_frames", w->split_frames });
}

static const char *side(bool server)
{
	return server ? "server" : "client";
}

static int put_calls(const struct rpc_tracker *t, json_t *root, struct err *e)
{
	json_t *list = json_put_array(root, "calls", e);

	for (size_t i = 0; list && i < t->rows.n; i++) {
		const struct rpc_row *r = t->rows.row[i];
		json_t *o = json_push_object(list, e);

		if (!o || json_put(o, "name", json_outside_text(r->name), e) < 0 ||
		    json_put(o, "from", json_known_text(side(r->from_server)), e) < 0 ||
		    PUT(o, e, { "calls", r->n }, { "answered", r->answered },
			{ "errors", r->errors }, { "total_ns", r->total_ns },
			{ "min_ns", r->min_ns }, { "p50_ns", rpc_row_percentile(r, 500000) },
			{ "p90_ns", rpc_row_percentile(r, 900000) },
			{ "p99_ns", rpc_row_percentile(r, 990000) }, { "max_ns", r->max_ns },
			{ "request_bytes", r->bytes_out }, { "answer_bytes", r->bytes_in }) < 0 ||
		    distribution_put_hist(o, &r->latency_ns, e) < 0)
			return -1;
	}
	return list ? 0 : -1;
}

static int put_kinds(const struct rpc_tracker *t, json_t *netrefs, struct err *e)
{
	json_t *list = json_put_array(netrefs, "classes", e);

	for (size_t i = 0; list && i < t->objects.n; i++) {
		const struct rpc_class *k = &t->objects.kind[i];
		json_t *o = json_push_object(list, e);
		json_t *creator = k->creator < t->rows.n
					  ? json_outside_text(t->rows.row[k->creator]->name)
					  : json_null();

		if (!o) {
			json_decref(creator);
			return -1;
		}
		if (json_put(o, "creator", creator, e) < 0 ||
		    json_put(o, "class", json_outside_text(k->name), e) < 0 ||
		    json_put(o, "lives_at", json_known_text(side(k->at_server)), e) < 0 ||
		    json_put(o, "root", json_boolean(k->root), e) < 0 ||
		    PUT(o, e, { "created", k->created }, { "released", k->released },
			{ "left", k->left }, { "uses", k->uses },
			{ "lifetime_total_ns", k->life_total_ns },
			{ "lifetime_max_ns", k->life_max_ns },
			{ "left_total_ns", k->held_total_ns },
			{ "left_max_ns", k->held_max_ns }) < 0)
			return -1;
	}
	return list ? 0 : -1;
}

static int put_slow(const struct rpc_tracker *t, json_t *root, struct err *e)
{
	json_t *list = json_put_array(root, "slow_calls", e);

	for (size_t i = 0; list && i < t->n_slow; i++) {
		const struct rpc_slow *s = &t->slow[i];
		json_t *o = json_push_object(list, e);

		if (!o ||
		    json_put(o, "name", json_outside_text(t->rows.row[s->row]->name), e) < 0 ||
		    PUT(o, e, { "at_ns", s->start_ns - t->begin_ns }, { "ns", s->ns },
			{ "connection", s->connection }, { "depth", s->depth }) < 0)
			return -1;
	}
	return list ? 0 : -1;
}

static int put_loops(const struct rpc_tracker *t, json_t *root, struct err *e)
{
	json_t *list = json_put_array(root, "loops", e);

	for (size_t i = 0; list && i < t->chatty.n; i++) {
		const struct rpc_loop *l = &t->chatty.loop[i];
		json_t *o = json_push_object(list, e), *names;

		if (!o || PUT(o, e, { "loops", l->loops }, { "repeats", l->repeats },
			      { "round_trips", l->trips }, { "total_ns", l->total_ns },
			      { "batch_would_save_ns", l->saved_ns }) < 0)
			return -1;
		names = json_put_array(o, "calls", e);
		for (size_t k = 0; names && k < l->period; k++)
			if (json_push(names, json_outside_text(t->rows.row[l->row[k]]->name), e) <
			    0)
				return -1;
		if (!names)
			return -1;
	}
	return list ? 0 : -1;
}

static int put_faults(const struct rpc_tracker *t, json_t *root, struct err *e)
{
	json_t *list = json_put_array(root, "exceptions", e);

	for (size_t i = 0; list && i < t->n_faults; i++) {
		const struct rpc_fault *f = &t->fault[i];
		json_t *o = json_push_object(list, e);

		if (!o || json_put(o, "type", json_outside_text(f->name), e) < 0 ||
		    json_put(o, "from", json_known_text(side(f->from_server)), e) < 0 ||
		    json_put(o, "count", json_u64(f->n), e) < 0 ||
		    json_put(o, "last", json_outside_text(f->text), e) < 0)
			return -1;
	}
	return list ? 0 : -1;
}

static int put_all(const struct rpc_tracker *t, json_t *root, struct err *e)
{
	json_t *netrefs;

	if (PUT(root, e, { "duration_ns", t->now_ns - t->begin_ns },
		{ "connections", t->connections }, { "round_trips", t->round_trips },
		{ "async_releases", t->dels }, { "unanswered", t->unanswered },
		{ "answers_without_request", t->orphans }, { "nested", t->nested },
		{ "max_depth", t->max_depth }, { "overlapping", t->overlapping },
		{ "not_followed", t->unfollowed }, { "slow_ns", t->p.slow_ns },
		{ "slow", t->slow_calls }, { "exceptions_total", t->faults_n },
		{ "stuck_frames", t->stuck_frames }, { "round_trips_40ms", t->round_trips_40ms },
		{ "not_decoded", t->undecoded }, { "not_seen_whole", t->lost },
		{ "events_kept", t->n_events }, { "events_dropped", t->dropped_events }) < 0 ||
	    json_put(root, "layout", t->layout ? json_integer(t->layout) : json_null(), e) < 0 ||
	    json_put(root, "not_decoded_why", *t->why ? json_outside_text(t->why) : json_null(),
		     e) < 0 ||
	    put_way(root, "to_server", &t->way[0], e) < 0 ||
	    put_way(root, "to_client", &t->way[1], e) < 0)
		return -1;
	netrefs = json_put_object(root, "netrefs", e);
	if (!netrefs || PUT(netrefs, e, { "created", t->objects.created },
			    { "released", t->objects.released }, { "left", t->objects.left },
			    { "peak", t->objects.peak }, { "untracked", t->objects.untracked }) < 0)
		return -1;
	return put_kinds(t, netrefs, e) < 0 || put_calls(t, root, e) < 0 ||
			       put_slow(t, root, e) < 0 || put_loops(t, root, e) < 0 ||
			       put_faults(t, root, e) < 0
		       ? -1
		       : 0;
}

json_t *rpc_json(const struct rpc_tracker *t, struct err *e)
{
	json_t *root = json_object();

	if (!root)
		err_nomem(e);
	else if (put_all(t, root, e) < 0) {
		json_decref(root);
		root = NULL;
	}
	return root;
}
