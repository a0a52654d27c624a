/* http - HTTP/1.1 as a client speaks it (RFC 9110, RFC 9112): a request to bytes, a response from bytes */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	HTTP_HEAD_MAX = 65536, /* bytes of one head (status line and fields), and of one trailer */
	HTTP_LINE_KEPT = 512,  /* of a longer line the rest is not looked at */
	HTTP_CHUNK_LINE_MAX = 4096, /* size and extensions of a chunk */
	HTTP_INTERIM_MAX = 16,	    /* 1xx heads before the response itself */
};

enum http_event {
	HTTP_MORE, /* the input is used up */
	HTTP_HEAD, /* the head is complete: status, framing and the like are set; 1xx are passed over */
	HTTP_BODY, /* a piece of the body, without its transfer coding */
	HTTP_END,  /* the response is complete; what is left of the input is not part of it */
	HTTP_BAD,  /* not a response that can be understood: `why` says why, for good */
};

/* How the end of the body is known (RFC 9112 6.3). */
enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_TO_CLOSE };

/* One response. All memory it needs is in here; text of the peer is kept nowhere else than in `line` and `server`. */
struct http_response {
	unsigned status, minor; /* HTTP/1.minor */
	enum http_framing framing;
	uint64_t length;     /* HTTP_LENGTH: of the body */
	bool keep_alive;     /* the connection may carry another request (RFC 9112 9.3) */
	uint64_t body_bytes; /* delivered so far */
	uint64_t wire_bytes; /* everything, heads and chunk sizes included */
	const char *why;     /* HTTP_BAD: a literal */
	char *server;	     /* where to put the Server field, cut to server_size; NULL: nowhere */
	size_t server_size;
	/* own */
	int state;
	bool head_request, has_length, has_coding, chunked_last, says_close, says_keep_alive, cut;
	unsigned interim, line_len;
	uint64_t section_bytes, left;
	char line[HTTP_LINE_KEPT];
};

/* For the answer to a HEAD (`head_request`) or any other request but CONNECT. Clears server. */
void http_response_init(struct http_response *r, bool head_request);
/*
 * Takes input from *data (*len bytes), moves both on, and returns the next event; to be called until HTTP_MORE, HTTP_END or
 * HTTP_BAD. *piece and *piece_len are set with HTTP_BODY and lie in the input. How the input is cut makes no
 * difference to the events but for the pieces of the body. After HTTP_END and HTTP_BAD only http_response_init.
 */
enum http_event http_response_next(struct http_response *r, const char **data, size_t *len,
				   const char **piece, size_t *piece_len);
/* The connection was closed by the peer: HTTP_END where that ends the response in good order, else HTTP_BAD. */
enum http_event http_response_eof(struct http_response *r);
/* No byte of the response has come. */
bool http_response_is_empty(const struct http_response *r);

/* "http-404": the word under which a status that is no success is counted. A literal; NULL for 2xx. */
const char *http_status_word(unsigned status);

enum { HTTP_FIELDS_MAX = 64 };
struct http_field {
	const char *name, *value;
};
struct http_request {
	const char *method, *target; /* "GET", "/path?query" */
	const char *host;	     /* of the Host field: "name:8080" */
	const char *agent;	     /* User-Agent; NULL: none */
	const struct http_field
		*field; /* the user's; they take the place of ours. An empty value drops ours */
	size_t n_fields;
	bool has_body, close;
	uint64_t body_bytes;
};
/* Adds the head of the request, to the empty line. ERR_USAGE names what would not be one line of HTTP. */
int http_request_write(const struct http_request *r, struct buf *out, struct err *e) ERR_MUST_CHECK;
/* Splits "Name: value" in place; ERR_USAGE. */
int http_field_parse(char *text, struct http_field *out, struct err *e) ERR_MUST_CHECK;
