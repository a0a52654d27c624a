/* bridge-link - what a bridge leads to: a process on a pty or a serial port, kept up, with its settings */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/url.h"
#include "io/loop.h"
#include "proto/rfc2217-server.h"

struct serial_layer;
struct bridge_link;

enum bridge_restart {
	BRIDGE_RESTART_ALWAYS, /* a process that ends is started again; at once after a soft reset, else with back-off */
	BRIDGE_RESTART_REBOOT, /* only after a soft reset: when it exits by itself and had shown a REPL prompt */
	BRIDGE_RESTART_NEVER,
};
enum bridge_lines {
	BRIDGE_LINES_IGNORE, /* remembered and answered */
	BRIDGE_LINES_DTR, /* DTR that falls restarts the process, as boards with DTR at their reset pin do */
	BRIDGE_LINES_ESP, /* the circuit of ESP boards: RTS on with DTR off holds the process in reset */
};
enum bridge_break { BRIDGE_BREAK_IGNORE, BRIDGE_BREAK_INTERRUPT, BRIDGE_BREAK_RESTART };
extern const char *const bridge_restart_names[], *const bridge_lines_names[],
							 *const bridge_break_names[];

/*
 * data     bytes for the client; read_ns is when they were asked of the kernel (0: made by the link itself)
 * drained  everything given to bridge_link_write is with the kernel, or the link is ready again after a restart
 * up/down  the device is there, or not there any more (`final`: nor will it be; why says the reason)
 * lines    modem lines (RFC2217_MODEM_* levels) changed
 * errors   line errors happened (RFC 2217 line state bits)
 * None of them may free the link.
 */
struct bridge_link_ops {
	void (*data)(void *ctx, const void *data, size_t len, uint64_t read_ns);
	void (*drained)(void *ctx);
	void (*up)(void *ctx);
	void (*down)(void *ctx, bool final, const struct err *why);
	void (*lines)(void *ctx, uint8_t levels);
	void (*errors)(void *ctx, uint8_t bits);
};

struct bridge_link_params {
	const struct url *url;		   /* exec: or serial:; borrowed */
	const struct serial_layer *serial; /* NULL: the machine's own */
	const struct log *log;
	enum bridge_restart restart;
	enum bridge_lines lines;
	enum bridge_break brk;
	uint64_t reboot_timeout_ns; /* how long a rebooted process may take to its prompt */
	const struct bridge_link_ops *ops;
	void *ctx;
};

struct bridge_link_stats {
	uint64_t bytes_in, bytes_out; /* from and to the device */
	uint64_t reads, writes;	      /* system calls */
	uint32_t starts, reboots;     /* of them soft resets */
	char last_end[96];	      /* "exit status 0", "" while none ended */
};

/* Starts the process or opens the port; that this fails is the caller's failure here, later it is retried. */
int bridge_link_open(struct bridge_link **out, struct loop *l, const struct bridge_link_params *p,
		     struct err *e) ERR_MUST_CHECK;
void bridge_link_close(struct bridge_link *l);
CLEANUP_PTR(struct bridge_link, bridge_link_close)

/* Sends or queues; callers wait with more while bridge_link_busy. -1 when it is not up (the bytes are lost). */
int bridge_link_write(struct bridge_link *l, const void *data, size_t len);
/* Whether bytes for the device should wait: queue not empty, link down (not: held in reset), or a reboot under way.
 * `drained` follows. */
bool bridge_link_busy(const struct bridge_link *l);
/* Bytes queued and not yet with the kernel. */
size_t bridge_link_pending(const struct bridge_link *l);
bool bridge_link_up(const struct bridge_link *l);
/* Forgets what is queued to the device. */
void bridge_link_drop(struct bridge_link *l);
/* Back-pressure: no more `data` until it is resumed. */
void bridge_link_pause(struct bridge_link *l, bool pause);
/* Watch modem lines and line errors (a port has no event for them: they are looked at every 100 ms) while a client wants
 * to know. */
void bridge_link_observe(struct bridge_link *l, bool on);

/* As rfc2217_server_ops.apply, purge and brk. */
uint32_t bridge_link_apply(struct bridge_link *l, enum rfc2217_command command, uint32_t value);
void bridge_link_purge(struct bridge_link *l, uint8_t what);
void bridge_link_break(struct bridge_link *l);
/* The settings in effect, which outlive sessions; the modem lines. */
const struct rfc2217_port *bridge_link_port(const struct bridge_link *l);
uint8_t bridge_link_lines(const struct bridge_link *l);
void bridge_link_stats(const struct bridge_link *l, struct bridge_link_stats *out);
