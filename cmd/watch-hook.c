#include "watch-hook.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"

static void start(struct hook *h);

static void release(struct hook *h)
{
	timer_cancel(h->loop, &h->too_long);
	loop_remove(&h->end);
	h->running = false;
}

static void on_end(struct watch *w, uint32_t events)
{
	struct hook *h = CONTAINER_OF(w, struct hook, end);
	char how[64];

	(void)events;
	if (!spawn_poll(&h->child))
		return;
	release(h);
	spawn_stop(&h->child, 0);
	if (h->child.status != 0)
		h->failed(h, spawn_describe(&h->child, how, sizeof(how)));
	if (h->waiting)
		start(h);
}

static void on_too_long(struct timer *t, uint64_t now_ns)
{
	struct hook *h = CONTAINER_OF(t, struct hook, too_long);

	(void)now_ns;
	spawn_signal(&h->child, SIGKILL);
}

static int run(struct hook *h, struct err *e)
{
	struct spawn_params params = SPAWN_DEFAULT;
	char event[40], text[sizeof(h->text) + 16];
	const char *const env[] = { event, text, NULL };
	CLEANUP_FREE char **argv = NULL;
	size_t n = 0;

	while (h->words[n])
		n++;
	argv = calloc(n + 1, sizeof(*argv));
	if (!argv)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		argv[i] = strcmp(h->words[i], "{}") == 0 ? h->text : h->words[i];
	snprintf(event, sizeof(event), "MPBENCH_EVENT=%s", watch_event_name(h->kind));
	snprintf(text, sizeof(text), "MPBENCH_TEXT=%s", h->text);
	params.argv = argv;
	params.env = env;
	params.out = h->output;
	params.err = h->output;
	return spawn_start(&h->child, &params, e);
}

static void start(struct hook *h)
{
	struct err e;

	h->waiting = false;
	if (run(h, &e) < 0) {
		h->failed(h, e.msg);
		return;
	}
	h->running = true;
	if (loop_add(h->loop, &h->end, h->child.pidfd, EPOLLIN, on_end, &e) < 0) {
		h->running = false;
		spawn_stop(&h->child, 0);
		h->failed(h, e.msg);
		return;
	}
	timer_set(h->loop, &h->too_long, loop_now(h->loop) + h->timeout_ns, on_too_long);
}

void hook_tell(struct hook *h, enum watch_event_kind kind, const char *text)
{
	size_t used = h->waiting ? strlen(h->text) : 0;

	if (!h->words)
		return;
	if (!h->waiting || kind < h->kind)
		h->kind = kind;
	snprintf(h->text + used, sizeof(h->text) - used, "%s%s", used ? "; " : "", text);
	h->waiting = true;
	if (!h->running)
		start(h);
}

void hook_stop(struct hook *h)
{
	if (!h->running)
		return;
	release(h);
	spawn_stop(&h->child, 2 * NS_PER_SEC);
}
