#include "proto/pyliteral.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes one byte of a literal to out, returns its length (at most 4). */
static size_t escape(char *out, uint8_t c, char quote, bool utf8)
{
	const char *at;

	out[0] = '\\';
	if (c == (uint8_t)quote || c == '\\') {
		out[1] = (char)c;
		return 2;
	}
	at = c ? strchr("\tt\nn\rr", c) : NULL;
	if (at && c < 0x20) {
		out[1] = at[1];
		return 2;
	}
	if ((c >= 0x20 && c < 0x7f) || (utf8 && c >= 0x80)) {
		out[0] = (char)c;
		return 1;
	}
	out[1] = 'x';
	out[2] = hex_digits[c >> 4];
	out[3] = hex_digits[c & 15];
	return 4;
}

static int add_quoted(struct buf *b, const uint8_t *p, size_t len, bool utf8)
{
	char quote = len && memchr(p, '\'', len) && !memchr(p, '"', len) ? '"' : '\'';
	char *out;

	/* Room for the worst case once, so that a chunk of an upload costs no further checks. */
	if (len > SIZE_MAX / 4 - 3 || buf_reserve(b, len * 4 + 2) < 0)
		return buf_reserve(b, SIZE_MAX);
	out = b->data + b->len;
	*out++ = quote;
	for (size_t i = 0; i < len; i++)
		out += escape(out, p[i], quote, utf8);
	*out++ = quote;
	*out = '\0';
	b->len = (size_t)(out - b->data);
	return 0;
}

int pyliteral_add_bytes(struct buf *b, const void *data, size_t len)
{
	return buf_addc(b, 'b') < 0 ? -1 : add_quoted(b, data, len, false);
}

int pyliteral_add_str(struct buf *b, const void *data, size_t len)
{
	return add_quoted(b, data, len, true);
}

int pyliteral_add_hex(struct buf *b, const void *data, size_t len)
{
	const uint8_t *p = data;
	char *out;

	if (len > SIZE_MAX / 4 || buf_reserve(b, len * 2) < 0)
		return buf_reserve(b, SIZE_MAX);
	out = b->data + b->len;
	for (size_t i = 0; i < len; i++) {
		*out++ = hex_digits[p[i] >> 4];
		*out++ = hex_digits[p[i] & 15];
	}
	*out = '\0';
	b->len += len * 2;
	return 0;
}

int pyliteral_add_base64(struct buf *b, const void *data, size_t len)
{
	const uint8_t *p = data;
	char *out;

	if (len > SIZE_MAX / 4 || buf_reserve(b, (len + 2) / 3 * 4) < 0)
		return buf_reserve(b, SIZE_MAX);
	out = b->data + b->len;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (n > 2 ? p[i + 2] : 0);

		*out++ = base64_digits[v >> 18];
		*out++ = base64_digits[v >> 12 & 63];
		*out++ = n > 1 ? base64_digits[v >> 6 & 63] : '=';
		*out++ = n > 2 ? base64_digits[v & 63] : '=';
	}
	*out = '\0';
	b->len = (size_t)(out - b->data);
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads up to max digits of a base; returns how many there were. */
static size_t digits(const char *p, size_t len, size_t max, int base, uint32_t *value)
{
	size_t n = 0;

	*value = 0;
	while (n < max && n < len && hex_value(p[n]) >= 0 && hex_value(p[n]) < base)
		*value = *value * (uint32_t)base + (uint32_t)hex_value(p[n++]);
	return n;
}

static size_t put_utf8(char *out, uint32_t c)
{
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return n;
}

/* What follows a backslash. Returns bytes taken, 0 for nonsense; *n bytes of *out are its value. */
static size_t unescape(const char *p, size_t len, bool is_str, char out[4], size_t *n)
{
	static const char plain[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
	uint32_t value;
	size_t got, need;

	*n = 1;
	if (len == 0)
		return 0;
	for (size_t i = 0; i + 1 < sizeof(plain); i += 2) {
		if (p[0] == plain[i]) {
			out[0] = plain[i + 1];
			return 1;
		}
	}
	if (p[0] >= '0' && p[0] <= '7') {
		got = digits(p, len, 3, 8, &value);
		if (value > 0xff)
			return 0;
		*n = is_str ? put_utf8(out, value) : 1;
		if (!is_str)
			out[0] = (char)value;
		return got;
	}
	need = p[0] == 'x' ? 2 : is_str && p[0] == 'u' ? 4 : is_str && p[0] == 'U' ? 8 : 0;
	if (!need || digits(p + 1, len - 1, need, 16, &value) != need || value > 0x10ffff)
		return 0;
	if (is_str)
		*n = put_utf8(out, value);
	else
		out[0] = (char)value;
	return 1 + need;
}

static size_t parse_quoted(const char *text, size_t len, bool is_str, struct buf *out)
{
	size_t start = out ? out->len : 0;
	char quote = len ? text[0] : 0;
	size_t at = 1;

	if (quote != '\'' && quote != '"')
		return 0;
	while (at < len && text[at] != quote && text[at] != '\n' && text[at] != '\r') {
		char plain[4];
		size_t n, taken, run = at;

		while (run < len && text[run] != quote && text[run] != '\\' && text[run] != '\n' &&
		       text[run] != '\r')
			run++;
		if (out && buf_add(out, text + at, run - at) < 0)
			return 0;
		if (run > at) {
			at = run;
			continue;
		}
		taken = unescape(text + at + 1, len - at - 1, is_str, plain, &n);
		if (taken == 0)
			break;
		if (out && buf_add(out, plain, n) < 0)
			return 0;
		at += 1 + taken;
	}
	if (at < len && text[at] == quote)
		return at + 1;
	/* Not a literal after all: nothing of it stays. */
	if (out && out->data) {
		out->len = start;
		out->data[start] = '\0';
	}
	return 0;
}

size_t pyliteral_parse_str(const char *text, size_t len, struct buf *out)
{
	return parse_quoted(text, len, true, out);
}

size_t pyliteral_parse_bytes(const char *text, size_t len, struct buf *out)
{
	size_t n = len && text[0] == 'b' ? parse_quoted(text + 1, len - 1, false, out) : 0;

	return n ? n + 1 : 0;
}

size_t pyliteral_parse_int(const char *text, size_t len, int64_t *out)
{
	bool negative = len && text[0] == '-';
	size_t at = len && (text[0] == '-' || text[0] == '+');
	size_t first = at;
	int64_t value = 0;

	for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
		int digit = text[at] - '0';

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, negative ? -digit : digit, &value))
			return 0;
	}
	if (at == first)
		return 0;
	*out = value;
	return at;
}

int pyliteral_parse_hex(const char *text, size_t len, struct buf *out)
{
	char *p;

	if (len % 2 || buf_reserve(out, len / 2) < 0)
		return -1;
	p = out->data + out->len;
	for (size_t i = 0; i < len; i += 2) {
		int hi = hex_value(text[i]), lo = hex_value(text[i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		*p++ = (char)(hi << 4 | lo);
	}
	*p = '\0';
	out->len += len / 2;
	return 0;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int pyliteral_parse_base64(const char *text, size_t len, struct buf *out)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t padding = 0;
	char *p;

	if (buf_reserve(out, len / 4 * 3 + 3) < 0)
		return -1;
	p = out->data + out->len;
	for (size_t i = 0; i < len; i++) {
		int v = base64_value(text[i]);

		if (text[i] == '\n' || text[i] == '\r' || text[i] == ' ')
			continue;
		if (text[i] == '=' && ++padding <= 2)
			continue;
		if (v < 0 || padding)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		held += 6;
		if (held >= 8) {
			held -= 8;
			*p++ = (char)(bits >> held);
		}
	}
	/* One left-over digit cannot be a byte. */
	if (held == 6)
		return -1;
	*p = '\0';
	out->len = (size_t)(p - out->data);
	return 0;
}
