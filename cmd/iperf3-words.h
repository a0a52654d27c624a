/* iperf3-words - values that iperf3 spells in ways of its own */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* "52", "064", "0x34": at most `max`; `option` names it in the message. */
int iperf3_number(const char *option, const char *text, uint32_t max, uint32_t *out,
		  struct err *e) ERR_MUST_CHECK;
/* A code point of RFC 2474, 2597, 3246 by name (cs0..cs7, af11..af43, ef) or number, as the TOS byte that holds it. */
int iperf3_dscp(const char *text, uint32_t *tos, struct err *e) ERR_MUST_CHECK;
/* "100M", "100M/5": bits per second, over so many seconds (checked, and of no use: what is asked for is limited). */
int iperf3_rate_limit(const char *text, uint64_t *rate, struct err *e) ERR_MUST_CHECK;
