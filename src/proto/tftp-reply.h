/* tftp-reply - the answering half of one transfer, without descriptors and clock */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/tftp.h"
#include "proto/tftp-window.h"

/* What a server is willing to agree to. */
struct tftp_limits {
	unsigned options; /* bits that are honoured at all */
	uint32_t blksize_max, windowsize_max;
	uint64_t timeout_ns; /* where the client names none */
	unsigned retries;
	uint64_t max_bytes; /* of an upload */
};

#define TFTP_LIMITS_DEFAULT \
	{ \
		.options = (1U << TFTP_OPTION_KINDS) - 1, .blksize_max = TFTP_BLKSIZE_MAX, \
		.windowsize_max = TFTP_WINDOWSIZE_MAX, .timeout_ns = UINT64_C(1000000000), \
		.retries = 5, .max_bytes = UINT64_C(1) << 30 \
	}

enum tftp_reply_state {
	TFTP_REPLY_NEGOTIATING, /* OACK or ACK 0 sent */
	TFTP_REPLY_RUNNING,
	TFTP_REPLY_DALLYING, /* upload complete: the last ACK may have to be repeated until deadline_ns */
	TFTP_REPLY_FINISHED,
	TFTP_REPLY_FAILED, /* why says it */
};

struct tftp_reply_ops {
	void (*send)(void *ctx, const void *packet, size_t len);
	/* Returns how many went out, as for tftp_client_ops; tftp_reply_resume goes on. */
	uint32_t (*send_blocks)(void *ctx, uint64_t first, uint32_t count);
	/* Upload: bytes in order. -1 with *text when they cannot be kept (code is sent to the client). */
	int (*deliver)(void *ctx, uint64_t offset, const void *data, size_t len, uint16_t *code,
		       const char **text);
	/* Upload: the last byte was delivered; make it permanent before the last ACK is sent. Same failure. */
	int (*commit)(void *ctx, uint16_t *code, const char **text);
};

struct tftp_reply {
	const struct tftp_limits *limits; /* borrowed */
	const struct tftp_reply_ops *ops;
	void *ctx;
	bool write;
	enum tftp_reply_state state;
	const char *why;	 /* literal: "no answer", "refused by the client", "malformed"... */
	struct tftp_options got; /* agreed */
	uint32_t blksize, windowsize;
	struct tftp_receiver rx;
	struct tftp_sender tx;
	uint64_t started_ns, deadline_ns;
	uint64_t timeouts;
	/* own */
	uint64_t timeout_ns;
	unsigned left, tries;
};

/* What the server agrees to of `ask` (RFC 2347: what it does not want it leaves out). */
void tftp_limits_agree(const struct tftp_limits *l, const struct tftp_options *ask, uint64_t size,
		       bool write, struct tftp_options *out);
/* Answers a request that is granted. size: bytes of the file that will be read. */
void tftp_reply_start(struct tftp_reply *r, const struct tftp_limits *l,
		      const struct tftp_packet *request, uint64_t size,
		      const struct tftp_reply_ops *ops, void *ctx, uint64_t now_ns);
/* A datagram of the client arrived. */
void tftp_reply_input(struct tftp_reply *r, const void *packet, size_t len, uint64_t now_ns);
void tftp_reply_expire(struct tftp_reply *r, uint64_t now_ns);
void tftp_reply_resume(struct tftp_reply *r);
/* Tells the client and ends. text and why are literals. */
void tftp_reply_abort(struct tftp_reply *r, uint16_t code, const char *text);

static inline bool tftp_reply_over(const struct tftp_reply *r)
{
	return r->state == TFTP_REPLY_FINISHED || r->state == TFTP_REPLY_FAILED;
}
/* Bytes that the client has acknowledged, or that came. */
uint64_t tftp_reply_bytes(const struct tftp_reply *r);
