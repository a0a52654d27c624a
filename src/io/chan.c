#include "io/chan.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "io/chan-impl.h"

/* pyserial 3.5: rfc2217.py waits 50 ms before each look, both network handlers sleep 300 ms in close, and
 * protocol_socket.py never sets TCP_NODELAY. mpremote adds 10 ms in read_until and drops RTS and DTR. */
const struct chan_style chan_style_native = { .nodelay = true };
const struct chan_style chan_style_pyserial = {
	.negotiate_poll_ns = 50 * NS_PER_MS,
	.negotiate_serial = true,
	.close_wait_ns = 300 * NS_PER_MS,
};
const struct chan_style chan_style_mpremote = {
	.negotiate_poll_ns = 50 * NS_PER_MS,
	.negotiate_serial = true,
	.read_poll_ns = 10 * NS_PER_MS,
	.close_wait_ns = 300 * NS_PER_MS,
	.lower_lines_on_close = true,
};

static const struct chan_ops *const kinds[] = {
	&chan_pty_ops,
	&chan_tcp_ops,
	&chan_rfc2217_ops,
	&chan_serial_ops,
};

bool chan_emit(struct chan *c, enum chan_event ev)
{
	bool gone = false, *outer = c->gone;

	c->gone = &gone;
	c->p.handler(c->p.ctx, c, ev);
	if (gone) {
		if (outer)
			*outer = true;
		return false;
	}
	c->gone = outer;
	return true;
}

void chan_announce(struct chan *c)
{
	c->connected = true;
	if (!chan_emit(c, CHAN_CONNECTED) || c->failed)
		return;
	c->ready = true;
	if (chan_emit(c, CHAN_READY) && !c->failed && c->fd >= 0) {
		struct err e;

		if (chan_update(c, &e) < 0)
			chan_fail(c, &e);
	}
}

int chan_break(struct chan *c, const struct err *e)
{
	if (!c->failed)
		c->error = *e;
	c->failed = true;
	loop_remove(&c->watch);
	timer_cancel(c->loop, &c->look);
	timer_cancel(c->loop, &c->wait);
	return -1;
}

void chan_fail(struct chan *c, const struct err *e)
{
	if (!c->failed)
		chan_fail_late(c, e);
}

void chan_fail_late(struct chan *c, const struct err *e)
{
	chan_break(c, e);
	chan_emit(c, CHAN_FAILED);
}

void chan_drop(struct chan *c)
{
	loop_remove(&c->watch);
	fd_close(&c->fd);
}

size_t chan_pending(const struct chan *c)
{
	return c->out.len - c->out_off;
}

static bool polls(const struct chan *c)
{
	return c->ready && c->style.read_poll_ns;
}

/* Input is watched unless the owner paused it, there is no room for it or the style looks by timer. */
static uint32_t wanted(const struct chan *c)
{
	uint32_t events = 0;

	if (c->connected && !(c->ready && c->paused) && !c->in_held && !polls(c) &&
	    (c->ready || c->ops->input))
		events |= EPOLLIN;
	if (!c->connected || (chan_pending(c) && !c->out_held))
		events |= EPOLLOUT;
	return events;
}

int chan_update(struct chan *c, struct err *e)
{
	if (polls(c) && !c->paused && !timer_is_set(&c->look))
		timer_set(c->loop, &c->look, loop_now(c->loop) + c->style.read_poll_ns,
			  c->look.fired);
	return c->watch.loop ? loop_modify(&c->watch, wanted(c), e) : 0;
}

static void input(struct chan *c)
{
	if (c->ops->input)
		c->ops->input(c);
	else if (c->ready)
		chan_emit(c, CHAN_READABLE);
}

static bool has_input(const struct chan *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return (c->ops->waiting && c->ops->waiting(c)) || (c->fd >= 0 && poll(&p, 1, 0) > 0);
}

/* Looks again at once where bytes are left inside the channel, in the style's own time where it polls. */
static void look(struct timer *t, uint64_t now_ns)
{
	struct chan *c = CONTAINER_OF(t, struct chan, look);
	bool there = has_input(c);

	if (c->paused)
		return;
	if (polls(c))
		timer_set(c->loop, t, there ? now_ns : now_ns + c->style.read_poll_ns, look);
	if (there)
		input(c);
}

static ssize_t put(int fd, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == ENOTSOCK)
			n = write(fd, data, len);
	} while (n < 0 && errno == EINTR);
	return n;
}

static bool again(int sys)
{
	return sys == EAGAIN; /* EWOULDBLOCK is the same number on Linux */
}

static int write_failed(struct chan *c, struct err *e)
{
	int sys = errno;

	if (sys == EIO || sys == EPIPE || sys == ECONNRESET || sys == ENXIO)
		err_set(e, ERR_TARGET, "closed", "%s closed the connection", c->p.url->shown);
	else
		err_sys(e, ERR_TARGET, "cannot write to %s", c->p.url->shown);
	if (c->ops->ended)
		c->ops->ended(c, e);
	return chan_break(c, e);
}

static int flush(struct chan *c, struct err *e)
{
	while (chan_pending(c) && !c->out_held) {
		ssize_t n = put(c->fd, c->out.data + c->out_off, chan_pending(c));

		if (n < 0 && again(errno))
			break;
		if (n < 0)
			return write_failed(c, e);
		c->out_off += (size_t)n;
	}
	if (chan_pending(c) == 0) {
		buf_clear(&c->out);
		c->out_off = 0;
	} else if (c->out_off > c->out.len / 2) {
		buf_drop(&c->out, c->out_off);
		c->out_off = 0;
	}
	return chan_update(c, e);
}

int chan_send(struct chan *c, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	if (c->failed) {
		*e = c->error;
		return -1;
	}
	if (len > CHAN_QUEUE_MAX || chan_pending(c) > CHAN_QUEUE_MAX - len)
		return err_set(e, ERR_TARGET, "queue-full",
			       "%s does not take what is sent: %zu bytes wait", c->p.url->shown,
			       chan_pending(c));
	while (len && c->connected && !chan_pending(c) && !c->out_held) {
		ssize_t n = put(c->fd, p, len);

		if (n < 0 && again(errno))
			break;
		if (n < 0)
			return write_failed(c, e);
		p += n;
		len -= (size_t)n;
	}
	if (polls(c) && !c->paused) /* it looks right after sending, in vain, and sleeps */
		timer_set(c->loop, &c->look, loop_now(c->loop) + c->style.read_poll_ns, look);
	if (len == 0)
		return 0;
	if (buf_add(&c->out, p, len) < 0)
		return err_nomem(e);
	return chan_update(c, e);
}

static void ready(struct watch *w, uint32_t events)
{
	struct chan *c = CONTAINER_OF(w, struct chan, watch);
	struct err e;

	if (!c->connected) {
		c->ops->writable(c);
		return;
	}
	if ((events & EPOLLOUT) && chan_pending(c)) {
		if (flush(c, &e) < 0) {
			chan_fail_late(c, &e);
			return;
		}
		if (!chan_pending(c) && c->ready && !chan_emit(c, CHAN_DRAINED))
			return;
		if (c->failed || !c->watch.loop)
			return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		input(c);
}

int chan_watch(struct chan *c, int fd, struct err *e)
{
	c->fd = fd;
	return loop_add(c->loop, &c->watch, fd, wanted(c), ready, e);
}

ssize_t chan_receive(struct chan *c, void *buf, size_t size)
{
	struct err e;
	ssize_t n;

	if (c->failed)
		return -1;
	do
		n = read(c->fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && again(errno))
		return 0;
	if (n == 0 || errno == EIO || errno == ECONNRESET)
		err_set(&e, ERR_TARGET, "closed", "%s closed the connection", c->p.url->shown);
	else
		err_sys(&e, ERR_TARGET, "cannot read from %s", c->p.url->shown);
	if (c->ops->ended)
		c->ops->ended(c, &e);
	return chan_break(c, &e);
}

ssize_t chan_read(struct chan *c, void *buf, size_t size)
{
	ssize_t n = c->ops->read ? c->ops->read(c, buf, size) : chan_receive(c, buf, size);

	if (n == 0 && polls(c) && !c->paused)
		timer_set(c->loop, &c->look, loop_now(c->loop) + c->style.read_poll_ns, look);
	return n;
}

int chan_write(struct chan *c, const void *data, size_t len, struct err *e)
{
	return c->ops->write ? c->ops->write(c, data, len, e) : chan_send(c, data, len, e);
}

void chan_pause(struct chan *c, bool pause)
{
	struct err e;

	c->paused = pause;
	if (c->failed)
		return;
	if (pause)
		timer_cancel(c->loop, &c->look);
	else if (c->ops->waiting && c->ops->waiting(c))
		timer_set(c->loop, &c->look, loop_now(c->loop), look);
	if (chan_update(c, &e) < 0)
		chan_fail(c, &e);
}

static int find_kind(struct chan *c, struct err *e)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i]->scheme, c->p.url->scheme) == 0) {
			c->ops = kinds[i];
			return 0;
		}
	return err_set(e, ERR_USAGE, "scheme",
		       "%s: no byte channel (exec:CMD, serial:///dev/..., socket://HOST:PORT, "
		       "rfc2217://HOST:PORT)",
		       c->p.url->shown);
}

int chan_new(struct chan **out, struct loop *l, const struct chan_params *p, struct err *e)
{
	CLEANUP(chan_free) struct chan *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	c->p = *p;
	c->style = p->style ? *p->style : chan_style_native;
	c->loop = l;
	c->fd = -1;
	c->look.fired = look;
	buf_init(&c->out, CHAN_QUEUE_MAX);
	if (find_kind(c, e) < 0 || c->ops->make(c, e) < 0)
		return -1;
	*out = TAKE(c);
	return 0;
}

void chan_start(struct chan *c)
{
	c->ops->start(c);
}

const struct err *chan_error(const struct chan *c)
{
	return &c->error;
}

const struct chan_option *chan_options(const struct chan *c, size_t *n)
{
	*n = 0;
	return c->ops->options ? c->ops->options(c, n) : NULL;
}

void chan_fact(struct chan *c, const char *key, const char *value)
{
	size_t i = 0;

	while (i < c->n_facts && strcmp(c->fact[i].key, key) != 0)
		i++;
	if (i == CHAN_FACTS_MAX)
		return;
	if (i == c->n_facts)
		c->n_facts++;
	c->fact[i].key = key;
	snprintf(c->fact[i].value, CHAN_FACT_MAX, "%s", value);
}

const char *chan_identity(const struct chan *c, const char *key)
{
	for (size_t i = 0; i < c->n_facts; i++)
		if (strcmp(c->fact[i].key, key) == 0)
			return c->fact[i].value;
	return NULL;
}

void chan_closed(struct chan *c)
{
	void (*closed)(void *, struct chan *) = c->closed;

	timer_cancel(c->loop, &c->look);
	timer_cancel(c->loop, &c->wait);
	chan_drop(c);
	c->closed = NULL;
	if (closed)
		closed(c->p.ctx, c);
}

void chan_close(struct chan *c, void (*closed)(void *ctx, struct chan *c))
{
	c->closed = closed;
	timer_cancel(c->loop, &c->look);
	if (c->ops->close && !c->failed)
		c->ops->close(c);
	else
		chan_closed(c);
}

void chan_free(struct chan *c)
{
	if (!c)
		return;
	if (c->gone)
		*c->gone = true;
	timer_cancel(c->loop, &c->look);
	timer_cancel(c->loop, &c->wait);
	chan_drop(c);
	if (c->ops && c->impl)
		c->ops->free(c);
	buf_done(&c->out);
	free(c);
}

int chan_query_choice(const struct url *u, const char *key, const char *const *words, int *out,
		      struct err *e)
{
	const char *text = url_query(u, key);

	if (!text)
		return 0;
	for (int i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "url", "%s: %s=%s is not known; for example %s=%s", u->shown,
		       key, text, key, words[0]);
}

int chan_query_bool(const struct url *u, const char *key, bool *out, struct err *e)
{
	static const char *const words[] = { "0", "1", NULL };
	int value = *out;

	if (chan_query_choice(u, key, words, &value, e) < 0)
		return -1;
	*out = value;
	return 0;
}

int chan_query_u32(const struct url *u, const char *key, uint32_t min, uint32_t max, uint32_t *out,
		   struct err *e)
{
	const char *text = url_query(u, key);
	uint64_t value;

	if (!text)
		return 0;
	if (num_parse_u64(text, &value, e) < 0)
		return err_wrap(e, "%s: %s", u->shown, key);
	if (value < min || value > max)
		return err_set(e, ERR_USAGE, "url", "%s: %s=%s is outside %" PRIu32 "..%" PRIu32,
			       u->shown, key, text, min, max);
	*out = (uint32_t)value;
	return 0;
}
