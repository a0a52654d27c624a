/* rpc-capture - what a relay saw of connections, as records: in memory between threads, and as a file */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A file is RPC_CAPTURE_MAGIC and records, one after the other. A record is a head of 24 bytes, little endian:
 *
 *   u8 kind, 3 zero bytes, u32 connection, u64 time in ns (of any clock that goes forward), u32 length, u32 delay in ns
 *
 * and `length` bytes (0 but for bytes). The delay is what the relay itself took to pass them on.
 */
#define RPC_CAPTURE_MAGIC "mpbench rpc 1\n\0\0"
enum { RPC_CAPTURE_MAGIC_SIZE = 16, RPC_CAPTURE_HEAD = 24, RPC_CAPTURE_BYTES_MAX = 1 << 20 };

enum rpc_capture_kind {
	RPC_CAPTURE_OPEN = 1,
	RPC_CAPTURE_TO_SERVER,
	RPC_CAPTURE_TO_CLIENT,
	RPC_CAPTURE_END,
	RPC_CAPTURE_LOST, /* from here on bytes of this connection are missing */
};

struct rpc_capture_record {
	enum rpc_capture_kind kind;
	uint32_t connection, delay_ns;
	uint64_t ns;
	const void *data;
	size_t len;
};

int rpc_capture_put(struct buf *b, const struct rpc_capture_record *r);
/* Takes the record that data begins with: returns its size, 0 when more bytes are needed, -1 when it is none (ERR_USAGE). It
 * points into data. */
int64_t rpc_capture_get(struct rpc_capture_record *out, const void *data, size_t len,
			struct err *e);
