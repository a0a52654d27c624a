/* Responses: what is read does not depend on how the bytes are cut, pieces of the body lie in the input, and nothing
 * is taken beyond what was given. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
	if (!condition)
		abort();
}

struct sum {
	uint64_t digest, body, used;
	enum http_event last;
	unsigned status;
	const char *why;
};

static struct sum digest(const char *text, size_t size, size_t step, bool head)
{
	struct sum s = { .digest = 14695981039346656037u };
	char server[24];
	struct http_response r;

	http_response_init(&r, head);
	r.server = server;
	r.server_size = sizeof(server);
	for (size_t from = 0; from < size && s.last == HTTP_MORE; from += step) {
		size_t len = size - from < step ? size - from : step, piece_len;
		const char *at = text + from, *piece;

		do {
			const char *before = at;

			s.last = http_response_next(&r, &at, &len, &piece, &piece_len);
			check(at >= before && at + len <= text + size);
			s.used += (uint64_t)(at - before);
			if (s.last != HTTP_BODY)
				continue;
			check(piece_len > 0 && piece >= before && piece + piece_len <= at);
			s.body += piece_len;
			for (size_t i = 0; i < piece_len; i++)
				s.digest = (s.digest ^ (uint8_t)piece[i]) * 1099511628211u;
		} while (s.last == HTTP_HEAD || s.last == HTTP_BODY);
		check(s.last != HTTP_MORE || len == 0);
	}
	if (s.last == HTTP_MORE)
		s.last = http_response_eof(&r);
	check(s.last == HTTP_END || s.last == HTTP_BAD);
	check(r.body_bytes == s.body && r.body_bytes <= r.wire_bytes);
	s.status = r.status;
	s.why = r.why;
	check((s.last == HTTP_BAD) == (s.why != NULL));
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool head = size > 0 && data[0] & 1;
	size_t step = size > 0 ? 1 + data[0] / 2 % 16 : 1;
	struct sum whole, cut;
	char *copy;

	if (size < 1)
		return 0;
	/* A block of the exact size, so that reading beyond it is seen. */
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	whole = digest(copy, size - 1, size, head);
	cut = digest(copy, size - 1, step, head);
	check(whole.last == cut.last && whole.status == cut.status && whole.why == cut.why);
	check(whole.last != HTTP_END || (whole.digest == cut.digest && whole.used == cut.used));
	free(copy);
	return 0;
}
