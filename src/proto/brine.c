#include "proto/brine.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum {
	TAG_NONE = 0x00,
	TAG_EMPTY_BYTES = 0x01,
	TAG_EMPTY_TUPLE = 0x02,
	TAG_TRUE = 0x03,
	TAG_FALSE = 0x04,
	TAG_NOT_IMPLEMENTED = 0x05,
	TAG_ELLIPSIS = 0x06,
	TAG_STR = 0x08,
	TAG_BYTES_1 = 0x0a,
	TAG_BYTES_4 = 0x0d,
	TAG_BYTES_L1 = 0x0e,
	TAG_BYTES_L4 = 0x0f,
	TAG_TUPLE_1 = 0x10,
	TAG_TUPLE_4 = 0x13,
	TAG_TUPLE_L1 = 0x14,
	TAG_TUPLE_L4 = 0x15,
	TAG_INT_L1 = 0x16,
	TAG_INT_L4 = 0x17,
	TAG_FLOAT = 0x18,
	TAG_SLICE = 0x19,
	TAG_FROZENSET = 0x1a,
	TAG_COMPLEX = 0x1b,
	TAG_SMALL_FIRST = 0x20,
	TAG_SMALL_LAST = 0xef,
	SMALL_ZERO = 0x50,
	SMALL_MIN = TAG_SMALL_FIRST - SMALL_ZERO,
	SMALL_MAX = TAG_SMALL_LAST - SMALL_ZERO,
};

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static double get_double(const uint8_t *p)
{
	uint64_t bits;
	double v;

	memcpy(&bits, p, sizeof(bits));
	bits = be64toh(bits);
	memcpy(&v, &bits, sizeof(v));
	return v;
}

static size_t refuse(const char **why, const char *text)
{
	if (why)
		*why = text;
	return 0;
}

/* The head of anything that says its length: fixed by the tag, in one byte, or in four. Returns the head's size. */
static size_t parse_length(const uint8_t *p, size_t n, unsigned fixed, unsigned width,
			   uint32_t *length)
{
	if (n < 1 + (size_t)width)
		return 0;
	*length = width == 0 ? fixed : width == 1 ? p[1] : get_u32(p + 1);
	return 1 + width;
}

static size_t parse_tuple(const uint8_t *p, size_t n, struct brine_item *out, const char **why)
{
	size_t head;

	out->type = BRINE_TUPLE;
	if (n == 0)
		return refuse(why, "ends inside a value");
	if (p[0] == TAG_EMPTY_TUPLE)
		return 1;
	if (p[0] < TAG_TUPLE_1 || p[0] > TAG_TUPLE_L4)
		return refuse(why, "no tuple where one belongs");
	head = parse_length(p, n, p[0] - TAG_TUPLE_1 + 1u,
			    p[0] == TAG_TUPLE_L1   ? 1
			    : p[0] == TAG_TUPLE_L4 ? 4
						   : 0,
			    &out->count);
	/* each value takes a byte at least */
	if (head == 0 || out->count > n - head)
		return refuse(why, "a tuple longer than the bytes that are there");
	return head;
}

static size_t parse_bytes(const uint8_t *p, size_t n, struct brine_item *out, const char **why)
{
	size_t head;
	uint32_t length = 0;

	out->type = BRINE_BYTES;
	out->data = p;
	if (n == 0)
		return refuse(why, "ends inside a value");
	if (p[0] == TAG_EMPTY_BYTES)
		return 1;
	if (p[0] < TAG_BYTES_1 || p[0] > TAG_BYTES_L4)
		return refuse(why, "no bytes where they belong");
	head = parse_length(p, n, p[0] - TAG_BYTES_1 + 1u,
			    p[0] == TAG_BYTES_L1   ? 1
			    : p[0] == TAG_BYTES_L4 ? 4
						   : 0,
			    &length);
	if (head == 0 || length > n - head)
		return refuse(why, "a string longer than the bytes that are there");
	out->data = p + head;
	out->len = length;
	return head + length;
}

static void read_digits(struct brine_item *out)
{
	bool negative = out->len && out->data[0] == '-';
	int64_t v = 0;

	out->fits = true;
	for (size_t i = negative; i < out->len && out->fits; i++) {
		int digit = out->data[i] - '0';

		out->fits = !__builtin_mul_overflow(v, 10, &v) &&
			    !__builtin_add_overflow(v, negative ? -digit : digit, &v);
	}
	out->integer = out->fits ? v : 0;
}

static size_t parse_digits(const uint8_t *p, size_t n, struct brine_item *out, const char **why)
{
	uint32_t length = 0;
	size_t head = parse_length(p, n, 0, p[0] == TAG_INT_L1 ? 1 : 4, &length);

	out->type = BRINE_INT;
	if (head == 0 || length > n - head)
		return refuse(why, "an int longer than the bytes that are there");
	if (length == 0 || length > BRINE_INT_DIGITS_MAX)
		return refuse(why, "an int without digits, or with too many");
	out->data = p + head;
	out->len = length;
	for (size_t i = length > 1 && out->data[0] == '-'; i < length; i++) {
		if (out->data[i] < '0' || out->data[i] > '9')
			return refuse(why, "an int that is no number");
	}
	read_digits(out);
	return head + length;
}

static size_t parse_numbers(const uint8_t *p, size_t n, struct brine_item *out, const char **why)
{
	bool complex = p[0] == TAG_COMPLEX;
	size_t size = complex ? 17 : 9;

	out->type = complex ? BRINE_COMPLEX : BRINE_FLOAT;
	if (n < size)
		return refuse(why, "ends inside a float");
	out->real = get_double(p + 1);
	if (complex)
		out->imag = get_double(p + 9);
	return size;
}

static size_t parse_constant(uint8_t tag, struct brine_item *out, const char **why)
{
	switch (tag) {
	case TAG_NONE:
		out->type = BRINE_NONE;
		return 1;
	case TAG_TRUE:
	case TAG_FALSE:
		out->type = BRINE_BOOL;
		out->integer = tag == TAG_TRUE;
		return 1;
	case TAG_NOT_IMPLEMENTED:
		out->type = BRINE_NOT_IMPLEMENTED;
		return 1;
	case TAG_ELLIPSIS:
		out->type = BRINE_ELLIPSIS;
		return 1;
	default:
		return refuse(why, "an unknown tag");
	}
}

/* The head of a tuple behind the tag of what is made of it. */
static size_t parse_made_of_tuple(const uint8_t *p, size_t n, struct brine_item *out,
				  const char **why)
{
	bool slice = p[0] == TAG_SLICE;
	size_t used = parse_tuple(p + 1, n - 1, out, why);

	if (used == 0)
		return 0;
	if (slice && out->count != 3)
		return refuse(why, "a slice that is not made of three values");
	out->type = slice ? BRINE_SLICE : BRINE_FROZENSET;
	return used + 1;
}

/* One item at p; returns its size (of a tuple: its head's), 0 with *why where there is none. */
static size_t parse_item(const uint8_t *p, size_t n, struct brine_item *out, const char **why)
{
	size_t used;

	*out = (struct brine_item){ 0 };
	if (n == 0)
		return refuse(why, "ends inside a value");
	if (p[0] >= TAG_SMALL_FIRST && p[0] <= TAG_SMALL_LAST) {
		out->type = BRINE_INT;
		out->integer = p[0] - SMALL_ZERO;
		out->fits = true;
		return 1;
	}
	switch (p[0]) {
	case TAG_EMPTY_BYTES:
	case TAG_BYTES_1 ... TAG_BYTES_L4:
		return parse_bytes(p, n, out, why);
	case TAG_EMPTY_TUPLE:
	case TAG_TUPLE_1 ... TAG_TUPLE_L4:
		return parse_tuple(p, n, out, why);
	case TAG_INT_L1:
	case TAG_INT_L4:
		return parse_digits(p, n, out, why);
	case TAG_FLOAT:
	case TAG_COMPLEX:
		return parse_numbers(p, n, out, why);
	case TAG_SLICE:
	case TAG_FROZENSET:
		return parse_made_of_tuple(p, n, out, why);
	case TAG_STR:
		used = parse_bytes(p + 1, n - 1, out, why);
		out->type = BRINE_STR;
		return used ? used + 1 : 0;
	default:
		return parse_constant(p[0], out, why);
	}
}

static bool is_utf8(const uint8_t *p, size_t len)
{
	uint32_t code;

	for (size_t i = 0; i < len;) {
		uint64_t word;
		size_t n;

		/* text is mostly ASCII: eight bytes at a time */
		if (len - i >= sizeof(word)) {
			memcpy(&word, p + i, sizeof(word));
			if ((word & UINT64_C(0x8080808080808080)) == 0) {
				i += sizeof(word);
				continue;
			}
		}
		n = buf_utf8_length(p + i, len - i, &code);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t brine_check(const void *data, size_t len, const char **why)
{
	const uint8_t *start = data, *p = start, *end = start + len;
	uint32_t left[BRINE_DEPTH_MAX + 1];
	unsigned depth = 0;

	left[0] = 1;
	for (;;) {
		struct brine_item item;
		size_t used;

		while (left[depth] == 0) {
			if (depth == 0)
				return (size_t)(p - start);
			depth--;
		}
		left[depth]--;
		used = parse_item(p, (size_t)(end - p), &item, why);
		if (used == 0)
			return 0;
		if (item.type == BRINE_STR && !is_utf8(item.data, item.len))
			return refuse(why, "a str that is not UTF-8");
		p += used;
		if (item.count == 0)
			continue;
		if (depth == BRINE_DEPTH_MAX)
			return refuse(why, "tuples too deep in each other");
		left[++depth] = item.count;
	}
}

int brine_open(struct brine_reader *r, const void *data, size_t len, size_t *rest, const char **why)
{
	size_t used = brine_check(data, len, why);

	if (used == 0)
		return -1;
	r->at = data;
	r->end = r->at + used;
	if (rest)
		*rest = len - used;
	return 0;
}

bool brine_next(struct brine_reader *r, struct brine_item *out)
{
	if (r->at == r->end) {
		*out = (struct brine_item){ 0 };
		return false;
	}
	r->at += parse_item(r->at, (size_t)(r->end - r->at), out, NULL);
	return true;
}

bool brine_value(struct brine_reader *r, struct brine_reader *out)
{
	const uint8_t *from = r->at;
	struct brine_item item;
	uint64_t left = 1;

	while (left > 0 && brine_next(r, &item))
		left += (uint64_t)item.count - 1;
	if (out)
		*out = (struct brine_reader){ from, r->at };
	return r->at != from;
}

bool brine_take(struct brine_reader *r, enum brine_type type, struct brine_item *out)
{
	struct brine_reader ahead = *r;

	if (!brine_next(&ahead, out) || out->type != type)
		return false;
	*r = ahead;
	return true;
}

bool brine_enter(struct brine_reader *r, uint32_t count)
{
	struct brine_reader ahead = *r;
	struct brine_item item;

	if (!brine_take(&ahead, BRINE_TUPLE, &item) || item.count != count)
		return false;
	*r = ahead;
	return true;
}

bool brine_take_int(struct brine_reader *r, int64_t *out)
{
	struct brine_item item;

	if (!brine_take(r, BRINE_BOOL, &item)) {
		struct brine_reader ahead = *r;

		if (!brine_take(&ahead, BRINE_INT, &item) || !item.fits)
			return false;
		*r = ahead;
	}
	*out = item.integer;
	return true;
}

bool brine_take_str(struct brine_reader *r, const char **text, size_t *len)
{
	struct brine_item item;

	if (!brine_take(r, BRINE_STR, &item))
		return false;
	*text = (const char *)item.data;
	*len = item.len;
	return true;
}

bool brine_same(const struct brine_reader *a, const struct brine_reader *b)
{
	size_t n = (size_t)(a->end - a->at);

	return n == (size_t)(b->end - b->at) && (n == 0 || memcmp(a->at, b->at, n) == 0);
}

int brine_put_none(struct buf *b)
{
	return buf_addc(b, TAG_NONE);
}

int brine_put_bool(struct buf *b, bool v)
{
	return buf_addc(b, v ? TAG_TRUE : TAG_FALSE);
}

int brine_put_not_implemented(struct buf *b)
{
	return buf_addc(b, TAG_NOT_IMPLEMENTED);
}

int brine_put_ellipsis(struct buf *b)
{
	return buf_addc(b, TAG_ELLIPSIS);
}

/* A tag with a length: in the tag itself from 1 to 4, else in one byte or four. `first` 0: there are no such tags. */
static int put_head(struct buf *b, uint8_t first, uint8_t l1, size_t len)
{
	uint8_t head[5] = { l1, (uint8_t)len };
	uint32_t be = htobe32((uint32_t)len);

	if (len > UINT32_MAX)
		return buf_reserve(b, SIZE_MAX);
	if (first && len >= 1 && len <= 4)
		return buf_addc(b, (char)(first + len - 1));
	if (len < 256)
		return buf_add(b, head, 2);
	head[0]++; /* the tag of the long form follows that of the short one */
	memcpy(head + 1, &be, sizeof(be));
	return buf_add(b, head, sizeof(head));
}

int brine_put_int(struct buf *b, int64_t v)
{
	char text[24];
	int n;

	if (v >= SMALL_MIN && v <= SMALL_MAX)
		return buf_addc(b, (char)(uint8_t)(v + SMALL_ZERO));
	n = snprintf(text, sizeof(text), "%lld", (long long)v);
	put_head(b, 0, TAG_INT_L1, (size_t)n);
	return buf_add(b, text, (size_t)n);
}

int brine_put_digits(struct buf *b, const char *digits, size_t len)
{
	struct brine_item item = { .data = (const uint8_t *)digits, .len = len };

	read_digits(&item);
	if (item.fits)
		return brine_put_int(b, item.integer);
	put_head(b, 0, TAG_INT_L1, len);
	return buf_add(b, digits, len);
}

static int put_double(struct buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	bits = htobe64(bits);
	return buf_add(b, &bits, sizeof(bits));
}

int brine_put_float(struct buf *b, double v)
{
	buf_addc(b, TAG_FLOAT);
	return put_double(b, v);
}

int brine_put_complex(struct buf *b, double real, double imag)
{
	buf_addc(b, TAG_COMPLEX);
	put_double(b, real);
	return put_double(b, imag);
}

int brine_put_bytes_head(struct buf *b, size_t len)
{
	return len ? put_head(b, TAG_BYTES_1, TAG_BYTES_L1, len) : buf_addc(b, TAG_EMPTY_BYTES);
}

int brine_put_bytes(struct buf *b, const void *data, size_t len)
{
	brine_put_bytes_head(b, len);
	return buf_add(b, data, len);
}

int brine_put_str(struct buf *b, const char *text, size_t len)
{
	buf_addc(b, TAG_STR);
	return brine_put_bytes(b, text, len);
}

int brine_put_tuple(struct buf *b, uint32_t count)
{
	return count ? put_head(b, TAG_TUPLE_1, TAG_TUPLE_L1, count) : buf_addc(b, TAG_EMPTY_TUPLE);
}

int brine_put_slice(struct buf *b)
{
	buf_addc(b, TAG_SLICE);
	return brine_put_tuple(b, 3);
}

int brine_put_frozenset(struct buf *b, uint32_t count)
{
	buf_addc(b, TAG_FROZENSET);
	return brine_put_tuple(b, count);
}

/* The number behind leading zeros, which rpyc never writes. */
static int put_large(struct buf *b, const struct brine_item *item)
{
	const char *digits = (const char *)item->data;
	size_t len = item->len, zeros = 0;
	bool negative = digits[0] == '-';

	while (digits[negative + zeros] == '0')
		zeros++;
	if (zeros == 0)
		return brine_put_digits(b, digits, len);
	put_head(b, 0, TAG_INT_L1, len - zeros);
	if (negative)
		buf_addc(b, '-');
	return buf_add(b, digits + negative + zeros, len - negative - zeros);
}

int brine_put_item(struct buf *b, const struct brine_item *item)
{
	switch (item->type) {
	case BRINE_NONE:
		return brine_put_none(b);
	case BRINE_BOOL:
		return brine_put_bool(b, item->integer != 0);
	case BRINE_NOT_IMPLEMENTED:
		return brine_put_not_implemented(b);
	case BRINE_ELLIPSIS:
		return brine_put_ellipsis(b);
	case BRINE_INT:
		return item->fits ? brine_put_int(b, item->integer) : put_large(b, item);
	case BRINE_FLOAT:
		return brine_put_float(b, item->real);
	case BRINE_COMPLEX:
		return brine_put_complex(b, item->real, item->imag);
	case BRINE_BYTES:
		return brine_put_bytes(b, item->data, item->len);
	case BRINE_STR:
		return brine_put_str(b, (const char *)item->data, item->len);
	case BRINE_TUPLE:
		return brine_put_tuple(b, item->count);
	case BRINE_SLICE:
		return brine_put_slice(b);
	case BRINE_FROZENSET:
		return brine_put_frozenset(b, item->count);
	}
	return -1;
}

int brine_put_value(struct buf *b, const struct brine_reader *value)
{
	return buf_add(b, value->at, (size_t)(value->end - value->at));
}
