#include "result/screen.h"

#include <string.h>

unsigned screen_columns(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Bytes of the first `columns` code points. */
static size_t bytes_of(const char *text, unsigned columns)
{
	size_t i = 0;

	while (text[i]) {
		if (((unsigned char)text[i] & 0xc0) != 0x80 && columns-- == 0)
			break;
		i++;
	}
	return i;
}

static const char *tone_code(const struct screen *s, enum tone tone)
{
	static const char *const code[] = { "", "\033[1m", "\033[2m", "\033[32m", "\033[31m" };

	return s->style->color ? code[tone] : "";
}

static void add_toned(const struct screen *s, enum tone tone, const char *text, size_t len)
{
	const char *code = tone_code(s, tone);

	buf_adds(s->out, code);
	buf_add(s->out, text, len);
	buf_adds(s->out, *code ? "\033[0m" : "");
}

void screen_text(const struct screen *s, enum tone tone, const char *text)
{
	add_toned(s, tone, text, strlen(text));
}

static void pad(const struct screen *s, unsigned columns)
{
	while (columns--)
		buf_addc(s->out, ' ');
}

static void add_cut(const struct screen *s, enum tone tone, const char *text, unsigned width)
{
	add_toned(s, tone, text, bytes_of(text, width - 1));
	screen_text(s, tone, s->style->utf8 ? "\u2026" : "~");
}

void screen_left(const struct screen *s, enum tone tone, const char *text, unsigned width)
{
	unsigned columns = screen_columns(text);

	if (columns > width && width > 0) {
		add_cut(s, tone, text, width);
	} else {
		screen_text(s, tone, text);
		pad(s, width - columns);
	}
}

void screen_right(const struct screen *s, enum tone tone, const char *text, unsigned width)
{
	unsigned columns = screen_columns(text);

	if (columns < width)
		pad(s, width - columns);
	screen_left(s, tone, text, columns < width ? columns : width);
}

void screen_line_end(const struct screen *s)
{
	struct buf *b = s->out;

	while (b->len && b->data[b->len - 1] == ' ')
		b->data[--b->len] = '\0';
	buf_addc(b, '\n');
}

void screen_heading(const struct screen *s, const char *text)
{
	buf_addc(s->out, '\n');
	screen_text(s, TONE_BOLD, text);
	screen_line_end(s);
}

void screen_wrap(const struct screen *s, enum tone tone, const char *first, const char *text)
{
	unsigned indent = screen_columns(first), at = indent;
	bool line_has_word = false;

	buf_adds(s->out, first);
	while (*text) {
		size_t blank = strspn(text, " \n"), word = strcspn(text + blank, " \n");
		unsigned columns = 0;

		text += blank;
		for (size_t i = 0; i < word; i++)
			columns += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (!word)
			break;
		if (line_has_word && at + 1 + columns > s->style->width) {
			screen_line_end(s);
			pad(s, indent);
			at = indent;
			line_has_word = false;
		}
		buf_adds(s->out, line_has_word ? " " : "");
		add_toned(s, tone, text, word);
		at += columns + line_has_word;
		line_has_word = true;
		text += word;
	}
	screen_line_end(s);
}

char *screen_safe(const struct screen *s, const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (!text || !*text)
		text = "";
	if (buf_add_safe(&b, text, strlen(text)) < 0 || buf_reserve(&b, 1) < 0) {
		s->out->failed = true;
		return NULL;
	}
	b.data[b.len] = '\0';
	return buf_take(&b);
}

const char *screen_part(const struct screen *s, const struct buf *part)
{
	s->out->failed = s->out->failed || part->failed;
	return buf_text(part);
}
