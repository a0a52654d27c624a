#include "peer/rpc-capture.h"

#include <endian.h>
#include <string.h>

struct head {
	uint8_t kind, zero[3];
	uint32_t connection;
	uint64_t ns;
	uint32_t len, delay_ns;
};
_Static_assert(sizeof(struct head) == RPC_CAPTURE_HEAD, "the head has no holes");

int rpc_capture_put(struct buf *b, const struct rpc_capture_record *r)
{
	struct head h = { .kind = (uint8_t)r->kind,
			  .connection = htole32(r->connection),
			  .ns = htole64(r->ns),
			  .len = htole32((uint32_t)r->len),
			  .delay_ns = htole32(r->delay_ns) };

	if (buf_reserve(b, sizeof(h) + r->len) < 0)
		return -1;
	buf_add(b, &h, sizeof(h));
	return r->len ? buf_add(b, r->data, r->len) : 0;
}

int64_t rpc_capture_get(struct rpc_capture_record *out, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;
	struct head h;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, p, sizeof(h));
	*out = (struct rpc_capture_record){ .kind = (enum rpc_capture_kind)h.kind,
					    .connection = le32toh(h.connection),
					    .delay_ns = le32toh(h.delay_ns),
					    .ns = le64toh(h.ns),
					    .data = p + sizeof(h),
					    .len = le32toh(h.len) };
	if (h.kind < RPC_CAPTURE_OPEN || h.kind > RPC_CAPTURE_LOST || h.zero[0] || h.zero[1] ||
	    h.zero[2] || out->len > RPC_CAPTURE_BYTES_MAX ||
	    (out->len && h.kind != RPC_CAPTURE_TO_SERVER && h.kind != RPC_CAPTURE_TO_CLIENT))
		return err_set(e, ERR_USAGE, "capture", "damaged: no record where one should be");
	return len - sizeof(h) < out->len ? 0 : (int64_t)(sizeof(h) + out->len);
}
