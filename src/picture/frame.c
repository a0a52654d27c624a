#include "picture/frame.h"

#include <string.h>

struct frame frame_of(struct svg *svg, double height)
{
	return (struct frame){ svg, FRAME_LEFT, FRAME_TOP, svg->width - FRAME_RIGHT,
			       height - FRAME_BOTTOM };
}

void frame_y(const struct frame *f, const struct scale *y, const char *title)
{
	char text[SCALE_TEXT_MAX];
	struct scale_ticks t;
	double last = 1e9;

	scale_ticks(y, 6, &t);
	svg_path_begin(f->svg, "grid", SVG_COLORS);
	for (size_t i = 0; i < t.n; i++) {
		svg_move(f->svg, f->left, scale_at(y, t.value[i]));
		svg_to(f->svg, f->right, scale_at(y, t.value[i]));
	}
	svg_path_end(f->svg);
	for (size_t i = 0; i < t.n; i++) {
		double at = scale_at(y, t.value[i]);

		if (last - at < SVG_FONT + 3)
			continue;
		last = at;
		svg_text(f->svg, f->left - 5, at + 4, SVG_END, "", scale_text(text, y, &t, i), 10);
	}
	svg_text(f->svg, 0, SVG_FONT + 1, SVG_START, "axis", title, svg_fit(f->svg->width));
}

void frame_x_labels(const struct frame *f, const double *at, const char *const *text, size_t n,
		    const char *title)
{
	double used = -1e9;

	svg_path_begin(f->svg, "grid", SVG_COLORS);
	for (size_t i = 0; i < n; i++) {
		svg_move(f->svg, at[i], f->top);
		svg_to(f->svg, at[i], f->bottom);
	}
	svg_path_end(f->svg);
	for (size_t i = 0; i < n; i++) {
		double half = (double)strlen(text[i]) * SVG_COLUMN / 2 + 1, place = at[i];

		/* Numbers at the ends stay inside. */
		place = place + half > f->svg->width ? f->svg->width - half : place;
		place = place - half < 0 ? half : place;
		if (place - half < used + SVG_COLUMN / 2)
			continue;
		svg_text(f->svg, place, f->bottom + 17, SVG_MIDDLE, "", text[i], 0);
		used = place + half;
	}
	svg_text(f->svg, (f->left + f->right) / 2, f->bottom + 33, SVG_MIDDLE, "axis", title,
		 svg_fit(f->right - f->left));
}

void frame_x(const struct frame *f, const struct scale *x, const char *title)
{
	char text[SCALE_TICKS_MAX][SCALE_TEXT_MAX];
	const char *texts[SCALE_TICKS_MAX];
	double at[SCALE_TICKS_MAX];
	struct scale_ticks t;

	scale_ticks(x, 5, &t);
	for (size_t i = 0; i < t.n; i++) {
		at[i] = scale_at(x, t.value[i]);
		texts[i] = scale_text(text[i], x, &t, i);
	}
	frame_x_labels(f, at, texts, t.n, title);
}
