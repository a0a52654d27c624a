#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/http-group.h"

void http_body_begin(struct http_body *b)
{
	b->bytes = 0;
	b->why[0] = '\0';
}

static bool same(struct http_body *b, const uint8_t *came, const uint8_t *expect, uint64_t at,
		 size_t len)
{
	if (memcmp(came, expect + at, len) == 0)
		return true;
	for (size_t i = 0; i < len; i++) {
		if (came[i] == expect[at + i])
			continue;
		snprintf(b->why, sizeof(b->why), "byte %" PRIu64 " of the body is wrong", at + i);
		break;
	}
	return false;
}

/* The first body that comes whole is what the others must be; who comes meanwhile is not compared. */
static bool steady(struct http_body *b, struct http_group *g, const struct http_exchange *x,
		   const void *data, uint64_t at, size_t len)
{
	if (g->recorded)
		return same(b, data, g->record, at, len);
	if (!g->recorder)
		g->recorder = b;
	if (g->recorder != b)
		return true;
	if (!g->record)
		g->record = malloc(x->expect_len);
	if (g->record)
		memcpy(g->record + at, data, len);
	return true;
}

bool http_body_take(struct http_body *b, struct http_group *g, const struct http_exchange *x,
		    const void *data, size_t len)
{
	uint64_t at = b->bytes;

	b->bytes += len;
	switch (x->check) {
	case HTTP_EXACT:
	case HTTP_STEADY:
		if (len > x->expect_len - at) {
			snprintf(b->why, sizeof(b->why), "more than the %" PRIu64 " bytes expected",
				 x->expect_len);
			return false;
		}
		return x->check == HTTP_EXACT ? same(b, data, x->expect, at, len)
					      : steady(b, g, x, data, at, len);
	case HTTP_COUNT:
		if (at < sizeof(b->text))
			memcpy(b->text + at, data,
			       len < sizeof(b->text) - at ? len : sizeof(b->text) - at);
		return true;
	default:
		return true;
	}
}

static bool says_count(const struct http_body *b, uint64_t count)
{
	size_t len = b->bytes < sizeof(b->text) ? (size_t)b->bytes : sizeof(b->text), at = 0;
	bool numbers = false;
	char want[24];
	size_t want_len = (size_t)snprintf(want, sizeof(want), "%" PRIu64, count);

	while (at < len) {
		size_t n = 0;

		while (at + n < len && b->text[at + n] >= '0' && b->text[at + n] <= '9')
			n++;
		if (n == want_len && memcmp(b->text + at, want, n) == 0)
			return true;
		numbers |= n > 0;
		at += n + 1;
	}
	return !numbers;
}

bool http_body_end(struct http_body *b, struct http_group *g, const struct http_exchange *x)
{
	if (x->check == HTTP_COUNT && !says_count(b, x->expect_len)) {
		snprintf(b->why, sizeof(b->why),
			 "%" PRIu64 " bytes were sent, the server names another number",
			 x->expect_len);
		return false;
	}
	if ((x->check == HTTP_EXACT || x->check == HTTP_STEADY) && b->bytes != x->expect_len) {
		snprintf(b->why, sizeof(b->why), "only %" PRIu64 " of %" PRIu64 " bytes came",
			 b->bytes, x->expect_len);
		return false;
	}
	if (g->recorder == b)
		g->recorded = g->record != NULL;
	return true;
}

void http_body_done(struct http_body *b, struct http_group *g)
{
	if (g->recorder == b && !g->recorded)
		g->recorder = NULL;
}
