#include "picture/scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

struct scale scale_around(double lo, double hi, bool log, const char *unit, double from, double to)
{
	struct scale s = { .lo = lo, .hi = hi, .from = from, .to = to, .unit = unit };
	double room;

	if (!isfinite(lo) || !isfinite(hi) || lo > hi)
		s = (struct scale){ .hi = 1, .from = from, .to = to, .unit = unit };
	s.log = log && s.lo > 0;
	if (s.log) {
		room = fmax(log10(s.hi / s.lo) * 0.04, s.hi / s.lo > 1.001 ? 0 : 0.01);
		s.lo /= pow(10, room);
		s.hi *= pow(10, room);
		return s;
	}
	room = (s.hi - s.lo) * 0.05;
	if (!(room > 0))
		room = s.hi != 0 ? fabs(s.hi) * 0.05 : 1;
	s.lo = s.lo >= 0 && s.lo - room < 0 ? 0 : s.lo - room;
	s.hi += room;
	return s;
}

double scale_at(const struct scale *s, double value)
{
	double part;

	if (!(value > s->lo))
		return s->from;
	if (value >= s->hi)
		return s->to;
	part = s->log ? log(value / s->lo) / log(s->hi / s->lo) : (value - s->lo) / (s->hi - s->lo);
	return s->from + part * (s->to - s->from);
}

/* How people count the unit: in thousands, or in 1024s. */
static double base_of(const char *unit)
{
	return strcmp(unit, "bytes") == 0 || strcmp(unit, "bytes_per_second") == 0 ? 1024 : 1000;
}

/* The largest power of the base that is not above v: what one "KiB" is. */
static double prefix_of(double v, double base)
{
	double p = 1;

	while (v >= p * base && p < 1e30)
		p *= base;
	return p;
}

/* 1, 2 or 5 times a power of ten, the smallest that is not below `least`. */
static double round_step(double least)
{
	double power = pow(10, floor(log10(least)));

	for (int i = 0; i < 3; i++)
		if ((double[]){ 1, 2, 5 }[i] * power >= least * (1 - 1e-9))
			return (double[]){ 1, 2, 5 }[i] * power;
	return 10 * power;
}

static void linear_ticks(const struct scale *s, size_t wanted, struct scale_ticks *out)
{
	double prefix = prefix_of(fmax(fabs(s->hi), fabs(s->lo)), base_of(s->unit));
	double first;

	out->n = 0;
	out->step = round_step((s->hi - s->lo) / prefix / (double)wanted) * prefix;
	if (!(out->step > 0) || !isfinite(out->step))
		return;
	first = ceil(s->lo / out->step - 1e-9);
	for (size_t i = 0; i < SCALE_TICKS_MAX; i++) {
		double v = (first + (double)i) * out->step;

		if (v > s->hi * (1 + 1e-12) && v > s->lo)
			break;
		out->value[out->n++] = v;
	}
}

/* All m * base^k within the scale, m from a list; how many there would be, also beyond what fits. */
static size_t power_ticks(const struct scale *s, double base, const double *m, size_t n_m,
			  struct scale_ticks *out)
{
	double power = pow(base, floor(log(s->lo) / log(base)));
	size_t n = 0;

	out->n = 0;
	out->step = 0;
	for (; power <= s->hi && n < 1000; power *= base)
		for (size_t i = 0; i < n_m; i++) {
			double v = m[i] * power;

			if (v < s->lo * (1 - 1e-9) || v > s->hi * (1 + 1e-9))
				continue;
			if (n < SCALE_TICKS_MAX)
				out->value[out->n++] = v;
			n++;
		}
	return n;
}

static void log_ticks(const struct scale *s, size_t wanted, struct scale_ticks *out)
{
	static const double one[] = { 1 }, fives[] = { 1, 2, 5 };
	bool binary = base_of(s->unit) > 1000;
	/* From dense to sparse; the first that is not too many is taken. */
	for (unsigned i = 0; i < 24; i++) {
		double base = binary ? pow(2, i + 1) : pow(10, i < 1 ? 1 : i);
		size_t n = !binary && i == 0 ? power_ticks(s, 10, fives, 3, out)
					     : power_ticks(s, base, one, 1, out);

		if (n <= wanted)
			break;
	}
}

void scale_ticks(const struct scale *s, size_t wanted, struct scale_ticks *out)
{
	if (wanted > SCALE_TICKS_MAX)
		wanted = SCALE_TICKS_MAX;
	if (!s->log) {
		linear_ticks(s, wanted, out);
		return;
	}
	log_ticks(s, wanted, out);
	if (out->n < 2 || (out->n < 3 && s->hi / s->lo < 8))
		linear_ticks(s, wanted, out);
}

/* "10.0 us" says no more than "10 us" on an axis. */
static void strip_zeros(char *text)
{
	char *dot = strchr(text, '.'), *end, *keep;

	if (!dot)
		return;
	end = dot + 1 + strspn(dot + 1, "0123456789");
	keep = end;
	while (keep[-1] == '0')
		keep--;
	if (keep[-1] == '.')
		keep--;
	memmove(keep, end, strlen(end) + 1);
}

double scale_prefix(double most, const char *unit, char *name)
{
	double prefix = prefix_of(fabs(most), base_of(unit));
	char text[NUM_TEXT_MAX];
	const char *behind;

	num_format_unit(text, prefix, unit);
	behind = text + strspn(text, "0123456789.");
	snprintf(name, SCALE_TEXT_MAX, "%s", behind + (*behind == ' '));
	return prefix;
}

char *scale_text(char *out, const struct scale *s, const struct scale_ticks *t, size_t i)
{
	double v = t->value[i], most = fmax(fabs(s->hi), fabs(s->lo));
	bool plain = strcmp(s->unit, "count") == 0 && most < 1e5;
	double prefix = plain ? 1 : prefix_of(most, base_of(s->unit));
	char name[NUM_TEXT_MAX];
	int digits;

	if (t->step <= 0 || v == 0) {
		num_format_unit(out, v, s->unit);
		strip_zeros(out);
		return out;
	}
	/* The same prefix and the same decimals all along: the name of the prefix is what stands behind its 1. */
	num_format_unit(name, prefix, s->unit);
	digits = (int)ceil(-log10(t->step / prefix) - 1e-9);
	snprintf(out, SCALE_TEXT_MAX, "%.*f%s", digits > 0 ? digits < 6 ? digits : 6 : 0,
		 v / prefix, name + strspn(name, "0123456789."));
	return out;
}
