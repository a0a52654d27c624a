/* rfc2217 - serial port control over telnet: the commands, and the client's side */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/telnet-option.h"
#include "proto/telnet.h"

/* RFC 2217 section 3, client to server; the server's answers are RFC2217_ANSWER higher. */
enum rfc2217_command {
	RFC2217_SIGNATURE = 0,
	RFC2217_SET_BAUDRATE = 1,
	RFC2217_SET_DATASIZE = 2,
	RFC2217_SET_PARITY = 3,
	RFC2217_SET_STOPSIZE = 4,
	RFC2217_SET_CONTROL = 5,
	RFC2217_NOTIFY_LINESTATE = 6,
	RFC2217_NOTIFY_MODEMSTATE = 7,
	RFC2217_FLOWCONTROL_SUSPEND = 8,
	RFC2217_FLOWCONTROL_RESUME = 9,
	RFC2217_SET_LINESTATE_MASK = 10,
	RFC2217_SET_MODEMSTATE_MASK = 11,
	RFC2217_PURGE_DATA = 12,
	RFC2217_ANSWER = 100,
};

enum {
	RFC2217_PARITY_NONE = 1,
	RFC2217_PARITY_ODD,
	RFC2217_PARITY_EVEN,
	RFC2217_PARITY_MARK,
	RFC2217_PARITY_SPACE
};
enum { RFC2217_STOP_1 = 1, RFC2217_STOP_2, RFC2217_STOP_1_5 };

/* Values of SET-CONTROL. */
enum {
	RFC2217_FLOW_QUERY = 0,
	RFC2217_FLOW_NONE = 1,
	RFC2217_FLOW_XONXOFF = 2,
	RFC2217_FLOW_HARDWARE = 3,
	RFC2217_BREAK_QUERY = 4,
	RFC2217_BREAK_ON = 5,
	RFC2217_BREAK_OFF = 6,
	RFC2217_DTR_QUERY = 7,
	RFC2217_DTR_ON = 8,
	RFC2217_DTR_OFF = 9,
	RFC2217_RTS_QUERY = 10,
	RFC2217_RTS_ON = 11,
	RFC2217_RTS_OFF = 12,
	RFC2217_INBOUND_QUERY = 13,
	RFC2217_INBOUND_NONE = 14,
	RFC2217_INBOUND_XONXOFF = 15,
	RFC2217_INBOUND_HARDWARE = 16,
	RFC2217_FLOW_DCD = 17,
	RFC2217_INBOUND_DTR = 18,
	RFC2217_FLOW_DSR = 19,
};

enum { RFC2217_PURGE_RX = 1, RFC2217_PURGE_TX = 2, RFC2217_PURGE_BOTH = 3 };

/* NOTIFY-MODEMSTATE: lines and, in the low half, that they changed. */
enum {
	RFC2217_MODEM_CD = 128,
	RFC2217_MODEM_RI = 64,
	RFC2217_MODEM_DSR = 32,
	RFC2217_MODEM_CTS = 16,
};

struct rfc2217_settings {
	uint32_t baud;
	uint8_t datasize;		/* 5..8 */
	uint8_t parity, stopsize, flow; /* wire values */
};
#define RFC2217_SETTINGS_8N1 \
	{ \
		.baud = 115200, .datasize = 8, .parity = 1, .stopsize = 1, .flow = 1 \
	}

enum { RFC2217_TEXT_MAX = 60, RFC2217_PUT_MAX = 5 + 2 * (RFC2217_TEXT_MAX + 1) };

/* IAC SB 44 command data IAC SE into out (RFC2217_PUT_MAX always suffices for RFC2217_TEXT_MAX bytes of data). Returns
 * the length, 0 where it does not fit. */
size_t rfc2217_put(uint8_t *out, size_t size, uint8_t command, const void *data, size_t len);
/* Network order; 4 bytes. */
void rfc2217_put_u32(uint8_t out[4], uint32_t value);
uint32_t rfc2217_get_u32(const uint8_t in[4]);
/* The 1-byte baud codes of Cisco access servers; 0 where there is none. */
uint32_t rfc2217_cisco_to_baud(uint8_t code);
uint8_t rfc2217_baud_to_cisco(uint32_t baud);

/* A setting for people: "baud 9600", "parity even", "DTR off"; command is a SET command, value as on the wire. Returns out. */
enum { RFC2217_SETTING_TEXT_MAX = 48 };
char *rfc2217_setting_text(char out[RFC2217_SETTING_TEXT_MAX], enum rfc2217_command command,
			   uint32_t value);

/* ---- client ---- */

/* What is asked and awaited, one by one. */
enum rfc2217_item_id {
	RFC2217_ITEM_BINARY,
	RFC2217_ITEM_COM_PORT,
	RFC2217_ITEM_BAUD,
	RFC2217_ITEM_DATASIZE,
	RFC2217_ITEM_PARITY,
	RFC2217_ITEM_STOPSIZE,
	RFC2217_ITEM_FLOW,
	RFC2217_ITEM_DTR,
	RFC2217_ITEM_RTS,
	RFC2217_ITEM_PURGE_RX,
	RFC2217_ITEM_PURGE_TX,
	RFC2217_ITEM_SIGNATURE,
	RFC2217_ITEM_BREAK, /* only by rfc2217_client_ask */
	RFC2217_ITEMS,
};

/*
 * Times are the owner's now_ns (never 0), 0: not yet or never. Values as on the wire; for binary and com-port 1 = agreed, 0 =
 * refused. `required` may be changed between init and start: a required item without an answer fails the opening, an
 * optional one is only missing afterwards (answered_ns 0; a late answer still fills it in). By default COM-PORT and the
 * five settings are required: servers really exist that never answer DTR, RTS or purge.
 */
struct rfc2217_item {
	const char *name;
	bool wanted, required, expired;
	uint64_t asked_ns, answered_ns;
	uint32_t requested, answered;
};

enum rfc2217_order {
	RFC2217_BURST, /* all telnet options in one piece; after DO COM-PORT everything else in one piece */
	RFC2217_PYSERIAL, /* pyserial's: five telnet pieces, then four settings, flow, DTR, RTS, purge, purge, each waited for */
};

struct rfc2217_client_params {
	struct rfc2217_settings settings;
	enum rfc2217_order order;
	bool set_lines; /* ask for DTR and RTS as in dtr, rts; else leave them alone */
	bool dtr, rts;
	bool purge;
	bool signature; /* ask the server for its signature (optional item) */
};

enum rfc2217_stage {
	RFC2217_STAGE_TELNET, /* for the server's DO COM-PORT-OPTION */
	RFC2217_STAGE_SETTINGS, /* for required answers, or (PYSERIAL) for those of the present step */
	RFC2217_STAGE_OPTIONAL, /* everything required is there */
	RFC2217_STAGE_READY,
	RFC2217_STAGE_FAILED, /* rfc2217_client_error() says why */
};

enum rfc2217_event_kind {
	RFC2217_EV_NONE,
	RFC2217_EV_DATA,       /* data/len, from what was fed */
	RFC2217_EV_ANSWER,     /* item: an asked item has been answered */
	RFC2217_EV_LINESTATE,  /* value */
	RFC2217_EV_MODEMSTATE, /* value */
	RFC2217_EV_FLOW,       /* value 1: suspend sending data, 0: resume (also in c->suspended) */
	RFC2217_EV_SIGNATURE,  /* c->signature is the server's text */
	RFC2217_EV_OTHER, /* a command, option or subnegotiation without meaning here; counted in c->unknown */
};

struct rfc2217_event {
	enum rfc2217_event_kind kind;
	const uint8_t *data;
	size_t len;
	enum rfc2217_item_id item;
	uint32_t value;
};

enum { RFC2217_OUT_MAX = 512, RFC2217_PIECES_MAX = 16 };

/* Bytes to be sent, in pieces (one piece is one send). */
struct rfc2217_out {
	uint8_t data[RFC2217_OUT_MAX];
	size_t len, end[RFC2217_PIECES_MAX], n_pieces, sent_pieces;
};

/* Read the fields, do not write them (but item[].required, see there). */
struct rfc2217_client {
	struct rfc2217_client_params params;
	enum rfc2217_stage stage;
	struct rfc2217_item item[RFC2217_ITEMS];
	struct telnet telnet;
	struct telnet_options options;
	struct rfc2217_out out;
	unsigned step;
	bool started, suspended, signature_sent, telnet_seen;
	uint8_t linestate, modemstate;
	char signature[RFC2217_TEXT_MAX + 1];
	uint64_t data_bytes, answers;
	uint32_t unknown, notifications;
};

void rfc2217_client_init(struct rfc2217_client *c, const struct rfc2217_client_params *p);
/* Queues the telnet burst. */
void rfc2217_client_start(struct rfc2217_client *c, uint64_t now_ns);

/*
 * Takes bytes up to and including the first event; returns how many: > 0 whenever len > 0 and everything to be sent
 * was pulled before (it refuses to take more than it could answer). Answers are noted with now_ns. With order BURST it
 * also goes on by itself; with PYSERIAL rfc2217_client_advance() must be called, so that an owner that looks only every
 * 50 ms moves on only then.
 */
size_t rfc2217_client_feed(struct rfc2217_client *c, const void *data, size_t len, uint64_t now_ns,
			   struct rfc2217_event *ev);
/* Asks for what comes next where everything asked before is answered or expired; updates c->stage. */
void rfc2217_client_advance(struct rfc2217_client *c, uint64_t now_ns);
/* What is to be sent, one piece per call: its length, 0 for nothing. *data is valid until the next call on c. */
size_t rfc2217_client_pull(struct rfc2217_client *c, const uint8_t **data);

/* Whether something required is still awaited (decides the owner's time-out: long for required, short else). */
bool rfc2217_client_awaits_required(const struct rfc2217_client *c);
/* The owner's time-out: what is awaited now is given up. Required: stage FAILED; else on to the next or READY. */
void rfc2217_client_expire(struct rfc2217_client *c, uint64_t now_ns);

/* Asks again or anew after READY (a line, a baud rate, a purge): the item's times start again; answered by
 * RFC2217_EV_ANSWER. value as on the wire (for DTR, RTS, BREAK, FLOW: the SET-CONTROL value). -1 when there is no room
 * (pull first) or the item cannot be asked. */
int rfc2217_client_ask(struct rfc2217_client *c, enum rfc2217_item_id item, uint32_t value,
		       uint64_t now_ns) ERR_MUST_CHECK;

/* After FAILED, or at any time before READY: -1 with *e ERR_TARGET, "timeout" or "refused", naming every option that
 * was asked and not answered. */
int rfc2217_client_error(const struct rfc2217_client *c, struct err *e);
