/* serial-settings - what a URL says about a serial line, for serial: and rfc2217: */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/url.h"

enum serial_parity { SERIAL_NONE, SERIAL_ODD, SERIAL_EVEN, SERIAL_MARK, SERIAL_SPACE };
enum serial_stop { SERIAL_STOP_1, SERIAL_STOP_2, SERIAL_STOP_1_5 };
enum serial_flow { SERIAL_FLOW_NONE, SERIAL_XONXOFF, SERIAL_RTSCTS };
enum serial_line { SERIAL_KEEP, SERIAL_ON, SERIAL_OFF };

/* Parity, stop and flow are in the order of RFC 2217's values. */
struct serial_settings {
	uint32_t baud, bits; /* bits 5..8 */
	int parity, stop, flow;
	int dtr, rts;
	bool line_keep;	    /* dtr=keep was asked for: not even lowered by the last close */
	bool exclusive;	    /* flock and TIOCEXCL */
	bool low_latency;   /* the driver's flag, where it has one */
	uint64_t settle_ns; /* pause between opening and use; what comes meanwhile is dropped */
};
#define SERIAL_SETTINGS_DEFAULT \
	{ \
		.baud = 115200, .bits = 8, .exclusive = true \
	}

/* The query keys, for url_check_query. */
#define SERIAL_SETTINGS_KEYS \
	"baud", "bits", "parity", "stop", "flow", "dtr", "rts", "exclusive", "low_latency", "settle"

/* Fills s from the URL's query: baud, bits, parity=N|O|E|M|S, stop=1|1.5|2, flow=none|rtscts|xonxoff, dtr and
 * rts=keep|on|off, exclusive, low_latency=0|1, settle=DURATION. ERR_USAGE names the key. */
int serial_settings_read(struct serial_settings *s, const struct url *u,
			 struct err *e) ERR_MUST_CHECK;
