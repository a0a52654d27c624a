/* chan-bench.h - a channel under test with its loop, its log and what it brought */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/chan.h"

enum { BIG = 1 << 20, BENCH_IN_MAX = 2 * BIG, PATIENCE_S = 30 };

struct bench {
	struct loop *loop;
	struct chan *chan;
	struct url url;
	struct log log;
	char logged[4096];
	char *in;
	size_t n_in, want;
	int connected, ready, settled, failed, closed, drained;
	bool settling; /* the next CHAN_SETTLED stops the loop */
};

static inline void bench_said(void *ctx, enum log_level level, const char *code, const char *text)
{
	struct bench *b = ctx;
	size_t len = strlen(b->logged);

	snprintf(b->logged + len, sizeof(b->logged) - len, "%d %s %s\n", (int)level, code, text);
}

static inline void bench_read(struct bench *b, struct chan *c)
{
	ssize_t n = 0;

	while (b->n_in < BENCH_IN_MAX &&
	       (n = chan_read(c, b->in + b->n_in, BENCH_IN_MAX - b->n_in)) > 0)
		b->n_in += (size_t)n;
	if (n < 0)
		b->closed++;
	if (n < 0 || b->n_in >= b->want)
		loop_stop(b->loop);
}

static inline void bench_handle(void *ctx, struct chan *c, enum chan_event ev)
{
	struct bench *b = ctx;

	switch (ev) {
	case CHAN_CONNECTED:
		b->connected++;
		break;
	case CHAN_READY:
		b->ready++;
		loop_stop(b->loop);
		break;
	case CHAN_SETTLED:
		b->settled++;
		if (b->settling)
			loop_stop(b->loop);
		break;
	case CHAN_READABLE:
		bench_read(b, c);
		break;
	case CHAN_DRAINED:
		b->drained++;
		break;
	case CHAN_FAILED:
		b->failed++;
		loop_stop(b->loop);
		break;
	}
}

/* Until a callback stops it, or for ms of the loop's time. */
static inline enum loop_end bench_run_for(struct bench *b, uint64_t ms)
{
	enum loop_end why;
	struct err e;

	assert_int_equal(loop_run(b->loop, loop_now(b->loop) + ms * NS_PER_MS, &why, &e), 0);
	return why;
}

static inline void bench_run(struct bench *b)
{
	assert_int_equal(bench_run_for(b, PATIENCE_S * UINT64_C(1000)), LOOP_STOPPED);
}

/* Makes the channel and does not start it. fake: with a loop of fake time. */
static inline void bench_make(struct bench *b, const char *url, struct chan_params p, bool fake)
{
	struct err e = { 0 };

	memset(b, 0, sizeof(*b));
	b->in = malloc(BENCH_IN_MAX);
	assert_non_null(b->in);
	b->log = (struct log){ .say = bench_said, .ctx = b };
	assert_int_equal(url_parse(&b->url, url, &e), 0);
	assert_int_equal(fake ? loop_new_fake(&b->loop, NS_PER_SEC, &e) : loop_new(&b->loop, &e),
			 0);
	p.url = &b->url;
	p.log = &b->log;
	p.handler = bench_handle;
	p.ctx = b;
	if (!p.option_timeout_ns)
		p.option_timeout_ns = 5 * NS_PER_SEC;
	if (chan_new(&b->chan, b->loop, &p, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Until READY or FAILED. */
static inline void bench_begin(struct bench *b, const char *url, struct chan_params p)
{
	bench_make(b, url, p, false);
	chan_start(b->chan);
	bench_run(b); /* the handler stops it, also from inside chan_start */
}

/* Until every RFC 2217 option was answered or given up. */
static inline void bench_settle(struct bench *b)
{
	b->settling = true;
	if (!b->settled)
		bench_run(b);
	assert_int_equal(b->settled, 1);
}

static inline void bench_end(struct bench *b)
{
	chan_free(b->chan);
	loop_free(b->loop);
	url_done(&b->url);
	free(b->in);
}

static inline void bench_send(struct bench *b, const void *data, size_t len, size_t want)
{
	struct err e;

	b->n_in = 0;
	b->want = want;
	assert_int_equal(chan_write(b->chan, data, len, &e), 0);
	bench_run(b);
}

static inline void bench_count_close(void *ctx, struct chan *c)
{
	struct bench *b = ctx;

	(void)c;
	b->closed++;
	loop_stop(b->loop);
}

/* Bytes that look like anything but repeat for every run; with every value, 0xFF too. */
static inline void bench_fill(char *data, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		data[i] = (char)(x >> 16);
	}
}
