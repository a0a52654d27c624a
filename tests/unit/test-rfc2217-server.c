#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/rawrepl.h"
#include "proto/rfc2217-server.h"

#define WILL(o) "\xff\xfb" o
#define DO(o) "\xff\xfd" o
#define WONT(o) "\xff\xfc" o
#define DONT(o) "\xff\xfe" o
#define SUB(body) "\xff\xfa\x2c" body "\xff\xf0"
#define PORT "\x2c"
#define BIN "\x00"
#define SGA "\x03"

/* A port that can do 7 and 8 data bits only and has no DTR. */
static uint32_t apply(void *ctx, enum rfc2217_command command, uint32_t value)
{
	buf_addf(ctx, " apply%d=%u", (int)command, (unsigned)value);
	if (command == RFC2217_SET_DATASIZE && value < 7)
		return 8;
	if (command == RFC2217_SET_CONTROL && value == RFC2217_DTR_OFF)
		return RFC2217_DTR_ON;
	if (command == RFC2217_SET_CONTROL && value == RFC2217_FLOW_DSR)
		return 99;
	return value;
}

static void purge(void *ctx, uint8_t what)
{
	buf_addf(ctx, " purge%u", (unsigned)what);
}

static void flow(void *ctx, bool suspend)
{
	buf_adds(ctx, suspend ? " suspend" : " resume");
}

static void brk(void *ctx)
{
	buf_adds(ctx, " break");
}

static const struct rfc2217_server_ops ops = { apply, purge, flow, brk };
static const struct rfc2217_port port = RFC2217_PORT_DEFAULT;

static void drain(struct rfc2217_server *s, struct buf *sent)
{
	const uint8_t *p;
	size_t n;

	while ((n = rfc2217_server_pull(s, &p)) > 0)
		assert_int_equal(buf_add(sent, p, n), 0);
}

static void feed(struct rfc2217_server *s, const char *in, size_t len, struct buf *log,
		 struct buf *sent)
{
	char *copy = test_malloc(len), quoted[256];
	size_t at = 0;

	memcpy(copy, in, len);
	while (at < len) {
		const uint8_t *data;
		size_t n, used = rfc2217_server_feed(s, copy + at, len - at, &data, &n);

		assert_in_range(used, 1, len - at);
		if (n)
			buf_adds(log, rawrepl_quote(quoted, sizeof(quoted), data, n));
		at += used;
		drain(s, sent);
	}
	test_free(copy);
}
#define FEED(s, text, log, sent) feed(s, text, sizeof(text) - 1, log, sent)

static void open_server(struct rfc2217_server *s, struct buf *log, struct buf *sent)
{
	rfc2217_server_init(s, &ops, log, &port, "mpbench");
	FEED(s, WILL(PORT), log, sent);
	buf_clear(sent);
}

static const struct {
	const char *in, *out, *log;
	size_t in_len, out_len;
} rows[] = {
#define ROW(in, out, log) \
	{ \
		(in), (out), (log), sizeof(in) - 1, sizeof(out) - 1 \
	}
	ROW(SUB("\x00"), SUB("\x64mpbench"), ""),
	ROW(SUB("\x00gensio"), "", ""),
	ROW(SUB("\x01\x00\x00\x25\x80"), SUB("\x65\x00\x00\x25\x80"), " apply1=9600"),
	ROW(SUB("\x01\x00\x00\x00\x00"), SUB("\x65\x00\x01\xc2\x00"), ""),
	ROW(SUB("\x01\xff\xff\xff\xff\xff\xff\x00"), SUB("\x65\xff\xff\xff\xff\xff\xff\x00"),
	    " apply1=4294967040"),
	ROW(SUB("\x01\x08"), SUB("\x65\x08"), " apply1=9600"),
	ROW(SUB("\x01\x08") SUB("\x01\x00\x00\x00\x00"),
	    SUB("\x65\x08") SUB("\x65\x00\x00\x25\x80"), " apply1=9600"),
	ROW(SUB("\x01\x00"), SUB("\x65\x0e"), ""),
	ROW(SUB("\x01\x00\x01"), "", ""),
	ROW(SUB("\x02\x07"), SUB("\x66\x07"), " apply2=7"),
	ROW(SUB("\x02\x05"), SUB("\x66\x08"), " apply2=5"),
	ROW(SUB("\x02\x00"), SUB("\x66\x08"), ""),
	ROW(SUB("\x02\x09"), SUB("\x66\x08"), ""),
	ROW(SUB("\x03\x03"), SUB("\x67\x03"), " apply3=3"),
	ROW(SUB("\x03\x00"), SUB("\x67\x01"), ""),
	ROW(SUB("\x03\x06"), SUB("\x67\x01"), ""),
	ROW(SUB("\x04\x03"), SUB("\x68\x03"), " apply4=3"),
	ROW(SUB("\x04\x00"), SUB("\x68\x01"), ""),
	ROW(SUB("\x05\x00"), SUB("\x69\x01"), ""),
	ROW(SUB("\x05\x03") SUB("\x05\x0d"), SUB("\x69\x03") SUB("\x69\x10"), " apply5=3"),
	ROW(SUB("\x05\x11") SUB("\x05\x0d"), SUB("\x69\x11") SUB("\x69\x0e"), " apply5=17"),
	ROW(SUB("\x05\x13"), SUB("\x69\x01"), " apply5=19"),
	ROW(SUB("\x05\x04"), SUB("\x69\x06"), ""),
	ROW(SUB("\x05\x05") SUB("\x05\x04") SUB("\x05\x06"),
	    SUB("\x69\x05") SUB("\x69\x05") SUB("\x69\x06"), " apply5=5 apply5=6"),
	ROW(SUB("\x05\x07"), SUB("\x69\x08"), ""),
	ROW(SUB("\x05\x08"), SUB("\x69\x08"), " apply5=8"),
	ROW(SUB("\x05\x09"), SUB("\x69\x08"), " apply5=9"),
	ROW(SUB("\x05\x0a"), SUB("\x69\x0b"), ""),
	ROW(SUB("\x05\x0c") SUB("\x05\x0a"), SUB("\x69\x0c") SUB("\x69\x0c"), " apply5=12"),
	ROW(SUB("\x05\x0d"), SUB("\x69\x0e"), ""),
	ROW(SUB("\x05\x12"), SUB("\x69\x12"), " apply5=18"),
	ROW(SUB("\x05\x14"), "", ""),
	ROW(SUB("\x06"), SUB("\x6a\x00"), ""),
	ROW(SUB("\x07"), SUB("\x6b\x00"), ""),
	ROW(SUB("\x08") SUB("\x09"), "", " suspend resume"),
	ROW(SUB("\x0a\x1f"), SUB("\x6e\x1f"), ""),
	ROW(SUB("\x0b\xff\xff"), SUB("\x6f\xff\xff"), ""),
	ROW(SUB("\x0c\x01") SUB("\x0c\x02") SUB("\x0c\x03"),
	    SUB("\x70\x01") SUB("\x70\x02") SUB("\x70\x03"), " purge1 purge2 purge3"),
	ROW(SUB("\x0c\x04"), "", ""),
	ROW(SUB("\x0d\x01"), "", ""),
	ROW(SUB(""), "", ""),
	ROW("a\xff\xff"
	    "b\xff\xf3"
	    "c",
	    "", "a\\xffb breakc"),
};

static void test_every_row_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut = 0; cut <= rows[i].in_len + 1; cut++) {
			CLEANUP(buf_done) struct buf log = BUF_INIT;
			CLEANUP(buf_done) struct buf sent = BUF_INIT;
			struct rfc2217_server s;

			open_server(&s, &log, &sent);
			if (cut > rows[i].in_len) {
				for (size_t k = 0; k < rows[i].in_len; k++)
					feed(&s, rows[i].in + k, 1, &log, &sent);
			} else {
				feed(&s, rows[i].in, cut, &log, &sent);
				feed(&s, rows[i].in + cut, rows[i].in_len - cut, &log, &sent);
			}
			assert_string_equal(buf_text(&log), rows[i].log);
			assert_int_equal(sent.len, rows[i].out_len);
			assert_memory_equal(buf_text(&sent), rows[i].out, rows[i].out_len);
		}
	}
}

static void test_opening(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	static const char hello[] = WILL(SGA) DO(SGA) WILL(BIN) DO(BIN) DO(PORT);
	struct rfc2217_server s;

	(void)state;
	rfc2217_server_init(&s, &ops, &log, &port, "x");
	rfc2217_server_start(&s);
	drain(&s, &sent);
	assert_int_equal(sent.len, sizeof(hello) - 1);
	assert_memory_equal(sent.data, hello, sent.len);
	buf_clear(&sent);
	/* Requests before the option is agreed are not served. */
	FEED(&s, SUB("\x02\x07"), &log, &sent);
	assert_int_equal(sent.len, 0);
	/* Its answers to what was asked are not answered again; DO ECHO is new. */
	FEED(&s, DO(SGA) WILL(SGA) DO("\x01") WILL(PORT) DO(BIN) WILL(BIN), &log, &sent);
	assert_int_equal(sent.len, sizeof(WILL("\x01") SUB("\x6b\x00")) - 1);
	assert_memory_equal(sent.data, WILL("\x01") SUB("\x6b\x00"), sent.len);
	assert_true(s.agreed);
}

/* Our client against our server, every answer there, in two exchanges. */
static void test_with_our_client(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	struct rfc2217_client_params p = { .settings = RFC2217_SETTINGS_8N1,
					   .set_lines = true,
					   .dtr = true,
					   .purge = true,
					   .signature = true };
	int rounds = 0;

	(void)state;
	for (int order = RFC2217_BURST; order <= RFC2217_PYSERIAL; order++) {
		struct rfc2217_client c;
		struct rfc2217_server s;
		uint64_t now = 1;

		p.order = (enum rfc2217_order)order;
		rfc2217_client_init(&c, &p);
		rfc2217_server_init(&s, &ops, &log, &port, "mpbench bridge");
		rfc2217_server_start(&s);
		rfc2217_client_start(&c, now);
		for (rounds = 0; c.stage != RFC2217_STAGE_READY && rounds < 50; rounds++) {
			CLEANUP(buf_done) struct buf to_server = BUF_INIT;
			CLEANUP(buf_done) struct buf to_client = BUF_INIT;
			const uint8_t *data;
			size_t n;

			while ((n = rfc2217_client_pull(&c, &data)) > 0)
				buf_add(&to_server, data, n);
			if (to_server.len)
				feed(&s, to_server.data, to_server.len, &log, &to_client);
			drain(&s, &to_client);
			for (size_t at = 0; at < to_client.len;) {
				struct rfc2217_event ev;
				size_t used = rfc2217_client_feed(&c, to_client.data + at,
								  to_client.len - at, ++now, &ev);

				assert_true(used > 0);
				at += used;
			}
			rfc2217_client_advance(&c, ++now);
		}
		assert_int_equal(c.stage, RFC2217_STAGE_READY);
		if (order == RFC2217_BURST)
			assert_int_equal(rounds, 2);
		assert_string_equal(c.signature, "mpbench bridge");
		for (int i = 0; i < RFC2217_ITEMS; i++)
			if (c.item[i].wanted)
				assert_true(c.item[i].answered_ns > 0);
	}
}

static void test_notifications(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	struct rfc2217_server s;

	(void)state;
	open_server(&s, &log, &sent);
	rfc2217_server_modemstate(&s, RFC2217_MODEM_CTS | RFC2217_MODEM_DSR);
	rfc2217_server_modemstate(&s, RFC2217_MODEM_CTS | RFC2217_MODEM_DSR);
	rfc2217_server_modemstate(&s, RFC2217_MODEM_CTS | RFC2217_MODEM_RI);
	rfc2217_server_modemstate(&s, RFC2217_MODEM_CTS);
	drain(&s, &sent);
	assert_int_equal(sent.len, 3 * 7);
	assert_memory_equal(sent.data, SUB("\x6b\x33") SUB("\x6b\x52") SUB("\x6b\x14"), sent.len);
	buf_clear(&sent);
	/* Line events only through the mask. */
	rfc2217_server_linestate(&s, 16);
	drain(&s, &sent);
	assert_int_equal(sent.len, 0);
	FEED(&s, SUB("\x0a\x10") SUB("\x0b\x80"), &log, &sent);
	buf_clear(&sent);
	rfc2217_server_linestate(&s, 0);
	rfc2217_server_linestate(&s, 2);
	rfc2217_server_modemstate(&s, 0);
	assert_true(rfc2217_server_flow(&s, true));
	assert_true(rfc2217_server_flow(&s, false));
	drain(&s, &sent);
	assert_int_equal(sent.len, 7 + 6 + 6);
	assert_memory_equal(sent.data, SUB("\x6a\x00") SUB("\x6c") SUB("\x6d"), sent.len);
	for (int i = 0; i < 1000; i++)
		rfc2217_server_linestate(&s, i % 2 ? 16 : 0);
	assert_true(s.lost_notifications > 900);
	assert_true(s.out_len <= sizeof(s.out));
}

/* A client that asks and never reads stops being heard; one that reads gets a bounded answer to a bomb. */
static void test_hostile_client(void **state)
{
	CLEANUP(buf_done) struct buf log = BUF_INIT;
	CLEANUP(buf_done) struct buf sent = BUF_INIT;
	struct rfc2217_server s;
	const uint8_t *data;
	size_t n, taken = 0;

	(void)state;
	open_server(&s, &log, &sent);
	for (int i = 0; i < 1000; i++)
		taken += rfc2217_server_feed(&s, SUB("\x00"), 6, &data, &n);
	assert_true(taken < 400);
	assert_true(s.out_len <= sizeof(s.out));
	drain(&s, &sent);
	assert_int_equal(rfc2217_server_feed(&s, "x", 1, &data, &n), 1);
	assert_int_equal(n, 1);
	buf_clear(&sent);
	for (int i = 0; i < 100000; i++)
		FEED(&s, WILL(SGA) WONT(SGA) DO("\x07") WILL("\x18") DONT(PORT) DO(PORT), &log,
		     &sent);
	assert_true(sent.len < 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_at_every_split),
		cmocka_unit_test(test_opening),
		cmocka_unit_test(test_with_our_client),
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_hostile_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
