#include "peer/relay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "io/dgram.h"

enum { BATCH = 32, PACKET_MAX = 65535 };

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
	struct relay_counts counts;
};

static bool same_addr(const struct addr *a, const struct addr *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

static void add_counts(struct impair_counts *sum, const struct impair_counts *more)
{
	sum->seen += more->seen;
	sum->passed += more->passed;
	sum->dropped += more->dropped;
	sum->repeated += more->repeated;
	sum->reordered += more->reordered;
	sum->corrupted += more->corrupted;
	sum->held += more->held;
	sum->overflow += more->overflow;
}

static void link_free(struct link *k)
{
	struct relay *r = k->relay;
	struct link **at = &r->links;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	if (k->to_server)
		add_counts(&r->counts.to_server, impair_counts(k->to_server));
	if (k->to_client)
		add_counts(&r->counts.to_client, impair_counts(k->to_client));
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

static void send_to(int fd, const struct addr *to, const uint8_t *bytes, size_t len)
{
	/* a full socket and a closed port lose the packet, as a link does */
	if (sendto(fd, bytes, len, MSG_DONTWAIT, (const struct sockaddr *)&to->sa, to->len) < 0)
		return;
}

static void emit_to_server(void *ctx, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct link *k = ctx;

	(void)to;
	send_to(k->up, k->has_peer ? &k->peer : &k->relay->params.target, bytes, len);
}

static void emit_to_client(void *ctx, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct link *k = ctx;

	(void)to;
	send_to(k->down >= 0 ? k->down : k->relay->fd, &k->client, bytes, len);
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
		if (r->params.tftp && !same_addr(&k->peer, d.from))
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

int relay_open(struct relay **out, struct loop *l, const struct relay_params *p, struct err *e)
{
	CLEANUP(relay_close) struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	r->params = *p;
	r->loop = l;
	r->fd = -1;
	if (dgram_in_init(&r->in, BATCH, PACKET_MAX, false, e) < 0 ||
	    dgram_socket(&r->fd, &p->listen, true, false, e) < 0)
		return -1;
	r->address.len = sizeof(r->address.sa);
	if (getsockname(r->fd, (struct sockaddr *)&r->address.sa, &r->address.len) < 0)
		return err_sys(e, ERR_INTERNAL, "getsockname");
	dgram_rcvbuf(r->fd, 4 << 20);
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
	for (const struct link *k = r->links; k; k = k->next) {
		add_counts(&out->to_server, impair_counts(k->to_server));
		add_counts(&out->to_client, impair_counts(k->to_client));
	}
}

void relay_close(struct relay *r)
{
	if (!r)
		return;
	while (r->links)
		link_free(r->links);
	if (r->watch.loop)
		loop_remove(&r->watch);
	fd_close(&r->fd);
	dgram_in_done(&r->in);
	free(r);
}
