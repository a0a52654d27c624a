#include "io/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

static int bad(const char *text, struct err *e)
{
	return err_set(e, ERR_USAGE, "cidr",
		       "'%s' is not a range of addresses (try 192.168.0.0/16 or fe80::/10)", text);
}

static bool is_set(const unsigned char *bits, unsigned i)
{
	return bits[i / 8] & (0x80 >> i % 8);
}

int cidr_parse(struct cidr *out, const char *text, struct err *e)
{
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN];
	uint64_t prefix;
	unsigned max;
	struct err why;

	*out = (struct cidr){ 0 };
	if (snprintf(host, sizeof(host), "%.*s", slash ? (int)(slash - text) : (int)strlen(text),
		     text) >= (int)sizeof(host))
		return bad(text, e);
	out->v6 = strchr(host, ':') != NULL;
	if (inet_pton(out->v6 ? AF_INET6 : AF_INET, host, out->bits) != 1)
		return bad(text, e);
	max = out->v6 ? 128 : 32;
	prefix = max;
	if (slash && (num_parse_u64(slash + 1, &prefix, &why) < 0 || prefix > max))
		return bad(text, e);
	out->prefix = (unsigned)prefix;
	for (unsigned i = out->prefix; i < max; i++)
		if (is_set(out->bits, i))
			return err_set(e, ERR_USAGE, "cidr",
				       "'%s' has bits set beyond its prefix of %u", text,
				       out->prefix);
	return 0;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
	const unsigned char *bits;
	bool v6 = a->sa.ss_family == AF_INET6;
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&a->sa)->sin6_addr;

	if (v6 && IN6_IS_ADDR_V4MAPPED(in6)) {
		bits = in6->s6_addr + 12;
		v6 = false;
	} else if (v6) {
		bits = in6->s6_addr;
	} else if (a->sa.ss_family == AF_INET) {
		bits = (const unsigned char *)&((const struct sockaddr_in *)&a->sa)->sin_addr;
	} else {
		return false;
	}
	if (v6 != c->v6)
		return false;
	for (unsigned i = 0; i < c->prefix; i++)
		if (is_set(bits, i) != is_set(c->bits, i))
			return false;
	return true;
}
