#include "proto/http.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum state {
	STATUS_LINE,
	FIELDS,
	BODY_LENGTH,
	CHUNK_SIZE,
	CHUNK_DATA,
	CHUNK_END,
	TRAILER,
	BODY_TO_CLOSE,
	ENDED,
	BAD,
};

void http_response_init(struct http_response *r, bool head_request)
{
	memset(r, 0, offsetof(struct http_response, line));
	r->head_request = head_request;
}

bool http_response_is_empty(const struct http_response *r)
{
	return r->wire_bytes == 0;
}

static enum http_event bad(struct http_response *r, const char *why)
{
	r->state = BAD;
	r->why = why;
	return HTTP_BAD;
}

/*
 * The next line without its end: in the input where it is there whole, else gathered in r->line. Of both only the first
 * HTTP_LINE_KEPT bytes are seen, so that the cut of the input makes no difference. false: more input, or bad().
 */
static bool take_line(struct http_response *r, const char **data, size_t *len, const char **line,
		      size_t *line_len)
{
	const char *end = *len ? memchr(*data, '\n', *len) : NULL;
	size_t take = end ? (size_t)(end - *data) + 1 : *len, keep = take;
	size_t room = HTTP_LINE_KEPT - r->line_len;

	r->section_bytes += take;
	r->wire_bytes += take;
	if (end && r->line_len == 0) {
		*line = *data;
		*line_len = take;
	} else {
		keep = keep < room ? keep : room;
		memcpy(r->line + r->line_len, *data, keep);
		r->line_len += (unsigned)keep;
		r->cut |= keep < take;
		*line = r->line;
		*line_len = r->line_len;
	}
	*data += take;
	*len -= take;
	if (r->section_bytes > HTTP_HEAD_MAX) {
		bad(r, "a head of more than 64 KiB");
		return false;
	}
	if (!end)
		return false;
	if (*line_len > HTTP_LINE_KEPT) {
		*line_len = HTTP_LINE_KEPT;
		r->cut = true;
	}
	r->line_len = 0;
	/* a line that was cut has lost its end; what is left of a line end at the cut does no harm */
	while (*line_len && !r->cut &&
	       ((*line)[*line_len - 1] == '\n' || (*line)[*line_len - 1] == '\r'))
		(*line_len)--;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK"; the reason may be absent, with its blank (RFC 9112 4). */
static enum http_event take_status(struct http_response *r, const char *line, size_t len)
{
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) || line[8] != ' ')
		return bad(r, "no HTTP/1 status line");
	if (line[9] < '1' || line[9] > '9' || !is_digit(line[10]) || !is_digit(line[11]) ||
	    (len > 12 && line[12] != ' '))
		return bad(r, "a status that is no number");
	r->minor = (unsigned)(line[7] - '0');
	r->status = (unsigned)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
	r->state = FIELDS;
	r->cut = false;
	return HTTP_MORE;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *len)
{
	while (*len && is_blank(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && is_blank((*text)[*len - 1]))
		(*len)--;
}

/* The next item of a comma-separated list (RFC 9110 5.6.1); empty ones are passed over. */
static bool next_item(const char **text, size_t *len, const char **item, size_t *item_len)
{
	while (*len) {
		const char *comma = memchr(*text, ',', *len);
		size_t used = comma ? (size_t)(comma - *text) + 1 : *len;

		*item = *text;
		*item_len = comma ? used - 1 : used;
		*text += used;
		*len -= used;
		trim(item, item_len);
		if (*item_len)
			return true;
	}
	return false;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

static enum http_event take_length(struct http_response *r, const char *value, size_t len)
{
	const char *item;
	size_t n;

	if (len == 0)
		return bad(r, "a Content-Length that is no number");
	/* the same length more than once is one length (RFC 9110 8.6) */
	while (next_item(&value, &len, &item, &n)) {
		uint64_t size = 0;

		for (size_t i = 0; i < n; i++)
			if (!is_digit(item[i]) || __builtin_mul_overflow(size, 10, &size) ||
			    __builtin_add_overflow(size, (unsigned)(item[i] - '0'), &size))
				return bad(r, "a Content-Length that is no number");
		if (r->has_length && r->length != size)
			return bad(r, "two lengths");
		r->has_length = true;
		r->length = size;
	}
	return r->has_length ? HTTP_MORE : bad(r, "a Content-Length that is no number");
}

static enum http_event take_coding(struct http_response *r, const char *value, size_t len)
{
	const char *item;
	size_t n;

	while (next_item(&value, &len, &item, &n)) {
		if (r->chunked_last)
			return bad(r, "a transfer coding behind chunked");
		r->has_coding = true;
		r->chunked_last = is_word(item, n, "chunked");
	}
	return HTTP_MORE;
}

static void take_connection(struct http_response *r, const char *value, size_t len)
{
	const char *item;
	size_t n;

	while (next_item(&value, &len, &item, &n)) {
		r->says_close |= is_word(item, n, "close");
		r->says_keep_alive |= is_word(item, n, "keep-alive");
	}
}

static void take_server(struct http_response *r, const char *value, size_t len)
{
	if (!r->server || !r->server_size)
		return;
	len = len < r->server_size - 1 ? len : r->server_size - 1;
	memcpy(r->server, value, len);
	r->server[len] = '\0';
}

static enum http_event take_known_field(struct http_response *r, const char *line, size_t name,
					const char *value, size_t len)
{
	bool cut = r->cut;

	r->cut = false;
	switch (name) {
	case 6:
		if (strncasecmp(line, "server", 6) == 0)
			take_server(r, value, len);
		return HTTP_MORE;
	case 10:
		if (strncasecmp(line, "connection", 10) == 0)
			take_connection(r, value, len);
		return HTTP_MORE;
	case 14:
		if (strncasecmp(line, "content-length", 14) != 0)
			return HTTP_MORE;
		return cut ? bad(r, "a Content-Length that is no number")
			   : take_length(r, value, len);
	case 17:
		if (strncasecmp(line, "transfer-encoding", 17) != 0)
			return HTTP_MORE;
		return cut ? bad(r, "a Transfer-Encoding without end") : take_coding(r, value, len);
	default:
		return HTTP_MORE;
	}
}

static enum http_event take_field(struct http_response *r, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value;
	size_t name, n;

	/* a folded line (RFC 9112 5.2) could hide a length from us */
	if (is_blank(line[0]))
		return bad(r, "a folded field");
	if (!colon || colon == line || is_blank(colon[-1]))
		return bad(r, "a field without a name");
	name = (size_t)(colon - line);
	value = colon + 1;
	n = len - name - 1;
	trim(&value, &n);
	return take_known_field(r, line, name, value, n);
}

/* RFC 9112 6.3, in its order. */
static void decide_framing(struct http_response *r)
{
	r->keep_alive = !r->says_close && (r->minor >= 1 || r->says_keep_alive);
	if (r->head_request || r->status == 204 || r->status == 304) {
		r->framing = HTTP_NO_BODY;
		r->state = ENDED;
	} else if (r->has_coding) {
		r->framing = r->chunked_last ? HTTP_CHUNKED : HTTP_TO_CLOSE;
		r->state = r->chunked_last ? CHUNK_SIZE : BODY_TO_CLOSE;
		/* both at once is how requests are smuggled: such a connection is not used again */
		r->keep_alive &= !r->has_length;
	} else if (r->has_length) {
		r->framing = HTTP_LENGTH;
		r->left = r->length;
		r->state = r->length ? BODY_LENGTH : ENDED;
	} else {
		r->framing = HTTP_TO_CLOSE;
		r->state = BODY_TO_CLOSE;
	}
	if (r->framing == HTTP_TO_CLOSE)
		r->keep_alive = false;
}

static enum http_event end_head(struct http_response *r)
{
	r->section_bytes = 0;
	if (r->status >= 200) {
		decide_framing(r);
		return HTTP_HEAD;
	}
	if (r->status == 101)
		return bad(r, "a change of protocol that nobody asked for");
	if (++r->interim > HTTP_INTERIM_MAX)
		return bad(r, "too many interim responses");
	r->state = STATUS_LINE;
	r->has_length = r->has_coding = r->chunked_last = false;
	r->says_close = r->says_keep_alive = false;
	r->length = 0;
	return HTTP_MORE;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "1a2b;extension" (RFC 9112 7.1). */
static enum http_event take_chunk_size(struct http_response *r, const char *line, size_t len)
{
	uint64_t size = 0;
	size_t i = 0;

	if (r->section_bytes > HTTP_CHUNK_LINE_MAX)
		return bad(r, "a chunk size of more than 4 KiB");
	for (; i < len && hex_digit(line[i]) >= 0; i++) {
		if (size >> 60)
			return bad(r, "a chunk size beyond 64 bits");
		size = size << 4 | (unsigned)hex_digit(line[i]);
	}
	if (i == 0 || (i < len && line[i] != ';' && !is_blank(line[i])))
		return bad(r, "a chunk size that is no number");
	r->cut = false;
	r->section_bytes = 0;
	r->left = size;
	r->state = size ? CHUNK_DATA : TRAILER;
	return HTTP_MORE;
}

static enum http_event take_chunk_end(struct http_response *r, size_t len)
{
	if (len)
		return bad(r, "a chunk longer than its size");
	r->section_bytes = 0;
	r->state = CHUNK_SIZE;
	return HTTP_MORE;
}

/* A whole line in the state it belongs to. */
static enum http_event take(struct http_response *r, const char *line, size_t len)
{
	switch (r->state) {
	case STATUS_LINE:
		return take_status(r, line, len);
	case FIELDS:
		return len ? take_field(r, line, len) : end_head(r);
	case CHUNK_SIZE:
		return take_chunk_size(r, line, len);
	case CHUNK_END:
		return take_chunk_end(r, len);
	default: /* TRAILER: its fields are of no interest */
		r->cut = false;
		if (len)
			return HTTP_MORE;
		r->state = ENDED;
		return HTTP_END;
	}
}

static enum http_event take_body(struct http_response *r, const char **data, size_t *len,
				 const char **piece, size_t *piece_len)
{
	size_t take = *len;

	if (take == 0)
		return HTTP_MORE;
	if (r->state != BODY_TO_CLOSE) {
		take = take < r->left ? take : (size_t)r->left;
		r->left -= take;
		if (r->left == 0)
			r->state = r->state == CHUNK_DATA ? CHUNK_END : ENDED;
	}
	*piece = *data;
	*piece_len = take;
	r->body_bytes += take;
	r->wire_bytes += take;
	*data += take;
	*len -= take;
	return HTTP_BODY;
}

enum http_event http_response_next(struct http_response *r, const char **data, size_t *len,
				   const char **piece, size_t *piece_len)
{
	enum http_event ev = HTTP_MORE;

	while (ev == HTTP_MORE) {
		const char *line;
		size_t n;

		switch (r->state) {
		case BODY_LENGTH:
		case CHUNK_DATA:
		case BODY_TO_CLOSE:
			return take_body(r, data, len, piece, piece_len);
		case ENDED:
			return HTTP_END;
		case BAD:
			return HTTP_BAD;
		default:
			break;
		}
		if (!take_line(r, data, len, &line, &n))
			return r->state == BAD ? HTTP_BAD : HTTP_MORE;
		ev = take(r, line, n);
	}
	return ev;
}

enum http_event http_response_eof(struct http_response *r)
{
	if (r->state == ENDED || r->state == BODY_TO_CLOSE) {
		r->state = ENDED;
		return HTTP_END;
	}
	if (r->state == BAD)
		return HTTP_BAD;
	if (http_response_is_empty(r))
		return bad(r, "the connection was closed before an answer");
	if (r->state == STATUS_LINE || r->state == FIELDS)
		return bad(r, "the connection was closed within the head");
	return bad(r, "the connection was closed within the body");
}
