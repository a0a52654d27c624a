#include "peer/iperf-unread.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "io/sock.h"

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

static bool ends_of(int fd, struct addr *here, struct addr *there)
{
	here->len = there->len = sizeof(here->sa);
	return getsockname(fd, (struct sockaddr *)&here->sa, &here->len) == 0 &&
	       getpeername(fd, (struct sockaddr *)&there->sa, &there->len) == 0 &&
	       (here->sa.ss_family == AF_INET || here->sa.ss_family == AF_INET6);
}

static void put_end(const struct addr *a, __be32 address[4], __be16 *port)
{
	if (a->sa.ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->sa;

		memcpy(address, &six->sin6_addr, 16);
		*port = six->sin6_port;
	} else {
		const struct sockaddr_in *four = (const struct sockaddr_in *)&a->sa;

		memcpy(address, &four->sin_addr, 4);
		*port = four->sin_port;
	}
}

/* The queue of the socket whose own port is `wanted`, asked for as one between these ends; -1: there is none. */
static int64_t ask(int netlink, const struct addr *source, const struct addr *destination, bool udp,
		   uint16_t wanted)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof(q),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST },
		.req = { .sdiag_family = (uint8_t)source->sa.ss_family,
			 .sdiag_protocol = udp ? IPPROTO_UDP : IPPROTO_TCP,
			 .idiag_states = UINT32_MAX,
			 .id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	union {
		struct nlmsghdr head;
		char room[1024];
	} answer;
	struct inet_diag_msg m;
	ssize_t n;

	put_end(source, q.req.id.idiag_src, &q.req.id.idiag_sport);
	put_end(destination, q.req.id.idiag_dst, &q.req.id.idiag_dport);
	if (send(netlink, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return -1;
	n = recv(netlink, &answer, sizeof(answer), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(m)) || answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -1;
	memcpy(&m, NLMSG_DATA(&answer.head), sizeof(m));
	/* a listener may answer where there is no connection */
	return m.id.idiag_sport == htons(wanted) && m.id.idiag_dport != 0 ? (int64_t)m.idiag_rqueue
									  : -1;
}

int64_t iperf_unread(int fd, bool udp)
{
	const struct timeval second = { .tv_sec = 1 };
	struct addr here = { 0 }, there = { 0 };
	CLEANUP_FD int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (netlink < 0 || !ends_of(fd, &here, &there) ||
	    setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0)
		return -1;
	/* of TCP the socket's own end comes first, of UDP its peer's, as in a datagram to it: so it is for historical reasons */
	return udp ? ask(netlink, &here, &there, true, addr_port(&there))
		   : ask(netlink, &there, &here, false, addr_port(&there));
}
