#include "peer/iperf-hello.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "proto/iperf3-udp.h"

/* Before it asks again: after a refusal, and after silence. */
enum { REFUSED_MS = 20, SILENT_MS = 500 };

/* 1: an answer was there (it is taken; data stays). 0: nothing, or something else. -1: refused. */
static int look(int fd)
{
	uint8_t room[64];
	ssize_t n = recv(fd, room, sizeof(room), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == ECONNREFUSED ? -1 : 0;
	if (iperf3_udp_is_reply(room, (size_t)n)) {
		(void)!recv(fd, room, sizeof(room), MSG_DONTWAIT);
		return 1;
	}
	return n > IPERF3_HELLO;
}

/* Waits for an answer at most wait_ms; as look, -2 when cancelled. */
static int wait_answer(const struct iperf_hello *h, int fd, int wait_ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = h->cancel_fd, .events = POLLIN } };

	if (poll(p, 2, wait_ms) <= 0)
		return 0;
	return p[1].revents ? -2 : look(fd);
}

/* Nobody was there: a pause, in which only the user's wish to stop matters. */
static int pause_after_refusal(const struct iperf_hello *h)
{
	struct pollfd p = { .fd = h->cancel_fd, .events = POLLIN };

	return poll(&p, 1, REFUSED_MS) > 0 ? -2 : 0;
}

int iperf_hello_ask(struct iperf_hello *h, int fd, struct err *e)
{
	uint64_t until = clock_now() + h->timeout_ns;
	bool refused = false;

	h->retries = 0;
	while (clock_now() < until) {
		ssize_t n = send(fd, iperf3_udp_hello, IPERF3_HELLO, MSG_NOSIGNAL);
		int got = n < 0 && errno == ECONNREFUSED ? -1 : wait_answer(h, fd, SILENT_MS);

		refused = got == -1;
		if (got == -1)
			got = pause_after_refusal(h);
		if (got == -2)
			return err_set(e, ERR_TARGET, "cancelled", "the test was cancelled");
		if (got == 1)
			return 0;
		if (!refused && h->went_on(h->ctx))
			return 0; /* the greeting arrived, only its answer was lost; or the server gave up */
		h->retries++;
	}
	return err_set(e, ERR_TARGET, refused ? "refused" : "timeout",
		       "the server's UDP port %s for %.3g s",
		       refused ? "was closed" : "did not answer", (double)h->timeout_ns / 1e9);
}

int iperf_hello_take(int listener, struct addr *peer, struct err *e)
{
	uint8_t room[64];
	ssize_t n;

	peer->len = sizeof(peer->sa);
	n = recvfrom(listener, room, sizeof(room), MSG_DONTWAIT, (struct sockaddr *)&peer->sa,
		     &peer->len);
	if (n < 0)
		return 0;
	if (connect(listener, (const struct sockaddr *)&peer->sa, peer->len) < 0)
		return err_sys(e, ERR_TARGET, "connect a UDP stream");
	/* 3.11 and older greet with another word and know only its answer */
	return iperf3_udp_is_hello(room, (size_t)n) && room[0] == iperf3_udp_hello[0] ? 1 : 2;
}

int iperf_hello_answer(int fd, bool old, struct err *e)
{
	static const uint8_t old_reply[IPERF3_HELLO] = { 0xb1, 0x68, 0xde, 0x3a };

	if (send(fd, old ? old_reply : iperf3_udp_reply, IPERF3_HELLO, MSG_NOSIGNAL) < 0)
		return err_sys(e, ERR_TARGET, "answer a UDP stream");
	return 0;
}
