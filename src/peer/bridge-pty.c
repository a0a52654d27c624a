#include "peer/bridge-pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include "io/spawn.h"

enum { DEVICE_MAX = 64 };

/* A pty's master says that the last program closed it (a hang-up), but not that one opens it: inotify does. */
struct bridge_pty {
	struct loop *loop;
	int master, notify;
	struct watch watch;
	struct timer again;
	char device[DEVICE_MAX];
	char *path;
	bool linked, in_session;
	void (*opened)(void *ctx);
	void *ctx;
};

static bool is_open(const struct bridge_pty *p)
{
	struct pollfd fd = { .fd = p->master, .events = POLLIN };

	return poll(&fd, 1, 0) >= 0 && !(fd.revents & POLLHUP);
}

static void look(struct bridge_pty *p)
{
	if (!p->in_session && is_open(p))
		p->opened(p->ctx);
}

static void notified(struct watch *w, uint32_t events)
{
	struct bridge_pty *p = CONTAINER_OF(w, struct bridge_pty, watch);
	char sink[4096];

	(void)events;
	while (read(p->notify, sink, sizeof(sink)) > 0)
		continue;
	look(p);
}

static int place_link(struct bridge_pty *p, struct err *e)
{
	char old[DEVICE_MAX];
	ssize_t n = readlink(p->path, old, sizeof(old) - 1);

	if (n > 0) {
		old[n] = '\0';
		if (strncmp(old, "/dev/pts/", 9) == 0)
			unlink(p->path);
	}
	if (symlink(p->device, p->path) < 0)
		return err_sys(e, ERR_USAGE, "--pty: cannot make the link %s", p->path);
	p->linked = true;
	return 0;
}

static int make_pty(struct bridge_pty *p, struct err *e)
{
	CLEANUP_FD int slave = -1;
	struct termios t;

	if (pty_open(&p->master, &slave, p->device, e) < 0)
		return -1;
	/* bytes for the device, 0x03 among them, are nobody's signal here */
	if (tcgetattr(slave, &t) < 0)
		return err_sys(e, ERR_MACHINE, "--pty");
	cfmakeraw(&t);
	if (tcsetattr(slave, TCSANOW, &t) < 0)
		return err_sys(e, ERR_MACHINE, "--pty");
	p->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->notify < 0 || inotify_add_watch(p->notify, p->device, IN_OPEN) < 0)
		return err_sys(e, ERR_MACHINE, "--pty: cannot see when %s is opened", p->device);
	return loop_add(p->loop, &p->watch, p->notify, EPOLLIN, notified, e);
}

int bridge_pty_open(struct bridge_pty **out, struct loop *l, const char *path,
		    void (*opened)(void *ctx), void *ctx, struct err *e)
{
	CLEANUP(bridge_pty_close) struct bridge_pty *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(e);
	p->loop = l;
	p->master = p->notify = -1;
	p->opened = opened;
	p->ctx = ctx;
	p->path = strdup(path);
	if (!p->path)
		return err_nomem(e);
	if (make_pty(p, e) < 0 || place_link(p, e) < 0)
		return -1;
	*out = TAKE(p);
	return 0;
}

void bridge_pty_close(struct bridge_pty *p)
{
	char now[DEVICE_MAX];
	ssize_t n;

	if (!p)
		return;
	if (p->linked) {
		n = readlink(p->path, now, sizeof(now) - 1);
		if (n > 0 && (size_t)n == strlen(p->device) &&
		    memcmp(now, p->device, (size_t)n) == 0)
			unlink(p->path);
	}
	timer_cancel(p->loop, &p->again);
	loop_remove(&p->watch);
	fd_close(&p->notify);
	fd_close(&p->master);
	free(p->path);
	free(p);
}

const char *bridge_pty_device(const struct bridge_pty *p)
{
	return p->device;
}

int bridge_pty_session(struct bridge_pty *p, int *fd, struct err *e)
{
	*fd = fcntl(p->master, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return err_sys(e, ERR_MACHINE, "--pty");
	p->in_session = true;
	return 0;
}

static void again(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	look(CONTAINER_OF(t, struct bridge_pty, again));
}

void bridge_pty_over(struct bridge_pty *p)
{
	p->in_session = false;
	timer_set(p->loop, &p->again, loop_now(p->loop), again);
}
