/* sock - addresses and stream/datagram sockets */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* Resolves host (name, IPv4, IPv6; NULL or "": any address) to up to max addresses in the resolver's order. Blocks on
 * DNS, so it is done before anything is timed. ERR_TARGET names the host. socktype SOCK_STREAM or SOCK_DGRAM. */
int addr_resolve(struct addr *out, size_t max, size_t *n, const char *host, uint16_t port,
		 int socktype, struct err *e) ERR_MUST_CHECK;
/* "127.0.0.1:2217", "[::1]:2217"; out holds at least 80 bytes. Returns out. */
char *addr_format(const struct addr *a, char *out);
uint16_t addr_port(const struct addr *a);

/* A non-blocking CLOEXEC stream socket with a connect under way (EINPROGRESS is success). */
int sock_connect(int *fd, const struct addr *a, struct err *e) ERR_MUST_CHECK;
/* After EPOLLOUT: 0 when connected, else -1 with the reason ("connect to 127.0.0.1:1: Connection refused"). */
int sock_connected(int fd, const struct addr *a, struct err *e) ERR_MUST_CHECK;
/* A non-blocking CLOEXEC listener with SO_REUSEADDR; host NULL means loopback (127.0.0.1). ERR_USAGE when in use. */
int sock_listen(int *fd, const char *host, uint16_t port, struct addr *bound,
		struct err *e) ERR_MUST_CHECK;
/* The same on an address that was resolved before. */
int sock_listen_at(int *fd, const struct addr *a, struct addr *bound, struct err *e) ERR_MUST_CHECK;
/* Accepts one connection, non-blocking CLOEXEC; *fd = -1 when none is waiting. EMFILE is an error that names it. */
int sock_accept(int listener, int *fd, struct addr *peer, struct err *e) ERR_MUST_CHECK;
/* TCP_NODELAY on or off; errors ignored (not a TCP socket). */
void sock_nodelay(int fd, bool on);
/* SO_KEEPALIVE after idle_s, every interval_s, count probes. */
void sock_keepalive(int fd, int idle_s, int interval_s, int count);
/* Raises RLIMIT_NOFILE's soft limit to the hard one; returns the new soft limit. */
uint64_t sock_raise_nofile(void);
