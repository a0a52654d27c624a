#include "peer/iperf-control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

static int cancelled(struct err *e)
{
	return err_set(e, ERR_TARGET, "cancelled", "the test was cancelled");
}

/* poll until `until`; 0 at that time. */
static int wait_for(struct pollfd *p, nfds_t n, uint64_t until)
{
	for (;;) {
		uint64_t now = clock_now();
		struct timespec ts = { .tv_sec = 0 };
		int got;

		if (now < until) {
			ts.tv_sec = (time_t)((until - now) / NS_PER_SEC);
			ts.tv_nsec = (long)((until - now) % NS_PER_SEC);
		}
		got = ppoll(p, n, &ts, NULL);
		if (got > 0 || (got < 0 && errno != EINTR))
			return got;
		if (now >= until)
			return 0;
	}
}

int iperf_control_flush(const struct iperf_control *c, struct buf *out, uint64_t timeout_ns,
			struct err *e)
{
	uint64_t until = clock_now() + timeout_ns;

	while (out->len) {
		struct pollfd p[2] = { { .fd = c->fd, .events = POLLOUT },
				       { .fd = c->cancel_fd, .events = POLLIN } };
		ssize_t n = send(c->fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int got;

		if (n > 0) {
			buf_drop(out, (size_t)n);
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_TARGET, "control connection");
		got = wait_for(p, 2, until);
		if (got < 0)
			return err_sys(e, ERR_INTERNAL, "poll");
		if (p[1].revents)
			return cancelled(e);
		if (got == 0)
			return err_set(e, ERR_TARGET, "timeout",
				       "the peer does not read its control connection");
	}
	return 0;
}

int iperf_control_wait(const struct iperf_control *c, int extra_fd, uint64_t timeout_ns, void *room,
		       size_t size, size_t *got, enum iperf_control_news *news, struct err *e)
{
	struct pollfd p[3] = { { .fd = c->fd, .events = POLLIN },
			       { .fd = c->cancel_fd, .events = POLLIN },
			       { .fd = extra_fd, .events = POLLIN } };
	int n = wait_for(p, 3, clock_now() + timeout_ns);
	ssize_t r;

	*got = 0;
	*news = IPERF_CONTROL_TIMEOUT;
	if (n < 0)
		return err_sys(e, ERR_INTERNAL, "poll");
	if (n == 0)
		return 0;
	if (p[1].revents)
		return cancelled(e);
	if (!p[0].revents) {
		*news = IPERF_CONTROL_WOKEN;
		return 0;
	}
	r = recv(c->fd, room, size, MSG_DONTWAIT);
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	*news = r > 0 ? IPERF_CONTROL_BYTES : IPERF_CONTROL_END;
	*got = r > 0 ? (size_t)r : 0;
	return 0;
}
