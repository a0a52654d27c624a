#include "address.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

int address_parse(const char *option, const char *text, const char *host, int socktype,
		  struct addr *out, struct err *e)
{
	char copy[256];
	char *colon, *name = copy;
	uint64_t port;
	size_t n;

	snprintf(copy, sizeof(copy), "%s", text);
	colon = strrchr(copy, ':');
	if (colon)
		*colon = '\0';
	if (!colon && !host)
		return err_set(e, ERR_USAGE, "usage", "%s: '%s' is no HOST:PORT", option, text);
	if (name[0] == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = '\0';
		name++;
	}
	if (num_parse_u64(colon ? colon + 1 : copy, &port, e) < 0 || port > 65535)
		return err_set(e, ERR_USAGE, "usage", "%s: '%s' has no port from 0 to 65535",
			       option, text);
	return addr_resolve(out, 1, &n, colon ? name : host, (uint16_t)port, socktype, e);
}
