/* rpyc-link - one RPyC connection of a client: requests go out with a tag, their answers come back with it */
#pragma once

#include "io/loop.h"
#include "io/sock.h"
#include "peer/rpyc-tls.h"
#include "proto/rpyc-message.h"
#include "proto/rpyc.h"

#define RPYC_STALL_NS UINT64_C(35000000)

/* What happened on links, summed by their owner's choice. */
struct rpyc_tally {
	uint64_t requests;	 /* of ours, as frames */
	uint64_t round_trips;	 /* answers that were waited for */
	uint64_t opened, reused; /* connections; operations on one that had carried another */
	uint64_t sent_bytes, received_bytes;
	uint64_t
		stalls; /* pauses of 35 ms or more inside a frame: Nagle's algorithm waiting for a delayed ACK */
	uint64_t compressed; /* frames, both ways */
	uint64_t refs_received, refs_released;
	uint64_t exceptions;
	uint64_t served; /* requests of the server's that were answered */
};

struct rpyc_link;

/*
 * connected  the connection stands; requests may go
 * answer     the REPLY or EXCEPTION to the request with that tag; what it points to is valid during the call
 * failed     once; the link is closed then. word: literal ("refused", "connect", "closed", "reset", "bad-answer",
 *            "wrong-seq", "memory"; through TLS also "tls", "dns", "timeout"); detail: one line
 * Every one of them may close the link. None of them may free it while it is on the stack.
 */
struct rpyc_link_ops {
	void (*connected)(struct rpyc_link *l);
	void (*answer)(struct rpyc_link *l, uint64_t tag, struct rpyc_message *m);
	void (*failed)(struct rpyc_link *l, const char *word, const char *detail);
};

struct rpyc_pending {
	int64_t seq;
	uint64_t tag;
};
/* Bytes to send: of `out`, or somewhere else. */
struct rpyc_piece {
	const uint8_t *outside;
	size_t at, len;
	bool ends; /* a frame */
};

/* Embedded in its owner. */
struct rpyc_link {
	const struct rpyc_link_ops *ops;
	struct loop *loop;
	struct rpyc_tally *tally; /* may be changed between operations */
	struct rpyc_zip *zip;
	enum rpyc_layout layout; /* of what is sent; what comes may be another: see layout_seen */
	enum rpyc_layout layout_seen;
	bool compress;	      /* as Python does; else never */
	struct rpyc_tls *tls; /* NULL: plain TCP; rpyc_link_use_tls */
	uint64_t tcp_ns,
		tls_ns; /* with TLS: what connecting and the handshake took, since the beginning */
	/* own */
	struct addr server;
	struct watch watch;
	int fd;
	unsigned generation; /* of connections */
	bool connecting;
	struct rpyc_reader in;
	struct buf out;
	struct rpyc_piece *piece;
	size_t n_pieces, piece_room, first_piece,
		first_done;	      /* pieces before first_piece are gone */
	struct rpyc_pending *pending; /* in the order of seq, from pending_off on */
	size_t n_pending, pending_room, pending_off;
	int64_t next_seq;
	uint64_t received_at_ns; /* the last bytes */
	uint64_t first_ns;	 /* the first bytes since it was set to 0 */
	unsigned owed;		 /* requests of the server's, since the last answer of it */
	size_t split;		 /* of the frame being made */
};

enum { RPYC_LINK_PENDING_MAX = 65536 };

/* max: of an answer's bytes, inflated. */
void rpyc_link_init(struct rpyc_link *l, struct loop *loop, const struct rpyc_link_ops *ops,
		    struct rpyc_zip *zip, struct rpyc_tally *tally, size_t max);
/* Closes and releases; legal on a zeroed one. */
void rpyc_link_done(struct rpyc_link *l);
/* Connections through TLS from now on; curl is shared with others of the loop, place as rpyc-tls.h wants it. */
int rpyc_link_use_tls(struct rpyc_link *l, struct http_curl *curl, const struct http_place *place,
		      struct err *e) ERR_MUST_CHECK;
/* Begins to connect, with TCP_NODELAY. `server` is not looked at with TLS. `connected` or `failed` follows, also from inside the call. */
void rpyc_link_connect(struct rpyc_link *l, const struct addr *server);
bool rpyc_link_is_open(const struct rpyc_link *l);
/* At once; nothing is told. */
void rpyc_link_close(struct rpyc_link *l);

/*
 * A request: begin (gives its sequence number), the payload by the writers of rpyc-message.h into l->out, end. Where a part of the payload lies
 * elsewhere, rpyc_link_outside is called at its place; those bytes must last until they are sent. Nothing goes
 * before rpyc_link_flush: several requests are one send. What goes wrong is told by `failed` at the flush.
 */
int64_t rpyc_link_begin(struct rpyc_link *l);
void rpyc_link_outside(struct rpyc_link *l);
void rpyc_link_end(struct rpyc_link *l, uint64_t tag, const void *outside, size_t len);
/* One without an answer (CLOSE): end, without a tag. */
void rpyc_link_end_silent(struct rpyc_link *l);
void rpyc_link_flush(struct rpyc_link *l);
/* Answers that are still to come. */
size_t rpyc_link_awaited(const struct rpyc_link *l);
