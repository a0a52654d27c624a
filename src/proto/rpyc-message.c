#include "proto/rpyc-message.h"

#include <endian.h>
#include <string.h>

enum { THREADS_SIZE = 16, FIRST_5 = 0x12 };

const char *rpyc_handler_name(int64_t handler)
{
	static const char *const names[RPYC_HANDLER_END] = {
		[RPYC_PING] = "ping",	      [RPYC_CLOSE] = "close",
		[RPYC_GETROOT] = "getroot",   [RPYC_GETATTR] = "getattr",
		[RPYC_DELATTR] = "delattr",   [RPYC_SETATTR] = "setattr",
		[RPYC_CALL] = "call",	      [RPYC_CALLATTR] = "callattr",
		[RPYC_REPR] = "repr",	      [RPYC_STR] = "str",
		[RPYC_CMP] = "cmp",	      [RPYC_HASH] = "hash",
		[RPYC_DIR] = "dir",	      [RPYC_PICKLE] = "pickle",
		[RPYC_DEL] = "del",	      [RPYC_INSPECT] = "inspect",
		[RPYC_BUFFITER] = "buffiter", [RPYC_OLDSLICING] = "oldslicing",
		[RPYC_CTXEXIT] = "ctxexit",   [RPYC_INSTANCECHECK] = "instancecheck",
	};

	return handler > 0 && handler < RPYC_HANDLER_END ? names[handler] : NULL;
}

static int bad(const char **why, const char *text)
{
	*why = text;
	return -1;
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* (message, seq, args), or the message before (seq, args); *left is what must follow of the payload. */
static int parse_head(struct rpyc_message *out, const uint8_t *p, size_t len, const char **why)
{
	struct brine_reader r;
	int64_t type = 0;
	size_t rest;

	out->layout = p[0] == FIRST_5 ? RPYC_LAYOUT_5 : RPYC_LAYOUT_6;
	if (out->layout == RPYC_LAYOUT_6) {
		type = *p++;
		len--;
	}
	if (brine_open(&r, p, len, &rest, why) < 0)
		return -1;
	if (rest != 0)
		return bad(why, "bytes behind the message");
	if (!brine_enter(&r, out->layout == RPYC_LAYOUT_5 ? 3 : 2) ||
	    (out->layout == RPYC_LAYOUT_5 && !brine_take_int(&r, &type)) ||
	    !brine_take_int(&r, &out->seq))
		return bad(why, "no (message, seq, args)");
	if (type < RPYC_REQUEST || type > RPYC_EXCEPTION)
		return bad(why, "a message that is no request, reply or exception");
	out->type = (enum rpyc_type)type;
	out->args = r;
	return 0;
}

int rpyc_message_parse(struct rpyc_message *out, const void *payload, size_t len, const char **why)
{
	const uint8_t *p = payload;

	*out = (struct rpyc_message){ 0 };
	if (len == 0)
		return bad(why, "an empty message");
	if (p[0] == 0 && len > THREADS_SIZE) {
		out->has_threads = true;
		out->sender_thread = get_u64(p);
		out->receiver_thread = get_u64(p + 8);
		p += THREADS_SIZE;
		len -= THREADS_SIZE;
	}
	if (p[0] != FIRST_5 && (p[0] < RPYC_REQUEST || p[0] > RPYC_EXCEPTION))
		return bad(why, "neither the layout of RPyC 5 nor of RPyC 6");
	if (parse_head(out, p, len, why) < 0)
		return -1;
	if (out->type != RPYC_REQUEST)
		return 0;
	if (!brine_enter(&out->args, 2) || !brine_take_int(&out->args, &out->handler))
		return bad(why, "a request without a handler");
	return 0;
}

bool rpyc_id_parse(const struct brine_reader *value, struct rpyc_id *out)
{
	struct brine_reader r = *value;

	out->raw = *value;
	return brine_enter(&r, 3) && brine_take_str(&r, &out->name, &out->name_len) &&
	       brine_take_int(&r, &out->class_id) && brine_take_int(&r, &out->instance_id);
}

int rpyc_put_id(struct buf *b, const char *name, int64_t class_id, int64_t instance_id)
{
	brine_put_tuple(b, 3);
	brine_put_str(b, name, strlen(name));
	brine_put_int(b, class_id);
	return brine_put_int(b, instance_id);
}

bool rpyc_box_next(struct brine_reader *r, struct rpyc_box *out, bool *broken)
{
	struct brine_reader whole, inside;
	struct brine_item item;
	int64_t label;

	*out = (struct rpyc_box){ 0 };
	if (broken)
		*broken = false;
	if (!brine_value(r, &whole))
		return false;
	if (broken)
		*broken = true;
	if (!brine_enter(&whole, 2) || !brine_take_int(&whole, &label) || label < RPYC_VALUE ||
	    label > RPYC_REMOTE_REF)
		return false;
	out->label = (enum rpyc_label)label;
	out->value = inside = whole;
	if (label == RPYC_TUPLE) {
		if (!brine_take(&inside, BRINE_TUPLE, &item))
			return false;
		out->value = inside;
		out->count = item.count;
	} else if (label != RPYC_VALUE && !rpyc_id_parse(&whole, &out->id)) {
		return false;
	}
	if (broken)
		*broken = false;
	return true;
}

bool rpyc_args_of(const struct rpyc_box *box, struct rpyc_args *out)
{
	struct brine_item item;

	*out = (struct rpyc_args){ .boxed = box->label == RPYC_TUPLE,
				   .left = box->count,
				   .rest = box->value };
	if (out->boxed)
		return true;
	if (box->label != RPYC_VALUE || !brine_take(&out->rest, BRINE_TUPLE, &item))
		return false;
	out->left = item.count;
	return true;
}

bool rpyc_args_open(const struct brine_reader *box, struct rpyc_args *out)
{
	struct brine_reader r = *box;
	struct rpyc_box taken;

	return rpyc_box_next(&r, &taken, NULL) && rpyc_args_of(&taken, out);
}

bool rpyc_args_next(struct rpyc_args *a, struct rpyc_box *out)
{
	if (a->left == 0)
		return false;
	a->left--;
	if (a->boxed)
		return rpyc_box_next(&a->rest, out, NULL);
	*out = (struct rpyc_box){ .label = RPYC_VALUE };
	return brine_value(&a->rest, &out->value);
}

bool rpyc_request_name(const struct rpyc_message *m, const char **name, size_t *len)
{
	struct rpyc_args args;
	struct rpyc_box box;

	return m->type == RPYC_REQUEST &&
	       (m->handler == RPYC_GETATTR || m->handler == RPYC_SETATTR ||
		m->handler == RPYC_DELATTR || m->handler == RPYC_CALLATTR) &&
	       rpyc_args_open(&m->args, &args) && rpyc_args_next(&args, &box) &&
	       rpyc_args_next(&args, &box) && box.label == RPYC_VALUE &&
	       brine_take_str(&box.value, name, len);
}

bool rpyc_request_object(const struct rpyc_message *m, struct rpyc_id *out)
{
	struct rpyc_args args;
	struct rpyc_box box;

	if (m->type != RPYC_REQUEST || !rpyc_args_open(&m->args, &args) ||
	    !rpyc_args_next(&args, &box))
		return false;
	/* INSPECT names it by a plain value */
	if (m->handler == RPYC_INSPECT)
		return box.label == RPYC_VALUE && rpyc_id_parse(&box.value, out);
	*out = box.id;
	return box.label == RPYC_LOCAL_REF;
}

/* Without recursion: brine_check bounds the depth. */
int rpyc_box_each_ref(const struct rpyc_box *box, enum rpyc_label label,
		      int (*each)(void *ctx, const struct rpyc_id *id), void *ctx)
{
	struct brine_reader open[BRINE_DEPTH_MAX + 1];
	struct rpyc_box inner;
	unsigned depth = 0;

	if (box->label == label && label >= RPYC_LOCAL_REF)
		return each(ctx, &box->id);
	if (box->label != RPYC_TUPLE)
		return 0;
	open[0] = box->value;
	for (;;) {
		while (!rpyc_box_next(&open[depth], &inner, NULL)) {
			if (depth == 0)
				return 0;
			depth--;
		}
		if (inner.label == RPYC_TUPLE && depth < BRINE_DEPTH_MAX) {
			open[++depth] = inner.value;
		} else if (inner.label == label && label >= RPYC_LOCAL_REF) {
			int rc = each(ctx, &inner.id);

			if (rc != 0)
				return rc;
		}
	}
}

static int put_head(struct buf *b, enum rpyc_layout layout, enum rpyc_type type, int64_t seq)
{
	if (layout == RPYC_LAYOUT_6) {
		buf_addc(b, (char)type);
		brine_put_tuple(b, 2);
	} else {
		brine_put_tuple(b, 3);
		brine_put_int(b, type);
	}
	return brine_put_int(b, seq);
}

int rpyc_put_request(struct buf *b, enum rpyc_layout layout, int64_t seq, enum rpyc_handler h)
{
	put_head(b, layout, RPYC_REQUEST, seq);
	brine_put_tuple(b, 2);
	return brine_put_int(b, h);
}

int rpyc_put_reply(struct buf *b, enum rpyc_layout layout, int64_t seq)
{
	return put_head(b, layout, RPYC_REPLY, seq);
}

int rpyc_put_exception_head(struct buf *b, enum rpyc_layout layout, int64_t seq)
{
	return put_head(b, layout, RPYC_EXCEPTION, seq);
}

static int put_label(struct buf *b, enum rpyc_label label)
{
	brine_put_tuple(b, 2);
	return brine_put_int(b, label);
}

int rpyc_put_value_box(struct buf *b)
{
	return put_label(b, RPYC_VALUE);
}

int rpyc_put_tuple_box(struct buf *b, uint32_t count)
{
	put_label(b, RPYC_TUPLE);
	return brine_put_tuple(b, count);
}

int rpyc_put_local_ref(struct buf *b, const struct brine_reader *raw)
{
	put_label(b, RPYC_LOCAL_REF);
	return brine_put_value(b, raw);
}

int rpyc_put_remote_ref(struct buf *b, const struct brine_reader *raw)
{
	put_label(b, RPYC_REMOTE_REF);
	return brine_put_value(b, raw);
}

static int put_name(struct buf *b, const char *name)
{
	rpyc_put_value_box(b);
	return brine_put_str(b, name, strlen(name));
}

int rpyc_put_getattr(struct buf *b, enum rpyc_layout layout, int64_t seq,
		     const struct brine_reader *object, const char *name)
{
	rpyc_put_request(b, layout, seq, RPYC_GETATTR);
	rpyc_put_tuple_box(b, 2);
	rpyc_put_local_ref(b, object);
	return put_name(b, name);
}

int rpyc_put_callattr(struct buf *b, enum rpyc_layout layout, int64_t seq,
		      const struct brine_reader *object, const char *name)
{
	rpyc_put_request(b, layout, seq, RPYC_CALLATTR);
	rpyc_put_tuple_box(b, 4);
	rpyc_put_local_ref(b, object);
	put_name(b, name);
	return rpyc_put_value_box(b);
}

int rpyc_put_call(struct buf *b, enum rpyc_layout layout, int64_t seq,
		  const struct brine_reader *object)
{
	rpyc_put_request(b, layout, seq, RPYC_CALL);
	rpyc_put_tuple_box(b, 3);
	rpyc_put_local_ref(b, object);
	return rpyc_put_value_box(b);
}

int rpyc_put_del(struct buf *b, enum rpyc_layout layout, int64_t seq,
		 const struct brine_reader *object, int64_t count)
{
	rpyc_put_request(b, layout, seq, RPYC_DEL);
	rpyc_put_tuple_box(b, 2);
	rpyc_put_local_ref(b, object);
	rpyc_put_value_box(b);
	return brine_put_int(b, count);
}
