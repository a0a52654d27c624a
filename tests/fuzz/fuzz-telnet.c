/* The telnet stream and both RFC 2217 machines: decoding does not depend on how the bytes are split, nothing said
 * makes either side talk beyond its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rfc2217-server.h"
#include "proto/rfc2217.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
	if (!condition)
		abort();
}

/* A digest of all events; pieces of data count the same joined or split. */
static uint64_t digest(const uint8_t *data, size_t size, size_t step)
{
	struct telnet t = { 0 };
	uint64_t sum = 14695981039346656037u;

	for (size_t from = 0; from < size; from += step) {
		size_t len = size - from < step ? size - from : step;

		for (size_t at = 0; at < len;) {
			struct telnet_event ev;
			size_t used = telnet_feed(&t, data + from + at, len - at, &ev);

			check(used > 0 && used <= len - at);
			at += used;
			if (ev.kind != TELNET_EV_DATA)
				sum = (sum ^ (ev.kind << 16 | ev.command << 8 | ev.option)) *
				      (ev.kind == TELNET_EV_NONE ? 1 : 1099511628211u);
			for (size_t i = 0; i < ev.len; i++)
				sum = (sum ^ ev.data[i]) * 1099511628211u;
		}
	}
	return sum;
}

static void client(const uint8_t *data, size_t size, uint8_t how)
{
	struct rfc2217_client_params p = { .settings = RFC2217_SETTINGS_8N1,
					   .order = how & 1 ? RFC2217_PYSERIAL : RFC2217_BURST,
					   .set_lines = how & 2,
					   .purge = how & 4,
					   .signature = how & 8 };
	struct rfc2217_client c;
	const uint8_t *out;
	size_t sent = 0;
	struct err e;

	rfc2217_client_init(&c, &p);
	rfc2217_client_start(&c, 1);
	for (size_t at = 0; at < size;) {
		struct rfc2217_event ev;
		size_t n, used;

		while ((n = rfc2217_client_pull(&c, &out)) > 0)
			sent += n;
		used = rfc2217_client_feed(&c, data + at, size - at, 1 + at, &ev);
		check(used > 0 && used <= size - at);
		check(c.out.len <= sizeof(c.out.data));
		at += used;
		rfc2217_client_advance(&c, 1 + at);
		if (how & 16 && at % 7 == 0)
			rfc2217_client_expire(&c, 2 + at);
	}
	check(sent < 4000);
	rfc2217_client_error(&c, &e);
}

static uint32_t any_answer(void *ctx, enum rfc2217_command command, uint32_t value)
{
	const uint8_t *how = ctx;

	return *how & 32 ? value : value * 7 + (uint32_t)command;
}

static void server(const uint8_t *data, size_t size, uint8_t how)
{
	static const struct rfc2217_server_ops ops = { .apply = any_answer };
	static const struct rfc2217_port port = RFC2217_PORT_DEFAULT;
	struct rfc2217_server s;
	size_t sent = 0, n;
	const uint8_t *out;

	rfc2217_server_init(&s, &ops, &how, &port, "mpbench");
	rfc2217_server_start(&s);
	for (size_t at = 0; at < size;) {
		const uint8_t *piece;
		size_t len, used = rfc2217_server_feed(&s, data + at, size - at, &piece, &len);

		check(s.out_len <= sizeof(s.out));
		check(len == 0 || (piece >= data + at && piece + len <= data + at + used));
		if (used == 0 || how & 64) {
			n = rfc2217_server_pull(&s, &out);
			check(used || n);
			sent += n;
		}
		rfc2217_server_modemstate(&s, data[at]);
		at += used;
		check(s.port.settings.datasize >= 5 && s.port.settings.datasize <= 8);
		check(s.port.settings.baud > 0);
	}
	/* The longest answer to the shortest question, plus a notification per step and what is said once. */
	check(sent <= 10 * size + 4000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size < 2)
		return 0;
	/* A block of the exact size, so that reading beyond it is seen. */
	copy = malloc(size - 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	check(digest(copy, size - 1, size) == digest(copy, size - 1, 1));
	check(digest(copy, size - 1, size) == digest(copy, size - 1, 1 + data[0] % 8));
	client(copy, size - 1, data[0]);
	server(copy, size - 1, data[0]);
	free(copy);
	return 0;
}
