#include "peer/iperf-session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/thread.h"

struct iperf_session {
	struct session base;
	const struct iperf_session_plan *p;
	struct watch watch;
	struct thread *thread;
	int over_fd, cancel_fd;
	struct iperf_report report;
	bool has_report;
	int rc;
	struct err trouble;
};

/* The words of failures must last as long as the program. */
static const char *failure_word(const char *code)
{
	static const char *const words[] = {
		"busy",
		"server-error",
		"server-error-short",
		"server-error-bare",
		"server-terminated",
		"closed",
		"closed-at-once",
		"closed-in-setup",
		"closed-before-test",
		"closed-in-test",
		"closed-streams",
		"closed-after-test",
		"closed-before-results",
		"closed-after-results",
		"protocol",
		"refused-params",
		"refused",
		"timeout",
		"unreachable",
		"cancelled",
		"in-use",
		"no-fds",
		"permission",
		"out-of-memory",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], code) == 0)
			return words[i];
	return "failed";
}

static void run_thread(void *arg)
{
	struct iperf_session *x = arg;
	const uint64_t one = 1;

	x->rc = iperf_client_run(&x->p->client, x->cancel_fd, &x->report, &x->trouble);
	if (write(x->over_fd, &one, sizeof(one)) < 0)
		return; /* cannot be: the counter was 0 */
}

static void release(struct iperf_session *x)
{
	thread_join(x->thread);
	x->thread = NULL;
	if (x->has_report)
		iperf_report_done(&x->report);
	x->has_report = false;
}

static void finished(struct watch *w, uint32_t events)
{
	struct iperf_session *x = CONTAINER_OF(w, struct iperf_session, watch);
	struct outcome o = { 0 };

	(void)events;
	loop_remove(&x->watch);
	thread_join(x->thread);
	x->thread = NULL;
	o.sent_ns = x->report.running_ns ? x->report.running_ns : x->report.began_ns;
	o.done_ns = x->report.end_ns > o.sent_ns ? x->report.end_ns : o.sent_ns;
	if (x->rc < 0) {
		o.failure = failure_word(x->trouble.code);
		o.detail = x->trouble.msg;
		o.done_ns = loop_now(x->base.loop);
	}
	x->p->finished(x->p->ctx, &x->report, x->rc < 0 ? &x->trouble : NULL);
	release(x);
	/* every test has a control connection of its own: there is nothing that could break */
	x->base.done(&x->base, &o);
}

static int begin(struct iperf_session *x, struct err *e)
{
	uint64_t count;

	while (read(x->over_fd, &count, sizeof(count)) > 0)
		continue;
	if (iperf_report_init(&x->report, e) < 0) {
		iperf_report_done(&x->report);
		return -1;
	}
	x->has_report = true;
	if (loop_add(x->base.loop, &x->watch, x->over_fd, EPOLLIN, finished, e) < 0)
		return -1;
	if (thread_start(&x->thread, "iperf", -1, run_thread, x, e) == 0)
		return 0;
	loop_remove(&x->watch);
	return -1;
}

static void session_start(struct session *s)
{
	struct iperf_session *x = CONTAINER_OF(s, struct iperf_session, base);
	struct err e = x->p->dead;

	if (e.kind || begin(x, &e) < 0) {
		struct outcome o = { .failure = failure_word(e.code), .detail = e.msg };

		o.sent_ns = o.done_ns = loop_now(s->loop);
		s->done(s, &o);
	}
}

static void answer(struct session *s)
{
	struct outcome o = { 0 };

	o.sent_ns = o.done_ns = loop_now(s->loop);
	s->done(s, &o);
}

static void session_cancel(struct session *s)
{
	struct iperf_session *x = CONTAINER_OF(s, struct iperf_session, base);
	const uint64_t one = 1;

	if (write(x->cancel_fd, &one, sizeof(one)) < 0)
		return; /* it was cancelled before */
	loop_remove(&x->watch);
	release(x);
}

static void session_free(struct session *s)
{
	struct iperf_session *x = CONTAINER_OF(s, struct iperf_session, base);

	if (x->thread)
		session_cancel(s);
	release(x);
	loop_remove(&x->watch);
	fd_close(&x->over_fd);
	fd_close(&x->cancel_fd);
	free(x);
}

static void session_stalled(struct session *s, char *out, size_t size)
{
	(void)s;
	snprintf(out, size, "the test did not end in time (--timeout)");
}

int iperf_session_new(const struct iperf_session_plan *p, struct loop *loop, struct session **out,
		      struct err *e)
{
	static const struct session_ops ops = {
		.open = answer,
		.start = session_start,
		.cancel = session_cancel,
		.close = answer,
		.free = session_free,
		.stalled = session_stalled,
	};
	struct iperf_session *x = calloc(1, sizeof(*x));

	if (!x)
		return err_nomem(e);
	x->base.ops = &ops;
	x->base.loop = loop;
	x->p = p;
	x->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	x->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (x->over_fd < 0 || x->cancel_fd < 0) {
		session_free(&x->base);
		return err_sys(e, ERR_MACHINE, "eventfd");
	}
	*out = &x->base;
	return 0;
}
