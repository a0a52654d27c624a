/* watch-hook - the user's command that hears of alerts */
#pragma once

#include "io/loop.h"
#include "io/spawn.h"
#include "result/watcher.h"

/* One command at a time; what happens meanwhile is told by one more afterwards. */
struct hook {
	/* set by the owner */
	struct loop *loop;
	char *const *words; /* NULL-terminated; NULL: there is no command */
	uint64_t timeout_ns;
	int output; /* descriptor for its standard output and error, -1: none */
	void (*failed)(struct hook *h, const char *why);
	/* its own */
	bool running, waiting;
	struct child child;
	struct watch end;
	struct timer too_long;
	enum watch_event_kind kind; /* of what waits */
	char text[1024];
};

/* Runs the command; a word {} is the text, and in its environment are MPBENCH_EVENT (alert, down, recovered, cleared)
 * and MPBENCH_TEXT. */
void hook_tell(struct hook *h, enum watch_event_kind kind, const char *text);
/* Ends a command that runs, after a moment to finish. Legal on a zeroed one. */
void hook_stop(struct hook *h);
