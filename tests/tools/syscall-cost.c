/*
 * syscall-cost - what a system call costs while something traces it.
 *
 *     syscall-cost [-w] getppid|pipe BATCHES CALLS
 *
 * Prints the nanoseconds per call of the fastest batch and of the middle one. pipe: one-byte write and read of a pipe, two
 * calls. -w waits for a line on stdin before it begins, after saying "ready".
 */
#include <fcntl.h>
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

static int pipes[2];

static double batch(bool pipe, uint64_t calls)
{
	uint64_t start = clock_now();
	char c = 'x';

	for (uint64_t i = 0; i < calls; i += pipe ? 2 : 1) {
		if (!pipe)
			syscall(SYS_getppid);
		else if (write(pipes[1], &c, 1) != 1 || read(pipes[0], &c, 1) != 1)
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
	char line[16];

	argv += wait_first;
	argc -= wait_first;
	if (argc != 4 || num_parse_u64(argv[2], &batches, &e) < 0 || batches < 1 ||
	    batches > BATCHES_MAX || num_parse_u64(argv[3], &calls, &e) < 0 ||
	    pipe2(pipes, O_CLOEXEC) < 0)
		return 2;
	if (wait_first && (write(STDOUT_FILENO, "ready\n", 6) != 6 ||
			   read(STDIN_FILENO, line, sizeof(line)) <= 0))
		return 2;
	batch(strcmp(argv[1], "pipe") == 0, calls); /* warm-up */
	for (uint64_t i = 0; i < batches; i++)
		ns[i] = batch(strcmp(argv[1], "pipe") == 0, calls);
	qsort(ns, batches, sizeof(ns[0]), by_value);
	printf("%.2f %.2f\n", ns[0], ns[batches / 2]);
	return 0;
}
