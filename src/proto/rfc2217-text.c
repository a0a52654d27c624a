#include <inttypes.h>
#include <stdio.h>

#include "proto/rfc2217.h"

static const char *const parity[] = { [RFC2217_PARITY_NONE] = "none",
				      [RFC2217_PARITY_ODD] = "odd",
				      [RFC2217_PARITY_EVEN] = "even",
				      [RFC2217_PARITY_MARK] = "mark",
				      [RFC2217_PARITY_SPACE] = "space" };
static const char *const stop[] = {
	[RFC2217_STOP_1] = "1", [RFC2217_STOP_2] = "2", [RFC2217_STOP_1_5] = "1.5"
};
static const char *const control[] = { [RFC2217_FLOW_NONE] = "flow control none",
				       [RFC2217_FLOW_XONXOFF] = "flow control XON/XOFF",
				       [RFC2217_FLOW_HARDWARE] = "flow control RTS/CTS",
				       [RFC2217_BREAK_ON] = "break on",
				       [RFC2217_BREAK_OFF] = "break off",
				       [RFC2217_DTR_ON] = "DTR on",
				       [RFC2217_DTR_OFF] = "DTR off",
				       [RFC2217_RTS_ON] = "RTS on",
				       [RFC2217_RTS_OFF] = "RTS off",
				       [RFC2217_INBOUND_NONE] = "inbound flow control none",
				       [RFC2217_INBOUND_XONXOFF] = "inbound flow control XON/XOFF",
				       [RFC2217_INBOUND_HARDWARE] = "inbound flow control RTS",
				       [RFC2217_FLOW_DCD] = "flow control by DCD",
				       [RFC2217_INBOUND_DTR] = "inbound flow control by DTR",
				       [RFC2217_FLOW_DSR] = "flow control by DSR" };

static char *named(char *out, const char *what, const char *const *names, size_t n, uint32_t value)
{
	if (value < n && names[value])
		snprintf(out, RFC2217_SETTING_TEXT_MAX, "%s%s", what, names[value]);
	else
		snprintf(out, RFC2217_SETTING_TEXT_MAX, "%s%" PRIu32, *what ? what : "control ",
			 value);
	return out;
}

#define NAMED(out, what, names, value) \
	named(out, what, names, sizeof(names) / sizeof((names)[0]), value)

char *rfc2217_setting_text(char out[RFC2217_SETTING_TEXT_MAX], enum rfc2217_command command,
			   uint32_t value)
{
	switch (command) {
	case RFC2217_SET_BAUDRATE:
		snprintf(out, RFC2217_SETTING_TEXT_MAX, "baud %" PRIu32, value);
		return out;
	case RFC2217_SET_DATASIZE:
		snprintf(out, RFC2217_SETTING_TEXT_MAX, "data bits %" PRIu32, value);
		return out;
	case RFC2217_SET_PARITY:
		return NAMED(out, "parity ", parity, value);
	case RFC2217_SET_STOPSIZE:
		return NAMED(out, "stop bits ", stop, value);
	default:
		return NAMED(out, "", control, value);
	}
}
