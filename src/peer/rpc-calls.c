/* rpc-calls - messages of a connection as calls: which answers which, which was made from which */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "peer/rpc-tracker-impl.h"
#include "proto/rpyc-exception.h"

static const uint64_t ack_min_ns = 38 * NS_PER_MS, ack_max_ns = 48 * NS_PER_MS;

/* "__main__.Service" is called Service. */
static void add_class(struct buf *b, const struct rpyc_id *id)
{
	size_t at = id->name_len;

	while (at > 0 && id->name[at - 1] != '.')
		at--;
	buf_add_safe(b, id->name + at, id->name_len - at < 40 ? id->name_len - at : 40);
}

/* What is asked: "callattr Service.ping", "call Service.ping" of what a getattr brought, "getroot". Its part behind the
 * handler's name is the label of what a getattr brings. */
static void add_subject(struct rpc_connection *c, int d, const struct rpyc_message *m,
			struct buf *b)
{
	const struct rpc_object *known;
	const char *attribute;
	struct rpyc_id id;
	size_t len;

	if (m->handler == RPYC_DEL || m->handler == RPYC_INSPECT || !rpyc_request_object(m, &id))
		return;
	buf_addc(b, ' ');
	known = rpc_objects_find(&c->way[!d].refs, &id);
	if (known && known->label[0])
		buf_adds(b, known->label);
	else
		add_class(b, &id);
	if (rpyc_request_name(m, &attribute, &len)) {
		buf_addc(b, '.');
		buf_add_safe(b, attribute, len < 48 ? len : 48);
	}
}

static int find_row(struct rpc_tracker *t, struct rpc_connection *c, int d,
		    const struct rpyc_message *m, uint16_t *row, char label[RPC_NAME_MAX],
		    struct err *e)
{
	const char *handler = rpyc_handler_name(m->handler), *text;
	size_t head;

	buf_clear(&t->name);
	if (handler)
		buf_adds(&t->name, handler);
	else
		buf_addf(&t->name, "handler %lld", (long long)m->handler);
	head = t->name.len;
	add_subject(c, d, m, &t->name);
	if (t->name.len >= RPC_NAME_MAX) {
		t->name.data[RPC_NAME_MAX - 1] = '\0';
		t->name.len = RPC_NAME_MAX - 1;
	}
	text = buf_text(&t->name);
	label[0] = '\0';
	if (m->handler == RPYC_GETATTR && text[head])
		snprintf(label, RPC_NAME_MAX, "%s", text + head + 1);
	return rpc_rows_find(&t->rows, m->handler, d == 1, text, row, e);
}

/* The newest call of the other side that is under way: this one is made from it. */
static const struct rpc_open *find_parent(const struct rpc_connection *c, int d)
{
	const struct rpc_direction *other = &c->way[!d];

	for (size_t i = other->n_open; i > 0; i--)
		if (!other->open[i - 1].async)
			return &other->open[i - 1];
	return NULL;
}

/* -1: it is not kept. */
static int32_t add_event(struct rpc_tracker *t, const struct rpc_event *ev)
{
	if (t->n_events >= t->p.max_events || t->n_events >= RPC_EVENTS_MAX) {
		t->dropped_events++;
		return -1;
	}
	if (t->n_events == t->room_events) {
		size_t room = t->room_events ? 2 * t->room_events : 1024;
		struct rpc_event *more = realloc(t->event, room * sizeof(*more));

		if (!more) {
			t->dropped_events++;
			return -1;
		}
		t->event = more;
		t->room_events = room;
	}
	t->event[t->n_events] = *ev;
	return (int32_t)t->n_events++;
}

/* Each has some, whatever the others have. */
static bool may_grow(const struct rpc_tracker *t, const struct rpc_direction *way)
{
	return way->room_open == 0 ||
	       (way->room_open < RPC_OPEN_MAX && t->open_room + way->room_open <= RPC_OPEN_ROOM);
}

static int grow(struct rpc_tracker *t, struct rpc_direction *way, struct err *e)
{
	size_t room = way->room_open ? 2 * way->room_open : 8;
	struct rpc_open *more = realloc(way->open, room * sizeof(*more));

	if (!more)
		return err_nomem(e);
	t->open_room += room - way->room_open;
	way->open = more;
	way->room_open = room;
	return 0;
}

static struct rpc_open *add_open(struct rpc_tracker *t, struct rpc_direction *way, struct err *e)
{
	if (way->n_open == way->room_open && !may_grow(t, way)) {
		/* the oldest will hardly be answered any more */
		t->unfollowed++;
		memmove(way->open, way->open + 1, (way->n_open - 1) * sizeof(*way->open));
		way->n_open--;
	} else if (way->n_open == way->room_open && grow(t, way, e) < 0) {
		return NULL;
	}
	return &way->open[way->n_open++];
}

/* A burst leaves nothing behind. */
static void shrink(struct rpc_tracker *t, struct rpc_direction *way)
{
	if (way->n_open || way->room_open <= 64)
		return;
	t->open_room -= way->room_open;
	free(way->open);
	way->open = NULL;
	way->room_open = 0;
}

struct seen {
	struct rpc_tracker *t;
	struct rpyc_refs *refs;
	struct rpc_birth birth;
};

static int each_boxed(void *ctx, const struct rpyc_id *id)
{
	struct seen *s = ctx;

	rpc_objects_boxed(&s->t->objects, s->refs, id, &s->birth);
	return 0;
}

static int each_used(void *ctx, const struct rpyc_id *id)
{
	struct seen *s = ctx;

	rpc_objects_use(&s->t->objects, s->refs, id);
	return 0;
}

/* References in what goes along d: to the sender's objects, which the other side holds now, and to those it has of the other. */
static void see_box(struct rpc_tracker *t, struct rpc_connection *c, int d,
		    const struct rpyc_box *box, const struct rpc_birth *birth)
{
	struct seen s = { t, &c->way[d].refs, *birth };

	rpyc_box_each_ref(box, RPYC_REMOTE_REF, each_boxed, &s);
	s.refs = &c->way[!d].refs;
	rpyc_box_each_ref(box, RPYC_LOCAL_REF, each_used, &s);
}

static void see_arguments(struct rpc_tracker *t, struct rpc_connection *c, int d,
			  const struct rpyc_message *m, uint16_t row, uint64_t ns)
{
	struct rpc_birth birth = { .at_server = d == 1, .creator = row, .label = "", .ns = ns };
	struct rpyc_args args;
	struct rpyc_box box;
	struct rpyc_id id;
	int64_t count = 1;

	if (!rpyc_args_open(&m->args, &args))
		return;
	if (m->handler == RPYC_DEL) {
		if (!rpyc_request_object(m, &id) || !rpyc_args_next(&args, &box))
			return;
		if (rpyc_args_next(&args, &box) && box.label == RPYC_VALUE)
			brine_take_int(&box.value, &count);
		rpc_objects_release(&t->objects, &c->way[!d].refs, &id, count, ns);
		return;
	}
	while (rpyc_args_next(&args, &box))
		see_box(t, c, d, &box, &birth);
}

static bool overlaps(const struct rpc_direction *way, uint64_t parent)
{
	for (size_t i = 0; i < way->n_open; i++)
		if (!way->open[i].async && way->open[i].parent == parent)
			return true;
	return false;
}

static int request(struct rpc_tracker *t, struct rpc_connection *c, int d,
		   const struct rpyc_message *m, const struct rpyc_frame *f, uint64_t begin_ns,
		   uint64_t ns, struct err *e)
{
	const struct rpc_open *parent = find_parent(c, d);
	struct rpc_open new = { .seq = m->seq,
				.number = ++c->numbers,
				.start_ns = begin_ns,
				.event = -1,
				.depth = 1,
				.async = m->handler == RPYC_DEL };
	struct rpc_open *open;

	if (find_row(t, c, d, m, &new.row, new.label, e) < 0)
		return -1;
	if (parent && !new.async) {
		new.parent = parent->number;
		new.depth = (uint16_t)(parent->depth + 1);
		t->nested++;
	}
	if (new.depth > t->max_depth)
		t->max_depth = new.depth;
	t->way[d].requests++;
	if (m->handler > 0 && m->handler < RPYC_HANDLER_END)
		t->way[d].handlers[m->handler]++;
	t->rows.row[new.row]->n++;
	t->rows.row[new.row]->bytes_out += f->wire_len;
	see_arguments(t, c, d, m, new.row, ns);
	if (m->handler == RPYC_CLOSE)
		return 0;
	t->overlapping += !new.async &&overlaps(&c->way[d], new.parent);
	new.event = add_event(
		t, &(struct rpc_event){ .start_ns = begin_ns,
					.connection = c->id,
					.parent = parent && !new.async ? parent->event : -1,
					.row = new.row,
					.depth = new.depth,
					.from_server = d == 1,
					.async = new.async });
	open = add_open(t, &c->way[d], e);
	if (!open)
		return -1;
	*open = new;
	return 0;
}

static struct rpc_fault *find_fault(struct rpc_tracker *t, const char *name, bool from_server)
{
	for (size_t i = 0; i < t->n_faults; i++)
		if (t->fault[i].from_server == from_server && strcmp(t->fault[i].name, name) == 0)
			return &t->fault[i];
	if (t->n_faults == RPC_FAULTS_MAX)
		return NULL;
	t->fault[t->n_faults] = (struct rpc_fault){ .from_server = from_server };
	snprintf(t->fault[t->n_faults].name, RPC_NAME_MAX, "%s", name);
	return &t->fault[t->n_faults++];
}

static void exception(struct rpc_tracker *t, int d, const struct rpyc_message *m)
{
	struct rpyc_exception ex;
	struct rpc_fault *fault;
	const char *why;
	char name[RPC_NAME_MAX];

	t->faults_n++;
	if (rpyc_exception_parse(m, &ex, &why) < 0)
		return;
	buf_clear(&t->name);
	buf_add_safe(&t->name, ex.name.text, ex.name.len < 80 ? ex.name.len : 80);
	snprintf(name, sizeof(name), "%s", buf_text(&t->name));
	fault = find_fault(t, name, d == 1);
	if (!fault)
		return;
	fault->n++;
	buf_clear(&t->name);
	rpyc_exception_add_text(&t->name, &ex, sizeof(fault->text) - 1);
	snprintf(fault->text, sizeof(fault->text), "%s", buf_text(&t->name));
	buf_clear(&t->name);
	buf_add_safe(&t->name, ex.remote_version.text,
		     ex.remote_version.len < 16 ? ex.remote_version.len : 16);
	if (t->name.len)
		snprintf(t->version[d], sizeof(t->version[d]), "%.31s", buf_text(&t->name));
}

static void note_slow(struct rpc_tracker *t, const struct rpc_connection *c,
		      const struct rpc_open *open, uint64_t ns)
{
	struct rpc_slow new = { open->start_ns, ns, c->id, open->row, open->depth };
	size_t at = t->n_slow;

	t->slow_calls++;
	while (at > 0 && t->slow[at - 1].ns < ns)
		at--;
	if (at == RPC_SLOW_MAX)
		return;
	t->n_slow += t->n_slow < RPC_SLOW_MAX;
	memmove(&t->slow[at + 1], &t->slow[at], (t->n_slow - 1 - at) * sizeof(new));
	t->slow[at] = new;
}

/* A round trip that somebody waited for. */
static void count_trip(struct rpc_tracker *t, struct rpc_connection *c, int d,
		       const struct rpc_open *open, uint64_t ns)
{
	unsigned level = open->depth <= RPC_CHAT_DEPTH ? open->depth - 1u : RPC_CHAT_DEPTH - 1u;
	struct rpc_direction *way = &c->way[d];

	t->round_trips++;
	t->round_trips_40ms += ns >= ack_min_ns && ns <= ack_max_ns;
	if (t->p.slow_ns && ns >= t->p.slow_ns)
		note_slow(t, c, open, ns);
	if (way->chat_parent[level] != open->parent)
		rpc_chat_end(&way->chat[level], &t->chatty);
	way->chat_parent[level] = open->parent;
	rpc_chat_push(&way->chat[level], &t->chatty, open->row, ns);
}

/* Of the requests that went the other way the newest of that number. */
static bool take_open(struct rpc_direction *way, int64_t seq, struct rpc_open *out)
{
	for (size_t i = way->n_open; i > 0; i--)
		if (way->open[i - 1].seq == seq) {
			*out = way->open[i - 1];
			memmove(&way->open[i - 1], &way->open[i],
				(way->n_open - i) * sizeof(*way->open));
			way->n_open--;
			return true;
		}
	return false;
}

static void answer(struct rpc_tracker *t, struct rpc_connection *c, int d,
		   const struct rpyc_message *m, const struct rpyc_frame *f, uint64_t ns)
{
	bool failed = m->type == RPYC_EXCEPTION;
	struct brine_reader args = m->args;
	struct rpc_birth birth;
	struct rpc_open open;
	struct rpc_row *row;
	struct rpyc_box box;

	t->way[d].answers++;
	if (failed)
		exception(t, d, m);
	if (!take_open(&c->way[!d], m->seq, &open)) {
		t->orphans++;
		return;
	}
	row = t->rows.row[open.row];
	row->bytes_in += f->wire_len;
	rpc_row_answered(row, ns_since(open.start_ns, ns), failed);
	if (open.async)
		t->dels++;
	else
		count_trip(t, c, !d, &open, ns_since(open.start_ns, ns));
	if (open.event >= 0) {
		t->event[open.event].end_ns = ns;
		t->event[open.event].failed = failed;
	}
	birth = (struct rpc_birth){ .at_server = d == 1,
				    .root = row->handler == RPYC_GETROOT,
				    .creator = open.row,
				    .label = open.label,
				    .ns = ns };
	if (!failed && rpyc_box_next(&args, &box, NULL))
		see_box(t, c, d, &box, &birth);
	shrink(t, &c->way[!d]);
}

int rpc_calls_message(struct rpc_tracker *t, struct rpc_connection *c, int d,
		      const struct rpyc_message *m, const struct rpyc_frame *f, uint64_t begin_ns,
		      uint64_t ns, struct err *e)
{
	t->layout = (int)m->layout;
	if (m->type == RPYC_REQUEST)
		return request(t, c, d, m, f, begin_ns, ns, e);
	answer(t, c, d, m, f, ns);
	return 0;
}

void rpc_calls_end(struct rpc_tracker *t, struct rpc_connection *c)
{
	for (int d = 0; d < 2; d++) {
		struct rpc_direction *way = &c->way[d];

		for (size_t i = 0; i < way->n_open; i++)
			t->unanswered += !way->open[i].async;
		way->n_open = 0;
		for (size_t i = 0; i < RPC_CHAT_DEPTH; i++)
			rpc_chat_end(&way->chat[i], &t->chatty);
	}
}
