/*
 * syscall-cost - what a system call costs while something traces it.
 *
 *     syscall-cost [-w] getppid|pingpong BATCHES CALLS
 *
 * Prints the nanoseconds per call of the fastest batch and of the middle one. pingpong: one byte to and fro between two
 * threads of one CPU, over two pipes, four calls a round. -w waits for a line on stdin before it begins, after saying
 * "ready".
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"

enum { BATCHES_MAX = 1000 };

static int ping[2], pong[2];

/* The other thread; it ends with the process. */
static void *echo(void *unused)
{
	char c;

	(void)unused;
	while (read(ping[0], &c, 1) == 1 && write(pong[1], &c, 1) == 1)
		;
	return NULL;
}

/* Two threads that take turns on one CPU, so that each round has the same two switches. */
static void begin_pingpong(void)
{
	pthread_t thread;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0 || pipe2(ping, O_CLOEXEC) < 0 ||
	    pipe2(pong, O_CLOEXEC) < 0 || pthread_create(&thread, NULL, echo, NULL) != 0)
		exit(1);
}

static double batch(bool pingpong, uint64_t calls)
{
	uint64_t start = clock_now();
	char c = 'x';

	for (uint64_t i = 0; i < calls; i += pingpong ? 4 : 1) {
		if (!pingpong)
			syscall(SYS_getppid);
		else if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			exit(1);
	}
	return (double)ns_since(start, clock_now()) / (double)calls;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double ns[BATCHES_MAX];
	bool wait_first = argc > 1 && strcmp(argv[1], "-w") == 0;
	uint64_t batches, calls;
	struct err e = { 0 };
	bool pingpong;
	char line[16];

	argv += wait_first;
	argc -= wait_first;
	if (argc != 4 || num_parse_u64(argv[2], &batches, &e) < 0 || batches < 1 ||
	    batches > BATCHES_MAX || num_parse_u64(argv[3], &calls, &e) < 0)
		return 2;
	pingpong = strcmp(argv[1], "pingpong") == 0;
	if (pingpong)
		begin_pingpong();
	if (wait_first && (write(STDOUT_FILENO, "ready\n", 6) != 6 ||
			   read(STDIN_FILENO, line, sizeof(line)) <= 0))
		return 2;
	batch(pingpong, calls); /* warm-up */
	for (uint64_t i = 0; i < batches; i++)
		ns[i] = batch(pingpong, calls);
	qsort(ns, batches, sizeof(ns[0]), by_value);
	printf("%.2f %.2f\n", ns[0], ns[batches / 2]);
	return 0;
}
