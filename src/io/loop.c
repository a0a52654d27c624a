#include "io/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"

enum {
	BATCH_MAX = 64,
	/* The last stretch of a spin looks at the clock only: a poll costs more than the accuracy wanted. */
	SPIN_QUIET_NS = 2000,
};

/* The events of one wait; nested loop_run calls chain theirs, so that a removal finds every pending event. */
struct batch {
	struct epoll_event ev[BATCH_MAX];
	int n;
	struct batch *outer;
};

struct loop {
	int epoll;
	int stop; /* the stop descriptor that is registered, -1 */
	bool fake, ignore_stop, stopped, no_pwait2;
	uint64_t fake_now, spin_ns, sequence, wakeups;
	size_t n_watches;
	struct timer *first; /* root of the pairing heap */
	struct batch *batch;
};

/* Pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): intrusive, so setting a timer can never fail. `prev` is
 * the left sibling, or the parent for a leftmost child. */
static bool timer_before(const struct timer *a, const struct timer *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static struct timer *heap_meld(struct timer *a, struct timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (timer_before(b, a)) {
		struct timer *swap = a;

		a = b;
		b = swap;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* Melds a list of siblings: pairs from the left, then all from the right. */
static struct timer *heap_meld_list(struct timer *list)
{
	struct timer *pairs = NULL, *root = NULL;

	while (list) {
		struct timer *a = list, *b = list->next;

		list = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = heap_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct timer *next = pairs->next;

		pairs->next = NULL;
		root = heap_meld(root, pairs);
		pairs = next;
	}
	return root;
}

static void heap_take(struct loop *l, struct timer *t)
{
	if (t == l->first) {
		l->first = heap_meld_list(t->child);
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		l->first = heap_meld(l->first, heap_meld_list(t->child));
	}
	t->child = t->next = t->prev = NULL;
	t->set = false;
}

void timer_set(struct loop *l, struct timer *t, uint64_t at_ns,
	       void (*fired)(struct timer *, uint64_t))
{
	if (t->set)
		heap_take(l, t);
	t->at_ns = at_ns;
	t->fired = fired;
	t->sequence = ++l->sequence;
	t->set = true;
	t->child = t->next = t->prev = NULL;
	l->first = heap_meld(l->first, t);
}

void timer_cancel(struct loop *l, struct timer *t)
{
	if (t->set)
		heap_take(l, t);
}

static int loop_make(struct loop **out, bool fake, uint64_t start_ns, struct err *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return err_nomem(e);
	l->fake = fake;
	l->fake_now = start_ns;
	l->stop = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		err_sys(e, ERR_MACHINE, "epoll_create1");
		free(l);
		return -1;
	}
	*out = l;
	return 0;
}

int loop_new(struct loop **out, struct err *e)
{
	/* 50 us of default slack would be most of a short wait */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	return loop_make(out, false, 0, e);
}

int loop_new_fake(struct loop **out, uint64_t start_ns, struct err *e)
{
	return loop_make(out, true, start_ns, e);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	close(l->epoll);
	free(l);
}

uint64_t loop_now(const struct loop *l)
{
	return l->fake ? l->fake_now : clock_now();
}

void loop_advance(struct loop *l, uint64_t ns)
{
	l->fake_now += ns;
}

static int control(struct loop *l, int op, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(l->epoll, op, w->fd, &ev);
}

int loop_add(struct loop *l, struct watch *w, int fd, uint32_t events,
	     void (*ready)(struct watch *, uint32_t), struct err *e)
{
	w->fd = fd;
	w->events = events;
	w->ready = ready;
	w->loop = NULL;
	if (events && control(l, EPOLL_CTL_ADD, w, events) < 0)
		return err_sys(e, ERR_INTERNAL, "cannot watch descriptor %d", fd);
	w->loop = l;
	l->n_watches++;
	return 0;
}

int loop_modify(struct watch *w, uint32_t events, struct err *e)
{
	int op = EPOLL_CTL_MOD;

	if (w->events == events)
		return 0;
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else if (w->events == 0)
		op = EPOLL_CTL_ADD;
	if (control(w->loop, op, w, events) < 0)
		return err_sys(e, ERR_INTERNAL, "cannot change the watch of descriptor %d", w->fd);
	w->events = events;
	return 0;
}

void loop_remove(struct watch *w)
{
	struct loop *l = w->loop;

	if (!l)
		return;
	if (w->events)
		control(l, EPOLL_CTL_DEL, w, 0);
	for (struct batch *b = l->batch; b; b = b->outer)
		for (int i = 0; i < b->n; i++)
			if (b->ev[i].data.ptr == w)
				b->ev[i].data.ptr = NULL;
	w->loop = NULL;
	l->n_watches--;
}

void loop_ignore_stop(struct loop *l, bool ignore)
{
	l->ignore_stop = ignore;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

uint64_t loop_wakeups(const struct loop *l)
{
	return l->wakeups;
}

void loop_spin(struct loop *l, uint64_t last_ns)
{
	l->spin_ns = last_ns;
}

/* Edge-triggered, because the descriptor stays readable for ever: it only ends a wait, the flag is what counts. */
static int watch_stop(struct loop *l, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
	int fd = stop_fd();

	if (fd < 0 || fd == l->stop)
		return 0;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_sys(e, ERR_INTERNAL, "cannot watch the stop descriptor");
	l->stop = fd;
	return 0;
}

/* One system call; UINT64_MAX waits without end. Returns the number of events, 0 for none or EINTR. */
static int wait_once(struct loop *l, struct batch *b, uint64_t wait_ns, struct err *e)
{
	struct timespec ts = { .tv_sec = (time_t)(wait_ns / NS_PER_SEC),
			       .tv_nsec = (long)(wait_ns % NS_PER_SEC) };
	struct timespec *limit = wait_ns == UINT64_MAX ? NULL : &ts;
	struct pollfd self = { .fd = l->epoll, .events = POLLIN };
	int n = 0;

	if (!l->no_pwait2) {
		n = epoll_pwait2(l->epoll, b->ev, BATCH_MAX, limit, NULL);
		if (n < 0 && (errno == ENOSYS || errno == EPERM))
			l->no_pwait2 = true;
	}
	if (l->no_pwait2) {
		/* kernels before 5.11, and sandboxes: an epoll descriptor can itself be waited for with ns */
		n = wait_ns ? ppoll(&self, 1, limit, NULL) : 1;
		if (n > 0)
			n = epoll_wait(l->epoll, b->ev, BATCH_MAX, 0);
	}
	if (n < 0 && errno != EINTR)
		return err_sys(e, ERR_INTERNAL, "epoll wait");
	b->n = n < 0 ? 0 : n;
	l->wakeups += b->n > 0;
	return b->n;
}

static int wait_spinning(struct loop *l, struct batch *b, uint64_t due_ns, struct err *e)
{
	uint64_t now = clock_now();
	int n = 0;

	if (due_ns > now && due_ns - now > l->spin_ns)
		n = wait_once(l, b, due_ns - now - l->spin_ns, e);
	while (n == 0 && (now = clock_now()) < due_ns)
		if (due_ns - now > SPIN_QUIET_NS)
			n = wait_once(l, b, 0, e);
	return n;
}

/* Waits for events or for due_ns (UINT64_MAX: no limit); a fake clock jumps there instead. */
static int wait_events(struct loop *l, struct batch *b, uint64_t due_ns, struct err *e)
{
	uint64_t now;
	int n;

	if (l->fake) {
		n = wait_once(l, b, due_ns == UINT64_MAX ? UINT64_MAX : 0, e);
		if (n == 0 && due_ns != UINT64_MAX && due_ns > l->fake_now && !b->n)
			l->fake_now = due_ns;
		return n;
	}
	if (due_ns == UINT64_MAX)
		return wait_once(l, b, UINT64_MAX, e);
	if (l->spin_ns)
		return wait_spinning(l, b, due_ns, e);
	now = clock_now();
	return wait_once(l, b, ns_since(now, due_ns), e);
}

static void dispatch_events(struct loop *l, struct batch *b)
{
	for (int i = 0; i < b->n && !l->stopped; i++) {
		struct watch *w = b->ev[i].data.ptr;
		uint32_t events;

		if (!w)
			continue;
		b->ev[i].data.ptr = NULL;
		events = b->ev[i].events & (w->events | EPOLLERR | EPOLLHUP);
		if (w->events && events)
			w->ready(w, events);
	}
}

/* Timers that callbacks set for now or earlier wait for the next round, so that descriptors get their turn. */
static void dispatch_timers(struct loop *l)
{
	uint64_t last = l->sequence;
	uint64_t now = loop_now(l);

	while (!l->stopped && l->first && l->first->at_ns <= now && l->first->sequence <= last) {
		struct timer *t = l->first;

		heap_take(l, t);
		t->fired(t, now);
	}
}

static bool has_ended(struct loop *l, uint64_t deadline_ns, enum loop_end *why)
{
	if (l->stopped) {
		l->stopped = false;
		*why = LOOP_STOPPED;
	} else if (!l->ignore_stop && stop_signal()) {
		*why = LOOP_SIGNAL;
	} else if (deadline_ns && loop_now(l) >= deadline_ns) {
		*why = LOOP_DEADLINE;
	} else if (l->n_watches == 0 && !l->first) {
		*why = LOOP_IDLE;
	} else {
		return false;
	}
	return true;
}

/* When the next wait has to end. */
static uint64_t next_due(const struct loop *l, uint64_t deadline_ns)
{
	uint64_t due = l->first ? l->first->at_ns : UINT64_MAX;

	return deadline_ns && deadline_ns < due ? deadline_ns : due;
}

int loop_run(struct loop *l, uint64_t deadline_ns, enum loop_end *why, struct err *e)
{
	struct batch b = { .outer = l->batch };
	int rc = 0;

	if (watch_stop(l, e) < 0)
		return -1;
	l->batch = &b;
	do {
		if (!l->stopped && !(stop_signal() && !l->ignore_stop) &&
		    (l->n_watches || l->first)) {
			b.n = 0;
			rc = wait_events(l, &b, next_due(l, deadline_ns), e);
			if (rc < 0)
				break;
			rc = 0;
			dispatch_events(l, &b);
			dispatch_timers(l);
		}
	} while (!has_ended(l, deadline_ns, why));
	l->batch = b.outer;
	return rc;
}
