/* address - HOST:PORT of an option */
#pragma once

#include "base/err.h"
#include "io/sock.h"

/* "HOST:PORT", "[v6]:PORT", or a port alone where `host` is given as the default. ERR_USAGE names the option. */
int address_parse(const char *option, const char *text, const char *host, int socktype,
		  struct addr *out, struct err *e) ERR_MUST_CHECK;
