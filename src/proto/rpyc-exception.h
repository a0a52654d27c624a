/* rpyc-exception - exceptions of the other side, read as text: nothing is unpickled, imported or evaluated */
#pragma once

#include "proto/rpyc-message.h"

/*
 * Source: rpyc/core/vinegar.py:
 *
 *   ((module, class), args, ((name, value), ...), traceback text)
 *
 * or a bare int 1 for StopIteration, or (very old peers) a bare str. args and attributes that are no plain values come
 * as their repr(). Among the attributes is _remote_version, the version of RPyC over there. Texts are not terminated and
 * point into the message; absent ones are empty.
 */
struct rpyc_text {
	const char *text;
	size_t len;
};
struct rpyc_exception {
	struct rpyc_text module, name, traceback, remote_version;
	struct brine_reader args; /* one tuple; empty for the bare forms */
};

/* -1 with *why set to a literal. */
int rpyc_exception_parse(const struct rpyc_message *m, struct rpyc_exception *out,
			 const char **why);
/* Adds "ValueError: boom, 7" (module in front where it is not builtins): one printable line of at most `max` bytes. */
int rpyc_exception_add_text(struct buf *b, const struct rpyc_exception *ex, size_t max);

/* A whole payload: an exception of one text. All are valid UTF-8. */
int rpyc_put_exception(struct buf *b, enum rpyc_layout layout, int64_t seq, const char *module,
		       const char *name, const char *text, const char *version);
