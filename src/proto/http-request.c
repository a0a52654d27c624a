#include "proto/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* tchar of RFC 9110 5.6.2 */
static bool is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return true;
}

static bool is_one_line(const char *text, bool blanks)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' ? c != '\t' || !blanks : c == 127 || (c == ' ' && !blanks))
			return false;
	}
	return true;
}

static const struct http_field *given(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_fields; i++)
		if (strcasecmp(r->field[i].name, name) == 0)
			return &r->field[i];
	return NULL;
}

/* A field of ours, unless the user gave another. */
static void add_field(const struct http_request *r, struct buf *out, const char *name,
		      const char *value)
{
	if (value && !given(r, name))
		buf_addf(out, "%s: %s\r\n", name, value);
}

static int check(const struct http_request *r, struct err *e)
{
	if (!is_token(r->method))
		return err_set(e, ERR_USAGE, "method", "'%s' is no HTTP method", r->method);
	if (!*r->target || !is_one_line(r->target, false))
		return err_set(e, ERR_USAGE, "path", "'%s' is no path (blanks are written %%20)",
			       r->target);
	if (!is_one_line(r->host, false))
		return err_set(e, ERR_USAGE, "host", "'%s' is no host", r->host);
	for (size_t i = 0; i < r->n_fields; i++)
		if (!is_token(r->field[i].name) || !is_one_line(r->field[i].value, true))
			return err_set(e, ERR_USAGE, "header",
				       "'%s: %s' is no header (Name: value, on one line)",
				       r->field[i].name, r->field[i].value);
	return 0;
}

int http_request_write(const struct http_request *r, struct buf *out, struct err *e)
{
	char length[24];

	if (check(r, e) < 0)
		return -1;
	snprintf(length, sizeof(length), "%" PRIu64, r->body_bytes);
	buf_addf(out, "%s %s HTTP/1.1\r\n", r->method, r->target);
	add_field(r, out, "Host", r->host);
	add_field(r, out, "User-Agent", r->agent);
	add_field(r, out, "Content-Length", r->has_body ? length : NULL);
	add_field(r, out, "Connection", r->close ? "close" : NULL);
	for (size_t i = 0; i < r->n_fields; i++)
		if (*r->field[i].value)
			buf_addf(out, "%s: %s\r\n", r->field[i].name, r->field[i].value);
	buf_adds(out, "\r\n");
	return out->failed ? err_nomem(e) : 0;
}

int http_field_parse(char *text, struct http_field *out, struct err *e)
{
	char *colon = strchr(text, ':'), *end;

	if (!colon)
		return err_set(e, ERR_USAGE, "header", "'%s' is no header (--header 'Name: value')",
			       text);
	*colon++ = '\0';
	colon += strspn(colon, " \t");
	end = colon + strlen(colon);
	while (end > colon && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	*out = (struct http_field){ .name = text, .value = colon };
	if (!is_token(out->name) || !is_one_line(out->value, true))
		return err_set(e, ERR_USAGE, "header",
			       "'%s: %s' is no header (Name: value, on one line)", out->name,
			       out->value);
	return 0;
}

const char *http_status_word(unsigned status)
{
	static const char *const word[] = {
		"http-400", "http-401", "http-402", "http-403", "http-404", "http-405", "http-406",
		"http-407", "http-408", "http-409", "http-410", "http-411", "http-412", "http-413",
		"http-414", "http-415", "http-416", "http-417", "http-418",
	};

	if (status >= 200 && status < 300)
		return NULL;
	if (status >= 400 && status < 400 + sizeof(word) / sizeof(word[0]))
		return word[status - 400];
	switch (status) {
	case 300:
		return "http-300";
	case 301:
		return "http-301";
	case 302:
		return "http-302";
	case 303:
		return "http-303";
	case 304:
		return "http-304";
	case 307:
		return "http-307";
	case 308:
		return "http-308";
	case 421:
		return "http-421";
	case 422:
		return "http-422";
	case 425:
		return "http-425";
	case 426:
		return "http-426";
	case 428:
		return "http-428";
	case 429:
		return "http-429";
	case 431:
		return "http-431";
	case 451:
		return "http-451";
	case 500:
		return "http-500";
	case 501:
		return "http-501";
	case 502:
		return "http-502";
	case 503:
		return "http-503";
	case 504:
		return "http-504";
	case 505:
		return "http-505";
	case 507:
		return "http-507";
	default:
		break;
	}
	switch (status / 100) {
	case 3:
		return "http-3xx";
	case 4:
		return "http-4xx";
	case 5:
		return "http-5xx";
	default:
		return "http-status";
	}
}
