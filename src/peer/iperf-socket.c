#include "peer/iperf-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/ip.h>
#include <linux/in6.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

static int set_int(int fd, int level, int name, int value, const char *what, struct err *e)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == 0)
		return 0;
	return err_sys(e, ERR_USAGE, "%s %d", what, value);
}

static int prepare_tcp(int fd, const struct iperf_socket_opts *o, struct err *e)
{
	if (o->mss && set_int(fd, IPPROTO_TCP, TCP_MAXSEG, (int)o->mss, "--mss", e) < 0)
		return -1;
	if (o->nodelay)
		sock_nodelay(fd, true);
	if (o->user_timeout_ms && set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
					  (int)o->user_timeout_ms, "--snd-timeout", e) < 0)
		return -1;
	if (o->congestion && *o->congestion &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, o->congestion,
		       (socklen_t)strlen(o->congestion)) < 0)
		return err_sys(
			e, ERR_MACHINE,
			"--congestion %s (net.ipv4.tcp_available_congestion_control lists what there is)",
			o->congestion);
	return 0;
}

int iperf_socket_prepare(int fd, int family, const struct iperf_socket_opts *o, bool udp,
			 struct err *e)
{
	bool six = family == AF_INET6;
	unsigned fq = o->fq_rate > UINT32_MAX - 1 ? UINT32_MAX - 1 : (unsigned)o->fq_rate;

	if (o->window && (set_int(fd, SOL_SOCKET, SO_SNDBUF, (int)o->window, "--window", e) < 0 ||
			  set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)o->window, "--window", e) < 0))
		return -1;
	if (o->tos && set_int(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TCLASS : IP_TOS,
			      (int)o->tos, "--dscp", e) < 0)
		return -1;
	if (o->dont_fragment && !six &&
	    set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "--dont-fragment", e) < 0)
		return -1;
	if (fq && set_int(fd, SOL_SOCKET, SO_MAX_PACING_RATE, (int)fq, "--fq-rate", e) < 0)
		return -1;
	if (o->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->device,
				    (socklen_t)strlen(o->device)) < 0)
		return err_sys(e, ERR_MACHINE, "--bind-dev %s", o->device);
	return udp ? 0 : prepare_tcp(fd, o, e);
}

void iperf_socket_info(int fd, struct iperf_tcp_info *out)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof(i);

	memset(out, 0, sizeof(*out));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len) < 0)
		return;
	out->known = true;
	out->retransmits = i.tcpi_total_retrans;
	out->mss = i.tcpi_snd_mss;
	out->cwnd_bytes = (uint64_t)i.tcpi_snd_cwnd * i.tcpi_snd_mss;
	out->snd_wnd = i.tcpi_snd_wnd;
	out->pmtu = i.tcpi_pmtu;
	out->reorder = i.tcpi_reord_seen;
	out->rtt_ns = (uint64_t)i.tcpi_rtt * NS_PER_US;
	out->rttvar_ns = (uint64_t)i.tcpi_rttvar * NS_PER_US;
	out->rcv_rtt_ns = (uint64_t)i.tcpi_rcv_rtt * NS_PER_US;
	out->min_rtt_ns = i.tcpi_min_rtt == UINT32_MAX ? 0 : (uint64_t)i.tcpi_min_rtt * NS_PER_US;
	out->bytes_acked = i.tcpi_bytes_acked;
}

uint64_t iperf_socket_queued(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) < 0 || n < 0 ? 0 : (uint64_t)n;
}

void iperf_socket_congestion(int fd, char out[32])
{
	socklen_t len = 31;

	memset(out, 0, 32);
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &len) < 0)
		out[0] = '\0';
}

uint32_t iperf_socket_mss(int fd)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, &len) < 0 || value < 0
		       ? 0
		       : (uint32_t)value;
}

void iperf_socket_buffers(int fd, uint64_t *send, uint64_t *receive)
{
	int value = 0;
	socklen_t len = sizeof(value);

	*send = getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &len) < 0 ? 0 : (uint64_t)value;
	*receive = getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &len) < 0 ? 0 : (uint64_t)value;
}

size_t iperf_socket_rcvbuf_for(uint64_t rate)
{
	const uint64_t least = 4 << 20, most = 32 << 20;
	/* 20 ms, and the kernel charges up to twice the payload */
	uint64_t want = rate / 8 / 50 * 2;

	return rate == 0 || want > most ? most : want < least ? least : (size_t)want;
}

void iperf_socket_blocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/* The kernel leases labels: without a lease it refuses one that is sent to. */
static int lease_label(int fd, struct addr *to, uint32_t label, struct err *e)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to->sa;
	struct in6_flowlabel_req r = { .flr_label = htonl(label),
				       .flr_action = IPV6_FL_A_GET,
				       .flr_share = IPV6_FL_S_ANY,
				       .flr_flags = IPV6_FL_F_CREATE };

	if (to->sa.ss_family != AF_INET6)
		return err_set(e, ERR_USAGE, "usage", "--flowlabel is for IPv6");
	memcpy(&r.flr_dst, &six->sin6_addr, sizeof(r.flr_dst));
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &r, sizeof(r)) < 0)
		return err_sys(e, ERR_MACHINE, "--flowlabel %u", label);
	six->sin6_flowinfo = r.flr_label;
	return set_int(fd, IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1, "--flowlabel", e);
}

/* connect, which may be under way then. */
static int begin_connect(int fd, const struct addr *to, const struct iperf_socket_opts *o,
			 struct err *e)
{
	struct addr labelled = *to;
	char text[80];

	if (o->flow_label && lease_label(fd, &labelled, o->flow_label, e) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&labelled.sa, labelled.len) < 0 &&
	    errno != EINPROGRESS)
		return err_sys(e, ERR_TARGET, "connect to %s", addr_format(to, text));
	return 0;
}

static int open_socket(const struct addr *to, const struct addr *local, int type,
		       const struct iperf_socket_opts *o, struct err *e)
{
	const int one = 1;
	char text[80];
	CLEANUP_FD int fd = socket(to->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, ERR_MACHINE, "socket");
	if (iperf_socket_prepare(fd, to->sa.ss_family, o, type == SOCK_DGRAM, e) < 0)
		return -1;
	if (local && local->len) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (const struct sockaddr *)&local->sa, local->len) < 0)
			return err_sys(e, ERR_USAGE, "bind to %s", addr_format(local, text));
	}
	return fd_take(&fd);
}

/* 0 when connected. */
static int wait_connected(int fd, const struct addr *to, uint64_t timeout_ns, int cancel_fd,
			  struct err *e)
{
	uint64_t until = clock_now() + timeout_ns;
	char text[80];

	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLOUT },
				       { .fd = cancel_fd, .events = POLLIN } };
		uint64_t now = clock_now();
		int wait_ms = now < until ? (int)((until - now + NS_PER_MS - 1) / NS_PER_MS) : 0;
		int n = poll(p, 2, wait_ms);

		if (p[1].revents)
			return err_set(e, ERR_TARGET, "cancelled", "the test was cancelled");
		if (n > 0)
			return sock_connected(fd, to, e);
		if (n == 0 && clock_now() >= until)
			return err_set(e, ERR_TARGET, "timeout",
				       "no answer from %s to the connection within %.3g s "
				       "(--connect-timeout)",
				       addr_format(to, text), (double)timeout_ns / 1e9);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_INTERNAL, "poll");
	}
}

int iperf_connect(int *out, const struct addr *to, const struct addr *local,
		  const struct iperf_socket_opts *o, uint64_t timeout_ns, int cancel_fd,
		  struct err *e)
{
	CLEANUP_FD int fd = open_socket(to, local, SOCK_STREAM, o, e);

	if (fd < 0 || begin_connect(fd, to, o, e) < 0)
		return -1;
	if (wait_connected(fd, to, timeout_ns, cancel_fd, e) < 0)
		return -1;
	iperf_socket_blocking(fd, true);
	*out = fd_take(&fd);
	return 0;
}

int iperf_connect_udp(int *out, const struct addr *to, const struct addr *local,
		      const struct iperf_socket_opts *o, struct err *e)
{
	CLEANUP_FD int fd = open_socket(to, local, SOCK_DGRAM, o, e);

	if (fd < 0 || begin_connect(fd, to, o, e) < 0)
		return -1;
	iperf_socket_blocking(fd, true);
	*out = fd_take(&fd);
	return 0;
}
