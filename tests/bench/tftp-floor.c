/* tftp-floor - the least that reading a file many times over TFTP costs with some clients at once: one loop, a fresh socket for each transfer,
 * receive, acknowledge; nothing is compared, timed or counted, nothing sent again.
 * tftp-floor HOST PORT FILE CLIENTS TRANSFERS [OPTION VALUE]... prints the seconds from the first request to the last packet (no error is
 * handled beyond ending; blocks are 512 bytes unless blksize is asked for). */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 1000, OACK = 6, ACK = 4, HEADER = 4 };

static struct sockaddr_in server;
static char request[512];
static size_t request_len;
static int loop, fd[CLIENTS_MAX];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void add_word(const char *word)
{
	size_t n = strlen(word) + 1;

	if (request_len + n > sizeof(request))
		exit(2);
	memcpy(request + request_len, word, n);
	request_len += n;
}

static void begin(unsigned client)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = client };

	fd[client] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd[client] < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd[client], &ev) < 0 ||
	    sendto(fd[client], request, request_len, 0, (void *)&server, sizeof(server)) < 0)
		exit(1);
}

/* True when that was the last packet. */
static int answer(unsigned client, size_t blksize)
{
	static unsigned char packet[65536];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd[client], packet, sizeof(packet), 0, (void *)&from, &len);
	int is_oack = packet[1] == OACK;

	if (n < HEADER)
		return 0;
	packet[1] = ACK;
	if (is_oack)
		packet[2] = packet[3] = 0;
	if (sendto(fd[client], packet, HEADER, 0, (void *)&from, len) < 0)
		exit(1);
	return !is_oack && (size_t)n < HEADER + blksize;
}

int main(int argc, char **argv)
{
	unsigned clients, transfers, begun, ended = 0;
	size_t blksize = 512;
	double start;

	if (argc < 6 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
		return 2;
	server.sin_family = AF_INET;
	server.sin_port = htons((unsigned short)strtoul(argv[2], NULL, 10));
	clients = (unsigned)strtoul(argv[4], NULL, 10);
	transfers = (unsigned)strtoul(argv[5], NULL, 10);
	if (clients > CLIENTS_MAX || clients > transfers)
		return 2;
	request[1] = 1;
	request_len = 2;
	add_word(argv[3]);
	add_word("octet");
	for (int i = 6; i < argc; i++) {
		add_word(argv[i]);
		if (i % 2 && strcmp(argv[i - 1], "blksize") == 0)
			blksize = strtoul(argv[i], NULL, 10);
	}
	loop = epoll_create1(EPOLL_CLOEXEC);
	start = now();
	for (begun = 0; begun < clients; begun++)
		begin(begun);
	while (ended < transfers) {
		struct epoll_event ev[64];
		int n = epoll_wait(loop, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			if (!answer(ev[i].data.u32, blksize))
				continue;
			close(fd[ev[i].data.u32]);
			ended++;
			if (begun < transfers) {
				begun++;
				begin(ev[i].data.u32);
			}
		}
	}
	printf("%.6f\n", now() - start);
	return 0;
}
