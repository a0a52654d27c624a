/*
 * udp-echo - sends datagrams back, one at a time or in batches, for the tests of trace-syscalls.
 *
 *     udp-echo plain|batch PORT
 *
 * plain: poll, then recvfrom and sendto until nothing is there. batch: poll, then recvmmsg of up to 16 and one sendmmsg for
 * them until nothing is there.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/num.h"

enum { BATCH = 16, SIZE = 2048 };

static bool echo_one(int fd)
{
	char data[SIZE];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &len);

	if (n < 0)
		return false;
	return sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, len) == n;
}

static bool echo_batch(int fd)
{
	static char data[BATCH][SIZE];
	struct sockaddr_in from[BATCH];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], SIZE };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i],
						      .msg_namelen = sizeof(from[i]),
						      .msg_iov = &iov[i],
						      .msg_iovlen = 1 } };
	}
	n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return false;
	for (int i = 0; i < n; i++)
		iov[i].iov_len = m[i].msg_len;
	return sendmmsg(fd, m, (unsigned)n, 0) == n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct err e = { 0 };
	uint64_t port;
	struct pollfd p = { .events = POLLIN };
	bool batch;

	if (argc != 3 || num_parse_u64(argv[2], &port, &e) < 0)
		return 2;
	batch = strcmp(argv[1], "batch") == 0;
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p.fd < 0 || bind(p.fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("udp-echo");
		return 1;
	}
	for (;;) {
		if (poll(&p, 1, -1) < 0)
			return 1;
		while (batch ? echo_batch(p.fd) : echo_one(p.fd))
			continue;
	}
}
