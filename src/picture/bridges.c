/* What a bridge counted: the latency that it added, and its traffic. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "result/view.h"

enum { POINTS = 6, HEIGHT = 210, WAYS = 2 };

static const char *const point_key[POINTS] = { "min", "p50", "p90", "p99", "p999", "max" };
static const char *const point_name[POINTS] = { "min", "P50", "P90", "P99", "P99.9", "max" };
static const char *const way_key[WAYS] = { "to_client", "to_device" };
static const char *const way_name[WAYS] = { "to client", "to device" };

struct ways {
	double value[WAYS][POINTS];
	double lo, hi;
};

static void read_ways(const json_t *bridge, struct ways *w)
{
	w->lo = INFINITY;
	w->hi = 0;
	for (size_t i = 0; i < WAYS; i++) {
		const json_t *ns =
			json_object_get(json_object_get(bridge, way_key[i]), "added_latency_ns");

		for (size_t p = 0; p < POINTS; p++) {
			double v = view_number(ns, "n") > 0 ? view_number(ns, point_key[p])
							    : (double)NAN;

			w->value[i][p] = v;
			if (v > 0) {
				w->lo = fmin(w->lo, v);
				w->hi = fmax(w->hi, v);
			}
		}
	}
}

static void draw(struct canvas *k, const struct ways *w, const char *title)
{
	double at[POINTS];
	struct scale y;
	struct frame f;
	struct svg svg;

	figure_svg(k, &svg, HEIGHT, "Added latency of a bridge", title);
	f = frame_of(&svg, HEIGHT);
	y = scale_around(w->lo, w->hi, true, "ns", f.bottom, f.top);
	for (size_t p = 0; p < POINTS; p++)
		at[p] = f.left + (f.right - f.left) * ((double)p + 0.5) / POINTS;
	frame_y(&f, &y, "latency added");
	frame_x_labels(&f, at, point_name, POINTS, "share of pieces");
	for (unsigned i = 0; i < WAYS; i++) {
		bool first = true;

		svg_path_begin(&svg, "line", i);
		for (size_t p = 0; p < POINTS; p++) {
			if (!(w->value[i][p] > 0))
				continue;
			(first ? svg_move : svg_to)(&svg, at[p], scale_at(&y, w->value[i][p]));
			first = false;
		}
		svg_path_end(&svg);
		svg_path_begin(&svg, "mark", i);
		for (size_t p = 0; p < POINTS; p++)
			if (w->value[i][p] > 0)
				svg_mark(&svg, at[p], scale_at(&y, w->value[i][p]), i);
		svg_path_end(&svg);
	}
	svg_end(&svg);
}

static void table(struct canvas *k, const json_t *bridge, const struct ways *w)
{
	static const char *const count[] = { "bytes", "pieces", "queued" };

	for (size_t i = 0; i < WAYS; i++)
		numbers_column(k->numbers, way_name[i]);
	for (size_t p = 0; p < POINTS; p++) {
		size_t row = numbers_row(k->numbers, point_name[p]);

		for (size_t i = 0; i < WAYS; i++)
			numbers_value(k->numbers, row, i, w->value[i][p], "ns");
	}
	for (size_t c = 0; c < 3; c++) {
		size_t row = numbers_row(k->numbers, count[c]);

		for (size_t i = 0; i < WAYS; i++)
			numbers_count(k->numbers, row, i,
				      view_number(json_object_get(bridge, way_key[i]), count[c]));
	}
}

/* The same key as that of cases, for the two directions. */
static void key_of(struct canvas *k)
{
	static char labels[WAYS][16] = { "to client", "to device" };
	struct study_case c = { .n = WAYS };

	for (unsigned i = 0; i < WAYS; i++) {
		c.arm[i].label = labels[i];
		c.arm[i].color = i;
	}
	figure_key(k, &c);
}

static double count_of(const json_t *bridge, const char *key)
{
	double n = view_number(bridge, key);

	return isfinite(n) ? n : 0;
}

static void one(struct canvas *k, size_t file, const json_t *bridge)
{
	CLEANUP(buf_done) struct buf title = BUF_INIT;
	char median[WAYS][NUM_TEXT_MAX], counts[160];
	struct ways w;

	read_ways(bridge, &w);
	for (size_t i = 0; i < WAYS; i++)
		num_format_unit(median[i], w.value[i][1], "ns");
	if (k->study->n_files > 1)
		buf_addf(&title, "%s: ", k->study->file[file].label);
	snprintf(counts, sizeof(counts), "%.0f sessions, %.0f refused, %.0f starts of the device",
		 count_of(bridge, "sessions"), count_of(bridge, "refused"),
		 count_of(bridge, "device_starts"));
	if (!(w.hi > 0)) {
		buf_addf(&title, "the bridge passed nothing on");
	} else {
		buf_addf(&title, "the bridge adds %s towards the client and %s towards the device",
			 median[0], median[1]);
	}
	k->out->failed = k->out->failed || title.failed;
	figure_begin(k, buf_text(&title), counts);
	if (w.hi > 0) {
		key_of(k);
		draw(k, &w, buf_text(&title));
	}
	table(k, bridge, &w);
	figure_end(k, "What the bridge passed on");
}

int figure_bridges(struct canvas *k)
{
	for (size_t i = 0; i < k->study->n_files; i++) {
		const json_t *bridge = json_object_get(
			json_object_get(k->study->file[i].root, "extensions"), "bridge");

		if (json_is_object(bridge))
			one(k, i, bridge);
	}
	return 0;
}
