#include "peer/rpyc-session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "peer/rpyc-group.h"
#include "proto/rpyc-exception.h"

enum { ROOT_MAX = 256, STEADY_MAX = 4096, DETAIL_MAX = 160 };
/* A server that serves one client at a time and goes between two of them is not there for a while. */
#define ABSENT_WAIT (300 * NS_PER_MS)
#define ABSENT_WAIT_KNOWN (2 * NS_PER_SEC) /* it has been there before */
#define ABSENT_AGAIN (5 * NS_PER_MS)
#define LEAVE_WAIT (200 * NS_PER_MS)

const char *const rpyc_phases[] = { "phase.tcp", "phase.tls", "phase.root", "phase.answer", NULL };
enum { MARK_TCP, MARK_TLS, MARK_ROOT, MARK_ANSWER };

enum phase {
	PHASE_CLOSED,
	PHASE_CONNECTING,
	PHASE_ROOT,
	PHASE_VERSION,
	PHASE_IDLE,
	PHASE_CALLING,
	PHASE_LEAVING,
};
enum tag { TAG_ROOT, TAG_VERSION, TAG_METHOD, TAG_ANSWER, TAG_DEL };

/* One of the calls that are under way at once. */
struct call {
	const struct rpyc_exchange *x;
	uint8_t method[ROOT_MAX]; /* id pack of the bound method, in Python's sequence */
	size_t method_len;
};

struct rpyc_session {
	struct session s;
	struct rpyc_plan *plan;
	struct rpyc_group *group;
	struct rpyc_link link;
	struct timer timer; /* of waiting: for a server to come back, for its end */
	enum phase phase;
	bool opening, asking; /* asking: which layout and version the server speaks */
	bool used;	      /* the connection has carried an operation */
	uint64_t *answered_count;
	uint64_t serial; /* of operations */
	uint64_t began_ns;
	struct outcome o;
	char detail[DETAIL_MAX];
	uint8_t root[ROOT_MAX];
	size_t root_len;
	struct call *call; /* plan->in_flight */
	size_t issued, finished, total;
	uint8_t steady[STEADY_MAX]; /* the first answer, or its length and sum */
	size_t steady_len;
	bool has_steady;
};

static struct rpyc_session *self(struct session *s)
{
	return CONTAINER_OF(s, struct rpyc_session, s);
}

static void tell(struct rpyc_session *r)
{
	struct outcome o = r->o;

	r->o = (struct outcome){ 0 };
	r->opening = false;
	r->s.done(&r->s, &o);
}

static void fail(struct rpyc_session *r, const char *word, const char *detail)
{
	if (!r->o.failure) {
		snprintf(r->detail, sizeof(r->detail), "%.*s", DETAIL_MAX - 1, detail);
		r->o.failure = word;
		r->o.detail = r->detail;
	}
	if (!r->o.done_ns)
		r->o.done_ns = loop_now(r->s.loop);
}

/* --- ends of connections --------------------------------------------------------------------------------------- */

static void left(struct rpyc_session *r)
{
	timer_cancel(r->s.loop, &r->timer);
	rpyc_link_close(&r->link);
	r->phase = PHASE_CLOSED;
	tell(r);
}

static void waited(struct timer *t, uint64_t now)
{
	(void)now;
	left(CONTAINER_OF(t, struct rpyc_session, timer));
}

/* Says good-bye and waits until the server has ended its part: the next connection should not meet it. `tell` follows. */
static void leave(struct rpyc_session *r)
{
	if (!rpyc_link_is_open(&r->link)) {
		left(r);
		return;
	}
	r->phase = PHASE_LEAVING;
	timer_set(r->s.loop, &r->timer, loop_now(r->s.loop) + LEAVE_WAIT, waited);
	if (r->plan->work == RPYC_WORK_CONNECT) {
		shutdown(r->link.fd, SHUT_WR);
		return;
	}
	rpyc_put_request(&r->link.out, r->link.layout, rpyc_link_begin(&r->link), RPYC_CLOSE);
	rpyc_put_value_box(&r->link.out);
	brine_put_tuple(&r->link.out, 0);
	rpyc_link_end_silent(&r->link);
	rpyc_link_flush(&r->link);
}

/* The operation, or the opening, is over. */
static void conclude(struct rpyc_session *r)
{
	bool keep = r->plan->work == RPYC_WORK_CALL && !r->plan->fresh;

	if (!r->opening && !r->o.failure && r->answered_count)
		++*r->answered_count;
	if (r->o.failure && !rpyc_link_is_open(&r->link))
		r->s.broken = keep || r->opening;
	if (keep && rpyc_link_is_open(&r->link)) {
		r->phase = PHASE_IDLE;
		tell(r);
		return;
	}
	leave(r);
}

/* --- connecting ------------------------------------------------------------------------------------------------ */

static void begin_connect(struct rpyc_session *r)
{
	r->phase = PHASE_CONNECTING;
	r->used = false;
	r->link.first_ns = 0;
	r->o.sent_ns = loop_now(r->s.loop);
	rpyc_link_connect(&r->link, &r->plan->server);
}

static void retry(struct timer *t, uint64_t now)
{
	(void)now;
	begin_connect(CONTAINER_OF(t, struct rpyc_session, timer));
}

static void ask_root(struct rpyc_session *r)
{
	r->phase = PHASE_ROOT;
	rpyc_put_request(&r->link.out, r->link.layout, rpyc_link_begin(&r->link), RPYC_GETROOT);
	rpyc_put_value_box(&r->link.out);
	brine_put_tuple(&r->link.out, 0);
	rpyc_link_end(&r->link, TAG_ROOT, NULL, 0);
	rpyc_link_flush(&r->link);
}

static void connected(struct rpyc_link *l)
{
	struct rpyc_session *r = CONTAINER_OF(l, struct rpyc_session, link);

	if (l->tls) {
		r->o.mark_ns[MARK_TCP] = r->o.sent_ns + l->tcp_ns;
		r->o.mark_ns[MARK_TLS] = r->o.sent_ns + l->tls_ns;
	} else {
		r->o.mark_ns[MARK_TCP] = loop_now(r->s.loop);
	}
	if (r->plan->work != RPYC_WORK_CONNECT) {
		ask_root(r);
		return;
	}
	r->o.first_ns = r->o.done_ns = r->o.mark_ns[MARK_TCP];
	conclude(r);
}

static struct brine_reader root_of(const struct rpyc_session *r)
{
	return (struct brine_reader){ r->root, r->root + r->root_len };
}

/* An attribute that no service has: the exception says which version it comes from. */
static void ask_version(struct rpyc_session *r)
{
	struct brine_reader root = root_of(r);

	r->phase = PHASE_VERSION;
	rpyc_put_getattr(&r->link.out, r->link.layout, rpyc_link_begin(&r->link), &root,
			 "mpbench_asks_the_version");
	rpyc_link_end(&r->link, TAG_VERSION, NULL, 0);
	rpyc_link_flush(&r->link);
}

static void begin_calls(struct rpyc_session *r);

static void stands(struct rpyc_session *r)
{
	r->asking = false;
	if (!r->opening && r->plan->work == RPYC_WORK_CALL) {
		begin_calls(r);
		return;
	}
	r->o.done_ns = loop_now(r->s.loop);
	conclude(r);
}

static void got_root(struct rpyc_session *r, struct rpyc_message *m)
{
	struct rpyc_box box;
	size_t len;

	r->o.mark_ns[MARK_ROOT] = loop_now(r->s.loop);
	r->o.first_ns = r->link.first_ns;
	if (m->type != RPYC_REPLY || !rpyc_box_next(&m->args, &box, NULL) ||
	    box.label != RPYC_REMOTE_REF ||
	    (len = (size_t)(box.id.raw.end - box.id.raw.at)) > sizeof(r->root)) {
		fail(r, "no-root", "the server gave no root object");
		rpyc_link_close(&r->link);
		conclude(r);
		return;
	}
	memcpy(r->root, box.id.raw.at, len);
	r->root_len = len;
	rpyc_facts_service(r->plan->facts, r->link.layout, &box.id);
	r->group->tally.round_trips++;
	if (r->asking)
		ask_version(r);
	else
		stands(r);
}

/* --- calls ----------------------------------------------------------------------------------------------------- */

static void put_arguments(struct rpyc_session *r, const struct rpyc_exchange *x)
{
	struct buf *b = &r->link.out;

	brine_put_tuple(b, x->n_args + x->has_payload);
	buf_add(b, x->args, x->args_len);
	if (x->has_payload) {
		brine_put_bytes_head(b, x->payload_len);
		rpyc_link_outside(&r->link);
	}
	rpyc_put_value_box(b);
	brine_put_tuple(b, x->n_kwargs);
	buf_add(b, x->kwargs, x->kwargs_len);
}

static void send_call(struct rpyc_session *r, size_t slot, const struct brine_reader *method)
{
	const struct rpyc_exchange *x = r->call[slot].x;
	int64_t seq = rpyc_link_begin(&r->link);
	struct brine_reader root = root_of(r);

	if (method)
		rpyc_put_call(&r->link.out, r->link.layout, seq, method);
	else
		rpyc_put_callattr(&r->link.out, r->link.layout, seq, &root, x->name);
	put_arguments(r, x);
	rpyc_link_end(&r->link, slot << 8 | TAG_ANSWER, x->payload,
		      x->has_payload ? x->payload_len : 0);
}

/* The next exchange in that slot, not yet flushed. */
static void issue(struct rpyc_session *r, size_t slot)
{
	struct brine_reader root = root_of(r);

	r->call[slot].x = &r->plan->exchange[r->issued++ % r->plan->n_exchanges];
	if (!r->plan->python) {
		send_call(r, slot, NULL);
		return;
	}
	rpyc_put_getattr(&r->link.out, r->link.layout, rpyc_link_begin(&r->link), &root,
			 r->call[slot].x->name);
	rpyc_link_end(&r->link, slot << 8 | TAG_METHOD, NULL, 0);
}

static void begin_calls(struct rpyc_session *r)
{
	r->phase = PHASE_CALLING;
	r->issued = r->finished = 0;
	r->total = r->plan->n_exchanges > 1 ? r->plan->n_exchanges : r->plan->in_flight;
	r->group->tally.reused += r->used;
	r->used = true;
	r->link.first_ns = 0;
	if (!r->plan->fresh)
		r->o.sent_ns = loop_now(r->s.loop);
	for (size_t i = 0; i < r->plan->in_flight && i < r->total; i++)
		issue(r, i);
	rpyc_link_flush(&r->link);
}

static void release(struct rpyc_session *r, const struct brine_reader *raw)
{
	rpyc_put_del(&r->link.out, r->link.layout, rpyc_link_begin(&r->link), raw, 1);
	rpyc_link_end(&r->link, TAG_DEL, NULL, 0);
	r->group->tally.refs_released++;
}

static int release_ref(void *ctx, const struct rpyc_id *id)
{
	struct rpyc_session *r = ctx;

	r->group->tally.refs_received++;
	release(r, &id->raw);
	return 0;
}

static uint64_t sum_of(const uint8_t *p, size_t len)
{
	uint64_t sum = len, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 29;
	}
	for (; len > 0; p++, len--)
		sum = (sum ^ *p) * UINT64_C(0x9e3779b97f4a7c15);
	return sum;
}

/* Whether it is what the session's first answer was. */
static bool is_steady(struct rpyc_session *r, const uint8_t *p, size_t len)
{
	uint64_t sum;

	if (len > STEADY_MAX) {
		sum = sum_of(p, len);
		p = (const uint8_t *)&sum;
		len = sizeof(sum);
	}
	if (!r->has_steady) {
		memcpy(r->steady, p, len);
		r->steady_len = len;
		r->has_steady = true;
	}
	return len == r->steady_len && memcmp(p, r->steady, len) == 0;
}

static bool is_string(struct brine_reader value, struct brine_item *out)
{
	return brine_next(&value, out) && (out->type == BRINE_BYTES || out->type == BRINE_STR);
}

static bool is_as_expected(struct rpyc_session *r, const struct rpyc_exchange *x,
			   const struct rpyc_box *box)
{
	struct brine_reader v = box->value;
	struct brine_item item;
	int64_t n;

	if (x->check != RPYC_CHECK_NONE && box->label != RPYC_VALUE)
		return false;
	switch (x->check) {
	case RPYC_CHECK_NONE:
		return true;
	case RPYC_CHECK_STEADY:
		return is_steady(r, v.at, (size_t)(v.end - v.at));
	case RPYC_CHECK_ECHO:
		return is_string(v, &item) && item.len == x->payload_len &&
		       (item.len == 0 || memcmp(item.data, x->payload, item.len) == 0);
	case RPYC_CHECK_LENGTH:
		return is_string(v, &item) && item.len == x->length &&
		       is_steady(r, item.data, item.len);
	case RPYC_CHECK_COUNT:
		return brine_take(&v, BRINE_NONE, &item) ||
		       (brine_take_int(&v, &n) && n >= 0 && (uint64_t)n == x->length);
	case RPYC_CHECK_VALUE:
		return (size_t)(v.end - v.at) == x->expect_len &&
		       memcmp(v.at, x->expect, x->expect_len) == 0;
	}
	return false;
}

static void not_as_expected(struct rpyc_session *r, const struct rpyc_exchange *x,
			    const struct rpyc_box *box)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct brine_reader v = box->value;
	char detail[DETAIL_MAX];

	if (box->label == RPYC_VALUE)
		brine_add_text(&text, &v, 60);
	else
		buf_adds(&text, "a reference");
	snprintf(detail, sizeof(detail), "%.40s() answered %s, not what was expected", x->name,
		 buf_text(&text));
	fail(r, "corrupt", detail);
}

static void remote_exception(struct rpyc_session *r, struct rpyc_message *m)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct rpyc_exception ex;
	const char *why = NULL;

	if (rpyc_exception_parse(m, &ex, &why) < 0) {
		fail(r, "remote-other", why);
		return;
	}
	rpyc_facts_version(r->plan->facts, ex.remote_version.text, ex.remote_version.len);
	rpyc_exception_add_text(&text, &ex, DETAIL_MAX - 1);
	fail(r, rpyc_facts_word(r->plan->facts, ex.name.text, ex.name.len), buf_text(&text));
}

/* The answer of a call: its time first, then whether it is right. */
static void got_answer(struct rpyc_session *r, size_t slot, struct rpyc_message *m)
{
	const struct rpyc_exchange *x = r->call[slot].x;
	struct rpyc_box box = { 0 };
	struct brine_item item;
	bool is_box = m->type == RPYC_REPLY && rpyc_box_next(&m->args, &box, NULL);
	uint64_t serial = r->serial;

	if (r->plan->python) {
		struct call *c = &r->call[slot];
		struct brine_reader method = { c->method, c->method + c->method_len };

		release(r, &method);
		rpyc_link_flush(&r->link);
		if (r->serial != serial || r->phase != PHASE_CALLING)
			return;
	}
	if (++r->finished == r->total)
		r->o.done_ns = r->o.mark_ns[MARK_ANSWER] = loop_now(r->s.loop);
	r->group->tally.round_trips++;
	if (m->type == RPYC_EXCEPTION) {
		remote_exception(r, m);
	} else if (!is_box) {
		fail(r, "bad-answer", "a reply without a value");
	} else {
		if (!is_as_expected(r, x, &box))
			not_as_expected(r, x, &box);
		r->o.bytes += x->has_payload ? x->payload_len : 0;
		if ((x->check == RPYC_CHECK_ECHO || x->check == RPYC_CHECK_LENGTH) &&
		    is_string(box.value, &item))
			r->o.bytes += item.len;
		rpyc_box_each_ref(&box, RPYC_REMOTE_REF, release_ref, r);
	}
	if (r->issued < r->total && !r->o.failure) {
		issue(r, slot);
	} else if (r->finished == r->issued) {
		r->o.first_ns = r->link.first_ns;
		if (!r->o.done_ns)
			r->o.done_ns = loop_now(r->s.loop);
		conclude(r);
		if (r->serial != serial || r->phase != PHASE_IDLE)
			return;
	}
	rpyc_link_flush(&r->link);
}

static void got_method(struct rpyc_session *r, size_t slot, struct rpyc_message *m)
{
	struct call *c = &r->call[slot];
	struct brine_reader raw;
	struct rpyc_box box;

	if (m->type == RPYC_REPLY && rpyc_box_next(&m->args, &box, NULL) &&
	    box.label == RPYC_REMOTE_REF &&
	    (size_t)(box.id.raw.end - box.id.raw.at) <= sizeof(c->method)) {
		c->method_len = (size_t)(box.id.raw.end - box.id.raw.at);
		memcpy(c->method, box.id.raw.at, c->method_len);
		raw = (struct brine_reader){ c->method, c->method + c->method_len };
		r->group->tally.round_trips++;
		r->group->tally.refs_received++;
		send_call(r, slot, &raw);
		rpyc_link_flush(&r->link);
		return;
	}
	if (m->type == RPYC_EXCEPTION)
		remote_exception(r, m);
	else
		fail(r, "bad-answer", "the attribute is no method");
	r->finished++;
	if (r->finished == r->issued)
		conclude(r);
}

static void answer(struct rpyc_link *l, uint64_t tag, struct rpyc_message *m)
{
	struct rpyc_session *r = CONTAINER_OF(l, struct rpyc_session, link);
	size_t slot = tag >> 8;

	switch ((enum tag)(tag & 0xff)) {
	case TAG_ROOT:
		got_root(r, m);
		return;
	case TAG_VERSION:
		if (m->type == RPYC_EXCEPTION) {
			struct rpyc_exception ex;
			const char *why;

			if (rpyc_exception_parse(m, &ex, &why) == 0)
				rpyc_facts_version(r->plan->facts, ex.remote_version.text,
						   ex.remote_version.len);
		}
		stands(r);
		return;
	case TAG_METHOD:
		got_method(r, slot, m);
		return;
	case TAG_ANSWER:
		got_answer(r, slot, m);
		return;
	case TAG_DEL: /* nobody waits for it */
		return;
	}
}

/* --- failures -------------------------------------------------------------------------------------------------- */

/*
 * Set-up may meet a server between two lives: nobody listens, or the listener of the last one goes with the connections that
 * it had not accepted.
 */
static bool is_absent(struct rpyc_session *r, const char *word)
{
	bool known = rpyc_facts_layout(r->plan->facts) != RPYC_LAYOUT_NONE;
	bool unheard = strcmp(word, "reset") == 0 && !r->link.first_ns;

	return r->opening && (unheard || strcmp(word, "refused") == 0) &&
	       loop_now(r->s.loop) - r->began_ns < (known ? ABSENT_WAIT_KNOWN : ABSENT_WAIT);
}

static void link_failed(struct rpyc_link *l, const char *word, const char *detail)
{
	struct rpyc_session *r = CONTAINER_OF(l, struct rpyc_session, link);

	switch (r->phase) {
	case PHASE_LEAVING:
		left(r);
		return;
	case PHASE_CLOSED:
	case PHASE_IDLE:
		r->phase = PHASE_CLOSED;
		return;
	default:
		break;
	}
	/* the layout of 5 was a try: a server of 6 says so in its own */
	if (r->asking && l->layout != RPYC_LAYOUT_6 && l->layout_seen == RPYC_LAYOUT_6) {
		l->layout = RPYC_LAYOUT_6;
		begin_connect(r);
		return;
	}
	if (is_absent(r, word)) {
		timer_set(r->s.loop, &r->timer, loop_now(r->s.loop) + ABSENT_AGAIN, retry);
		return;
	}
	fail(r, word, detail);
	conclude(r);
}

static const struct rpyc_link_ops link_ops = { connected, answer, link_failed };

/* --- the session ----------------------------------------------------------------------------------------------- */

static void choose_layout(struct rpyc_session *r)
{
	enum rpyc_layout known = rpyc_facts_layout(r->plan->facts);

	r->asking = known == RPYC_LAYOUT_NONE;
	r->link.layout = r->asking ? RPYC_LAYOUT_5 : known;
}

static void session_open(struct session *s)
{
	struct rpyc_session *r = self(s);
	bool keep = r->plan->work == RPYC_WORK_CALL && !r->plan->fresh;

	r->o = (struct outcome){ 0 };
	r->opening = true;
	r->began_ns = loop_now(s->loop);
	choose_layout(r);
	if (keep || (r->asking && r->plan->work != RPYC_WORK_CONNECT)) {
		begin_connect(r);
		return;
	}
	r->o.sent_ns = r->o.done_ns = r->began_ns;
	tell(r);
}

static void session_start(struct session *s)
{
	struct rpyc_session *r = self(s);

	r->serial++;
	r->o = (struct outcome){ 0 };
	if (r->plan->work != RPYC_WORK_CALL || r->plan->fresh) {
		choose_layout(r);
		begin_connect(r);
		return;
	}
	if (!rpyc_link_is_open(&r->link)) {
		r->o.sent_ns = loop_now(s->loop);
		fail(r, "closed", "the server closed the connection between two calls");
		conclude(r);
		return;
	}
	begin_calls(r);
}

static void session_cancel(struct session *s)
{
	struct rpyc_session *r = self(s);

	timer_cancel(s->loop, &r->timer);
	rpyc_link_close(&r->link);
	r->phase = PHASE_CLOSED;
}

static void session_close(struct session *s)
{
	struct rpyc_session *r = self(s);

	r->o = (struct outcome){ 0 };
	leave(r);
}

static void session_free(struct session *s)
{
	struct rpyc_session *r = self(s);

	timer_cancel(s->loop, &r->timer);
	rpyc_link_done(&r->link);
	rpyc_group_leave(r->plan, r->group);
	free(r->call);
	free(r);
}

static void session_stalled(struct session *s, char *out, size_t size)
{
	struct rpyc_session *r = self(s);
	size_t inside = rpyc_reader_pending(&r->link.in);

	if (r->phase == PHASE_CONNECTING)
		snprintf(out, size, "the connection was not accepted");
	else if (inside)
		snprintf(out, size, "%zu bytes of an answer came, and no more", inside);
	else if (r->phase == PHASE_CALLING)
		snprintf(out, size, "%zu of %zu calls were answered", r->finished, r->total);
	else
		snprintf(out, size, "the server did not answer the first request");
}

static const struct session_ops session_ops = { .open = session_open,
						.start = session_start,
						.cancel = session_cancel,
						.close = session_close,
						.free = session_free,
						.stalled = session_stalled };

int rpyc_session_new(struct rpyc_plan *p, struct loop *loop, uint64_t *answered,
		     struct session **out, struct err *e)
{
	struct rpyc_session *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	r->s.ops = &session_ops;
	r->s.loop = loop;
	r->plan = p;
	r->answered_count = answered;
	r->call = calloc(p->in_flight ? p->in_flight : 1, sizeof(*r->call));
	if (!r->call || rpyc_group_join(p, loop, &r->group, e) < 0) {
		if (!r->call)
			err_nomem(e);
		free(r->call);
		free(r);
		return -1;
	}
	rpyc_link_init(&r->link, loop, &link_ops, r->group->zip, &r->group->tally, p->max_answer);
	r->link.compress = p->compress;
	if (p->place && p->work != RPYC_WORK_CONNECT &&
	    rpyc_link_use_tls(&r->link, r->group->curl, p->place, e) < 0) {
		session_free(&r->s);
		return -1;
	}
	*out = &r->s;
	return 0;
}
