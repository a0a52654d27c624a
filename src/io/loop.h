/* loop - the one place where a thread waits: descriptors and timers */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct loop;

/* A watched descriptor, embedded in its owner (container_of finds it back). The loop does not own the fd; it must
 * be removed before the fd is closed. `ready` gets EPOLL* bits; it may add, change and remove any watch. */
struct watch {
	int fd;
	uint32_t events;
	void (*ready)(struct watch *w, uint32_t events);
	struct loop *loop; /* NULL while not added */
};

/* A one-shot timer, embedded likewise and zeroed before its first use. `fired` may set it again. Timers that are due together fire in the order of
 * at_ns, then of setting. */
struct timer {
	uint64_t at_ns;
	void (*fired)(struct timer *t, uint64_t now_ns);
	/* the loop's own: a node of an intrusive heap, so that setting a timer never allocates */
	bool set;
	uint64_t sequence; /* order among equals */
	struct timer *child, *next, *prev;
};

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Real time: CLOCK_MONOTONIC, epoll_pwait2 with ns time-outs (ppoll and epoll_wait where the kernel has none), timer
 * slack 1 ns for the calling thread. */
int loop_new(struct loop **out, struct err *e) ERR_MUST_CHECK;
/* Fake time for tests: starts at start_ns; when no descriptor is ready, time jumps to the next timer. */
int loop_new_fake(struct loop **out, uint64_t start_ns, struct err *e) ERR_MUST_CHECK;
void loop_free(struct loop *l);
CLEANUP_PTR(struct loop, loop_free)

/* The loop's time, read now. */
uint64_t loop_now(const struct loop *l);
/* Fake loops only: moves time forward. */
void loop_advance(struct loop *l, uint64_t ns);

int loop_add(struct loop *l, struct watch *w, int fd, uint32_t events,
	     void (*ready)(struct watch *, uint32_t), struct err *e) ERR_MUST_CHECK;
/* Changes the events of an added watch; cheap when nothing changes. While events is 0 nothing at all is reported, not
 * even a hang-up. */
int loop_modify(struct watch *w, uint32_t events, struct err *e) ERR_MUST_CHECK;
/* Legal for a watch that is not added. A pending event of it is not delivered any more. */
void loop_remove(struct watch *w);

void timer_set(struct loop *l, struct timer *t, uint64_t at_ns,
	       void (*fired)(struct timer *, uint64_t));
void timer_cancel(struct loop *l, struct timer *t); /* legal when not set */
static inline bool timer_is_set(const struct timer *t)
{
	return t->set;
}

enum loop_end {
	LOOP_STOPPED,  /* loop_stop was called */
	LOOP_SIGNAL,   /* the user asked to stop (base/stop.h); reported once per loop_run */
	LOOP_DEADLINE, /* deadline_ns passed */
	LOOP_IDLE,     /* nothing to wait for: no watch, no timer */
};

/* Runs until one of the above; deadline_ns 0: none. Events are dispatched before timers of the same wake-up; a timer
 * that a callback sets for a time already past fires in the next round. A deadline that is past still lets what is
 * ready be dispatched once. An epoll failure is ERR_INTERNAL. With `ignore_stop` the user's request does not end it (for tidying up). */
int loop_run(struct loop *l, uint64_t deadline_ns, enum loop_end *why,
	     struct err *e) ERR_MUST_CHECK;
void loop_ignore_stop(struct loop *l, bool ignore);
/* How many waits brought an event. */
uint64_t loop_wakeups(const struct loop *l);
/* Makes the innermost loop_run return after the current callback. From this thread only. */
void loop_stop(struct loop *l);
/* While set, waits shorter than this end in a busy spin for accuracy (open-loop schedules); 0: never. */
void loop_spin(struct loop *l, uint64_t last_ns);
