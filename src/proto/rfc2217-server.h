/* rfc2217-server - the access server's side of RFC 2217: what a bridge answers */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/rfc2217.h"

/*
 * What is in effect; kept by the machine, so queries (value 0) never reach the owner. The SET-CONTROL fields hold wire
 * values: flow 1..3, 17, 19; inbound 14..16, 18; brk 5, 6; dtr 8, 9; rts 11, 12.
 */
struct rfc2217_port {
	struct rfc2217_settings settings;
	uint8_t inbound, brk, dtr, rts;
	uint8_t linestate_mask, modemstate_mask;
};
/* Masks as RFC 2217 section 3 starts with: no line events, all modem events. */
#define RFC2217_PORT_DEFAULT \
	{ \
		.settings = RFC2217_SETTINGS_8N1, .inbound = RFC2217_INBOUND_NONE, \
		.brk = RFC2217_BREAK_OFF, .dtr = RFC2217_DTR_ON, .rts = RFC2217_RTS_ON, \
		.modemstate_mask = 255, \
	}

/*
 * `apply` is asked to put a valid new value into effect: command SET_BAUDRATE..SET_CONTROL with the wire value. It returns
 * the value that is in effect afterwards (its answer to the client): the same one, or for a setting the port cannot do
 * the old one. An answer that is not of the same group is taken as the old value. `purge`: RFC2217_PURGE_*. `brk`: a
 * telnet BREAK (IAC 243). `flow`: the client asks to suspend (true) or resume the data towards it. Members may be NULL:
 * everything is then accepted, or nothing done. None of them may call the machine.
 */
struct rfc2217_server_ops {
	uint32_t (*apply)(void *ctx, enum rfc2217_command command, uint32_t value);
	void (*purge)(void *ctx, uint8_t what);
	void (*flow)(void *ctx, bool suspend);
	void (*brk)(void *ctx);
};

struct rfc2217_server {
	const struct rfc2217_server_ops *ops;
	void *ctx;
	struct rfc2217_port port;
	struct telnet telnet;
	struct telnet_options options;
	uint8_t out[RFC2217_OUT_MAX];
	size_t out_len, out_sent;
	char signature[RFC2217_TEXT_MAX + 1];	     /* ours */
	char client_signature[RFC2217_TEXT_MAX + 1]; /* "" until it said so */
	uint8_t linestate, modemstate;		     /* modemstate: levels only */
	bool agreed;				     /* COM-PORT-OPTION in either direction */
	bool suspended;				     /* the client wants no data now */
	uint32_t requests, unknown, notifications, lost_notifications;
};

/* One per connection. `start` is the state of the port, `signature` at most RFC2217_TEXT_MAX bytes (the rest is cut). */
void rfc2217_server_init(struct rfc2217_server *s, const struct rfc2217_server_ops *ops, void *ctx,
			 const struct rfc2217_port *start, const char *signature);
/* Queues WILL SGA, DO SGA, WILL BINARY, DO BINARY, DO COM-PORT: what real servers say first. */
void rfc2217_server_start(struct rfc2217_server *s);

/*
 * Takes bytes up to and including the first piece of data, which *data and *data_len then are (0 bytes: none in what was
 * taken); returns how many were taken. Commands are answered into the output on the way. Stops before what it has no
 * room to answer: a return of less than len without data means "pull, then feed the rest", so a client that asks without
 * reading is held by its own unread answers and memory stays bounded.
 */
size_t rfc2217_server_feed(struct rfc2217_server *s, const void *in, size_t len,
			   const uint8_t **data, size_t *data_len);
/* Bytes to be sent before any further data; 0 for none. *out is valid until the next call on s. */
size_t rfc2217_server_pull(struct rfc2217_server *s, const uint8_t **out);

/* The port's lines (RFC2217_MODEM_* levels) or line status changed: a notification is queued where the client agreed to
 * the option and its mask lets it through; without room for it, it is counted as lost. Deltas are worked out here. */
void rfc2217_server_modemstate(struct rfc2217_server *s, uint8_t levels);
void rfc2217_server_linestate(struct rfc2217_server *s, uint8_t status);
/* Tells the client to stop or go on sending (108, 109). False without room: pull and try again. */
bool rfc2217_server_flow(struct rfc2217_server *s, bool suspend);
