#include "peer/tftp-socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
/* needs struct timespec */
#include <linux/errqueue.h>

#include "io/dgram.h"
#include "io/sock.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* A block of this size fits many times into the smallest default buffer. */
enum { SMALL_BLOCK = 16384 };

int tftp_socket_open(int *fd, int family, const struct tftp_options *ask, unsigned slice_ms,
		     uint64_t *wanted_bytes, uint64_t *given_bytes, struct err *e)
{
	uint32_t window = ask->set & TFTP_OPT_WINDOWSIZE ? ask->windowsize : 1;
	uint32_t block = ask->set & TFTP_OPT_BLKSIZE ? ask->blksize : TFTP_BLKSIZE_DEFAULT;
	struct timeval slice = { .tv_usec = (suseconds_t)slice_ms * 1000 };
	int one = 1,
	    s = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | (slice_ms ? 0 : SOCK_NONBLOCK), 0);

	if (s < 0)
		return err_sys(e, ERR_MACHINE, "datagram socket");
	/* without it an unconnected socket never hears of ICMP errors */
	setsockopt(s, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
		   family == AF_INET6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof(one));
	if (slice_ms)
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice));
	if (ask->set & TFTP_OPT_WINDOWSIZE) {
		setsockopt(s, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
		setsockopt(s, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	}
	*wanted_bytes = *given_bytes = 0;
	if (window > 1 || block > SMALL_BLOCK) {
		*wanted_bytes = 2 * (uint64_t)window * dgram_charge(TFTP_HEADER + block);
		*given_bytes = dgram_rcvbuf(s, *wanted_bytes);
	}
	*fd = s;
	return 0;
}

int tftp_socket_error(int fd, uint16_t port)
{
	struct addr to;
	char aux[512], sink[16];
	int error = 0;

	for (;;) {
		struct iovec iov = { sink, sizeof(sink) };
		struct msghdr h = { .msg_name = &to.sa,
				    .msg_namelen = sizeof(to.sa),
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = aux,
				    .msg_controllen = sizeof(aux) };
		const struct sock_extended_err *x = NULL;

		if (recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return error;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
			if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
				x = (const void *)CMSG_DATA(c);
		}
		to.len = h.msg_namelen;
		if (x && x->ee_errno != EMSGSIZE && addr_port(&to) == port)
			error = (int)x->ee_errno;
	}
}

void tftp_socket_tid(const struct addr *a, struct tftp_tid *out)
{
	memset(out, 0, sizeof(*out));
	out->port = addr_port(a);
	if (a->sa.ss_family == AF_INET6) {
		const uint8_t *b = ((const struct sockaddr_in6 *)&a->sa)->sin6_addr.s6_addr;

		memcpy(out->host, b, 16);
	} else {
		out->host[0] = ((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr;
	}
}

void tftp_socket_peer(const struct addr *server, const struct tftp_tid *tid, struct addr *out)
{
	*out = *server;
	if (out->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&out->sa)->sin6_port = htons((uint16_t)tid->port);
	else
		((struct sockaddr_in *)&out->sa)->sin_port = htons((uint16_t)tid->port);
}
