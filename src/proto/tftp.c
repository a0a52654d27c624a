#include "proto/tftp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	uint64_t min, max;
} known[TFTP_OPTION_KINDS] = {
	{ "blksize", TFTP_BLKSIZE_MIN, TFTP_BLKSIZE_MAX },
	{ "tsize", 0, UINT64_MAX },
	{ "timeout", 1, 255 },
	{ "windowsize", 1, TFTP_WINDOWSIZE_MAX },
	{ "rollover", 0, 1 },
	{ "utimeout", 10000, 255000000 },
};

const char *tftp_option_name(unsigned i)
{
	return i < TFTP_OPTION_KINDS ? known[i].name : "?";
}

uint64_t tftp_option_value(const struct tftp_options *o, unsigned bit)
{
	switch (bit) {
	case TFTP_OPT_BLKSIZE:
		return o->blksize;
	case TFTP_OPT_TSIZE:
		return o->tsize;
	case TFTP_OPT_TIMEOUT:
		return o->timeout_s;
	case TFTP_OPT_WINDOWSIZE:
		return o->windowsize;
	case TFTP_OPT_ROLLOVER:
		return o->rollover;
	case TFTP_OPT_UTIMEOUT:
		return o->utimeout_us;
	default:
		return 0;
	}
}

static void store(struct tftp_options *o, unsigned bit, uint64_t value)
{
	switch (bit) {
	case TFTP_OPT_BLKSIZE:
		o->blksize = (uint32_t)value;
		break;
	case TFTP_OPT_TSIZE:
		o->tsize = value;
		break;
	case TFTP_OPT_TIMEOUT:
		o->timeout_s = (uint32_t)value;
		break;
	case TFTP_OPT_WINDOWSIZE:
		o->windowsize = (uint32_t)value;
		break;
	case TFTP_OPT_ROLLOVER:
		o->rollover = (uint32_t)value;
		break;
	default:
		o->utimeout_us = (uint32_t)value;
		break;
	}
}

/* Digits only: option values are ASCII decimal without sign or blanks (RFC 2347). */
static bool parse_decimal(const char *text, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

static void take_option(struct tftp_options *o, const char *name, const char *value)
{
	for (unsigned i = 0; i < TFTP_OPTION_KINDS; i++) {
		uint64_t v;
		unsigned bit = 1U << i;

		if (strcasecmp(name, known[i].name) != 0)
			continue;
		if ((o->set & bit) || !parse_decimal(value, &v) || v < known[i].min ||
		    v > known[i].max) {
			o->bad |= bit;
		} else {
			store(o, bit, v);
			o->set |= bit;
		}
		return;
	}
	o->unknown++;
}

/* The NUL-terminated string at *at, which then stands behind it; NULL when no NUL is left. */
static const char *next_string(const char *bytes, size_t len, size_t *at)
{
	const char *text = bytes + *at;
	const char *nul = *at < len ? memchr(text, 0, len - *at) : NULL;

	if (!nul)
		return NULL;
	*at += (size_t)(nul - text) + 1;
	return text;
}

static int parse_options(struct tftp_options *o, const char *bytes, size_t len, size_t at)
{
	for (unsigned i = 0; at < len && i < TFTP_OPTIONS_WALKED; i++) {
		const char *name = next_string(bytes, len, &at);
		const char *value = name ? next_string(bytes, len, &at) : NULL;

		/* trailing NULs that pad a request are met in the field */
		if (name && !*name && (!value || !*value))
			continue;
		if (!value)
			return -1;
		take_option(o, name, value);
	}
	return 0;
}

static int parse_request(struct tftp_packet *p, const char *bytes, size_t len, const char **why)
{
	size_t at = 2;
	const char *mode;

	p->file = next_string(bytes, len, &at);
	mode = p->file ? next_string(bytes, len, &at) : NULL;
	if (!mode) {
		*why = "request without file name and mode";
		return -1;
	}
	if (!*p->file || strlen(p->file) > TFTP_FILE_MAX) {
		*why = "request with an empty or overlong file name";
		return -1;
	}
	p->mode = strcasecmp(mode, "octet") == 0      ? TFTP_OCTET
		  : strcasecmp(mode, "netascii") == 0 ? TFTP_NETASCII
						      : TFTP_MODE_OTHER;
	if (parse_options(&p->opt, bytes, len, at) < 0) {
		*why = "request with an option that is cut off";
		return -1;
	}
	return 0;
}

static int parse_error(struct tftp_packet *p, const uint8_t *b, size_t len, const char **why)
{
	const void *nul;

	if (len < 4) {
		*why = "ERROR shorter than its code";
		return -1;
	}
	p->code = (uint16_t)(b[2] << 8 | b[3]);
	p->text = (const char *)b + 4;
	p->text_len = len - 4;
	nul = p->text_len ? memchr(p->text, 0, p->text_len) : NULL;
	if (nul)
		p->text_len = (size_t)((const char *)nul - p->text);
	return 0;
}

int tftp_parse(struct tftp_packet *out, const void *bytes, size_t len, const char **why)
{
	const uint8_t *b = bytes;
	struct tftp_packet p = { 0 };

	if (len < 2) {
		*why = "packet without an opcode";
		return -1;
	}
	p.op = (enum tftp_op)(b[0] << 8 | b[1]);
	switch (p.op) {
	case TFTP_RRQ:
	case TFTP_WRQ:
		if (parse_request(&p, bytes, len, why) < 0)
			return -1;
		break;
	case TFTP_DATA:
	case TFTP_ACK:
		if (len < TFTP_HEADER || len > TFTP_PACKET_MAX) {
			*why = p.op == TFTP_DATA ? "DATA with an impossible length"
						 : "ACK without a block number";
			return -1;
		}
		p.block = (uint16_t)(b[2] << 8 | b[3]);
		p.data = b + TFTP_HEADER;
		p.len = len - TFTP_HEADER;
		break;
	case TFTP_ERROR:
		if (parse_error(&p, b, len, why) < 0)
			return -1;
		break;
	case TFTP_OACK:
		if (parse_options(&p.opt, bytes, len, 2) < 0) {
			*why = "OACK with an option that is cut off";
			return -1;
		}
		break;
	default:
		*why = "packet with an unknown opcode";
		return -1;
	}
	*out = p;
	return 0;
}

void tftp_format_header(uint8_t out[TFTP_HEADER], enum tftp_op op, uint16_t block)
{
	out[0] = 0;
	out[1] = (uint8_t)op;
	out[2] = (uint8_t)(block >> 8);
	out[3] = (uint8_t)block;
}

/* Adds text with its NUL; *at becomes SIZE_MAX for good when it does not fit. */
static void put_string(char *out, size_t cap, size_t *at, const char *text)
{
	size_t n = strlen(text) + 1;

	if (*at == SIZE_MAX || n > cap - *at) {
		*at = SIZE_MAX;
		return;
	}
	memcpy(out + *at, text, n);
	*at += n;
}

static size_t put_options(char *out, size_t cap, size_t at, const struct tftp_options *o)
{
	for (unsigned i = 0; o && i < TFTP_OPTION_KINDS; i++) {
		char value[24];

		if (!(o->set & 1U << i))
			continue;
		snprintf(value, sizeof(value), "%" PRIu64, tftp_option_value(o, 1U << i));
		put_string(out, cap, &at, known[i].name);
		put_string(out, cap, &at, value);
	}
	return at == SIZE_MAX ? 0 : at;
}

size_t tftp_format_request(void *out, size_t cap, enum tftp_op op, const char *file,
			   enum tftp_mode mode, const struct tftp_options *opt)
{
	char *bytes = out;
	size_t at = 2;

	if (cap < 2)
		return 0;
	bytes[0] = 0;
	bytes[1] = (char)op;
	put_string(bytes, cap, &at, file);
	put_string(bytes, cap, &at, mode == TFTP_NETASCII ? "netascii" : "octet");
	return at == SIZE_MAX ? 0 : put_options(bytes, cap, at, opt);
}

size_t tftp_format_oack(void *out, size_t cap, const struct tftp_options *opt)
{
	char *bytes = out;

	if (cap < 2)
		return 0;
	bytes[0] = 0;
	bytes[1] = TFTP_OACK;
	return put_options(bytes, cap, 2, opt);
}

size_t tftp_format_error(void *out, size_t cap, uint16_t code, const char *text)
{
	size_t n = strnlen(text, TFTP_TEXT_MAX);
	uint8_t *bytes = out;

	if (cap < 4 + n + 1)
		return 0;
	tftp_format_header(bytes, TFTP_ERROR, code);
	memcpy(bytes + 4, text, n);
	bytes[4 + n] = 0;
	return 4 + n + 1;
}

const char *tftp_code_text(unsigned code)
{
	static const char *const text[] = {
		"error",
		"file not found",
		"access violation",
		"disk full or allocation exceeded",
		"illegal TFTP operation",
		"unknown transfer ID",
		"file already exists",
		"no such user",
		"option negotiation refused",
	};

	return code < sizeof(text) / sizeof(text[0]) ? text[code] : text[0];
}

uint16_t tftp_wire(uint64_t index, unsigned rollover)
{
	if (rollover == 0 || index == 0)
		return (uint16_t)index;
	return (uint16_t)((index - 1) % 65535 + 1);
}

uint32_t tftp_ahead(uint64_t index, uint16_t wire, unsigned rollover)
{
	int32_t d;

	if (rollover == 0)
		return (uint16_t)(wire - (uint16_t)index);
	if (wire == 0 || index == 0)
		/* only the request is called 0 */
		return index == 0 ? wire : TFTP_NOWHERE;
	d = (wire - 1) - (int32_t)((index - 1) % 65535);
	return (uint32_t)(d < 0 ? d + 65535 : d);
}
