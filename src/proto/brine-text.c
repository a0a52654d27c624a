/* Values as people read and type them. */
#include "proto/brine.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "proto/pyliteral.h"

enum { FLOAT_TEXT_MAX = 64 };

/* As repr(): the fewest digits that give the same number back. */
static void format_float(char out[FLOAT_TEXT_MAX], double v)
{
	int digits = 0, exponent = 0;

	if (!isfinite(v)) {
		snprintf(out, FLOAT_TEXT_MAX, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
		return;
	}
	for (double back = NAN; digits < 17 && back != v; digits++) {
		snprintf(out, FLOAT_TEXT_MAX, "%.*e", digits, v);
		if (sscanf(out, "%lf", &back) != 1 ||
		    sscanf(strchr(out, 'e'), "e%d", &exponent) != 1)
			return;
	}
	if (exponent >= -4 && exponent < 16)
		snprintf(out, FLOAT_TEXT_MAX, "%.*f",
			 digits - 1 - exponent > 1 ? digits - 1 - exponent : 1, v);
}

/* The part of a complex number: whole ones are printed without ".0" there. */
static void format_part(char out[FLOAT_TEXT_MAX], double v)
{
	size_t len;

	format_float(out, v);
	len = strlen(out);
	if (len > 2 && strcmp(out + len - 2, ".0") == 0)
		out[len - 2] = '\0';
}

static int add_number(struct buf *b, const struct brine_item *item)
{
	char real[FLOAT_TEXT_MAX], imag[FLOAT_TEXT_MAX];

	if (item->type == BRINE_INT && item->len)
		return buf_add(b, item->data, item->len);
	if (item->type == BRINE_INT)
		return buf_addf(b, "%lld", (long long)item->integer);
	if (item->type == BRINE_FLOAT) {
		format_float(real, item->real);
		return buf_adds(b, real);
	}
	format_part(real, item->real);
	format_part(imag, item->imag);
	if (item->real == 0 && !signbit(item->real))
		return buf_addf(b, "%sj", imag);
	return buf_addf(b, "(%s%s%sj)", real, imag[0] == '-' ? "" : "+", imag);
}

/* At most `max` bytes of a string are looked at: more would not be shown. */
static int add_string(struct buf *b, const struct brine_item *item, size_t max)
{
	CLEANUP(buf_done) struct buf literal = BUF_INIT;
	size_t len = item->len < max ? item->len : max;

	while (item->type == BRINE_STR && len < item->len && len > 0 &&
	       (item->data[len] & 0xc0) == 0x80)
		len--;
	if ((item->type == BRINE_STR ? pyliteral_add_str(&literal, item->data, len)
				     : pyliteral_add_bytes(&literal, item->data, len)) < 0)
		return buf_reserve(b, SIZE_MAX);
	return buf_add_safe(b, literal.data, literal.len);
}

static int add_plain(struct buf *b, const struct brine_item *item, size_t max)
{
	switch (item->type) {
	case BRINE_NONE:
		return buf_adds(b, "None");
	case BRINE_BOOL:
		return buf_adds(b, item->integer ? "True" : "False");
	case BRINE_NOT_IMPLEMENTED:
		return buf_adds(b, "NotImplemented");
	case BRINE_ELLIPSIS:
		return buf_adds(b, "Ellipsis");
	case BRINE_BYTES:
	case BRINE_STR:
		return add_string(b, item, max);
	default:
		return add_number(b, item);
	}
}

static bool is_container(const struct brine_item *item)
{
	return item->type == BRINE_TUPLE || item->type == BRINE_SLICE ||
	       item->type == BRINE_FROZENSET;
}

static const char *opening(const struct brine_item *item)
{
	switch (item->type) {
	case BRINE_SLICE:
		return "slice(";
	case BRINE_FROZENSET:
		return item->count ? "frozenset({" : "frozenset(";
	default:
		return "(";
	}
}

static const char *closing(const struct brine_item *item)
{
	if (item->type == BRINE_FROZENSET && item->count)
		return "})";
	return item->type == BRINE_TUPLE && item->count == 1 ? ",)" : ")";
}

/* Cuts what was added to `room` bytes, at a character's begin. */
static int shorten(struct buf *b, size_t start, size_t room)
{
	size_t end = start + room - 3;

	if (b->len - start <= room)
		return 0;
	while (end > start && ((unsigned char)b->data[end] & 0xc0) == 0x80)
		end--;
	b->len = end;
	return buf_adds(b, "...");
}

int brine_add_text(struct buf *b, struct brine_reader *r, size_t max)
{
	struct brine_item open[BRINE_DEPTH_MAX + 1], item;
	uint32_t left[BRINE_DEPTH_MAX + 1] = { 1 };
	struct brine_reader whole, rest;
	size_t start = b->len;
	unsigned depth = 0;

	if (!brine_value(r, &whole))
		return 0;
	rest = whole;
	while (b->len - start <= max && brine_next(&rest, &item)) {
		left[depth]--;
		if (is_container(&item) && depth < BRINE_DEPTH_MAX) {
			buf_adds(b, opening(&item));
			open[++depth] = item;
			left[depth] = item.count;
		} else {
			add_plain(b, &item, max);
		}
		while (depth > 0 && left[depth] == 0)
			buf_adds(b, closing(&open[depth--]));
		if (depth > 0 && left[depth] < open[depth].count)
			buf_adds(b, ", ");
		if (b->failed)
			return -1;
	}
	return shorten(b, start, max < 16 ? 16 : max);
}

/* --- from text ----------------------------------------------------------------------------------------------- */

struct scanner {
	const char *at, *end;
	const char **why;
};

static int no(struct scanner *s, const char *why)
{
	*s->why = why;
	return -1;
}

static void blanks(struct scanner *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
		s->at++;
}

static bool word(struct scanner *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
		return false;
	if (isalnum((unsigned char)text[n - 1]) && s->at + n < s->end &&
	    strchr("_./-", s->at[n]) != NULL && s->at[n])
		return false;
	if (isalnum((unsigned char)text[n - 1]) && s->at + n < s->end &&
	    isalnum((unsigned char)s->at[n]))
		return false;
	s->at += n;
	return true;
}

/* Up to `size` - 1 characters of a number, copied so that they end. */
static size_t copy_number(const struct scanner *s, char *out, size_t size)
{
	size_t n = 0;

	while (s->at + n < s->end && n + 1 < size &&
	       (isdigit((unsigned char)s->at[n]) || s->at[n] == '.' || s->at[n] == 'e' ||
		s->at[n] == 'E' ||
		((s->at[n] == '-' || s->at[n] == '+') && n > 0 &&
		 (s->at[n - 1] == 'e' || s->at[n - 1] == 'E')))) {
		out[n] = s->at[n];
		n++;
	}
	out[n] = '\0';
	return n;
}

static int parse_int_text(struct scanner *s, struct buf *out, const char *from, size_t digits,
			  bool negative)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	if (digits > BRINE_INT_DIGITS_MAX - 1)
		return no(s, "an int with too many digits");
	while (digits > 1 && *from == '0') {
		from++;
		digits--;
	}
	if (negative)
		buf_addc(&text, '-');
	if (buf_add(&text, from, digits) < 0)
		return no(s, "out of memory");
	return brine_put_digits(out, text.data, text.len);
}

static int parse_number(struct scanner *s, struct buf *out)
{
	bool negative = *s->at == '-';
	char text[FLOAT_TEXT_MAX];
	size_t digits = 0, n;
	double v = 0;
	struct err e;

	if (*s->at == '-' || *s->at == '+')
		s->at++;
	while (s->at + digits < s->end && isdigit((unsigned char)s->at[digits]))
		digits++;
	if (s->at + digits == s->end || !strchr(".eEj", s->at[digits])) {
		if (digits == 0)
			return no(s, "a sign without a number");
		s->at += digits;
		return parse_int_text(s, out, s->at - digits, digits, negative);
	}
	n = copy_number(s, text, sizeof(text));
	if (num_parse_double(text, &v, &e) < 0)
		return no(s, "a number that is none");
	s->at += n;
	if (negative)
		v = -v;
	if (s->at < s->end && *s->at == 'j') {
		s->at++;
		return brine_put_complex(out, 0, v);
	}
	return brine_put_float(out, v);
}

static int parse_string(struct scanner *s, struct buf *out)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	size_t len = (size_t)(s->end - s->at);
	bool bytes = *s->at == 'b';
	size_t n = bytes ? pyliteral_parse_bytes(s->at, len, &text)
			 : pyliteral_parse_str(s->at, len, &text);

	if (n == 0)
		return no(s, "a string that does not end, or with an escape that is none");
	s->at += n;
	return bytes ? brine_put_bytes(out, text.data, text.len)
		     : brine_put_str(out, text.data, text.len);
}

static int parse_bare(struct scanner *s, struct buf *out)
{
	const char *from = s->at;

	while (s->at < s->end && (isalnum((unsigned char)*s->at) || strchr("_./-", *s->at)))
		s->at++;
	return brine_put_str(out, from, (size_t)(s->at - from));
}

static int parse_value(struct scanner *s, struct buf *out, unsigned depth);

/* Values up to `close`, then the head of what they make. `exact`: slice. */
static int parse_list(struct scanner *s, struct buf *out, const char *close, int kind,
		      unsigned depth)
{
	CLEANUP(buf_done) struct buf inside = BUF_INIT;
	uint32_t count = 0;
	bool comma = false;

	for (blanks(s); !word(s, close); blanks(s)) {
		if (count && !comma)
			return no(s, "values of a tuple without a comma between them");
		if (parse_value(s, &inside, depth + 1) < 0)
			return -1;
		count++;
		blanks(s);
		comma = word(s, ",");
	}
	if (kind == BRINE_SLICE && count != 3)
		return no(s, "slice(start, stop, step) has three values");
	if (kind == BRINE_TUPLE && count == 1 && !comma)
		return buf_add(out, inside.data, inside.len); /* only brackets */
	if (kind == BRINE_SLICE)
		brine_put_slice(out);
	else if (kind == BRINE_FROZENSET)
		brine_put_frozenset(out, count);
	else
		brine_put_tuple(out, count);
	return buf_add(out, inside.data, inside.len);
}

static int parse_value(struct scanner *s, struct buf *out, unsigned depth)
{
	static const struct {
		const char *name;
		int (*put)(struct buf *);
	} constants[] = { { "None", brine_put_none },
			  { "NotImplemented", brine_put_not_implemented },
			  { "Ellipsis", brine_put_ellipsis },
			  { "...", brine_put_ellipsis } };

	blanks(s);
	if (depth >= BRINE_DEPTH_MAX)
		return no(s, "tuples too deep in each other");
	if (s->at == s->end)
		return no(s, "ends where a value belongs");
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		if (word(s, constants[i].name))
			return constants[i].put(out);
	}
	if (word(s, "True"))
		return brine_put_bool(out, true);
	if (word(s, "False"))
		return brine_put_bool(out, false);
	if (word(s, "slice("))
		return parse_list(s, out, ")", BRINE_SLICE, depth);
	if (word(s, "frozenset({"))
		return parse_list(s, out, "})", BRINE_FROZENSET, depth);
	if (word(s, "frozenset("))
		return parse_list(s, out, ")", BRINE_FROZENSET, depth);
	if (word(s, "("))
		return parse_list(s, out, ")", BRINE_TUPLE, depth);
	if (*s->at == '\'' || *s->at == '"' ||
	    (*s->at == 'b' && s->at + 1 < s->end && (s->at[1] == '\'' || s->at[1] == '"')))
		return parse_string(s, out);
	if (isdigit((unsigned char)*s->at) || *s->at == '-' || *s->at == '+' ||
	    (*s->at == '.' && s->at + 1 < s->end && isdigit((unsigned char)s->at[1])))
		return parse_number(s, out);
	if (isalpha((unsigned char)*s->at) || strchr("_./", *s->at))
		return parse_bare(s, out);
	return no(s, "no Python literal (strings with blanks or signs stand in quotes)");
}

int brine_parse(struct buf *out, const char *text, size_t len, const char **why)
{
	struct scanner s = { .at = text, .end = text + len, .why = why };
	size_t before = out->len;

	*why = "out of memory";
	if (parse_value(&s, out, 0) == 0) {
		blanks(&s);
		*why = "more than one value";
		/* what was typed may be no UTF-8 */
		if (s.at == s.end && brine_check(out->data + before, out->len - before, why) != 0)
			return 0;
	}
	if (out->data)
		out->data[before] = '\0';
	out->len = before;
	return -1;
}
