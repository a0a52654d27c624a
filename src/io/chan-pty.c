#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/opt.h"
#include "io/chan-impl.h"
#include "io/spawn.h"

struct pty_chan {
	struct chan *c;
	char **argv;
	struct child child;
	struct watch end; /* of a process that is being closed */
};

static int pty_make(struct chan *c, struct err *e)
{
	static const char *const known[] = { NULL };
	struct pty_chan *p;

	if (url_check_query(c->p.url, known, e) < 0)
		return -1;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(e);
	c->impl = p;
	p->c = c;
	/* mpremote reads a /dev/pts path with a blocking read, and no handler's close sleeps */
	c->style.read_poll_ns = 0;
	return opt_split_command(c->p.url->path, &p->argv, e);
}

static int launch(struct chan *c, struct err *e)
{
	struct pty_chan *p = c->impl;
	struct spawn_params sp = SPAWN_DEFAULT;
	CLEANUP_FD int master = -1, slave = -1;

	if (pty_open(&master, &slave, NULL, e) < 0)
		return -1;
	sp.argv = p->argv;
	sp.tty = slave;
	if (spawn_start(&p->child, &sp, e) < 0)
		return -1;
	c->connected = true;
	if (chan_watch(c, fd_take(&master), e) < 0)
		return -1;
	return 0;
}

static void pty_start(struct chan *c)
{
	struct err e;

	if (launch(c, &e) < 0)
		chan_fail(c, &e);
	else
		chan_announce(c);
}

static void pty_free(struct chan *c)
{
	struct pty_chan *p = c->impl;

	loop_remove(&p->end);
	spawn_stop(&p->child, 0);
	free(p->argv);
	free(p);
}

static void pty_ended(struct chan *c, struct err *e)
{
	struct pty_chan *p = c->impl;
	char how[64];

	if (strcmp(e->code, "closed") != 0)
		return;
	if (spawn_poll(&p->child))
		err_set(e, ERR_TARGET, "closed", "%s ended: %s", p->argv[0],
			spawn_describe(&p->child, how, sizeof(how)));
	else
		err_set(e, ERR_TARGET, "closed", "%s closed its terminal", p->argv[0]);
}

static void finish_close(struct chan *c)
{
	struct pty_chan *p = c->impl;

	loop_remove(&p->end);
	spawn_stop(&p->child, 0);
	chan_closed(c);
}

static void hung_up(struct watch *w, uint32_t events)
{
	(void)events;
	finish_close(CONTAINER_OF(w, struct pty_chan, end)->c);
}

static void grace_over(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	finish_close(CONTAINER_OF(t, struct chan, wait));
}

/* As a terminal that goes away: most devices end on SIGHUP, the others when their grace is over. */
static void pty_close(struct chan *c)
{
	struct pty_chan *p = c->impl;
	struct err e;

	chan_drop(c);
	spawn_signal(&p->child, SIGHUP);
	if (loop_add(c->loop, &p->end, p->child.pidfd, EPOLLIN, hung_up, &e) < 0) {
		finish_close(c);
		return;
	}
	timer_set(c->loop, &c->wait, loop_now(c->loop) + CHAN_HANGUP_GRACE_MS * NS_PER_MS,
		  grace_over);
}

const struct chan_ops chan_pty_ops = {
	.scheme = "exec",
	.make = pty_make,
	.start = pty_start,
	.free = pty_free,
	.ended = pty_ended,
	.close = pty_close,
};

static void respawned(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	chan_announce(CONTAINER_OF(t, struct chan, wait));
}

pid_t chan_pid(const struct chan *c)
{
	return c->ops == &chan_pty_ops ? ((const struct pty_chan *)c->impl)->child.pid : 0;
}

void chan_kill(struct chan *c)
{
	if (c->ops == &chan_pty_ops)
		spawn_signal(&((struct pty_chan *)c->impl)->child, SIGKILL);
}

int chan_respawn(struct chan *c, struct err *e)
{
	struct pty_chan *p = c->impl;

	if (c->ops != &chan_pty_ops)
		return err_set(e, ERR_INTERNAL, "respawn", "%s is no process of ours",
			       c->p.url->shown);
	chan_drop(c);
	spawn_stop(&p->child, 0);
	buf_clear(&c->out);
	c->out_off = 0;
	c->failed = c->ready = false;
	err_clear(&c->error);
	if (launch(c, e) < 0)
		return chan_break(c, e);
	/* not from inside this call: the caller has just begun to wait for it */
	timer_set(c->loop, &c->wait, loop_now(c->loop), respawned);
	return 0;
}
