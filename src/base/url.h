/* url - the one grammar of targets */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { URL_QUERY_MAX = 16 };

struct url_param {
	const char *key, *value; /* percent-decoded; value "" where there was no '=' */
};

/*
 *   serial:///dev/ttyACM0?baud=115200   /dev/ttyACM0     scheme "serial", path "/dev/ttyACM0"
 *   exec:COMMAND ARGS                                    scheme "exec", path the command line as written
 *   socket://HOST:PORT  rfc2217://[::1]:2217?a=b         host without brackets, port 0 where none was given
 *   builtin:  builtin:NAME?k=v                           scheme "builtin", path NAME or ""
 *   tftp://HOST/FILE  http(s)://H/P  rpyc://H:P  iperf3://H
 * All text is owned by the url; absent parts are "" (userinfo: NULL). Any scheme is taken, in lower case: who uses the
 * target calls url_check_scheme. userinfo is kept apart and never shown. The path begins with '/' where there is one and
 * is percent-decoded, but for exec (as written) and http(s) (as written with its '?query'; n_query is 0, no fragment).
 */
struct url {
	char *scheme, *userinfo, *host, *path;
	uint16_t port;
	struct url_param query[URL_QUERY_MAX];
	size_t n_query;
	char *shown; /* the URL as given, without userinfo and with password-like query values masked */
	char *store; /* backs the query strings */
};

/* ERR_USAGE names what is wrong and shows a correct example. A text without a scheme is taken as a device path
 * when it begins with '/', else refused with a suggestion. */
int url_parse(struct url *out, const char *text, struct err *e) ERR_MUST_CHECK;
void url_done(struct url *u);
CLEANUP_OBJ(struct url, url_done)
/* The value of a query key; NULL where it is absent. */
const char *url_query(const struct url *u, const char *key);
/* ERR_USAGE when the query has a key that is not in `known` (NULL-terminated); suggests the nearest. */
int url_check_query(const struct url *u, const char *const *known, struct err *e) ERR_MUST_CHECK;
/* ERR_USAGE when the scheme is not in `known` (NULL-terminated): suggests the nearest or lists them. */
int url_check_scheme(const struct url *u, const char *const *known, struct err *e) ERR_MUST_CHECK;

enum { TARGET_MEMBERS_MAX = 64 };

/* What is measured: `[LABEL=]URL[+URL...]`. Members of a group are driven together. */
struct target {
	char *label; /* given, or "" until target_label() numbered it t1, t2... */
	struct url member[TARGET_MEMBERS_MAX];
	size_t n_members;
};

/* '=' makes a label only when what stands before it is [A-Za-z0-9._-]+ and what follows is a URL or path;
 * '+' separates members only when a URL follows it, or, behind a device, a path. */
int target_parse(struct target *out, const char *text, struct err *e) ERR_MUST_CHECK;
void target_done(struct target *t);
CLEANUP_OBJ(struct target, target_done)
/* Labels those of a command line that have none, by position (t1, t2...). ERR_USAGE when two are the same. */
int target_label(struct target *list, size_t n, struct err *e) ERR_MUST_CHECK;
