/* iperf-socket - what a test asks of its sockets, and what they say */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io/sock.h"

/* 0, false, NULL, -1 where nothing is asked for. */
struct iperf_socket_opts {
	uint32_t window, mss, tos;
	uint64_t fq_rate; /* bytes per second, SO_MAX_PACING_RATE */
	bool nodelay, dont_fragment;
	const char *congestion;
	const char *device;	  /* SO_BINDTODEVICE */
	uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT */
	uint32_t flow_label;	  /* of IPv6, of connections that we make */
};

/* What must be set before connect or listen (window, segment size), and the rest. ERR_USAGE for what the kernel refuses. */
int iperf_socket_prepare(int fd, int family, const struct iperf_socket_opts *o, bool udp,
			 struct err *e) ERR_MUST_CHECK;

/* TCP_INFO, of which the kernel fills as much as it knows; times in ns, 0 where it does not say. */
struct iperf_tcp_info {
	bool known;
	uint64_t retransmits, cwnd_bytes, snd_wnd, mss, pmtu, reorder;
	uint64_t rtt_ns, rttvar_ns, min_rtt_ns, rcv_rtt_ns;
	uint64_t delivered_bytes, bytes_acked;
};
void iperf_socket_info(int fd, struct iperf_tcp_info *out);

/* Bytes that wait in the socket or on the way (SIOCOUTQ). */
uint64_t iperf_socket_queued(int fd);
/* The algorithm in use; "" where unknown. */
void iperf_socket_congestion(int fd, char out[32]);
/* The segment size, 0 where unknown; and the buffers as the kernel has them. */
uint32_t iperf_socket_mss(int fd);
void iperf_socket_buffers(int fd, uint64_t *send, uint64_t *receive);

/*
 * A blocking connect with a bound: fd is non-blocking before and blocking after. `cancel_fd` (-1: none) readable ends it.
 * Failures: "timeout", "refused" and the like, "cancelled". local (NULL: any) is bound first; its port may be 0.
 */
int iperf_connect(int *out, const struct addr *to, const struct addr *local,
		  const struct iperf_socket_opts *o, uint64_t timeout_ns, int cancel_fd,
		  struct err *e) ERR_MUST_CHECK;
/* A connected UDP socket, likewise. */
int iperf_connect_udp(int *out, const struct addr *to, const struct addr *local,
		      const struct iperf_socket_opts *o, struct err *e) ERR_MUST_CHECK;
/* The receive buffer, as the kernel charges it, that datagrams at `rate` bits per second (0: as fast as it goes) need to outlast a
 * receiver's pauses of some 10 ms: what it lacks is lost. */
size_t iperf_socket_rcvbuf_for(uint64_t rate);
/* O_NONBLOCK on or off. */
void iperf_socket_blocking(int fd, bool on);
