#include "io/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A stream that reads nothing still hears that a socket's other side has left. */
static uint32_t wanted(const struct stream *s)
{
	uint32_t events = 0;

	if (!s->paused)
		events |= EPOLLIN;
	else if (s->socket && !s->told)
		events |= EPOLLRDHUP;
	if (stream_pending(s))
		events |= EPOLLOUT;
	return events;
}

/* A watch that cannot be changed is one that will not bring anything. */
static void update(struct stream *s)
{
	struct err e;

	if (s->watch.loop && loop_modify(&s->watch, wanted(s), &e) < 0)
		s->failed = true;
}

static ssize_t put(struct stream *s, const void *data, size_t len)
{
	ssize_t n;

	do {
		s->writes++;
		n = s->socket ? send(s->fd, data, len, MSG_NOSIGNAL) : write(s->fd, data, len);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void flush(struct stream *s)
{
	while (stream_pending(s)) {
		ssize_t n = put(s, s->out.data + s->out_off, stream_pending(s));

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			s->failed = true;
			stream_drop(s);
			return;
		}
		s->out_off += (size_t)n;
	}
	if (stream_pending(s) == 0) {
		stream_drop(s);
	} else if (s->out_off > s->out.len / 2) {
		buf_drop(&s->out, s->out_off);
		s->out_off = 0;
	}
}

/* One callback at most, for it may end the stream; what else there is comes with the next wait. */
static void ready(struct watch *w, uint32_t events)
{
	struct stream *s = CONTAINER_OF(w, struct stream, watch);
	bool dead = events & (EPOLLERR | EPOLLHUP);

	if ((events & EPOLLOUT) && stream_pending(s)) {
		flush(s);
		update(s);
		if (stream_pending(s) == 0) {
			s->ops->drained(s);
			return;
		}
	}
	if (!s->paused) {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			s->ops->readable(s);
	} else if (dead || (events & EPOLLRDHUP)) {
		s->told = true;
		if (dead)
			loop_remove(w); /* a hang-up is reported whatever is asked for */
		else
			update(s);
		s->ops->gone(s, dead);
	}
}

int stream_init(struct stream *s, struct loop *l, int fd, size_t max, const struct stream_ops *ops,
		struct err *e)
{
	int type;
	socklen_t len = sizeof(type);

	*s = (struct stream){ .ops = ops, .loop = l, .fd = fd, .open = true };
	s->socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
	buf_init(&s->out, max);
	if (loop_add(l, &s->watch, fd, wanted(s), ready, e) == 0)
		return 0;
	stream_done(s);
	return -1;
}

int stream_take(struct stream *s)
{
	if (!s->open)
		return -1;
	loop_remove(&s->watch);
	buf_done(&s->out);
	s->open = false;
	return s->fd;
}

void stream_done(struct stream *s)
{
	int fd = stream_take(s);

	if (fd >= 0)
		close(fd);
}

ssize_t stream_read(struct stream *s, void *buf, size_t size)
{
	ssize_t n;

	do {
		s->reads++;
		n = read(s->fd, buf, size);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && errno == EAGAIN)
		return 0;
	s->failed |= n < 0; /* after an end of file the other direction may still be open */
	s->told = true;
	return -1;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	const char *p = data;

	if (s->failed || len > s->out.max || stream_pending(s) > s->out.max - len)
		return -1;
	while (len && stream_pending(s) == 0) {
		ssize_t n = put(s, p, len);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			s->failed = true;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	if (len == 0)
		return 0;
	if (s->out_off) {
		buf_drop(&s->out, s->out_off);
		s->out_off = 0;
	}
	if (buf_add(&s->out, p, len) < 0) {
		s->failed = true;
		return -1;
	}
	update(s);
	return s->failed ? -1 : 0;
}

size_t stream_pending(const struct stream *s)
{
	return s->out.len - s->out_off;
}

void stream_drop(struct stream *s)
{
	buf_clear(&s->out);
	s->out_off = 0;
	update(s);
}

void stream_pause(struct stream *s, bool pause)
{
	s->paused = pause;
	update(s);
}

bool stream_is_gone(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}
