#include "peer/rpyc-service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "proto/rpyc-exception.h"

/* Ids that look like addresses, so that they are as long as Python's on the wire. */
#define ID_BASE INT64_C(139841189910352)
enum {
	CLASS_SERVICE = 895922592,
	CLASS_THING = 895919856,
	CLASS_METHOD = 9783776,
	ROOT_ID = 16,
	FIRST_ID = 4096,
	THINGS_MAX = 10000,
	CONST = 1234,
	THING_X = 41,
};

/* What one answer is made of. */
struct answer {
	struct rpyc_service *s;
	const struct rpyc_message *m;
	struct buf *out;
	size_t begin; /* of the payload; an exception begins there again */
};

static int raise(const struct answer *a, const char *name, const char *text)
{
	a->s->exceptions++;
	a->out->len = a->begin;
	return rpyc_put_exception(a->out, a->m->layout, a->m->seq, "builtins", name, text,
				  version_text());
}

static int put_text(const struct answer *a, const char *text)
{
	rpyc_put_value_box(a->out);
	return brine_put_str(a->out, text, strlen(text));
}

static int put_int(const struct answer *a, int64_t v)
{
	rpyc_put_value_box(a->out);
	return brine_put_int(a->out, v);
}

/* An object goes to the client, who has one reference more then. tag: the method that it is. */
static int put_object(const struct answer *a, const char *name, int64_t class_id, int64_t id,
		      uint64_t tag)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT;
	struct brine_reader whole;
	struct rpyc_ref *ref;
	struct rpyc_id pack;
	const char *why;
	struct err e;

	if (rpyc_put_id(&raw, name, class_id, ID_BASE + id) < 0 ||
	    brine_open(&whole, raw.data, raw.len, NULL, &why) < 0 || !rpyc_id_parse(&whole, &pack))
		return -1;
	if (rpyc_refs_add(&a->s->refs, &pack, &ref, &e) < 0)
		return raise(a, "MemoryError", "too many objects are held");
	ref->tag = tag;
	return rpyc_put_remote_ref(a->out, &whole);
}

static int put_thing(const struct answer *a)
{
	return put_object(a, "mpbench.Thing", CLASS_THING, 16 * a->s->next_id++, 0);
}

/* --- the methods of the root ----------------------------------------------------------------------------------- */

static bool take_string(struct rpyc_args *args, struct brine_item *out)
{
	struct rpyc_box box;

	return rpyc_args_next(args, &box) && box.label == RPYC_VALUE &&
	       brine_next(&box.value, out) && (out->type == BRINE_BYTES || out->type == BRINE_STR);
}

static bool take_int(struct rpyc_args *args, int64_t *out)
{
	struct rpyc_box box;

	return rpyc_args_next(args, &box) && box.label == RPYC_VALUE &&
	       brine_take_int(&box.value, out);
}

static int do_ping(const struct answer *a, struct rpyc_args *args)
{
	(void)args;
	return put_text(a, "pong");
}

static int do_echo(const struct answer *a, struct rpyc_args *args)
{
	struct rpyc_box box;

	if (!rpyc_args_next(args, &box) || box.label != RPYC_VALUE)
		return raise(a, "TypeError", "echo() takes one plain value");
	rpyc_put_value_box(a->out);
	return brine_put_value(a->out, &box.value);
}

static int do_upload(const struct answer *a, struct rpyc_args *args)
{
	struct brine_item item;

	if (!take_string(args, &item))
		return raise(a, "TypeError", "upload() takes bytes or a str");
	return put_int(a, (int64_t)item.len);
}

static int do_download(const struct answer *a, struct rpyc_args *args)
{
	int64_t n;

	if (!take_int(args, &n) || n < 0 || (uint64_t)n > a->s->download_max)
		return raise(a, "ValueError", "download() takes a number of bytes, not too large");
	rpyc_put_value_box(a->out);
	brine_put_bytes_head(a->out, (size_t)n);
	for (size_t left = (size_t)n, step; left > 0; left -= step) {
		step = left < a->s->filler_len ? left : a->s->filler_len;
		if (buf_add(a->out, a->s->filler, step) < 0)
			return -1;
	}
	return 0;
}

static int do_add(const struct answer *a, struct rpyc_args *args)
{
	int64_t x, y, sum;

	if (!take_int(args, &x) || !take_int(args, &y) || __builtin_add_overflow(x, y, &sum))
		return raise(a, "TypeError", "add() takes two ints of 64 bits");
	return put_int(a, sum);
}

static int do_compute(const struct answer *a, struct rpyc_args *args)
{
	uint64_t sum = 0;
	int64_t n;
	char digits[24];

	if (!take_int(args, &n) || n < 0 || n > RPYC_SERVICE_COMPUTE_MAX)
		return raise(a, "ValueError", "compute() takes an int up to 10,000,000");
	for (uint64_t i = 0; i < (uint64_t)n; i++)
		sum += i * i;
	rpyc_put_value_box(a->out);
	snprintf(digits, sizeof(digits), "%" PRIu64, sum);
	return brine_put_digits(a->out, digits, strlen(digits));
}

static int do_thing(const struct answer *a, struct rpyc_args *args)
{
	(void)args;
	return put_thing(a);
}

static int do_things(const struct answer *a, struct rpyc_args *args)
{
	int64_t n;

	if (!take_int(args, &n) || n < 0 || n > THINGS_MAX ||
	    a->s->refs.n + (size_t)n > a->s->refs.max)
		return raise(a, "ValueError", "things() takes an int up to 10,000");
	rpyc_put_tuple_box(a->out, (uint32_t)n);
	for (int64_t i = 0; i < n; i++)
		if (put_thing(a) < 0)
			return -1;
	return 0;
}

static int do_live(const struct answer *a, struct rpyc_args *args)
{
	(void)args;
	return put_int(a, (int64_t)a->s->refs.n);
}

static int do_fail(const struct answer *a, struct rpyc_args *args)
{
	(void)args;
	return raise(a, "ValueError", "boom");
}

static int do_name(const struct answer *a, struct rpyc_args *args)
{
	(void)args;
	return put_text(a, "MPBENCH");
}

static const struct {
	const char *name;
	int (*run)(const struct answer *a, struct rpyc_args *args);
} methods[] = {
	{ "ping", do_ping },
	{ "echo", do_echo },
	{ "upload", do_upload },
	{ "download", do_download },
	{ "add", do_add },
	{ "compute", do_compute },
	{ "thing", do_thing },
	{ "things", do_things },
	{ "live", do_live },
	{ "fail", do_fail },
	{ "get_service_name", do_name },
};
enum { METHODS = sizeof(methods) / sizeof(methods[0]), TAG_HELLO = METHODS };

/* METHODS where there is none. */
static size_t find_method(const char *name, size_t len)
{
	for (size_t i = 0; i < METHODS; i++)
		if (strlen(methods[i].name) == len && memcmp(methods[i].name, name, len) == 0)
			return i;
	return METHODS;
}

static bool is_name(const char *name, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(text, name, len) == 0;
}

/* --- requests -------------------------------------------------------------------------------------------------- */

static bool is_root(const struct rpyc_id *id)
{
	return id->class_id == CLASS_SERVICE && id->instance_id == ID_BASE + ROOT_ID;
}

static int no_attribute(const struct answer *a, const char *name, size_t len)
{
	char text[128];

	snprintf(text, sizeof(text), "the object has no attribute '%.*s'",
		 (int)(len < 64 ? len : 64), name);
	/* the cut may have gone through a character */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return raise(a, "AttributeError", text);
}

static int get_attribute(const struct answer *a, const struct rpyc_id *id)
{
	const char *name = "";
	size_t len = 0, method;

	if (!rpyc_request_name(a->m, &name, &len))
		return raise(a, "TypeError", "an attribute without a name");
	if (!is_root(id) && is_name(name, len, "hello"))
		return put_object(a, "builtins.method", CLASS_METHOD, 16 * a->s->next_id++,
				  TAG_HELLO);
	if (!is_root(id))
		return is_name(name, len, "x") ? put_int(a, THING_X) : no_attribute(a, name, len);
	if (is_name(name, len, "const"))
		return put_int(a, CONST);
	method = find_method(name, len);
	if (method == METHODS)
		return no_attribute(a, name, len);
	return put_object(a, "builtins.method", CLASS_METHOD, 16 * a->s->next_id++, method);
}

static int hello(const struct answer *a, struct rpyc_args *args)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct brine_item item;

	if (!take_string(args, &item) || item.type != BRINE_STR)
		return raise(a, "TypeError", "hello() takes a str");
	buf_adds(&text, "hello ");
	if (buf_add(&text, item.data, item.len) < 0)
		return -1;
	rpyc_put_value_box(a->out);
	return brine_put_str(a->out, text.data, text.len);
}

/* The box of arguments that stands at place `skip` of a request. */
static bool arguments(const struct rpyc_message *m, unsigned skip, struct rpyc_args *out)
{
	struct rpyc_args all;
	struct rpyc_box box;

	if (!rpyc_args_open(&m->args, &all))
		return false;
	for (unsigned i = 0; i <= skip; i++)
		if (!rpyc_args_next(&all, &box))
			return false;
	return rpyc_args_of(&box, out);
}

static int call_attribute(const struct answer *a, const struct rpyc_id *id)
{
	struct rpyc_args args;
	const char *name = "";
	size_t len = 0, method;

	if (!rpyc_request_name(a->m, &name, &len) || !arguments(a->m, 2, &args))
		return raise(a, "TypeError", "a call without a name or arguments");
	if (!is_root(id))
		return is_name(name, len, "hello") ? hello(a, &args) : no_attribute(a, name, len);
	method = find_method(name, len);
	return method == METHODS ? no_attribute(a, name, len) : methods[method].run(a, &args);
}

static int call(const struct answer *a, const struct rpyc_ref *ref)
{
	struct rpyc_args args;

	if (ref->class_id != CLASS_METHOD || !arguments(a->m, 1, &args))
		return raise(a, "TypeError", "the object is not callable");
	return ref->tag == TAG_HELLO ? hello(a, &args) : methods[ref->tag].run(a, &args);
}

static int drop(const struct answer *a, const struct rpyc_id *id)
{
	struct rpyc_args all;
	struct rpyc_box box;
	int64_t count = 1;

	if (rpyc_args_open(&a->m->args, &all) && rpyc_args_next(&all, &box) &&
	    rpyc_args_next(&all, &box) && box.label == RPYC_VALUE)
		brine_take_int(&box.value, &count);
	if (!rpyc_refs_release(&a->s->refs, id->class_id, id->instance_id, count, NULL))
		return raise(a, "KeyError", "more references than were given");
	rpyc_put_value_box(a->out);
	return brine_put_none(a->out);
}

static int describe(const struct answer *a, const struct rpyc_ref *ref)
{
	char text[RPYC_REF_NAME_MAX + 64];

	snprintf(text, sizeof(text), "<%s object at 0x%" PRIx64 ">", ref->name,
		 (uint64_t)ref->instance_id);
	return put_text(a, text);
}

/* ((name, doc), ...) for INSPECT, names for DIR. */
static int list_names(const struct answer *a, const struct rpyc_id *id, bool with_doc)
{
	uint32_t n = is_root(id) ? METHODS : 1;

	rpyc_put_value_box(a->out);
	brine_put_tuple(a->out, n);
	for (uint32_t i = 0; i < n; i++) {
		const char *name = is_root(id) ? methods[i].name : "hello";

		if (with_doc)
			brine_put_tuple(a->out, 2);
		brine_put_str(a->out, name, strlen(name));
		if (with_doc)
			brine_put_none(a->out);
	}
	return a->out->failed ? -1 : 0;
}

static int ping_back(const struct answer *a)
{
	struct rpyc_args args;

	if (!rpyc_args_open(&a->m->args, &args))
		return raise(a, "TypeError", "a ping without data");
	return do_echo(a, &args);
}

/* Requests that are about an object. */
static int about_object(const struct answer *a)
{
	struct rpyc_ref *ref;
	struct rpyc_id id;

	if (!rpyc_request_object(a->m, &id))
		return raise(a, "TypeError", "the request names no object of this server");
	ref = rpyc_refs_find(&a->s->refs, id.class_id, id.instance_id);
	if (!ref)
		return raise(a, "KeyError", "the object is not there, or not any more");
	switch (a->m->handler) {
	case RPYC_GETATTR:
		return get_attribute(a, &id);
	case RPYC_CALLATTR:
		return call_attribute(a, &id);
	case RPYC_CALL:
		return call(a, ref);
	case RPYC_DEL:
		return drop(a, &id);
	case RPYC_REPR:
	case RPYC_STR:
		return describe(a, ref);
	case RPYC_HASH:
		return put_int(a, id.instance_id >> 4);
	case RPYC_DIR:
		return list_names(a, &id, false);
	case RPYC_INSPECT:
		return list_names(a, &id, true);
	default:
		return raise(a, "NotImplementedError", "this server does not do that");
	}
}

void rpyc_service_init(struct rpyc_service *s, const uint8_t *filler, size_t filler_len,
		       size_t download_max)
{
	*s = (struct rpyc_service){ .filler = filler,
				    .filler_len = filler_len,
				    .download_max = download_max,
				    .next_id = FIRST_ID };
	rpyc_refs_init(&s->refs, RPYC_SERVICE_OBJECTS_MAX);
}

void rpyc_service_done(struct rpyc_service *s)
{
	rpyc_refs_done(&s->refs);
}

int rpyc_service_answer(struct rpyc_service *s, const struct rpyc_message *m, struct buf *out)
{
	struct answer a = { .s = s, .m = m, .out = out, .begin = out->len };
	int rc;

	s->calls++;
	rpyc_put_reply(out, m->layout, m->seq);
	if (m->handler == RPYC_PING)
		rc = ping_back(&a);
	else if (m->handler == RPYC_GETROOT)
		rc = put_object(&a, "mpbench.Service", CLASS_SERVICE, ROOT_ID, 0);
	else
		rc = about_object(&a);
	return rc < 0 || out->failed ? -1 : 0;
}
