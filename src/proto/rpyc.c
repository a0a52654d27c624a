#include "proto/rpyc.h"

#include <ctype.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

enum {
	ROOM_MIN = 4096,
	ROOM_STEP = 1 << 16, /* how far a long frame may run ahead of its bytes */
	COMPRESS_LEVEL = 1,
};

struct rpyc_zip {
	z_stream in, out;
	bool has_in, has_out;
	struct buf packed;
};

int rpyc_zip_new(struct rpyc_zip **out, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : err_nomem(e);
}

void rpyc_zip_free(struct rpyc_zip *z)
{
	if (!z)
		return;
	if (z->has_in)
		inflateEnd(&z->in);
	if (z->has_out)
		deflateEnd(&z->out);
	buf_done(&z->packed);
	free(z);
}

static int ready_inflate(struct rpyc_zip *z)
{
	if (z->has_in)
		return inflateReset(&z->in) == Z_OK ? 0 : -1;
	z->has_in = inflateInit(&z->in) == Z_OK;
	return z->has_in ? 0 : -1;
}

static int ready_deflate(struct rpyc_zip *z)
{
	if (z->has_out)
		return deflateReset(&z->out) == Z_OK ? 0 : -1;
	z->has_out = deflateInit(&z->out, COMPRESS_LEVEL) == Z_OK;
	return z->has_out ? 0 : -1;
}

void rpyc_reader_init(struct rpyc_reader *r, struct rpyc_zip *zip, size_t max)
{
	*r = (struct rpyc_reader){ .zip = zip, .max = max };
}

void rpyc_reader_done(struct rpyc_reader *r)
{
	buf_done(&r->in);
	buf_done(&r->plain);
}

void rpyc_reader_clear(struct rpyc_reader *r)
{
	buf_clear(&r->in);
	buf_clear(&r->plain);
	r->off = 0;
	err_clear(&r->broken);
}

size_t rpyc_reader_pending(const struct rpyc_reader *r)
{
	return r->in.len - r->off;
}

static uint32_t length_at(const struct rpyc_reader *r)
{
	uint32_t be;

	memcpy(&be, r->in.data + r->off, sizeof(be));
	return be32toh(be);
}

void *rpyc_reader_room(struct rpyc_reader *r, size_t *size)
{
	size_t have = rpyc_reader_pending(r), room = ROOM_MIN;

	if (r->off) {
		buf_drop(&r->in, r->off);
		r->off = 0;
	}
	if (have >= RPYC_HEAD) {
		size_t whole = (size_t)length_at(r) + RPYC_OVERHEAD;
		size_t ahead = have > ROOM_STEP ? have : ROOM_STEP;

		if (whole > have + room)
			room = whole - have < ahead ? whole - have : ahead;
	}
	if (buf_reserve(&r->in, room) < 0)
		return NULL;
	*size = r->in.cap - r->in.len - 1; /* a buf ends in NUL */
	return r->in.data + r->in.len;
}

void rpyc_reader_filled(struct rpyc_reader *r, size_t len)
{
	r->in.len += len;
}

int rpyc_reader_feed(struct rpyc_reader *r, const void *data, size_t len, struct err *e)
{
	if (r->off) {
		buf_drop(&r->in, r->off);
		r->off = 0;
	}
	return buf_add(&r->in, data, len) < 0 ? err_nomem(e) : 0;
}

static int broken(struct rpyc_reader *r, struct err *e)
{
	*e = r->broken;
	return -1;
}

/* A head that announces more than is taken is mostly no head: say what it looks like. */
static int refuse_length(struct rpyc_reader *r, uint32_t length)
{
	const char *p = r->in.data + r->off;
	size_t n = 0, have = rpyc_reader_pending(r) < 16 ? rpyc_reader_pending(r) : 16;

	while (n < have && isprint((unsigned char)p[n]))
		n++;
	if (n >= 4)
		return err_set(&r->broken, ERR_TARGET, "frame",
			       "no RPyC: what came begins with \"%.*s\"", (int)n, p);
	if (p[0] == 0x15 || p[0] == 0x16)
		return err_set(&r->broken, ERR_TARGET, "frame",
			       "no RPyC: what came looks like TLS");
	return err_set(&r->broken, ERR_TARGET, "frame",
		       "a frame of %u bytes was announced, more than the %zu that are taken",
		       length, r->max);
}

/* Inflates in steps, so that memory follows what comes out and ends at the bound. */
static int unpack(struct rpyc_reader *r, const uint8_t *data, size_t len)
{
	struct rpyc_zip *z = r->zip;
	int rc = Z_OK;

	buf_clear(&r->plain);
	if (!z || ready_inflate(z) < 0)
		return err_nomem(&r->broken);
	z->in.next_in = data;
	z->in.avail_in = (uInt)len;
	while (rc == Z_OK) {
		/* one byte above the bound tells that there is more */
		size_t step = r->plain.len > ROOM_STEP ? r->plain.len : ROOM_STEP;
		size_t left = r->max + 1 - r->plain.len;

		step = step < left ? step : left;
		if (step == 0)
			return err_set(&r->broken, ERR_TARGET, "frame",
				       "a frame of %zu bytes inflates to more than the %zu that "
				       "are taken",
				       len, r->max);
		if (buf_reserve(&r->plain, step) < 0)
			return err_nomem(&r->broken);
		z->in.next_out = (Bytef *)r->plain.data + r->plain.len;
		z->in.avail_out = (uInt)step;
		rc = inflate(&z->in, Z_NO_FLUSH);
		r->plain.len += step - z->in.avail_out;
		if (rc == Z_OK && z->in.avail_in == 0 && z->in.avail_out != 0)
			rc = Z_BUF_ERROR; /* it ends in the middle */
	}
	if (rc != Z_STREAM_END || z->in.avail_in != 0)
		return err_set(&r->broken, ERR_TARGET, "frame",
			       "a compressed frame of %zu bytes is no zlib stream", len);
	if (r->plain.len > r->max)
		return err_set(&r->broken, ERR_TARGET, "frame",
			       "a frame of %zu bytes inflates to more than the %zu that are taken",
			       len, r->max);
	return 0;
}

int rpyc_reader_next(struct rpyc_reader *r, struct rpyc_frame *out, struct err *e)
{
	size_t have = rpyc_reader_pending(r);
	const uint8_t *p;
	uint32_t length;

	if (r->broken.kind)
		return broken(r, e);
	if (have < RPYC_HEAD)
		return 0;
	p = (const uint8_t *)r->in.data + r->off;
	length = length_at(r);
	if (length > r->max && refuse_length(r, length) < 0)
		return broken(r, e);
	if (have < (size_t)length + RPYC_OVERHEAD)
		return 0;
	if (p[RPYC_HEAD + length] != '\n') {
		err_set(&r->broken, ERR_TARGET, "frame",
			"a frame of %u bytes ends with 0x%02x where 0x0a belongs", length,
			p[RPYC_HEAD + length]);
		return broken(r, e);
	}
	*out = (struct rpyc_frame){ .payload = p + RPYC_HEAD,
				    .len = length,
				    .compressed = p[4] != 0,
				    .packed_len = length,
				    .wire_len = (size_t)length + RPYC_OVERHEAD };
	if (out->compressed) {
		if (unpack(r, out->payload, length) < 0)
			return broken(r, e);
		out->payload = (const uint8_t *)r->plain.data;
		out->len = r->plain.len;
	}
	r->off += out->wire_len;
	return 1;
}

int rpyc_frame_begin(struct buf *b, size_t *at)
{
	static const char head[RPYC_HEAD];

	*at = b->len;
	return buf_add(b, head, sizeof(head));
}

static void set_head(struct buf *b, size_t at, size_t len, bool compressed)
{
	uint32_t be = htobe32((uint32_t)len);

	memcpy(b->data + at, &be, sizeof(be));
	b->data[at + 4] = compressed;
}

int rpyc_frame_end(struct buf *b, size_t at, size_t outside)
{
	size_t len;

	if (buf_addc(b, '\n') < 0)
		return -1;
	len = b->len - at - RPYC_OVERHEAD;
	if (outside > RPYC_PAYLOAD_MAX || len > RPYC_PAYLOAD_MAX - outside)
		return buf_reserve(b, SIZE_MAX);
	set_head(b, at, len + outside, false);
	return 0;
}

static int deflate_piece(struct rpyc_zip *z, const void *data, size_t len, int flush)
{
	if (len == 0 && flush == Z_NO_FLUSH)
		return 0;
	z->out.next_in = data;
	z->out.avail_in = (uInt)len;
	z->out.next_out = (Bytef *)z->packed.data + z->packed.len;
	z->out.avail_out = (uInt)(z->packed.cap - z->packed.len);
	if (deflate(&z->out, flush) < 0)
		return -1;
	z->packed.len = z->packed.cap - z->out.avail_out;
	return 0;
}

int rpyc_frame_compress(struct buf *b, size_t at, size_t split, const void *outside, size_t len,
			struct rpyc_zip *z)
{
	size_t first = split - at - RPYC_HEAD, last = b->len - split - 1;
	size_t payload = first + len + last;

	if (payload <= RPYC_COMPRESS_ABOVE)
		return 0;
	buf_clear(&z->packed);
	if (ready_deflate(z) < 0 ||
	    buf_reserve(&z->packed, (size_t)deflateBound(&z->out, (uLong)payload) + 64) < 0 ||
	    deflate_piece(z, b->data + at + RPYC_HEAD, first, Z_NO_FLUSH) < 0 ||
	    deflate_piece(z, outside, len, Z_NO_FLUSH) < 0 ||
	    deflate_piece(z, b->data + split, last, Z_FINISH) < 0)
		return -1;
	b->len = at + RPYC_HEAD;
	if (buf_add(b, z->packed.data, z->packed.len) < 0 || buf_addc(b, '\n') < 0)
		return -1;
	set_head(b, at, z->packed.len, true);
	return 1;
}
