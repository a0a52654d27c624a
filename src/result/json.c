#include "result/json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

int json_put(json_t *object, const char *key, json_t *value, struct err *e)
{
	return value && json_object_set_new(object, key, value) == 0 ? 0 : err_nomem(e);
}

int json_push(json_t *array, json_t *value, struct err *e)
{
	return value && json_array_append_new(array, value) == 0 ? 0 : err_nomem(e);
}

json_t *json_put_object(json_t *object, const char *key, struct err *e)
{
	json_t *value = json_object();

	return json_put(object, key, value, e) < 0 ? NULL : value;
}

json_t *json_put_array(json_t *object, const char *key, struct err *e)
{
	json_t *value = json_array();

	return json_put(object, key, value, e) < 0 ? NULL : value;
}

json_t *json_push_object(json_t *array, struct err *e)
{
	json_t *value = json_object();

	return json_push(array, value, e) < 0 ? NULL : value;
}

json_t *json_number(double value)
{
	if (!isfinite(value))
		return json_null();
	if (fabs(value) <= (double)JSON_INTEGER_MAX && floor(value) == value)
		return json_integer((json_int_t)value);
	return json_real(value);
}

json_t *json_u64(uint64_t value)
{
	return value <= (uint64_t)JSON_INTEGER_MAX ? json_integer((json_int_t)value) : json_null();
}

json_t *json_tristate(int value)
{
	return value < 0 ? json_null() : json_boolean(value);
}

json_t *json_outside_text(const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (!text)
		return json_null();
	if (buf_add_utf8(&b, text, strlen(text)) < 0)
		return NULL;
	return json_stringn(buf_text(&b), b.len);
}

json_t *json_known_text(const char *text)
{
	return text && *text ? json_outside_text(text) : json_null();
}

static bool ends_word(char c)
{
	return c == '\0' || isspace((unsigned char)c) || c == '"' || c == '\'';
}

/* Length of the userinfo with its '@' in an authority that starts at p; 0 where there is none. A password may hold an
 * '@' of its own: the last one counts. */
static size_t userinfo_length(const char *p)
{
	size_t found = 0, end = strcspn(p, "/?#");

	for (size_t i = 0; i < end && !ends_word(p[i]); i++)
		if (p[i] == '@')
			found = i + 1;
	return found;
}

/* Length of "key=" at p when the key is one whose value is a secret. */
static size_t secret_key_length(const char *p)
{
	static const char *const secret[] = { "password", "passwd",	  "pass",   "pwd",
					      "token",	  "secret",	  "apikey", "api_key",
					      "auth",	  "access_token", "key",    "sig",
					      "signature" };
	size_t n = strcspn(p, "=&# ");

	if (p[n] != '=')
		return 0;
	for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++)
		if (strlen(secret[i]) == n && strncasecmp(p, secret[i], n) == 0)
			return n + 1;
	return 0;
}

static int add_masked(struct buf *b, const char *text)
{
	const char *p = text;

	while (*p) {
		size_t n = 0;

		if (strncmp(p, "://", 3) == 0) {
			n = userinfo_length(p + 3);
			buf_adds(b, n ? "://***@" : "://");
			p += 3 + n;
			continue;
		}
		if ((*p == '?' || *p == '&') && (n = secret_key_length(p + 1)) > 0) {
			buf_add(b, p, n + 1);
			buf_adds(b, "***");
			for (p += n + 1; *p != '&' && *p != '#' && !ends_word(*p);)
				p++;
			continue;
		}
		buf_addc(b, *p++);
	}
	return b->failed ? -1 : 0;
}

json_t *json_masked_text(const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (!text)
		return json_null();
	return add_masked(&b, text) < 0 ? NULL : json_outside_text(buf_text(&b));
}
