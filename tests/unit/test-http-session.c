/* test-http-session - both engines against a server of this file, which answers by a script and lives in the same loop */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/http-session.h"
#include "proto/http.h"

enum { CLIENTS_MAX = 8, REQUESTS = 2 };
#define PATIENCE (60 * NS_PER_SEC) /* of a test that hangs; never waited for otherwise */

#define OK "HTTP/1.1 200 OK\r\nServer: script\r\nContent-Length: 4\r\n\r\npong"

enum manner { WHOLE, BYTEWISE, THEN_CLOSE, THEN_CLOSE_LATER, BEFORE_BODY };

struct server;
struct client {
	struct watch watch;
	struct server *server;
	uint64_t body_left;
	bool in_body;
};

/* Request number i, of all connections together, is answered by script[i], later ones by the last. */
struct server {
	struct loop *loop;
	struct watch listener;
	struct client client[CLIENTS_MAX];
	struct timer timer;
	struct client *served; /* last */
	const char *drip_at;
	const char *script[4];
	enum manner manner;
	unsigned accepted, requests;
	uint64_t body_bytes; /* of the last request */
};

static void client_close(struct client *c)
{
	if (!c->watch.loop)
		return;
	loop_remove(&c->watch);
	close(c->watch.fd);
}

static void drip(struct timer *t, uint64_t now)
{
	struct server *s = CONTAINER_OF(t, struct server, timer);

	if (!*s->drip_at || !s->served->watch.loop)
		return;
	assert_int_equal(write(s->served->watch.fd, s->drip_at, 1), 1);
	s->drip_at++;
	timer_set(s->loop, t, now, drip);
}

static void leave(struct timer *t, uint64_t now)
{
	(void)now;
	client_close(CONTAINER_OF(t, struct server, timer)->served);
}

static void answer(struct client *c)
{
	struct server *s = c->server;
	unsigned i = s->requests++;
	const char *text;

	while (i > 0 && (i >= 4 || !s->script[i]))
		i--;
	text = s->script[i];
	s->served = c;
	if (s->manner == BYTEWISE) {
		s->drip_at = text;
		timer_set(s->loop, &s->timer, 0, drip);
		return;
	}
	assert_int_equal(write(c->watch.fd, text, strlen(text)), strlen(text));
	if (s->manner == THEN_CLOSE || s->manner == BEFORE_BODY)
		client_close(c);
	if (s->manner == THEN_CLOSE_LATER)
		timer_set(s->loop, &s->timer, 0, leave);
}

/* A request's head comes in one piece here; a body of the length it says follows. */
static void client_ready(struct watch *w, uint32_t events)
{
	struct client *c = CONTAINER_OF(w, struct client, watch);
	static char buf[65536];
	ssize_t n = read(w->fd, buf, sizeof(buf) - 1);
	const char *end, *length;

	(void)events;
	if (n <= 0) {
		client_close(c);
		return;
	}
	buf[n] = '\0';
	if (c->in_body) {
		c->body_left -= (uint64_t)n;
	} else {
		end = strstr(buf, "\r\n\r\n");
		assert_non_null(end);
		length = strstr(buf, "Content-Length: ");
		c->body_left = length ? strtoull(length + 16, NULL, 10) : 0;
		c->server->body_bytes = c->body_left;
		c->body_left -= (uint64_t)(n - (end + 4 - buf));
	}
	c->in_body = c->body_left > 0 && c->server->manner != BEFORE_BODY;
	if (!c->in_body)
		answer(c);
}

static void accept_ready(struct watch *w, uint32_t events)
{
	struct server *s = CONTAINER_OF(w, struct server, listener);
	struct client *c = &s->client[s->accepted];
	struct addr peer;
	struct err e;
	int fd;

	(void)events;
	assert_int_equal(sock_accept(w->fd, &fd, &peer, &e), 0);
	if (fd < 0)
		return;
	assert_true(s->accepted < CLIENTS_MAX);
	s->accepted++;
	c->server = s;
	assert_int_equal(loop_add(s->loop, &c->watch, fd, EPOLLIN, client_ready, &e), 0);
}

struct fixture {
	struct loop *loop;
	struct server server;
	struct addr address;
	struct http_plan plan;
	struct http_exchange exchange[REQUESTS];
	struct buf head[REQUESTS];
	char url[64];
	struct session *session;
	struct outcome o;
	char detail[512];
	uint64_t answered;
	bool over;
};

enum engine { FAST, ALONE, CURL };
static const enum engine engines[] = { FAST, ALONE, CURL };

static void set_up(struct fixture *f, enum engine engine, const char *script)
{
	struct err e;
	int fd;

	memset(f, 0, sizeof(*f));
	assert_int_equal(loop_new(&f->loop, &e), 0);
	f->server.loop = f->loop;
	f->server.script[0] = script;
	assert_int_equal(sock_listen(&fd, NULL, 0, &f->address, &e), 0);
	assert_int_equal(loop_add(f->loop, &f->server.listener, fd, EPOLLIN, accept_ready, &e), 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/x", addr_port(&f->address));
	f->plan = (struct http_plan){ .place = { .url = f->url },
				      .address = f->address,
				      .work = HTTP_REQUEST,
				      .method = "GET",
				      .exchange = f->exchange,
				      .n_exchanges = 1,
				      .fast = engine != CURL,
				      .alone = engine == ALONE,
				      .count_received = true,
				      .sessions = 1 };
	assert_int_equal(http_plan_init(&f->plan, &e), 0);
}

/* The requests: POST where there is a body. */
static void write_heads(struct fixture *f)
{
	for (size_t i = 0; i < f->plan.n_exchanges; i++) {
		struct http_exchange *x = &f->exchange[i];
		struct http_request r = { .method = x->body ? "POST" : f->plan.method,
					  .target = "/x",
					  .host = "127.0.0.1",
					  .has_body = x->body != NULL,
					  .body_bytes = x->body_len };
		struct err e;

		f->plan.method = r.method;
		buf_done(&f->head[i]);
		assert_int_equal(http_request_write(&r, &f->head[i], &e), 0);
		x->head = f->head[i].data;
		x->head_len = f->head[i].len;
	}
}

static void done(struct session *s, struct outcome *o)
{
	struct fixture *f = s->owner;

	f->o = *o;
	snprintf(f->detail, sizeof(f->detail), "%s", o->detail ? o->detail : "");
	f->over = true;
	loop_stop(f->loop);
}

static void run(struct fixture *f, void (*what)(struct session *s))
{
	enum loop_end why = LOOP_STOPPED;
	struct err e;

	f->over = false;
	what(f->session);
	while (!f->over && why == LOOP_STOPPED)
		assert_int_equal(loop_run(f->loop, clock_now() + PATIENCE, &why, &e), 0);
	assert_true(f->over);
}

static void begin(struct fixture *f)
{
	struct err e;

	write_heads(f);
	assert_int_equal(http_session_new(&f->plan, f->loop, &f->answered, &f->session, &e), 0);
	f->session->owner = f;
	f->session->done = done;
	run(f, f->session->ops->open);
}

static void operate(struct fixture *f)
{
	run(f, f->session->ops->start);
	assert_true(f->o.sent_ns <= f->o.done_ns);
	if (!f->o.failure)
		assert_true(f->o.sent_ns <= f->o.first_ns && f->o.first_ns <= f->o.done_ns);
}

static struct http_tally tear_down(struct fixture *f)
{
	struct http_tally t;

	if (f->session)
		f->session->ops->free(f->session);
	timer_cancel(f->loop, &f->server.timer);
	for (unsigned i = 0; i < f->server.accepted; i++)
		client_close(&f->server.client[i]);
	if (f->server.listener.loop) {
		loop_remove(&f->server.listener);
		close(f->server.listener.fd);
	}
	http_plan_collect(&f->plan, &t);
	http_plan_done(&f->plan);
	for (size_t i = 0; i < REQUESTS; i++)
		buf_done(&f->head[i]);
	loop_free(f->loop);
	return t;
}

/* One operation against one answer; the failure's word, or NULL. */
static const char *once(enum engine engine, const char *script, enum manner manner,
			struct http_exchange x)
{
	static struct fixture f;

	set_up(&f, engine, script);
	f.server.manner = manner;
	f.exchange[0] = x;
	begin(&f);
	assert_null(f.o.failure);
	operate(&f);
	tear_down(&f);
	return f.o.failure;
}

static void expect_word(const char *word, const char *want)
{
	assert_non_null(word);
	assert_string_equal(word, want);
}

static void test_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct http_tally t;

		set_up(&f, engines[i], OK);
		begin(&f);
		for (int n = 0; n < 3; n++) {
			operate(&f);
			assert_null(f.o.failure);
			assert_int_equal(f.o.bytes, 4);
		}
		assert_int_equal(f.server.accepted, 1);
		assert_int_equal(f.answered, 3);
		t = tear_down(&f);
		assert_int_equal(t.opened, 1);
		assert_int_equal(t.requests, 3);
		assert_int_equal(t.reused, 2);
		assert_int_equal(t.version, 11);
		assert_string_equal(t.server, "script");
	}
}

static void test_not_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct http_tally t;

		set_up(&f, engines[i],
		       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npong");
		f.server.manner = THEN_CLOSE;
		begin(&f);
		for (int n = 0; n < 3; n++) {
			operate(&f);
			assert_null(f.o.failure);
		}
		t = tear_down(&f);
		assert_int_equal(t.opened, 3);
		assert_int_equal(t.reused, 0);
	}
}

/* What a server that closes a kept connection between two requests does is no failure of the second. */
static void test_closed_between(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct http_tally t;

		set_up(&f, engines[i], OK);
		f.server.manner = THEN_CLOSE;
		begin(&f);
		for (int n = 0; n < 3; n++) {
			operate(&f);
			assert_null(f.o.failure);
		}
		t = tear_down(&f);
		assert_int_equal(t.opened, 3);
	}
}

static void test_new_connections(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct http_tally t;

		set_up(&f, engines[i], OK);
		f.plan.fresh = true;
		begin(&f);
		for (int n = 0; n < 2; n++) {
			operate(&f);
			assert_null(f.o.failure);
			assert_true(f.o.mark_ns[1] >= f.o.sent_ns);
			assert_true(f.o.mark_ns[3] >= f.o.mark_ns[1]);
			assert_int_equal(f.o.mark_ns[2], 0);
		}
		t = tear_down(&f);
		assert_int_equal(t.opened, 2);
		assert_int_equal(t.reused, 0);
	}
}

static void test_connect_and_ready(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;

		set_up(&f, engines[i], OK);
		f.plan.work = HTTP_CONNECT;
		begin(&f);
		operate(&f);
		assert_null(f.o.failure);
		tear_down(&f);
		set_up(&f, engines[i], OK);
		f.plan.work = HTTP_READY;
		begin(&f);
		operate(&f);
		assert_null(f.o.failure);
		assert_int_equal(f.o.done_ns, f.o.first_ns);
		assert_int_equal(f.o.mark_ns[3], f.o.first_ns);
		assert_true(f.o.mark_ns[0] <= f.o.mark_ns[1]);
		assert_int_equal(f.server.requests, 1);
		tear_down(&f);
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (int work = 0; work < 3; work++) {
			static const enum http_work works[] = { HTTP_CONNECT, HTTP_READY,
								HTTP_REQUEST };
			struct fixture f;

			set_up(&f, engines[i], OK);
			loop_remove(&f.server.listener);
			close(f.server.listener.fd);
			f.plan.work = works[work];
			begin(&f);
			if (!f.o.failure)
				run(&f, f.session->ops->start);
			expect_word(f.o.failure, "refused");
			tear_down(&f);
		}
	}
}

static void test_statuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;

		set_up(&f, engines[i], "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
		f.server.script[1] = OK;
		f.exchange[0].check = HTTP_EXACT;
		f.exchange[0].expect = "pong";
		f.exchange[0].expect_len = 4;
		begin(&f);
		operate(&f);
		expect_word(f.o.failure, "http-404");
		assert_non_null(strstr(f.detail, "status 404 for GET http://127.0.0.1:"));
		operate(&f);
		assert_null(f.o.failure);
		assert_int_equal(f.server.accepted, 1);
		tear_down(&f);
	}
}

static void test_hostile(void **state)
{
	static const struct {
		const char *answer;
		enum manner manner;
		const char *fast, *curl;
	} row[] = {
		{ OK, BYTEWISE, NULL, NULL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\npo\r\n2;x\r\nng\r\n0\r\n\r\n",
		  BYTEWISE, NULL, NULL },
		{ "HTTP/1.1 200 OK\r\n\r\npong", THEN_CLOSE, NULL, NULL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npong", THEN_CLOSE, "closed",
		  "closed" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npong", THEN_CLOSE,
		  "closed", "closed" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		  THEN_CLOSE, "bad-answer", "closed" },
		{ "", THEN_CLOSE, "closed", "closed" },
		{ "HTTP/1.1 200 OK\r\nContent-Len", THEN_CLOSE, "closed", NULL },
		{ "SSH-2.0-x\r\n", WHOLE, "bad-answer", "bad-answer" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\npong", THEN_CLOSE, "bad-answer",
		  "bad-answer" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		for (size_t k = 0; k < 3; k++) {
			const char *want = engines[k] == CURL ? row[i].curl : row[i].fast, *word;

			/* 20 ms a byte, where the server waits for the client to look at the loop */
			if (engines[k] == ALONE && row[i].manner == BYTEWISE)
				continue;
			word = once(engines[k], row[i].answer, row[i].manner,
				    (struct http_exchange){ .check = HTTP_ANY });
			if (want)
				expect_word(word, want);
			else if (row[i].fast == NULL)
				assert_null(word);
		}
	}
}

static void test_bodies(void **state)
{
	static const struct {
		enum http_check check;
		const char *expect;
		uint64_t len;
		const char *word;
	} row[] = {
		{ HTTP_EXACT, "pong", 4, NULL },     { HTTP_EXACT, "pung", 4, "corrupt" },
		{ HTTP_EXACT, "pon", 3, "corrupt" }, { HTTP_EXACT, "pongo", 5, "corrupt" },
		{ HTTP_STEADY, NULL, 4, NULL },	     { HTTP_STEADY, NULL, 3, "corrupt" },
		{ HTTP_STEADY, NULL, 5, "corrupt" }, { HTTP_COUNT, NULL, 99, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		for (size_t k = 0; k < 3; k++) {
			const char *word = once(engines[k], OK,
						i % 2 && engines[k] != ALONE ? BYTEWISE : WHOLE,
						(struct http_exchange){ .check = row[i].check,
									.expect = row[i].expect,
									.expect_len = row[i].len });

			if (row[i].word)
				expect_word(word, row[i].word);
			else
				assert_null(word);
		}
	}
}

/* Numbers that a server names are compared, and bodies with the first one. */
static void test_counts_and_steadiness(void **state)
{
	static const char told[] = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"size\": 123}";
	static const char other[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nping";

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct http_exchange x = { .check = HTTP_COUNT, .expect_len = 123 };

		assert_null(once(engines[i], told, WHOLE, x));
		x.expect_len = 12;
		expect_word(once(engines[i], told, WHOLE, x), "corrupt");
		set_up(&f, engines[i], OK);
		f.server.script[1] = OK;
		f.server.script[2] = other;
		f.exchange[0].check = HTTP_STEADY;
		f.exchange[0].expect_len = 4;
		begin(&f);
		operate(&f);
		assert_null(f.o.failure);
		operate(&f);
		assert_null(f.o.failure);
		operate(&f);
		expect_word(f.o.failure, "corrupt");
		assert_non_null(strstr(f.detail, "byte 1 of the body is wrong"));
		tear_down(&f);
	}
}

static void test_uploads(void **state)
{
	enum { SIZE = 8 << 20 };
	char *body = calloc(1, SIZE);

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;

		set_up(&f, engines[i], OK);
		f.plan.n_exchanges = 2;
		f.plan.count_sent = true;
		f.plan.count_received = false;
		f.exchange[0].body = body;
		f.exchange[0].body_len = SIZE;
		f.exchange[1].body = body;
		f.exchange[1].body_len = 10;
		begin(&f);
		operate(&f);
		assert_null(f.o.failure);
		assert_int_equal(f.o.bytes, SIZE + 10);
		assert_int_equal(f.server.requests, 2);
		assert_int_equal(f.server.body_bytes, 10);
		tear_down(&f);
	}
	free(body);
}

/* An answer that comes before the body was taken counts; the connection is of no use then. */
static void test_answer_before_the_body(void **state)
{
	enum { SIZE = 8 << 20 };
	char *body = calloc(1, SIZE);
	const char *word;

	(void)state;
	assert_non_null(body);
	word = once(FAST, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", BEFORE_BODY,
		    (struct http_exchange){ .body = body, .body_len = SIZE });
	/* a reset may overtake the answer */
	assert_non_null(word);
	assert_true(strcmp(word, "http-413") == 0 || strcmp(word, "closed") == 0);
	free(body);
}

static void test_stops_in_the_middle(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		enum loop_end why;
		struct err e;
		char told[200] = "";

		set_up(&f, engines[i], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npong");
		begin(&f);
		f.over = false;
		f.session->ops->start(f.session);
		/* the state, not the time, tells that the answer is there */
		while (f.server.requests == 0)
			assert_int_equal(loop_run(f.loop, clock_now() + NS_PER_MS, &why, &e), 0);
		assert_int_equal(loop_run(f.loop, clock_now() + 50 * NS_PER_MS, &why, &e), 0);
		assert_false(f.over);
		if (f.session->ops->stalled)
			f.session->ops->stalled(f.session, told, sizeof(told));
		assert_true(engines[i] == CURL || strstr(told, "the answer stopped after"));
		f.session->ops->cancel(f.session);
		assert_true(f.session->broken);
		assert_false(f.over);
		tear_down(&f);
	}
}

/* libcurl connects with a request only, which is then no operation, whatever it brings. */
static void test_connect_first(void **state)
{
	struct fixture f;
	struct http_tally t;

	(void)state;
	set_up(&f, CURL, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
	f.server.script[1] = OK;
	f.plan.connect_first = true;
	begin(&f);
	assert_null(f.o.failure);
	assert_int_equal(f.server.requests, 1);
	http_plan_collect(&f.plan, &t);
	operate(&f);
	assert_null(f.o.failure);
	t = tear_down(&f);
	assert_int_equal(t.opened, 0);
	assert_int_equal(t.reused, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_not_kept),
		cmocka_unit_test(test_closed_between),
		cmocka_unit_test(test_new_connections),
		cmocka_unit_test(test_connect_and_ready),
		cmocka_unit_test(test_connect_first),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_counts_and_steadiness),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_answer_before_the_body),
		cmocka_unit_test(test_stops_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
