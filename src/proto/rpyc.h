/* rpyc - RPyC's frames: bytes of a stream to payloads and back, with zlib */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Source: rpyc/core/channel.py, the same from 3.4 to 6.0:
 *
 *   u32be length | u8 compressed | payload[length] | 0x0a
 *
 * length counts the payload as it travels. compressed is not 0: it is a zlib stream. rpyc compresses payloads of more
 * than 3,000 bytes at level 1 (and sends what comes out also where that is longer); who sends is free never to, who
 * receives must take both. What is in a payload: rpyc-message.h.
 */
enum {
	RPYC_PORT = 18812,
	RPYC_TLS_PORT = 18821,
	RPYC_HEAD = 5,	   /* before the payload */
	RPYC_OVERHEAD = 6, /* in all */
	RPYC_COMPRESS_ABOVE = 3000,
	RPYC_PAYLOAD_MAX = (1 << 30) + (1 << 20), /* what writers make, and readers take at most */
	RPYC_PAYLOAD_USUAL = 1 << 28,		  /* what a server takes unless told otherwise */
};

/* zlib's memory (about 300 KiB once both ways are in use), shared by the readers and writers of one thread. Nothing is
 * taken before it is needed. */
struct rpyc_zip;
int rpyc_zip_new(struct rpyc_zip **out, struct err *e) ERR_MUST_CHECK;
void rpyc_zip_free(struct rpyc_zip *z);
CLEANUP_PTR(struct rpyc_zip, rpyc_zip_free)

/* One frame. payload is what was sent, inflated where it was compressed; valid until the reader's next call. */
struct rpyc_frame {
	const uint8_t *payload;
	size_t len;
	bool compressed;
	size_t packed_len; /* of the payload on the wire; len where it was not compressed */
	size_t wire_len;   /* of the whole frame */
};

/*
 * Bytes as they come, in any pieces, to frames. No payload, compressed or not, may exceed `max`. Memory follows the
 * bytes that have come, not the length that a head announces. When it said -1, it says so again until it is cleared.
 */
struct rpyc_reader {
	struct rpyc_zip *zip; /* borrowed */
	size_t max;
	struct buf in; /* bytes from `off` on are not yet taken */
	size_t off;
	struct buf plain;
	struct err broken;
};

void rpyc_reader_init(struct rpyc_reader *r, struct rpyc_zip *zip, size_t max);
void rpyc_reader_done(struct rpyc_reader *r);
CLEANUP_OBJ(struct rpyc_reader, rpyc_reader_done)
/* Forgets everything, keeps the memory: for the next connection. */
void rpyc_reader_clear(struct rpyc_reader *r);

/* Where to receive the next bytes: at least 4 KiB, and more where a long frame is under way. NULL: no memory. What was
 * received there is told by rpyc_reader_filled, before anything else. Frames given before are gone. */
void *rpyc_reader_room(struct rpyc_reader *r, size_t *size);
void rpyc_reader_filled(struct rpyc_reader *r, size_t len);
/* Both in one, for bytes that are somewhere else. */
int rpyc_reader_feed(struct rpyc_reader *r, const void *data, size_t len,
		     struct err *e) ERR_MUST_CHECK;
/* 1 with a frame, 0: more bytes are needed; -1: this is no RPyC (or no longer): ERR_TARGET "frame", one line that says
 * what stood there instead. */
int rpyc_reader_next(struct rpyc_reader *r, struct rpyc_frame *out, struct err *e) ERR_MUST_CHECK;
/* Bytes that have come and belong to no whole frame. */
size_t rpyc_reader_pending(const struct rpyc_reader *r);

/*
 * Making a frame: begin (room for its head, whose place is returned in *at), the payload by the writers of brine.h and
 * rpyc-message.h, end. `outside` bytes of the payload may lie elsewhere (they are sent from there, in the middle);
 * they are only counted. -1: no memory, or longer than RPYC_PAYLOAD_MAX (b->failed is set).
 */
int rpyc_frame_begin(struct buf *b, size_t *at);
int rpyc_frame_end(struct buf *b, size_t at, size_t outside);
/*
 * Compresses the finished frame at `at` as rpyc does, where its payload has more than RPYC_COMPRESS_ABOVE bytes; all of
 * b behind `at` is that frame, with outside[0..len) missing before b->data[split]. Returns whether it did (the frame is
 * then whole in b), -1 without memory.
 */
int rpyc_frame_compress(struct buf *b, size_t at, size_t split, const void *outside, size_t len,
			struct rpyc_zip *z);
