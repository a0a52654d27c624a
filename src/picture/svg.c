#include "picture/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "result/escape.h"

/* One decimal is a tenth of a pixel; what is not finite has no place and goes to the corner. */
static void number(struct buf *out, double v)
{
	char text[32];
	size_t len;

	if (!isfinite(v) || fabs(v) > 1e6)
		v = 0;
	len = (size_t)snprintf(text, sizeof(text), "%.1f", v);
	if (len > 2 && text[len - 1] == '0')
		len -= 2;
	if (len == 2 && text[0] == '-' && text[1] == '0')
		buf_addc(out, '0');
	else
		buf_add(out, text, len);
}

static void attribute(struct buf *out, const char *name, double v)
{
	buf_addf(out, " %s=\"", name);
	number(out, v);
	buf_addc(out, '"');
}

void svg_begin(struct svg *s, struct buf *out, double height, unsigned id, const char *title,
	       const char *desc)
{
	*s = (struct svg){ .out = out, .width = SVG_WIDTH, .height = height };
	buf_addf(
		out,
		"<svg viewBox=\"0 0 %.0f %.0f\" role=img aria-labelledby=\"t%u d%u\"><title id=t%u>",
		s->width, height, id, id, id);
	escape_html(out, title);
	buf_addf(out, "</title><desc id=d%u>", id);
	escape_html(out, desc);
	buf_adds(out, "</desc>");
}

void svg_end(const struct svg *s)
{
	buf_adds(s->out, "</svg>");
}

unsigned svg_fit(double room)
{
	return room < SVG_COLUMN ? 1 : (unsigned)(room / SVG_COLUMN);
}

/* East Asian and emoji are as wide as two; everything that may be is taken to be. */
static unsigned columns_of(const char *p)
{
	unsigned char c = (unsigned char)*p;

	if ((c & 0xc0) == 0x80)
		return 0;
	return c >= 0xe1 ? 2 : 1;
}

/* Bytes of as many characters as fit into `columns`. */
static size_t cut_at(const char *text, unsigned columns)
{
	unsigned used = 0;
	size_t i = 0;

	for (; text[i]; i++) {
		used += columns_of(text + i);
		if (used > columns)
			break;
	}
	return i;
}

static void cut_text(struct buf *out, const char *text, unsigned columns)
{
	CLEANUP(buf_done) struct buf part = BUF_INIT;

	if (!columns || !text[cut_at(text, columns)]) {
		escape_html(out, text);
		return;
	}
	buf_add(&part, text, cut_at(text, columns - 1));
	out->failed = out->failed || part.failed;
	escape_html(out, buf_text(&part));
	buf_adds(out, "\u2026");
}

void svg_text(const struct svg *s, double x, double y, enum svg_anchor anchor, const char *class,
	      const char *text, unsigned columns)
{
	static const char *const names[] = { "", "m", "e" };
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	/* Cut what is seen: an escape takes more columns than the byte that it shows. */
	buf_add_safe(&safe, text, strlen(text));
	s->out->failed = s->out->failed || safe.failed;
	buf_adds(s->out, "<text");
	attribute(s->out, "x", x);
	attribute(s->out, "y", y);
	if (*class || anchor)
		buf_addf(s->out, " class=\"%s%s%s\"", names[anchor], anchor && *class ? " " : "",
			 class);
	buf_addc(s->out, '>');
	cut_text(s->out, buf_text(&safe), columns);
	buf_adds(s->out, "</text>");
}

void svg_line(const struct svg *s, double x1, double y1, double x2, double y2, const char *class)
{
	svg_path_begin(s, class, SVG_COLORS);
	svg_move(s, x1, y1);
	svg_to(s, x2, y2);
	svg_path_end(s);
}

void svg_rect(const struct svg *s, double x, double y, double w, double h, const char *class)
{
	buf_addf(s->out, "<rect class=\"%s\"", class);
	attribute(s->out, "x", x);
	attribute(s->out, "y", y);
	attribute(s->out, "width", w);
	attribute(s->out, "height", h);
	buf_adds(s->out, "/>");
}

void svg_path_begin(const struct svg *s, const char *class, unsigned color)
{
	buf_addf(s->out, "<path class=\"%s", class);
	if (color < SVG_COLORS)
		buf_addf(s->out, " c%u", color);
	buf_adds(s->out, "\" d=\"");
}

static void command(const struct svg *s, char c, double x, double y)
{
	buf_addc(s->out, c);
	number(s->out, x);
	buf_addc(s->out, ' ');
	number(s->out, y);
}

void svg_move(const struct svg *s, double x, double y)
{
	command(s, 'M', x, y);
}

void svg_to(const struct svg *s, double x, double y)
{
	command(s, 'L', x, y);
}

static double tenths(double v)
{
	return isfinite(v) && fabs(v) <= 1e6 ? round(v * 10) / 10 : 0;
}

void svg_through(const struct svg *s, const double *x, const double *y, size_t n)
{
	svg_move(s, x[0], y[0]);
	for (size_t i = 1; i < n; i++) {
		double dy = tenths(y[i]) - tenths(y[i - 1]);

		/* What is drawn is the sum of what is written, so the rounded places are subtracted. */
		buf_addc(s->out, 'l');
		number(s->out, tenths(x[i]) - tenths(x[i - 1]));
		if (dy > -0.05)
			buf_addc(s->out, ' ');
		number(s->out, dy);
	}
}

void svg_bar(const struct svg *s, double x, double y, double w, double h)
{
	command(s, 'M', x, y);
	buf_addc(s->out, 'h');
	number(s->out, w);
	buf_addc(s->out, 'v');
	number(s->out, h);
	buf_addc(s->out, 'h');
	number(s->out, -w);
	buf_addc(s->out, 'z');
}

void svg_mark(const struct svg *s, double x, double y, unsigned color)
{
	static const char *const shape[SVG_COLORS] = {
		"m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z", /* disc */
		"m-3-3h6v6h-6z",				/* square */
		"m0-4l4 7h-8z",					/* triangle */
		"m0-4.5l4 4.5l-4 4.5l-4-4.5z",			/* diamond */
		"m-4-1h3v-3h2v3h3v2h-3v3h-2v-3h-3z",		/* plus */
		"m0 4l4-7h-8z",					/* triangle downwards */
		"m-4-2h8v4h-8z",				/* bar */
		"m-2-4h4v8h-4z",				/* upright bar */
	};

	command(s, 'M', x, y);
	buf_adds(s->out, shape[color % SVG_COLORS]);
}

void svg_path_end(const struct svg *s)
{
	buf_adds(s->out, "\"/>");
}
