/* tftp-content - what a file must be: the bytes that every transfer is compared with */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { TFTP_CONTENT_MAX = 1 << 30 };

/* Known content, or (while `recording`) content that grows by what is delivered in order. */
struct tftp_content {
	uint8_t *bytes;
	uint64_t size, room;
	bool recording;
};
void tftp_content_done(struct tftp_content *c);
CLEANUP_OBJ(struct tftp_content, tftp_content_done)
/* From a regular file of at most TFTP_CONTENT_MAX bytes; ERR_USAGE. */
int tftp_content_load(struct tftp_content *c, const char *path, struct err *e) ERR_MUST_CHECK;
/* size bytes that differ from block to block, from a seed. */
int tftp_content_make(struct tftp_content *c, uint64_t size, uint64_t seed,
		      struct err *e) ERR_MUST_CHECK;
/* Lower-case hex of its SHA-256. */
void tftp_content_sha256(const struct tftp_content *c, char out[65]);
/* Compares (or records) a piece: -1 when it is as expected, else the offset of the first byte that is not, which
 * is the size for bytes beyond the end (and for a recording that grew too large). */
int64_t tftp_content_check(struct tftp_content *c, uint64_t offset, const uint8_t *bytes,
			   size_t len);
/* Why what tftp_content_check found at `at` is wrong, for people. */
void tftp_content_describe(const struct tftp_content *c, uint64_t at, char *out, size_t size);
