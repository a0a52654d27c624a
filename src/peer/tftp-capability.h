/* tftp-capability - which options a TFTP server honours, and with what limits */
#pragma once

#include <stdint.h>

#include "peer/tftp-session.h"

enum tftp_answer {
	TFTP_HONOURED,	/* acknowledged as asked */
	TFTP_CHANGED,	/* acknowledged with another value */
	TFTP_IGNORED,	/* not in the answer, or no OACK at all */
	TFTP_REFUSED,	/* ERROR in answer to it */
	TFTP_NO_ANSWER, /* silence, ICMP, malformed packets: the word tells */
};

struct tftp_capability {
	const char *option;
	uint64_t asked, value; /* value: where it was acknowledged */
	enum tftp_answer answer;
	const char *word; /* failure word, "" when there was an answer */
	uint16_t code;
	char text[96];
};
enum { TFTP_CAPABILITIES_MAX = 32 };

/*
 * Asks for the file of the plan with one option at a time and breaks each transfer off at the first answer. *n rows; 0 when the
 * first request brought no answer at all. The plan's own options do not matter; its content is not touched.
 */
int tftp_capability_scan(const struct tftp_plan *p, uint64_t limit_ns,
			 struct tftp_capability out[TFTP_CAPABILITIES_MAX], size_t *n,
			 struct err *e) ERR_MUST_CHECK;
/* "honoured"... */
const char *tftp_answer_word(enum tftp_answer a);
