/* The builtin RPyC service: the requests of the vectors, in both layouts, and requests that make no sense. */
#include "rpc-vectors.h"

#include "peer/rpyc-service.h"
#include "proto/rpyc-exception.h"
#include "random.h"

static const uint8_t filler[] = "0123456789abcdef";

/* One request and its answer. */
struct talk {
	struct rpyc_service s;
	struct buf request, answer;
	struct rpyc_message m;
	enum rpyc_layout layout;
	int64_t seq;
};

static void begin(struct talk *t, enum rpyc_layout layout)
{
	memset(t, 0, sizeof(*t));
	t->layout = layout;
	t->seq = 300;
	rpyc_service_init(&t->s, filler, sizeof(filler) - 1, 1000);
}

static void end(struct talk *t)
{
	rpyc_service_done(&t->s);
	buf_done(&t->request);
	buf_done(&t->answer);
}

static void ask(struct talk *t)
{
	struct rpyc_message m;
	const char *why = NULL;

	if (rpyc_message_parse(&m, t->request.data, t->request.len, &why) < 0)
		fail_msg("request: %s", why);
	buf_clear(&t->answer);
	assert_int_equal(rpyc_service_answer(&t->s, &m, &t->answer), 0);
	if (rpyc_message_parse(&t->m, t->answer.data, t->answer.len, &why) < 0)
		fail_msg("answer: %s", why);
	assert_int_equal(t->m.layout, t->layout);
	assert_int_equal(t->m.seq, m.seq);
	buf_clear(&t->request);
	t->seq++;
}

/* The text of what came: a value, "<CLASS>" of a reference, or "!EXCEPTION". */
static void assert_answer(struct talk *t, const char *expected)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct rpyc_exception ex;
	struct rpyc_box box;
	const char *why;

	if (t->m.type == RPYC_EXCEPTION) {
		buf_addc(&text, '!');
		assert_int_equal(rpyc_exception_parse(&t->m, &ex, &why), 0);
		rpyc_exception_add_text(&text, &ex, 100);
	} else {
		assert_true(rpyc_box_next(&t->m.args, &box, NULL));
		if (box.label == RPYC_REMOTE_REF)
			buf_addf(&text, "<%.*s>", (int)box.id.name_len, box.id.name);
		else if (box.label == RPYC_TUPLE)
			buf_addf(&text, "%u boxes", box.count);
		else
			brine_add_text(&text, &box.value, 100);
	}
	assert_string_equal(buf_text(&text), expected);
}

/* Asks for the root and keeps its id pack. */
static void root(struct talk *t, struct buf *raw)
{
	struct rpyc_box box;

	rpyc_put_request(&t->request, t->layout, t->seq, RPYC_GETROOT);
	rpyc_put_value_box(&t->request);
	brine_put_tuple(&t->request, 0);
	ask(t);
	assert_true(rpyc_box_next(&t->m.args, &box, NULL));
	assert_int_equal(box.label, RPYC_REMOTE_REF);
	buf_clear(raw);
	brine_put_value(raw, &box.id.raw);
}

static struct brine_reader reader(const struct buf *raw)
{
	return (struct brine_reader){ (const uint8_t *)raw->data,
				      (const uint8_t *)raw->data + raw->len };
}

/* object.NAME(*literals) */
static void call(struct talk *t, const struct buf *object, const char *name, const char *args,
		 const char *expected)
{
	struct brine_reader id = reader(object);
	const char *why;

	rpyc_put_callattr(&t->request, t->layout, t->seq, &id, name);
	assert_int_equal(brine_parse(&t->request, args, strlen(args), &why), 0);
	rpyc_put_value_box(&t->request);
	brine_put_tuple(&t->request, 0);
	ask(t);
	if (expected)
		assert_answer(t, expected);
}

static void keep(struct talk *t, struct buf *raw)
{
	struct brine_reader r = t->m.args;
	struct rpyc_box box;

	assert_true(rpyc_box_next(&r, &box, NULL));
	assert_int_equal(box.label, RPYC_REMOTE_REF);
	buf_clear(raw);
	brine_put_value(raw, &box.id.raw);
}

static void drop(struct talk *t, const struct buf *object, int64_t count, const char *expected)
{
	struct brine_reader id = reader(object);

	rpyc_put_del(&t->request, t->layout, t->seq, &id, count);
	ask(t);
	assert_answer(t, expected);
}

static void one_layout(enum rpyc_layout layout)
{
	CLEANUP(buf_done) struct buf self = BUF_INIT;
	CLEANUP(buf_done) struct buf thing = BUF_INIT;
	struct brine_reader id;
	struct talk t;

	begin(&t, layout);
	root(&t, &self);
	call(&t, &self, "ping", "()", "'pong'");
	call(&t, &self, "echo", "((1, 'a', None),)", "(1, 'a', None)");
	call(&t, &self, "upload", "(b'12345',)", "5");
	call(&t, &self, "download", "(20,)", "b'0123456789abcdef0123'");
	call(&t, &self, "download", "(1001,)",
	     "!ValueError: download() takes a number of bytes, not too large");
	call(&t, &self, "download", "(-1,)",
	     "!ValueError: download() takes a number of bytes, not too large");
	call(&t, &self, "add", "(2, 40)", "42");
	call(&t, &self, "compute", "(1000,)", "332833500");
	call(&t, &self, "fail", "()", "!ValueError: boom");
	call(&t, &self, "none", "()", "!AttributeError: the object has no attribute 'none'");
	call(&t, &self, "get_service_name", "()", "'MPBENCH'");
	call(&t, &self, "thing", "()", NULL);
	keep(&t, &thing);
	call(&t, &self, "live", "()", "2");
	call(&t, &thing, "hello", "('bob',)", "'hello bob'");
	id = reader(&thing);
	rpyc_put_getattr(&t.request, layout, t.seq, &id, "x");
	ask(&t);
	assert_answer(&t, "41");
	drop(&t, &thing, 2, "!KeyError: more references than were given");
	drop(&t, &thing, 1, "None");
	drop(&t, &thing, 1, "!KeyError: the object is not there, or not any more");
	call(&t, &self, "live", "()", "1");
	call(&t, &self, "things", "(7,)", "7 boxes");
	call(&t, &self, "live", "()", "8");
	/* Python's way: the bound method as an object */
	id = reader(&self);
	rpyc_put_getattr(&t.request, layout, t.seq, &id, "add");
	ask(&t);
	keep(&t, &thing);
	id = reader(&thing);
	rpyc_put_call(&t.request, layout, t.seq, &id);
	brine_put_tuple(&t.request, 2);
	brine_put_int(&t.request, 1);
	brine_put_int(&t.request, 2);
	rpyc_put_value_box(&t.request);
	brine_put_tuple(&t.request, 0);
	ask(&t);
	assert_answer(&t, "3");
	drop(&t, &thing, 1, "None");
	end(&t);
}

static void test_layouts(void **state)
{
	(void)state;
	one_layout(RPYC_LAYOUT_5);
	one_layout(RPYC_LAYOUT_6);
}

/* Every request of the vectors is answered, also where its objects are somebody else's. */
static void test_vectors(void **state)
{
	json_t *exchanges = rpc_vectors_load(), *exchange, *frame;
	unsigned answered = 0;
	struct talk t;
	size_t i, k;

	(void)state;
	begin(&t, RPYC_LAYOUT_5);
	json_array_foreach(json_object_get(exchanges, "exchanges_5"), i, exchange)
	{
		json_array_foreach(json_object_get(exchange, "frames"), k, frame)
		{
			CLEANUP(buf_done) struct buf bytes = BUF_INIT;
			struct rpyc_message m;
			const char *why;

			rpc_vectors_bytes(json_string_value(json_array_get(frame, 1)), &bytes);
			if (bytes.data[4] ||
			    rpyc_message_parse(&m, bytes.data + 5, bytes.len - 6, &why) < 0 ||
			    m.type != RPYC_REQUEST || m.handler == RPYC_CLOSE)
				continue;
			buf_clear(&t.request);
			buf_add(&t.request, bytes.data + 5, bytes.len - 6);
			ask(&t);
			answered++;
			if (m.handler == RPYC_PING)
				assert_answer(&t, "'abc'");
			else if (m.handler == RPYC_GETROOT)
				assert_answer(&t, "<mpbench.Service>");
			else
				assert_int_equal(t.m.type, RPYC_EXCEPTION);
		}
	}
	assert_int_equal(answered, 28);
	json_decref(exchanges);
	end(&t);
}

/* Any byte of any request changed: an answer or no message, and nothing held that was not asked for. */
static void test_changed_bytes(void **state)
{
	CLEANUP(buf_done) struct buf self = BUF_INIT;
	struct random rnd = { 11 };
	unsigned answered = 0;
	struct talk t;

	(void)state;
	begin(&t, RPYC_LAYOUT_6);
	root(&t, &self);
	for (int i = 0; i < 5000; i++) {
		struct brine_reader id = reader(&self);
		struct rpyc_message m;
		const char *why;

		buf_clear(&t.request);
		rpyc_put_callattr(&t.request, t.layout, t.seq, &id, i % 2 ? "thing" : "things");
		brine_put_tuple(&t.request, 1);
		brine_put_int(&t.request, i % 5);
		rpyc_put_value_box(&t.request);
		brine_put_tuple(&t.request, 0);
		t.request.data[random_u64(&rnd) % t.request.len] = (char)random_u64(&rnd);
		if (rpyc_message_parse(&m, t.request.data, t.request.len, &why) < 0 ||
		    m.type != RPYC_REQUEST)
			continue;
		buf_clear(&t.answer);
		assert_int_equal(rpyc_service_answer(&t.s, &m, &t.answer), 0);
		assert_int_equal(rpyc_message_parse(&m, t.answer.data, t.answer.len, &why), 0);
		answered++;
	}
	assert_true(answered > 500);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_changed_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
