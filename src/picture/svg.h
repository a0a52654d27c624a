/* svg - a figure as inline SVG: numbers short, text escaped, named for those who cannot see it */
#pragma once

#include "base/buf.h"

/* All figures are drawn this wide; the page scales them. Text is monospaced, so that its width is known. */
#define SVG_WIDTH 420.0
#define SVG_FONT 11.0
#define SVG_COLUMN 6.65 /* of one character */
enum { SVG_COLORS = 8 };

struct svg {
	struct buf *out; /* failure is out->failed */
	double width, height;
};

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

/* `id` is unique on the page. title and desc are the picture in words; both get escaped. */
void svg_begin(struct svg *s, struct buf *out, double height, unsigned id, const char *title,
	       const char *desc);
void svg_end(const struct svg *s);
/* Columns of text that fit into `room`. */
unsigned svg_fit(double room);
/* Text with its base line at y; what is longer than `columns` (0: anything) ends in an ellipsis. The class may be "". */
void svg_text(const struct svg *s, double x, double y, enum svg_anchor anchor, const char *class,
	      const char *text, unsigned columns);
void svg_line(const struct svg *s, double x1, double y1, double x2, double y2, const char *class);
void svg_rect(const struct svg *s, double x, double y, double w, double h, const char *class);
/* A path: begin, any number of the others, end. The class is followed by that of the colour, where it is below SVG_COLORS. */
void svg_path_begin(const struct svg *s, const char *class, unsigned color);
void svg_move(const struct svg *s, double x, double y);
void svg_to(const struct svg *s, double x, double y);
/* A line through points (n >= 1): differences are shorter than places. */
void svg_through(const struct svg *s, const double *x, const double *y, size_t n);
void svg_bar(const struct svg *s, double x, double y, double w, double h);
/* A mark around the point; its shape goes with the colour, so that colour is never needed to tell. */
void svg_mark(const struct svg *s, double x, double y, unsigned color);
void svg_path_end(const struct svg *s);
