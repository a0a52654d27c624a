/* tftp-window - who may send which block when: both ends of the window of RFC 7440 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * windowsize 1 is plain TFTP: one block, one ACK. Both ends obey RFC 1123 section 4.2.3.1 (no Sorcerer's Apprentice): a repeated
 * ACK does not make the sender repeat a block, and a repeated block is acknowledged again only when its first ACK is old enough to
 * have been lost.
 */

enum tftp_rx {
	TFTP_RX_IGNORE,	  /* nothing to do */
	TFTP_RX_TAKE,	  /* the next block: its data belongs at offset (last - 1) * blksize */
	TFTP_RX_TAKE_ACK, /* the same, and now acknowledge `last` */
	TFTP_RX_ACK,	  /* acknowledge `last` again: a gap, or a repeated block */
};

struct tftp_receiver {
	uint32_t blksize, windowsize;
	unsigned rollover;
	bool guess_rollover; /* may learn rollover 1 from a lockstep sender that goes on with block 1 */
	uint64_t quiet_ns;    /* a repeated block is not acknowledged again within this time */
	uint64_t last, bytes; /* blocks and bytes taken, in order */
	bool finished;	      /* the short block was taken */
	uint64_t duplicates, gaps, reacks;
	/* own */
	uint32_t in_window;
	uint64_t acked_ns;
	uint32_t
		gap_first; /* distance of the first block beyond the present gap, 0: no gap was reported */
};

void tftp_receiver_init(struct tftp_receiver *r, uint32_t blksize, uint32_t windowsize,
			unsigned rollover, uint64_t quiet_ns);
/* A DATA packet arrived; len is at most blksize (the caller checks). */
enum tftp_rx tftp_receiver_block(struct tftp_receiver *r, uint16_t wire, uint32_t len,
				 uint64_t now_ns);
/* The caller acknowledged `last` for another reason (time-out). */
void tftp_receiver_acked(struct tftp_receiver *r, uint64_t now_ns);

struct tftp_sender {
	uint32_t blksize, windowsize;
	unsigned rollover;
	uint64_t size, blocks; /* bytes, and DATA packets: size / blksize + 1 */
	uint64_t base;	       /* first block that is not acknowledged, from 1 */
	uint64_t next;	       /* first block that is not sent since the last rewind */
	uint64_t top;	       /* first block that was never sent */
	bool finished;	       /* all is acknowledged */
	uint64_t duplicate_acks, stray_acks, rewinds, resent;
	/* own */
	bool rewound, partial;
};

void tftp_sender_init(struct tftp_sender *s, uint32_t blksize, uint32_t windowsize,
		      unsigned rollover, uint64_t size);
/* An ACK arrived. True when it moved the window or asks for a restart: call tftp_sender_take then. */
bool tftp_sender_ack(struct tftp_sender *s, uint16_t wire);
/* The time ran out: all from base on is to be sent again. */
void tftp_sender_rewind(struct tftp_sender *s);
/* The blocks to send now, at most max; they count as sent. 0 when the window is used up. */
uint32_t tftp_sender_take(struct tftp_sender *s, uint32_t max, uint64_t *first);
/* Blocks from `first` on, taken last, did not go out after all. */
void tftp_sender_untake(struct tftp_sender *s, uint64_t first);
/* Bytes of block `index`. */
uint32_t tftp_sender_length(const struct tftp_sender *s, uint64_t index);
