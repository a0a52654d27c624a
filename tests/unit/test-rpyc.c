/* rpyc: every frame of the vectors there and back, in any pieces; messages, references, exceptions; what is no RPyC. */
#include "rpc-vectors.h"

#include <endian.h>
#include <stdlib.h>
#include <zlib.h>

#include "proto/rpyc-exception.h"
#include "proto/rpyc-refs.h"
#include "proto/rpyc.h"
#include "random.h"

enum { SMALL_MAX_PAYLOAD = 1 << 20 };

static void parse(struct rpyc_message *m, const struct rpyc_frame *f)
{
	const char *why = NULL;

	if (rpyc_message_parse(m, f->payload, f->len, &why) < 0)
		fail_msg("refused: %s", why);
}

/* One frame given in pieces of `step` bytes. */
static void read_frame(struct rpyc_reader *r, const struct buf *bytes, size_t step,
		       struct rpyc_frame *out)
{
	struct err e = { 0 };

	for (size_t i = 0; i < bytes->len; i += step) {
		size_t n = bytes->len - i < step ? bytes->len - i : step, room = 0;
		void *to;

		assert_int_equal(rpyc_reader_next(r, out, &e), 0);
		to = rpyc_reader_room(r, &room);
		assert_true(to && room >= 4096);
		memcpy(to, bytes->data + i, n);
		rpyc_reader_filled(r, n);
	}
	assert_int_equal(rpyc_reader_next(r, out, &e), 1);
	assert_int_equal(out->wire_len, bytes->len);
	assert_int_equal(rpyc_reader_pending(r), 0);
}

/* The message as these writers make it, from nothing but what the readers said about it. */
static void write_request(struct buf *b, const struct rpyc_message *m)
{
	struct rpyc_id object;
	struct rpyc_args args;
	struct rpyc_box box;
	const char *text;
	char name[64] = "";
	size_t len = 0;

	if (rpyc_request_name(m, &text, &len))
		memcpy(name, text, len);
	assert_true(rpyc_args_open(&m->args, &args));
	switch (m->handler) {
	case RPYC_GETATTR:
		assert_true(rpyc_request_object(m, &object));
		rpyc_put_getattr(b, m->layout, m->seq, &object.raw, name);
		return;
	case RPYC_DEL:
		assert_true(rpyc_request_object(m, &object));
		rpyc_put_del(b, m->layout, m->seq, &object.raw, 1);
		return;
	case RPYC_CALL:
	case RPYC_CALLATTR:
		assert_true(rpyc_request_object(m, &object));
		if (!args.boxed)
			fail_msg("a call of a reference that is not boxed");
		for (int i = 0; i < (m->handler == RPYC_CALL ? 2 : 3); i++)
			assert_true(rpyc_args_next(&args, &box));
		/* the callback is an argument that is a reference: kept as it is below */
		if (box.label != RPYC_VALUE)
			break;
		if (m->handler == RPYC_CALL)
			rpyc_put_call(b, m->layout, m->seq, &object.raw);
		else
			rpyc_put_callattr(b, m->layout, m->seq, &object.raw, name);
		brine_put_value(b, &box.value);
		assert_true(rpyc_args_next(&args, &box));
		assert_false(rpyc_args_next(&args, &box) && box.label == RPYC_VALUE);
		rpyc_put_value_box(b);
		brine_put_value(b, &box.value);
		return;
	default:
		break;
	}
	rpyc_put_request(b, m->layout, m->seq, (enum rpyc_handler)m->handler);
	brine_put_value(b, &m->args);
}

static void write_message(struct buf *b, const struct rpyc_message *m)
{
	if (m->type == RPYC_REQUEST) {
		write_request(b, m);
		return;
	}
	if (m->type == RPYC_REPLY)
		rpyc_put_reply(b, m->layout, m->seq);
	else
		rpyc_put_exception_head(b, m->layout, m->seq);
	brine_put_value(b, &m->args);
}

static void check_frame(struct rpyc_reader *r, const char *direction, const char *hex,
			enum rpyc_layout layout, unsigned *counts)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT;
	CLEANUP(buf_done) struct buf made = BUF_INIT;
	struct rpyc_message m;
	struct rpyc_frame f;
	size_t at;

	rpc_vectors_bytes(hex, &bytes);
	read_frame(r, &bytes, 1, &f);
	read_frame(r, &bytes, 7, &f);
	read_frame(r, &bytes, bytes.len, &f);
	parse(&m, &f);
	assert_int_equal(m.layout, layout);
	assert_false(m.has_threads);
	assert_true(direction[0] == '>' || direction[0] == '<');
	counts[m.type]++;
	assert_int_equal(rpyc_frame_begin(&made, &at), 0);
	write_message(&made, &m);
	assert_int_equal(rpyc_frame_end(&made, at, 0), 0);
	if (!f.compressed) {
		assert_int_equal(made.len, bytes.len);
		assert_memory_equal(made.data, bytes.data, bytes.len);
		return;
	}
	counts[0]++;
	assert_int_equal(made.len, RPYC_OVERHEAD + f.len);
	assert_memory_equal(made.data + RPYC_HEAD, f.payload, f.len);
	assert_int_equal(rpyc_frame_compress(&made, 0, made.len - 1, NULL, 0, r->zip), 1);
	assert_int_equal(made.len, bytes.len);
	assert_memory_equal(made.data, bytes.data, bytes.len);
}

/* All 114 of them, in three kinds of pieces, and written again byte by byte. */
static void test_vectors(void **state)
{
	json_t *root = rpc_vectors_load();
	CLEANUP(rpyc_zip_free) struct rpyc_zip *zip = NULL;
	CLEANUP(rpyc_reader_done) struct rpyc_reader r;
	struct err e;

	(void)state;
	assert_int_equal(rpyc_zip_new(&zip, &e), 0);
	rpyc_reader_init(&r, zip, SMALL_MAX_PAYLOAD);
	for (int layout = RPYC_LAYOUT_5; layout <= RPYC_LAYOUT_6; layout++) {
		json_t *list = json_object_get(root, layout == RPYC_LAYOUT_5 ? "exchanges_5"
									     : "exchanges_6");
		json_t *exchange, *frame;
		unsigned counts[4] = { 0 };
		size_t i, k;

		json_array_foreach(list, i, exchange)
			json_array_foreach(json_object_get(exchange, "frames"), k, frame)
				check_frame(&r, json_string_value(json_array_get(frame, 0)),
					    json_string_value(json_array_get(frame, 1)),
					    (enum rpyc_layout)layout, counts);
		assert_int_equal(counts[RPYC_REQUEST] + counts[RPYC_REPLY] + counts[RPYC_EXCEPTION],
				 57);
		assert_int_equal(counts[RPYC_EXCEPTION], 5);
		assert_int_equal(counts[0], 1);
	}
	json_decref(root);
}

/* Finds the n-th frame of a named exchange of layout 5. */
static void find_frame(struct rpyc_reader *r, const char *name, size_t n, struct rpyc_frame *f)
{
	json_t *root = rpc_vectors_load(), *exchange;
	CLEANUP(buf_done) struct buf bytes = BUF_INIT;
	size_t i;

	json_array_foreach(json_object_get(root, "exchanges_5"), i, exchange)
	{
		if (strcmp(rpc_vectors_text(exchange, "name"), name) != 0)
			continue;
		rpc_vectors_bytes(
			json_string_value(json_array_get(
				json_array_get(json_object_get(exchange, "frames"), n), 1)),
			&bytes);
		read_frame(r, &bytes, bytes.len, f);
		json_decref(root);
		return;
	}
	fail_msg("no exchange %s", name);
}

struct fixture {
	struct rpyc_zip *zip;
	struct rpyc_reader r;
	struct rpyc_frame f;
	struct rpyc_message m;
};

static struct fixture *begin(const char *name, size_t n)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct err e;

	assert_non_null(x);
	assert_int_equal(rpyc_zip_new(&x->zip, &e), 0);
	rpyc_reader_init(&x->r, x->zip, SMALL_MAX_PAYLOAD);
	if (name) {
		find_frame(&x->r, name, n, &x->f);
		parse(&x->m, &x->f);
	}
	return x;
}

static void end(struct fixture *x)
{
	rpyc_reader_done(&x->r);
	rpyc_zip_free(x->zip);
	free(x);
}

static int count_ref(void *ctx, const struct rpyc_id *id)
{
	struct buf *out = ctx;

	buf_add(out, id->name, id->name_len);
	return buf_addc(out, ' ');
}

static void test_boxes(void **state)
{
	struct fixture *x = begin("tuple with ref", 1);
	CLEANUP(buf_done) struct buf names = BUF_INIT;
	struct brine_reader r = x->m.args;
	struct rpyc_box box;
	bool is_broken = true;

	(void)state;
	assert_int_equal(x->m.type, RPYC_REPLY);
	assert_true(rpyc_box_next(&r, &box, &is_broken));
	assert_false(is_broken);
	assert_int_equal(box.label, RPYC_TUPLE);
	assert_int_equal(box.count, 3);
	assert_int_equal(rpyc_box_each_ref(&box, RPYC_REMOTE_REF, count_ref, &names), 0);
	assert_string_equal(buf_text(&names), "builtins.list ");
	assert_int_equal(rpyc_box_each_ref(&box, RPYC_LOCAL_REF, count_ref, &names), 0);
	assert_string_equal(buf_text(&names), "builtins.list ");
	assert_false(rpyc_box_next(&r, &box, &is_broken));
	assert_false(is_broken);
	end(x);

	/* a callback: a function of the client among the arguments of a call */
	x = begin("callback cb(fn,3)", 0);
	buf_clear(&names);
	r = x->m.args;
	assert_true(rpyc_box_next(&r, &box, NULL));
	assert_int_equal(rpyc_box_each_ref(&box, RPYC_REMOTE_REF, count_ref, &names), 0);
	assert_true(strncmp(buf_text(&names), "builtins.function", 17) == 0);
	end(x);
}

static void assert_no_box(const char *bytes, size_t len)
{
	struct brine_reader r;
	struct rpyc_box box;
	bool is_broken = false;
	const char *why;

	assert_int_equal(brine_open(&r, bytes, len, NULL, &why), 0);
	assert_false(rpyc_box_next(&r, &box, &is_broken));
	assert_true(is_broken);
}

static void test_no_boxes(void **state)
{
	(void)state;
	assert_no_box("\x50", 1);
	assert_no_box("\x11\x50\x00", 3);		  /* label 0 */
	assert_no_box("\x11\x55\x00", 3);		  /* label 5 */
	assert_no_box("\x11\x52\x00", 3);		  /* a TUPLE that is none */
	assert_no_box("\x11\x54\x11\x08\x0a\x61\x50", 7); /* an id pack of two */
	assert_no_box("\x11\x53\x12\x50\x50\x50", 6);	  /* and one without a name */
}

static void test_exceptions(void **state)
{
	static const struct {
		const char *exchange, *text, *version;
	} cases[] = {
		{ "error ValueError", "ValueError: boom, 7", "5.3.0" },
		{ "StopIteration", "StopIteration", "" },
		{ "use after DEL", "KeyError: ('__main__.Thing', 512154192, 139634002785872)",
		  "5.3.0" },
		{ "private attr", "AttributeError: cannot access '_x", "5.3.0" },
		{ "no such attr", "AttributeError: 'BenchService' object has no attribute",
		  "5.3.0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *x = begin(cases[i].exchange, 1);
		CLEANUP(buf_done) struct buf text = BUF_INIT;
		CLEANUP(buf_done) struct buf cut = BUF_INIT;
		struct rpyc_exception ex;
		const char *why = NULL;

		assert_int_equal(x->m.type, RPYC_EXCEPTION);
		assert_int_equal(rpyc_exception_parse(&x->m, &ex, &why), 0);
		assert_int_equal(rpyc_exception_add_text(&text, &ex, 200), 0);
		assert_true(strncmp(buf_text(&text), cases[i].text, strlen(cases[i].text)) == 0);
		assert_int_equal(ex.remote_version.len, strlen(cases[i].version));
		assert_memory_equal(ex.remote_version.text, cases[i].version,
				    ex.remote_version.len);
		assert_int_equal(rpyc_exception_add_text(&cut, &ex, 10), 0);
		assert_int_equal(cut.len, 10);
		end(x);
	}
}

/* Ours, read back; the forms of old peers; none at all. */
static void test_own_exception(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct rpyc_exception ex;
	struct rpyc_message m;
	const char *why = NULL;

	(void)state;
	rpyc_put_exception(&b, RPYC_LAYOUT_6, 4000, "a.b", "Odd", "no such method", "1.2");
	assert_int_equal(rpyc_message_parse(&m, b.data, b.len, &why), 0);
	assert_int_equal(m.type, RPYC_EXCEPTION);
	assert_int_equal(m.seq, 4000);
	assert_int_equal(rpyc_exception_parse(&m, &ex, &why), 0);
	assert_int_equal(rpyc_exception_add_text(&text, &ex, 100), 0);
	assert_string_equal(buf_text(&text), "a.b.Odd: no such method");
	buf_clear(&b);
	rpyc_put_exception_head(&b, RPYC_LAYOUT_5, 1);
	brine_put_str(&b, "KeyError", 8);
	assert_int_equal(rpyc_message_parse(&m, b.data, b.len, &why), 0);
	assert_int_equal(rpyc_exception_parse(&m, &ex, &why), 0);
	assert_int_equal(ex.name.len, 8);
	for (int i = 0; i < 3; i++) {
		buf_clear(&b);
		rpyc_put_exception_head(&b, RPYC_LAYOUT_5, 1);
		if (i == 0) {
			brine_put_int(&b, 2);
		} else if (i == 1) {
			brine_put_none(&b);
		} else {
			brine_put_tuple(&b, 4);
			for (int k = 0; k < 4; k++)
				brine_put_none(&b);
		}
		assert_int_equal(rpyc_message_parse(&m, b.data, b.len, &why), 0);
		assert_int_equal(rpyc_exception_parse(&m, &ex, &why), -1);
		assert_non_null(why);
	}
}

static void assert_no_message(const char *bytes, size_t len, const char *expected)
{
	struct rpyc_message m;
	const char *why = NULL;

	assert_int_equal(rpyc_message_parse(&m, bytes, len, &why), -1);
	assert_non_null(why);
	assert_string_equal(why, expected);
}

#define NO_MESSAGE(literal, why) assert_no_message(literal, sizeof(literal) - 1, why)

static void test_no_messages(void **state)
{
	(void)state;
	NO_MESSAGE("", "an empty message");
	NO_MESSAGE("\x04\x11\x50\x00", "neither the layout of RPyC 5 nor of RPyC 6");
	NO_MESSAGE("\x80\x04\x95", "neither the layout of RPyC 5 nor of RPyC 6"); /* a pickle */
	NO_MESSAGE("\x12\x54\x50\x00", "a message that is no request, reply or exception");
	NO_MESSAGE("\x12\x52\x00\x00", "no (message, seq, args)");
	NO_MESSAGE("\x02\x12\x50\x00\x00", "no (message, seq, args)");
	NO_MESSAGE("\x02\x11\x50\x00\x00", "bytes behind the message");
	NO_MESSAGE("\x12\x51\x50\x00", "a request without a handler");
	NO_MESSAGE("\x12\x51\x50\x11\x00\x00", "a request without a handler");
	NO_MESSAGE("\x12\x51\x50", "a tuple longer than the bytes that are there");
}

static void test_threads(void **state)
{
	static const char bytes[] = "\0\0\x7f\0\0\0\0\1\0\0\0\0\0\0\0\2\x02\x11\x53\x11\x51\x79";
	struct rpyc_message m;
	const char *why;

	(void)state;
	assert_int_equal(rpyc_message_parse(&m, bytes, sizeof(bytes) - 1, &why), 0);
	assert_true(m.has_threads);
	assert_true(m.sender_thread == UINT64_C(0x7f0000000001));
	assert_int_equal(m.receiver_thread, 2);
	assert_int_equal(m.layout, RPYC_LAYOUT_6);
	assert_int_equal(m.seq, 3);
}

static void assert_broken(const char *bytes, size_t len, const char *expected)
{
	struct fixture *x = begin(NULL, 0);
	struct err e = { 0 };

	assert_int_equal(rpyc_reader_feed(&x->r, bytes, len, &e), 0);
	assert_int_equal(rpyc_reader_next(&x->r, &x->f, &e), -1);
	assert_string_equal(e.msg, expected);
	assert_string_equal(e.code, "frame");
	/* it stays so */
	assert_int_equal(rpyc_reader_feed(&x->r, "\0\0\0\0\0\n", 6, &e), 0);
	assert_int_equal(rpyc_reader_next(&x->r, &x->f, &e), -1);
	rpyc_reader_clear(&x->r);
	assert_int_equal(rpyc_reader_feed(&x->r, "\0\0\0\0\0\n", 6, &e), 0);
	assert_int_equal(rpyc_reader_next(&x->r, &x->f, &e), 1);
	assert_int_equal(x->f.len, 0);
	end(x);
}

#define BROKEN(literal, why) assert_broken(literal, sizeof(literal) - 1, why)

static void test_broken_frames(void **state)
{
	(void)state;
	BROKEN("\xff\xff\xff\xff\0",
	       "a frame of 4294967295 bytes was announced, more than the 1048576 that are taken");
	BROKEN("\0\x10\0\1\0",
	       "a frame of 1048577 bytes was announced, more than the 1048576 that are taken");
	BROKEN("HTTP/1.1 400 Bad Request", "no RPyC: what came begins with \"HTTP/1.1 400 Bad\"");
	BROKEN("\x15\3\3\0\2\2\x46", "no RPyC: what came looks like TLS");
	BROKEN("\0\0\0\1\0x\x0d", "a frame of 1 bytes ends with 0x0d where 0x0a belongs");
	BROKEN("\0\0\0\4\1abcd\n", "a compressed frame of 4 bytes is no zlib stream");
	BROKEN("\0\0\0\0\1\n", "a compressed frame of 0 bytes is no zlib stream");
}

/* A frame around what compress() makes of n bytes of zeros, with `cut` bytes taken off and `more` put on. */
static void make_bomb(struct buf *out, size_t n, size_t cut, const char *more)
{
	uLongf packed = compressBound(n);
	Bytef *zeros = calloc(1, n), *to = malloc(packed);
	uint32_t be;

	assert_true(zeros && to);
	assert_int_equal(compress2(to, &packed, zeros, n, 9), Z_OK);
	be = htobe32((uint32_t)(packed - cut + strlen(more)));
	buf_clear(out);
	buf_add(out, &be, 4);
	buf_addc(out, 1);
	buf_add(out, to, packed - cut);
	buf_adds(out, more);
	buf_addc(out, '\n');
	free(zeros);
	free(to);
}

static void test_zip_bombs(void **state)
{
	struct fixture *x = begin(NULL, 0);
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	struct err e = { 0 };

	(void)state;
	make_bomb(&b, 64 << 20, 0, "");
	assert_true(b.len < 70000);
	assert_int_equal(rpyc_reader_feed(&x->r, b.data, b.len, &e), 0);
	assert_int_equal(rpyc_reader_next(&x->r, &x->f, &e), -1);
	assert_non_null(strstr(e.msg, "inflates to more than the 1048576 that are taken"));
	assert_true(x->r.plain.cap <= 4u * SMALL_MAX_PAYLOAD);
	/* exactly the bound is taken, one byte more is not */
	for (size_t more = 0; more < 2; more++) {
		rpyc_reader_clear(&x->r);
		make_bomb(&b, SMALL_MAX_PAYLOAD + more, 0, "");
		assert_int_equal(rpyc_reader_feed(&x->r, b.data, b.len, &e), 0);
		assert_int_equal(rpyc_reader_next(&x->r, &x->f, &e), more ? -1 : 1);
	}
	/* a stream that ends early, one with bytes behind it */
	for (int i = 0; i < 2; i++) {
		rpyc_reader_clear(&x->r);
		make_bomb(&b, 5000, i == 0 ? 3 : 0, i == 0 ? "" : "more");
		assert_int_equal(rpyc_reader_feed(&x->r, b.data, b.len, &e), 0);
		assert_int_equal(rpyc_reader_next(&x->r, &x->f, &e), -1);
		assert_non_null(strstr(e.msg, "is no zlib stream"));
	}
	end(x);
}

/* A head that announces much and brings little costs little. */
static void test_length_bomb(void **state)
{
	CLEANUP(rpyc_reader_done) struct rpyc_reader r;
	struct rpyc_frame f;
	struct err e;
	size_t room;

	(void)state;
	rpyc_reader_init(&r, NULL, RPYC_PAYLOAD_MAX);
	assert_int_equal(rpyc_reader_feed(&r, "\x0f\xff\xff\xff\0abcdef", 11, &e), 0);
	assert_int_equal(rpyc_reader_next(&r, &f, &e), 0);
	assert_non_null(rpyc_reader_room(&r, &room));
	assert_true(room <= 1 << 18);
}

/* Frames of random sizes, compressed or not, part of the payload elsewhere, in random pieces. */
static void test_stream(void **state)
{
	struct random rnd = { 99 };
	struct fixture *x = begin(NULL, 0);
	CLEANUP(buf_done) struct buf wire = BUF_INIT;
	CLEANUP(buf_done) struct buf all = BUF_INIT;
	size_t got = 0, sent = 0, off = 0;
	unsigned frames = 0, packed = 0;

	(void)state;
	while (frames < 200) {
		size_t n = (size_t)(random_u64(&rnd) % 9000), at, split, outside = 0;
		CLEANUP(buf_done) struct buf payload = BUF_INIT;
		int rc = 0;

		for (size_t i = 0; i < n; i++)
			buf_addc(&payload, (char)('a' + random_u64(&rnd) % 4));
		wire.len = 0;
		assert_int_equal(rpyc_frame_begin(&wire, &at), 0);
		split = (size_t)(random_u64(&rnd) % (n + 1));
		outside = (size_t)(random_u64(&rnd) % (n - split + 1));
		buf_add(&wire, buf_text(&payload), split);
		buf_add(&wire, buf_text(&payload) + split + outside, n - split - outside);
		assert_int_equal(rpyc_frame_end(&wire, at, outside), 0);
		if (random_u64(&rnd) & 1)
			rc = rpyc_frame_compress(&wire, at, at + RPYC_HEAD + split,
						 buf_text(&payload) + split, outside, x->zip);
		assert_true(rc >= 0);
		packed += rc == 1;
		if (rc == 1) {
			buf_add(&all, wire.data, wire.len);
		} else {
			buf_add(&all, wire.data, RPYC_HEAD + split);
			buf_add(&all, buf_text(&payload) + split, outside);
			buf_add(&all, wire.data + RPYC_HEAD + split, wire.len - RPYC_HEAD - split);
		}
		sent += n;
		frames++;
	}
	assert_true(packed > 20);
	for (unsigned seen = 0; seen < frames;) {
		struct err e = { 0 };
		int rc = rpyc_reader_next(&x->r, &x->f, &e);

		assert_true(rc >= 0);
		if (rc == 1) {
			seen++;
			got += x->f.len;
			for (size_t i = 0; i < x->f.len; i++)
				assert_true(x->f.payload[i] >= 'a' && x->f.payload[i] <= 'd');
		} else {
			size_t room = 0, n = (size_t)(random_u64(&rnd) % 5000);
			void *to = rpyc_reader_room(&x->r, &room);

			n = n < room ? n : room;
			n = n < all.len - off ? n : all.len - off;
			memcpy(to, all.data + off, n);
			rpyc_reader_filled(&x->r, n);
			off += n;
		}
	}
	assert_int_equal(got, sent);
	end(x);
}

static int sum_counts(void *ctx, struct rpyc_ref *ref)
{
	*(uint64_t *)ctx += ref->count;
	return 0;
}

/* Against counts in a plain array, with ids that lie close together. */
static void test_refs(void **state)
{
	enum { IDS = 300 };
	CLEANUP(rpyc_refs_done) struct rpyc_refs refs;
	struct random rnd = { 3 };
	uint64_t count[IDS] = { 0 }, total = 0, sum = 0;
	struct rpyc_ref *ref, last;
	struct err e;

	(void)state;
	rpyc_refs_init(&refs, 250);
	for (int i = 0; i < 20000; i++) {
		unsigned k = (unsigned)(random_u64(&rnd) % IDS);
		struct rpyc_id id = { .name = "m.C\n",
				      .name_len = 4,
				      .class_id = 64 * (k % 3),
				      .instance_id = 16 * k };
		size_t live = 0;

		for (unsigned n = 0; n < IDS; n++)
			live += count[n] > 0;
		assert_int_equal(refs.n, live);
		assert_true(refs.references == total);
		if (random_u64(&rnd) % 2) {
			if (live == 250 && !count[k]) {
				assert_int_equal(rpyc_refs_add(&refs, &id, &ref, &e), -1);
				continue;
			}
			assert_int_equal(rpyc_refs_add(&refs, &id, &ref, &e), 0);
			assert_string_equal(ref->name, "m.C?");
			count[k]++;
			total++;
			assert_true(ref->count == count[k]);
		} else {
			uint64_t n = 1 + random_u64(&rnd) % 3;
			bool there = count[k] >= n;

			assert_int_equal(rpyc_refs_release(&refs, id.class_id, id.instance_id,
							   (int64_t)n, &last),
					 there);
			if (there) {
				count[k] -= n;
				total -= n;
				assert_true(last.count == count[k]);
			}
		}
		ref = rpyc_refs_find(&refs, id.class_id, id.instance_id);
		assert_int_equal(ref != NULL, count[k] > 0);
	}
	assert_false(rpyc_refs_release(&refs, 0, 0, -1, NULL));
	rpyc_refs_each(&refs, sum_counts, &sum);
	assert_true(sum == total && total > 0);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(rpyc_handler_name(RPYC_CALLATTR), "callattr");
	assert_string_equal(rpyc_handler_name(RPYC_INSTANCECHECK), "instancecheck");
	assert_null(rpyc_handler_name(0));
	assert_null(rpyc_handler_name(21));
	assert_null(rpyc_handler_name(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	      cmocka_unit_test(test_boxes),
		cmocka_unit_test(test_no_boxes),      cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_own_exception), cmocka_unit_test(test_no_messages),
		cmocka_unit_test(test_threads),	      cmocka_unit_test(test_broken_frames),
		cmocka_unit_test(test_zip_bombs),     cmocka_unit_test(test_length_bomb),
		cmocka_unit_test(test_stream),	      cmocka_unit_test(test_refs),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
