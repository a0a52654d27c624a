#include "base/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/opt.h"

static const char *const examples = "socket://localhost:2217, serial:///dev/ttyACM0, "
				    "exec:micropython or builtin:";

/* Length of "scheme" where text begins with `scheme://` or one of the two opaque schemes, else 0. */
static size_t scheme_length(const char *text)
{
	size_t n = 0;

	if (!isalpha((unsigned char)text[0]))
		return 0;
	while (isalnum((unsigned char)text[n]) || text[n] == '.' || text[n] == '-')
		n++;
	if (text[n] != ':')
		return 0;
	if (strncmp(text + n, "://", 3) == 0)
		return n;
	return (n == 4 && strncasecmp(text, "exec", n) == 0) ||
			       (n == 7 && strncasecmp(text, "builtin", n) == 0)
		       ? n
		       : 0;
}

static char *copy(const char *text, size_t len, struct err *e)
{
	char *p = strndup(text, len);

	if (!p)
		err_nomem(e);
	return p;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. A NUL or a broken escape is refused. */
static int percent_decode(char *text, const char *whole, struct err *e)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		int high, low;

		if (*p != '%') {
			*to++ = *p;
			continue;
		}
		high = hex_value(p[1]);
		low = high < 0 ? -1 : hex_value(p[2]);
		if (low < 0 || high * 16 + low == 0)
			return err_set(
				e, ERR_USAGE, "url",
				"'%s': a '%%' must be followed by two hex digits (%%25 for a "
				"'%%')",
				whole);
		*to++ = (char)(high * 16 + low);
		p += 2;
	}
	*to = '\0';
	return 0;
}

static int parse_query(struct url *u, const char *query, const char *whole, struct err *e)
{
	char *save = NULL;

	u->store = copy(query, strlen(query), e);
	if (!u->store)
		return -1;
	for (char *item = strtok_r(u->store, "&", &save); item; item = strtok_r(NULL, "&", &save)) {
		char *value = strchr(item, '=');

		if (u->n_query == URL_QUERY_MAX)
			return err_set(e, ERR_USAGE, "url", "'%s' has more than %d parameters",
				       whole, URL_QUERY_MAX);
		if (value)
			*value++ = '\0';
		if (*item == '\0')
			return err_set(e, ERR_USAGE, "url",
				       "'%s' has a parameter without a name (write ?baud=115200)",
				       whole);
		if (percent_decode(item, whole, e) < 0 ||
		    (value && percent_decode(value, whole, e) < 0))
			return -1;
		u->query[u->n_query++] = (struct url_param){ item, value ? value : "" };
	}
	return 0;
}

static bool is_secret_key(const char *key, size_t len)
{
	static const char *const words[] = { "pass",   "pwd",	  "secret",  "token",	  "auth",
					     "apikey", "api_key", "api-key", "credential" };
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)(len < 63 ? len : 63), key);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

/* What may be shown and stored: no userinfo, secret values as "***". */
static int make_shown(struct url *u, const char *text, const char *authority, const char *rest,
		      struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const char *at = memrchr(authority, '@', (size_t)(rest - authority));
	const char *query = strchr(rest, '?');

	buf_add(&out, text, (size_t)(authority - text));
	if (at)
		authority = at + 1;
	buf_add(&out, authority, query ? (size_t)(query - authority) : strlen(authority));
	while (query) {
		const char *item = query + 1;
		size_t len = strcspn(item, "&"), key = strcspn(item, "=&");

		buf_addc(&out, *query);
		if (key < len && is_secret_key(item, key))
			buf_addf(&out, "%.*s=***", (int)key, item);
		else
			buf_add(&out, item, len);
		query = item[len] ? item + len : NULL;
	}
	if (out.failed)
		return err_nomem(e);
	u->shown = buf_take(&out);
	return 0;
}

static int parse_port(struct url *u, const char *text, const char *whole, struct err *e)
{
	struct err why;
	uint64_t port;

	if (num_parse_u64(text, &port, &why) < 0 || port == 0 || port > 65535)
		return err_set(e, ERR_USAGE, "url", "'%s': '%s' is not a port (1..65535)", whole,
			       text);
	u->port = (uint16_t)port;
	return 0;
}

static bool is_host(const char *host, bool bracketed)
{
	const char *extra = bracketed ? ":.%-_" : ".-_";

	for (const char *p = host; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(extra, *p) &&
		    !((unsigned char)*p & 0x80))
			return false;
	return *host != '\0';
}

static int parse_authority(struct url *u, const char *text, size_t len, const char *whole,
			   struct err *e)
{
	const char *at = memrchr(text, '@', len);
	CLEANUP_FREE char *host = NULL;
	char *port = NULL, *from;
	bool bracketed;

	if (at) {
		u->userinfo = copy(text, (size_t)(at - text), e);
		if (!u->userinfo || percent_decode(u->userinfo, u->shown, e) < 0)
			return -1;
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	host = from = copy(text, len, e);
	if (!host)
		return -1;
	bracketed = *host == '[';
	if (bracketed) {
		char *end = strchr(host, ']');

		if (!end || (end[1] && end[1] != ':'))
			return err_set(e, ERR_USAGE, "url",
				       "'%s': an IPv6 address is written [::1]:2217", whole);
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
		from++;
	} else if ((port = strchr(host, ':'))) {
		*port++ = '\0';
	}
	if (port && parse_port(u, port, whole, e) < 0)
		return -1;
	if (!is_host(from, bracketed))
		return err_set(e, ERR_USAGE, "url",
			       "'%s' has no valid host name (write %s://localhost:%s)", whole,
			       u->scheme, port ? port : "2217");
	u->host = copy(from, strlen(from), e);
	return u->host ? 0 : -1;
}

static int no_scheme(const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');

	if (*text == '\0')
		return err_set(e, ERR_USAGE, "url", "an empty target (write %s)", examples);
	if (colon && colon != text && isdigit((unsigned char)colon[1]) && !strchr(text, '/'))
		return err_set(e, ERR_USAGE, "url",
			       "'%s' is not a URL: did you mean socket://%s or rfc2217://%s?", text,
			       text, text);
	if (strcmp(text, "builtin") == 0)
		return err_set(e, ERR_USAGE, "url",
			       "'builtin' is not a URL: did you mean builtin:?");
	if (strncmp(text, "tty", 3) == 0)
		return err_set(e, ERR_USAGE, "url", "'%s' is not a URL: did you mean /dev/%s?",
			       text, text);
	return err_set(e, ERR_USAGE, "url", "'%s' is not a URL (write %s)", text, examples);
}

/* exec: takes the rest as it stands; builtin: has a name and perhaps a query. */
static int parse_opaque(struct url *u, const char *text, const char *rest, struct err *e)
{
	bool exec = strcmp(u->scheme, "exec") == 0;
	size_t len = exec ? strlen(rest) : strcspn(rest, "?");

	if (exec && rest[strspn(rest, " \t")] == '\0')
		return err_set(e, ERR_USAGE, "url",
			       "'%s' names no command (write exec:micropython)", text);
	u->path = copy(rest, len, e);
	u->host = copy("", 0, e);
	if (!u->path || !u->host)
		return -1;
	if (exec) {
		u->shown = copy(text, strlen(text), e);
		return u->shown ? 0 : -1;
	}
	if (make_shown(u, text, rest, rest, e) < 0 || percent_decode(u->path, u->shown, e) < 0)
		return -1;
	return rest[len] ? parse_query(u, rest + len + 1, u->shown, e) : 0;
}

static int parse_hierarchical(struct url *u, const char *text, const char *authority, struct err *e)
{
	size_t host_len = strcspn(authority, "/?#"), path_len;
	const char *path = authority + host_len;
	bool http = strcmp(u->scheme, "http") == 0 || strcmp(u->scheme, "https") == 0;
	bool serial = strcmp(u->scheme, "serial") == 0;

	if (make_shown(u, text, authority, path, e) < 0)
		return -1;
	/* an HTTP server sees path and query exactly as written, but never the fragment */
	path_len = strcspn(path, http ? "#" : "?");
	u->path = copy(path, path_len, e);
	if (!u->path)
		return -1;
	if (!http && percent_decode(u->path, u->shown, e) < 0)
		return -1;
	if (!http && path[path_len] == '?' && parse_query(u, path + path_len + 1, u->shown, e) < 0)
		return -1;
	if (!serial)
		return parse_authority(u, authority, host_len, u->shown, e);
	if (host_len || *u->path == '\0')
		return err_set(e, ERR_USAGE, "url",
			       "'%s' names no device (write serial:///dev/ttyACM0)", u->shown);
	u->host = copy("", 0, e);
	return u->host ? 0 : -1;
}

static int parse_device(struct url *u, const char *text, struct err *e)
{
	size_t len = strcspn(text, "?");

	u->scheme = copy("serial", 6, e);
	u->host = copy("", 0, e);
	u->path = copy(text, len, e);
	if (!u->scheme || !u->host || !u->path || make_shown(u, text, text, text, e) < 0)
		return -1;
	return text[len] ? parse_query(u, text + len + 1, u->shown, e) : 0;
}

static int parse(struct url *u, const char *text, struct err *e)
{
	size_t n = scheme_length(text);

	for (const char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			return err_set(e, ERR_USAGE, "url", "'%s' contains a control character",
				       text);
	if (n == 0 && *text == '/')
		return parse_device(u, text, e);
	if (n == 0)
		return no_scheme(text, e);
	u->scheme = copy(text, n, e);
	if (!u->scheme)
		return -1;
	for (char *p = u->scheme; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (text[n + 1] == '/' && text[n + 2] == '/' && strcmp(u->scheme, "exec") != 0 &&
	    strcmp(u->scheme, "builtin") != 0)
		return parse_hierarchical(u, text, text + n + 3, e);
	return parse_opaque(u, text, text + n + 1, e);
}

int url_parse(struct url *out, const char *text, struct err *e)
{
	*out = (struct url){ 0 };
	if (parse(out, text, e) == 0)
		return 0;
	url_done(out);
	return -1;
}

void url_done(struct url *u)
{
	free(u->scheme);
	free(u->userinfo);
	free(u->host);
	free(u->path);
	free(u->shown);
	free(u->store);
	*u = (struct url){ 0 };
}

const char *url_query(const struct url *u, const char *key)
{
	for (size_t i = 0; i < u->n_query; i++)
		if (strcmp(u->query[i].key, key) == 0)
			return u->query[i].value;
	return NULL;
}

static size_t list_length(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static bool in_list(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

int url_check_query(const struct url *u, const char *const *known, struct err *e)
{
	for (size_t i = 0; i < u->n_query; i++) {
		const char *key = u->query[i].key, *near;

		if (in_list(key, known))
			continue;
		near = opt_nearest(key, known, list_length(known));
		if (near)
			return err_set(e, ERR_USAGE, "url",
				       "'%s': unknown parameter '%s', did you mean '%s'?", u->shown,
				       key, near);
		return err_set(e, ERR_USAGE, "url", "'%s': unknown parameter '%s'", u->shown, key);
	}
	return 0;
}

int url_check_scheme(const struct url *u, const char *const *known, struct err *e)
{
	CLEANUP(buf_done) struct buf list = BUF_INIT;
	const char *near;

	if (in_list(u->scheme, known))
		return 0;
	near = opt_nearest(u->scheme, known, list_length(known));
	if (near)
		return err_set(e, ERR_USAGE, "url", "'%s': unknown scheme '%s', did you mean '%s'?",
			       u->shown, u->scheme, near);
	for (size_t i = 0; known[i]; i++)
		buf_addf(&list, "%s%s:", i ? ", " : "", known[i]);
	return err_set(e, ERR_USAGE, "url", "'%s': targets here are %s", u->shown, buf_text(&list));
}

/* Where `LABEL=` ends, 0 where there is no label. */
static size_t label_length(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '.' || text[n] == '_' ||
	       text[n] == '-')
		n++;
	if (n == 0 || text[n] != '=')
		return 0;
	return scheme_length(text + n + 1) || text[n + 1] == '/' ? n : 0;
}

/* The '+' that ends this member, or the end of the text. */
static const char *member_end(const char *text)
{
	bool device = *text == '/' || strncasecmp(text, "serial:", 7) == 0;

	for (const char *p = text; *p; p++)
		if (*p == '+' && p != text && (scheme_length(p + 1) || (device && p[1] == '/')))
			return p;
	return text + strlen(text);
}

static int parse_members(struct target *t, const char *text, struct err *e)
{
	for (;;) {
		const char *end = member_end(text);
		CLEANUP_FREE char *one = copy(text, (size_t)(end - text), e);

		if (!one)
			return -1;
		if (t->n_members == TARGET_MEMBERS_MAX)
			return err_set(e, ERR_USAGE, "url", "a group has at most %d members",
				       TARGET_MEMBERS_MAX);
		if (url_parse(&t->member[t->n_members], one, e) < 0)
			return -1;
		t->n_members++;
		if (*end == '\0')
			return 0;
		text = end + 1;
	}
}

int target_parse(struct target *out, const char *text, struct err *e)
{
	size_t label = label_length(text);

	memset(out, 0, sizeof(*out));
	out->label = copy(text, label, e);
	if (out->label && parse_members(out, label ? text + label + 1 : text, e) == 0)
		return 0;
	target_done(out);
	return -1;
}

void target_done(struct target *t)
{
	free(t->label);
	t->label = NULL;
	for (size_t i = 0; i < t->n_members; i++)
		url_done(&t->member[i]);
	t->n_members = 0;
}

static int number_target(struct target *t, size_t number, struct err *e)
{
	char name[32];

	snprintf(name, sizeof(name), "t%zu", number);
	free(t->label);
	t->label = copy(name, strlen(name), e);
	return t->label ? 0 : -1;
}

int target_label(struct target *list, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].label && *list[i].label)
			continue;
		if (number_target(&list[i], i + 1, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(list[i].label, list[k].label) == 0)
				return err_set(e, ERR_USAGE, "url",
					       "two targets have the label '%s'", list[i].label);
	return 0;
}
