#include "peer/command-session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/opt.h"
#include "io/spawn.h"

struct command_session {
	struct session s;
	const struct command_workload *w;
	struct child child;
	struct watch ended;
	uint64_t sent_ns;
	char detail[128];
};

/* The command line with every {} replaced, quoted so that the URL stays one word. */
static int substitute(struct buf *out, const char *command, const char *url, struct err *e)
{
	unsigned places = 0;

	for (const char *p = command; *p;) {
		if (p[0] == '{' && p[1] == '}') {
			buf_adds(out, url);
			places++;
			p += 2;
		} else {
			buf_addc(out, *p++);
		}
	}
	if (out->failed)
		return err_nomem(e);
	if (places == 0)
		return err_set(e, ERR_USAGE, "usage",
			       "--compare-client '%s': {} must stand where the target belongs",
			       command);
	return 0;
}

int command_workload_make(struct command_workload *out, const char *command, const char *url,
			  struct err *e)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	CLEANUP(buf_done) struct buf quoted = BUF_INIT;

	/* a URL with blanks (exec:) is one word for the client, unless the user quoted {} */
	if (strchr(url, ' ') && !strstr(command, "'{}'") && !strstr(command, "\"{}\""))
		buf_addf(&quoted, "'%s'", url);
	else
		buf_adds(&quoted, url);
	if (quoted.failed)
		return err_nomem(e);
	if (substitute(&line, command, buf_text(&quoted), e) < 0)
		return -1;
	out->cpu = -1;
	return opt_split_command(buf_text(&line), &out->argv, e);
}

static void answer(struct command_session *c, struct outcome *o)
{
	c->s.done(&c->s, o);
}

static uint64_t time_ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * NS_PER_SEC + (uint64_t)t->tv_usec * NS_PER_US;
}

static void has_ended(struct watch *w, uint32_t events)
{
	struct command_session *c = CONTAINER_OF(w, struct command_session, ended);
	struct outcome o = { .sent_ns = c->sent_ns,
			     .done_ns = loop_now(c->s.loop),
			     .detail = c->detail };

	(void)events;
	if (!spawn_poll(&c->child))
		return;
	loop_remove(w);
	if (!WIFEXITED(c->child.status) || WEXITSTATUS(c->child.status) != 0)
		o.failure = WIFEXITED(c->child.status) ? "exit-status" : "killed";
	spawn_describe(&c->child, c->detail, sizeof(c->detail));
	o.value = time_ns(&c->child.usage.ru_utime) + time_ns(&c->child.usage.ru_stime);
	o.has_value = true;
	spawn_stop(&c->child, 0);
	answer(c, &o);
}

static void command_open(struct session *s)
{
	struct outcome o = { .sent_ns = loop_now(s->loop) };

	o.done_ns = o.sent_ns;
	s->done(s, &o);
}

static void command_start(struct session *s)
{
	struct command_session *c = CONTAINER_OF(s, struct command_session, s);
	struct spawn_params p = SPAWN_DEFAULT;
	struct outcome o = { .failure = "not-run", .detail = c->detail };
	struct err e;

	p.argv = c->w->argv;
	memset(&c->child, 0, sizeof(c->child));
	c->sent_ns = loop_now(s->loop);
	if (spawn_start(&c->child, &p, &e) == 0 &&
	    loop_add(s->loop, &c->ended, c->child.pidfd, EPOLLIN, has_ended, &e) == 0)
		return;
	spawn_stop(&c->child, 0);
	snprintf(c->detail, sizeof(c->detail), "%.*s", (int)sizeof(c->detail) - 1, e.msg);
	o.sent_ns = c->sent_ns;
	o.done_ns = loop_now(s->loop);
	answer(c, &o);
}

static void command_cancel(struct session *s)
{
	struct command_session *c = CONTAINER_OF(s, struct command_session, s);

	loop_remove(&c->ended);
	spawn_stop(&c->child, 0);
}

static void command_free(struct session *s)
{
	command_cancel(s);
	free(CONTAINER_OF(s, struct command_session, s));
}

static const struct session_ops command_ops = {
	.open = command_open,
	.start = command_start,
	.cancel = command_cancel,
	.close = command_open,
	.free = command_free,
};

int command_session_make(void *workload, struct loop *loop, unsigned index, struct sub_sink *sink,
			 struct session **out, struct err *e)
{
	struct command_session *c = calloc(1, sizeof(*c));

	(void)index;
	(void)sink;
	if (!c)
		return err_nomem(e);
	c->s.ops = &command_ops;
	c->s.loop = loop;
	c->w = workload;
	*out = &c->s;
	return 0;
}
