/* iperf3-udp - the datagrams of an iperf3 test: greeting, header, and what a receiver makes of them */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* A stream is opened by one datagram of 4 bytes each way. Since 3.12 (3.11 and MicroPython's: the older words). */
enum { IPERF3_HELLO = 4 };
extern const uint8_t iperf3_udp_hello[IPERF3_HELLO], iperf3_udp_reply[IPERF3_HELLO];
/* Either word, of either age. */
bool iperf3_udp_is_hello(const uint8_t *bytes, size_t len);
bool iperf3_udp_is_reply(const uint8_t *bytes, size_t len);

/* seconds, microseconds and number of a datagram (from 1), most significant byte first: 12 bytes, or 16 with a number of 64
 * bits. What follows is payload. */
struct iperf3_udp_header {
	uint32_t sec, usec;
	uint64_t number;
};
static inline size_t iperf3_udp_header_size(bool wide)
{
	return wide ? 16 : 12;
}
void iperf3_udp_encode(uint8_t *out, const struct iperf3_udp_header *h, bool wide);
/* False when it is too short, or its number is none (0, or beyond 2^62: nobody sends so many). */
bool iperf3_udp_decode(struct iperf3_udp_header *out, const uint8_t *bytes, size_t len, bool wide);

/*
 * What came in, exactly: each number is counted once. The last IPERF3_WINDOW numbers are remembered bit by bit; what comes
 * later than that is `late`, neither counted as unique nor as duplicate (it cannot be told any more).
 */
enum { IPERF3_WINDOW = 1 << 17 };
struct iperf3_udp_account {
	uint64_t highest; /* number */
	uint64_t unique, duplicates, reordered, late, received, alien;
	uint64_t bytes; /* of all that were received */
	/* in iperf3's meaning, for peers: gaps, less one for each datagram that comes behind its turn */
	int64_t peer_errors;
	uint64_t peer_reordered;
	/* RFC 3550 6.4.1, in ns; `smallest` is the smallest transit seen, for one-way delay above it */
	double jitter_ns;
	bool has_transit;
	int64_t transit_ns, smallest_ns;
	uint64_t *seen; /* bitmap ring */
};

int iperf3_udp_account_init(struct iperf3_udp_account *a, struct err *e) ERR_MUST_CHECK;
void iperf3_udp_account_done(struct iperf3_udp_account *a);
CLEANUP_OBJ(struct iperf3_udp_account, iperf3_udp_account_done)
/* A datagram of `len` bytes that arrived at `now_ns` (any clock that runs evenly). Returns the delay above the smallest one so
 * far in ns, -1 where it is no datagram of the test (counted as alien). */
int64_t iperf3_udp_account_add(struct iperf3_udp_account *a, const uint8_t *bytes, size_t len,
			       bool wide, uint64_t now_ns);
