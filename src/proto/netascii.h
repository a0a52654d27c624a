/* netascii - the text mode of TFTP: lines end in CR LF, a bare CR is CR NUL (RFC 764, RFC 1350) */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes that in[0..len) becomes. */
size_t netascii_length(const void *in, size_t len);
/* Encodes into out, which holds netascii_length() bytes; returns that. */
size_t netascii_encode(void *out, const void *in, size_t len);

/* Decoding remembers a CR at the end of a piece. */
struct netascii {
	bool cr;
};
/* Decodes a piece into out (room for len + 1 bytes); returns the bytes written. A CR before anything but LF and NUL stays a CR.
 * With `last` a CR at the very end is written as well. */
size_t netascii_decode(struct netascii *n, void *out, const void *in, size_t len, bool last);
