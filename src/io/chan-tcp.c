#include "io/chan-tcp.h"

#include <stdlib.h>
#include <sys/socket.h>

int tcp_dial_make(struct tcp_dial *d, const struct url *u, struct err *e)
{
	if (u->port == 0)
		return err_set(e, ERR_USAGE, "url",
			       "%s: a port is missing; for example %s://%s:2217", u->shown,
			       u->scheme, u->host);
	return addr_resolve(d->addr, TCP_ADDRS_MAX, &d->n, u->host, u->port, SOCK_STREAM, e);
}

int tcp_dial_start(struct tcp_dial *d, struct chan *c, struct err *e)
{
	int fd, rc;

	err_set(e, ERR_TARGET, "refused", "%s: no address is left", c->p.url->shown);
	for (; d->at < d->n; d->at++) {
		rc = sock_connect(&fd, &d->addr[d->at], e);
		if (rc < 0)
			continue;
		sock_nodelay(fd, d->nodelay);
		return chan_watch(c, fd, e);
	}
	return -1;
}

int tcp_dial_finish(struct tcp_dial *d, struct chan *c, struct err *e)
{
	struct err first;

	if (sock_connected(c->fd, &d->addr[d->at], &first) == 0)
		return 1;
	chan_drop(c);
	d->at++;
	if (d->at < d->n && tcp_dial_start(d, c, e) == 0)
		return 0;
	*e = first;
	return -1;
}

static int tcp_make(struct chan *c, struct err *e)
{
	static const char *const known[] = { "nodelay", "logging", NULL };
	struct tcp_dial *d;

	if (url_check_query(c->p.url, known, e) < 0)
		return -1;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_nomem(e);
	c->impl = d;
	d->nodelay = c->style.nodelay;
	if (chan_query_bool(c->p.url, "nodelay", &d->nodelay, e) < 0)
		return -1;
	return tcp_dial_make(d, c->p.url, e);
}

static void tcp_start(struct chan *c)
{
	struct err e;

	if (tcp_dial_start(c->impl, c, &e) < 0)
		chan_fail(c, &e);
}

static void tcp_writable(struct chan *c)
{
	struct err e;
	int rc = tcp_dial_finish(c->impl, c, &e);

	if (rc < 0)
		chan_fail(c, &e);
	else if (rc > 0)
		chan_announce(c);
}

static void tcp_free(struct chan *c)
{
	free(c->impl);
}

static void waited(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	chan_closed(CONTAINER_OF(t, struct chan, wait));
}

static void tcp_close(struct chan *c)
{
	chan_drop(c); /* pyserial sleeps after closing */
	if (c->style.close_wait_ns)
		timer_set(c->loop, &c->wait, loop_now(c->loop) + c->style.close_wait_ns, waited);
	else
		chan_closed(c);
}

const struct chan_ops chan_tcp_ops = {
	.scheme = "socket",
	.make = tcp_make,
	.start = tcp_start,
	.free = tcp_free,
	.writable = tcp_writable,
	.close = tcp_close,
};
