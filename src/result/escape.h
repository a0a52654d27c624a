/* escape - text from outside made harmless in what people read */
#pragma once

#include "base/buf.h"

/*
 * Control characters, invalid UTF-8 and bidirectional marks become visible as \xNN (buf_add_safe), then what the format
 * gives a meaning is escaped. Failure is out->failed.
 */
void escape_markdown(struct buf *out, const char *text); /* Markdown is HTML to who reads it */
void escape_html(struct buf *out, const char *text); /* elements and quoted attributes; XML too */
