#include "tftp-builtin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "peer/tftp-content.h"

enum { READY_WAIT_MS = 10000 };

char *tftp_builtin_file(uint64_t size, char *out)
{
	snprintf(out, 32, "%" PRIu64 ".bin", size);
	return out;
}

static int write_file(const struct tftp_builtin *b, uint64_t size, uint64_t seed, struct err *e)
{
	CLEANUP(tftp_content_done) struct tftp_content c = { 0 };
	CLEANUP_FD int fd = -1;
	char path[256], name[32];
	uint64_t done = 0;

	snprintf(path, sizeof(path), "%s/%s", b->directory, tftp_builtin_file(size, name));
	if (tftp_content_make(&c, size, seed, e) < 0)
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(e, ERR_MACHINE, "create %s", path);
	while (done < c.size) {
		ssize_t n = write(fd, c.bytes + done, c.size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_MACHINE, "write %s", path);
		done += (uint64_t)n;
	}
	return 0;
}

static int make_files(struct tftp_builtin *b, const uint64_t *sizes, size_t n, uint64_t seed,
		      struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char directory[sizeof(b->directory)];

	snprintf(directory, sizeof(directory), "%.80s/mpbench-tftp-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(directory))
		return err_sys(e, ERR_MACHINE, "create a directory for the builtin server (%s)",
			       directory);
	snprintf(b->directory, sizeof(b->directory), "%s", directory);
	for (size_t i = 0; i < n; i++) {
		if (write_file(b, sizes[i], seed, e) < 0)
			return -1;
	}
	return 0;
}

static void argue(struct tftp_builtin *b, const char *word)
{
	char *copy = strdup(word);

	/* without memory the list ends early, which the exec of a server without a directory reports */
	if (copy && b->n_arguments + 1 < sizeof(b->arguments) / sizeof(b->arguments[0]))
		b->arguments[b->n_arguments++] = copy;
	else
		free(copy);
}

static void argue_query(struct tftp_builtin *b, const struct url *u, const char *key,
			const char *option)
{
	const char *value = url_query(u, key);

	if (!value)
		return;
	argue(b, option);
	argue(b, value);
}

static bool is_yes(const char *text)
{
	return text && (strcmp(text, "yes") == 0 || strcmp(text, "on") == 0 ||
			strcmp(text, "1") == 0 || !*text);
}

static int make_arguments(struct tftp_builtin *b, const struct url *u, struct err *e)
{
	static const char *const known[] = { "batch",	    "batch-timeout", "segment",
					     "single-port", "threads",	     NULL };

	if (url_check_query(u, known, e) < 0)
		return -1;
	argue(b, "/proc/self/exe");
	argue(b, "serve");
	argue(b, "tftp");
	argue(b, "--port=0");
	argue(b, "--ready-fd=3");
	argue(b, "--overwrite");
	argue(b, "--allow-write");
	argue(b, b->directory);
	if (geteuid() == 0)
		argue(b, "--user=root"); /* it is our own child, and the directory is ours */
	argue_query(b, u, "batch", "--batch");
	argue_query(b, u, "batch-timeout", "--batch-timeout");
	argue_query(b, u, "threads", "--threads");
	if (url_query(u, "segment") && !is_yes(url_query(u, "segment")))
		argue(b, "--no-segment");
	if (is_yes(url_query(u, "single-port")))
		argue(b, "--single-port");
	argue(b, b->directory);
	return 0;
}

/* The child writes its port when it serves. */
static int wait_ready(struct tftp_builtin *b, int fd, struct addr *address, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[16] = "", why[64];
	uint64_t port = 0;
	size_t n, got;
	ssize_t r;

	if (poll(&p, 1, READY_WAIT_MS) <= 0)
		return err_set(e, ERR_INTERNAL, "builtin", "the builtin server did not come up");
	r = read(fd, text, sizeof(text) - 1);
	got = r > 0 ? strcspn(text, "\n") : 0;
	text[got] = '\0';
	if (got == 0 || num_parse_u64(text, &port, e) < 0 || port > 65535) {
		spawn_stop(&b->child, NS_PER_SEC);
		return err_set(e, ERR_INTERNAL, "builtin", "the builtin server ended at once: %s",
			       spawn_describe(&b->child, why, sizeof(why)));
	}
	return addr_resolve(address, 1, &n, "127.0.0.1", (uint16_t)port, SOCK_DGRAM, e);
}

int tftp_builtin_start(struct tftp_builtin *b, const struct url *url, const uint64_t *sizes,
		       size_t n, uint64_t seed, int cpu, struct addr *address, struct err *e)
{
	struct spawn_params p = SPAWN_DEFAULT;
	CLEANUP_FD int ours = -1;
	CLEANUP_FD int theirs = -1;
	int fd[2];

	memset(b, 0, sizeof(*b));
	if (make_files(b, sizes, n, seed, e) < 0 || make_arguments(b, url, e) < 0)
		return -1;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	ours = fd[0];
	theirs = fd[1];
	p.argv = b->arguments;
	p.err = STDERR_FILENO;
	p.keep_fd = theirs;
	if (spawn_start(&b->child, &p, e) < 0)
		return -1;
	fd_close(&theirs);
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned)cpu, &set);
		if (sched_setaffinity(b->child.pid, sizeof(set), &set) < 0)
			return err_sys(e, ERR_MACHINE, "pin the builtin server to CPU %d", cpu);
	}
	return wait_ready(b, ours, address, e);
}

static void remove_directory(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *i = d ? readdir(d) : NULL; i; i = readdir(d)) {
		if (strcmp(i->d_name, ".") != 0 && strcmp(i->d_name, "..") != 0)
			unlinkat(dirfd(d), i->d_name, 0);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

void tftp_builtin_stop(struct tftp_builtin *b)
{
	spawn_stop(&b->child, NS_PER_SEC);
	if (b->directory[0])
		remove_directory(b->directory);
	b->directory[0] = '\0';
	for (size_t i = 0; i < b->n_arguments; i++)
		free(b->arguments[i]);
	b->n_arguments = 0;
}
