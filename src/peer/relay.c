#include "peer/relay.h"

#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "io/dgram.h"

enum { BATCH = 32, PACKET_MAX = 65535, PORT_TRIES = 32 };

struct link {
	struct relay *relay;
	struct link *next;
	struct addr client, peer;
	bool has_peer; /* the server's port is known (TFTP) */
	int up, down;  /* towards the server; towards the client (-1: the listening socket) */
	struct watch up_watch, down_watch;
	struct impair *to_server, *to_client;
	struct timer idle;
	uint64_t heard_ns;
};

struct relay {
	struct relay_params params;
	struct loop *loop;
	struct addr address;
	int fd;
	struct watch watch;
	struct dgram_in in;
	struct link *links; /* newest first */
	struct relay_tcp *tcp;
	struct relay_counts counts;
};

static bool same_addr(const struct addr *a, const struct addr *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

/* What the kernel threw away because the socket's buffer was full. */
static uint64_t overrun(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
	    len <= SK_MEMINFO_DROPS * sizeof(info[0]))
		return 0;
	return info[SK_MEMINFO_DROPS];
}

static void add_link(struct relay_counts *sum, const struct link *k)
{
	if (k->to_server)
		impair_add_counts(&sum->to_server.link, impair_counts(k->to_server));
	if (k->to_client)
		impair_add_counts(&sum->to_client.link, impair_counts(k->to_client));
	sum->to_server.overrun += overrun(k->down);
	sum->to_client.overrun += overrun(k->up);
}

static void link_free(struct link *k)
{
	struct relay *r = k->relay;
	struct link **at = &r->links;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	add_link(&r->counts, k);
	timer_cancel(r->loop, &k->idle);
	loop_remove(&k->up_watch);
	loop_remove(&k->down_watch);
	impair_free(k->to_server);
	impair_free(k->to_client);
	fd_close(&k->up);
	fd_close(&k->down);
	r->counts.active--;
	free(k);
}

static void idle(struct timer *t, uint64_t now)
{
	struct link *k = CONTAINER_OF(t, struct link, idle);
	uint64_t due = k->heard_ns + k->relay->params.idle_ns;

	/* packets do not move the timer; it moves itself */
	if (now < due)
		timer_set(k->relay->loop, t, due, idle);
	else
		link_free(k);
}

static void send_to(struct relay_way *way, int fd, const struct addr *to, const uint8_t *bytes,
		    size_t len)
{
	const struct sockaddr *sa = (const struct sockaddr *)&to->sa;

	/* an ICMP error of an earlier packet is told in place of this one, which then goes at the second try */
	if (sendto(fd, bytes, len, MSG_DONTWAIT, sa, to->len) < 0 &&
	    sendto(fd, bytes, len, MSG_DONTWAIT, sa, to->len) < 0)
		way->unsent++;
}

static void emit_to_server(void *ctx, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct link *k = ctx;

	(void)to;
	send_to(&k->relay->counts.to_server, k->up,
		k->has_peer ? &k->peer : &k->relay->params.target, bytes, len);
}

static void emit_to_client(void *ctx, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct link *k = ctx;

	(void)to;
	send_to(&k->relay->counts.to_client, k->down >= 0 ? k->down : k->relay->fd, &k->client,
		bytes, len);
}

static void up_ready(struct watch *w, uint32_t events)
{
	struct link *k = CONTAINER_OF(w, struct link, up_watch);
	struct relay *r = k->relay;
	struct dgram d;

	(void)events;
	if (dgram_in_read(&r->in, k->up, 0, MSG_DONTWAIT) < 0)
		return;
	k->heard_ns = loop_now(r->loop);
	while (dgram_in_next(&r->in, &d)) {
		if (r->params.tftp && !k->has_peer) {
			k->peer = *d.from;
			k->has_peer = true;
		}
		if (!same_addr(k->has_peer ? &k->peer : &r->params.target, d.from))
			r->counts.foreign++;
		else
			impair_put(k->to_client, NULL, d.bytes, d.len);
	}
}

static void down_ready(struct watch *w, uint32_t events)
{
	struct link *k = CONTAINER_OF(w, struct link, down_watch);
	struct relay *r = k->relay;
	struct dgram d;

	(void)events;
	if (dgram_in_read(&r->in, k->down, 0, MSG_DONTWAIT) < 0)
		return;
	k->heard_ns = loop_now(r->loop);
	while (dgram_in_next(&r->in, &d)) {
		if (!same_addr(&k->client, d.from))
			r->counts.foreign++;
		else
			impair_put(k->to_server, NULL, d.bytes, d.len);
	}
}

/* A socket on any port of the family (and, towards the client, of the address) of `like`. */
static int open_side(struct link *k, int *fd, struct watch *w, const struct addr *like,
		     bool same_host, void (*ready)(struct watch *, uint32_t), struct err *e)
{
	struct addr a = *like;

	if (a.sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&a.sa)->sin6_port = 0;
	else
		((struct sockaddr_in *)&a.sa)->sin_port = 0;
	if (dgram_socket(fd, &a, same_host, false, e) < 0)
		return -1;
	dgram_rcvbuf(*fd, 4 << 20);
	return loop_add(k->relay->loop, w, *fd, EPOLLIN, ready, e);
}

static int link_fill(struct link *k, struct err *e)
{
	struct relay *r = k->relay;
	uint64_t seed = r->params.seed + r->counts.sessions * 2;

	if (open_side(k, &k->up, &k->up_watch, &r->params.target, false, up_ready, e) < 0 ||
	    (r->params.tftp &&
	     open_side(k, &k->down, &k->down_watch, &r->address, true, down_ready, e) < 0))
		return -1;
	return impair_new(&k->to_server, r->loop, &r->params.to_server, seed, emit_to_server, k,
			  e) < 0 ||
			       impair_new(&k->to_client, r->loop, &r->params.to_client, seed + 1,
					  emit_to_client, k, e) < 0
		       ? -1
		       : 0;
}

static void drop_oldest(struct relay *r)
{
	struct link *oldest = r->links;

	for (struct link *k = r->links; k; k = k->next) {
		if (k->heard_ns < oldest->heard_ns)
			oldest = k;
	}
	if (oldest)
		link_free(oldest);
}

static struct link *link_new(struct relay *r, const struct addr *client)
{
	struct link *k;
	struct err ignored;

	if (r->counts.active >= r->params.max_sessions)
		drop_oldest(r);
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->relay = r;
	k->client = *client;
	k->up = k->down = -1;
	k->heard_ns = loop_now(r->loop);
	k->next = r->links;
	r->links = k;
	r->counts.active++;
	r->counts.sessions++;
	if (link_fill(k, &ignored) < 0) {
		link_free(k);
		return NULL;
	}
	timer_set(r->loop, &k->idle, k->heard_ns + r->params.idle_ns, idle);
	return k;
}

static void listening_ready(struct watch *w, uint32_t events)
{
	struct relay *r = CONTAINER_OF(w, struct relay, watch);
	struct dgram d;

	(void)events;
	if (dgram_in_read(&r->in, r->fd, 0, MSG_DONTWAIT) < 0)
		return;
	while (dgram_in_next(&r->in, &d)) {
		struct link *k = r->links;

		while (k && !same_addr(&k->client, d.from))
			k = k->next;
		if (!k)
			k = link_new(r, d.from);
		if (!k)
			continue;
		k->heard_ns = loop_now(r->loop);
		impair_put(k->to_server, NULL, d.bytes, d.len);
	}
}

/* The port, which TCP must have too; where any will do, another one is tried when somebody has it. */
static int open_ports(struct relay *r, int *listener, struct err *e)
{
	bool any = addr_port(&r->params.listen) == 0;

	for (int i = 0;; i++) {
		fd_close(&r->fd);
		if (dgram_socket(&r->fd, &r->params.listen, true, false, e) < 0)
			return -1;
		r->address.len = sizeof(r->address.sa);
		if (getsockname(r->fd, (struct sockaddr *)&r->address.sa, &r->address.len) < 0)
			return err_sys(e, ERR_INTERNAL, "getsockname");
		if (r->params.tftp || sock_listen_at(listener, &r->address, NULL, e) == 0)
			return 0;
		if (!any || i == PORT_TRIES)
			return -1;
	}
}

int relay_open(struct relay **out, struct loop *l, const struct relay_params *p, struct err *e)
{
	CLEANUP(relay_close) struct relay *r = calloc(1, sizeof(*r));
	CLEANUP_FD int listener = -1;

	if (!r)
		return err_nomem(e);
	r->params = *p;
	r->loop = l;
	r->fd = -1;
	if (dgram_in_init(&r->in, BATCH, PACKET_MAX, false, e) < 0 ||
	    open_ports(r, &listener, e) < 0)
		return -1;
	dgram_rcvbuf(r->fd, 4 << 20);
	if (listener >= 0 &&
	    relay_tcp_open(&r->tcp, l, fd_take(&listener), &p->target, p->max_sessions, e) < 0)
		return -1;
	if (loop_add(l, &r->watch, r->fd, EPOLLIN, listening_ready, e) < 0)
		return -1;
	*out = TAKE(r);
	return 0;
}

const struct addr *relay_address(const struct relay *r)
{
	return &r->address;
}

void relay_counts(const struct relay *r, struct relay_counts *out)
{
	*out = r->counts;
	for (const struct link *k = r->links; k; k = k->next)
		add_link(out, k);
	out->to_server.overrun += overrun(r->fd);
	if (r->tcp)
		out->tcp = *relay_tcp_counts(r->tcp);
}

void relay_close(struct relay *r)
{
	if (!r)
		return;
	while (r->links)
		link_free(r->links);
	relay_tcp_close(r->tcp);
	if (r->watch.loop)
		loop_remove(&r->watch);
	fd_close(&r->fd);
	dgram_in_done(&r->in);
	free(r);
}
