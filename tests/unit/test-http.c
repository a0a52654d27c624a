/* test-http - responses however they are cut, framing by the book, hostile ones refused; requests that stay requests */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http.h"

/* What a reader makes of bytes that come in pieces of `step` and then end: the body, and how it ended. */
struct read_out {
	enum http_event last;
	struct http_response r;
	char server[32];
	char body[4096];
	size_t body_len, left;
	unsigned heads;
};

static void read_all(struct read_out *o, const char *text, size_t len, size_t step, bool head)
{
	memset(o, 0, sizeof(*o));
	http_response_init(&o->r, head);
	o->r.server = o->server;
	o->r.server_size = sizeof(o->server);
	for (size_t from = 0; from < len; from += step) {
		size_t n = len - from < step ? len - from : step;
		const char *at = text + from, *piece;
		size_t piece_len;

		do {
			o->last = http_response_next(&o->r, &at, &n, &piece, &piece_len);
			o->heads += o->last == HTTP_HEAD;
			if (o->last == HTTP_BODY) {
				assert_true(o->body_len + piece_len < sizeof(o->body));
				memcpy(o->body + o->body_len, piece, piece_len);
				o->body_len += piece_len;
			}
		} while (o->last == HTTP_HEAD || o->last == HTTP_BODY);
		o->left = len - from - (len - from < step ? len - from : step) + n;
		if (o->last != HTTP_MORE)
			return;
		assert_int_equal(n, 0);
	}
	o->last = http_response_eof(&o->r);
}

/* The same however the input is cut. */
static struct read_out *get_n(const char *text, size_t len, bool head)
{
	static struct read_out whole, cut;

	read_all(&whole, text, len, len ? len : 1, head);
	for (size_t step = 1; step < len && step < 40; step++) {
		read_all(&cut, text, len, step, head);
		assert_int_equal(cut.last, whole.last);
		assert_int_equal(cut.r.status, whole.r.status);
		assert_int_equal(cut.heads, whole.heads);
		assert_int_equal(cut.r.keep_alive, whole.r.keep_alive);
		assert_int_equal(cut.left, whole.left);
		assert_int_equal(cut.body_len, whole.body_len);
		assert_memory_equal(cut.body, whole.body, whole.body_len);
		if (whole.last == HTTP_BAD)
			assert_string_equal(cut.r.why, whole.r.why);
		assert_string_equal(cut.server, whole.server);
	}
	return &whole;
}

static struct read_out *get(const char *text)
{
	return get_n(text, strlen(text), false);
}

static void expect_body(const char *text, unsigned status, bool keep_alive, const char *body)
{
	struct read_out *o = get(text);

	assert_int_equal(o->last, HTTP_END);
	assert_int_equal(o->r.status, status);
	assert_int_equal(o->r.keep_alive, keep_alive);
	assert_int_equal(o->body_len, strlen(body));
	assert_memory_equal(o->body, body, o->body_len);
	assert_int_equal(o->r.body_bytes, o->body_len);
}

static void expect_bad(const char *text, const char *why)
{
	struct read_out *o = get(text);

	assert_int_equal(o->last, HTTP_BAD);
	assert_string_equal(o->r.why, why);
}

static void test_framing(void **state)
{
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, true, "hello");
	expect_body("HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", 200, true, "hello");
	expect_body("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, true, "hello");
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, true, "");
	expect_body("HTTP/1.1 204 No Content\r\n\r\n", 204, true, "");
	expect_body("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, true, "");
	expect_body("HTTP/1.1 200 OK\r\n\r\nto the end", 200, false, "to the end");
	expect_body("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, false, "ok");
	expect_body("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200,
		    true, "ok");
	expect_body("HTTP/1.1 404 No\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nno", 404,
		    false, "no");
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc", 200,
		    true, "abc");
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nabc",
		    200, false, "abc");
	/* both: the coding decides, and the connection is not used again */
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
		    "3\r\nabc\r\n0\r\n\r\n",
		    200, false, "abc");
}

static void test_chunked(void **state)
{
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
		    "5\r\nhello\r\n1;x=\"y\"\r\n \r\n000005\r\nworld\r\n0\r\nX: y\r\n\r\n",
		    200, true, "hello world");
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nA\r\n0123456789\r\n"
		    "0\r\n\r\n",
		    200, true, "0123456789");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nG\r\n",
		   "a chunk size that is no number");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		   "a chunk size that is no number");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
		   "a chunk size beyond 64 bits");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
		   "a chunk longer than its size");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
		   "a transfer coding behind chunked");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
		   "the connection was closed within the body");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		   "the connection was closed within the body");
}

static void test_interim_and_head(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
	struct read_out *o;

	(void)state;
	expect_body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n"
		    "Connection: close\r\nContent-Length: 7\r\n\r\n"
		    "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
		    201, true, "x");
	expect_bad("HTTP/1.1 101 Switching Protocols\r\n\r\n",
		   "a change of protocol that nobody asked for");
	o = get_n(answer, strlen(answer), true);
	assert_int_equal(o->last, HTTP_END);
	assert_int_equal(o->body_len, 0);
	assert_true(o->r.keep_alive);
}

static void test_what_follows_is_not_part(void **state)
{
	struct read_out *o;

	(void)state;
	o = get("HTTP/1.1 200 OK\r\nServer:  nginx/1.22 \r\nContent-Length: 1\r\n\r\nxHTTP/1.1 ");
	assert_int_equal(o->last, HTTP_END);
	assert_int_equal(o->left, 9);
	assert_string_equal(o->server, "nginx/1.22");
	o = get("HTTP/1.1 200 OK\r\nServer: a name that is too long to be kept whole\r\n"
		"Content-Length: 0\r\n\r\n");
	assert_string_equal(o->server, "a name that is too long to be k");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} row[] = {
		{ "", "the connection was closed before an answer" },
		{ "HTTP/1.1 200 OK\r\nX: y", "the connection was closed within the head" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
		  "the connection was closed within the body" },
		{ "SSH-2.0-OpenSSH\r\n", "no HTTP/1 status line" },
		{ "HTTP/2 200 OK\r\n", "no HTTP/1 status line" },
		{ "HTTP/1.1  200 OK\r\n", "a status that is no number" },
		{ "HTTP/1.1 20 OK\r\n\r\n", "a status that is no number" },
		{ "HTTP/1.1 2000\r\n\r\n", "a status that is no number" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		  "a Content-Length that is no number" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
		  "a Content-Length that is no number" },
		{ "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
		  "a Content-Length that is no number" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: ,\r\n\r\n",
		  "a Content-Length that is no number" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
		  "a Content-Length that is no number" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		  "two lengths" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 6\r\n\r\n", "a folded field" },
		{ "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", "a field without a name" },
		{ "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "a field without a name" },
		{ "HTTP/1.1 200 OK\r\n: x\r\n\r\n", "a field without a name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		expect_bad(row[i].text, row[i].why);
}

/* A server that talks without end is refused after the bound, however it cuts its bytes. */
static void endless(const char *first, const char *again, const char *why, size_t bound)
{
	for (size_t step = 1; step < 5000; step = step * 7 + 1) {
		struct http_response r;
		size_t sent = 0, at = 0, again_len = strlen(again);
		const char *piece, *data = first;
		size_t len = strlen(first), piece_len;
		enum http_event ev;
		char some[5000];

		http_response_init(&r, false);
		while ((ev = http_response_next(&r, &data, &len, &piece, &piece_len)) != HTTP_BAD) {
			assert_int_not_equal(ev, HTTP_END);
			if (len)
				continue;
			for (size_t i = 0; i < step; i++)
				some[i] = again[(at + i) % again_len];
			at += step;
			data = some;
			len = step;
			sent += step;
			assert_true(sent < bound + 5000);
		}
		assert_string_equal(r.why, why);
	}
}

static void test_endless(void **state)
{
	(void)state;
	endless("HTTP/1.1 200 OK\r\n", "X-Field: value\r\n", "a head of more than 64 KiB", 65536);
	endless("HTTP/1.1 200 OK\r\nX: ", "x", "a head of more than 64 KiB", 65536);
	endless("", "H", "a head of more than 64 KiB", 65536);
	endless("", "HTTP/1.1 100 Continue\r\n\r\n", "too many interim responses", 500);
	endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n",
		"a head of more than 64 KiB", 65536);
	endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "x",
		"a head of more than 64 KiB", 65536);
}

static void test_long_lines(void **state)
{
	char text[9000];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 200 OK\r\nSet-Cookie: %06000d\r\n"
			 "Content-Length: 2\r\n\r\nok",
			 7);
	struct read_out *o;

	(void)state;
	o = get_n(text, (size_t)n, false);
	assert_int_equal(o->last, HTTP_END);
	assert_memory_equal(o->body, "ok", 2);
	/* a length must not be taken from the first part of a line */
	n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %0600d\r\n\r\nok", 2);
	o = get_n(text, (size_t)n, false);
	assert_int_equal(o->last, HTTP_BAD);
	assert_string_equal(o->r.why, "a Content-Length that is no number");
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;%05000d\r\nok\r\n", 2);
	o = get_n(text, (size_t)n, false);
	assert_int_equal(o->last, HTTP_BAD);
	assert_string_equal(o->r.why, "a chunk size of more than 4 KiB");
}

static void test_request(void **state)
{
	struct http_field field[] = { { "X-A", "b c" }, { "user-agent", "me" }, { "Accept", "" } };
	struct http_request r = { .method = "POST",
				  .target = "/a?b=c",
				  .host = "h:80",
				  .agent = "mpbench",
				  .field = field,
				  .n_fields = 3,
				  .has_body = true,
				  .close = true,
				  .body_bytes = 12 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(http_request_write(&r, &out, &e), 0);
	assert_string_equal(buf_text(&out), "POST /a?b=c HTTP/1.1\r\nHost: h:80\r\n"
					    "Content-Length: 12\r\nConnection: close\r\n"
					    "X-A: b c\r\nuser-agent: me\r\n\r\n");
	buf_clear(&out);
	r = (struct http_request){ .method = "GET", .target = "*", .host = "h", .agent = "a" };
	assert_int_equal(http_request_write(&r, &out, &e), 0);
	assert_string_equal(buf_text(&out), "GET * HTTP/1.1\r\nHost: h\r\nUser-Agent: a\r\n\r\n");
}

static void test_request_refused(void **state)
{
	static const struct http_request good = { .method = "GET", .target = "/", .host = "h" };
	struct http_field split = { "X", "a\r\nHost: evil" }, name = { "X y", "a" };
	struct http_request bad[6];
	struct buf out = BUF_INIT;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].method = "GET /";
	bad[1].target = "/a b";
	bad[2].target = "/\r\nHost: evil";
	bad[3].field = &split;
	bad[3].n_fields = 1;
	bad[4].field = &name;
	bad[4].n_fields = 1;
	bad[5].target = "";
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(http_request_write(&bad[i], &out, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
	buf_done(&out);
}

static void test_field_parse(void **state)
{
	char good[] = "X-A:  b:c \t", empty[] = "X:", none[] = "X", bad[] = "X y: z";
	struct http_field f;
	struct err e;

	(void)state;
	assert_int_equal(http_field_parse(good, &f, &e), 0);
	assert_string_equal(f.name, "X-A");
	assert_string_equal(f.value, "b:c");
	assert_int_equal(http_field_parse(empty, &f, &e), 0);
	assert_string_equal(f.value, "");
	assert_int_equal(http_field_parse(none, &f, &e), -1);
	assert_int_equal(http_field_parse(bad, &f, &e), -1);
}

static void test_status_words(void **state)
{
	(void)state;
	assert_null(http_status_word(200));
	assert_null(http_status_word(299));
	assert_string_equal(http_status_word(301), "http-301");
	assert_string_equal(http_status_word(404), "http-404");
	assert_string_equal(http_status_word(418), "http-418");
	assert_string_equal(http_status_word(499), "http-4xx");
	assert_string_equal(http_status_word(503), "http-503");
	assert_string_equal(http_status_word(999), "http-status");
	for (unsigned i = 300; i < 600; i++)
		assert_int_equal(http_status_word(i)[5], '0' + i / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_interim_and_head),
		cmocka_unit_test(test_what_follows_is_not_part),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_request_refused),
		cmocka_unit_test(test_field_parse),
		cmocka_unit_test(test_status_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
