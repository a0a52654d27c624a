/* tftp-group - what the TFTP sessions of one thread share: buffers and counts */
#pragma once

#include "io/dgram.h"
#include "peer/tftp-session.h"

struct tftp_group {
	struct group base;
	struct dgram_in one, many; /* lockstep; windows */
	struct dgram_out out;
	uint8_t *packet;	 /* TFTP_PACKET_MAX */
	const struct addr *from; /* of the datagram being handled */
	bool reading;
	unsigned silent; /* transfers in a row that had no reply at all */
	uint64_t serial; /* of transfers: each has its own fate on a bad link */
	struct tftp_tally tally;
};

/* The group of that loop, made for its first session. */
int tftp_group_join(struct tftp_plan *p, struct loop *loop, struct tftp_group **out,
		    struct err *e) ERR_MUST_CHECK;
/* The last one's buffers go; its counts stay for tftp_plan_collect. */
void tftp_group_leave(struct tftp_plan *p, struct tftp_group *g);
/* A transfer has ended. */
void tftp_group_count(struct tftp_group *g, const struct tftp_client *c);
/* sum += more - less. */
void tftp_group_add_impair(struct impair_counts *sum, const struct impair_counts *more,
			   const struct impair_counts *less);
