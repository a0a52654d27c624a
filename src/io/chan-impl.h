/* chan-impl - what the kinds of channel share; private to src/io/chan*.c */
#pragma once

#include "base/buf.h"
#include "base/url.h"
#include "io/chan.h"

enum { CHAN_FACTS_MAX = 8, CHAN_FACT_MAX = 160, CHAN_QUEUE_MAX = 4 << 20 };

struct chan_fact {
	const char *key; /* a literal */
	char value[CHAN_FACT_MAX];
};

/*
 * One kind. make parses and resolves and sets c->impl; start begins; free releases impl. The rest may be NULL:
 * input    bytes are there (or the end); default: tell the owner
 * writable connect finished or the queue can move on, while c->connected is false
 * read     default: read(2) on c->fd
 * write    default: chan_send
 * waiting  whether decoded bytes wait inside the channel
 * close    begins an orderly close, ends in chan_closed(); default: chan_closed() at once
 */
struct chan_ops {
	const char *scheme;
	int (*make)(struct chan *c, struct err *e);
	void (*start)(struct chan *c);
	void (*free)(struct chan *c);
	void (*input)(struct chan *c);
	void (*writable)(struct chan *c);
	ssize_t (*read)(struct chan *c, void *buf, size_t size);
	int (*write)(struct chan *c, const void *data, size_t len, struct err *e);
	bool (*waiting)(const struct chan *c);
	const struct chan_option *(*options)(const struct chan *c, size_t *n);
	void (*ended)(struct chan *c, struct err *e);
	void (*close)(struct chan *c);
};

struct chan {
	const struct chan_ops *ops;
	struct chan_params p;
	struct chan_style style;
	struct loop *loop;
	void *impl;
	int fd;
	struct watch watch;
	struct timer look, wait; /* look: a look at the input; wait: the kind's own */
	struct buf out;		 /* not yet with the kernel, from out_off on */
	size_t out_off;
	bool connected, ready, paused, failed, out_held;
	bool in_held; /* the kind has no room for input now */
	bool *gone;   /* set to true when freed inside a callback */
	struct err error;
	void (*closed)(void *ctx, struct chan *c);
	struct chan_fact fact[CHAN_FACTS_MAX];
	size_t n_facts;
};

extern const struct chan_ops chan_pty_ops, chan_tcp_ops, chan_rfc2217_ops, chan_serial_ops;

/* Tells the owner; false when it freed the channel, which must not be touched then. */
bool chan_emit(struct chan *c, enum chan_event ev);
/* CONNECTED and READY. */
void chan_announce(struct chan *c);
/* Gives up: nothing is watched any more, chan_error() is *e, the owner is told. Nothing on one that has failed. */
void chan_fail(struct chan *c, const struct err *e);
/* The same for what a call from the loop ran into: the owner is told also where that call broke the channel. */
void chan_fail_late(struct chan *c, const struct err *e);
/* The same without telling (the caller returns the failure itself). Returns -1. */
int chan_break(struct chan *c, const struct err *e);
/* Watches fd (owned by the channel from now on) as the state of the channel demands. */
int chan_watch(struct chan *c, int fd, struct err *e);
/* Brings the watched events up to date. */
int chan_update(struct chan *c, struct err *e);
/* Stops watching and closes the descriptor. */
void chan_drop(struct chan *c);
/* Sends or queues bytes as they are. */
int chan_send(struct chan *c, const void *data, size_t len, struct err *e);
/* read(2): > 0, 0 nothing, -1 with the channel broken. */
ssize_t chan_receive(struct chan *c, void *buf, size_t size);
void chan_closed(struct chan *c);
void chan_fact(struct chan *c, const char *key, const char *value);
/* A query value among words; *out stays where the key is absent. */
int chan_query_choice(const struct url *u, const char *key, const char *const *words, int *out,
		      struct err *e);
int chan_query_bool(const struct url *u, const char *key, bool *out, struct err *e);
/* Numbers in a range. */
int chan_query_u32(const struct url *u, const char *key, uint32_t min, uint32_t max, uint32_t *out,
		   struct err *e);
