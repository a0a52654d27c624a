#include "peer/rpc-tracker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "peer/rpc-tracker-impl.h"

/* A frame that stood still so long waited for somebody's timer. */
static const uint64_t stuck_ns = 35 * NS_PER_MS;

int rpc_tracker_init(struct rpc_tracker *t, const struct rpc_tracker_params *p, struct err *e)
{
	*t = (struct rpc_tracker){ .p = *p };
	buf_init(&t->name, 4 * RPC_NAME_MAX);
	if (histogram_init(&t->way[0].added_ns, e) < 0 ||
	    histogram_init(&t->way[1].added_ns, e) < 0 || rpyc_zip_new(&t->zip, e) < 0) {
		rpc_tracker_done(t);
		return -1;
	}
	return 0;
}

static struct rpc_connection **place(struct rpc_tracker *t, uint32_t id)
{
	struct rpc_connection **at = &t->bucket[id % (sizeof(t->bucket) / sizeof(t->bucket[0]))];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

/* Its memory for bytes; objects and calls under way are kept apart. */
static void drop_readers(struct rpc_tracker *t, struct rpc_connection *c)
{
	rpyc_reader_done(&c->way[0].reader);
	rpyc_reader_done(&c->way[1].reader);
	t->memory -= c->memory;
	c->memory = 0;
}

static void end_connection(struct rpc_tracker *t, struct rpc_connection **at)
{
	struct rpc_connection *c = *at;

	*at = c->next;
	if (!c->given_up)
		drop_readers(t, c);
	rpc_calls_end(t, c);
	for (int d = 0; d < 2; d++) {
		rpc_objects_end(&t->objects, &c->way[d].refs, t->now_ns);
		t->open_room -= c->way[d].room_open;
		free(c->way[d].open);
	}
	t->active--;
	free(c);
}

void rpc_tracker_finish(struct rpc_tracker *t)
{
	for (size_t i = 0; i < sizeof(t->bucket) / sizeof(t->bucket[0]); i++)
		while (t->bucket[i])
			end_connection(t, &t->bucket[i]);
}

void rpc_tracker_done(struct rpc_tracker *t)
{
	rpc_tracker_finish(t);
	rpc_rows_done(&t->rows);
	histogram_done(&t->way[0].added_ns);
	histogram_done(&t->way[1].added_ns);
	rpyc_zip_free(t->zip);
	buf_done(&t->name);
	free(t->event);
	*t = (struct rpc_tracker){ 0 };
}

static int open_connection(struct rpc_tracker *t, uint32_t id, struct err *e)
{
	struct rpc_connection **at = place(t, id), *c;

	/* a number that comes again is another connection */
	if (*at)
		end_connection(t, at);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	c->id = id;
	for (int d = 0; d < 2; d++) {
		rpyc_reader_init(&c->way[d].reader, t->zip, RPC_FRAME_MAX);
		rpyc_refs_init(&c->way[d].refs, RPC_OBJECTS_MAX);
	}
	at = place(t, id);
	c->next = *at;
	*at = c;
	t->connections++;
	t->active++;
	return 0;
}

/* From here on this connection is only passed on. */
static void give_up(struct rpc_tracker *t, struct rpc_connection *c, int d, const char *why)
{
	c->given_up = true;
	drop_readers(t, c);
	if (!t->why[0])
		snprintf(t->why, sizeof(t->why), "connection %u, to the %s: %s", c->id,
			 d == 0 ? "server" : "client", why);
}

static void count_frame(struct rpc_way *w, const struct rpyc_frame *f)
{
	w->frames++;
	w->payload_bytes += f->len;
	w->split_frames += f->wire_len > RPC_SPLIT_ABOVE;
	if (f->compressed) {
		w->packed_frames++;
		w->packed_bytes += f->packed_len;
		w->unpacked_bytes += f->len;
	}
}

static int take_frames(struct rpc_tracker *t, struct rpc_connection *c, int d, uint64_t begin,
		       uint64_t ns, struct err *e)
{
	struct rpc_direction *way = &c->way[d];
	const char *why = NULL;
	struct rpyc_message m;
	struct rpyc_frame f;
	struct err broken;
	int rc;

	while ((rc = rpyc_reader_next(&way->reader, &f, &broken)) > 0) {
		count_frame(&t->way[d], &f);
		if (rpyc_message_parse(&m, f.payload, f.len, &why) < 0) {
			t->undecoded++;
			give_up(t, c, d, why);
			return 0;
		}
		if (rpc_calls_message(t, c, d, &m, &f, begin, ns, e) < 0)
			return -1;
		begin = ns;
	}
	way->begin_ns = begin;
	if (rc == 0)
		return 0;
	t->undecoded++;
	give_up(t, c, d, broken.msg);
	return 0;
}

/* Longest frames are held until they are whole; together they stay below a bound. */
static bool has_room(struct rpc_tracker *t, struct rpc_connection *c)
{
	size_t now = 0;

	for (int d = 0; d < 2; d++)
		now += c->way[d].reader.in.cap + c->way[d].reader.plain.cap;
	t->memory = t->memory - c->memory + now;
	c->memory = now;
	return t->memory <= RPC_MEMORY_MAX;
}

static int take_bytes(struct rpc_tracker *t, struct rpc_connection *c, int d,
		      const struct rpc_capture_record *r, struct err *e)
{
	struct rpc_direction *way = &c->way[d];
	bool under_way = rpyc_reader_pending(&way->reader) > 0;
	struct err broken;

	if (under_way && ns_since(way->last_ns, r->ns) >= stuck_ns)
		t->stuck_frames++;
	way->last_ns = r->ns;
	if (rpyc_reader_feed(&way->reader, r->data, r->len, &broken) < 0) {
		t->undecoded++;
		give_up(t, c, d, broken.msg);
		return 0;
	}
	if (take_frames(t, c, d, under_way ? way->begin_ns : r->ns, r->ns, e) < 0)
		return -1;
	if (!c->given_up && !has_room(t, c)) {
		t->undecoded++;
		give_up(t, c, d, "too many bytes of unfinished frames");
	}
	return 0;
}

static void count_bytes(struct rpc_way *w, const struct rpc_capture_record *r)
{
	w->bytes += r->len;
	if (w->added_ns.n == 0 || r->delay_ns < w->added_min_ns)
		w->added_min_ns = r->delay_ns;
	if (r->delay_ns > w->added_max_ns)
		w->added_max_ns = r->delay_ns;
	histogram_add(&w->added_ns, r->delay_ns, 1);
}

int rpc_tracker_take(struct rpc_tracker *t, const struct rpc_capture_record *r, struct err *e)
{
	struct rpc_connection **at = place(t, r->connection);
	int d = r->kind == RPC_CAPTURE_TO_CLIENT;

	if (!t->begin_ns)
		t->begin_ns = r->ns;
	if (r->ns > t->now_ns)
		t->now_ns = r->ns;
	if (r->kind == RPC_CAPTURE_OPEN)
		return open_connection(t, r->connection, e);
	if (!*at)
		return 0;
	switch (r->kind) {
	case RPC_CAPTURE_TO_SERVER:
	case RPC_CAPTURE_TO_CLIENT:
		count_bytes(&t->way[d], r);
		return (*at)->given_up ? 0 : take_bytes(t, *at, d, r, e);
	case RPC_CAPTURE_LOST:
		if (!(*at)->given_up) {
			t->lost++;
			give_up(t, *at, 0, "it came faster than it could be decoded");
		}
		return 0;
	default:
		end_connection(t, at);
		return 0;
	}
}
