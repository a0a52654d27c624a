#include "result/escape.h"

#include <string.h>

static void add_safe(struct buf *out, struct buf *safe, const char *text)
{
	buf_add_safe(safe, text, strlen(text));
	out->failed = out->failed || safe->failed;
}

/* The name of a character that HTML gives a meaning; NULL for others. */
static const char *entity(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void escape_html(struct buf *out, const char *text)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	add_safe(out, &safe, text);
	for (const char *p = buf_text(&safe); *p; p++) {
		const char *name = entity(*p);

		if (name)
			buf_adds(out, name);
		else
			buf_addc(out, *p);
	}
}

void escape_markdown(struct buf *out, const char *text)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	add_safe(out, &safe, text);
	for (const char *p = buf_text(&safe); *p; p++) {
		if (strchr("\\`*_{}[]()#+!|~@", *p))
			buf_addf(out, "\\%c", *p);
		else if (strchr("<>&", *p))
			buf_adds(out, entity(*p));
		else
			buf_addc(out, *p);
	}
}
