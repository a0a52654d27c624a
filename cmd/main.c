/* mpbench - benchmarks and profiles MicroPython devices, RPC, TFTP and iperf3 servers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stop.h"
#include "base/version.h"
#include "cmd.h"

enum { NAMES_MAX = 128 };

/* argv for run(), which may be altered, before it the one that may not. */
struct args {
	int argc;
	char *const *argv;
	char *copy[];
};

char *const *cmd_original(char **argv, int *argc)
{
	const struct args *a = (const struct args *)(const void *)((const char *)argv -
								   offsetof(struct args, copy));

	*argc = a->argc;
	return a->argv;
}

/* run() sees the words from `first` on. The words live as long as the process. */
static struct args *copy_args(int argc, char **argv, int first, struct err *e)
{
	size_t n = (size_t)(argc - first), bytes = 0;
	struct args *a;
	char *to;

	for (int i = first; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	a = malloc(sizeof(*a) + (n + 1) * sizeof(a->copy[0]) + bytes);
	if (!a) {
		err_nomem(e);
		return NULL;
	}
	a->argc = argc;
	a->argv = argv;
	to = (char *)&a->copy[n + 1];
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(argv[first + (int)i]) + 1;

		memcpy(to, argv[first + (int)i], len);
		a->copy[i] = to;
		to += len;
	}
	a->copy[n] = NULL;
	return a;
}

/* A standard descriptor that is closed would be taken by the next file opened; opened the wrong way round it stays as
 * useless as it was, and writing to it fails. */
static void hold_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			int got = open("/dev/null",
				       fd == 0 ? O_WRONLY : O_RDONLY); // NOLINT: inherited

			(void)got;
		}
}

/* What stdio still holds may be what does not fit on the disk. */
static int close_stdout(struct err *e)
{
	int failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout) != 0 || failed || (close(STDOUT_FILENO) != 0 && errno != EBADF)) {
		/* it failed before and nothing is left to flush: the next byte tells why */
		if (errno == 0 && write(STDOUT_FILENO, "\n", 1) >= 0)
			errno = EIO;
		return err_sys(e, ERR_INTERNAL, "standard output");
	}
	return 0;
}

static int unknown_command(const char *name, struct err *e)
{
	const char *names[NAMES_MAX], *near;
	size_t n = 0;

	for (size_t i = 0; cmd_list[i] && n < NAMES_MAX; i++)
		if (cmd_list[i]->group != CMD_HIDDEN && !strchr(cmd_list[i]->name, ' '))
			names[n++] = cmd_list[i]->name;
	near = opt_nearest(name, names, n);
	if (near)
		return err_set(e, ERR_USAGE, "subcommand",
			       "unknown subcommand '%s', did you mean '%s'?", name, near);
	return err_set(e, ERR_USAGE, "subcommand", "unknown subcommand '%s' (mpbench lists them)",
		       name);
}

/* The command that argv names by one word or two; *first is the last of them. */
static const struct cmd *find(int argc, char **argv, int *first)
{
	char name[64];
	const struct cmd *c;

	*first = 2;
	if (argc > 2 &&
	    snprintf(name, sizeof(name), "%s %s", argv[1], argv[2]) < (int)sizeof(name)) {
		c = cmd_find(name);
		if (c)
			return c;
	}
	*first = 1;
	return cmd_find(argv[1]);
}

static int run(int argc, char **argv, const struct cmd **c, struct err *e)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	struct args *a;
	int status, first;

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return cmd_print_list(e);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("mpbench %s\n", version_text());
		return 0;
	}
	if (*name == '-')
		return err_set(e, ERR_USAGE, "option",
			       "unknown option '%s' (mpbench lists what there is)", name);
	*c = find(argc, argv, &first);
	if (!*c)
		return unknown_command(name, e);
	a = copy_args(argc, argv, first, e);
	if (!a || stop_install(e) < 0) {
		free(a);
		return -1;
	}
	status = (*c)->run(argc - first, a->copy, e);
	free(a);
	return status;
}

static void complain(const struct cmd *c, const struct err *e)
{
	fprintf(stderr, "mpbench%s%s: %s\n", c ? " " : "", c ? c->name : "", e->msg);
}

int main(int argc, char **argv)
{
	const struct cmd *c = NULL;
	struct err e = { 0 }, lost = { 0 };
	int status;

	hold_standard_fds();
	status = run(argc, argv, &c, &e);
	if (status < 0) {
		status = e.kind == ERR_NONE ? ERR_INTERNAL : (int)e.kind;
		complain(c, &e);
	}
	if (close_stdout(&lost) < 0) {
		status = ERR_INTERNAL;
		complain(c, &lost);
	}
	if (stop_signal() && status != ERR_INTERNAL)
		status = 128 + stop_signal();
	return status;
}
