#include "base/num.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* A plain decimal, read exactly. */
struct decimal {
	uint64_t whole, fraction, fraction_scale;
	const char *rest;
};

/* 10^17: further digits are below the resolution of any unit. */
#define FRACTION_LIMIT UINT64_C(100000000000000000)

struct unit {
	const char *name;
	uint64_t factor;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 0 for a number, -1 where there is none, 1 for one beyond 64 bits. */
static int scan_decimal(const char *text, struct decimal *d)
{
	const char *p = text;

	*d = (struct decimal){ .fraction_scale = 1 };
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(d->whole, 10, &d->whole) ||
		    __builtin_add_overflow(d->whole, (uint64_t)(*p - '0'), &d->whole))
			return 1;
	if (p == text && *p != '.')
		return -1;
	if (*p == '.') {
		if (!is_digit(p[1]))
			return -1;
		for (p++; is_digit(*p); p++) {
			if (d->fraction_scale >= FRACTION_LIMIT)
				continue;
			d->fraction = d->fraction * 10 + (uint64_t)(*p - '0');
			d->fraction_scale *= 10;
		}
	}
	d->rest = p;
	return 0;
}

static int scale(const struct decimal *d, uint64_t factor, uint64_t *out)
{
	unsigned __int128 part = (unsigned __int128)d->fraction * factor;
	unsigned __int128 sum = (unsigned __int128)d->whole * factor;

	sum += (part + d->fraction_scale / 2) / d->fraction_scale;
	if (sum > UINT64_MAX)
		return -1;
	*out = (uint64_t)sum;
	return 0;
}

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

static int parse_unit(const char *text, const struct unit *units, size_t n, const char *what,
		      const char *example, uint64_t *out, struct err *e)
{
	const struct unit *unit;
	struct decimal d;
	uint64_t value = 0;
	int rc = scan_decimal(text, &d);

	if (rc < 0)
		return err_set(e, ERR_USAGE, "number", "'%s' is not %s (try %s)", text, what,
			       example);
	if (rc == 0) {
		unit = find_unit(units, n, d.rest);
		if (!unit)
			return err_set(e, ERR_USAGE, "number",
				       "'%s' has an unknown unit '%s' (try %s)", text, d.rest,
				       example);
		rc = scale(&d, unit->factor, &value);
	}
	if (rc != 0)
		return err_set(e, ERR_USAGE, "number", "'%s' is too large (try %s)", text, example);
	*out = value;
	return 0;
}

int num_parse_u64(const char *text, uint64_t *out, struct err *e)
{
	struct decimal d;
	int rc = scan_decimal(text, &d);

	if (rc < 0 || (rc == 0 && (*d.rest || d.fraction_scale != 1)))
		return err_set(e, ERR_USAGE, "number", "'%s' is not a whole number (try 10)", text);
	if (rc > 0)
		return err_set(e, ERR_USAGE, "number", "'%s' is too large (try 10)", text);
	*out = d.whole;
	return 0;
}

int num_parse_duration(const char *text, uint64_t *out_ns, struct err *e)
{
	static const struct unit units[] = {
		{ "", NS_PER_SEC },	    { "ns", 1 },
		{ "us", NS_PER_US },	    { "\xc2\xb5s", NS_PER_US },
		{ "ms", NS_PER_MS },	    { "s", NS_PER_SEC },
		{ "m", 60 * NS_PER_SEC },   { "min", 60 * NS_PER_SEC },
		{ "h", 3600 * NS_PER_SEC }, { "d", 86400 * NS_PER_SEC },
	};

	return parse_unit(text, units, sizeof(units) / sizeof(units[0]), "a duration",
			  "10s, 250ms or 1.5m", out_ns, e);
}

int num_parse_size(const char *text, uint64_t *out_bytes, struct err *e)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "K", UINT64_C(1) << 10 },
		{ "KB", UINT64_C(1) << 10 },
		{ "Ki", UINT64_C(1) << 10 },
		{ "KiB", UINT64_C(1) << 10 },
		{ "M", UINT64_C(1) << 20 },
		{ "MB", UINT64_C(1) << 20 },
		{ "Mi", UINT64_C(1) << 20 },
		{ "MiB", UINT64_C(1) << 20 },
		{ "G", UINT64_C(1) << 30 },
		{ "GB", UINT64_C(1) << 30 },
		{ "Gi", UINT64_C(1) << 30 },
		{ "GiB", UINT64_C(1) << 30 },
		{ "T", UINT64_C(1) << 40 },
		{ "TB", UINT64_C(1) << 40 },
		{ "Ti", UINT64_C(1) << 40 },
		{ "TiB", UINT64_C(1) << 40 },
	};

	return parse_unit(text, units, sizeof(units) / sizeof(units[0]), "a size",
			  "512, 64K or 1.5M", out_bytes, e);
}

int num_parse_rate(const char *text, uint64_t *out_per_s, struct err *e)
{
	static const char *const tails[] = { "bit/s", "bits/s", "bit", "bps", "/s" };
	static const struct unit units[] = {
		{ "", 1 },
		{ "K", UINT64_C(1000) },
		{ "M", UINT64_C(1000000) },
		{ "G", UINT64_C(1000000000) },
		{ "T", UINT64_C(1000000000000) },
	};
	size_t len = strlen(text);
	char number[64];

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		size_t tail = strlen(tails[i]);

		if (len > tail && strcasecmp(text + len - tail, tails[i]) == 0) {
			len -= tail;
			break;
		}
	}
	if (len >= sizeof(number))
		return err_set(e, ERR_USAGE, "number", "'%.64s' is not a rate (try 100M)", text);
	memcpy(number, text, len);
	number[len] = '\0';
	return parse_unit(number, units, sizeof(units) / sizeof(units[0]), "a rate",
			  "500, 100M or 100Mbit", out_per_s, e);
}

/* Digits with at most one point, then perhaps an exponent: strtod alone would take hex, inf, nan and signs. */
static const char *end_of_float(const char *p)
{
	struct decimal d;
	const char *exponent;

	if (scan_decimal(p, &d) != 0)
		return NULL;
	p = d.rest;
	if (*p != 'e' && *p != 'E')
		return p;
	exponent = p + 1;
	if (*exponent == '-' || *exponent == '+')
		exponent++;
	if (!is_digit(*exponent))
		return NULL;
	while (is_digit(*exponent))
		exponent++;
	return exponent;
}

int num_parse_double(const char *text, double *out, struct err *e)
{
	const char *end = end_of_float(text);
	bool percent = end && *end == '%';
	double value;

	if (!end || end[percent] != '\0')
		return err_set(e, ERR_USAGE, "number", "'%s' is not a number (try 0.05 or 5%%)",
			       text);
	value = strtod(text, NULL);
	if (percent)
		value /= 100;
	if (!isfinite(value))
		return err_set(e, ERR_USAGE, "number", "'%s' is too large (try 0.05 or 5%%)", text);
	*out = value;
	return 0;
}

/* Three significant digits of 0 <= v < 999.5, everything for a whole number. */
static void put_digits(char *out, double v, const char *suffix, bool whole_plain)
{
	int decimals = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;

	if (v > 0 && v < 0.9995)
		decimals = 3;
	if (v == 0 || (whole_plain && v == floor(v)))
		decimals = 0;
	if (v > 0 && v < 0.0095) /* would lose its digits */
		snprintf(out, NUM_TEXT_MAX, "%.3g%s", v, suffix);
	else
		snprintf(out, NUM_TEXT_MAX, "%.*f%s", decimals, v, suffix);
}

/* Steps through `names` by `base`; the first name is the unit of v itself. */
static char *format_scaled(char *out, double v, double base, const char *const *names, size_t n)
{
	bool negative = v < 0;
	char *text = out;
	size_t i = 0;

	if (!isfinite(v)) {
		snprintf(out, NUM_TEXT_MAX, "-");
		return out;
	}
	if (negative) {
		*text++ = '-';
		v = -v;
	}
	if (v == floor(v) && v < base) {
		snprintf(text, NUM_TEXT_MAX - 1, "%.0f%s", v, names[0]);
		return out;
	}
	while (i + 1 < n && v >= 999.5) {
		v /= base;
		i++;
	}
	if (v >= 999.5) {
		snprintf(text, NUM_TEXT_MAX - 1, v < 1e6 ? "%.0f%s" : "%.3g%s", v, names[i]);
	} else {
		char digits[NUM_TEXT_MAX];

		put_digits(digits, v, names[i], base == 1024.0);
		snprintf(text, NUM_TEXT_MAX - 1, "%.30s", digits);
	}
	return out;
}

char *num_format_ns(char *out, double ns)
{
	static const char *const names[] = { " ns", " us", " ms", " s" };

	return format_scaled(out, ns, 1000, names, 4);
}

char *num_format_bytes(char *out, double bytes)
{
	static const char *const names[] = { " B", " KiB", " MiB", " GiB", " TiB" };

	return format_scaled(out, bytes, 1024, names, 5);
}

char *num_format_count(char *out, double n)
{
	static const char *const names[] = { "", " k", " M", " G", " T" };

	return format_scaled(out, n, 1000, names, 5);
}

char *num_format_unit(char *out, double value, const char *unit)
{
	static const char *const bits[] = { " bit/s", " kbit/s", " Mbit/s", " Gbit/s", " Tbit/s" };
	static const char *const bytes[] = { " B/s", " KiB/s", " MiB/s", " GiB/s", " TiB/s" };
	static const char *const ops[] = { "/s", " k/s", " M/s", " G/s", " T/s" };
	static const char *const per_op[] = { "/op", " k/op", " M/op", " G/op", " T/op" };
	static const char *const percent[] = { " %" };
	static const char *const prefix[] = { "", "k", "M", "G", "T" };
	char named[5][NUM_TEXT_MAX];
	const char *names[5];

	if (strcmp(unit, "ns") == 0)
		return num_format_ns(out, value);
	if (strcmp(unit, "bytes") == 0)
		return num_format_bytes(out, value);
	if (strcmp(unit, "count") == 0 || strcmp(unit, "ratio") == 0)
		return num_format_count(out, value);
	if (strcmp(unit, "bits_per_second") == 0)
		return format_scaled(out, value, 1000, bits, 5);
	if (strcmp(unit, "bytes_per_second") == 0)
		return format_scaled(out, value, 1024, bytes, 5);
	if (strcmp(unit, "ops_per_second") == 0)
		return format_scaled(out, value, 1000, ops, 5);
	if (strcmp(unit, "count_per_op") == 0)
		return format_scaled(out, value, 1000, per_op, 5);
	if (strcmp(unit, "ppm") == 0 && fabs(value) >= 1000)
		return format_scaled(out, value / 1e4, 1000, percent, 1);
	for (size_t i = 0; i < 5; i++) {
		snprintf(named[i], sizeof(named[i]), " %s%.16s", prefix[i], unit);
		names[i] = named[i];
	}
	return format_scaled(out, value, 1000, names, 5);
}
