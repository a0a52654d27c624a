/* bridge-link-impl - what the two kinds of link share; private to src/peer/bridge-{link,process,serial}.c */
#pragma once

#include "io/serial-port.h"
#include "io/spawn.h"
#include "io/stream.h"
#include "peer/bridge-link.h"
#include "peer/bridge-repl.h"

enum { LINK_BUFFER = 65536, LINK_QUEUE_MAX = 262144 };

/*
 * start    makes l->stream; -1 with *e
 * stop     the stream has ended or is to end: releases what start made, writes the reason (as err_set) into *e
 * apply    puts a SET-CONTROL or a setting into effect; false: the port cannot
 */
struct link_kind {
	const char *scheme;
	int (*make)(struct bridge_link *l, struct err *e);
	int (*start)(struct bridge_link *l, struct err *e);
	void (*stop)(struct bridge_link *l, struct err *e);
	bool (*apply)(struct bridge_link *l, enum rfc2217_command command, uint32_t value);
	void (*purge)(struct bridge_link *l, bool received, bool unsent);
	void (*brk)(struct bridge_link *l, bool on);
	void (*observe)(struct bridge_link *l);
	void (*free)(struct bridge_link *l);
};

struct bridge_link {
	struct bridge_link_params p;
	const struct link_kind *kind;
	struct loop *loop;
	struct stream stream;
	bool up, paused, finished, observed;
	bool held;     /* a process that the lines keep in reset */
	bool starting; /* a process that has not said anything yet: 0x03 would kill it */
	uint64_t started_ns, back_off_ns;
	struct timer retry, reboot, brk_end, observe, rest, first;
	struct rfc2217_port port;
	uint8_t lines;
	struct bridge_repl repl;
	struct bridge_link_stats stats;
	/* process */
	char **argv;
	struct child child;
	struct watch ended;
	/* serial */
	const struct serial_layer *layer;
	struct serial_settings settings;
	struct serial_counts counts;
	bool counted;
	char buffer[LINK_BUFFER];
};

extern const struct link_kind link_process, link_serial;

/* The link has gone down by itself: stops it, tells, and sees to the next start. `wanted`: the lines ask for a fresh
 * start at once. */
void link_ended(struct bridge_link *l, bool wanted);
/* Tells the client about bytes. */
void link_tell(struct bridge_link *l, const char *data, size_t len, uint64_t read_ns);
/* The process has ended: reads what it left, as far as the client takes it, and only then ends the link. */
void link_drain_and_end(struct bridge_link *l);
/* Tries to start now. */
void link_start(struct bridge_link *l);
void link_set_lines(struct bridge_link *l, uint8_t lines);
