#include "watch-run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "result/load.h"

enum { TEXT_MAX = 64 << 10, FORCED = 6 };

/* As much as is there; what is more than TEXT_MAX is read and forgotten, so that the child never waits for us. */
static void drain(struct bench_run *r)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(r->err_fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && r->text.len + (size_t)n <= TEXT_MAX)
			buf_add(&r->text, chunk, (size_t)n);
	if (n == 0) {
		loop_remove(&r->output);
		fd_close(&r->err_fd);
	}
}

static void on_output(struct watch *w, uint32_t events)
{
	(void)events;
	drain(CONTAINER_OF(w, struct bench_run, output));
}

static void on_end(struct watch *w, uint32_t events)
{
	struct bench_run *r = CONTAINER_OF(w, struct bench_run, end);

	(void)events;
	if (!spawn_poll(&r->child))
		return;
	r->ended_ns = loop_now(r->loop);
	if (r->err_fd >= 0)
		drain(r);
	timer_cancel(r->loop, &r->too_long);
	loop_remove(&r->end);
	loop_remove(&r->output);
	fd_close(&r->err_fd);
	spawn_stop(&r->child, 0);
	r->running = false;
	r->done(r);
}

/* Asked once, killed the second time. */
static void on_too_long(struct timer *t, uint64_t now_ns)
{
	struct bench_run *r = CONTAINER_OF(t, struct bench_run, too_long);

	spawn_signal(&r->child, r->timed_out ? SIGKILL : SIGTERM);
	r->timed_out = true;
	timer_set(r->loop, t, now_ns + 2 * NS_PER_SEC, on_too_long);
}

static int spawn_bench(struct bench_run *r, int err_fd, struct err *e)
{
	struct spawn_params params = SPAWN_DEFAULT;
	char program[512], budget[40], output[] = "--output", quiet[] = "--quiet";
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	CLEANUP_FREE char **argv = NULL;
	size_t n = 0, words = 0;

	if (length < 0)
		return err_sys(e, ERR_MACHINE, "the path of mpbench");
	program[length] = '\0';
	while (r->words[words])
		words++;
	argv = calloc(words + FORCED, sizeof(*argv));
	if (!argv)
		return err_nomem(e);
	snprintf(budget, sizeof(budget), "--budget=%llums",
		 (unsigned long long)(r->budget_ns / NS_PER_MS));
	argv[n++] = program;
	argv[n++] = r->words[0];
	argv[n++] = budget;
	argv[n++] = quiet;
	argv[n++] = output;
	argv[n++] = (char *)(uintptr_t)r->file;
	for (size_t i = 1; i < words; i++)
		argv[n++] = r->words[i];
	params.argv = argv;
	params.err = err_fd;
	return spawn_start(&r->child, &params, e);
}

static int watch_it(struct bench_run *r, struct err *e)
{
	if (loop_add(r->loop, &r->end, r->child.pidfd, EPOLLIN, on_end, e) < 0 ||
	    loop_add(r->loop, &r->output, r->err_fd, EPOLLIN, on_output, e) < 0)
		return -1;
	timer_set(r->loop, &r->too_long, r->begun_ns + r->timeout_ns, on_too_long);
	return 0;
}

int bench_run_start(struct bench_run *r, struct err *e)
{
	CLEANUP_FD int write_end = -1;
	struct timespec wall;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	r->err_fd = ends[0];
	write_end = ends[1];
	fcntl(r->err_fd, F_SETFL, O_NONBLOCK);
	buf_clear(&r->text);
	r->timed_out = false;
	r->begun_ns = loop_now(r->loop);
	clock_gettime(CLOCK_REALTIME, &wall);
	r->begun_wall_ns = (int64_t)wall.tv_sec * (int64_t)NS_PER_SEC + wall.tv_nsec;
	r->running = spawn_bench(r, write_end, e) == 0;
	if (!r->running || watch_it(r, e) < 0) {
		bench_run_stop(r);
		return -1;
	}
	return 0;
}

void bench_run_stop(struct bench_run *r)
{
	if (r->running) {
		timer_cancel(r->loop, &r->too_long);
		loop_remove(&r->end);
		loop_remove(&r->output);
		spawn_stop(&r->child, 2 * NS_PER_SEC);
	}
	if (r->running || r->err_fd > 0)
		fd_close(&r->err_fd);
	r->running = false;
	buf_done(&r->text);
}

/* "mpbench bench-repl: no answer" without what everybody knows. */
static void last_line(const struct buf *text, char out[256])
{
	const char *end = buf_text(text) + text->len, *begin, *colon;

	while (end > buf_text(text) && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	begin = end;
	while (begin > buf_text(text) && begin[-1] != '\n')
		begin--;
	colon = strncmp(begin, "mpbench ", 8) == 0 ? strstr(begin, ": ") : NULL;
	if (colon && colon < end)
		begin = colon + 2;
	snprintf(out, 256, "%.*s", end - begin > 250 ? 250 : (int)(end - begin), begin);
}

int bench_run_result(struct bench_run *r, json_t **root, int *exit_status, char message[256],
		     struct err *e)
{
	char how[64];
	int rc;

	*root = NULL;
	last_line(&r->text, message);
	*exit_status = WIFEXITED(r->child.status) ? WEXITSTATUS(r->child.status) : -1;
	if (r->timed_out)
		snprintf(message, 256, "it took longer than %llu s and was ended",
			 (unsigned long long)(r->timeout_ns / NS_PER_SEC));
	else if (*exit_status < 0)
		snprintf(message, 256, "%s", spawn_describe(&r->child, how, sizeof(how)));
	if (access(r->file, F_OK) < 0)
		return 0;
	rc = load_result(r->file, root, e);
	unlink(r->file);
	if (rc < 0)
		e->kind = ERR_INTERNAL;
	return rc;
}
