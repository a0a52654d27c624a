/* test-loop - descriptors, timers and clocks of the event loop */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"
#include "io/loop.h"

enum { MANY = 2000, START = 1000 };

struct note {
	struct timer timer;
	struct trace *trace;
	int id;
};

struct trace {
	struct loop *loop;
	int id[MANY];
	uint64_t at[MANY];
	int n;
};

static void note_fired(struct timer *t, uint64_t now_ns)
{
	struct note *n = CONTAINER_OF(t, struct note, timer);

	n->trace->id[n->trace->n] = n->id;
	n->trace->at[n->trace->n++] = now_ns;
}

static enum loop_end run(struct loop *l, uint64_t deadline_ns)
{
	enum loop_end why = LOOP_STOPPED;
	struct err e;

	assert_int_equal(loop_run(l, deadline_ns, &why, &e), 0);
	return why;
}

static struct loop *fake_new(void)
{
	struct loop *l = NULL;
	struct err e;

	assert_int_equal(loop_new_fake(&l, START, &e), 0);
	return l;
}

static int event_new(uint64_t value)
{
	int fd = eventfd((unsigned)value, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void timers_fire_in_order(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	struct trace tr = { .loop = l };
	static const uint64_t at[] = { 30, 10, 20, 10, 30, 5 };
	static const int order[] = { 5, 1, 3, 2, 0, 4 };
	struct note n[6] = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		n[i].trace = &tr;
		n[i].id = i;
		timer_set(l, &n[i].timer, START + at[i], note_fired);
	}
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(tr.n, 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(tr.id[i], order[i]);
		assert_int_equal(tr.at[i], START + at[order[i]]);
		assert_false(timer_is_set(&n[i].timer));
	}
	assert_int_equal(loop_now(l), START + 30);
}

/* Random sets, moves and cancels against a plain sort. */
static void timers_match_a_sort(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	static struct trace tr;
	static struct note n[MANY];
	uint64_t rnd = 1, last = 0;
	int set = 0;

	(void)state;
	tr.loop = l;
	for (int i = 0; i < 3 * MANY; i++) {
		struct note *x = &n[(rnd >> 33) % MANY];

		x->trace = &tr;
		x->id = (int)(x - n);
		rnd = rnd * 6364136223846793005u + 1442695040888963407u;
		if ((rnd >> 60) % 4 == 0)
			timer_cancel(l, &x->timer);
		else
			timer_set(l, &x->timer, START + (rnd >> 40) % 500, note_fired);
	}
	for (int i = 0; i < MANY; i++)
		set += timer_is_set(&n[i].timer);
	assert_true(set > MANY / 4);
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(tr.n, set);
	for (int i = 0; i < tr.n; i++) {
		const struct timer *t = &n[tr.id[i]].timer;

		assert_int_equal(tr.at[i], t->at_ns);
		assert_true(tr.at[i] >= last);
		if (i && tr.at[i] == last)
			assert_true(t->sequence > n[tr.id[i - 1]].timer.sequence);
		last = tr.at[i];
	}
}

static void deadline_is_exact_on_a_fake_clock(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	struct trace tr = { .loop = l };
	struct note a = { .trace = &tr, .id = 1 }, b = { .trace = &tr, .id = 2 };

	(void)state;
	timer_set(l, &a.timer, START + 100, note_fired);
	timer_set(l, &b.timer, START + 101, note_fired);
	assert_int_equal(run(l, START + 100), LOOP_DEADLINE);
	assert_int_equal(loop_now(l), START + 100);
	assert_int_equal(tr.n, 1);
	loop_advance(l, 50);
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(tr.n, 2);
	assert_int_equal(tr.at[1], START + 150);
}

struct repeat {
	struct timer timer;
	struct loop *loop;
	int left;
};

static void repeat_fired(struct timer *t, uint64_t now_ns)
{
	struct repeat *r = CONTAINER_OF(t, struct repeat, timer);

	if (--r->left)
		timer_set(r->loop, t, now_ns + 7, repeat_fired);
}

static void a_timer_may_set_itself_again(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	struct repeat r = { .loop = l, .left = 1000 };

	(void)state;
	timer_set(l, &r.timer, START, repeat_fired);
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(loop_now(l), START + 7 * 999);
}

struct peer {
	struct watch watch;
	struct peer *victim;
	int *calls;
	struct timer *cancel;
};

static void peer_ready(struct watch *w, uint32_t events)
{
	struct peer *p = CONTAINER_OF(w, struct peer, watch);

	assert_true(events & EPOLLIN);
	(*p->calls)++;
	if (p->cancel)
		timer_cancel(w->loop, p->cancel);
	loop_remove(&p->victim->watch);
	loop_remove(w);
}

static void removal_during_dispatch_drops_the_event(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	CLEANUP_FD int a = event_new(1), b = event_new(1);
	int calls = 0;
	struct peer x = { .calls = &calls }, y = { .calls = &calls };
	struct err e;

	(void)state;
	x.victim = &y;
	y.victim = &x;
	assert_int_equal(loop_add(l, &x.watch, a, EPOLLIN, peer_ready, &e), 0);
	assert_int_equal(loop_add(l, &y.watch, b, EPOLLIN, peer_ready, &e), 0);
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(calls, 1);
	assert_null(x.watch.loop);
	assert_null(y.watch.loop);
	loop_remove(&x.watch); /* legal again */
}

static void events_come_before_timers(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	CLEANUP_FD int a = event_new(1);
	struct trace tr = { .loop = l };
	struct note due = { .trace = &tr };
	int calls = 0;
	struct peer x = { .calls = &calls, .cancel = &due.timer };
	struct err e;

	(void)state;
	x.victim = &x;
	timer_set(l, &due.timer, START, note_fired);
	assert_int_equal(loop_add(l, &x.watch, a, EPOLLIN, peer_ready, &e), 0);
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(calls, 1);
	assert_int_equal(tr.n, 0); /* the event cancelled it in time */
}

struct again {
	struct watch watch;
	struct timer timer;
	struct loop *loop;
	int fired, ready;
};

static void again_fired(struct timer *t, uint64_t now_ns)
{
	struct again *a = CONTAINER_OF(t, struct again, timer);

	a->fired++;
	timer_set(a->loop, t, now_ns, again_fired);
}

static void again_ready(struct watch *w, uint32_t events)
{
	struct again *a = CONTAINER_OF(w, struct again, watch);

	(void)events;
	if (++a->ready == 3)
		loop_stop(w->loop);
}

static void a_timer_due_for_ever_starves_no_descriptor(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	CLEANUP_FD int fd = event_new(1);
	struct again a = { .loop = l };
	struct err e;

	(void)state;
	timer_set(l, &a.timer, START, again_fired);
	assert_int_equal(loop_add(l, &a.watch, fd, EPOLLIN, again_ready, &e), 0);
	assert_int_equal(run(l, 0), LOOP_STOPPED);
	assert_int_equal(a.ready, 3);
	assert_int_equal(a.fired, 2);
	loop_remove(&a.watch);
	timer_cancel(l, &a.timer);
}

static void events_zero_silences_a_watch(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	struct trace tr = { .loop = l };
	struct note n = { .trace = &tr };
	int calls = 0, p[2];
	struct peer x = { .calls = &calls };
	struct err e;

	(void)state;
	x.victim = &x;
	assert_int_equal(pipe(p), 0);
	close(p[1]); /* a hang-up is pending all the time */
	assert_int_equal(loop_add(l, &x.watch, p[0], EPOLLIN, peer_ready, &e), 0);
	assert_int_equal(loop_modify(&x.watch, 0, &e), 0);
	timer_set(l, &n.timer, START + 5, note_fired);
	assert_int_equal(run(l, START + 10), LOOP_DEADLINE);
	assert_int_equal(tr.n, 1);
	assert_int_equal(calls, 0);
	loop_remove(&x.watch);
	close(p[0]);
}

static void inner_fired(struct timer *t, uint64_t now_ns)
{
	struct note *n = CONTAINER_OF(t, struct note, timer);

	note_fired(t, now_ns);
	loop_stop(n->trace->loop);
}

static void outer_fired(struct timer *t, uint64_t now_ns)
{
	struct note *n = CONTAINER_OF(t, struct note, timer);
	struct note inner = { .trace = n->trace, .id = 2 };

	timer_set(n->trace->loop, &inner.timer, now_ns + 1, inner_fired);
	assert_int_equal(run(n->trace->loop, 0), LOOP_STOPPED);
	note_fired(t, loop_now(n->trace->loop));
}

static void runs_nest_and_stop_one_by_one(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	struct trace tr = { .loop = l };
	struct note outer = { .trace = &tr, .id = 1 }, last = { .trace = &tr, .id = 3 };

	(void)state;
	timer_set(l, &outer.timer, START, outer_fired);
	timer_set(l, &last.timer, START + 10, note_fired);
	assert_int_equal(run(l, 0), LOOP_IDLE);
	assert_int_equal(tr.n, 3);
	assert_int_equal(tr.id[0], 2);
	assert_int_equal(tr.id[1], 1);
	assert_int_equal(tr.id[2], 3);
}

static void a_stop_request_ends_a_run(void **state)
{
	CLEANUP(loop_free) struct loop *l = NULL;
	CLEANUP_FD int fd = event_new(0);
	struct trace tr = { 0 };
	struct note n = { .trace = &tr };
	int calls = 0;
	struct peer x = { .calls = &calls };
	struct err e;

	(void)state;
	assert_int_equal(stop_install(&e), 0);
	assert_int_equal(loop_new(&l, &e), 0);
	assert_int_equal(loop_add(l, &x.watch, fd, EPOLLIN, peer_ready, &e), 0);
	stop_set(SIGINT);
	assert_int_equal(run(l, 0), LOOP_SIGNAL);
	assert_int_equal(run(l, 0), LOOP_SIGNAL);
	loop_ignore_stop(l, true);
	timer_set(l, &n.timer, loop_now(l), note_fired);
	assert_int_equal(run(l, loop_now(l) + NS_PER_MS), LOOP_DEADLINE);
	assert_int_equal(tr.n, 1);
	stop_set(0);
	loop_ignore_stop(l, false);
	/* the signal itself, during a wait that nothing else would end */
	if (fork() == 0) {
		kill(getppid(), SIGTERM);
		_exit(0);
	}
	assert_int_equal(run(l, 0), LOOP_SIGNAL);
	assert_int_equal(stop_signal(), SIGTERM);
	stop_set(0);
	wait(NULL);
	loop_remove(&x.watch);
	assert_int_equal(calls, 0);
}

static void real_timers_are_never_early(void **state)
{
	CLEANUP(loop_free) struct loop *l = NULL;
	struct trace tr = { 0 };
	struct note n = { .trace = &tr };
	struct err e;

	(void)state;
	assert_int_equal(loop_new(&l, &e), 0);
	assert_int_equal(prctl(PR_GET_TIMERSLACK), 1);
	for (int spin = 0; spin < 2; spin++) {
		loop_spin(l, spin ? 100 * NS_PER_US : 0);
		for (int i = 0; i < 20; i++) {
			uint64_t due = loop_now(l) + 200 * NS_PER_US;

			tr.n = 0;
			timer_set(l, &n.timer, due, note_fired);
			assert_int_equal(run(l, 0), LOOP_IDLE);
			assert_int_equal(tr.n, 1);
			assert_true(tr.at[0] >= due);
		}
	}
}

static void bad_descriptors_are_errors(void **state)
{
	CLEANUP(loop_free) struct loop *l = fake_new();
	struct watch w = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(loop_add(l, &w, -1, EPOLLIN, again_ready, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(e.sys, EBADF);
	assert_null(w.loop);
	assert_int_equal(run(l, 0), LOOP_IDLE);
}

/* A kernel without epoll_pwait2, as a seccomp filter plays it. */
static int without_pwait2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0UL, 0UL) < 0;
}

static int old_kernel_child(void)
{
	struct loop *l = NULL;
	static struct trace tr;
	struct note n = { .trace = &tr };
	struct again a = { .ready = 2 };
	struct epoll_event ev;
	int fd = eventfd(1, EFD_CLOEXEC);
	enum loop_end why;
	uint64_t due;
	struct err e;

	if (without_pwait2())
		return 77;
	if (epoll_pwait2(-1, &ev, 1, NULL, NULL) != -1 || errno != ENOSYS)
		return 1;
	if (loop_new(&l, &e) < 0)
		return 2;
	due = loop_now(l) + 1500 * NS_PER_US;
	timer_set(l, &n.timer, due, note_fired);
	if (loop_run(l, 0, &why, &e) < 0 || why != LOOP_IDLE || tr.n != 1 || tr.at[0] < due)
		return 3;
	if (loop_add(l, &a.watch, fd, EPOLLIN, again_ready, &e) < 0 ||
	    loop_run(l, 0, &why, &e) < 0 || why != LOOP_STOPPED || a.ready != 3)
		return 4;
	loop_remove(&a.watch);
	loop_free(l);
	close(fd);
	return 0;
}

static void old_kernels_wait_as_exactly(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(old_kernel_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(timers_match_a_sort),
		cmocka_unit_test(deadline_is_exact_on_a_fake_clock),
		cmocka_unit_test(a_timer_may_set_itself_again),
		cmocka_unit_test(removal_during_dispatch_drops_the_event),
		cmocka_unit_test(events_come_before_timers),
		cmocka_unit_test(a_timer_due_for_ever_starves_no_descriptor),
		cmocka_unit_test(events_zero_silences_a_watch),
		cmocka_unit_test(runs_nest_and_stop_one_by_one),
		cmocka_unit_test(a_stop_request_ends_a_run),
		cmocka_unit_test(real_timers_are_never_early),
		cmocka_unit_test(bad_descriptors_are_errors),
		cmocka_unit_test(old_kernels_wait_as_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
