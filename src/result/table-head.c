/* Head, details and ratios of the table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "result/table-parts.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static size_t most_runs(const json_t *root)
{
	const json_t *b;
	size_t i, most = 0;

	json_array_foreach(json_object_get(root, "benchmarks"), i, b)
	{
		size_t n = json_array_size(json_object_get(b, "runs"));

		most = n > most ? n : most;
	}
	return most;
}

static bool is_interleaved(const json_t *root)
{
	const json_t *b = json_array_get(json_object_get(root, "benchmarks"), 0);

	return json_is_integer(
		json_object_get(json_array_get(json_object_get(b, "runs"), 0), "pair"));
}

static void title(const struct screen *s, const json_t *root)
{
	const char *dot = s->style->utf8 ? " \u00b7 " : " - ";
	CLEANUP_FREE char *sub =
		screen_safe(s, text_of(json_object_get(root, "command"), "subcommand"));
	CLEANUP_FREE char *when = screen_safe(s, text_of(root, "started_at"));
	size_t runs = most_runs(root);
	unsigned used;
	CLEANUP(buf_done) struct buf line = BUF_INIT;

	buf_addf(&line, "%s%zu run%s", dot, runs, runs == 1 ? "" : "s");
	if (is_interleaved(root) && json_array_size(json_object_get(root, "targets")) > 1)
		buf_adds(&line, " interleaved");
	buf_addf(&line, "%s%.10s %.5s", dot, when ? when : "",
		 when && strlen(when) > 16 ? when + 11 : "");
	screen_text(s, TONE_BOLD, "mpbench ");
	screen_text(s, TONE_BOLD, sub ? sub : "");
	used = 8 + screen_columns(sub ? sub : "");
	screen_left(s, TONE_DIM, screen_part(s, &line),
		    s->style->width > used ? s->style->width - used : 1);
	screen_line_end(s);
}

static void add_identity(const struct screen *s, const json_t *target, struct buf *line)
{
	json_t *identity = json_object_get(target, "identity"), *value;
	const char *key;

	json_object_foreach(identity, key, value)
	{
		CLEANUP_FREE char *text = screen_safe(s, json_string_value(value));

		if (text && *text && (strcmp(key, "banner") == 0 || strcmp(key, "version") == 0))
			buf_addf(line, "  %s", text);
	}
}

void table_head(const struct screen *s, const json_t *root)
{
	const json_t *target;
	unsigned width = 0;
	size_t i;

	title(s, root);
	json_array_foreach(json_object_get(root, "targets"), i, target)
	{
		unsigned len = screen_columns(text_of(target, "label"));

		width = len > width ? len : width;
	}
	width = width > 16 ? 16 : width;
	json_array_foreach(json_object_get(root, "targets"), i, target)
	{
		CLEANUP_FREE char *label = screen_safe(s, text_of(target, "label"));
		CLEANUP_FREE char *url = screen_safe(s, text_of(target, "url"));
		CLEANUP(buf_done) struct buf line = BUF_INIT;

		buf_adds(s->out, "  ");
		screen_left(s, TONE_BOLD, label ? label : "", width);
		buf_adds(s->out, "  ");
		buf_adds(&line, url ? url : "");
		add_identity(s, target, &line);
		screen_left(s, TONE_PLAIN, screen_part(s, &line), s->style->width - width - 4);
		screen_line_end(s);
	}
	buf_addc(s->out, '\n');
}

static bool is_shown_above(const json_t *benchmark, const char *name)
{
	return strncmp(name, "latency.", 8) == 0 ||
	       strcmp(name, text_of(benchmark, "headline")) == 0;
}

/* Median over the runs; NaN where there is none. */
static double middle(const json_t *metrics, const char *name)
{
	const json_t *v = json_object_get(
		json_object_get(json_object_get(metrics, name), "summary"), "median");

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* "  mean 99.5 us": one number of a distribution. */
static void detail(const struct screen *s, const json_t *metrics, const char *distribution,
		   size_t len, const char *what, const char *unit)
{
	char name[128], value[NUM_TEXT_MAX];

	snprintf(name, sizeof(name), "%.*s.%s", (int)len, distribution, what);
	num_format_unit(value, middle(metrics, name), unit);
	buf_addf(s->out, "  %s ", what);
	screen_right(s, TONE_PLAIN, value, 8);
}

/* A distribution takes one line, wherever its median stands; its other numbers are on that line. */
static bool is_on_a_line_above(const json_t *metrics, const char *key)
{
	static const char *const others[] = { ".mean", ".p95", ".p99", ".max", ".min" };
	const char *dot = strrchr(key, '.');
	char name[128];

	for (size_t i = 0; dot && i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(dot, others[i]) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s.median", (int)(dot - key), key);
		return json_object_get(metrics, name) != NULL;
	}
	return false;
}

static void detail_line(const struct screen *s, const json_t *metrics, const char *key,
			const json_t *metric)
{
	const char *unit = text_of(metric, "unit"), *dot = strrchr(key, '.');
	bool distribution = dot && strcmp(dot, ".median") == 0;
	size_t len = distribution ? (size_t)(dot - key) : strlen(key);
	CLEANUP(buf_done) struct buf safe = BUF_INIT;
	char value[NUM_TEXT_MAX], spread[NUM_TEXT_MAX];

	buf_add_safe(&safe, key, len);
	buf_adds(s->out, "    ");
	screen_left(s, TONE_DIM, screen_part(s, &safe), 22);
	if (distribution) {
		if (s->style->width >= 76)
			detail(s, metrics, key, len, "mean", unit);
		detail(s, metrics, key, len, "median", unit);
		detail(s, metrics, key, len, "p95", unit);
	} else {
		num_format_unit(value, middle(metrics, key), unit);
		num_format_unit(spread,
				json_number_value(
					json_object_get(json_object_get(metric, "summary"), "mad")),
				unit);
		screen_right(s, TONE_PLAIN, value, 12);
		buf_adds(s->out, s->style->utf8 ? "  \u00b1 " : "  +- ");
		screen_text(s, TONE_DIM, spread);
	}
	screen_line_end(s);
}

void table_details(const struct screen *s, const json_t *benchmark)
{
	json_t *metrics = json_object_get(benchmark, "metrics"), *metric;
	const char *key;

	json_object_foreach(metrics, key, metric)
	{
		if (is_shown_above(benchmark, key) || isnan(middle(metrics, key)) ||
		    is_on_a_line_above(metrics, key))
			continue;
		detail_line(s, metrics, key, metric);
	}
}

/* At most three significant digits, never in exponents. */
static void ratio_text(char out[24], double r)
{
	int digits = r >= 100 ? 0 : r >= 10 ? 1 : r >= 0.1 ? 2 : 3;

	if (isnan(r))
		snprintf(out, 24, "?");
	else
		snprintf(out, 24, "%.*f", digits, r);
}

static double bound(const json_t *comparison, size_t which)
{
	const json_t *v = json_array_get(json_object_get(comparison, "ci"), which);

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static const char *better_of(const json_t *root, const json_t *comparison)
{
	const json_t *b;
	size_t i;

	json_array_foreach(json_object_get(root, "benchmarks"), i,
			   b) if (strcmp(text_of(b, "name"), text_of(comparison, "benchmark")) ==
				  0) return text_of(json_object_get(json_object_get(b, "metrics"),
								    text_of(comparison, "metric")),
						    "better");
	return "";
}

static const json_t *find_comparison(const json_t *root, const json_t *benchmark,
				     const char *target)
{
	const json_t *c;
	size_t i;

	json_array_foreach(
		json_object_get(root, "comparisons"), i,
		c) if (strcmp(text_of(c, "benchmark"), text_of(benchmark, "name")) == 0 &&
		       strcmp(text_of(c, "metric"), text_of(benchmark, "headline")) == 0 &&
		       strcmp(text_of(c, "new"), target) == 0 &&
		       json_equal(json_object_get(c, "params"),
				  json_object_get(benchmark, "params"))) return c;
	return NULL;
}

enum { RATIO_WIDTH = 28 };

/* "4.21x [4.10, 4.33] slower": a word only where the interval leaves no doubt. */
static void ratio_cell(const struct screen *s, const json_t *root, const json_t *c)
{
	double r = c ? json_number_value(json_object_get(c, "ratio")) : (double)NAN;
	double lo = bound(c, 0), hi = bound(c, 1);
	bool higher = c && strcmp(better_of(root, c), "higher") == 0;
	bool up = lo > 1, down = hi < 1;
	enum tone tone = up == down ? TONE_PLAIN : up == higher ? TONE_GOOD : TONE_BAD;
	char ratio[24], from[24], to[24], text[96];

	ratio_text(ratio, r);
	ratio_text(from, lo);
	ratio_text(to, hi);
	if (!c || isnan(r))
		snprintf(text, sizeof(text), "-");
	else
		snprintf(text, sizeof(text), "%sx [%s, %s]%s", ratio, from, to,
			 up == down	     ? ""
			 : tone == TONE_GOOD ? " better"
					     : " worse");
	buf_adds(s->out, "  ");
	screen_left(s, tone, text, RATIO_WIDTH - 2);
}

/* Whether another case of that name has another value there. */
static bool tells_apart(const json_t *root, const json_t *b, const char *key)
{
	const json_t *other, *value = json_object_get(json_object_get(b, "params"), key);
	size_t i;

	json_array_foreach(json_object_get(root, "benchmarks"), i, other)
	{
		if (strcmp(text_of(other, "name"), text_of(b, "name")) == 0 &&
		    !json_equal(json_object_get(json_object_get(other, "params"), key), value))
			return true;
	}
	return false;
}

/* The name, and the parameters that tell it from others of that name: "rpc.upload size=102400"; `brief`: without their keys. */
static void ratio_name(const struct screen *s, const json_t *root, const json_t *b, bool brief,
		       struct buf *out)
{
	CLEANUP_FREE char *name = screen_safe(s, text_of(b, "name"));
	json_t *value;
	const char *key;

	buf_adds(out, name ? name : "");
	json_object_foreach(json_object_get(b, "params"), key, value)
	{
		CLEANUP_FREE char *text = NULL;

		if (!tells_apart(root, b, key))
			continue;
		text = json_is_string(value) ? screen_safe(s, json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY);
		out->failed = out->failed || !text;
		buf_addf(out, brief ? " %.0s%s" : " %s=%s", key, text ? text : "");
	}
}

static void ratio_line(const struct screen *s, const json_t *root, const json_t *targets,
		       const json_t *b, size_t from, size_t to, unsigned label)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT, brief = BUF_INIT;

	ratio_name(s, root, b, false, &name);
	ratio_name(s, root, b, true, &brief);
	screen_left(s, TONE_PLAIN,
		    screen_part(s, screen_columns(buf_text(&name)) <= label ? &name : &brief),
		    label);
	for (size_t i = from; i < to; i++)
		ratio_cell(s, root,
			   find_comparison(root, b, text_of(json_array_get(targets, i), "label")));
	screen_line_end(s);
}

static void ratio_head(const struct screen *s, const json_t *targets, size_t from, size_t to,
		       unsigned label)
{
	CLEANUP_FREE char *base = screen_safe(s, text_of(json_array_get(targets, 0), "label"));
	CLEANUP(buf_done) struct buf head = BUF_INIT;

	buf_addf(&head, "against %s", base ? base : "");
	buf_addc(s->out, '\n');
	screen_left(s, TONE_BOLD, screen_part(s, &head), label);
	for (size_t i = from; i < to; i++) {
		CLEANUP_FREE char *name =
			screen_safe(s, text_of(json_array_get(targets, i), "label"));

		buf_adds(s->out, "  ");
		screen_left(s, TONE_BOLD, name ? name : "", RATIO_WIDTH - 2);
	}
	screen_line_end(s);
}

/* The first target, and those that have anything in common with it. A new reference. */
static json_t *compared_targets(const struct screen *s, const json_t *root)
{
	const json_t *all = json_object_get(root, "targets"), *c;
	const char *base = text_of(json_array_get(all, 0), "label");
	json_t *out = json_array(), *t;
	size_t i, k;

	json_array_foreach(all, i, t)
	{
		bool wanted = i == 0;

		json_array_foreach(json_object_get(root, "comparisons"), k, c) wanted |=
			strcmp(text_of(c, "base"), base) == 0 &&
			strcmp(text_of(c, "new"), text_of(t, "label")) == 0;
		if (wanted && json_array_append(out, t) < 0)
			s->out->failed = true;
	}
	return out;
}

void table_ratios(const struct screen *s, const json_t *root)
{
	const json_t *all = json_object_get(root, "benchmarks"), *b;
	CLEANUP(json_decref) json_t *targets = compared_targets(s, root);
	const char *base = text_of(json_array_get(targets, 0), "label");
	size_t n = json_array_size(targets), band = (s->style->width - 16) / RATIO_WIDTH, i;
	unsigned label;

	if (n < 2)
		return;
	band = band < 1 ? 1 : band < n - 1 ? band : n - 1;
	label = s->style->width - (unsigned)band * RATIO_WIDTH;
	label = label > 32 ? 32 : label;
	for (size_t from = 1; from < n; from += band) {
		size_t to = from + band < n ? from + band : n;

		ratio_head(s, targets, from, to, label);
		json_array_foreach(all, i, b) if (strcmp(text_of(b, "target"), base) == 0)
			ratio_line(s, root, targets, b, from, to, label);
	}
	screen_wrap(
		s, TONE_DIM, "",
		"Ratio of each case's median latency (or throughput) with its 95 % interval over the runs.");
}
