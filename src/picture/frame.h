/* frame - the axes around a figure */
#pragma once

#include "picture/scale.h"
#include "picture/svg.h"

struct frame {
	struct svg *svg;
	double left, top, right, bottom; /* of what is drawn in */
};

/* Most of an SVG of that height: room for ticks at the left and below, for the axis titles above and below. */
struct frame frame_of(struct svg *svg, double height);
enum { FRAME_LEFT = 72, FRAME_TOP = 24, FRAME_RIGHT = 8, FRAME_BOTTOM = 38 };

/* Grid lines with their numbers, and the title of the axis: that of y above, that of x below. */
void frame_y(const struct frame *f, const struct scale *y, const char *title);
void frame_x(const struct frame *f, const struct scale *x, const char *title);
/* Numbers along x at places of their own; what would touch the one before is left out. */
void frame_x_labels(const struct frame *f, const double *at, const char *const *text, size_t n,
		    const char *title);
