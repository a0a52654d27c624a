/* rpyc-message - what RPyC's frames say: requests, replies, exceptions, and the objects they name */
#pragma once

#include "proto/brine.h"

/*
 * Source: rpyc/core/protocol.py. A payload is, in brine,
 *
 *   up to 5.3     (message, seq, args)              first byte 0x12
 *   from 6.0 on   u8 message, then (seq, args)      first byte 0x01..0x03
 *
 * so its first byte tells the layout. With RPYC_BIND_THREADS=true (5.3.1 and later) two u64be thread ids of sender and
 * receiver stand before either, whose first byte is 0.
 */
enum rpyc_layout { RPYC_LAYOUT_NONE, RPYC_LAYOUT_5 = 5, RPYC_LAYOUT_6 = 6 };
enum rpyc_type { RPYC_REQUEST = 1, RPYC_REPLY, RPYC_EXCEPTION };

/* What a request asks for, with the values in its arguments (rpyc/core/consts.py). */
enum rpyc_handler {
	RPYC_PING = 1,	    /* data, which comes back */
	RPYC_CLOSE,	    /* nothing; no reply comes, the other side closes */
	RPYC_GETROOT,	    /* nothing */
	RPYC_GETATTR,	    /* object, name */
	RPYC_DELATTR,	    /* object, name */
	RPYC_SETATTR,	    /* object, name, value */
	RPYC_CALL,	    /* object, args, kwargs as ((name, value), ...) */
	RPYC_CALLATTR,	    /* object, name, args, kwargs */
	RPYC_REPR,	    /* object */
	RPYC_STR,	    /* object */
	RPYC_CMP,	    /* object, other, "__eq__" */
	RPYC_HASH,	    /* object */
	RPYC_DIR,	    /* object */
	RPYC_PICKLE,	    /* object, protocol */
	RPYC_DEL,	    /* object, how many references go */
	RPYC_INSPECT,	    /* id pack, as a plain value; reply ((method, doc), ...) */
	RPYC_BUFFITER,	    /* object, count */
	RPYC_OLDSLICING,    /* object, two names, start, stop, args */
	RPYC_CTXEXIT,	    /* object, exception */
	RPYC_INSTANCECHECK, /* object, other id pack */
	RPYC_HANDLER_END,
};
/* "callattr"...; "handler-N" is not made: an unknown one gives NULL. */
const char *rpyc_handler_name(int64_t handler);

/*
 * One message. args is what follows: of a REQUEST its one box of arguments (rpyc_args_open), of a REPLY one box
 * (rpyc_box_next), of an EXCEPTION what rpyc-exception.h reads. Every side numbers its own requests from 0; a reply or
 * exception carries the number of the request it answers.
 */
struct rpyc_message {
	enum rpyc_type type;
	enum rpyc_layout layout;
	int64_t seq;
	int64_t handler; /* REQUEST only */
	bool has_threads;
	uint64_t sender_thread, receiver_thread;
	struct brine_reader args;
};

/* Reads a frame's payload; everything in it is checked then, so that none of the readers below can run out of it. -1 with
 * *why set to a literal. out->args points into the payload. */
int rpyc_message_parse(struct rpyc_message *out, const void *payload, size_t len, const char **why);

/* --- objects ------------------------------------------------------------------------------------------------- */

/*
 * The id pack of an object, from RPyC 4.1 on: ("module.Class", id of the class, id of the instance; 0: it is the
 * class itself). raw is the whole of it in brine: what is sent back to name it.
 */
struct rpyc_id {
	const char *name; /* not terminated */
	size_t name_len;
	int64_t class_id, instance_id;
	struct brine_reader raw;
};
/* false: `value` is none (RPyC 4.0 and older had others). */
bool rpyc_id_parse(const struct brine_reader *value, struct rpyc_id *out);
int rpyc_put_id(struct buf *b, const char *name, int64_t class_id, int64_t instance_id);

/*
 * A box: (label, value). LOCAL and REMOTE are as seen by who sent it: a REMOTE_REF names an object that lives at the
 * sender, who holds it for the receiver until as many references were given back by DEL as boxes of it were sent; a
 * LOCAL_REF names one that lives at the receiver.
 */
enum rpyc_label { RPYC_VALUE = 1, RPYC_TUPLE, RPYC_LOCAL_REF, RPYC_REMOTE_REF };
struct rpyc_box {
	enum rpyc_label label;
	struct brine_reader value; /* VALUE: one value; TUPLE: `count` boxes; refs: the id pack */
	uint32_t count;
	struct rpyc_id id; /* of refs */
};
/* Takes the next box. false: none is left, or what stands there is none (*broken, may be NULL, tells which). */
bool rpyc_box_next(struct brine_reader *r, struct rpyc_box *out, bool *broken);

/* The arguments of a request, one after the other, each as a box: they come as one VALUE of a tuple, or, where one is a
 * reference, as a TUPLE of boxes. The same reads the `args` that are an argument of CALL and CALLATTR. */
struct rpyc_args {
	bool boxed;
	uint32_t left;
	struct brine_reader rest;
};
bool rpyc_args_open(const struct brine_reader *box, struct rpyc_args *out);
/* As rpyc_args_open, from a box that was taken already. */
bool rpyc_args_of(const struct rpyc_box *box, struct rpyc_args *out);
bool rpyc_args_next(struct rpyc_args *a, struct rpyc_box *out);

/* The name that a GETATTR, SETATTR, DELATTR or CALLATTR is about; false for others. */
bool rpyc_request_name(const struct rpyc_message *m, const char **name, size_t *len);
/* The object that a request is about, where it is one of the receiver's. */
bool rpyc_request_object(const struct rpyc_message *m, struct rpyc_id *out);

/* Calls `each` for every reference of that label in a box (those in tuples too); a return other than 0 ends it. */
int rpyc_box_each_ref(const struct rpyc_box *box, enum rpyc_label label,
		      int (*each)(void *ctx, const struct rpyc_id *id), void *ctx);

/* --- writing: what each appends is told by the bytes of the examples in the tests ------------------------------- */

/* Head of a payload; behind it goes, of a request, one box of arguments (put_value_box and a tuple, or put_tuple_box),
 * of a reply one box. */
int rpyc_put_request(struct buf *b, enum rpyc_layout layout, int64_t seq, enum rpyc_handler h);
int rpyc_put_reply(struct buf *b, enum rpyc_layout layout, int64_t seq);
int rpyc_put_exception_head(struct buf *b, enum rpyc_layout layout, int64_t seq);

/* One value follows. */
int rpyc_put_value_box(struct buf *b);
/* `count` boxes follow. */
int rpyc_put_tuple_box(struct buf *b, uint32_t count);
/* Whole. raw: struct rpyc_id's. */
int rpyc_put_local_ref(struct buf *b, const struct brine_reader *raw);
int rpyc_put_remote_ref(struct buf *b, const struct brine_reader *raw);
/* GETATTR of an object of the other side; whole payload. */
int rpyc_put_getattr(struct buf *b, enum rpyc_layout layout, int64_t seq,
		     const struct brine_reader *object, const char *name);
/* CALLATTR and CALL: behind it go the arguments as one tuple value, then rpyc_put_value_box and the kwargs as one tuple
 * of pairs. */
int rpyc_put_callattr(struct buf *b, enum rpyc_layout layout, int64_t seq,
		      const struct brine_reader *object, const char *name);
int rpyc_put_call(struct buf *b, enum rpyc_layout layout, int64_t seq,
		  const struct brine_reader *object);
/* Gives `count` references back; whole payload. */
int rpyc_put_del(struct buf *b, enum rpyc_layout layout, int64_t seq,
		 const struct brine_reader *object, int64_t count);
