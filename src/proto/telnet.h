/* telnet - the byte stream of RFC 854: data, commands, options and subnegotiations, both directions */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 854 commands. */
enum {
	TELNET_SE = 240,
	TELNET_NOP = 241,
	TELNET_BREAK = 243,
	TELNET_AYT = 246,
	TELNET_SB = 250,
	TELNET_WILL = 251,
	TELNET_WONT = 252,
	TELNET_DO = 253,
	TELNET_DONT = 254,
	TELNET_IAC = 255,
};

/* Options: RFC 856, 857, 858, 2217. */
enum { TELNET_BINARY = 0, TELNET_ECHO = 1, TELNET_SGA = 3, TELNET_COM_PORT = 44 };

enum { TELNET_SUB_MAX = 64 };

enum telnet_event_kind {
	TELNET_EV_NONE,	  /* all input taken */
	TELNET_EV_DATA,	  /* data/len: a piece of what was fed, 0xFF single */
	TELNET_EV_OPTION, /* command WILL, WONT, DO or DONT; option */
	TELNET_EV_SUB, /* option; data/len: its parameters, 0xFF single, inside the decoder until the next feed */
	TELNET_EV_COMMAND, /* any other command: BREAK, AYT, NOP... */
};

struct telnet_event {
	enum telnet_event_kind kind;
	uint8_t command, option;
	const uint8_t *data;
	size_t len;
	bool truncated; /* EV_SUB: longer than TELNET_SUB_MAX; the rest was dropped, do not act on it */
};

/* Decoder state; all zero is the beginning of a stream. */
struct telnet {
	uint8_t state, command, option;
	bool truncated;
	size_t sub_len;
	uint8_t sub[TELNET_SUB_MAX];
};

/*
 * Takes bytes up to and including the first event and returns how many (> 0 whenever len > 0). Events may be split
 * over any number of calls. IAC IAC inside a subnegotiation is one 0xFF; IAC and any byte but IAC and SE there ends the
 * broken subnegotiation without an event and is taken as that command (RFC 855 leaves it open; the stream recovers).
 */
size_t telnet_feed(struct telnet *t, const void *data, size_t len, struct telnet_event *ev);

/* Encoders. They write to out and return the length; `size` is checked where the length varies (0: does not fit). */
size_t telnet_put_option(uint8_t out[3], uint8_t command, uint8_t option);
/* IAC SB option data IAC SE, 0xFF in data doubled: at most 5 + 2 * len bytes. */
size_t telnet_put_sub(uint8_t *out, size_t size, uint8_t option, const void *data, size_t len);
/*
 * Data for the wire, each 0xFF doubled. Encodes as much of data as fits (2 * len always fits), says how much in *used,
 * returns the bytes written. Where data holds no 0xFF it may be sent as it is: telnet_plain().
 */
size_t telnet_escape(uint8_t *out, size_t size, const void *data, size_t len, size_t *used);
bool telnet_plain(const void *data, size_t len);
