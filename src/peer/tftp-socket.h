/* tftp-socket - the socket of one transfer of the client */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "io/sock.h"
#include "proto/tftp-client.h"

/*
 * A datagram socket on a port of its own, not connected (the server answers from another port). slice_ms 0: non-blocking; else it blocks that
 * long at most in a receive. With a window in `ask`, joined datagrams and drop counts are asked for, and the receive buffer
 * is made to hold two windows as the kernel charges them: *wanted_bytes and *given_bytes say what became of that (0: not needed).
 */
int tftp_socket_open(int *fd, int family, const struct tftp_options *ask, unsigned slice_ms,
		     uint64_t *wanted_bytes, uint64_t *given_bytes, struct err *e) ERR_MUST_CHECK;
/* Empties the queue of ICMP errors; the errno of the last one about a packet to `port`, else 0. */
int tftp_socket_error(int fd, uint16_t port);
/* Where a packet came from, as the machine compares it; and back: the server's host with the port of its transfer ID. */
void tftp_socket_tid(const struct addr *from, struct tftp_tid *out);
void tftp_socket_peer(const struct addr *server, const struct tftp_tid *tid, struct addr *out);
