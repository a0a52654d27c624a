/* telnet-option - who does what: option negotiation that cannot loop (RFC 1143) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TELNET_OPTIONS_MAX = 6, TELNET_FLIPS_MAX = 16 };

/* RFC 1143 states of one direction. WANTNO does not arise: nobody here asks to end what was agreed. */
enum telnet_agreement { TELNET_NO, TELNET_YES, TELNET_WANTYES };

/* One option that is known; `us_ok`/`him_ok`: agree when the peer asks. `us`: what we do (WILL), `him`: the peer. */
struct telnet_option {
	uint8_t option;
	bool us_ok, him_ok;
	uint8_t us, him;
	uint8_t flips;
};

/* Options not in the table are refused, each once per direction; more of the same is dropped and counted, and so is
 * the peer's toggling of an agreed option beyond TELNET_FLIPS_MAX: hostile peers get bounded answers. */
struct telnet_options {
	struct telnet_option row[TELNET_OPTIONS_MAX];
	size_t n;
	uint8_t refused[2][32];
	uint32_t dropped;
};

/* Registers an option (at most TELNET_OPTIONS_MAX; more are ignored). */
void telnet_options_add(struct telnet_options *o, uint8_t option, bool us_ok, bool him_ok);
/* Asks: command is WILL (for us) or DO (for the peer). Writes the 3 bytes and returns 3, or 0 where that is already
 * agreed or asked, or the option is not registered. */
size_t telnet_options_ask(struct telnet_options *o, uint8_t command, uint8_t option,
			  uint8_t out[3]);
/* A command received: writes the answer that is due and returns its length, 0 or 3. */
size_t telnet_options_receive(struct telnet_options *o, uint8_t command, uint8_t option,
			      uint8_t out[3]);
enum telnet_agreement telnet_options_us(const struct telnet_options *o, uint8_t option);
enum telnet_agreement telnet_options_him(const struct telnet_options *o, uint8_t option);
