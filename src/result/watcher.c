#include "result/watcher.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "result/entry.h"
#include "result/load.h"
#include "result/wall.h"

const char *watch_status_name(enum watch_status s)
{
	static const char *const names[] = { "ok", "bad", "failed", "down" };

	return names[s];
}

const char *watch_event_name(enum watch_event_kind k)
{
	static const char *const names[] = { "alert", "down", "recovered", "cleared" };

	return names[k];
}

void watcher_done(struct watcher *w)
{
	history_done(&w->h);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

__attribute__((format(printf, 4, 5))) static void say(struct watcher *w, enum watch_event_kind kind,
						      bool news, const char *fmt, ...)
{
	struct watch_event *event = &w->event[w->n_events];
	va_list ap;

	if (w->n_events == WATCH_EVENTS_MAX)
		return;
	w->n_events++;
	event->kind = kind;
	event->news = news;
	va_start(ap, fmt);
	vsnprintf(event->text, sizeof(event->text), fmt, ap);
	va_end(ap);
}

/* --- going on --- */

static void go_on_from(struct watcher *w, const json_t *entry)
{
	const json_t *outage = json_object_get(entry, "outage");

	w->seq = (uint64_t)json_integer_value(json_object_get(entry, "seq"));
	w->outage = (uint64_t)json_integer_value(json_object_get(outage, "number"));
	w->outage_runs = (uint64_t)json_integer_value(json_object_get(outage, "runs"));
	w->down = json_is_object(outage) && !json_is_true(json_object_get(outage, "over"));
	if (w->down && wall_parse(text_of(outage, "since"), &w->down_since_ns) < 0)
		w->down = false;
}

/* The numbers of outages count up to the last one, which may be long ago. */
static void number_outages(struct watcher *w, const json_t *entry)
{
	json_int_t number =
		json_integer_value(json_object_get(json_object_get(entry, "outage"), "number"));

	if (number > 0 && (uint64_t)number > w->outage)
		w->outage = (uint64_t)number;
}

int watcher_resume(struct watcher *w, const char *name, const char *text, size_t len, struct err *e)
{
	CLEANUP(json_decref) json_t *last = NULL;
	uint64_t outage;

	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;
		CLEANUP(json_decref) json_t *entry = NULL;
		struct err why;

		if (n && load_text(name, text + at, n, &entry, &why) == 0 &&
		    history_add(&w->h, name, entry, &why) == 0) {
			number_outages(w, entry);
			json_decref(last);
			last = TAKE(entry);
			history_keep_last(&w->h, WATCH_SHOWN);
		} else if (n && why.kind != ERR_USAGE) {
			*e = why;
			return -1;
		}
		at += n + 1;
	}
	outage = w->outage;
	if (last)
		go_on_from(w, last);
	w->outage = outage > w->outage ? outage : w->outage;
	return 0;
}

/* --- judging --- */

static uint64_t operations_ok(const struct side *side)
{
	uint64_t ok = 0;

	for (size_t i = 0; i < side->n_cases; i++)
		ok += side->cases[i].ok;
	return ok;
}

static bool is_down(const struct watch_run *run, const struct side *side)
{
	return !run->root || operations_ok(side) == 0;
}

/* "repl.exec latency.p99 < 5ms: 7.10 ms" */
static void say_check(struct watcher *w, const json_t *check, bool news)
{
	char value[NUM_TEXT_MAX] = "no value";
	const json_t *number = json_object_get(check, "value");

	if (json_is_number(number) && strcmp(text_of(check, "unit"), "change") == 0)
		snprintf(value, sizeof(value), "%+.3g%%", 100 * json_number_value(number));
	else if (json_is_number(number))
		num_format_unit(value, json_number_value(number), text_of(check, "unit"));
	say(w, WATCH_ALERT, news, "%.160s: %.31s (%.40s %.40s)", text_of(check, "expr"), value,
	    text_of(check, "benchmark"), text_of(check, "target"));
}

static int check_limit(struct watcher *w, size_t i, const struct side *side, json_t *alerts,
		       struct err *e)
{
	CLEANUP(json_decref) json_t *checks = json_array();
	struct limit_counts counts = { 0 };
	const json_t *check;
	bool news = !w->broken[i];
	size_t k;

	if (!checks)
		return err_nomem(e);
	if (limit_check(&w->limit[i], 1, side, w->base, checks, &counts, e) < 0)
		return -1;
	if (counts.error && w->runs[WATCH_OK] + w->runs[WATCH_BAD] + w->runs[WATCH_FAILED] == 0)
		return err_set(e, ERR_USAGE, "limit", "--that '%s': %s", w->limit[i].text,
			       text_of(json_array_get(checks, 0), "message"));
	w->broken[i] = counts.fail || counts.error;
	w->alerts_of[i] += w->broken[i];
	if (!w->broken[i] && !news)
		say(w, WATCH_CLEARED, true, "%.200s: kept again", w->limit[i].text);
	json_array_foreach(checks, k, check)
	{
		if (strcmp(text_of(check, "status"), "pass") == 0)
			continue;
		say_check(w, check, news);
		if (json_push(alerts, json_incref((json_t *)(uintptr_t)check), e) < 0)
			return -1;
	}
	return 0;
}

static void hear_complaint(struct watcher *w, const struct watch_run *run)
{
	bool complains = run->exit_status == ERR_CHECK;

	if (complains)
		say(w, WATCH_ALERT, !w->complained,
		    "the benchmark says that a check or comparison failed");
	else if (w->complained)
		say(w, WATCH_CLEARED, true, "the benchmark's own checks: kept again");
	w->complained = complains;
}

static void follow_outage(struct watcher *w, const struct watch_run *run, bool down)
{
	int64_t down_ns = run->at_ns > w->down_since_ns ? run->at_ns - w->down_since_ns : 0;
	char took[NUM_TEXT_MAX];

	num_format_ns(took, (double)down_ns);
	if (down && !w->down) {
		w->outage++;
		w->outages++;
		w->outage_runs = 1;
		w->down_since_ns = run->at_ns;
		say(w, WATCH_TARGET_DOWN, true, "outage %llu: %.240s",
		    (unsigned long long)w->outage,
		    *run->message ? run->message : "nothing succeeded");
	} else if (down) {
		w->outage_runs++;
		say(w, WATCH_TARGET_DOWN, false, "outage %llu for %s: %.200s",
		    (unsigned long long)w->outage, took,
		    *run->message ? run->message : "nothing succeeded");
	} else if (w->down) {
		w->down_ns += (uint64_t)down_ns;
		say(w, WATCH_RECOVERED, true, "outage %llu is over after %s, %llu runs failed",
		    (unsigned long long)w->outage, took, (unsigned long long)w->outage_runs);
	}
}

static enum watch_status judge(struct watcher *w, const struct watch_run *run, bool down,
			       bool alerts)
{
	const json_t *error = json_object_get(run->root, "error");

	if (down)
		return WATCH_DOWN;
	if (strcmp(text_of(run->root, "status"), "complete") != 0) {
		say(w, WATCH_ALERT, w->last != WATCH_FAILED, "%.250s",
		    *text_of(error, "message") ? text_of(error, "message")
		    : *run->message	       ? run->message
					       : "the benchmark failed");
		return WATCH_FAILED;
	}
	return alerts || w->complained ? WATCH_BAD : WATCH_OK;
}

/* --- the line --- */

static int add_outage(const struct watcher *w, const struct watch_run *run, bool was_down,
		      json_t *entry, struct err *e)
{
	json_t *outage;
	char since[WALL_MAX];

	if (!w->down && !was_down)
		return json_put(entry, "outage", json_null(), e);
	wall_format(w->down_since_ns, 1, since);
	outage = json_put_object(entry, "outage", e);
	if (!outage || json_put(outage, "number", json_u64(w->outage), e) < 0 ||
	    json_put(outage, "runs", json_u64(w->outage_runs), e) < 0 ||
	    json_put(outage, "since", json_string(since), e) < 0 ||
	    json_put(outage, "down_ns",
		     json_u64(run->at_ns > w->down_since_ns
				      ? (uint64_t)(run->at_ns - w->down_since_ns)
				      : 0),
		     e) < 0)
		return -1;
	return json_put(outage, "over", json_boolean(!w->down), e);
}

static int add_run(struct watcher *w, const struct watch_run *run, json_t *entry, json_t *alerts,
		   bool was_down, struct err *e)
{
	char at[WALL_MAX];

	wall_format(run->at_ns, 1, at);
	if (json_put(entry, "started_at", json_string(at), e) < 0 ||
	    json_put(entry, "seq", json_u64(w->seq), e) < 0 ||
	    json_put(entry, "duration_ns", json_u64(run->duration_ns), e) < 0 ||
	    json_put(entry, "status", json_string(watch_status_name(w->last)), e) < 0 ||
	    json_put(entry, "exit_status",
		     run->exit_status < 0 ? json_null() : json_integer(run->exit_status), e) < 0 ||
	    json_put(entry, "error", json_known_text(run->message), e) < 0 ||
	    json_put(entry, "alerts", json_incref(alerts), e) < 0 ||
	    json_put(entry, "skipped", json_u64(run->skipped), e) < 0)
		return -1;
	return add_outage(w, run, was_down, entry, e);
}

static json_t *make_entry(const struct watch_run *run, const struct side *side, struct err *e)
{
	char at[WALL_MAX];

	wall_format(run->at_ns, 1, at);
	return run->root ? entry_make(side, e) : entry_make_empty(at, e);
}

static int keep(struct watcher *w, const json_t *entry, char **line, struct err *e)
{
	char name[40];

	snprintf(name, sizeof(name), "run %llu", (unsigned long long)w->seq);
	if (history_add(&w->h, name, entry, e) < 0)
		return -1;
	history_keep_last(&w->h, WATCH_SHOWN);
	*line = entry_line(entry, e);
	return *line ? 0 : -1;
}

static int check_limits(struct watcher *w, const struct side *side, json_t *alerts, struct err *e)
{
	for (size_t i = 0; i < w->n_limits && i < OPT_LIST_MAX; i++)
		if (check_limit(w, i, side, alerts, e) < 0)
			return -1;
	return 0;
}

int watcher_take(struct watcher *w, const struct watch_run *run, char **line, struct err *e)
{
	CLEANUP(side_done) struct side side = { 0 };
	CLEANUP(json_decref) json_t *entry = NULL, *alerts = json_array();
	bool was_down = w->down, down;

	w->n_events = 0;
	if (!alerts)
		return err_nomem(e);
	if (run->root && side_add(&side, "this run", run->root, e) < 0)
		return -1;
	down = is_down(run, &side);
	if (!down && check_limits(w, &side, alerts, e) < 0)
		return -1;
	if (!down)
		hear_complaint(w, run);
	follow_outage(w, run, down);
	w->down = down;
	w->last = judge(w, run, down, json_array_size(alerts) > 0);
	w->runs[w->last]++;
	w->skipped += run->skipped;
	w->seq++;
	entry = make_entry(run, &side, e);
	if (!entry || add_run(w, run, entry, alerts, was_down, e) < 0)
		return -1;
	return keep(w, entry, line, e);
}
