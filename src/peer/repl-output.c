#include "peer/repl-output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "proto/pyliteral.h"
#include "proto/rawrepl.h"

enum { PIECE_MAX = 1 << 20 };

void repl_output_restart(struct repl_output *o, const struct repl_job *job)
{
	o->job = job;
	o->content_at = 0;
	o->pieces = false;
	o->has_value = false;
}

void repl_output_begin(struct repl_output *o, const struct repl_snippet *s)
{
	o->snippet = s;
	o->seen = 0;
	o->mismatch = false;
	o->tail_len = 0;
	o->piece.max = PIECE_MAX;
	buf_clear(&o->piece);
}

void repl_output_done(struct repl_output *o)
{
	buf_done(&o->piece);
}

static void keep_tail(struct repl_output *o, const char *data, size_t len)
{
	size_t room = REPL_OUTPUT_TAIL - 1;

	if (len >= room) {
		memcpy(o->tail, data + len - room, room);
		o->tail_len = room;
	} else {
		size_t drop = o->tail_len + len > room ? o->tail_len + len - room : 0;

		memmove(o->tail, o->tail + drop, o->tail_len - drop);
		o->tail_len -= drop;
		memcpy(o->tail + o->tail_len, data, len);
		o->tail_len += len;
	}
	o->tail[o->tail_len] = '\0';
}

/* A stretch without carriage returns. */
static void take(struct repl_output *o, const char *data, size_t len)
{
	const char *text = o->snippet->text;

	switch (o->snippet->expect) {
	case REPL_EXPECT_TEXT:
		for (size_t i = 0; i < len && !o->mismatch; i++) {
			if (text[o->seen + i] !=
			    data[i]) { /* stops at the NUL when there is too much */
				o->mismatch = true;
				o->mismatch_at = o->seen + i;
			}
		}
		keep_tail(o, data, len);
		break;
	case REPL_EXPECT_NUMBER:
	case REPL_EXPECT_DEVICE_TIME:
	case REPL_EXPECT_NOTHING:
		keep_tail(o, data, len);
		break;
	case REPL_EXPECT_PIECE:
		buf_add(&o->piece, data, len);
		break;
	case REPL_EXPECT_ANY:
	case REPL_EXPECT_BYTES:
		break;
	}
	o->seen += len;
}

void repl_output_feed(struct repl_output *o, const uint8_t *data, size_t len)
{
	const char *p = (const char *)data, *end = p + len;

	if (!o->snippet)
		return;
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));
		size_t n = (size_t)((cr ? cr : end) - p);

		take(o, p, n);
		p += n + (cr ? 1 : 0);
	}
}

static int end_text(struct repl_output *o)
{
	char got[64];

	if (!o->mismatch && o->snippet->text[o->seen] == '\0')
		return 0;
	rawrepl_quote(got, sizeof(got), o->tail, o->tail_len);
	snprintf(o->why, sizeof(o->why), "printed \"%s\", which differs at byte %" PRIu64, got,
		 o->mismatch ? o->mismatch_at : o->seen);
	return -1;
}

/* The last line with anything on it. */
static char *last_line(struct repl_output *o)
{
	char *line;

	while (o->tail_len && (o->tail[o->tail_len - 1] == '\n' || o->tail[o->tail_len - 1] == ' '))
		o->tail[--o->tail_len] = '\0';
	line = strrchr(o->tail, '\n');
	return line ? line + 1 : o->tail;
}

static int end_number(struct repl_output *o, uint64_t scale)
{
	char *line, got[64];
	struct err e;

	if (o->tail_len == 0)
		o->tail[0] = '\0';
	line = last_line(o);
	line[strcspn(line, " ")] = '\0';
	if (num_parse_u64(line, &o->value, &e) < 0 ||
	    __builtin_mul_overflow(o->value, scale, &o->value)) {
		rawrepl_quote(got, sizeof(got), line, strlen(line));
		snprintf(o->why, sizeof(o->why), "printed \"%s\", not a number", got);
		return -1;
	}
	o->has_value = true;
	return 0;
}

/* What the device printed for a piece: a bytes literal, in the coded forms around hex digits or base64. */
static int decode_piece(struct repl_output *o, struct buf *bytes)
{
	CLEANUP(buf_done) struct buf inner = BUF_INIT;
	enum repl_encoding how = o->job->encoding;
	size_t used;

	used = pyliteral_parse_bytes(buf_text(&o->piece), o->piece.len,
				     how == REPL_REPR ? bytes : &inner);
	if (o->piece.failed || used == 0 || used + 1 != o->piece.len)
		return -1;
	if (how == REPL_HEX)
		return pyliteral_parse_hex(buf_text(&inner), inner.len, bytes);
	if (how == REPL_BASE64)
		return pyliteral_parse_base64(buf_text(&inner), inner.len, bytes);
	return bytes->failed ? -1 : 0;
}

static int end_piece(struct repl_output *o)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT;
	size_t left = o->job->content_len - o->content_at;

	if (decode_piece(o, &bytes) < 0) {
		snprintf(o->why, sizeof(o->why), "what came at byte %zu is no bytes literal (%s)",
			 o->content_at, repl_encoding_names[o->job->encoding]);
		return -1;
	}
	if (bytes.len > left ||
	    (bytes.len && memcmp(bytes.data, o->job->content + o->content_at, bytes.len) != 0)) {
		snprintf(o->why, sizeof(o->why), "content differs in the piece at byte %zu",
			 o->content_at);
		return -1;
	}
	o->content_at += bytes.len;
	return 0;
}

/* After the last piece everything must have come. */
int repl_output_complete(struct repl_output *o, const char **why)
{
	*why = o->why;
	if (!o->pieces || o->content_at == o->job->content_len)
		return 0;
	snprintf(o->why, sizeof(o->why), "only %zu of %zu bytes came back", o->content_at,
		 o->job->content_len);
	return -1;
}

int repl_output_end(struct repl_output *o, const char **why)
{
	*why = o->why;
	o->why[0] = '\0';
	switch (o->snippet->expect) {
	case REPL_EXPECT_NOTHING:
		if (o->seen == 0)
			return 0;
		snprintf(o->why, sizeof(o->why),
			 "printed %" PRIu64 " bytes where nothing was expected", o->seen);
		return -1;
	case REPL_EXPECT_TEXT:
		return end_text(o);
	case REPL_EXPECT_NUMBER:
		return end_number(o, 1);
	case REPL_EXPECT_DEVICE_TIME:
		return end_number(o, 1000);
	case REPL_EXPECT_PIECE:
		o->pieces = true;
		return end_piece(o);
	case REPL_EXPECT_BYTES:
		if (o->seen == o->snippet->bytes)
			return 0;
		snprintf(o->why, sizeof(o->why), "printed %" PRIu64 " bytes instead of %" PRIu64,
			 o->seen, o->snippet->bytes);
		return -1;
	case REPL_EXPECT_ANY:
		return 0;
	}
	return 0;
}
