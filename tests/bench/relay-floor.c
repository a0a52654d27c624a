/* relay-floor - the least that a bridge between TCP and a pty costs: one
 * thread, poll, read, write; nothing else. relay-floor PORT COMMAND ARGS... (no
 * error is handled beyond ending). */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static int move(int from, int to)
{
	static char buf[65536];
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && write(to, buf, (size_t)n) == n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct termios t;
	int one = 1, pty, l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc < 3)
		return 2;
	t = (struct termios){ 0 };
	t.c_cflag = CS8 | CREAD | B38400;
	t.c_cc[VMIN] = 1;
	if (forkpty(&pty, NULL, &t, NULL) == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	a.sin_port = htons((unsigned short)strtoul(argv[1], NULL, 10));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 8) < 0)
		return 1;
	for (;;) {
		int c = accept(l, NULL, NULL);
		struct pollfd p[2] = { { .fd = c, .events = POLLIN },
				       { .fd = pty, .events = POLLIN } };

		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		for (;;) {
			if (poll(p, 2, -1) < 0)
				return 1;
			if (p[0].revents && !move(c, pty))
				break;
			if (p[1].revents && !move(pty, c))
				break;
		}
		close(c);
	}
}
