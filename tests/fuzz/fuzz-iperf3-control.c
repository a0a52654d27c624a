/* Any bytes as the other side of a control connection, in any cuts: both roles end in bounded memory, never by a crash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/iperf3-client.h"
#include "proto/iperf3-server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_server(const uint8_t *data, size_t size, size_t cut)
{
	static const uint8_t cookie[IPERF3_COOKIE] = "x";
	CLEANUP(iperf3_client_done) struct iperf3_client c;
	const struct iperf3_results ours = { 0 };
	enum iperf3_client_event event;
	struct err e;

	if (iperf3_client_init(&c, cookie, "{}", 2, &e) < 0)
		abort();
	for (size_t at = 0; at < size; at += cut) {
		if (iperf3_client_feed(&c, data + at, size - at < cut ? size - at : cut, &e) < 0)
			return;
		do {
			if (iperf3_client_next(&c, &event, &e) < 0 ||
			    (event == IPERF3_CLIENT_RUN && iperf3_client_end(&c, &e) < 0) ||
			    (event == IPERF3_CLIENT_RESULTS &&
			     iperf3_client_results(&c, &ours, &e) < 0))
				return;
			buf_clear(&c.out);
		} while (event != IPERF3_CLIENT_MORE && event != IPERF3_CLIENT_DONE);
	}
	(void)!iperf3_client_eof(&c, &e);
}

static void as_client(const uint8_t *data, size_t size, size_t cut)
{
	CLEANUP(iperf3_server_done) struct iperf3_server s;
	const struct iperf3_results ours = { 0 };
	enum iperf3_server_event event;
	struct err e;

	if (iperf3_server_init(&s, &e) < 0)
		abort();
	for (size_t at = 0; at < size; at += cut) {
		if (iperf3_server_feed(&s, data + at, size - at < cut ? size - at : cut, &e) < 0)
			return;
		do {
			if (iperf3_server_next(&s, &event, &e) < 0)
				return;
			if (event == IPERF3_SERVER_PARAMS &&
			    (iperf3_server_accept(&s, &e) < 0 || iperf3_server_start(&s, &e) < 0))
				return;
			if (event == IPERF3_SERVER_END && iperf3_server_exchange(&s, &e) < 0)
				return;
			if (event == IPERF3_SERVER_RESULTS &&
			    iperf3_server_results(&s, &ours, &e) < 0)
				return;
			buf_clear(&s.out);
		} while (event != IPERF3_SERVER_MORE && event != IPERF3_SERVER_DONE);
	}
	(void)!iperf3_server_eof(&s, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut;

	if (size < 2)
		return 0;
	cut = (size_t)data[1] + 1;
	if (data[0] & 1)
		as_server(data + 2, size - 2, cut);
	else
		as_client(data + 2, size - 2, cut);
	return 0;
}
