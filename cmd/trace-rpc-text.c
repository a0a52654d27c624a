/* What trace-rpc prints for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "result/distribution.h"
#include "trace-rpc.h"

/* Six figures beside a name: 80 columns, and what a wider terminal has goes to the name. */
enum { FIGURE = 8, FIGURES = 6, NAME_MAX_WIDTH = 72, SPREAD = 40 };

static void say(const struct screen *s, enum tone tone, const char *first, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Wrapped; what follows `first` is indented by it. */
static void say(const struct screen *s, enum tone tone, const char *first, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	screen_wrap(s, tone, first, text);
}

static unsigned name_width(const struct screen *s)
{
	unsigned width = s->style->width - FIGURES * FIGURE;

	return width > NAME_MAX_WIDTH ? NAME_MAX_WIDTH : width;
}

/* A name that is longer than its column has a line of its own. */
static void name_cell(const struct screen *s, const char *name)
{
	unsigned width = name_width(s);

	if (screen_columns(name) >= width) {
		screen_text(s, TONE_PLAIN, name);
		screen_line_end(s);
		name = "";
	}
	screen_left(s, TONE_PLAIN, name, width);
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

/* What a list does not show. */
static void more(const struct screen *s, uint64_t n, size_t top)
{
	if (n > top)
		say(s, TONE_DIM, "", "and %" PRIu64 " more", n - top);
}

static void heads(const struct screen *s, const char *first, const char *const *rest)
{
	screen_left(s, TONE_BOLD, first, name_width(s));
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

	if (!w->bytes)
		return;
	say(s, TONE_PLAIN, name,
	    "%s, %" PRIu64 " requests, %" PRIu64 " answers; passed on in %s, P99 %s",
	    num_format_bytes(bytes, (double)w->bytes), w->requests, w->answers,
	    num_format_ns(p50, (double)median),
	    num_format_ns(p99, (double)(high > w->added_max_ns ? w->added_max_ns : high)));
	if (w->packed_frames)
		say(s, TONE_PLAIN, "           ", "%" PRIu64 " compressed, %s instead of %s",
		    w->packed_frames, num_format_bytes(packed, (double)w->packed_bytes),
		    num_format_bytes(plain, (double)w->unpacked_bytes));
}

/* What waits for somebody's timer here, or would if we did not acknowledge at once. */
static void add_stalls(const struct rpc_tracker *t, const struct screen *s)
{
	uint64_t split = t->way[0].split_frames + t->way[1].split_frames;

	if (t->stuck_frames || t->round_trips_40ms)
		say(s, TONE_BAD, "",
		    "%" PRIu64 " frames stood still for 35 ms or more in their middle, %" PRIu64
		    " round trips took 38 to 48 ms (40 ms: Nagle's algorithm and delayed "
		    "acknowledgements?)",
		    t->stuck_frames, t->round_trips_40ms);
	if (split && !t->p.delayed_acks)
		say(s, TONE_BAD, "",
		    "%" PRIu64
		    " frames have more than %d bytes: RPyC writes the last one by itself, which can "
		    "wait 40 ms for an acknowledgement. Here it does not (--delayed-acks lets it)",
		    split, RPC_SPLIT_ABOVE);
}

static void add_head(const struct rpc_tracker *t, const struct screen *s)
{
	char time[NUM_TEXT_MAX];

	say(s, TONE_BOLD, "",
	    "%" PRIu64 " round trips in %" PRIu64 " connections (%" PRIu64 " open), %s%s",
	    t->round_trips, t->connections, t->active,
	    num_format_ns(time, (double)(t->now_ns - t->begin_ns)),
	    t->layout == 5   ? ", RPyC up to 5.3"
	    : t->layout == 6 ? ", RPyC 6"
			     : "");
	add_way(s, "to server  ", &t->way[0]);
	add_way(s, "to client  ", &t->way[1]);
	say(s, TONE_PLAIN, "",
	    "%" PRIu64 " releases that nobody waits for, %" PRIu64 " without an answer, %" PRIu64
	    " made from callbacks, deepest nesting %u",
	    t->dels, t->unanswered, t->nested, t->max_depth);
	if (t->overlapping)
		say(s, TONE_PLAIN, "",
		    "%" PRIu64
		    " requests overlapped others (threads, async): what they were made from is a guess",
		    t->overlapping);
	add_stalls(t, s);
	if (t->undecoded || t->lost)
		say(s, TONE_BAD, "",
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

/* How a call's times are spread, on a logarithmic axis. */
static void add_spread(const struct rpc_row *r, const struct screen *s)
{
	CLEANUP(json_decref) json_t *o = json_object();
	char min[NUM_TEXT_MAX], max[NUM_TEXT_MAX], from[64];
	struct err ignored;

	if (!r->answered)
		return;
	if (!o || json_put(o, "min", json_u64(r->min_ns), &ignored) < 0 ||
	    json_put(o, "max", json_u64(r->max_ns), &ignored) < 0 ||
	    distribution_put_hist(o, &r->latency_ns, &ignored) < 0) {
		s->out->failed = true;
		return;
	}
	snprintf(from, sizeof(from), "%12s [", num_format_ns(min, (double)r->min_ns));
	screen_text(s, TONE_PLAIN, from);
	if (table_sparkline(o, SPREAD, s->style->utf8, s->out) < 0)
		return;
	snprintf(from, sizeof(from), "] %s", num_format_ns(max, (double)r->max_ns));
	screen_text(s, TONE_PLAIN, from);
	screen_line_end(s);
}

static void add_calls(const struct rpc_tracker *t, size_t top, const struct screen *s)
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
	for (size_t i = 0; i < t->rows.n && i < top; i++) {
		const struct rpc_row *r = sorted[i];
		char name[RPC_NAME_MAX + 4];

		snprintf(name, sizeof(name), "%s%s", r->from_server ? "< " : "", r->name);
		name_cell(s, name);
		count(s, r->n);
		count(s, r->errors);
		duration(s, r->total_ns);
		duration(s, rpc_row_percentile(r, 500000));
		duration(s, rpc_row_percentile(r, 990000));
		duration(s, r->max_ns);
		screen_line_end(s);
		if (s->style->verbose)
			add_spread(r, s);
	}
	more(s, t->rows.n, top);
}

/* What nearly every class is in front of goes without saying; the document has it. */
static const char *class_name(const struct rpc_class *k)
{
	static const char *const usual[] = { "builtins.", "__main__." };

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strncmp(k->name, usual[i], strlen(usual[i])) == 0)
			return k->name + strlen(usual[i]);
	return k->name;
}

static void add_class(const struct rpc_tracker *t, const struct rpc_class *k,
		      const struct screen *s)
{
	const char *from = k->creator < t->rows.n ? t->rows.row[k->creator]->name : "-";
	uint64_t longest = k->held_max_ns > k->life_max_ns ? k->held_max_ns : k->life_max_ns;
	char name[2 * RPC_NAME_MAX + 8];

	snprintf(name, sizeof(name), "%s%s, %s", k->at_server ? "" : "< ", class_name(k), from);
	name_cell(s, name);
	count(s, k->created);
	count(s, k->uses);
	count(s, k->released);
	duration(s, k->released ? k->life_total_ns / k->released : 0);
	count(s, k->left);
	duration(s, longest);
	screen_line_end(s);
}

/* What is held or was left comes first, then what was made most. */
static int by_held(const void *a, const void *b)
{
	const struct rpc_class *x = *(const struct rpc_class *const *)a;
	const struct rpc_class *y = *(const struct rpc_class *const *)b;
	uint64_t held_x = x->root ? 0 : x->left + x->alive,
		 held_y = y->root ? 0 : y->left + y->alive;

	if (held_x != held_y)
		return held_x < held_y ? 1 : -1;
	if (x->created != y->created)
		return x->created < y->created ? 1 : -1;
	return x < y ? -1 : x > y;
}

static void add_objects(const struct rpc_tracker *t, size_t top, const struct screen *s)
{
	static const char *const names[] = { "made", "uses",	"freed", "life",
					     "left", "longest", NULL };

	const struct rpc_class *sorted[RPC_CLASSES_MAX];

	if (!t->objects.n)
		return;
	for (size_t i = 0; i < t->objects.n; i++)
		sorted[i] = &t->objects.kind[i];
	qsort(sorted, t->objects.n, sizeof(sorted[0]), by_held);
	screen_heading(s, "References (netrefs)");
	say(s, TONE_PLAIN, "",
	    "%" PRIu64 " created, %" PRIu64 " released, %" PRIu64
	    " left when their connection ended, "
	    "%" PRIu64 " held now, at most %" PRIu64 " at once",
	    t->objects.created, t->objects.released, t->objects.left, t->objects.alive,
	    t->objects.peak);
	heads(s, "class (< the client's), from", names);
	for (size_t i = 0; i < t->objects.n && i < top; i++)
		add_class(t, sorted[i], s);
	more(s, t->objects.n, top);
}

static void add_loops(const struct rpc_tracker *t, size_t top, const struct screen *s)
{
	char total[NUM_TEXT_MAX], saved[NUM_TEXT_MAX];

	if (!t->chatty.n)
		return;
	screen_heading(s, "Loops of round trips, which one call could do");
	for (size_t i = 0; i < t->chatty.n && i < top; i++) {
		const struct rpc_loop *l = &t->chatty.loop[i];

		say(s, TONE_PLAIN, "",
		    "%" PRIu64 " times in %" PRIu64 " loops, %" PRIu64
		    " round trips, %s; one call each would save about %s:",
		    l->repeats, l->loops, l->trips, num_format_ns(total, (double)l->total_ns),
		    num_format_ns(saved, (double)l->saved_ns));
		for (size_t k = 0; k < l->period; k++)
			say(s, TONE_DIM, "    ", "%s%s",
			    t->rows.row[l->row[k]]->from_server ? "< " : "",
			    t->rows.row[l->row[k]]->name);
	}
	more(s, t->chatty.n, top);
	if (t->chatty.more)
		say(s, TONE_PLAIN, "", "and %" PRIu64 " loops of other calls", t->chatty.more);
}

static void add_slow(const struct rpc_tracker *t, size_t top, const struct screen *s)
{
	char limit[NUM_TEXT_MAX], time[NUM_TEXT_MAX], at[NUM_TEXT_MAX], first[NUM_TEXT_MAX + 8];

	if (!t->p.slow_ns)
		return;
	num_format_ns(limit, (double)t->p.slow_ns);
	screen_heading(s, "Slow calls");
	say(s, TONE_PLAIN, "", "%" PRIu64 " took %s or longer", t->slow_calls, limit);
	for (size_t i = 0; i < t->n_slow && i < top; i++) {
		const struct rpc_slow *l = &t->slow[i];

		snprintf(first, sizeof(first), "%10s ", num_format_ns(time, (double)l->ns));
		say(s, TONE_PLAIN, first, "at +%s, connection %u, depth %u: %s",
		    num_format_ns(at, (double)(l->start_ns - t->begin_ns)), l->connection, l->depth,
		    t->rows.row[l->row]->name);
	}
	more(s, t->slow_calls, top < RPC_SLOW_MAX ? top : RPC_SLOW_MAX);
}

static void add_faults(const struct rpc_tracker *t, size_t top, const struct screen *s)
{
	char first[32];

	if (!t->faults_n)
		return;
	screen_heading(s, "Exceptions");
	for (size_t i = 0; i < t->n_faults && i < top; i++) {
		snprintf(first, sizeof(first), "%6" PRIu64 " ", t->fault[i].n);
		say(s, TONE_PLAIN, first, "%s (%s), last: %s", t->fault[i].name,
		    t->fault[i].from_server ? "server" : "client", t->fault[i].text);
	}
	more(s, t->n_faults, top);
}

int rpc_text(const struct rpc_tracker *t, const struct rpc_opts *o, const struct table_style *style,
	     struct buf *out, struct err *e)
{
	struct screen s = { out, style };

	add_head(t, &s);
	add_calls(t, o->top, &s);
	add_objects(t, o->top, &s);
	add_slow(t, o->top, &s);
	add_loops(t, o->top, &s);
	add_faults(t, o->top, &s);
	if (o->tree)
		rpc_text_tree(t, o, &s);
	if (o->timeline)
		rpc_text_timeline(t, o, &s);
	return out->failed ? err_nomem(e) : 0;
}

/* Lines of the parts of a view without their rows; what is left goes to calls (two thirds) and references. */
enum { VIEW_FRAME = 18, VIEW_ROWS_MIN = 3, VIEW_OBJECTS_MIN = 2 };

static void keep_lines(struct buf *b, unsigned rows)
{
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] == '\n' && --rows == 0) {
			b->len = i + 1;
			b->data[b->len] = '\0';
			return;
		}
}

int rpc_text_view(const struct rpc_tracker *t, const struct table_style *style, unsigned rows,
		  struct buf *out, struct err *e)
{
	struct screen s = { out, style };
	unsigned space = rows > VIEW_FRAME ? rows - VIEW_FRAME : 0;
	unsigned objects = space / 3 > VIEW_OBJECTS_MIN ? space / 3 : VIEW_OBJECTS_MIN;
	unsigned calls = space > objects + VIEW_ROWS_MIN ? space - objects : VIEW_ROWS_MIN;

	add_head(t, &s);
	add_calls(t, calls, &s);
	add_objects(t, objects, &s);
	add_slow(t, 1, &s);
	add_loops(t, 1, &s);
	add_faults(t, 1, &s);
	if (out->failed)
		return err_nomem(e);
	keep_lines(out, rows);
	return 0;
}
