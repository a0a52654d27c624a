#include "peer/iperf-server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/iperf-guest.h"

/* Connections whose cookie is awaited, and clients at once. */
enum { PENDING_MAX = 256, GUESTS_MAX = 64 };

struct pending {
	int fd;
	struct addr from;
	uint8_t cookie[IPERF3_COOKIE];
	size_t got;
	bool parked; /* a place becomes free for it in a moment */
	uint64_t until_ns;
};

struct iperf_server {
	struct iperf_server_params p;
	int listener, over_fd;
	struct addr bound;
	struct pending pending[PENDING_MAX]; /* in the order in which they came */
	unsigned n_pending;
	struct iperf_guest *guest[GUESTS_MAX];
	unsigned n_guests;
	pthread_mutex_t udp_lock, tell_lock;
	struct iperf_server_counts counts;
	bool done; /* one_off: the client is gone */
	uint64_t idle_since_ns;
	struct err failure;
};

int iperf_server_open(struct iperf_server **out, const struct iperf_server_params *p, struct err *e)
{
	struct iperf_server *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->p = *p;
	s->listener = -1;
	if (s->p.max_clients > GUESTS_MAX)
		s->p.max_clients = GUESTS_MAX;
	pthread_mutex_init(&s->udp_lock, NULL);
	pthread_mutex_init(&s->tell_lock, NULL);
	s->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->over_fd < 0) {
		iperf_server_free(s);
		return err_sys(e, ERR_MACHINE, "eventfd");
	}
	if (sock_listen(&s->listener, p->host, p->port, &s->bound, e) < 0) {
		iperf_server_free(s);
		return -1;
	}
	*out = s;
	return 0;
}

void iperf_server_free(struct iperf_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n_guests; i++)
		iperf_guest_free(s->guest[i]);
	for (unsigned i = 0; i < s->n_pending; i++)
		fd_close(&s->pending[i].fd);
	fd_close(&s->listener);
	fd_close(&s->over_fd);
	pthread_mutex_destroy(&s->udp_lock);
	pthread_mutex_destroy(&s->tell_lock);
	free(s);
}

const struct addr *iperf_server_address(const struct iperf_server *s)
{
	return &s->bound;
}

void iperf_server_counts(const struct iperf_server *s, struct iperf_server_counts *out)
{
	*out = s->counts;
}

static void drop_pending(struct iperf_server *s, unsigned i)
{
	fd_close(&s->pending[i].fd);
	memmove(&s->pending[i], &s->pending[i + 1], (s->n_pending - i - 1) * sizeof(s->pending[0]));
	s->n_pending--;
}

static struct iperf_guest *guest_of(const struct iperf_server *s, const uint8_t *cookie)
{
	for (unsigned i = 0; i < s->n_guests; i++)
		if (!atomic_load(&s->guest[i]->over) &&
		    memcmp(s->guest[i]->cookie, cookie, IPERF3_COOKIE) == 0)
			return s->guest[i];
	return NULL;
}

static void deny(struct iperf_server *s, int fd)
{
	const uint8_t byte = IPERF3_ACCESS_DENIED;

	s->counts.busy++;
	(void)!send(fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool someone_leaves(const struct iperf_server *s)
{
	for (unsigned i = 0; i < s->n_guests; i++)
		if (atomic_load(&s->guest[i]->leaving) || atomic_load(&s->guest[i]->over))
			return true;
	return false;
}

/* A connection that has said whose it is: a stream of a test, a new client, or one too many. */
static int place(struct iperf_server *s, struct pending *c, struct err *e)
{
	const struct iperf_guest like = { .p = &s->p,
					  .bound = &s->bound,
					  .udp_lock = &s->udp_lock,
					  .tell_lock = &s->tell_lock,
					  .over_fd = s->over_fd };
	struct iperf_guest *g = guest_of(s, c->cookie);

	if (g) {
		if (iperf_guest_offer(g, c->fd))
			c->fd = -1;
		else
			deny(s, c->fd);
		return 0;
	}
	if (s->n_guests >= s->p.max_clients) {
		c->parked = someone_leaves(s);
		if (!c->parked)
			deny(s, c->fd);
		return 0;
	}
	c->parked = false;
	s->counts.tests++;
	if (iperf_guest_new(&g, &like, fd_take(&c->fd), &c->from, c->cookie, e) < 0)
		return -1;
	s->guest[s->n_guests++] = g;
	return 0;
}

/* Reads no byte beyond the cookie: the rest belongs to whoever gets the connection. True when it can be dropped. */
static bool read_cookie(struct iperf_server *s, struct pending *c)
{
	struct err e;
	ssize_t n = recv(c->fd, c->cookie + c->got, IPERF3_COOKIE - c->got, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		s->counts.strangers++;
		return true;
	}
	c->got += (size_t)n;
	if (c->got < IPERF3_COOKIE)
		return false;
	if (place(s, c, &e) < 0)
		s->counts
			.failed++; /* no thread, no memory: this client is turned away, the server stays */
	return !c->parked;
}

static void accept_some(struct iperf_server *s)
{
	struct err e;

	while (s->n_pending < PENDING_MAX) {
		struct pending *c = &s->pending[s->n_pending];
		int fd = -1;

		if (sock_accept(s->listener, &fd, &c->from, &e) < 0 || fd < 0)
			return;
		c->fd = fd;
		c->got = 0;
		c->parked = false;
		c->until_ns = clock_now() + s->p.step_timeout_ns;
		s->n_pending++;
	}
}

static void bury(struct iperf_server *s)
{
	uint64_t count;

	while (read(s->over_fd, &count, sizeof(count)) > 0)
		continue;
	for (unsigned i = 0; i < s->n_guests;) {
		struct iperf_guest *g = s->guest[i];

		if (!atomic_load(&g->over)) {
			i++;
			continue;
		}
		if (atomic_load(&g->complete)) {
			s->counts.complete++;
		} else {
			s->counts.failed++;
			s->failure = g->failure;
		}
		s->done = s->p.one_off;
		s->idle_since_ns = clock_now();
		iperf_guest_free(g);
		s->guest[i] = s->guest[--s->n_guests];
	}
}

/* Those who waited for a place, in the order in which they came. */
static void place_parked(struct iperf_server *s)
{
	struct err e;

	for (unsigned i = 0; i < s->n_pending;) {
		struct pending *c = &s->pending[i];

		if (!c->parked) {
			i++;
			continue;
		}
		if (place(s, c, &e) < 0)
			s->counts.failed++;
		if (c->parked)
			i++;
		else
			drop_pending(s, i);
	}
}

static int wait_ms(const struct iperf_server *s)
{
	uint64_t now = clock_now(), next = UINT64_MAX;

	for (unsigned i = 0; i < s->n_pending; i++)
		next = s->pending[i].until_ns < next ? s->pending[i].until_ns : next;
	if (s->p.one_off && s->n_guests == 0 && s->idle_since_ns + s->p.idle_timeout_ns < next)
		next = s->idle_since_ns + s->p.idle_timeout_ns;
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now) / NS_PER_MS + 1);
}

static void look_at_pending(struct iperf_server *s, const struct pollfd *p, unsigned n)
{
	uint64_t now = clock_now();

	/* p[i] belongs to pending[i] as long as none before it was dropped: so from the front, with a moving index */
	for (unsigned i = 0, k = 0; i < n; i++) {
		bool drop = p[i].revents ? read_cookie(s, &s->pending[k])
					 : now >= s->pending[k].until_ns;

		if (drop)
			drop_pending(s, k);
		else
			k++;
	}
}

static int one_round(struct iperf_server *s, bool *stop, struct err *e)
{
	struct pollfd p[3 + PENDING_MAX];
	unsigned n = s->n_pending;
	int got;

	p[0] = (struct pollfd){ .fd = s->p.stop_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->over_fd, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = n < PENDING_MAX ? s->listener : -1, .events = POLLIN };
	for (unsigned i = 0; i < n; i++)
		p[3 + i] = (struct pollfd){ .fd = s->pending[i].parked ? -1 : s->pending[i].fd,
					    .events = POLLIN };
	got = poll(p, 3 + n, wait_ms(s));
	if (got < 0 && errno != EINTR)
		return err_sys(e, ERR_INTERNAL, "poll");
	*stop = p[0].revents != 0;
	if (got < 0 || *stop)
		return 0;
	look_at_pending(s, &p[3], n);
	if (p[1].revents) {
		bury(s);
		place_parked(s);
	}
	if (p[2].revents)
		accept_some(s);
	return 0;
}

int iperf_server_run(struct iperf_server *s, struct err *e)
{
	bool stop = false;

	s->idle_since_ns = clock_now();
	while (!stop && !s->done) {
		if (one_round(s, &stop, e) < 0)
			return -1;
		if (s->p.one_off && s->n_guests == 0 && !s->done &&
		    clock_now() - s->idle_since_ns >= s->p.idle_timeout_ns)
			return err_set(e, ERR_TARGET, "timeout", "no client came within %.3g s",
				       (double)s->p.idle_timeout_ns / 1e9);
	}
	if (s->done && s->counts.complete == 0) {
		*e = s->failure;
		return -1;
	}
	return 0;
}
