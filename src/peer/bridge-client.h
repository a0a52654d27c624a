/* bridge-client - one client of a bridge: raw TCP, RFC 2217, or a program on the bridge's own pty */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/stream.h"
#include "proto/rfc2217-server.h"

enum bridge_kind { BRIDGE_RAW, BRIDGE_RFC2217, BRIDGE_PTY };
extern const char *const bridge_kind_names[]; /* "raw", "rfc2217", "pty" */

enum {
	BRIDGE_CLIENT_IN = 32768,
	/* one read of the link, its 0xFF doubled, and the answers of the machine */
	BRIDGE_CLIENT_OUT = 262144,
	/* a client that does not read its answers is not read either */
	BRIDGE_CLIENT_ANSWERS = 16384,
};

struct bridge_client;

/*
 * What a client asks of its bridge; `client` is the client.
 * take    data for the device; read_ns: when they were read
 * blocked whether it has to wait with more
 * ended   it is over, for the reason; the bridge lets go of it by bridge_client_end, and frees it later
 * The rest is as in rfc2217_server_ops.
 */
struct bridge_client_ops {
	void (*take)(void *ctx, struct bridge_client *client, const void *data, size_t len,
		     uint64_t read_ns);
	bool (*blocked)(void *ctx, struct bridge_client *client);
	void (*ended)(void *ctx, struct bridge_client *client, const char *why);
	void (*drained)(void *ctx, struct bridge_client *client);
	uint32_t (*apply)(void *ctx, struct bridge_client *client, enum rfc2217_command command,
			  uint32_t value);
	void (*purge)(void *ctx, struct bridge_client *client, uint8_t what);
	void (*brk)(void *ctx, struct bridge_client *client);
	void (*agreed)(void *ctx, struct bridge_client *client);
	void (*waited)(void *ctx, struct bridge_client *client); /* bridge_client_wait is over */
	/* it has closed its sending side, and may wait for answers; may end it */
	void (*finished)(void *ctx, struct bridge_client *client);
};

enum bridge_role {
	BRIDGE_OWNER,	/* has the link */
	BRIDGE_WATCHER, /* sees what the device says */
	BRIDGE_WAITER, /* a program on the pty, while another has the link: not read until its turn */
	BRIDGE_LEAVING, /* was told why it cannot be; what it sends is dropped */
};

struct bridge_client {
	struct stream stream;
	const struct bridge_client_ops *ops;
	void *ctx;
	enum bridge_kind kind;
	enum bridge_role role;
	char name[80];		      /* "127.0.0.1:40000" */
	struct rfc2217_server server; /* of RFC 2217 */
	uint8_t in[BRIDGE_CLIENT_IN];
	size_t in_at, in_len; /* read and not yet looked at */
	size_t data_len;      /* at the beginning of `in`: data that is not yet with the bridge */
	uint64_t read_ns;
	bool finished; /* it will send nothing more */
	bool dead;     /* ended, to be freed */
	bool told_agreed, decoding, lines_due;
	uint8_t lines;
	struct timer leave;
	uint64_t bytes_in, bytes_out, since_ns;
	struct bridge_client *next;
};

/* Takes fd over, also on failure. `port` is the state of the link, for RFC 2217. */
int bridge_client_new(struct bridge_client **out, struct loop *l, int fd, enum bridge_kind kind,
		      const char *name, const struct rfc2217_port *port, const char *signature,
		      const struct bridge_client_ops *ops, void *ctx, struct err *e) ERR_MUST_CHECK;
/* Closes; the object stays until it is freed, which must not happen inside one of its callbacks. */
void bridge_client_end(struct bridge_client *c);
void bridge_client_free(struct bridge_client *c);
/* RFC 2217: the server's part of the opening, with the modem lines as they are. */
void bridge_client_open(struct bridge_client *c, uint8_t levels);
/* Another client is there, and this one has closed: passes on what it sent before, as far as the device takes it. */
void bridge_client_finish(struct bridge_client *c);

/* Bytes of the device; `escape` is scratch of 2 * len. -1: the client is of no use any more. */
int bridge_client_send(struct bridge_client *c, const void *data, size_t len, uint8_t *escape);
/* Goes on with what was held back, and reads on (or stops) as `blocked` and the client's own queue say. May end the
 * client (then false). */
bool bridge_client_go_on(struct bridge_client *c);
/* Whether the device has to wait for this client. */
bool bridge_client_is_full(const struct bridge_client *c);
/* Lets a WAITER wait: it is not read until it has another role, and told to the bridge by `waited` after wait_ns (0: has
 * all the time). */
void bridge_client_wait(struct bridge_client *c, uint64_t wait_ns);
/* Says a line to a client that cannot be served, closes towards it, and ends it when it has closed too or within 1 s. */
void bridge_client_dismiss(struct bridge_client *c, const char *line);
/* Modem lines or line errors for an RFC 2217 client. */
void bridge_client_lines(struct bridge_client *c, uint8_t levels);
void bridge_client_errors(struct bridge_client *c, uint8_t bits);
