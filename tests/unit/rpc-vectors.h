/* rpc-vectors - reading tests/data/rpc-vectors.json: values and frames as RPyC itself writes them */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "base/buf.h"

#define RPC_VECTORS_UNUSED __attribute__((unused))

static RPC_VECTORS_UNUSED json_t *rpc_vectors_load(void)
{
	json_error_t error;
	json_t *root =
		json_load_file("tests/data/rpc-vectors.json", JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("rpc-vectors.json:%d: %s", error.line, error.text);
	return root;
}

static RPC_VECTORS_UNUSED const char *rpc_vectors_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

/* Bytes of hex digits, up to the end or to "..." where the vector was cut. */
static RPC_VECTORS_UNUSED void rpc_vectors_bytes(const char *hex, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	buf_clear(out);
	for (size_t i = 0; hex[i] && hex[i] != '.'; i += 2) {
		const char *high = strchr(digits, hex[i]), *low = strchr(digits, hex[i + 1]);

		assert_true(high && low && *high && *low);
		assert_int_equal(buf_addc(out, (char)((high - digits) << 4 | (low - digits))), 0);
	}
}
