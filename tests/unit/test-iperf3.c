/* iperf3's control connection: whole recorded exchanges of all versions replayed, and every way to break them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/iperf3-client.h"
#include "proto/iperf3-server.h"

static const char plain[] =
	"{\"tcp\":true,\"omit\":0,\"time\":1,\"num\":0,\"blockcount\":0,\"parallel\":1,\"len\":131072,"
	"\"pacing_timer\":1000,\"client_version\":\"3.12\"}";
static const char results[] =
	"{\"cpu_util_total\":1.5,\"cpu_util_user\":1,\"cpu_util_system\":0.5,\"sender_has_retransmits\":1,"
	"\"congestion_used\":\"bbr\",\"streams\":[{\"id\":1,\"bytes\":1627783168,\"retransmits\":0,"
	"\"jitter\":0,\"errors\":0,\"packets\":0,\"start_time\":0,\"end_time\":1.000108}]}";
static const uint8_t cookie[IPERF3_COOKIE] = "abcdefghijklmnopqrstuvwxyz2345672345";

/* --- recorded exchanges ------------------------------------------------------------------------------------------ */

struct recording {
	struct buf client, server; /* bytes of the control connection, each way */
};

static int digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void add_hex(struct buf *b, const char *hex)
{
	for (; hex[0] && hex[1] && hex[0] != '\n'; hex += 2)
		assert_int_equal(buf_addc(b, (char)(digit(hex[0]) << 4 | digit(hex[1]))), 0);
}

static void load(struct recording *r, const char *name)
{
	char path[512], *line = NULL;
	size_t room = 0;
	FILE *f;

	memset(r, 0, sizeof(*r));
	snprintf(path, sizeof(path), "tests/data/iperf3/%s", name);
	f = fopen(path, "re");
	assert_non_null(f);
	while (getline(&line, &room, f) > 0) {
		const char *hex = strstr(line, "hex=");

		assert_non_null(hex);
		if (strncmp(line, "TCP0 ", 5) == 0)
			add_hex(strstr(line, "C>S") ? &r->client : &r->server, hex + 4);
	}
	free(line);
	fclose(f);
}

static void unload(struct recording *r)
{
	buf_done(&r->client);
	buf_done(&r->server);
}

/* What the client of a recording would do with our state machine; returns the events as letters. */
static void replay_client(const struct recording *r, size_t cut, char *events, size_t room,
			  struct iperf3_results *peer, struct err *e)
{
	CLEANUP(iperf3_client_done) struct iperf3_client c;
	CLEANUP(iperf3_results_done) struct iperf3_results ours = { 0 };
	enum iperf3_client_event event;
	size_t at = 0, n = 0;
	struct err scrap;

	assert_int_equal(iperf3_results_decode(&ours, results, strlen(results), &scrap), 0);
	assert_int_equal(iperf3_client_init(&c, cookie, plain, strlen(plain), &scrap), 0);
	while (n + 1 < room) {
		if (iperf3_client_next(&c, &event, e) < 0) {
			events[n++] = '!';
			break;
		}
		if (event == IPERF3_CLIENT_MORE) {
			size_t more = r->server.len - at < cut ? r->server.len - at : cut;

			if (more == 0) {
				events[n++] = iperf3_client_eof(&c, e) < 0 ? '!' : '.';
				break;
			}
			assert_int_equal(iperf3_client_feed(&c, r->server.data + at, more, &scrap),
					 0);
			at += more;
			continue;
		}
		events[n++] = "?CSRXPD"[event];
		if (event == IPERF3_CLIENT_RUN)
			assert_int_equal(iperf3_client_end(&c, &scrap), 0);
		if (event == IPERF3_CLIENT_RESULTS)
			assert_int_equal(iperf3_client_results(&c, &ours, &scrap), 0);
		if (event == IPERF3_CLIENT_DONE)
			break;
	}
	events[n] = '\0';
	*peer = c.peer;
	memset(&c.peer, 0, sizeof(c.peer));
}

static void replay_server(const struct recording *r, size_t cut, char *events, size_t room,
			  struct iperf3_params *params, struct iperf3_results *peer)
{
	CLEANUP(iperf3_server_done) struct iperf3_server s;
	CLEANUP(iperf3_results_done) struct iperf3_results ours = { 0 };
	enum iperf3_server_event event;
	size_t at = IPERF3_COOKIE, n = 0;
	struct err e;

	assert_int_equal(iperf3_results_decode(&ours, results, strlen(results), &e), 0);
	assert_int_equal(iperf3_server_init(&s, &e), 0);
	while (n + 1 < room) {
		if (iperf3_server_next(&s, &event, &e) < 0) {
			events[n++] = '!';
			break;
		}
		if (event == IPERF3_SERVER_MORE) {
			size_t more = r->client.len - at < cut ? r->client.len - at : cut;

			if (more == 0) {
				events[n++] = iperf3_server_eof(&s, &e) < 0 ? '!' : '.';
				break;
			}
			assert_int_equal(iperf3_server_feed(&s, r->client.data + at, more, &e), 0);
			at += more;
			continue;
		}
		events[n++] = "?PEXD"[event];
		if (event == IPERF3_SERVER_PARAMS) {
			assert_int_equal(iperf3_server_accept(&s, &e), 0);
			assert_int_equal(iperf3_server_start(&s, &e), 0);
		}
		if (event == IPERF3_SERVER_END)
			assert_int_equal(iperf3_server_exchange(&s, &e), 0);
		if (event == IPERF3_SERVER_RESULTS)
			assert_int_equal(iperf3_server_results(&s, &ours, &e), 0);
		if (event == IPERF3_SERVER_DONE)
			break;
	}
	events[n] = '\0';
	*params = s.params;
	*peer = s.peer;
	memset(&s.peer, 0, sizeof(s.peer));
}

/* Exchanges that ended badly: the server never got to the results, or the client gave up. */
static const struct {
	const char *name, *client, *server;
} broken[] = {
	{ "mps_P2.txt", "CSR!", "PE!" },
	{ "mps_udp0.txt", "C!", "P!" },
};

static void replay_one(const char *name)
{
	const char *want_client = "CSRXPD", *want_server = "PEXD";
	struct recording r;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		if (strcmp(broken[i].name, name) == 0) {
			want_client = broken[i].client;
			want_server = broken[i].server;
		}
	load(&r, name);
	for (size_t cut = 1; cut < 2000; cut = cut < 3 ? cut + 1 : cut * 7) {
		struct iperf3_params params;
		struct iperf3_results peer, other;
		char events[32];
		struct err e = { 0 };

		replay_client(&r, cut, events, sizeof(events), &peer, &e);
		if (strcmp(events, want_client) != 0)
			fail_msg("%s, client, cut %zu: %s (%s)", name, cut, events, e.msg);
		replay_server(&r, cut, events, sizeof(events), &params, &other);
		if (strcmp(events, want_server) != 0)
			fail_msg("%s, server, cut %zu: %s", name, cut, events);
		assert_true(params.parallel >= 1);
		assert_int_equal(params.udp, strstr(name, "udp") != NULL);
		if (strchr(want_client, 'X')) {
			assert_true(peer.n >= 1);
			assert_int_equal(peer.stream[0].id, 1);
			assert_true(peer.has_retransmits >= -1 && peer.has_retransmits <= 1);
			assert_true(peer.stream[0].retransmits >= -1);
			assert_true(other.n == peer.n || params.bidir);
		}
		iperf3_results_done(&peer);
		iperf3_results_done(&other);
	}
	unload(&r);
}

static void test_recordings(void **state)
{
	DIR *d = opendir("tests/data/iperf3");
	struct dirent *entry;
	unsigned n = 0;

	(void)state;
	assert_non_null(d);
	while ((entry = readdir(d))) {
		if (strstr(entry->d_name, ".txt")) {
			replay_one(entry->d_name);
			n++;
		}
	}
	closedir(d);
	assert_true(n >= 30);
}

/* Numbers of one recording, as its iperf3 printed them. */
static void test_recorded_numbers(void **state)
{
	struct recording r;
	struct iperf3_params p;
	struct iperf3_results peer, other;
	char events[32];
	struct err e;

	(void)state;
	load(&r, "tcp_312_312.txt");
	replay_client(&r, 4096, events, sizeof(events), &peer, &e);
	replay_server(&r, 4096, events, sizeof(events), &p, &other);
	assert_int_equal(p.time_s, 1);
	assert_int_equal(p.len, 131072);
	assert_int_equal(p.pacing_timer_us, 1000);
	assert_string_equal(p.client_version, "3.12");
	assert_int_equal(other.stream[0].bytes, 1627783168);
	assert_int_equal(peer.stream[0].bytes, 1612578816);
	assert_int_equal(peer.has_retransmits, -1);
	assert_int_equal(peer.stream[0].retransmits, -1);
	assert_string_equal(peer.congestion, "bbr");
	iperf3_results_done(&peer);
	iperf3_results_done(&other);
	unload(&r);
	load(&r, "tcp_opts.txt");
	replay_server(&r, 4096, events, sizeof(events), &p, &other);
	assert_int_equal(p.mss, 1400);
	assert_true(p.nodelay && p.zerocopy && p.skip_rx_copy && p.get_server_output && p.udp64);
	assert_int_equal(p.window, 262144);
	assert_int_equal(p.bandwidth, 100000000);
	assert_int_equal(p.burst, 10);
	assert_int_equal(p.tos, 16);
	assert_int_equal(p.omit_s, 1);
	assert_string_equal(p.congestion, "cubic");
	iperf3_results_done(&other);
	unload(&r);
}

/* Our parameters are those that 3.12 sends, byte for byte. */
static void test_params_bytes(void **state)
{
	struct iperf3_params p = { .time_s = 1,
				   .parallel = 1,
				   .len = 131072,
				   .pacing_timer_us = 1000,
				   .server_affinity = -1,
				   .client_version = "3.12" };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(iperf3_params_encode(&p, &out, &e), 0);
	assert_string_equal(buf_text(&out), plain);
}

static void test_params_limits(void **state)
{
	static const struct {
		const char *json;
		int32_t refusal;
	} rows[] = {
		{ "{\"tcp\":true,\"len\":2097152}", 7 },
		{ "{\"tcp\":true,\"parallel\":0}", 6 },
		{ "{\"tcp\":true,\"parallel\":200}", 6 },
		{ "{\"tcp\":true,\"parallel\":-1}", 6 },
		{ "{\"tcp\":true,\"time\":90000}", 5 },
		{ "{\"tcp\":true,\"time\":1e300}", 5 },
		{ "{\"tcp\":true,\"omit\":601}", 12 },
		{ "{\"udp\":true,\"len\":8}", 20 },
		{ "{\"udp\":true,\"len\":65508}", 20 },
		{ "{\"sctp\":true}", 131 },
		{ "{\"num\":-5}", 114 },
		{ "{\"num\":18446744073709551615}", 114 },
		{ "[1]", 114 },
		{ "{", 114 },
		{ "", 114 },
		{ "\xff", 114 },
	};
	static const char odd[] = "{\"time\":\"x\",\"mptcp\":true,\"len\":[1],\"reverse\":1}";
	struct iperf3_params p;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int32_t refusal = 0;

		if (iperf3_params_decode(&p, rows[i].json, strlen(rows[i].json), &refusal, &e) == 0)
			fail_msg("%s is accepted", rows[i].json);
		assert_int_equal(refusal, rows[i].refusal);
		assert_string_equal(e.code, "parameters");
	}
	/* wrong types and unknown keys are nothing */
	assert_int_equal(iperf3_params_decode(&p, odd, strlen(odd), &(int32_t){ 0 }, &e), 0);
	assert_true(p.reverse);
	assert_int_equal(p.time_s, 0);
}

static void test_results_lies(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"cpu_util_total\":1,\"cpu_util_user\":1,\"cpu_util_system\":1,\"sender_has_retransmits\":1}",
		"{\"cpu_util_total\":1,\"cpu_util_user\":1,\"cpu_util_system\":1,\"sender_has_retransmits\":1,"
		"\"streams\":[{\"id\":1}]}",
		"{\"cpu_util_total\":1,\"cpu_util_user\":1,\"cpu_util_system\":1,\"sender_has_retransmits\":1,"
		"\"streams\":[{\"id\":1,\"bytes\":-7,\"retransmits\":0,\"jitter\":0,\"errors\":0,\"packets\":0}]}",
		"{\"cpu_util_total\":1,\"cpu_util_user\":1,\"cpu_util_system\":1,\"sender_has_retransmits\":1,"
		"\"streams\":[{\"id\":0,\"bytes\":7,\"retransmits\":0,\"jitter\":0,\"errors\":0,\"packets\":0}]}",
		"{\"cpu_util_total\":1,\"cpu_util_user\":1,\"cpu_util_system\":1,\"sender_has_retransmits\":1,"
		"\"streams\":[{\"id\":1,\"bytes\":7,\"retransmits\":0,\"jitter\":0,\"errors\":0,\"packets\":0},"
		"{\"id\":1,\"bytes\":7,\"retransmits\":0,\"jitter\":0,\"errors\":0,\"packets\":0}]}",
		"{\"cpu_util_total\":1,\"cpu_util_user\":1,\"cpu_util_system\":1,\"sender_has_retransmits\":1,"
		"\"streams\":[{\"id\":1,\"bytes\":7,\"retransmits\":0,\"jitter\":0,\"errors\":0,\"packets\":0,"
		"\"end_time\":-1}]}",
		"null",
	};
	struct iperf3_results r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (iperf3_results_decode(&r, bad[i], strlen(bad[i]), &e) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(e.code, "protocol");
	}
}

static void test_results_round_trip(void **state)
{
	struct iperf3_stream_result s[2] = {
		{ .id = 1,
		  .bytes = 9007199254740993,
		  .retransmits = -1,
		  .jitter_s = 1e-6,
		  .errors = 3,
		  .packets = 100,
		  .omitted_packets = 4,
		  .has_omitted = true,
		  .end_s = 1.25 },
		{ .id = 3, .bytes = 0, .retransmits = 2, .errors = -1, .packets = 0 },
	};
	char text[] = "text\n";
	struct iperf3_results r = {
		.cpu_total = 12.5, .has_retransmits = -1, .stream = s, .n = 2, .server_output = text
	};
	CLEANUP(iperf3_results_done) struct iperf3_results back = { 0 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(iperf3_results_encode(&r, &out, &e), 0);
	assert_int_equal(iperf3_results_decode(&back, out.data, out.len, &e), 0);
	assert_int_equal(back.n, 2);
	assert_int_equal(back.stream[0].bytes, 9007199254740993);
	assert_int_equal(back.stream[0].retransmits, -1);
	assert_int_equal(back.stream[0].omitted_packets, 4);
	assert_true(back.stream[0].has_omitted && !back.stream[1].has_omitted);
	assert_string_equal(back.server_output, "text\n");
	assert_ptr_equal(iperf3_results_find(&back, 3), &back.stream[1]);
	assert_null(iperf3_results_find(&back, 2));
}

/* --- servers that misbehave ----------------------------------------------------------------------------------------- */

/* The code and message that a server's bytes lead to; what is wanted of us is answered. */
static const char *against(const char *bytes, size_t len, struct err *e)
{
	struct recording r = { 0 };
	struct iperf3_results peer;
	char events[32];

	memset(e, 0, sizeof(*e));
	assert_int_equal(buf_add(&r.server, bytes, len), 0);
	for (size_t cut = 1; cut <= 16; cut += 15) {
		replay_client(&r, cut, events, sizeof(events), &peer, e);
		iperf3_results_done(&peer);
	}
	unload(&r);
	return e->code;
}
#define AGAINST(literal) against(literal, sizeof(literal) - 1, &e)

static void test_servers(void **state)
{
	struct err e;

	(void)state;
	assert_string_equal(AGAINST(""), "closed-at-once");
	assert_string_equal(AGAINST("\xff"), "busy");
	assert_string_equal(AGAINST("\x09"), "refused-params");
	assert_string_equal(AGAINST("\x09\xfe"), "server-error-bare");
	assert_non_null(strstr(e.msg, "does not say why"));
	assert_string_equal(AGAINST("\x09\xfe\0\0\0\x8e"), "server-error-short");
	assert_non_null(strstr(e.msg, "authorization"));
	assert_string_equal(AGAINST("\x09\xfe\0\0\0\x07\0\0\0\x09"), "server-error");
	assert_non_null(strstr(e.msg, "block size"));
	assert_non_null(strstr(e.msg, "Bad file descriptor"));
	assert_string_equal(AGAINST("\x09\xfe\0\0\x07\x07\0\0\0\x09"), "server-error");
	assert_non_null(strstr(e.msg, "1799"));
	assert_string_equal(AGAINST("\x09\x0a"), "closed-in-setup");
	assert_string_equal(AGAINST("\x09\x0a\x01"), "closed-before-test");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02"), "closed-after-test");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x0b"), "server-terminated");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x0d"), "closed-before-results");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x0d\0\0\0\0"), "protocol");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x0d\x7f\xff\xff\xff"), "protocol");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x0d\0\0\0\x02{}"), "protocol");
	assert_string_equal(AGAINST("\x0a"), "protocol");
	assert_string_equal(AGAINST("\x09\x09"), "protocol");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x0e"), "protocol");
	assert_string_equal(AGAINST("\x09\x0a\x01\x02\x42"), "protocol");
	assert_non_null(strstr(e.msg, "0x42"));
	assert_string_equal(AGAINST("HTTP/1.1 400 Bad Request\r\n"), "protocol");
}

static void test_clients(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *code;
	} rows[] = {
		{ "", 0, "closed" },
		{ "\0\0\0\0", 4, "protocol" },
		{ "\0\0\x23\x28", 4, "protocol" },
		{ "\x80\0\0\0", 4, "protocol" },
		{ "\0\0\0\x03{}}", 7, "parameters" },
		{ "GET / HTTP/1.0\r\n\r\n", 18, "protocol" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(iperf3_server_done) struct iperf3_server s;
		enum iperf3_server_event event;

		assert_int_equal(iperf3_server_init(&s, &e), 0);
		assert_int_equal(s.out.data[0], IPERF3_PARAM_EXCHANGE);
		buf_clear(&s.out);
		assert_int_equal(iperf3_server_feed(&s, rows[i].bytes, rows[i].len, &e), 0);
		if (rows[i].len == 0) {
			assert_int_equal(iperf3_server_next(&s, &event, &e), 0);
			assert_int_equal(iperf3_server_eof(&s, &e), -1);
		} else {
			assert_int_equal(iperf3_server_next(&s, &event, &e), -1);
			assert_int_equal((uint8_t)s.out.data[0], IPERF3_SERVER_ERROR);
			assert_int_equal(s.out.len, 9);
		}
		assert_string_equal(e.code, rows[i].code);
	}
}

static void test_cookie(void **state)
{
	uint8_t random[IPERF3_COOKIE], out[IPERF3_COOKIE];

	(void)state;
	for (int i = 0; i < IPERF3_COOKIE; i++)
		random[i] = (uint8_t)(i * 37);
	iperf3_cookie(out, random);
	assert_int_equal(strspn((char *)out, "abcdefghijklmnopqrstuvwxyz234567"), 36);
	assert_int_equal(out[36], 0);
	assert_int_equal(iperf3_stream_id(0), 1);
	assert_int_equal(iperf3_stream_id(1), 3);
	assert_int_equal(iperf3_stream_id(3), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recordings),   cmocka_unit_test(test_recorded_numbers),
		cmocka_unit_test(test_params_bytes), cmocka_unit_test(test_params_limits),
		cmocka_unit_test(test_results_lies), cmocka_unit_test(test_results_round_trip),
		cmocka_unit_test(test_servers),	     cmocka_unit_test(test_clients),
		cmocka_unit_test(test_cookie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
