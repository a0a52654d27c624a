/* tftp - packets of the Trivial File Transfer Protocol, bytes to structs and back */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 1350 section 5; OACK is RFC 2347. */
enum tftp_op {
	TFTP_RRQ = 1,
	TFTP_WRQ = 2,
	TFTP_DATA = 3,
	TFTP_ACK = 4,
	TFTP_ERROR = 5,
	TFTP_OACK = 6,
};

/* RFC 1350 appendix, 8 is RFC 2347. */
enum tftp_code {
	TFTP_E_OTHER = 0,
	TFTP_E_NOT_FOUND = 1,
	TFTP_E_ACCESS = 2,
	TFTP_E_FULL = 3,
	TFTP_E_ILLEGAL = 4,
	TFTP_E_UNKNOWN_TID = 5,
	TFTP_E_EXISTS = 6,
	TFTP_E_NO_USER = 7,
	TFTP_E_OPTION = 8,
};

enum {
	TFTP_PORT = 69,
	TFTP_HEADER = 4, /* of DATA and ACK: opcode and block number */
	TFTP_BLKSIZE_MIN = 8,
	TFTP_BLKSIZE_MAX = 65464, /* RFC 2348 */
	TFTP_BLKSIZE_DEFAULT = 512,
	TFTP_WINDOWSIZE_MAX = 65535, /* RFC 7440 */
	TFTP_PACKET_MAX = TFTP_HEADER + TFTP_BLKSIZE_MAX,
	TFTP_CONTROL_MAX = 1024,  /* largest packet without file content that is made here */
	TFTP_FILE_MAX = 511,	  /* bytes of a file name that is accepted */
	TFTP_TEXT_MAX = 256,	  /* bytes of an error text that are kept */
	TFTP_OPTIONS_WALKED = 32, /* pairs looked at in one packet */
};

/* Bits of tftp_options.set. */
enum tftp_option {
	TFTP_OPT_BLKSIZE = 1,	 /* RFC 2348 */
	TFTP_OPT_TSIZE = 2,	 /* RFC 2349 */
	TFTP_OPT_TIMEOUT = 4,	 /* RFC 2349, seconds 1..255 */
	TFTP_OPT_WINDOWSIZE = 8, /* RFC 7440 */
	TFTP_OPT_ROLLOVER = 16,	 /* what follows block 65535, 0 or 1; an extension of tftp-hpa */
	TFTP_OPT_UTIMEOUT = 32,	 /* microseconds 10,000..255,000,000; an extension of tftp-hpa */
};
enum { TFTP_OPTION_KINDS = 6 };

/* Values are meaningful where their bit is set. `bad` are known options whose value is not a number in their range or
 * that stand there twice, `unknown` counts the names that are none of ours. */
struct tftp_options {
	unsigned set, bad, unknown;
	uint32_t blksize, windowsize, timeout_s, rollover, utimeout_us;
	uint64_t tsize;
};

enum tftp_mode { TFTP_OCTET, TFTP_NETASCII, TFTP_MODE_OTHER };

/*
 * A parsed packet; pointers go into the bytes that were parsed. file is NUL-terminated within them. The text of an ERROR
 * ends at its NUL or, where a sender left that out, with the packet.
 */
struct tftp_packet {
	enum tftp_op op;
	uint16_t block;	     /* DATA, ACK */
	uint16_t code;	     /* ERROR */
	const uint8_t *data; /* DATA: len bytes of file */
	size_t len;
	const char *text; /* ERROR: text_len bytes */
	size_t text_len;
	const char *file;	 /* RRQ, WRQ */
	enum tftp_mode mode;	 /* RRQ, WRQ */
	struct tftp_options opt; /* RRQ, WRQ, OACK */
};

/*
 * Parses one datagram. 0, or -1 with *why a literal ("DATA of 3 bytes") and nothing else filled. No packet of any
 * length or content reads outside of bytes[0..len). Bad option values are no failure here (see tftp_options.bad): a server ignores
 * them, a client refuses them.
 */
int tftp_parse(struct tftp_packet *out, const void *bytes, size_t len, const char **why);

/* Formatters write into out[0..cap) and return the length, 0 when it does not fit. */
size_t tftp_format_request(void *out, size_t cap, enum tftp_op op, const char *file,
			   enum tftp_mode mode, const struct tftp_options *opt);
size_t tftp_format_oack(void *out, size_t cap, const struct tftp_options *opt);
size_t tftp_format_error(void *out, size_t cap, uint16_t code, const char *text);
/* The 4 bytes before the content of DATA, or a whole ACK. */
void tftp_format_header(uint8_t out[TFTP_HEADER], enum tftp_op op, uint16_t block);

/* "blksize", "tsize"...; the i-th option is bit 1 << i. */
const char *tftp_option_name(unsigned i);
/* The value of the option with that one bit. */
uint64_t tftp_option_value(const struct tftp_options *o, unsigned bit);
/* "file not found"... for an error code; "error" for unknown ones. */
const char *tftp_code_text(unsigned code);

/*
 * Blocks are counted from 1 in 64 bits; on the wire are 16. rollover is the number that follows 65535: 0 (what servers do) or 1
 * (what some old clients expect). Index 0 is the request or its OACK.
 */
uint16_t tftp_wire(uint64_t index, unsigned rollover);
/* How many blocks the next one called `wire` is after block `index`, counting forward only: 0 for index itself, then 1 to 65535
 * (65534 with rollover 1). The caller knows how far ahead makes sense; all else is behind. TFTP_NOWHERE for a number that no
 * block after index has. */
uint32_t tftp_ahead(uint64_t index, uint16_t wire, unsigned rollover);
#define TFTP_NOWHERE UINT32_MAX
