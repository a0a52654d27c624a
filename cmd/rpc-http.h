/* rpc-http - the options of bench-rpc for HTTP and TLS */
#pragma once

#include "base/opt.h"

struct rpc_http_opts {
	int engine;  /* fast, curl */
	int version; /* 1.1, 2 */
	const char *method, *body, *cacert, *cert, *key, *proxy;
	bool insecure;
	struct opt_strings headers;
};
extern const struct opt rpc_http_opts[];

/* What the rows cannot say: HTTP/2 and proxies are libcurl's. ERR_USAGE. */
int rpc_http_check(const struct rpc_http_opts *o, struct err *e) ERR_MUST_CHECK;
