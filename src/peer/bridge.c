#include "peer/bridge.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/sock.h"
#include "peer/bridge-gather.h"
#include "peer/bridge-pty.h"
#include "peer/bridge-trace.h"

enum { ACCEPTS_AT_ONCE = 16 };

static const uint64_t accept_pause_ns = 100 * NS_PER_MS;
static const uint64_t refuse_after_ns = 250 * NS_PER_MS;
static const uint64_t trace_delay_ns = 100 * NS_PER_MS;
/* Bytes of a session that is over are given up when the device has not taken one of them for so long. */
static const uint64_t stuck_ns = NS_PER_SEC;

struct port {
	struct bridge *b;
	struct watch watch;
	struct timer resume;
	int fd;
	enum bridge_kind kind;
};

struct bridge {
	struct bridge_params p;
	struct loop *loop;
	struct bridge_link *link;
	struct bridge_client *clients, *owner, *dead;
	size_t n_clients;
	struct port port[BRIDGE_PORTS_MAX];
	size_t n_ports;
	struct bridge_pty *pty;
	struct bridge_trace *trace;
	struct bridge_gather gather;
	struct bridge_stats stats;
	struct timer bury, flush, stuck;
	size_t stuck_pending;
	bool stalled; /* nothing of what waits was taken for a while */
	bool over;
	struct err why;
	uint8_t escape[2 * 65536];
};

static void remark(struct bridge *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void flush_trace(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	bridge_trace_flush(CONTAINER_OF(t, struct bridge, flush)->trace);
}

static void trace_soon(struct bridge *b)
{
	if (!timer_is_set(&b->flush))
		timer_set(b->loop, &b->flush, loop_now(b->loop) + trace_delay_ns, flush_trace);
}

static void trace_remark(struct bridge *b, const char *text)
{
	if (!b->trace)
		return;
	bridge_trace_remark(b->trace, clock_now(), text);
	trace_soon(b);
}

static void remark(struct bridge *b, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_say(b->p.log, LOG_NOTE, "bridge", "%s", text);
	trace_remark(b, text);
}

static void trace_bytes(struct bridge *b, uint64_t at_ns, bool to_device, const void *data,
			size_t len)
{
	if (!b->trace || !len)
		return;
	bridge_trace_bytes(b->trace, at_ns ? at_ns : clock_now(), to_device, data, len);
	trace_soon(b);
}

/* The device is read as fast as the owner takes it, and freely when there is none. */
static void balance(struct bridge *b)
{
	bool full = b->owner && bridge_client_is_full(b->owner);

	bridge_link_pause(b->link, full);
	bridge_gather_full(&b->gather, full);
}

static void bury(struct timer *t, uint64_t now_ns)
{
	struct bridge *b = CONTAINER_OF(t, struct bridge, bury);

	(void)now_ns;
	while (b->dead) {
		struct bridge_client *c = b->dead;

		b->dead = c->next;
		bridge_client_free(c);
	}
}

/* While bytes wait for the device, whether it takes any of them. */
static void watch_device(struct timer *t, uint64_t now_ns)
{
	struct bridge *b = CONTAINER_OF(t, struct bridge, stuck);
	size_t pending = bridge_link_pending(b->link);

	b->stalled = pending && pending == b->stuck_pending;
	b->stuck_pending = pending;
	if (pending)
		timer_set(b->loop, t, now_ns + stuck_ns, watch_device);
}

static void own(struct bridge *b, struct bridge_client *c)
{
	bridge_gather_flush(&b->gather);
	b->owner = c;
	c->role = BRIDGE_OWNER;
	b->stats.sessions++;
	remark(b, "session %" PRIu64 ": %s %s", b->stats.sessions, bridge_kind_names[c->kind],
	       c->name);
	if (b->stalled) {
		remark(b, "the device does not read: what an earlier session sent is dropped");
		bridge_link_purge(b->link, RFC2217_PURGE_TX);
		b->stalled = false;
	}
	bridge_client_open(c, bridge_link_lines(b->link));
	balance(b);
	bridge_client_go_on(c);
}

static struct bridge_client *oldest_waiter(const struct bridge *b)
{
	struct bridge_client *oldest = NULL;

	for (struct bridge_client *c = b->clients; c; c = c->next)
		if (c->role == BRIDGE_WAITER)
			oldest = c;
	return oldest;
}

static void release(struct bridge *b)
{
	struct bridge_client *next;

	b->owner = NULL;
	bridge_way_drained(&b->stats.to_client);
	bridge_link_observe(b->link, false);
	if (bridge_link_port(b->link)->brk == RFC2217_BREAK_ON)
		bridge_link_apply(b->link, RFC2217_SET_CONTROL, RFC2217_BREAK_OFF);
	balance(b);
	next = oldest_waiter(b);
	if (next)
		own(b, next);
}

static void client_ended(void *ctx, struct bridge_client *c, const char *why)
{
	struct bridge *b = ctx;
	struct bridge_client **at = &b->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	b->n_clients--;
	b->stats.client_reads += c->stream.reads;
	bridge_client_end(c);
	c->next = b->dead;
	b->dead = c;
	timer_set(b->loop, &b->bury, loop_now(b->loop), bury);
	if (c->role != BRIDGE_LEAVING)
		remark(b, "%s %s %s: %" PRIu64 " bytes from it, %" PRIu64 " to it",
		       bridge_kind_names[c->kind], c->name, why, c->bytes_in, c->bytes_out);
	if (c == b->owner)
		release(b);
	if (c->kind == BRIDGE_PTY)
		bridge_pty_over(b->pty);
}

static void client_take(void *ctx, struct bridge_client *c, const void *data, size_t len,
			uint64_t read_ns)
{
	struct bridge *b = ctx;

	if (c != b->owner)
		return;
	if (bridge_link_write(b->link, data, len) < 0)
		return; /* the device is gone; its end comes from the loop */
	bridge_way_add(&b->stats.to_device, len, read_ns, bridge_link_busy(b->link));
	trace_bytes(b, read_ns, true, data, len);
	if (bridge_link_pending(b->link) && !timer_is_set(&b->stuck)) {
		b->stuck_pending = 0;
		timer_set(b->loop, &b->stuck, loop_now(b->loop) + stuck_ns, watch_device);
	}
}

static bool client_blocked(void *ctx, struct bridge_client *c)
{
	struct bridge *b = ctx;

	return c->role == BRIDGE_WAITER || (c == b->owner && bridge_link_busy(b->link));
}

static void client_drained(void *ctx, struct bridge_client *c)
{
	struct bridge *b = ctx;

	if (c != b->owner)
		return;
	if (!bridge_client_is_full(c))
		bridge_way_drained(&b->stats.to_client);
	balance(b);
}

static uint32_t client_apply(void *ctx, struct bridge_client *c, enum rfc2217_command command,
			     uint32_t value)
{
	struct bridge *b = ctx;

	/* 0 is no value of any setting: the client is told the old one */
	return c == b->owner ? bridge_link_apply(b->link, command, value) : 0;
}

static void client_purge(void *ctx, struct bridge_client *c, uint8_t what)
{
	struct bridge *b = ctx;

	if (c == b->owner)
		bridge_link_purge(b->link, what);
}

static void client_brk(void *ctx, struct bridge_client *c)
{
	struct bridge *b = ctx;

	if (c == b->owner)
		bridge_link_break(b->link);
}

static void client_agreed(void *ctx, struct bridge_client *c)
{
	struct bridge *b = ctx;

	if (c == b->owner)
		bridge_link_observe(b->link, true);
}

static void client_waited(void *ctx, struct bridge_client *c);

/* It may still want answers, but not when somebody waits for the link. */
static void client_finished(void *ctx, struct bridge_client *c)
{
	struct bridge *b = ctx;

	if (c == b->owner && oldest_waiter(b))
		client_ended(b, c, "closed");
}

static const struct bridge_client_ops client_ops = {
	.take = client_take,
	.blocked = client_blocked,
	.ended = client_ended,
	.drained = client_drained,
	.apply = client_apply,
	.purge = client_purge,
	.brk = client_brk,
	.agreed = client_agreed,
	.waited = client_waited,
	.finished = client_finished,
};

static void deliver(struct bridge_gather *g, const void *data, size_t len, uint64_t read_ns)
{
	struct bridge *b = CONTAINER_OF(g, struct bridge, gather);
	struct bridge_client *owner = b->owner, *next;

	if (!owner)
		b->stats.dropped_bytes += len;
	else if (bridge_client_send(owner, data, len, b->escape) == 0)
		bridge_way_add(&b->stats.to_client, len, read_ns,
			       stream_pending(&owner->stream) > 0);
	else
		client_ended(b, owner, "connection lost");
	balance(b);
	for (struct bridge_client *c = b->n_clients > 1 ? b->clients : NULL; c; c = next) {
		next = c->next;
		if (c->role == BRIDGE_WATCHER && bridge_client_send(c, data, len, b->escape) < 0)
			client_ended(b, c, "is too slow to watch, or lost");
	}
	trace_bytes(b, read_ns, false, data, len);
}

static void link_data(void *ctx, const void *data, size_t len, uint64_t read_ns)
{
	struct bridge *b = ctx;

	bridge_gather_add(&b->gather, data, len, read_ns);
}

static void link_drained(void *ctx)
{
	struct bridge *b = ctx;

	bridge_way_drained(&b->stats.to_device);
	b->stalled = false;
	if (b->owner)
		bridge_client_go_on(b->owner);
}

static void link_up(void *ctx)
{
	struct bridge *b = ctx;

	remark(b, "%s is up", b->p.link.url->shown);
}

static void dismiss_owner(struct bridge *b, const struct err *why)
{
	char line[ERR_MSG_MAX + 32];
	struct bridge_client *c = b->owner;

	if (!c)
		return;
	if (c->kind == BRIDGE_PTY) {
		client_ended(b, c, "hung up: the link is gone");
		return;
	}
	snprintf(line, sizeof(line), "\r\nmpbench bridge: %s\r\n", why->msg);
	remark(b, "%s %s: %s", bridge_kind_names[c->kind], c->name, why->msg);
	bridge_client_dismiss(c, line);
	release(b);
}

static void link_down(void *ctx, bool final, const struct err *why)
{
	struct bridge *b = ctx;

	bridge_gather_flush(&b->gather);
	trace_remark(b, why->msg); /* the link itself has logged it */
	if (final) {
		b->over = true;
		b->why = *why;
		loop_stop(b->loop);
	} else if (strcmp(b->p.link.url->scheme, "exec") != 0) {
		dismiss_owner(b, why);
	}
}

static void link_lines(void *ctx, uint8_t levels)
{
	struct bridge *b = ctx;

	for (struct bridge_client *c = b->clients; c; c = c->next)
		bridge_client_lines(c, levels);
}

static void link_errors(void *ctx, uint8_t bits)
{
	struct bridge *b = ctx;

	for (struct bridge_client *c = b->clients; c; c = c->next)
		bridge_client_errors(c, bits);
}

static const struct bridge_link_ops link_ops = {
	.data = link_data,
	.drained = link_drained,
	.up = link_up,
	.down = link_down,
	.lines = link_lines,
	.errors = link_errors,
};

static void tune(const struct bridge *b, int fd)
{
	int idle_s = (int)(b->p.keepalive_ns / NS_PER_SEC);
	unsigned user_ms;

	sock_nodelay(fd, true);
	if (!b->p.keepalive_ns)
		return;
	if (idle_s < 1)
		idle_s = 1;
	sock_keepalive(fd, idle_s, idle_s < 6 ? idle_s : 5, 3);
	user_ms = (unsigned)idle_s * 1000 + 15000;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
}

static struct bridge_client *add_client(struct bridge *b, int fd, enum bridge_kind kind,
					const char *name)
{
	struct bridge_client *c;
	struct err e;

	if (bridge_client_new(&c, b->loop, fd, kind, name, bridge_link_port(b->link),
			      b->p.signature, &client_ops, b, &e) < 0) {
		log_say(b->p.log, LOG_WARNING, "client", "%s: %s", name, e.msg);
		return NULL;
	}
	c->next = b->clients;
	b->clients = c;
	b->n_clients++;
	return c;
}

/*
 * Whoever has closed by now has no claim, even where his end was not read yet. Nor has one whose bytes the device does
 * not take: he may be gone long since, with the news of it behind his bytes.
 */
static bool is_taken(struct bridge *b)
{
	struct bridge_client *c = b->owner;

	if (c && b->stalled && c->kind != BRIDGE_PTY) {
		client_ended(b, c, "gave way: the device does not read");
		return b->owner != NULL;
	}
	if (!c || !(c->finished || stream_is_gone(&c->stream)))
		return c != NULL;
	bridge_client_finish(c);
	if (b->owner == c)
		client_ended(b, c, "closed");
	return b->owner != NULL;
}

static void refuse(struct bridge *b, struct bridge_client *c)
{
	char line[256];
	uint64_t ns = ns_since(b->owner->since_ns, loop_now(b->loop));

	b->stats.refused++;
	snprintf(line, sizeof(line), "mpbench bridge: in use by %s %s for %" PRIu64 " s\r\n",
		 bridge_kind_names[b->owner->kind], b->owner->name, ns / NS_PER_SEC);
	remark(b, "%s %s refused: in use", bridge_kind_names[c->kind], c->name);
	bridge_client_dismiss(c, line);
}

/* The news that the owner has left may be on its way on another CPU. */
static void client_waited(void *ctx, struct bridge_client *c)
{
	struct bridge *b = ctx;

	if (is_taken(b) && c->role == BRIDGE_WAITER)
		refuse(b, c);
}

static void place(struct bridge *b, struct bridge_client *c)
{
	bool exec = strcmp(b->p.link.url->scheme, "exec") == 0;

	if (!exec && !bridge_link_up(b->link)) {
		b->stats.refused++;
		bridge_client_dismiss(c, "mpbench bridge: the port is not there just now\r\n");
	} else if (!b->owner) {
		own(b, c);
	} else if (b->p.shared) {
		c->role = BRIDGE_WATCHER;
		b->stats.watchers++;
		remark(b, "%s %s watches", bridge_kind_names[c->kind], c->name);
		bridge_client_open(c, bridge_link_lines(b->link));
	} else {
		bridge_client_wait(c, refuse_after_ns);
	}
}

static bool is_allowed(const struct bridge *b, const struct addr *peer)
{
	for (size_t i = 0; i < b->p.n_allow; i++)
		if (cidr_has(&b->p.allow[i], peer))
			return true;
	return b->p.n_allow == 0;
}

static void greet(struct port *p, int fd, const struct addr *peer)
{
	struct bridge *b = p->b;
	struct bridge_client *c;
	char name[80];

	addr_format(peer, name);
	if (!is_allowed(b, peer)) {
		b->stats.denied++;
		remark(b, "%s is not allowed here", name);
		close(fd);
		return;
	}
	is_taken(b);
	if (b->n_clients >= BRIDGE_CLIENTS_MAX) {
		b->stats.refused++;
		close(fd);
		return;
	}
	tune(b, fd);
	c = add_client(b, fd, p->kind, name);
	if (c)
		place(b, c);
}

static void resume(struct timer *t, uint64_t now_ns)
{
	struct port *p = CONTAINER_OF(t, struct port, resume);
	struct err e;

	(void)now_ns;
	if (loop_modify(&p->watch, EPOLLIN, &e) < 0)
		log_say(p->b->p.log, LOG_WARNING, "accept", "%s", e.msg);
}

/* Without descriptors left it would be told again and again that somebody waits. */
static void pause_port(struct port *p, const struct err *why)
{
	struct err e;

	log_say(p->b->p.log, LOG_WARNING, "accept", "%s", why->msg);
	if (loop_modify(&p->watch, 0, &e) == 0)
		timer_set(p->b->loop, &p->resume, loop_now(p->b->loop) + accept_pause_ns, resume);
}

static void knock(struct watch *w, uint32_t events)
{
	struct port *p = CONTAINER_OF(w, struct port, watch);

	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct addr peer;
		struct err e;
		int fd;

		if (sock_accept(p->fd, &fd, &peer, &e) < 0) {
			pause_port(p, &e);
			return;
		}
		if (fd < 0)
			return;
		greet(p, fd, &peer);
	}
}

int bridge_add_port(struct bridge *b, int fd, enum bridge_kind kind, struct err *e)
{
	struct port *p = &b->port[b->n_ports];

	if (b->n_ports == BRIDGE_PORTS_MAX) {
		close(fd);
		return err_set(e, ERR_USAGE, "ports", "more than %d ports", BRIDGE_PORTS_MAX);
	}
	*p = (struct port){ .b = b, .fd = fd, .kind = kind };
	b->n_ports++;
	return loop_add(b->loop, &p->watch, fd, EPOLLIN, knock, e);
}

static void pty_opened(void *ctx)
{
	struct bridge *b = ctx;
	struct bridge_client *c;
	struct err e;
	int fd;

	if (bridge_pty_session(b->pty, &fd, &e) < 0) {
		log_say(b->p.log, LOG_WARNING, "pty", "%s", e.msg);
		return;
	}
	c = add_client(b, fd, BRIDGE_PTY, bridge_pty_device(b->pty));
	if (!c) {
		bridge_pty_over(b->pty);
		return;
	}
	if (!is_taken(b)) {
		own(b, c);
		return;
	}
	remark(b, "pty %s %s", c->name, b->p.shared ? "watches" : "waits for its turn");
	c->role = BRIDGE_WATCHER;
	if (!b->p.shared)
		bridge_client_wait(c, 0);
}

int bridge_new(struct bridge **out, struct loop *l, const struct bridge_params *p, struct err *e)
{
	struct bridge *b = calloc(1, sizeof(*b));
	struct err ignored;

	if (!b)
		return err_nomem(e);
	b->p = *p;
	b->loop = l;
	b->p.link.ops = &link_ops;
	b->p.link.ctx = b;
	bridge_gather_init(&b->gather, l, p->chardelay_ns, deliver);
	if (bridge_stats_init(&b->stats, e) < 0 ||
	    (p->trace && bridge_trace_open(&b->trace, p->trace, clock_now(), e) < 0) ||
	    (p->pty && bridge_pty_open(&b->pty, l, p->pty, pty_opened, b, e) < 0) ||
	    bridge_link_open(&b->link, l, &b->p.link, e) < 0) {
		bridge_free(b, &ignored);
		return -1;
	}
	*out = b;
	return 0;
}

int bridge_run(struct bridge *b, struct err *e)
{
	enum loop_end why;

	if (loop_run(b->loop, 0, &why, e) < 0)
		return -1;
	bridge_gather_flush(&b->gather);
	if (!b->over || strstr(b->why.msg, "exit status 0"))
		return 0;
	*e = b->why;
	return -1;
}

/* What is still queued for a client is not lost to an end in order: its socket takes it in one go, or not. */
int bridge_free(struct bridge *b, struct err *e)
{
	int rc;

	if (!b)
		return 0;
	for (size_t i = 0; i < b->n_ports; i++) {
		loop_remove(&b->port[i].watch);
		timer_cancel(b->loop, &b->port[i].resume);
		close(b->port[i].fd);
	}
	while (b->clients) {
		struct bridge_client *c = b->clients;

		b->clients = c->next;
		bridge_client_free(c);
	}
	b->owner = NULL;
	bury(&b->bury, 0);
	timer_cancel(b->loop, &b->bury);
	timer_cancel(b->loop, &b->flush);
	timer_cancel(b->loop, &b->stuck);
	bridge_gather_done(&b->gather);
	bridge_link_close(b->link);
	bridge_pty_close(b->pty);
	rc = bridge_trace_close(b->trace, e);
	bridge_stats_done(&b->stats);
	free(b);
	return rc;
}

const struct bridge_stats *bridge_stats(const struct bridge *b)
{
	return &b->stats;
}

void bridge_link_counts(const struct bridge *b, struct bridge_link_stats *out)
{
	bridge_link_stats(b->link, out);
}

void bridge_calls(const struct bridge *b, struct bridge_calls *out)
{
	struct bridge_link_stats link;

	bridge_link_stats(b->link, &link);
	*out = (struct bridge_calls){ loop_wakeups(b->loop), b->stats.client_reads + link.reads };
	for (const struct bridge_client *c = b->clients; c; c = c->next)
		out->reads += c->stream.reads;
}

const char *bridge_pty_name(const struct bridge *b)
{
	return b->pty ? bridge_pty_device(b->pty) : NULL;
}
