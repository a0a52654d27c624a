/* dgram - datagrams in batches: recvmmsg, sendmmsg, and the kernel's own cutting and joining (UDP GSO and GRO) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/sock.h"

/* One datagram that came. bytes belong to the dgram_in until its next read. */
struct dgram {
	uint8_t *bytes;
	size_t len;
	const struct addr *from;
	const struct addr *local; /* address it was sent to (no port), NULL unless asked for */
};

/*
 * Receives with MSG_DONTWAIT only, or with a real wait of the socket (SO_RCVTIMEO): never with recvmmsg's own time-out,
 * which is looked at only after each datagram (recvmmsg(2), BUGS).
 */
struct dgram_in {
	unsigned slots;
	size_t stride;
	bool control; /* ask for control data: joined sizes, drop counts, local address */
	uint8_t *memory;
	struct mmsghdr *msg;
	struct iovec *iov;
	struct addr *from, *local;
	uint8_t (*aux)[128];
	/* of the last read */
	unsigned n, at;
	size_t offset, piece;
	/* totals */
	uint64_t calls, datagrams;
	uint32_t drops; /* SO_RXQ_OVFL: the socket's count as last seen */
};

/* slots 1 receives one datagram a call (recvfrom, or recvmsg when control data is wanted). */
int dgram_in_init(struct dgram_in *in, unsigned slots, size_t size_max, bool control,
		  struct err *e) ERR_MUST_CHECK;
void dgram_in_done(struct dgram_in *in);
CLEANUP_OBJ(struct dgram_in, dgram_in_done)
/* One system call with at most max (0: all) slots. Returns the messages received, 0 when there were none, -1 with errno (ECONNREFUSED after an
 * ICMP error). flags: MSG_DONTWAIT, or MSG_WAITFORONE on a socket with a receive time-out. */
int dgram_in_read(struct dgram_in *in, int fd, unsigned max, int flags);
/* The next datagram of the last read, joined ones cut apart again. False at the end. */
bool dgram_in_next(struct dgram_in *in, struct dgram *out);

enum { DGRAM_OUT_MESSAGES = 64, DGRAM_OUT_BYTES = 256 << 10 };

/* Datagrams waiting to be sent in one call. */
struct dgram_out {
	unsigned batch; /* messages per sendmmsg; 1: every datagram alone, by sendto */
	bool segment; /* join equal ones for one destination (UDP_SEGMENT); cleared when the kernel refuses */
	uint8_t *memory;
	size_t used;
	unsigned n;
	struct mmsghdr msg[DGRAM_OUT_MESSAGES];
	struct iovec iov[DGRAM_OUT_MESSAGES];
	struct addr to[DGRAM_OUT_MESSAGES];
	bool has_to[DGRAM_OUT_MESSAGES];
	uint16_t segment_size[DGRAM_OUT_MESSAGES]; /* 0: one datagram */
	uint8_t aux[DGRAM_OUT_MESSAGES][CMSG_SPACE(sizeof(uint16_t))];
	uint64_t calls, datagrams, failed;
};

int dgram_out_init(struct dgram_out *o, unsigned batch, bool segment, struct err *e) ERR_MUST_CHECK;
void dgram_out_done(struct dgram_out *o);
CLEANUP_OBJ(struct dgram_out, dgram_out_done)
/*
 * Room for `count` datagrams of `size` bytes each that follow each other in memory, the last one may be shorter (dgram_out_commit); to NULL: the socket
 * is connected. NULL when they do not fit: flush, then try again with at most dgram_out_fits(size).
 */
uint8_t *dgram_out_reserve(struct dgram_out *o, const struct addr *to, size_t size, unsigned count);
/* The datagrams just reserved are written; total bytes. */
void dgram_out_commit(struct dgram_out *o, size_t total);
unsigned dgram_out_fits(size_t size);
/* Sends all. Returns 0; or -1 with errno = EAGAIN and *unsent the datagrams that did not go (dropped here), or another errno where
 * sending failed for the last destination tried (the rest was sent). */
int dgram_out_flush(struct dgram_out *o, int fd, unsigned *unsent);

/* A non-blocking CLOEXEC datagram socket of the family of a; bound to it when `bind_it` (with SO_REUSEPORT when shared). */
int dgram_socket(int *fd, const struct addr *a, bool bind_it, bool shared,
		 struct err *e) ERR_MUST_CHECK;
/* What the kernel charges to the receive buffer for a datagram of that payload: its own structures and the page-wise rounding (measured: 1280
 * for 516, 2304 for 1432, 16640 for 8196, up to 71,000 for 65,468). */
size_t dgram_charge(size_t payload);
/* Asks for a receive buffer of `bytes` of charge (forced where allowed); returns what the kernel gives (its unit: charge). */
size_t dgram_rcvbuf(int fd, size_t bytes);
