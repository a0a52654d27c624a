/* test-rpc-tracker - calls, nesting, references, loops and their times from made-up conversations */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "peer/rpc-tracker.h"
#include "proto/rpyc-exception.h"
#include "unit/rpc-vectors.h"

enum { ROOT = 1, THING = 2, METHOD = 3, FUNCTION = 4, C = 0 /* connection */ };

struct talk {
	struct rpc_tracker t;
	struct buf b;
	struct rpc_capture_record r;
	enum rpyc_layout layout;
	uint64_t now;
};

static void begin(struct talk *k, enum rpyc_layout layout)
{
	struct rpc_tracker_params p = { .slow_ns = 5 * NS_PER_MS, .max_events = 1000 };
	struct err e;

	*k = (struct talk){ .layout = layout, .now = NS_PER_SEC };
	assert_int_equal(rpc_tracker_init(&k->t, &p, &e), 0);
	k->r = (struct rpc_capture_record){ .kind = RPC_CAPTURE_OPEN, .ns = k->now };
	assert_int_equal(rpc_tracker_take(&k->t, &k->r, &e), 0);
}

static void end(struct talk *k)
{
	rpc_tracker_done(&k->t);
	buf_done(&k->b);
}

/* Bytes to the server or to the client, at the time after `ns`. */
static void bytes(struct talk *k, bool to_server, const void *data, size_t len, uint64_t ns)
{
	struct err e;

	k->now += ns;
	k->r = (struct rpc_capture_record){ .kind = to_server ? RPC_CAPTURE_TO_SERVER
							      : RPC_CAPTURE_TO_CLIENT,
					    .connection = C,
					    .ns = k->now,
					    .data = data,
					    .len = len,
					    .delay_ns = 10 };
	assert_int_equal(rpc_tracker_take(&k->t, &k->r, &e), 0);
}

static size_t head(struct talk *k)
{
	size_t at;

	buf_clear(&k->b);
	assert_int_equal(rpyc_frame_begin(&k->b, &at), 0);
	return at;
}

static void send(struct talk *k, bool to_server, size_t at, uint64_t ns)
{
	assert_int_equal(rpyc_frame_end(&k->b, at, 0), 0);
	bytes(k, to_server, k->b.data, k->b.len, ns);
}

static void put_id(struct buf *b, int64_t id)
{
	static const char *const names[] = { [ROOT] = "__main__.Service",
					     [THING] = "__main__.Thing",
					     [METHOD] = "builtins.method",
					     [FUNCTION] = "builtins.function" };

	rpyc_put_id(b, names[id], 100 + id, id);
}

/* getattr or call of an object that lives over there. */
static void ask(struct talk *k, bool to_server, int64_t seq, int64_t object, const char *name,
		uint64_t ns)
{
	struct buf id = BUF_INIT;
	struct brine_reader raw;
	const char *why;
	size_t at = head(k);

	put_id(&id, object);
	assert_int_equal(brine_open(&raw, id.data, id.len, NULL, &why), 0);
	if (name) {
		rpyc_put_getattr(&k->b, k->layout, seq, &raw, name);
	} else {
		rpyc_put_call(&k->b, k->layout, seq, &raw);
		rpyc_put_value_box(&k->b);
		brine_put_tuple(&k->b, 0);
		rpyc_put_value_box(&k->b);
		brine_put_tuple(&k->b, 0);
	}
	send(k, to_server, at, ns);
	buf_done(&id);
}

static void ask_root(struct talk *k, int64_t seq, uint64_t ns)
{
	size_t at = head(k);

	rpyc_put_request(&k->b, k->layout, seq, RPYC_GETROOT);
	rpyc_put_value_box(&k->b);
	brine_put_tuple(&k->b, 0);
	send(k, true, at, ns);
}

/* 0: the value None; else a reference to an object of the one who answers. */
static void tell(struct talk *k, bool to_server, int64_t seq, int64_t object, uint64_t ns)
{
	struct buf id = BUF_INIT;
	struct brine_reader raw;
	const char *why;
	size_t at = head(k);

	rpyc_put_reply(&k->b, k->layout, seq);
	if (object) {
		put_id(&id, object);
		assert_int_equal(brine_open(&raw, id.data, id.len, NULL, &why), 0);
		rpyc_put_remote_ref(&k->b, &raw);
	} else {
		rpyc_put_value_box(&k->b);
		brine_put_none(&k->b);
	}
	send(k, to_server, at, ns);
	buf_done(&id);
}

static void give_back(struct talk *k, bool to_server, int64_t seq, int64_t object, int64_t count,
		      uint64_t ns)
{
	struct buf id = BUF_INIT;
	struct brine_reader raw;
	const char *why;
	size_t at = head(k);

	put_id(&id, object);
	assert_int_equal(brine_open(&raw, id.data, id.len, NULL, &why), 0);
	rpyc_put_del(&k->b, k->layout, seq, &raw, count);
	send(k, to_server, at, ns);
	buf_done(&id);
}

static const struct rpc_row *row(const struct talk *k, const char *name)
{
	static const struct rpc_row none;

	for (size_t i = 0; i < k->t.rows.n; i++)
		if (strcmp(k->t.rows.row[i]->name, name) == 0)
			return k->t.rows.row[i];
	fail_msg("no row %s", name);
	return &none;
}

static const struct rpc_class *kind(const struct talk *k, const char *name)
{
	static const struct rpc_class none;

	for (size_t i = 0; i < k->t.objects.n; i++)
		if (strcmp(k->t.objects.kind[i].name, name) == 0)
			return &k->t.objects.kind[i];
	fail_msg("no class %s", name);
	return &none;
}

static void calls_have_names_and_times(void **state)
{
	static const enum rpyc_layout layouts[] = { RPYC_LAYOUT_5, RPYC_LAYOUT_6 };
	struct talk k;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(&k, layouts[i]);
		ask_root(&k, 0, 0);
		tell(&k, false, 0, ROOT, 100);
		ask(&k, true, 1, ROOT, "ping", 10);
		tell(&k, false, 1, METHOD, 200);
		ask(&k, true, 2, METHOD, NULL, 10);
		tell(&k, false, 2, 0, 6 * NS_PER_MS);
		give_back(&k, true, 3, METHOD, 1, 50);
		tell(&k, false, 3, 0, 30);
		assert_int_equal(k.t.round_trips, 3);
		assert_int_equal(k.t.dels, 1);
		assert_int_equal(k.t.layout, layouts[i]);
		assert_int_equal(row(&k, "getroot")->total_ns, 100);
		assert_int_equal(row(&k, "getattr Service.ping")->total_ns, 200);
		assert_int_equal(row(&k, "call Service.ping")->total_ns, 6 * NS_PER_MS);
		assert_int_equal(k.t.slow_calls, 1);
		assert_int_equal(k.t.slow[0].ns, 6 * NS_PER_MS);
		assert_int_equal(k.t.max_depth, 1);
		assert_int_equal(kind(&k, "builtins.method")->released, 1);
		assert_int_equal(kind(&k, "builtins.method")->life_max_ns, 10 + 6 * NS_PER_MS + 50);
		assert_int_equal(kind(&k, "builtins.method")->uses, 1);
		rpc_tracker_finish(&k.t);
		assert_int_equal(k.t.objects.left, 0);
		assert_int_equal(k.t.unanswered, 0);
		end(&k);
	}
}

static void callbacks_nest(void **state)
{
	struct talk k;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	ask(&k, true, 0, ROOT, NULL, 10);      /* event 0 */
	ask(&k, false, 0, FUNCTION, NULL, 10); /* 1: made from 0 */
	ask(&k, true, 1, ROOT, "item", 10);    /* 2: made from 1 */
	tell(&k, false, 1, METHOD, 10);
	give_back(&k, true, 2, METHOD, 1, 10); /* 3: nobody's */
	ask(&k, false, 1, FUNCTION, NULL, 10); /* 4: made from 0, not from a release */
	tell(&k, true, 1, 0, 10);
	tell(&k, true, 0, 0, 10);
	tell(&k, false, 2, 0, 10);
	tell(&k, false, 0, 0, 10);
	ask(&k, true, 3, ROOT, "last", 10); /* 5 */
	assert_int_equal(k.t.max_depth, 3);
	assert_int_equal(k.t.n_events, 6);
	assert_int_equal(k.t.event[0].parent, -1);
	assert_int_equal(k.t.event[1].parent, 0);
	assert_int_equal(k.t.event[2].parent, 1);
	assert_int_equal(k.t.event[3].parent, -1);
	assert_true(k.t.event[3].async);
	assert_int_equal(k.t.event[4].parent, 0);
	assert_int_equal(k.t.event[5].parent, -1);
	assert_int_equal(k.t.event[5].end_ns, 0);
	/* two of the server's requests were under way in one call */
	assert_int_equal(k.t.overlapping, 1);
	rpc_tracker_finish(&k.t);
	assert_int_equal(k.t.unanswered, 1);
	end(&k);
}

static void what_is_held_at_the_end_is_left(void **state)
{
	struct talk k;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	ask_root(&k, 0, 0);
	tell(&k, false, 0, ROOT, 1);
	ask(&k, true, 1, ROOT, "thing", 1);
	tell(&k, false, 1, THING, 1);
	ask(&k, true, 2, ROOT, "thing", 1);
	tell(&k, false, 2, THING, 1); /* the same object: two references */
	give_back(&k, true, 3, THING, 1, 30);
	assert_int_equal(kind(&k, "__main__.Thing")->created, 1);
	assert_int_equal(kind(&k, "__main__.Thing")->released, 0);
	assert_int_equal(k.t.objects.alive, 2);
	rpc_tracker_finish(&k.t);
	assert_int_equal(kind(&k, "__main__.Thing")->left, 1);
	assert_int_equal(kind(&k, "__main__.Thing")->held_max_ns, 1 + 1 + 30);
	assert_int_equal(kind(&k, "__main__.Thing")->held_total_ns, 1 + 1 + 30);
	assert_int_equal(kind(&k, "__main__.Service")->held_max_ns, 0);
	assert_int_equal(k.t.objects.left, 1); /* not the root */
	assert_int_equal(k.t.objects.peak, 2);
	end(&k);
}

static void loops_are_found_with_what_they_cost(void **state)
{
	struct talk k;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	for (int i = 0; i < 12; i++) {
		ask(&k, true, 2 * i, ROOT, "item", 7);
		tell(&k, false, 2 * i, METHOD, i == 3 ? 90 : 100);
		ask(&k, true, 2 * i + 1, METHOD, NULL, 7);
		tell(&k, false, 2 * i + 1, 0, 200);
	}
	ask(&k, true, 100, ROOT, "other", 1);
	tell(&k, false, 100, 0, 1);
	for (int i = 0; i < 4; i++) { /* too few */
		ask(&k, true, 200 + i, ROOT, "few", 1);
		tell(&k, false, 200 + i, 0, 1);
	}
	rpc_tracker_finish(&k.t);
	assert_int_equal(k.t.chatty.n, 1);
	assert_int_equal(k.t.chatty.loop[0].period, 2);
	assert_int_equal(k.t.chatty.loop[0].repeats, 12);
	assert_int_equal(k.t.chatty.loop[0].trips, 24);
	assert_int_equal(k.t.chatty.loop[0].total_ns, 12 * 300 - 10);
	assert_int_equal(k.t.chatty.loop[0].saved_ns, 23 * 90);
	end(&k);
}

static void exceptions_are_told_by_type(void **state)
{
	struct talk k;
	size_t at;

	(void)state;
	begin(&k, RPYC_LAYOUT_6);
	ask(&k, true, 0, ROOT, "x", 0);
	at = head(&k);
	rpyc_put_exception(&k.b, RPYC_LAYOUT_6, 0, "builtins", "KeyError", "nothing", "6.0.1");
	send(&k, false, at, 1);
	at = head(&k);
	rpyc_put_exception(&k.b, RPYC_LAYOUT_6, 77, "builtins", "KeyError", "again", "6.0.1");
	send(&k, false, at, 1);
	assert_int_equal(k.t.n_faults, 1);
	assert_int_equal(k.t.fault[0].n, 2);
	assert_string_equal(k.t.fault[0].name, "KeyError");
	assert_non_null(strstr(k.t.fault[0].text, "again"));
	assert_string_equal(k.t.version[1], "6.0.1");
	assert_int_equal(row(&k, "getattr Service.x")->errors, 1);
	assert_int_equal(k.t.orphans, 1);
	end(&k);
}

static void frames_may_come_in_any_pieces(void **state)
{
	struct talk k;
	struct buf all = BUF_INIT;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	ask(&k, true, 0, ROOT, "a", 0);
	buf_add(&all, k.b.data, k.b.len);
	ask(&k, true, 1, ROOT, "b", 0);
	buf_add(&all, k.b.data, k.b.len);
	end(&k);
	for (size_t step = 1; step < all.len; step++) {
		begin(&k, RPYC_LAYOUT_5);
		for (size_t at = 0; at < all.len; at += step)
			bytes(&k, true, all.data + at, all.len - at < step ? all.len - at : step,
			      100);
		tell(&k, false, 0, 0, 1000);
		assert_int_equal(k.t.way[0].requests, 2);
		assert_int_equal(k.t.event[0].start_ns, NS_PER_SEC + 100);
		assert_int_equal(row(&k, "getattr Service.a")->answered, 1);
		end(&k);
	}
	buf_done(&all);
}

static void stalls_are_counted(void **state)
{
	struct talk k;
	size_t at;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	ask_root(&k, 0, 0);
	at = head(&k);
	rpyc_put_reply(&k.b, RPYC_LAYOUT_5, 0);
	rpyc_put_value_box(&k.b);
	brine_put_none(&k.b);
	assert_int_equal(rpyc_frame_end(&k.b, at, 0), 0);
	bytes(&k, false, k.b.data, k.b.len - 1, 100);
	bytes(&k, false, k.b.data + k.b.len - 1, 1, 40 * NS_PER_MS);
	assert_int_equal(k.t.stuck_frames, 1);
	assert_int_equal(k.t.round_trips_40ms, 1);
	end(&k);
}

/* RPyC writes such a frame in three pieces, of which the last can wait for an acknowledgement of the others. */
static void long_frames_are_counted(void **state)
{
	static const size_t sizes[] = { 10, RPC_SPLIT_ABOVE - 100, RPC_SPLIT_ABOVE + 1, 200000 };
	struct talk k;

	(void)state;
	begin(&k, RPYC_LAYOUT_6);
	for (size_t i = 0; i < 4; i++) {
		char *text = calloc(1, sizes[i]);
		size_t at = head(&k);

		assert_non_null(text);
		rpyc_put_request(&k.b, k.layout, (int64_t)i, RPYC_PING);
		rpyc_put_value_box(&k.b);
		brine_put_tuple(&k.b, 1);
		brine_put_bytes(&k.b, text, sizes[i]);
		send(&k, true, at, 1);
		free(text);
	}
	assert_int_equal(k.t.way[0].split_frames, 2);
	assert_int_equal(k.t.way[1].split_frames, 0);
	end(&k);
}

/* What RPyC 5.3 and 6.0 themselves wrote: every figure follows from the list of exchanges. */
static void recorded_conversations_are_seen_exactly(void **state)
{
	json_t *root = rpc_vectors_load(), *exchange, *frame;
	size_t i, n, total;
	struct talk k;

	(void)state;
	for (enum rpyc_layout layout = RPYC_LAYOUT_5; layout <= RPYC_LAYOUT_6; layout++) {
		const char *list = layout == RPYC_LAYOUT_5 ? "exchanges_5" : "exchanges_6";

		begin(&k, layout);
		total = 0;
		json_array_foreach(json_object_get(root, list), i, exchange)
			json_array_foreach(json_object_get(exchange, "frames"), n, frame)
		{
			const char *way = json_string_value(json_array_get(frame, 0));

			rpc_vectors_bytes(json_string_value(json_array_get(frame, 1)), &k.b);
			total += k.b.len;
			bytes(&k, way[0] == '>', k.b.data, k.b.len, 1000);
		}
		assert_int_equal(k.t.undecoded, 0);
		assert_int_equal(k.t.layout, layout);
		assert_int_equal(k.t.way[0].bytes + k.t.way[1].bytes, total);
		/* 22 of the client, 3 calls of its function; 2 DELs of the client, 1 of the server */
		assert_int_equal(k.t.round_trips, 25);
		assert_int_equal(k.t.dels, 3);
		assert_int_equal(k.t.nested, 3);
		assert_int_equal(k.t.max_depth, 2);
		assert_int_equal(k.t.faults_n, 5);
		assert_int_equal(k.t.n_faults, 4);
		assert_int_equal(k.t.way[1].packed_frames, 1);
		/* root, thing, method, the list in a tuple, the client's function */
		assert_int_equal(k.t.objects.created, 5);
		assert_int_equal(k.t.objects.released, 3);
		rpc_tracker_finish(&k.t);
		assert_int_equal(k.t.objects.left, 1);
		assert_int_equal(k.t.unanswered + k.t.orphans + k.t.overlapping, 0);
		assert_int_equal(row(&k, "call function")->answered, 3);
		assert_int_equal(row(&k, "callattr BenchService.ping")->answered, 1);
		end(&k);
	}
	json_decref(root);
}

/* Nobody answers: what is remembered of that stays small, however many connections do it. */
static void requests_of_many_connections_are_bounded(void **state)
{
	struct talk k;
	struct err e;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	for (uint32_t c = 0; c < 200; c++) {
		k.r = (struct rpc_capture_record){ .kind = RPC_CAPTURE_OPEN,
						   .connection = c,
						   .ns = k.now };
		assert_int_equal(rpc_tracker_take(&k.t, &k.r, &e), 0);
		for (int i = 0; i < 1000; i++) {
			size_t at = head(&k);

			rpyc_put_request(&k.b, k.layout, i, RPYC_GETROOT);
			rpyc_put_value_box(&k.b);
			brine_put_tuple(&k.b, 0);
			assert_int_equal(rpyc_frame_end(&k.b, at, 0), 0);
			k.r = (struct rpc_capture_record){ .kind = RPC_CAPTURE_TO_SERVER,
							   .connection = c,
							   .ns = k.now,
							   .data = k.b.data,
							   .len = k.b.len };
			assert_int_equal(rpc_tracker_take(&k.t, &k.r, &e), 0);
		}
		assert_true(k.t.open_room <= RPC_OPEN_ROOM + 200 * 8);
	}
	assert_true(k.t.unfollowed > 100000);
	rpc_tracker_finish(&k.t);
	assert_int_equal(k.t.open_room, 0);
	assert_int_equal(k.t.unfollowed + k.t.unanswered, 200 * 1000);
	end(&k);
}

/* Long frames that never end, on many connections. */
static void unfinished_frames_are_bounded(void **state)
{
	static const uint8_t frame[] = { 3, 0x80, 0, 0, 0 };
	enum { PIECE = 1 << 20, PIECES = 50, CONNECTIONS = 8 };
	uint8_t *piece = calloc(1, PIECE);
	struct talk k;
	struct err e;

	(void)state;
	assert_non_null(piece);
	begin(&k, RPYC_LAYOUT_5);
	for (uint32_t c = 0; c < CONNECTIONS; c++) {
		k.r = (struct rpc_capture_record){ .kind = RPC_CAPTURE_OPEN, .connection = c };
		assert_int_equal(rpc_tracker_take(&k.t, &k.r, &e), 0);
		for (int i = 0; i <= PIECES; i++) {
			k.r = (struct rpc_capture_record){ .kind = RPC_CAPTURE_TO_CLIENT,
							   .connection = c,
							   .data = i ? piece : frame,
							   .len = i ? PIECE : sizeof(frame) };
			assert_int_equal(rpc_tracker_take(&k.t, &k.r, &e), 0);
			assert_true(k.t.memory <= RPC_MEMORY_MAX);
		}
	}
	assert_in_range(k.t.undecoded, 1, CONNECTIONS - 1);
	assert_non_null(strstr(k.t.why, "unfinished"));
	rpc_tracker_finish(&k.t);
	assert_int_equal(k.t.memory, 0);
	end(&k);
	free(piece);
}

static void what_is_no_rpyc_is_given_up_and_told(void **state)
{
	struct talk k;

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	bytes(&k, true, "GET / HTTP/1.1\r\n\r\n", 18, 1);
	bytes(&k, true, "more", 4, 1);
	assert_int_equal(k.t.undecoded, 1);
	assert_int_equal(k.t.way[0].bytes, 22);
	assert_int_equal(k.t.memory, 0);
	assert_true(k.t.why[0]);
	end(&k);
}

static void more_than_is_kept_is_counted(void **state)
{
	struct talk k;
	char name[32];

	(void)state;
	begin(&k, RPYC_LAYOUT_5);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "name%d", i);
		ask(&k, true, i, ROOT, name, 1);
	}
	assert_int_equal(k.t.rows.n, RPC_ROWS_MAX);
	assert_string_equal(k.t.rows.row[RPC_ROWS_MAX - 1]->name, "others");
	assert_int_equal(k.t.rows.row[RPC_ROWS_MAX - 1]->n, 3000 - (RPC_ROWS_MAX - 1));
	assert_int_equal(k.t.n_events, 1000);
	assert_int_equal(k.t.dropped_events, 2000);
	assert_int_equal(k.t.unfollowed, 3000 - RPC_OPEN_MAX);
	end(&k);
}

static void records_survive_writing_and_reading(void **state)
{
	struct rpc_capture_record in = { .kind = RPC_CAPTURE_TO_CLIENT,
					 .connection = 7,
					 .delay_ns = 99,
					 .ns = UINT64_C(1) << 60,
					 .data = "abc",
					 .len = 3 },
				  out;
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(rpc_capture_put(&b, &in), 0);
	assert_int_equal(b.len, RPC_CAPTURE_HEAD + 3);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(rpc_capture_get(&out, b.data, len, &e), 0);
	assert_int_equal(rpc_capture_get(&out, b.data, b.len, &e), (int64_t)b.len);
	assert_int_equal(out.kind, in.kind);
	assert_int_equal(out.connection, 7);
	assert_int_equal(out.delay_ns, 99);
	assert_true(out.ns == in.ns);
	assert_memory_equal(out.data, "abc", 3);
	b.data[0] = 9;
	assert_int_equal(rpc_capture_get(&out, b.data, b.len, &e), -1);
	b.data[0] = RPC_CAPTURE_END; /* has no bytes */
	assert_int_equal(rpc_capture_get(&out, b.data, b.len, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_have_names_and_times),
		cmocka_unit_test(callbacks_nest),
		cmocka_unit_test(what_is_held_at_the_end_is_left),
		cmocka_unit_test(loops_are_found_with_what_they_cost),
		cmocka_unit_test(exceptions_are_told_by_type),
		cmocka_unit_test(frames_may_come_in_any_pieces),
		cmocka_unit_test(stalls_are_counted),
		cmocka_unit_test(long_frames_are_counted),
		cmocka_unit_test(recorded_conversations_are_seen_exactly),
		cmocka_unit_test(requests_of_many_connections_are_bounded),
		cmocka_unit_test(unfinished_frames_are_bounded),
		cmocka_unit_test(what_is_no_rpyc_is_given_up_and_told),
		cmocka_unit_test(more_than_is_kept_is_counted),
		cmocka_unit_test(records_survive_writing_and_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
