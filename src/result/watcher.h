/* watcher - what a benchmark that runs again and again has come to: its history, alerts, outages */
#pragma once

#include "result/history.h"
#include "result/limit.h"

enum watch_status {
	WATCH_OK,
	WATCH_BAD,    /* a limit is not kept, or the benchmark itself says so (exit status 1) */
	WATCH_FAILED, /* the benchmark failed although something succeeded */
	WATCH_DOWN,   /* nothing succeeded, or there is no result at all */
};
#define WATCH_STATUSES 4
const char *watch_status_name(enum watch_status s);

/* One run of the benchmark. */
struct watch_run {
	int64_t at_ns; /* when it began, since 1970 */
	uint64_t duration_ns;
	uint64_t skipped;    /* starts left out before it */
	const json_t *root;  /* its result, checked; NULL: there is none */
	int exit_status;     /* -1: killed */
	const char *message; /* of the benchmark, "" */
};

enum watch_event_kind { WATCH_ALERT, WATCH_TARGET_DOWN, WATCH_RECOVERED, WATCH_CLEARED };
const char *watch_event_name(enum watch_event_kind k); /* "alert", "down", "recovered", "cleared" */

struct watch_event {
	enum watch_event_kind kind;
	bool news; /* it was not so in the run before */
	char text[300];
};
enum { WATCH_EVENTS_MAX = 66, WATCH_SHOWN = 400 };

struct watcher {
	/* set before the first run */
	const struct limit *limit;
	size_t n_limits;
	const struct side *base; /* what changes are changes of; NULL */
	/* all of them: of this process */
	uint64_t runs[WATCH_STATUSES], skipped, alerts_of[OPT_LIST_MAX];
	uint64_t outages, down_ns; /* of outages that are over */
	/* going on across restarts */
	uint64_t seq, outage, outage_runs;
	int64_t down_since_ns; /* while the target is down */
	bool down;
	enum watch_status last;
	bool broken[OPT_LIST_MAX];		    /* per limit */
	bool complained;			    /* the benchmark's own exit status */
	struct history h;			    /* the last WATCH_SHOWN runs */
	struct watch_event event[WATCH_EVENTS_MAX]; /* of the last run */
	size_t n_events;
};

void watcher_done(struct watcher *w);
CLEANUP_OBJ(struct watcher, watcher_done)
/* Goes on from the lines of an earlier watcher (none: a fresh start). Broken ones are passed over. */
int watcher_resume(struct watcher *w, const char *name, const char *text, size_t len,
		   struct err *e) ERR_MUST_CHECK;
/*
 * Judges a run, keeps it in the history, fills `event`, and makes its line: *line is malloc'ed. A metric of a limit that the
 * first result does not have is ERR_USAGE; later it is an alert.
 */
int watcher_take(struct watcher *w, const struct watch_run *run, char **line,
		 struct err *e) ERR_MUST_CHECK;

/* "2026-11-21T15:40:12Z ok     repl.exec latency.median 59.1 us, ..." for logs. */
int watcher_plain(const struct watcher *w, const struct table_style *style, struct buf *out);
/* The screen: as many lines as there are rows; `head` says what is watched, `now` what happens. */
struct watch_screen {
	const struct table_style *style;
	unsigned rows;
	const char *head, *now;
	const char *const *log; /* the last events, newest last */
	size_t n_log;
};
int watcher_screen(const struct watcher *w, const struct watch_screen *s, struct buf *out);
/* What it came to at the end, after elapsed_ns. */
int watcher_summary(const struct watcher *w, const struct table_style *style, uint64_t elapsed_ns,
		    struct buf *out);
/* The last run for Prometheus' textfile collector; `root` as in watch_run. */
int watcher_prom(const struct watcher *w, const struct watch_run *run, struct buf *out,
		 struct err *e) ERR_MUST_CHECK;
