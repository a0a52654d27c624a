#include "proto/tftp-window.h"

#include <string.h>

#include "proto/tftp.h"

void tftp_receiver_init(struct tftp_receiver *r, uint32_t blksize, uint32_t windowsize,
			unsigned rollover, uint64_t quiet_ns)
{
	memset(r, 0, sizeof(*r));
	r->blksize = blksize;
	r->windowsize = windowsize;
	r->rollover = rollover;
	r->quiet_ns = quiet_ns;
}

void tftp_receiver_acked(struct tftp_receiver *r, uint64_t now_ns)
{
	r->acked_ns = now_ns;
	r->in_window = 0;
}

static enum tftp_rx take(struct tftp_receiver *r, uint32_t len, uint64_t now_ns)
{
	r->last++;
	r->bytes += len;
	r->gap_first = 0;
	r->finished = len < r->blksize;
	if (++r->in_window < r->windowsize && !r->finished)
		return TFTP_RX_TAKE;
	tftp_receiver_acked(r, now_ns);
	return TFTP_RX_TAKE_ACK;
}

/* One ACK for a gap, not one for each packet behind it (RFC 7440 section 4): a sender restarts its window for every one. A
 * block at or before the first one seen behind the gap shows that the restarted window has lost its beginning too. */
static enum tftp_rx gap(struct tftp_receiver *r, uint32_t ahead, uint64_t now_ns)
{
	if (r->gap_first && ahead > r->gap_first)
		return TFTP_RX_IGNORE;
	r->gap_first = ahead;
	r->gaps++;
	tftp_receiver_acked(r, now_ns);
	return TFTP_RX_ACK;
}

enum tftp_rx tftp_receiver_block(struct tftp_receiver *r, uint16_t wire, uint32_t len,
				 uint64_t now_ns)
{
	uint32_t ahead;

	if (r->guess_rollover && r->windowsize == 1 && r->last == 65535 && wire == 1)
		r->rollover = 1;
	ahead = tftp_ahead(r->last, wire, r->rollover);
	if (ahead == 1 && !r->finished)
		return take(r, len, now_ns);
	/* a lockstep sender cannot be ahead, and nothing follows the last block */
	if (ahead > 1 && ahead <= r->windowsize && !r->finished)
		return gap(r, ahead, now_ns);
	r->duplicates++;
	if (ahead != 0 || r->last == 0 || now_ns - r->acked_ns < r->quiet_ns)
		return TFTP_RX_IGNORE;
	r->reacks++;
	tftp_receiver_acked(r, now_ns);
	return TFTP_RX_ACK;
}

void tftp_sender_init(struct tftp_sender *s, uint32_t blksize, uint32_t windowsize,
		      unsigned rollover, uint64_t size)
{
	memset(s, 0, sizeof(*s));
	s->blksize = blksize;
	s->windowsize = windowsize;
	s->rollover = rollover;
	s->size = size;
	s->blocks = size / blksize + 1;
	s->base = s->next = s->top = 1;
}

void tftp_sender_rewind(struct tftp_sender *s)
{
	if (s->next == s->base)
		return;
	s->next = s->base;
	s->rewinds++;
}

bool tftp_sender_ack(struct tftp_sender *s, uint16_t wire)
{
	uint32_t d = tftp_ahead(s->base - 1, wire, s->rollover);
	bool creeping;

	if (s->finished)
		return false;
	if (d == TFTP_NOWHERE || s->base + d > s->top) {
		/* older than the window, or of a block that was never sent */
		s->stray_acks++;
		return false;
	}
	if (d == 0) {
		s->duplicate_acks++;
		/* in lockstep a repeated ACK says nothing; in a window it says that the first block of it was lost,
		 * which is believed once per window */
		if (s->windowsize == 1 || s->rewound || s->next == s->base)
			return false;
		s->rewound = true;
		tftp_sender_rewind(s);
		return true;
	}
	/* a receiver that acknowledges every packet creeps by one: it is not answered with a window each time */
	creeping = s->partial && d == 1;
	s->base += d;
	s->rewound = false;
	s->finished = s->base > s->blocks;
	if (s->next < s->base)
		s->next = s->base;
	s->partial = s->base < s->next;
	if (s->partial && !creeping)
		tftp_sender_rewind(s);
	return true;
}

uint32_t tftp_sender_take(struct tftp_sender *s, uint32_t max, uint64_t *first)
{
	uint64_t end = s->base + s->windowsize;
	uint64_t n;

	if (end > s->blocks + 1)
		end = s->blocks + 1;
	if (s->finished || s->next >= end)
		return 0;
	n = end - s->next;
	if (n > max)
		n = max;
	*first = s->next;
	s->next += n;
	if (s->next > s->top) {
		s->resent += *first < s->top ? s->top - *first : 0;
		s->top = s->next;
	} else {
		s->resent += n;
	}
	return (uint32_t)n;
}

void tftp_sender_untake(struct tftp_sender *s, uint64_t first)
{
	if (first >= s->base && first < s->next)
		s->next = first;
}

uint32_t tftp_sender_length(const struct tftp_sender *s, uint64_t index)
{
	return index < s->blocks ? s->blksize : (uint32_t)(s->size % s->blksize);
}
