/* iperf-hello - the one datagram each way that opens a UDP stream */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/sock.h"

/*
 * The client's side. The greeting is sent again when nobody was there (ECONNREFUSED: MicroPython's server is not bound yet), and when no
 * answer came for a while and the server has not gone on: a greeting too many would be read as data by every iperf3. Old and new words are
 * answers; so is data, which a reversed test may bring first.
 */
struct iperf_hello {
	uint64_t timeout_ns;
	int cancel_fd;
	bool (*went_on)(void *ctx); /* the server said something on the control connection */
	void *ctx;
	uint32_t retries;
};
int iperf_hello_ask(struct iperf_hello *h, int fd, struct err *e) ERR_MUST_CHECK;

/*
 * The server's side: waits on `listener` (bound, non-blocking) for any datagram, connects that socket to its sender and
 * returns 1, or 2 for one of the older age (any other datagram counts as such); 0: nothing there yet.
 */
int iperf_hello_take(int listener, struct addr *peer, struct err *e) ERR_MUST_CHECK;
int iperf_hello_answer(int fd, bool old, struct err *e) ERR_MUST_CHECK;
