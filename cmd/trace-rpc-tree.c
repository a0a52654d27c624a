/* The call tree and the timeline of trace-rpc. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "trace-rpc.h"

enum { BAR = 24, LINE = 400 };

/* Children of a call in the order of their begin. Index n stands above all. */
struct tree {
	const struct rpc_tracker *t;
	const struct screen *s;
	int32_t *first, *last, *next;
	uint32_t lines;
};

static void line(const struct screen *s, const char *text)
{
	screen_text(s, TONE_PLAIN, text);
	screen_line_end(s);
}

static void say_more(const struct screen *s, uint64_t lines, uint64_t dropped)
{
	char text[LINE];

	if (lines) {
		snprintf(text, sizeof(text), "and %" PRIu64 " more lines (--lines)", lines);
		line(s, text);
	}
	if (dropped) {
		snprintf(text, sizeof(text),
			 "and %" PRIu64 " calls that were not kept (--max-events)", dropped);
		line(s, text);
	}
}

static const char *took(const struct rpc_event *ev, char out[NUM_TEXT_MAX])
{
	if (!ev->end_ns)
		return "no answer";
	return num_format_ns(out, (double)(ev->end_ns - ev->start_ns));
}

/* How many of a call's following siblings are the same call, without calls of their own. */
static int32_t repeats(const struct tree *x, int32_t at, uint64_t *total_ns)
{
	const struct rpc_event *ev = x->t->event;
	int32_t n = 1;

	*total_ns = ev[at].end_ns ? ev[at].end_ns - ev[at].start_ns : 0;
	for (int32_t k = x->next[at]; x->first[at] < 0 && k >= 0 && ev[k].row == ev[at].row &&
				      x->first[k] < 0 && ev[k].failed == ev[at].failed;
	     k = x->next[k]) {
		*total_ns += ev[k].end_ns ? ev[k].end_ns - ev[k].start_ns : 0;
		n++;
	}
	return n;
}

static void show(struct tree *x, int32_t at, int32_t n, uint64_t total_ns)
{
	const struct rpc_event *ev = &x->t->event[at];
	char text[LINE], time[NUM_TEXT_MAX], times[32] = "";
	int indent = 3 * (ev->depth - 1);

	if (n > 1)
		snprintf(times, sizeof(times), " x %d", n);
	snprintf(text, sizeof(text), "%10s  %*s%s%s%s%s",
		 n > 1 ? num_format_ns(time, (double)total_ns) : took(ev, time),
		 indent > 90 ? 90 : indent, "", ev->from_server ? "< " : "",
		 x->t->rows.row[ev->row]->name, times, ev->failed ? "  raised" : "");
	line(x->s, text);
}

/* Without recursion: nesting is as deep as a stream says. Lines beyond `max` are counted only. */
static void walk(struct tree *x, uint32_t max)
{
	int32_t at = x->first[x->t->n_events];

	while (at >= 0) {
		uint64_t total_ns;
		int32_t n = repeats(x, at, &total_ns), end = at;

		if (x->lines < max)
			show(x, at, n, total_ns);
		x->lines++;
		if (x->first[at] >= 0) {
			at = x->first[at];
			continue;
		}
		for (int32_t i = 1; i < n; i++)
			end = x->next[end];
		while (end >= 0 && x->next[end] < 0)
			end = x->t->event[end].parent;
		at = end < 0 ? -1 : x->next[end];
	}
}

static void plant(struct tree *x)
{
	size_t n = x->t->n_events;

	for (size_t i = 0; i <= n; i++)
		x->first[i] = x->last[i] = x->next[i] = -1;
	for (size_t i = 0; i < n; i++) {
		int32_t parent = x->t->event[i].parent;
		size_t p = parent < 0 ? n : (size_t)parent;

		/* releases come when the garbage collector likes; they belong to no call */
		if (x->t->event[i].async)
			continue;
		if (x->last[p] >= 0)
			x->next[x->last[p]] = (int32_t)i;
		else
			x->first[p] = (int32_t)i;
		x->last[p] = (int32_t)i;
	}
}

void rpc_text_tree(const struct rpc_tracker *t, const struct rpc_opts *o, const struct screen *s)
{
	struct tree x = { .t = t, .s = s };
	int32_t *all = malloc((t->n_events + 1) * 3 * sizeof(*all));

	if (!all) {
		s->out->failed = true;
		return;
	}
	x.first = all;
	x.last = all + t->n_events + 1;
	x.next = all + 2 * (t->n_events + 1);
	plant(&x);
	screen_heading(s, "Call tree");
	walk(&x, o->lines);
	say_more(s, x.lines > o->lines ? x.lines - o->lines : 0, t->dropped_events);
	free(all);
}

/* Where a call lies in the whole: spaces, then at least one mark. */
static void bar(const struct rpc_tracker *t, const struct rpc_event *ev, char out[BAR + 1])
{
	double whole = (double)(t->now_ns - t->begin_ns) + 1;
	int from = (int)((double)(ev->start_ns - t->begin_ns) / whole * BAR);
	uint64_t end = ev->end_ns ? ev->end_ns : t->now_ns;
	int to = (int)((double)(end - t->begin_ns) / whole * BAR);

	for (int i = 0; i < BAR; i++)
		out[i] = i >= from && i <= to ? '=' : '.';
	out[BAR] = '\0';
}

void rpc_text_timeline(const struct rpc_tracker *t, const struct rpc_opts *o,
		       const struct screen *s)
{
	char text[LINE], at[NUM_TEXT_MAX], time[NUM_TEXT_MAX], marks[BAR + 1];

	screen_heading(s, "Timeline");
	for (size_t i = 0; i < t->n_events && i < o->lines; i++) {
		const struct rpc_event *ev = &t->event[i];

		bar(t, ev, marks);
		snprintf(text, sizeof(text), "+%-9s %s %10s  %u%s %s%s",
			 num_format_ns(at, (double)(ev->start_ns - t->begin_ns)), marks,
			 took(ev, time), ev->connection, ev->from_server ? " <" : "",
			 t->rows.row[ev->row]->name, ev->failed ? "  raised" : "");
		line(s, text);
	}
	say_more(s, t->n_events > o->lines ? t->n_events - o->lines : 0, t->dropped_events);
}
