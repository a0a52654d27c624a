/* cidr - ranges of addresses: who may connect */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "io/sock.h"

struct cidr {
	bool v6;
	unsigned char bits[16];
	unsigned prefix;
};

/* "192.168.0.0/16", "10.1.2.3", "fe80::/10" (RFC 4632, RFC 4291 section 2.3). ERR_USAGE shows the text; bits beyond the
 * prefix must be 0, since what is meant is not clear otherwise. */
int cidr_parse(struct cidr *out, const char *text, struct err *e) ERR_MUST_CHECK;
/* An IPv4 address that arrived over IPv6 (::ffff:a.b.c.d) counts as IPv4. */
bool cidr_has(const struct cidr *c, const struct addr *a);
