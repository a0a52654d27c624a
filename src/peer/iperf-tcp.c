/* The TCP data path: one thread, one socket, as few calls as there are blocks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "peer/iperf-pace.h"
#include "peer/iperf-stream.h"

enum { HUGE_PAGE = 2 << 20, PIPE_BYTES = 1 << 20, COMPLETIONS_EVERY = 16, POLL_MS = 20 };
/* A stall is caught up as far as this. */
#define PACE_DEPTH (100 * NS_PER_MS)

/* What a sender works with. */
struct sender {
	struct iperf_stream *s;
	uint8_t *block; /* len bytes of the mapping */
	size_t len;
	void *mapping;
	size_t mapped;
	int pipe[2], file; /* of page references; -1 */
	int source;	   /* what is sent instead of the pattern; -1 */
	size_t in_pipe;	   /* bytes that wait in the pipe */
	enum iperf_copy copy;
	unsigned since_completions;
	uint64_t sent; /* bytes, of plain sends */
};

static void sender_done(struct sender *x)
{
	if (x->mapping)
		munmap(x->mapping, x->mapped);
	fd_close(&x->pipe[0]);
	fd_close(&x->pipe[1]);
	fd_close(&x->file);
	fd_close(&x->source);
}
CLEANUP_OBJ(struct sender, sender_done)

static int open_pipe(struct sender *x)
{
	if (pipe2(x->pipe, O_CLOEXEC) < 0)
		return -1;
	/* an unprivileged user may have used up his share of pipe memory: then it stays at 64 KiB */
	(void)fcntl(x->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

static int open_file(struct sender *x)
{
	x->file = memfd_create("iperf", MFD_CLOEXEC);
	return x->file < 0 || write(x->file, x->block, x->len) != (ssize_t)x->len ? -1 : 0;
}

/* Page references to one huge page are neighbours, which the kernel joins to few large fragments; small blocks need none. */
static int map_block(struct sender *x)
{
	bool huge = x->copy == IPERF_VMSPLICE && x->len <= HUGE_PAGE;
	void *at;

	x->mapped = huge ? 2 * (size_t)HUGE_PAGE : x->len;
	at = mmap(NULL, x->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -1;
	x->mapping = at;
	x->block = at;
	if (huge) {
		x->block += -(uintptr_t)at & (HUGE_PAGE - 1);
		(void)madvise(x->block, HUGE_PAGE, MADV_HUGEPAGE);
	}
	return 0;
}

static int sender_init(struct sender *x, struct iperf_stream *s)
{
	const struct iperf_work *w = s->run->work;
	const int one = 1;

	*x = (struct sender){
		.s = s, .len = w->len, .pipe = { -1, -1 }, .file = -1, .source = -1, .copy = w->copy
	};
	if (w->file) {
		x->copy = IPERF_COPY;
		x->source = open(w->file, O_RDONLY | O_CLOEXEC);
		if (x->source < 0)
			return err_sys(&s->trouble, ERR_USAGE, "%s", w->file);
	}
	if (map_block(x) < 0)
		return err_nomem(&s->trouble);
	iperf_fill(x->block, x->len, w->repeating);
	if ((x->copy == IPERF_VMSPLICE && open_pipe(x) < 0) ||
	    (x->copy == IPERF_SENDFILE && open_file(x) < 0) ||
	    (x->copy == IPERF_MSG_ZEROCOPY &&
	     setsockopt(s->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) < 0))
		return err_sys(&s->trouble, ERR_MACHINE, "--zerocopy");
	return 0;
}

/* A send whose acknowledgement the kernel is asked to stamp. */
static ssize_t send_tagged(struct sender *x, size_t n)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(uint32_t))];
	} control = { 0 };
	struct iovec iov = { x->block, n };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct iperf_tag *tag = &x->s->tag[x->s->tags++ % IPERF_TAGS];
	const uint32_t what = SOF_TIMESTAMPING_TX_ACK;
	struct timespec ts;
	ssize_t sent;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SO_TIMESTAMPING;
	c->cmsg_len = CMSG_LEN(sizeof(what));
	memcpy(CMSG_DATA(c), &what, sizeof(what));
	clock_gettime(CLOCK_REALTIME, &ts);
	/* it may be acknowledged before sendmsg is back */
	atomic_store(&tag->sent_ns, 0);
	atomic_store(&tag->key, (uint32_t)(x->sent + n - 1));
	atomic_store(&tag->sent_ns, (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec);
	sent = sendmsg(x->s->fd, &m, MSG_NOSIGNAL);
	if (sent > 0)
		atomic_store(&tag->key, (uint32_t)(x->sent + (uint64_t)sent - 1));
	return sent;
}

static ssize_t send_copy(struct sender *x, size_t n)
{
	struct iperf_stream *s = x->s;
	bool tagged = s->run->work->tag &&
		      atomic_load_explicit(&s->run->tag_due, memory_order_relaxed) &&
		      atomic_exchange(&s->run->tag_due, false);
	ssize_t sent = tagged ? send_tagged(x, n) : send(s->fd, x->block, n, MSG_NOSIGNAL);

	if (sent > 0)
		x->sent += (uint64_t)sent;
	return sent;
}

/* The kernel keeps what is sent until it says that it is done with it. */
static void read_completions(const struct sender *x)
{
	char room[128];
	struct msghdr m = { .msg_control = room, .msg_controllen = sizeof(room) };

	while (recvmsg(x->s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		m.msg_controllen = sizeof(room);
}

static ssize_t send_zerocopy(struct sender *x, size_t n)
{
	ssize_t sent = send(x->s->fd, x->block, n, MSG_NOSIGNAL | MSG_ZEROCOPY);

	if (++x->since_completions >= COMPLETIONS_EVERY || (sent < 0 && errno == ENOBUFS)) {
		int error = errno;

		x->since_completions = 0;
		read_completions(x);
		errno = error == ENOBUFS ? EINTR : error;
	}
	return sent;
}

static ssize_t send_pages(struct sender *x, size_t n)
{
	ssize_t sent;

	if (x->in_pipe == 0) {
		struct iovec iov = { x->block, n };
		ssize_t put = vmsplice(x->pipe[1], &iov, 1, SPLICE_F_NONBLOCK);

		if (put <= 0)
			return put;
		x->in_pipe = (size_t)put;
	}
	sent = splice(x->pipe[0], NULL, x->s->fd, NULL, x->in_pipe < n ? x->in_pipe : n,
		      SPLICE_F_MOVE);
	if (sent > 0)
		x->in_pipe -= (size_t)sent;
	return sent;
}

static ssize_t send_file(struct sender *x, size_t n)
{
	off_t at = 0;

	return sendfile(x->s->fd, x->file, &at, n);
}

static ssize_t send_some(struct sender *x, size_t n)
{
	switch (x->copy) {
	case IPERF_VMSPLICE:
		return send_pages(x, n);
	case IPERF_SENDFILE:
		return send_file(x, n);
	case IPERF_MSG_ZEROCOPY:
		return send_zerocopy(x, n);
	default:
		return send_copy(x, n);
	}
}

static bool is_pause(int error)
{
	return error == EAGAIN || error == EINTR;
}

/* All of a block, unless the test ends. False when the stream is over. */
static bool send_block(struct sender *x, size_t n, bool whole)
{
	struct iperf_stream *s = x->s;
	size_t left = n;

	while (left) {
		ssize_t sent = send_some(x, left);

		if (sent > 0) {
			left -= (size_t)sent;
			if (left && iperf_stream_goes_on(s))
				iperf_stream_count(s, (size_t)sent, 0, clock_now());
			else
				iperf_stream_count(s, (size_t)sent, left == 0 && whole,
						   clock_now());
		} else if (sent < 0 && !is_pause(errno)) {
			/* after its end the peer may close when it likes */
			if (!iperf_stream_may_end(s)) {
				s->failed = true;
				err_sys(&s->trouble, ERR_TARGET, "send on stream %d", s->id);
			}
			return false;
		}
		if (left && !iperf_stream_goes_on(s))
			return false;
	}
	return true;
}

/* How much the next block may hold; 0: the limit is reached. */
static size_t next_block(const struct iperf_stream *s, _Atomic int64_t *left)
{
	const struct iperf_work *w = s->run->work;

	if (w->num)
		return (size_t)iperf_claim(left, w->len);
	if (w->blocks)
		return iperf_claim(left, 1) ? w->len : 0;
	return w->len;
}

/* The next part of the file; 0 at its end. */
static size_t read_block(struct sender *x, size_t n)
{
	ssize_t got = read(x->source, x->block, n);

	if (got < 0) {
		x->s->failed = true;
		err_sys(&x->s->trouble, ERR_USAGE, "%s", x->s->run->work->file);
	}
	return got > 0 ? (size_t)got : 0;
}

static void send_all(struct sender *x)
{
	struct iperf_stream *s = x->s;
	const struct iperf_work *w = s->run->work;
	struct iperf_pace pace;
	uint32_t burst = w->burst ? w->burst : 1;

	iperf_pace_init(&pace, w->rate, PACE_DEPTH, s->run->start_ns);
	while (iperf_stream_goes_on(s)) {
		uint64_t now = w->rate ? clock_now() : 0, wait;

		wait = w->rate ? iperf_pace_wait(&pace, now) : 0;
		if (wait && !iperf_stream_sleep(s, wait))
			return;
		for (uint32_t i = 0; i < burst; i++) {
			size_t n = next_block(s, &s->run->send_left);

			if (x->source >= 0)
				n = read_block(x, n);
			if (n == 0 || !send_block(x, n, true))
				return;
			iperf_pace_sent(&pace, n, now);
		}
	}
}

void iperf_tcp_send(struct iperf_stream *s)
{
	CLEANUP(sender_done) struct sender x;

	if (sender_init(&x, s) < 0) {
		s->failed = true;
		return;
	}
	send_all(&x);
}

/* Room for what the limit leaves; 0: others have taken it, but may not have got their bytes yet. */
static size_t room_for(const struct iperf_stream *s, size_t most)
{
	return s->run->limit_received ? (size_t)iperf_claim(&s->run->receive_left, most) : most;
}

static void received(const struct iperf_stream *s, size_t room, size_t got)
{
	if (!s->run->limit_received)
		return;
	atomic_fetch_add(&s->run->receive_left, (int64_t)(room - got));
	atomic_fetch_add(&s->run->received, got);
}

static bool is_complete(const struct iperf_stream *s)
{
	return s->run->limit_received && atomic_load(&s->run->received) >= s->run->receive_limit;
}

static bool wait_readable(const struct iperf_stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return poll(&p, 1, POLL_MS) > 0;
}

/* Where a receiver puts what comes. */
struct sink {
	uint8_t *room;
	size_t most;
	int flags;
	int file; /* -1: nowhere */
};

/* False when it could not be written. */
static bool keep(struct iperf_stream *s, const struct sink *k, size_t n)
{
	size_t done = 0;

	while (k->file >= 0 && done < n) {
		ssize_t put = write(k->file, k->room + done, n - done);

		if (put <= 0) {
			s->failed = true;
			err_sys(&s->trouble, ERR_INTERNAL, "write %s", s->run->work->file);
			return false;
		}
		done += (size_t)put;
	}
	return true;
}

/* False when the stream is over. */
static bool receive_some(struct iperf_stream *s, const struct sink *k)
{
	size_t n;
	ssize_t got;

	/* nobody may hold back what is left of the limit while he waits himself */
	if (s->run->limit_received && !wait_readable(s))
		return !is_complete(s);
	n = room_for(s, k->most);
	if (n == 0)
		return !is_complete(s) && iperf_stream_sleep(s, NS_PER_MS);
	got = recv(s->fd, k->room, n, s->run->limit_received ? k->flags | MSG_DONTWAIT : k->flags);
	received(s, n, got > 0 ? (size_t)got : 0);
	if (got > 0) {
		iperf_stream_count(s, (size_t)got, 1, clock_now());
		return keep(s, k, (size_t)got) && !is_complete(s);
	}
	if (got < 0 && is_pause(errno))
		return !is_complete(s);
	if (got < 0 && !iperf_stream_may_end(s)) {
		s->failed = true;
		err_sys(&s->trouble, ERR_TARGET, "receive on stream %d", s->id);
	}
	return false;
}

/* What the peer had sent when the test ended lies in the queue: it counts, and costs no wait. */
static void receive_rest(struct iperf_stream *s, const struct sink *k)
{
	uint64_t until = clock_now() + 200 * NS_PER_MS;
	ssize_t got;

	if (s->run->limit_received)
		return;
	while (clock_now() < until &&
	       (got = recv(s->fd, k->room, k->most, k->flags | MSG_DONTWAIT)) > 0) {
		iperf_stream_count(s, (size_t)got, 1,
				   atomic_load_explicit(&s->now.last_ns, memory_order_relaxed));
		if (!keep(s, k, (size_t)got))
			return;
	}
}

void iperf_tcp_receive(struct iperf_stream *s)
{
	const struct iperf_work *w = s->run->work;
	CLEANUP_FREE uint8_t *room = malloc(w->len);
	CLEANUP_FD int file =
		w->file ? open(w->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	struct sink k = { .room = room,
			  .most = w->len,
			  .flags = w->skip_rx_copy && file < 0 ? MSG_TRUNC : 0,
			  .file = file };

	if (!room || (w->file && file < 0)) {
		s->failed = true;
		if (room)
			err_sys(&s->trouble, ERR_USAGE, "%s", w->file);
		else
			err_nomem(&s->trouble);
		return;
	}
	while (iperf_stream_goes_on(s))
		if (!receive_some(s, &k))
			return;
	receive_rest(s, &k);
}
