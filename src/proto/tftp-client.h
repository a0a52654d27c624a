/* tftp-client - the asking half of one transfer, without descriptors and clock */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/tftp.h"
#include "proto/tftp-window.h"

/* Why a transfer failed. Words in tftp_failure_word(). */
enum tftp_failure {
	TFTP_OK,
	TFTP_NO_REPLY,	   /* not one packet came back */
	TFTP_SERVER_ERROR, /* ERROR: code and text are kept */
	TFTP_STALLED,	   /* it began, then nothing useful came for all retries */
	TFTP_SHORT,	   /* ended before the size that the server announced */
	TFTP_LONG,	   /* more than announced, or than max_bytes */
	TFTP_MALFORMED,	   /* packets that are none, or of the wrong direction */
	TFTP_OPTION_REFUSED, /* the OACK is not acceptable (then we sent ERROR 8), or the server sent ERROR 8 */
	TFTP_UNREACHABLE, /* ICMP; set by the owner */
	TFTP_CORRUPT,	  /* wrong content; set by the owner */
	TFTP_ABORTED,	  /* ended by the owner */
};

enum tftp_state { TFTP_IDLE, TFTP_REQUESTED, TFTP_RUNNING, TFTP_FINISHED, TFTP_FAILED };

/* Where a packet came from, as the owner compares addresses: transfer ID and host in one opaque value. */
struct tftp_tid {
	uint64_t host[2];
	uint32_t port;
};

struct tftp_client_params {
	bool write;
	bool probe;	       /* end with an ERROR as soon as the answer to the request is known */
	struct tftp_tid asked; /* host that the request goes to; its port does not matter */
	const char *file;      /* borrowed */
	enum tftp_mode mode;
	struct tftp_options ask; /* what to request */
	int rollover; /* 0, 1; -1: 0, or what is negotiated, or (lockstep reads) what the server does */
	uint64_t timeout_ns; /* until the first retransmission; doubles up to 8 times that */
	unsigned retries;    /* retransmissions in a row before giving up */
	uint64_t size;	     /* write: bytes */
	uint64_t max_bytes;  /* read: more is TFTP_LONG; 0: no bound */
};

/* What the machine asks of its owner, all from within start, input and expire. */
struct tftp_client_ops {
	/* A packet for the server: the request goes to the address asked, all others to the peer (the tid locked on). */
	void (*send)(void *ctx, const void *packet, size_t len);
	/* write: DATA first..first+count, content from the owner (tftp_sender_length). Returns
	 * how many went out; after fewer the owner calls tftp_client_resume when the socket takes more. */
	uint32_t (*send_blocks)(void *ctx, uint64_t first, uint32_t count);
	/* An answer to the sender of the packet being handled, who is not the peer. */
	void (*reject)(void *ctx, const void *packet, size_t len);
	/* read: bytes in order. */
	void (*deliver)(void *ctx, uint64_t offset, const void *data, size_t len);
};

struct tftp_client {
	const struct tftp_client_params *params; /* borrowed */
	const struct tftp_client_ops *ops;
	void *ctx;
	enum tftp_state state;
	enum tftp_failure failure;
	uint16_t code;		      /* of the server's ERROR */
	char text[TFTP_TEXT_MAX];     /* its text (raw bytes, NUL-terminated), or what is wrong */
	bool oack;		      /* options were acknowledged at all */
	struct tftp_options got;      /* what was acknowledged */
	uint32_t blksize, windowsize; /* in effect */
	struct tftp_tid peer;
	bool has_peer;
	struct tftp_receiver rx;
	struct tftp_sender tx;
	uint64_t started_ns, first_ns, done_ns; /* first_ns: first packet of the peer */
	uint64_t deadline_ns; /* call tftp_client_expire then; 0: nothing to wait for */
	uint64_t timeouts, strangers, malformed;
	/* own */
	unsigned left, tries;
};

/* Sends the request. */
void tftp_client_start(struct tftp_client *c, const struct tftp_client_params *p,
		       const struct tftp_client_ops *ops, void *ctx, uint64_t now_ns);
/*
 * A datagram arrived. The first usable one from the host that was asked locks the transfer ID; packets of others are answered
 * with ERROR 5 and change nothing (RFC 1350 section 4). After the end it still acknowledges a repeated last block, for as long
 * as the owner keeps the socket (the owner's dally).
 */
void tftp_client_input(struct tftp_client *c, const struct tftp_tid *from, const void *packet,
		       size_t len, uint64_t now_ns);
/* deadline_ns passed: retransmits or gives up. Early calls do nothing. */
void tftp_client_expire(struct tftp_client *c, uint64_t now_ns);
/* Goes on sending after send_blocks returned less than it was asked for. */
void tftp_client_resume(struct tftp_client *c);
/* Ends it with an ERROR to the server (when there is a peer) and this failure. */
void tftp_client_abort(struct tftp_client *c, enum tftp_failure why, const char *text,
		       uint64_t now_ns);

static inline bool tftp_client_over(const struct tftp_client *c)
{
	return c->state == TFTP_FINISHED || c->state == TFTP_FAILED;
}
/* Bytes of file that went through. */
uint64_t tftp_client_bytes(const struct tftp_client *c);
/* "no-reply", "server-error"...; literal. */
const char *tftp_failure_word(enum tftp_failure f);
