/* screen - lines of text in columns, the same with colour and without */
#pragma once

#include "base/buf.h"
#include "result/table.h"

enum tone { TONE_PLAIN, TONE_BOLD, TONE_DIM, TONE_GOOD, TONE_BAD };

struct screen {
	struct buf *out;
	const struct table_style *style;
};

/* Columns that printable UTF-8 text takes (one per code point). */
unsigned screen_columns(const char *text);
/* Text in a tone; nothing but the text without colour. */
void screen_text(const struct screen *s, enum tone tone, const char *text);
/* The same in a cell of exactly `width` columns, cut at its end where it is longer. */
void screen_left(const struct screen *s, enum tone tone, const char *text, unsigned width);
void screen_right(const struct screen *s, enum tone tone, const char *text, unsigned width);
void screen_line_end(const struct screen *s);
/* A heading after an empty line. */
void screen_heading(const struct screen *s, const char *text);
/* Words wrapped into the width: `first` begins the first line, later ones are indented as far. */
void screen_wrap(const struct screen *s, enum tone tone, const char *first, const char *text);
/* Outside text made printable; a malloc'ed copy, NULL on no memory (then out->failed is set). NULL gives "". */
char *screen_safe(const struct screen *s, const char *text);
/* The text of a part that was put together by itself; its failure becomes the screen's. */
const char *screen_part(const struct screen *s, const struct buf *part);
