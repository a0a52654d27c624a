/* A histogram in one line of text, on a logarithmic axis; values in order, on a linear one. */
#include <math.h>
#include <string.h>

#include "result/sparkline.h"
#include "stats/histogram.h"

void sparkline_init(struct sparkline *s, unsigned cells, double min, double max)
{
	memset(s, 0, sizeof(*s));
	s->cells = cells < SPARKLINE_MAX ? cells : SPARKLINE_MAX;
	s->lo = log(min > 1 ? min : 1);
	s->hi = log(max > 1 ? max : 1);
}

static unsigned cell_of(const struct sparkline *s, double value)
{
	double place = (log(value > 1 ? value : 1) - s->lo) / (s->hi - s->lo) * s->cells;

	if (!(s->hi > s->lo))
		return s->cells / 2;
	if (!(place > 0))
		return 0;
	return place >= s->cells ? s->cells - 1 : (unsigned)place;
}

void sparkline_add(struct sparkline *s, const json_t *distribution)
{
	const json_t *hist = json_object_get(distribution, "hist");
	const json_t *deltas = json_object_get(hist, "index_delta"),
		     *counts = json_object_get(hist, "count");
	json_int_t bits = json_integer_value(json_object_get(hist, "bits"));
	uint64_t index = 0;
	double max = json_number_value(json_object_get(distribution, "max"));

	if (s->cells == 0 || bits < 1 || bits > 31)
		return;
	for (size_t i = 0; i < json_array_size(deltas); i++) {
		double low, high;

		index += (uint64_t)json_integer_value(json_array_get(deltas, i));
		if (index >> bits > 64)
			return;
		low = (double)loglinear_low((unsigned)bits, (size_t)index);
		high = (double)loglinear_high((unsigned)bits, (size_t)index);
		s->count[cell_of(s, (low + (high < max ? high : max)) / 2)] +=
			json_number_value(json_array_get(counts, i));
	}
}

static void add_level(int level, bool utf8, struct buf *out)
{
	static const char *const blocks[] = { "\u2581", "\u2582", "\u2583", "\u2584",
					      "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char *const ascii[] = { "_", ".", ":", "-", "=", "+", "*", "#" };

	buf_adds(out, (utf8 ? blocks : ascii)[level < 0 ? 0 : level > 7 ? 7 : level]);
}

void sparkline_level(double height, bool utf8, struct buf *out)
{
	add_level(height > 0 ? (int)(fmin(height, 1) * 7 + 0.5) : 0, utf8, out);
}

void sparkline_draw(const struct sparkline *s, bool utf8, struct buf *out)
{
	double top = 0;

	for (unsigned i = 0; i < s->cells; i++)
		top = s->count[i] > top ? s->count[i] : top;
	for (unsigned i = 0; i < s->cells; i++) {
		if (s->count[i] <= 0)
			buf_addc(out, ' ');
		else
			add_level(top > 0 ? (int)(s->count[i] / top * 8 - 1e-9) : 0, utf8, out);
	}
}

int table_sparkline(const json_t *distribution, unsigned cells, bool utf8, struct buf *out)
{
	struct sparkline s;

	sparkline_init(&s, cells, json_number_value(json_object_get(distribution, "min")),
		       json_number_value(json_object_get(distribution, "max")));
	sparkline_add(&s, distribution);
	sparkline_draw(&s, utf8, out);
	return out->failed ? -1 : 0;
}

static double mean_of(const double *v, size_t from, size_t to)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		if (isfinite(v[i])) {
			sum += v[i];
			n++;
		}
	return n ? sum / (double)n : (double)NAN;
}

unsigned sparkline_values(const double *v, size_t n, unsigned cells, bool utf8, struct buf *out)
{
	double cell[SPARKLINE_VALUES_MAX], lo = (double)INFINITY, hi = -(double)INFINITY;
	size_t used = cells < SPARKLINE_VALUES_MAX ? cells : SPARKLINE_VALUES_MAX;

	used = n < used ? n : used;
	for (size_t i = 0; i < used; i++) {
		cell[i] = mean_of(v, i * n / used, (i + 1) * n / used);
		lo = fmin(lo, cell[i]);
		hi = fmax(hi, cell[i]);
	}
	for (size_t i = 0; i < used; i++) {
		if (isnan(cell[i]))
			buf_addc(out, '!');
		else
			sparkline_level(hi > lo ? (cell[i] - lo) / (hi - lo) : 0.5, utf8, out);
	}
	return (unsigned)used;
}
