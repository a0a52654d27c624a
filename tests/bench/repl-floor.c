/* The floor of bench-repl's exec: the shortest loop that can be written, on the same kind of pty.
 *
 * repl-floor N COMMAND...: spawns COMMAND on a raw pty, waits for the prompt, enters raw REPL, executes `pass` N times
 * and prints the median in ns. No epoll, no timer, no state machine: one write and as many reads as the answer takes. */
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Reads until the bytes read end with `end`. */
static void read_until(int fd, const char *end)
{
	char buf[65536];
	size_t len = 0, want = strlen(end);

	for (;;) {
		ssize_t n = read(fd, buf + len, sizeof(buf) - len);

		if (n <= 0) {
			fprintf(stderr, "repl-floor: the device is gone\n");
			exit(4);
		}
		len += (size_t)n;
		if (len >= want && memcmp(buf + len - want, end, want) == 0)
			return;
	}
}

static void say(int fd, const char *text, size_t len)
{
	if (write(fd, text, len) != (ssize_t)len)
		exit(4);
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0, fd;
	struct termios raw;
	uint64_t *took;
	pid_t pid;

	if (n <= 0)
		return 2;
	took = calloc((size_t)n, sizeof(*took));
	cfmakeraw(memset(&raw, 0, sizeof(raw)));
	raw.c_cflag |= CREAD | CLOCAL | CS8;
	raw.c_lflag |= ISIG;
	raw.c_cc[VMIN] = 1;
	pid = forkpty(&fd, NULL, &raw, NULL);
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || !took)
		return 5;
	read_until(fd, ">>> ");
	say(fd, "\x01", 1);
	read_until(fd, "\r\n>");
	for (int i = -50; i < n; i++) {
		uint64_t t = now();

		say(fd, "pass\x04", 5);
		read_until(fd, "\x04\x04>");
		if (i >= 0)
			took[i] = now() - t;
	}
	qsort(took, (size_t)n, sizeof(*took), compare);
	printf("%llu\n", (unsigned long long)took[n / 2]);
	kill(pid, SIGKILL);
	return 0;
}
