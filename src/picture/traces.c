/* What an RPyC application spent its time on: calls by name, from a document of trace-rpc. */
#include "picture/traces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "picture/figure.h"
#include "picture/frame.h"
#include "picture/words.h"
#include "result/escape.h"
#include "result/view.h"

enum { DRAWN = 12, LISTED = 40, LABEL = 190, BAR = 11, GAP = 7, VALUE_ROOM = 10 };

const json_t *traces_of(const json_t *root)
{
	const json_t *trace = json_object_get(json_object_get(root, "extensions"), "trace_rpc");

	return json_is_object(trace) ? trace : NULL;
}

static double count_of(const json_t *object, const char *key)
{
	double n = view_number(object, key);

	return isfinite(n) ? n : 0;
}

static int compare_calls(const void *a, const void *b)
{
	const struct trace_call *x = a, *y = b;

	return x->total_ns > y->total_ns   ? -1
	       : x->total_ns < y->total_ns ? 1
					   : strcmp(x->name, y->name);
}

size_t traces_calls(const json_t *trace, struct trace_call *out, size_t max)
{
	const json_t *call;
	size_t i, n = 0;

	json_array_foreach(json_object_get(trace, "calls"), i, call)
	{
		if (n == max)
			break;
		out[n++] = (struct trace_call){
			.name = view_text(call, "name"),
			.asked_by_server = strcmp(view_text(call, "from"), "server") == 0,
			.calls = view_number(call, "calls"),
			.errors = view_number(call, "errors"),
			.total_ns = count_of(call, "total_ns"),
			.median_ns = view_number(call, "p50_ns"),
			.p99_ns = view_number(call, "p99_ns"),
			.max_ns = view_number(call, "max_ns"),
		};
	}
	qsort(out, n, sizeof(*out), compare_calls);
	return n;
}

static const char *plural(double n)
{
	return n == 1 ? "" : "s";
}

void traces_extent(const json_t *trace, struct buf *out)
{
	double trips = count_of(trace, "round_trips"), links = count_of(trace, "connections");
	char time[NUM_TEXT_MAX];

	buf_addf(out, "%.0f round trip%s in %s over %.0f connection%s", trips, plural(trips),
		 num_format_unit(time, count_of(trace, "duration_ns"), "ns"), links, plural(links));
	if (count_of(trace, "max_depth") > 1)
		buf_addf(out, ", nested up to %.0f deep", count_of(trace, "max_depth"));
}

void traces_notes(const json_t *trace, struct buf *out)
{
	const json_t *refs = json_object_get(trace, "netrefs"), *loop, *exception;
	char slow[NUM_TEXT_MAX], save[NUM_TEXT_MAX];
	size_t i;

	buf_addf(out,
		 "%.0f references created, %.0f released, %.0f left when their connection ended. ",
		 count_of(refs, "created"), count_of(refs, "released"), count_of(refs, "left"));
	buf_addf(out, "%.0f call%s took %s or longer. ", count_of(trace, "slow"),
		 plural(count_of(trace, "slow")),
		 num_format_unit(slow, count_of(trace, "slow_ns"), "ns"));
	json_array_foreach(json_object_get(trace, "loops"), i, loop)
	{
		double n = count_of(loop, "repeats");

		if (i == 3)
			break;
		buf_addf(out,
			 "%.0f round trips in a loop of %.0f: one call each would save about %s. ",
			 count_of(loop, "round_trips"), n,
			 num_format_unit(save, count_of(loop, "batch_would_save_ns"), "ns"));
	}
	json_array_foreach(json_object_get(trace, "exceptions"), i, exception)
	{
		char type[WORDS_MAX];

		if (i == 5)
			break;
		words_copy(type, sizeof(type), view_text(exception, "type"));
		buf_addf(out, "%s from the %s: %.0f. ", type, view_text(exception, "from"),
			 count_of(exception, "count"));
	}
	if (count_of(trace, "round_trips_40ms") > 0)
		buf_addf(out, "%.0f round trips waited for 40 ms (Nagle and delayed ACK). ",
			 count_of(trace, "round_trips_40ms"));
	if (count_of(trace, "not_decoded") > 0)
		buf_addf(out, "%.0f connections could not be decoded. ",
			 count_of(trace, "not_decoded"));
}

/* --- markdown and terminal --------------------------------------------------------------------------------------- */

static struct trace_call *take_calls(const json_t *trace, size_t *n, struct buf *out)
{
	struct trace_call *call = calloc(TRACE_CALLS_MAX, sizeof(*call));

	out->failed = out->failed || !call;
	*n = call ? traces_calls(trace, call, TRACE_CALLS_MAX) : 0;
	return call;
}

static void cells(const struct trace_call *c, char text[5][NUM_TEXT_MAX])
{
	num_format_unit(text[0], c->calls, "count");
	num_format_unit(text[1], c->total_ns, "ns");
	num_format_unit(text[2], c->median_ns, "ns");
	num_format_unit(text[3], c->p99_ns, "ns");
	num_format_unit(text[4], c->max_ns, "ns");
}

static void sentence(const json_t *trace, struct buf *text)
{
	traces_extent(trace, text);
	buf_adds(text, ". ");
	traces_notes(trace, text);
}

void traces_markdown(const json_t *trace, struct buf *out)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	char text_of[5][NUM_TEXT_MAX];
	size_t n;
	CLEANUP_FREE struct trace_call *call = take_calls(trace, &n, out);

	sentence(trace, &text);
	out->failed = out->failed || text.failed;
	escape_markdown(out, buf_text(&text));
	buf_adds(out,
		 "\n\n| call | calls | in all | median | P99 | max |\n|---|--:|--:|--:|--:|--:|\n");
	for (size_t i = 0; i < n && i < LISTED; i++) {
		cells(&call[i], text_of);
		buf_adds(out, call[i].asked_by_server ? "| &lt; " : "| ");
		escape_markdown(out, call[i].name);
		for (size_t t = 0; t < 5; t++)
			buf_addf(out, " | %s", text_of[t]);
		buf_adds(out, " |\n");
	}
	if (n > LISTED)
		buf_addf(out, "\n%zu further ones took less time.\n", n - LISTED);
	buf_addc(out, '\n');
}

void traces_text(const json_t *trace, const struct screen *o)
{
	static const char *const head[] = { "calls", "in all", "median", "P99", "max" };
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	unsigned label =
		o->style->width > 5 * VALUE_ROOM + 20 ? o->style->width - 5 * VALUE_ROOM : 20;
	char text_of[5][NUM_TEXT_MAX];
	size_t n;
	CLEANUP_FREE struct trace_call *call = take_calls(trace, &n, o->out);
	CLEANUP_FREE char *said = NULL;

	sentence(trace, &text);
	said = screen_safe(o, screen_part(o, &text));
	screen_wrap(o, TONE_PLAIN, "", said ? said : "");
	screen_line_end(o);
	screen_left(o, TONE_DIM, "call (< the server asks)", label);
	for (size_t t = 0; t < 5; t++)
		screen_right(o, TONE_DIM, head[t], VALUE_ROOM);
	screen_line_end(o);
	for (size_t i = 0; i < n && i < LISTED; i++) {
		CLEANUP(buf_done) struct buf name = BUF_INIT;
		CLEANUP_FREE char *safe = NULL;

		buf_addf(&name, "%s%s", call[i].asked_by_server ? "< " : "", call[i].name);
		safe = screen_safe(o, screen_part(o, &name));
		cells(&call[i], text_of);
		screen_left(o, TONE_PLAIN, safe ? safe : "", label);
		for (size_t t = 0; t < 5; t++)
			screen_right(o, TONE_PLAIN, text_of[t], VALUE_ROOM);
		screen_line_end(o);
	}
	if (n > LISTED)
		buf_addf(o->out, "%zu further ones took less time.\n", n - LISTED);
}

/* --- picture ----------------------------------------------------------------------------------------------------- */

static void draw(struct canvas *k, const struct trace_call *call, size_t n, const char *title)
{
	double step = BAR + GAP, height;
	size_t rows = n < DRAWN ? n : DRAWN;
	struct scale x;
	struct frame f;
	struct svg svg;

	height = (double)rows * step + FRAME_BOTTOM + 6;
	figure_svg(k, &svg, height, "Time of calls", title);
	f = frame_of(&svg, height);
	f.left = LABEL;
	f.top = 2;
	/* The number at the end of the longest bar has its room. */
	x = (struct scale){ .lo = 0,
			    .hi = fmax(call[0].total_ns, 1) * 1.35,
			    .from = f.left,
			    .to = f.right,
			    .unit = "ns" };
	frame_x(&f, &x, "time in all");
	for (size_t i = 0; i < rows; i++) {
		double top = f.top + (double)i * step + GAP / 2.0;
		char text[NUM_TEXT_MAX], name[WORDS_MAX];

		snprintf(name, sizeof(name), "%s", call[i].asked_by_server ? "< " : "");
		words_copy(name + strlen(name), sizeof(name) - strlen(name), call[i].name);
		svg_text(&svg, f.left - 5, top + BAR / 2.0 + 4, SVG_END, "", name,
			 svg_fit(LABEL - 6));
		svg_path_begin(&svg, "fill", call[i].asked_by_server);
		svg_bar(&svg, f.left, top, fmax(scale_at(&x, call[i].total_ns) - f.left, 0.5),
			BAR - 2);
		svg_path_end(&svg);
		svg_text(&svg, scale_at(&x, call[i].total_ns) + 3, top + 8.5, SVG_START, "tiny",
			 num_format_unit(text, call[i].total_ns, "ns"), 0);
	}
	svg_end(&svg);
}

static void table(struct canvas *k, const struct trace_call *call, size_t n)
{
	static const char *const head[] = { "calls", "errors", "in all", "median", "P99", "max" };

	for (size_t i = 0; i < 6; i++)
		numbers_column(k->numbers, head[i]);
	for (size_t i = 0; i < n; i++) {
		char name[NUMBERS_LABEL] = "";
		size_t row;

		if (call[i].asked_by_server)
			memcpy(name, "< ", 3);
		words_copy(name + strlen(name), sizeof(name) - strlen(name), call[i].name);
		row = numbers_row(k->numbers, name);
		numbers_count(k->numbers, row, 0, call[i].calls);
		numbers_count(k->numbers, row, 1, call[i].errors);
		numbers_value(k->numbers, row, 2, call[i].total_ns, "ns");
		numbers_value(k->numbers, row, 3, call[i].median_ns, "ns");
		numbers_value(k->numbers, row, 4, call[i].p99_ns, "ns");
		numbers_value(k->numbers, row, 5, call[i].max_ns, "ns");
	}
}

static void one(struct canvas *k, size_t file, const json_t *trace)
{
	CLEANUP(buf_done) struct buf title = BUF_INIT, notes = BUF_INIT;
	size_t n;
	CLEANUP_FREE struct trace_call *call = take_calls(trace, &n, k->out);

	if (k->study->n_files > 1)
		buf_addf(&title, "%s: ", k->study->file[file].label);
	traces_extent(trace, &title);
	if (n) {
		char most[NUM_TEXT_MAX], name[WORDS_MAX];

		words_copy(name, sizeof(name), call[0].name);
		buf_addf(&title, "; %s took %s", name,
			 num_format_unit(most, call[0].total_ns, "ns"));
	}
	traces_notes(trace, &notes);
	k->out->failed = k->out->failed || title.failed || notes.failed;
	figure_begin(k, buf_text(&title),
		     "Calls of an RPyC application by the time they took in all; < those that the "
		     "server asked for.");
	if (n)
		draw(k, call, n, buf_text(&title));
	figure_note(k, buf_text(&notes));
	table(k, call, n);
	figure_end(k, "Calls by name");
}

int figure_traces(struct canvas *k)
{
	for (size_t i = 0; i < k->study->n_files; i++) {
		const json_t *trace = traces_of(k->study->file[i].root);

		if (trace)
			one(k, i, trace);
	}
	return 0;
}
