#include "peer/tftp-worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* How many transfers one address has under way. */
struct tftp_client_count {
	struct addr host; /* port 0 */
	unsigned n;
	struct tftp_client_count *next;
};

struct transfer {
	struct tftp_worker *worker;
	struct transfer *next, **link; /* in its bucket */
	struct tftp_reply reply;
	struct tftp_file file;
	struct addr peer;
	struct tftp_client_count *count;
	int fd; /* its transfer ID; the listening socket with single_port */
	struct watch watch;
	struct timer timer;
	uint64_t heard_ns;
	struct tftp_refusal refusal;
	bool unreachable;
	char name[];
};

static uint32_t mix(uint32_t h, const void *data, size_t len)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * 16777619U;
	return h;
}

/* Of the address, and of the port when asked for. */
static uint32_t hash_address(const struct addr *a, bool with_port)
{
	uint16_t port = with_port ? addr_port(a) : 0;
	uint32_t h = mix(2166136261U, &port, sizeof(port));

	if (a->sa.ss_family == AF_INET6)
		h = mix(h, &((const struct sockaddr_in6 *)&a->sa)->sin6_addr, 16);
	else
		h = mix(h, &((const struct sockaddr_in *)&a->sa)->sin_addr, 4);
	return h % TFTP_BUCKETS;
}

static bool same_host(const struct addr *a, const struct addr *b)
{
	if (a->sa.ss_family != b->sa.ss_family)
		return false;
	if (a->sa.ss_family == AF_INET6)
		return memcmp(&((const struct sockaddr_in6 *)&a->sa)->sin6_addr,
			      &((const struct sockaddr_in6 *)&b->sa)->sin6_addr, 16) == 0;
	return memcmp(&((const struct sockaddr_in *)&a->sa)->sin_addr,
		      &((const struct sockaddr_in *)&b->sa)->sin_addr, 4) == 0;
}

static struct transfer *find_transfer(struct tftp_worker *w, const struct addr *peer)
{
	struct transfer *t = w->bucket[hash_address(peer, true)];

	while (t && !(same_host(&t->peer, peer) && addr_port(&t->peer) == addr_port(peer)))
		t = t->next;
	return t;
}

static struct tftp_client_count *count_of(struct tftp_worker *w, const struct addr *peer)
{
	struct tftp_client_count **head = &w->client[hash_address(peer, false)], *c = *head;

	while (c && !same_host(&c->host, peer))
		c = c->next;
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->host = *peer;
	c->next = *head;
	*head = c;
	return c;
}

static void release_count(struct tftp_worker *w, struct tftp_client_count *c)
{
	struct tftp_client_count **at = &w->client[hash_address(&c->host, false)];

	if (c->n > 0 && --c->n > 0)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

static void tell(struct tftp_worker *w, const struct transfer *t, const char *why)
{
	struct tftp_server_event ev = {
		.client = &t->peer,
		.file = t->name,
		.write = t->reply.write,
		.why = why,
		.bytes = tftp_reply_bytes(&t->reply),
		.duration_ns = ns_since(t->reply.started_ns, loop_now(w->loop)),
		.timeouts = t->reply.timeouts,
		.resent = t->reply.tx.resent,
		.agreed = &t->reply.got,
		.blksize = t->reply.blksize,
		.windowsize = t->reply.windowsize,
	};

	if (w->params->ended)
		w->params->ended(w->params->ctx, &ev);
}

static void transfer_free(struct transfer *t)
{
	struct tftp_worker *w = t->worker;

	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	timer_cancel(w->loop, &t->timer);
	loop_remove(&t->watch);
	if (t->fd != w->fd)
		fd_close(&t->fd);
	tftp_file_close(&t->file);
	release_count(w, t->count);
	w->stats.active--;
	free(t);
}

static void transfer_end(struct transfer *t, const char *why)
{
	struct tftp_worker *w = t->worker;

	if (why)
		w->stats.failed++;
	else
		w->stats.complete++;
	w->stats.bytes += tftp_reply_bytes(&t->reply);
	tell(w, t, why);
	transfer_free(t);
}

/* A watched descriptor of ours can only fail to change for want of kernel memory: the timers get over it. */
static void watch_for(struct watch *watch, uint32_t events)
{
	struct err ignored;

	if (loop_modify(watch, events, &ignored) < 0)
		return;
}

/* With one socket for all, what goes out waits for the end of the batch that came in. */
static void flush_shared(struct tftp_worker *w)
{
	/* what does not fit into the socket is lost like on any network: the transfers' timers see to it */
	if (w->out.n)
		(void)dgram_out_flush(&w->out, w->fd, NULL);
}

/* Returns datagrams that did not go for want of room in the socket. */
static unsigned flush_own(struct transfer *t)
{
	unsigned unsent = 0;

	if (dgram_out_flush(&t->worker->out, t->fd, &unsent) < 0 && errno == ECONNREFUSED)
		t->unreachable = true;
	return unsent;
}

static uint8_t *reserve(struct transfer *t, size_t size, unsigned count)
{
	struct tftp_worker *w = t->worker;
	bool shared = w->params->single_port;
	const struct addr *to = shared ? &t->peer : NULL;
	uint8_t *room = dgram_out_reserve(&w->out, to, size, count);

	if (room)
		return room;
	if (shared)
		flush_shared(w);
	else
		(void)flush_own(t);
	return dgram_out_reserve(&w->out, to, size, count);
}

static void send_packet(void *ctx, const void *packet, size_t len)
{
	struct transfer *t = ctx;
	uint8_t *room = reserve(t, len, 1);

	if (!room)
		return;
	memcpy(room, packet, len);
	dgram_out_commit(&t->worker->out, len);
	if (!t->worker->params->single_port)
		(void)flush_own(t);
}

/* The most blocks that go into one piece of the out buffer and, read ahead, of the file. */
static unsigned piece_of(const struct transfer *t, uint32_t left)
{
	struct dgram_out *out = &t->worker->out;
	unsigned n = out->segment ? dgram_out_fits(TFTP_HEADER + t->reply.blksize) : 1;

	return n < left ? n : left;
}

static bool put_blocks(struct transfer *t, uint64_t first, unsigned n)
{
	const struct tftp_sender *tx = &t->reply.tx;
	uint32_t size = TFTP_HEADER + tx->blksize, last = tftp_sender_length(tx, first + n - 1);
	size_t total = (size_t)(n - 1) * tx->blksize + last;
	const uint8_t *from = tftp_file_at(&t->file, (first - 1) * tx->blksize, total);
	uint8_t *room = from ? reserve(t, size, n) : NULL;

	if (!room) {
		t->refusal =
			(struct tftp_refusal){ TFTP_E_OTHER, "the file changed or cannot be read" };
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		tftp_format_header(room + (size_t)i * size, TFTP_DATA,
				   tftp_wire(first + i, tx->rollover));
		memcpy(room + (size_t)i * size + TFTP_HEADER, from + (size_t)i * tx->blksize,
		       i + 1 < n ? tx->blksize : last);
	}
	dgram_out_commit(&t->worker->out, total + (size_t)n * TFTP_HEADER);
	return true;
}

static uint32_t send_blocks(void *ctx, uint64_t first, uint32_t count)
{
	struct transfer *t = ctx;
	uint32_t done = 0;

	while (done < count && !t->unreachable && !t->refusal.text) {
		unsigned n = piece_of(t, count - done), unsent;

		if (!put_blocks(t, first + done, n))
			return done;
		done += n;
		if (t->worker->params->single_port ||
		    (done < count && t->worker->out.n < t->worker->out.batch &&
		     t->worker->out.used + (size_t)n * (TFTP_HEADER + t->reply.blksize) <
			     DGRAM_OUT_BYTES))
			continue;
		unsent = flush_own(t);
		if (unsent) {
			watch_for(&t->watch, EPOLLIN | EPOLLOUT);
			return unsent < done ? done - unsent : 0;
		}
	}
	return done;
}

static int deliver(void *ctx, uint64_t offset, const void *data, size_t len, uint16_t *code,
		   const char **text)
{
	struct transfer *t = ctx;
	struct tftp_refusal why;

	(void)offset;
	if (tftp_file_write(&t->file, data, len, &why) == 0)
		return 0;
	*code = why.code;
	*text = why.text;
	return -1;
}

static int commit(void *ctx, uint16_t *code, const char **text)
{
	struct transfer *t = ctx;
	struct tftp_refusal why;

	if (tftp_file_commit(&t->file, &why) == 0)
		return 0;
	*code = why.code;
	*text = why.text;
	return -1;
}

static const struct tftp_reply_ops ops = {
	.send = send_packet,
	.send_blocks = send_blocks,
	.deliver = deliver,
	.commit = commit,
};

static void expired(struct timer *timer, uint64_t now);

/* After its machine was called: what it came to. True when the transfer is still there. */
static bool settle(struct transfer *t)
{
	if (t->refusal.text)
		tftp_reply_abort(&t->reply, t->refusal.code, t->refusal.text);
	if (tftp_reply_over(&t->reply)) {
		transfer_end(t, t->reply.why);
		return false;
	}
	if (t->unreachable) {
		/* an upload that is complete needs nobody to listen any more */
		transfer_end(t, t->reply.state == TFTP_REPLY_DALLYING
					? NULL
					: "the client's port is closed");
		return false;
	}
	/* the deadline moves with each packet: the timer is only set when it would come too late */
	if (!timer_is_set(&t->timer) || t->timer.at_ns > t->reply.deadline_ns)
		timer_set(t->worker->loop, &t->timer, t->reply.deadline_ns, expired);
	return true;
}

static void expired(struct timer *timer, uint64_t now)
{
	struct transfer *t = CONTAINER_OF(timer, struct transfer, timer);
	struct tftp_worker *w = t->worker;

	tftp_reply_expire(&t->reply, now);
	settle(t);
	flush_shared(w);
}

/* Reads one batch of a transfer's own socket. True when the transfer is still there. */
static bool drain(struct transfer *t)
{
	struct tftp_worker *w = t->worker;
	/* a read is answered with one ACK at a time; an upload comes in windows */
	unsigned slots = t->reply.write && t->reply.windowsize > 1 ? 0 : 1;
	struct dgram d;
	uint64_t now;

	if (dgram_in_read(&w->data, t->fd, slots, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED) {
		/* the error is told before what came ahead of it, perhaps the last ACK */
		t->unreachable = true;
		(void)dgram_in_read(&w->data, t->fd, slots, MSG_DONTWAIT);
	}
	now = loop_now(w->loop);
	while (dgram_in_next(&w->data, &d)) {
		t->heard_ns = now;
		tftp_reply_input(&t->reply, d.bytes, d.len, now);
	}
	return settle(t);
}

static void own_ready(struct watch *watch, uint32_t events)
{
	struct transfer *t = CONTAINER_OF(watch, struct transfer, watch);

	if (events & EPOLLOUT) {
		watch_for(watch, EPOLLIN);
		tftp_reply_resume(&t->reply);
		if (!settle(t))
			return;
	}
	if (events & ~(uint32_t)EPOLLOUT)
		drain(t);
}

static void refuse(struct tftp_worker *w, const struct addr *to, uint16_t code, const char *text)
{
	uint8_t packet[TFTP_CONTROL_MAX];
	size_t n = tftp_format_error(packet, sizeof(packet), code, text);
	uint8_t *room;

	w->stats.refused++;
	room = dgram_out_reserve(&w->out, to, n, 1);
	if (!room) {
		flush_shared(w);
		room = dgram_out_reserve(&w->out, to, n, 1);
	}
	if (!room)
		return;
	memcpy(room, packet, n);
	dgram_out_commit(&w->out, n);
	flush_shared(w);
}

static void refuse_request(struct tftp_worker *w, const struct addr *from,
			   const struct tftp_packet *p, const struct tftp_refusal *why)
{
	struct tftp_options none = { 0 };
	struct tftp_server_event ev = { .client = from,
					.file = p->file,
					.write = p->op == TFTP_WRQ,
					.why = why->text,
					.agreed = &none };

	refuse(w, from, why->code, why->text);
	if (w->params->ended)
		w->params->ended(w->params->ctx, &ev);
}

/* Its own socket, from the address that was asked, connected: the kernel keeps strangers out and tells when the client's port is
 * closed, which frees the slot at once. */
static int open_socket(struct transfer *t, const struct addr *local, struct err *e)
{
	struct tftp_worker *w = t->worker;
	struct addr a = w->wildcard && local ? *local : w->bound;
	int one = 1;

	if (w->params->single_port) {
		t->fd = w->fd;
		return 0;
	}
	if (a.sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&a.sa)->sin6_port = 0;
	else
		((struct sockaddr_in *)&a.sa)->sin_port = 0;
	if (dgram_socket(&t->fd, &a, true, false, e) < 0)
		return -1;
	if (connect(t->fd, (const struct sockaddr *)&t->peer.sa, t->peer.len) < 0)
		return err_sys(e, ERR_MACHINE, "connect");
	if (t->reply.write && w->params->batch > 1 && w->params->segment)
		setsockopt(t->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	return loop_add(w->loop, &t->watch, t->fd, EPOLLIN, own_ready, e);
}

static struct transfer *transfer_new(struct tftp_worker *w, const struct addr *from,
				     const struct tftp_packet *p)
{
	size_t n = strlen(p->file) + 1;
	struct transfer *t = calloc(1, sizeof(*t) + n);
	struct transfer **head = &w->bucket[hash_address(from, true)];

	if (!t)
		return NULL;
	t->count = count_of(w, from);
	if (!t->count) {
		free(t);
		return NULL;
	}
	t->count->n++;
	memcpy(t->name, p->file, n);
	t->worker = w;
	t->peer = *from;
	t->fd = t->file.fd = t->file.dir_fd = -1;
	t->reply.write = p->op == TFTP_WRQ;
	t->heard_ns = loop_now(w->loop);
	t->next = *head;
	t->link = head;
	if (*head)
		(*head)->link = &t->next;
	*head = t;
	if (++w->stats.active > w->stats.peak)
		w->stats.peak = w->stats.active;
	return t;
}

/* A repeated request starts no second transfer; a new one from a port whose old transfer is over, or silent, does. */
static bool is_repeated(struct tftp_worker *w, const struct addr *from)
{
	struct transfer *t = find_transfer(w, from);

	if (!t)
		return false;
	if (t->fd != w->fd && !drain(t))
		return false;
	if (t->reply.state == TFTP_REPLY_DALLYING) {
		transfer_end(t, NULL);
		return false;
	}
	if (ns_since(t->heard_ns, loop_now(w->loop)) < w->params->limits.timeout_ns / 2)
		return true;
	if (t->reply.state == TFTP_REPLY_NEGOTIATING || tftp_reply_bytes(&t->reply) == 0)
		return true; /* our first answer is repeated by its own timer */
	transfer_end(t, "the client began anew");
	return false;
}

/* Uploads that are complete and only wait for a lost ACK make room. */
static void make_room(struct tftp_worker *w)
{
	for (unsigned i = 0; i < TFTP_BUCKETS && w->stats.active >= w->params->max_transfers; i++) {
		for (struct transfer *t = w->bucket[i], *next; t; t = next) {
			next = t->next;
			if (t->reply.state == TFTP_REPLY_DALLYING)
				transfer_end(t, NULL);
		}
	}
}

static bool has_room(struct tftp_worker *w, const struct addr *from, struct tftp_refusal *why)
{
	const struct tftp_client_count *c = w->client[hash_address(from, false)];

	if (w->stats.active >= w->params->max_transfers)
		make_room(w);
	while (c && !same_host(&c->host, from))
		c = c->next;
	*why = (struct tftp_refusal){ TFTP_E_OTHER, "server busy" };
	return w->stats.active < w->params->max_transfers &&
	       (!c || c->n < w->params->max_per_client);
}

static int open_file(struct tftp_worker *w, struct transfer *t, const struct tftp_packet *p,
		     struct tftp_refusal *why)
{
	if (p->op == TFTP_RRQ)
		return tftp_file_read_open(&t->file, w->files, p->file, p->mode, why);
	if ((p->opt.set & TFTP_OPT_TSIZE) && p->opt.tsize > w->params->limits.max_bytes) {
		*why = (struct tftp_refusal){ TFTP_E_FULL, "upload too large" };
		return -1;
	}
	return tftp_file_write_open(&t->file, w->files, p->file, p->mode, ++w->serial, why);
}

static void serve_request(struct tftp_worker *w, const struct dgram *d, const struct tftp_packet *p)
{
	struct tftp_refusal why;
	struct transfer *t;
	struct err e;
	uint64_t now = loop_now(w->loop);

	if (is_repeated(w, d->from))
		return;
	w->stats.requests++;
	if (!has_room(w, d->from, &why)) {
		refuse_request(w, d->from, p, &why);
		return;
	}
	t = transfer_new(w, d->from, p);
	why = (struct tftp_refusal){ TFTP_E_OTHER, "server out of resources" };
	if (!t || open_file(w, t, p, &why) < 0 || open_socket(t, d->local, &e) < 0) {
		if (t)
			transfer_free(t);
		refuse_request(w, d->from, p, &why);
		return;
	}
	tftp_reply_start(&t->reply, &w->params->limits, p, t->file.size, &ops, t, now);
	if (t->reply.write && t->fd != w->fd && t->reply.windowsize > 1)
		dgram_rcvbuf(t->fd, 2 * (size_t)t->reply.windowsize *
					    dgram_charge(TFTP_HEADER + t->reply.blksize));
	settle(t);
}

static void take_datagram(struct tftp_worker *w, const struct dgram *d)
{
	struct tftp_packet p;
	const char *why;
	struct transfer *t;

	if (tftp_parse(&p, d->bytes, d->len, &why) < 0) {
		refuse(w, d->from, TFTP_E_ILLEGAL, why);
		return;
	}
	if (p.op == TFTP_RRQ || p.op == TFTP_WRQ) {
		serve_request(w, d, &p);
		return;
	}
	t = w->params->single_port ? find_transfer(w, d->from) : NULL;
	if (t) {
		t->heard_ns = loop_now(w->loop);
		tftp_reply_input(&t->reply, d->bytes, d->len, t->heard_ns);
		settle(t);
	} else if (p.op != TFTP_ERROR) {
		refuse(w, d->from, TFTP_E_UNKNOWN_TID, "unknown transfer ID");
	}
}

static void read_batch(struct tftp_worker *w)
{
	struct dgram d;

	if (dgram_in_read(&w->requests, w->fd, 0, MSG_DONTWAIT) < 0)
		return; /* an ICMP error about an earlier answer */
	while (dgram_in_next(&w->requests, &d))
		take_datagram(w, &d);
	flush_shared(w);
}

static void gathered(struct timer *timer, uint64_t now)
{
	struct tftp_worker *w = CONTAINER_OF(timer, struct tftp_worker, gather);

	(void)now;
	read_batch(w);
	watch_for(&w->watch, EPOLLIN);
}

static void listening_ready(struct watch *watch, uint32_t events)
{
	struct tftp_worker *w = CONTAINER_OF(watch, struct tftp_worker, watch);

	(void)events;
	if (!w->params->batch_timeout_ns) {
		read_batch(w);
		return;
	}
	watch_for(watch, 0);
	timer_set(w->loop, &w->gather, loop_now(w->loop) + w->params->batch_timeout_ns, gathered);
}

static bool is_wildcard(const struct addr *a)
{
	if (a->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->sa)->sin6_addr);
	return ((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr == 0;
}

int tftp_worker_init(struct tftp_worker *w, const struct tftp_server_params *p,
		     const struct tftp_files *files, int fd, struct err *e)
{
	int one = 1;
	bool joined = p->segment && p->batch > 1;

	memset(w, 0, sizeof(*w));
	w->params = p;
	w->files = files;
	w->fd = fd;
	w->bound.len = sizeof(w->bound.sa);
	if (getsockname(fd, (struct sockaddr *)&w->bound.sa, &w->bound.len) < 0) {
		err_sys(e, ERR_INTERNAL, "getsockname");
		tftp_worker_done(w);
		return -1;
	}
	w->wildcard = is_wildcard(&w->bound);
	if (w->wildcard) {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	}
	/* a storm of clients asks at once */
	dgram_rcvbuf(fd, (size_t)p->max_transfers * dgram_charge(p->single_port ? 1432 : 516));
	if (dgram_in_init(&w->requests, p->batch, TFTP_PACKET_MAX, w->wildcard, e) < 0 ||
	    dgram_in_init(&w->data, p->batch, TFTP_PACKET_MAX, joined, e) < 0 ||
	    dgram_out_init(&w->out, p->batch, p->segment, e) < 0) {
		tftp_worker_done(w);
		return -1;
	}
	return 0;
}

static void stop_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	loop_stop(watch->loop);
}

int tftp_worker_run(struct tftp_worker *w, int stop_fd, struct err *e)
{
	struct watch stop = { .fd = -1 };
	enum loop_end why;
	int rc;

	if (loop_new(&w->loop, e) < 0 ||
	    loop_add(w->loop, &w->watch, w->fd, EPOLLIN, listening_ready, e) < 0 ||
	    loop_add(w->loop, &stop, stop_fd, EPOLLIN, stop_ready, e) < 0)
		return -1;
	rc = loop_run(w->loop, 0, &why, e);
	loop_remove(&stop);
	return rc;
}

void tftp_worker_done(struct tftp_worker *w)
{
	if (w->loop) {
		for (unsigned i = 0; i < TFTP_BUCKETS; i++) {
			while (w->bucket[i])
				transfer_end(w->bucket[i],
					     w->bucket[i]->reply.state == TFTP_REPLY_DALLYING
						     ? NULL
						     : "the server stopped");
		}
		loop_remove(&w->watch);
		timer_cancel(w->loop, &w->gather);
	}
	loop_free(w->loop);
	w->loop = NULL;
	fd_close(&w->fd);
	dgram_in_done(&w->requests);
	dgram_in_done(&w->data);
	dgram_out_done(&w->out);
}
