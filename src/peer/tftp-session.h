/* tftp-session - TFTP transfers as operations of the engine: one start is one file */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io/impair.h"
#include "io/session.h"
#include "io/sock.h"
#include "peer/group.h"
#include "peer/tftp-content.h"
#include "proto/tftp-client.h"

/* What happened in a window, summed over transfers. Options are the extremes seen: equal when the server is consistent. */
struct tftp_tally {
	uint64_t transfers, ok, data_packets, ack_packets, bytes;
	uint64_t timeouts, duplicates, gaps, reacks, resent, strangers, malformed;
	uint64_t oacks, shrunk; /* answered with OACK; got less than was asked for */
	uint32_t blksize_min, blksize_max, windowsize_min, windowsize_max;
	unsigned options_set; /* bits that were acknowledged in every OACK */
	uint64_t drops;	      /* SO_RXQ_OVFL: datagrams lost for want of receive buffer */
	uint64_t rcvbuf_min, rcvbuf_wanted;
	uint64_t receive_calls, send_calls, wait_free_receives;
	bool joined; /* datagrams came joined (UDP_GRO) */
	struct impair_counts out, in;
};

void tftp_tally_add(struct tftp_tally *sum, const struct tftp_tally *more);

/* Distributions of one block's times, as indexes of the engine's sub-samples. */
enum { TFTP_SUB_BLOCK_RTT, TFTP_SUB_TURNAROUND };
extern const char *const tftp_sub_names[]; /* "block_rtt", "client_turnaround", NULL */

struct tftp_group;

/* Shared by all sessions of a case; not changed while one lives (content apart: see recording). */
struct tftp_plan {
	struct addr server;
	struct tftp_client_params transfer; /* file is borrowed; asked.host is filled from server */
	bool name_per_session;		    /* write: ".N" is added to the name by session N > 0 */
	struct tftp_content
		*content; /* read: what must come (or a recording); write: what is sent */
	bool alone; /* one session in its thread, closed loop: wait in the socket, not in epoll */
	bool spin; /* in lockstep, and alone: ask for the next packet where that is quicker than to sleep */
	bool no_timing;		      /* leave the block times out */
	struct impair_params out, in; /* the client's own bad link; all zero: none */
	uint64_t seed;
	const char *dead_word, *dead_detail; /* set: sessions cannot be opened, and this is why */
	struct groups groups;		     /* own: what the sessions of a thread share */
};

int tftp_plan_init(struct tftp_plan *p, struct err *e) ERR_MUST_CHECK;
/* After the last session was freed. */
void tftp_plan_done(struct tftp_plan *p);
/* A new session; its index numbers its impairment's sequence and its file name. */
int tftp_session_new(struct tftp_plan *p, struct loop *loop, unsigned index, struct sub_sink *sink,
		     struct session **out, struct err *e) ERR_MUST_CHECK;
/* The machine of its present or last transfer. */
const struct tftp_client *tftp_session_client(const struct session *s);
/* Between windows, when no session is being driven: sums and clears what the groups counted. */
void tftp_plan_collect(struct tftp_plan *p, struct tftp_tally *out);

/* One transfer on a loop of its own: what the server answers, before anything is timed. *out as it ended (its texts included);
 * ERR_INTERNAL only for trouble of our own. out->params and out->ops are not valid after it. */
int tftp_fetch(struct tftp_plan *p, uint64_t limit_ns, struct tftp_client *out,
	       struct err *e) ERR_MUST_CHECK;

/* "server-error-1"...: the word under which a failure is counted; literal. */
const char *tftp_client_word(const struct tftp_client *c);
/* One line for people, made of printable characters: "error 1 (file not found): File not found". Returns out. */
char *tftp_client_describe(const struct tftp_client *c, char *out, size_t size);
