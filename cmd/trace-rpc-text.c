/* What trace-rpc prints for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "trace-rpc.h"

enum { NAME_WIDTH = 40, FIGURE = 10 };

static void say(const struct screen *s, enum tone tone, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct screen *s, enum tone tone, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	screen_text(s, tone, text);
	screen_line_end(s);
}

static void count(const struct screen *s, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	screen_right(s, TONE_PLAIN, n ? text : "-", FIGURE);
}

static void duration(const struct screen *s, uint64_t ns)
{
	char text[NUM_TEXT_MAX];

	screen_right(s, TONE_PLAIN, ns ? num_format_ns(text, (double)ns) : "-", FIGURE);
}

static void heads(const struct screen *s, const char *first, const char *const *rest)
{
	screen_left(s, TONE_BOLD, first, NAME_WIDTH);
	for (; *rest; rest++)
		screen_right(s, TONE_BOLD, *rest, FIGURE);
	screen_line_end(s);
}

static void add_way(const struct screen *s, const char *name, const struct rpc_way *w)
{
	char bytes[NUM_TEXT_MAX], packed[NUM_TEXT_MAX], plain[NUM_TEXT_MAX], p50[NUM_TEXT_MAX],
		p99[NUM_TEXT_MAX];
	uint64_t median = histogram_percentile(&w->added_ns, 500000);
	uint64_t high = histogram_percentile(&w->added_ns, 990000);

	say(s, TONE_PLAIN,
	    "%-10s %s in %" PRIu64 " frames: %" PRIu64 " requests, %" PRIu64
	    " answers; passing on took median %s, P99 %s",
	    name, num_format_bytes(bytes, (double)w->bytes), w->frames, w->requests, w->answers,
	    num_format_ns(p50, (double)median),
	    num_format_ns(p99, (double)(high > w->added_max_ns ? w->added_max_ns : high)));
	if (w->packed_frames)
		say(s, TONE_PLAIN, "%-10s %" PRIu64 " compressed, %s instead of %s", "",
		    w->packed_frames, num_format_bytes(packed, (double)w->packed_bytes),
		    num_format_bytes(plain, (double)w->unpacked_bytes));
}

static void add_head(const struct rpc_tracker *t, const struct screen *s)
{
	char time[NUM_TEXT_MAX];

	say(s, TONE_BOLD,
	    "%" PRIu64 " round trips in %" PRIu64 " connections (%" PRIu64 " open), %s%s",
	    t->round_trips, t->connections, t->active,
	    num_format_ns(time, (double)(t->now_ns - t->begin_ns)),
	    t->layout == 5   ? ", RPyC up to 5.3"
	    : t->layout == 6 ? ", RPyC 6"
			     : "");
	add_way(s, "to server", &t->way[0]);
	add_way(s, "to client", &t->way[1]);
	say(s, TONE_PLAIN,
	    "%" PRIu64 " releases that nobody waits for, %" PRIu64 " without an answer, %" PRIu64
	    " made from callbacks, deepest nesting %u",
	    t->dels, t->unanswered, t->nested, t->max_depth);
	if (t->overlapping)
		say(s, TONE_PLAIN,
		    "%" PRIu64
		    " requests overlapped others (threads, async): what they were made from is a guess",
		    t->overlapping);
	if (t->stuck_frames || t->round_trips_40ms)
		say(s, TONE_BAD,
		    "%" PRIu64 " frames stood still for 35 ms or more in their middle, %" PRIu64
		    " round trips took 38 to 48 ms: Nagle's algorithm and delayed acknowledgements?",
		    t->stuck_frames, t->round_trips_40ms);
	if (t->undecoded || t->lost)
		say(s, TONE_BAD,
		    "%" PRIu64 " connections were not understood, %" PRIu64
		    " not seen whole; all were passed on (%s)",
		    t->undecoded, t->lost, t->why);
}

/* The rows of most time first. */
static int by_time(const void *a, const void *b)
{
	const struct rpc_row *x = *(struct rpc_row *const *)a, *y = *(struct rpc_row *const *)b;

	if (x->total_ns != y->total_ns)
		return x->total_ns < y->total_ns ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void add_calls(const struct rpc_tracker *t, const struct rpc_opts *o, const struct screen *s)
{
	static const char *const names[] = { "calls", "errors", "total", "median",
					     "P99",   "max",	NULL };
	struct rpc_row *sorted[RPC_ROWS_MAX];

	if (!t->rows.n)
		return;
	memcpy(sorted, t->rows.row, t->rows.n * sizeof(sorted[0]));
	qsort(sorted, t->rows.n, sizeof(sorted[0]), by_time);
	screen_heading(s, "Calls");
	heads(s, "what (< the server asks)", names);
	for (size_t i = 0; i < t->rows.n && i < o->top; i++) {
		const struct rpc_row *r = sorted[i];
		char name[RPC_NAME_MAX + 4];

		snprintf(name, sizeof(name), "%s%s", r->from_server ? "< " : "", r->name);
		screen_left(s, TONE_PLAIN, name, NAME_WIDTH);
		count(s, r->n);
		count(s, r->errors);
		duration(s, r->total_ns);
		duration(s, rpc_row_percentile(r, 500000));
		duration(s, rpc_row_percentile(r, 990000));
		duration(s, r->max_ns);
		screen_line_end(s);
	}
}

static const char *creator(const struct rpc_tracker *t, const struct rpc_class *k)
{
	return k->creator < t->rows.n ? t->rows.row[k->creator]->name : "-";
}

static void add_objects(const struct rpc_tracker *t, const struct rpc_opts *o,
			const struct screen *s)
{
	static const char *const names[] = { "created",	  "released", "left", "uses",
					     "mean life", "longest",  NULL };

	if (!t->objects.n)
		return;
	screen_heading(s, "References (netrefs)");
	say(s, TONE_PLAIN,
	    "%" PRIu64 " created, %" PRIu64 " released, %" PRIu64
	    " left when their connection ended, "
	    "%" PRIu64 " held now, at most %" PRIu64 " at once",
	    t->objects.created, t->objects.released, t->objects.left, t->objects.alive,
	    t->objects.peak);
	heads(s, "class (< of the client), from", names);
	for (size_t i = 0; i < t->objects.n && i < o->top; i++) {
		const struct rpc_class *k = &t->objects.kind[i];
		char name[2 * RPC_NAME_MAX + 8];

		snprintf(name, sizeof(name), "%s%s, %s", k->at_server ? "" : "< ", k->name,
			 creator(t, k));
		screen_left(s, TONE_PLAIN, name, NAME_WIDTH);
		count(s, k->created);
		count(s, k->released);
		count(s, k->left);
		count(s, k->uses);
		duration(s, k->released ? k->life_total_ns / k->released : 0);
		duration(s, k->life_max_ns);
		screen_line_end(s);
	}
}

static void add_loops(const struct rpc_tracker *t, const struct rpc_opts *o, const struct screen *s)
{
	char total[NUM_TEXT_MAX], saved[NUM_TEXT_MAX];

	if (!t->chatty.n)
		return;
	screen_heading(s, "Loops of round trips, which one call could do");
	for (size_t i = 0; i < t->chatty.n && i < o->top; i++) {
		const struct rpc_loop *l = &t->chatty.loop[i];

		say(s, TONE_PLAIN,
		    "%" PRIu64 " times in %" PRIu64 " loops, %" PRIu64
		    " round trips, %s; one call each would save about %s:",
		    l->repeats, l->loops, l->trips, num_format_ns(total, (double)l->total_ns),
		    num_format_ns(saved, (double)l->saved_ns));
		for (size_t k = 0; k < l->period; k++)
			say(s, TONE_DIM, "    %s%s",
			    t->rows.row[l->row[k]]->from_server ? "< " : "",
			    t->rows.row[l->row[k]]->name);
	}
	if (t->chatty.more)
		say(s, TONE_PLAIN, "and %" PRIu64 " loops of other calls", t->chatty.more);
}

static void add_slow(const struct rpc_tracker *t, const struct rpc_opts *o, const struct screen *s)
{
	char limit[NUM_TEXT_MAX], time[NUM_TEXT_MAX], at[NUM_TEXT_MAX];

	if (!t->p.slow_ns)
		return;
	num_format_ns(limit, (double)t->p.slow_ns);
	screen_heading(s, "Slow calls");
	say(s, TONE_PLAIN, "%" PRIu64 " took %s or longer", t->slow_calls, limit);
	for (size_t i = 0; i < t->n_slow && i < o->top; i++) {
		const struct rpc_slow *l = &t->slow[i];

		say(s, TONE_PLAIN, "%10s at +%s, connection %u, depth %u: %s",
		    num_format_ns(time, (double)l->ns),
		    num_format_ns(at, (double)(l->start_ns - t->begin_ns)), l->connection, l->depth,
		    t->rows.row[l->row]->name);
	}
}

static void add_faults(const struct rpc_tracker *t, const struct screen *s)
{
	if (!t->faults_n)
		return;
	screen_heading(s, "Exceptions");
	for (size_t i = 0; i < t->n_faults; i++)
		say(s, TONE_PLAIN, "%6" PRIu64 " %s (%s), last: %s", t->fault[i].n,
		    t->fault[i].name, t->fault[i].from_server ? "server" : "client",
		    t->fault[i].text);
}

int rpc_text(const struct rpc_tracker *t, const struct rpc_opts *o, const struct table_style *style,
	     struct buf *out, struct err *e)
{
	struct screen s = { out, style };

	add_head(t, &s);
	add_calls(t, o, &s);
	add_objects(t, o, &s);
	add_slow(t, o, &s);
	add_loops(t, o, &s);
	add_faults(t, &s);
	if (o->tree)
		rpc_text_tree(t, o, &s);
	if (o->timeline)
		rpc_text_timeline(t, o, &s);
	return out->failed ? err_nomem(e) : 0;
}
