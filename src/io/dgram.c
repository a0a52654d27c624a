#include "io/dgram.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	/* A kernel joins no more than this into one datagram, and the UDP length field ends there. */
	SEGMENTS_MAX = 64,
	JOINED_MAX = 65507,
	STAGGER = 4160, /* keeps the starts of large slots out of the same cache sets */
};

int dgram_in_init(struct dgram_in *in, unsigned slots, size_t size_max, bool control, struct err *e)
{
	memset(in, 0, sizeof(*in));
	in->slots = slots;
	in->stride = size_max + (size_max >= 32768 ? STAGGER : 64);
	in->control = control;
	in->memory = malloc(in->stride * slots);
	in->msg = calloc(slots, sizeof(*in->msg));
	in->iov = calloc(slots, sizeof(*in->iov));
	in->from = calloc(slots, sizeof(*in->from));
	in->local = calloc(slots, sizeof(*in->local));
	in->aux = calloc(slots, sizeof(*in->aux));
	if (!in->memory || !in->msg || !in->iov || !in->from || !in->local || !in->aux) {
		dgram_in_done(in);
		return err_nomem(e);
	}
	for (unsigned i = 0; i < slots; i++) {
		in->iov[i] = (struct iovec){ in->memory + i * in->stride, size_max };
		in->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &in->iov[i], .msg_iovlen = 1 };
	}
	return 0;
}

void dgram_in_done(struct dgram_in *in)
{
	free(in->memory);
	free(in->msg);
	free(in->iov);
	free(in->from);
	free(in->local);
	free(in->aux);
	memset(in, 0, sizeof(*in));
}

static void arm_slot(struct dgram_in *in, unsigned i)
{
	struct msghdr *h = &in->msg[i].msg_hdr;

	h->msg_name = &in->from[i].sa;
	h->msg_namelen = sizeof(in->from[i].sa);
	h->msg_control = in->control ? in->aux[i] : NULL;
	h->msg_controllen = in->control ? sizeof(in->aux[i]) : 0;
}

static ssize_t read_one(struct dgram_in *in, int fd, int flags)
{
	struct msghdr *h = &in->msg[0].msg_hdr;
	ssize_t n;

	flags &= ~MSG_WAITFORONE;
	if (in->control) {
		n = recvmsg(fd, h, flags);
	} else {
		socklen_t len = sizeof(in->from[0].sa);

		n = recvfrom(fd, in->iov[0].iov_base, in->iov[0].iov_len, flags,
			     (struct sockaddr *)&in->from[0].sa, &len);
		h->msg_namelen = len;
	}
	if (n < 0)
		return -1;
	in->msg[0].msg_len = (unsigned)n;
	return 1;
}

int dgram_in_read(struct dgram_in *in, int fd, unsigned max, int flags)
{
	unsigned slots = max && max < in->slots ? max : in->slots;
	int n;

	for (unsigned i = 0; i < slots; i++)
		arm_slot(in, i);
	in->n = in->at = 0;
	in->offset = in->piece = 0;
	in->calls++;
	n = slots == 1 ? (int)read_one(in, fd, flags) : recvmmsg(fd, in->msg, slots, flags, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	in->n = (unsigned)n;
	return n;
}

static void keep_local(struct dgram_in *in, unsigned i, const struct cmsghdr *c)
{
	struct addr *a = &in->local[i];

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		const struct in_pktinfo *p = (const void *)CMSG_DATA(c);
		struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = p->ipi_addr };

		memcpy(&a->sa, &sin, sizeof(sin));
		a->len = sizeof(sin);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		const struct in6_pktinfo *p = (const void *)CMSG_DATA(c);
		struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_addr = p->ipi6_addr };

		if (IN6_IS_ADDR_LINKLOCAL(&p->ipi6_addr))
			sin.sin6_scope_id = p->ipi6_ifindex;
		memcpy(&a->sa, &sin, sizeof(sin));
		a->len = sizeof(sin);
	}
}

static void read_control(struct dgram_in *in, unsigned i)
{
	struct msghdr *h = &in->msg[i].msg_hdr;

	in->local[i].len = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		int joined;

		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&joined, CMSG_DATA(c), sizeof(joined));
			in->piece = joined > 0 ? (size_t)joined : 0;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&in->drops, CMSG_DATA(c), sizeof(in->drops));
		} else {
			keep_local(in, i, c);
		}
	}
}

bool dgram_in_next(struct dgram_in *in, struct dgram *out)
{
	unsigned i = in->at;
	size_t len, left;

	if (i >= in->n)
		return false;
	len = in->msg[i].msg_len < in->iov[i].iov_len ? in->msg[i].msg_len : in->iov[i].iov_len;
	if (in->offset == 0) {
		in->from[i].len = in->msg[i].msg_hdr.msg_namelen;
		in->piece = 0;
		if (in->control)
			read_control(in, i);
	}
	left = len - in->offset;
	out->bytes = (uint8_t *)in->iov[i].iov_base + in->offset;
	out->len = in->piece && in->piece < left ? in->piece : left;
	out->from = &in->from[i];
	out->local = in->control && in->local[i].len ? &in->local[i] : NULL;
	in->offset += out->len;
	in->datagrams++;
	if (in->offset >= len) {
		in->at++;
		in->offset = 0;
	}
	return true;
}

int dgram_out_init(struct dgram_out *o, unsigned batch, bool segment, struct err *e)
{
	memset(o, 0, sizeof(*o));
	o->batch = batch > DGRAM_OUT_MESSAGES ? DGRAM_OUT_MESSAGES : batch;
	o->segment = segment && batch > 1;
	o->memory = malloc(DGRAM_OUT_BYTES);
	return o->memory ? 0 : err_nomem(e);
}

void dgram_out_done(struct dgram_out *o)
{
	free(o->memory);
	o->memory = NULL;
}

unsigned dgram_out_fits(size_t size)
{
	size_t n = size ? JOINED_MAX / size : SEGMENTS_MAX;

	return n == 0 ? 1 : n > SEGMENTS_MAX ? SEGMENTS_MAX : (unsigned)n;
}

static void add_message(struct dgram_out *o, const struct addr *to, size_t offset, size_t len,
			uint16_t segment)
{
	unsigned i = o->n++;

	o->iov[i] = (struct iovec){ o->memory + offset, len };
	o->segment_size[i] = segment;
	o->has_to[i] = to != NULL;
	if (to)
		o->to[i] = *to;
}

uint8_t *dgram_out_reserve(struct dgram_out *o, const struct addr *to, size_t size, unsigned count)
{
	bool joined = o->segment && count > 1 && size <= UINT16_MAX;
	unsigned messages = joined ? 1 : count;

	if (o->n + messages > o->batch || o->used + size * count > DGRAM_OUT_BYTES)
		return NULL;
	for (unsigned i = 0; i < messages; i++)
		add_message(o, to, o->used + i * size, joined ? size * count : size,
			    joined ? (uint16_t)size : 0);
	return o->memory + o->used;
}

void dgram_out_commit(struct dgram_out *o, size_t total)
{
	struct iovec *last = &o->iov[o->n - 1];
	size_t start = (size_t)((uint8_t *)last->iov_base - (o->memory + o->used));

	last->iov_len = total - start;
	o->used += total;
}

static void prepare(struct dgram_out *o, unsigned i)
{
	struct msghdr *h = &o->msg[i].msg_hdr;

	*h = (struct msghdr){ .msg_iov = &o->iov[i], .msg_iovlen = 1 };
	if (o->has_to[i]) {
		h->msg_name = &o->to[i].sa;
		h->msg_namelen = o->to[i].len;
	}
	if (o->segment_size[i]) {
		struct cmsghdr *c;

		memset(o->aux[i], 0, sizeof(o->aux[i]));
		h->msg_control = o->aux[i];
		h->msg_controllen = sizeof(o->aux[i]);
		c = CMSG_FIRSTHDR(h);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
		memcpy(CMSG_DATA(c), &o->segment_size[i], sizeof(uint16_t));
	}
}

static unsigned pieces(const struct dgram_out *o, unsigned i)
{
	size_t s = o->segment_size[i];

	return s ? (unsigned)((o->iov[i].iov_len + s - 1) / s) : 1;
}

static int send_alone(struct dgram_out *o, int fd, unsigned i, const uint8_t *bytes, size_t len)
{
	const struct sockaddr *to = o->has_to[i] ? (const struct sockaddr *)&o->to[i].sa : NULL;

	o->calls++;
	if (sendto(fd, bytes, len, MSG_DONTWAIT, to, o->has_to[i] ? o->to[i].len : 0) < 0)
		return -1;
	o->datagrams++;
	return 0;
}

/* A device that cannot cut them (or whose MTU they exceed): one by one from here on. */
static int send_apart(struct dgram_out *o, int fd, unsigned i, unsigned *unsent)
{
	const uint8_t *bytes = o->iov[i].iov_base;
	size_t left = o->iov[i].iov_len, size = o->segment_size[i];

	o->segment = false;
	while (left) {
		size_t n = left < size ? left : size;

		if (send_alone(o, fd, i, bytes, n) < 0) {
			*unsent += (unsigned)((left + size - 1) / size);
			return -1;
		}
		bytes += n;
		left -= n;
	}
	return 0;
}

static bool is_full(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == EINTR;
}

/* Sends messages from i on; returns how many are dealt with, -1 when the socket is full. */
static int send_some(struct dgram_out *o, int fd, unsigned i, unsigned *unsent, int *error)
{
	int n;

	if (o->n - i == 1 && !o->segment_size[i]) {
		if (send_alone(o, fd, i, o->iov[i].iov_base, o->iov[i].iov_len) == 0)
			return 1;
	} else {
		for (unsigned k = i; k < o->n; k++)
			prepare(o, k);
		o->calls++;
		n = sendmmsg(fd, &o->msg[i], o->n - i, MSG_DONTWAIT);
		for (int k = 0; k < n; k++)
			o->datagrams += pieces(o, i + (unsigned)k);
		if (n > 0)
			return n;
		if (o->segment_size[i] && (errno == EINVAL || errno == EIO || errno == EMSGSIZE) &&
		    send_apart(o, fd, i, unsent) == 0)
			return 1;
	}
	if (is_full(errno))
		return -1;
	/* an ICMP error of an earlier datagram is reported in place of this one, which another try sends */
	*error = errno;
	o->failed++;
	return 1;
}

int dgram_out_flush(struct dgram_out *o, int fd, unsigned *unsent)
{
	int error = 0;
	unsigned lost = 0;

	for (unsigned i = 0; i < o->n;) {
		unsigned before = lost;
		int n = send_some(o, fd, i, &lost, &error);

		if (n < 0) {
			error = EAGAIN;
			if (lost == before)
				lost += pieces(o, i);
			for (unsigned k = i + 1; k < o->n; k++)
				lost += pieces(o, k);
			break;
		}
		i += (unsigned)n;
	}
	o->n = 0;
	o->used = 0;
	if (unsent)
		*unsent = lost;
	if (!error)
		return 0;
	errno = error;
	return -1;
}

int dgram_socket(int *fd, const struct addr *a, bool bind_it, bool shared, struct err *e)
{
	char text[80];
	int one = 1, s = socket(a->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (s < 0)
		return err_sys(e, ERR_MACHINE, "datagram socket");
	if (shared)
		setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind_it && bind(s, (const struct sockaddr *)&a->sa, a->len) < 0) {
		err_sys(e, errno == EACCES ? ERR_MACHINE : ERR_USAGE, "bind to %s",
			addr_format(a, text));
		close(s);
		return -1;
	}
	*fd = s;
	return 0;
}

size_t dgram_charge(size_t payload)
{
	/* headers, the kernel's packet structures, and an allocation rounded up to a power of two (above a page: to pages) */
	size_t raw = payload + 64 + 320, room = 512;

	if (raw > 16384)
		return raw + 4096 + 1500;
	while (room < raw)
		room *= 2;
	return room + 256;
}

size_t dgram_rcvbuf(int fd, size_t bytes)
{
	int ask = bytes / 2 > INT32_MAX / 2 ? INT32_MAX / 2 : (int)((bytes + 1) / 2), got = 0;
	socklen_t len = sizeof(got);

	/* the kernel doubles what is asked for and shows the double */
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0 && (size_t)got >= bytes)
		return (size_t)got;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &ask, sizeof(ask)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &ask, sizeof(ask));
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) < 0)
		return 0;
	return (size_t)got;
}
