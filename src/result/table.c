#include "result/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "result/screen.h"
#include "result/sparkline.h"
#include "result/table-parts.h"

enum { N_WIDTH = 8, VALUE_WIDTH = 8, FAIL_WIDTH = 5, SPARK_MIN = 8, SPARK_BEST = 20, NARROW = 76 };

struct table {
	struct screen s;
	const json_t *root;
	unsigned label, spark;	      /* widths; spark 0: no histogram */
	bool mean, several;	      /* several targets */
	bool pooled, dash, unbounded; /* footnotes that are needed */
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* The distribution that the columns show: latency, else the first there is. */
static const char *main_name(const json_t *benchmark)
{
	json_t *pooled = json_object_get(benchmark, "pooled");

	if (json_object_get(pooled, "latency"))
		return "latency";
	return json_object_iter_key(json_object_iter(pooled));
}

static const json_t *pooled_main(const json_t *benchmark)
{
	const char *name = main_name(benchmark);

	return name ? json_object_get(json_object_get(benchmark, "pooled"), name) : NULL;
}

static double over_runs(const json_t *benchmark, const char *distribution, const char *suffix)
{
	char name[128];
	const json_t *metric;

	snprintf(name, sizeof(name), "%s%s%s", distribution, *suffix ? "." : "", suffix);
	metric = json_object_get(json_object_get(benchmark, "metrics"), name);
	return number_of(json_object_get(metric, "summary"), "median");
}

static void count_text(char out[32], double n)
{
	char digits[32];
	size_t len, used = 0;

	if (!(n < 1e7)) {
		num_format_count(out, n);
		return;
	}
	snprintf(digits, sizeof(digits), "%.0f", n);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
}

static void value_cell(const struct table *t, enum tone tone, double value, const char *unit)
{
	char text[NUM_TEXT_MAX];
	char *bits;

	num_format_unit(text, value, unit);
	bits = strstr(text, "bit/s");
	if (bits) /* "11.8 Gb": the column has no room for more */
		bits[1] = '\0';
	screen_right(&t->s, tone, isnan(value) ? "-" : text, VALUE_WIDTH);
}

/* The median of the runs' percentiles; where a run has too few samples, the percentile of all runs' samples together,
 * marked; where those are too few as well, a dash. */
static void percentile_cell(struct table *t, const json_t *benchmark, const char *key)
{
	const json_t *pooled = pooled_main(benchmark);
	double value = over_runs(benchmark, main_name(benchmark), key);
	bool from_all = isnan(value);

	if (from_all)
		value = number_of(json_object_get(pooled, "percentiles"), key);
	value_cell(t, TONE_PLAIN, value, text_of(pooled, "unit"));
	buf_addc(t->s.out, from_all && !isnan(value) ? '*' : ' ');
	t->pooled = t->pooled || (from_all && !isnan(value));
	t->dash = t->dash || isnan(value);
	if (!isnan(value) && json_object_get(json_object_get(pooled, "percentile_notes"), key))
		t->unbounded = true;
}

static void columns_head(const struct table *t, const char *label)
{
	screen_left(&t->s, TONE_BOLD, label, t->label);
	screen_right(&t->s, TONE_DIM, "n", N_WIDTH);
	if (t->mean)
		screen_right(&t->s, TONE_DIM, "mean", VALUE_WIDTH);
	screen_right(&t->s, TONE_DIM, "median", VALUE_WIDTH);
	screen_right(&t->s, TONE_DIM, "P95", VALUE_WIDTH);
	screen_right(&t->s, TONE_DIM, "P99", VALUE_WIDTH + 1);
	screen_right(&t->s, TONE_DIM, "max", VALUE_WIDTH + 1);
	screen_right(&t->s, TONE_DIM, "fail", FAIL_WIDTH);
	if (t->spark) {
		buf_adds(t->s.out, "  ");
		screen_text(&t->s, TONE_DIM, "histogram");
	}
	screen_line_end(&t->s);
}

static double failures(const json_t *benchmark)
{
	const json_t *runs = json_object_get(benchmark, "runs"), *run;
	double n = 0;
	size_t i;

	json_array_foreach(runs, i, run) n += json_number_value(json_object_get(run, "failed"));
	return n;
}

static bool same_case(const json_t *a, const json_t *b)
{
	return strcmp(text_of(a, "name"), text_of(b, "name")) == 0 &&
	       json_equal(json_object_get(a, "params"), json_object_get(b, "params"));
}

/* All targets of a case share one axis, so that their pictures can be compared. */
static void spark_cell(const struct table *t, const json_t *benchmark)
{
	const json_t *all = json_object_get(t->root, "benchmarks"), *other, *run;
	const char *name = main_name(benchmark);
	double min = INFINITY, max = 0;
	struct sparkline line;
	size_t i;

	json_array_foreach(all, i, other)
	{
		const json_t *pooled = pooled_main(other);

		if (!same_case(other, benchmark) || !json_is_number(json_object_get(pooled, "min")))
			continue;
		min = fmin(min, number_of(pooled, "min"));
		max = fmax(max, number_of(pooled, "max"));
	}
	sparkline_init(&line, t->spark, min, max);
	json_array_foreach(json_object_get(benchmark, "runs"), i,
			   run) if (strcmp(text_of(run, "status"), "ok") == 0)
		sparkline_add(&line, json_object_get(json_object_get(run, "distributions"), name));
	buf_adds(t->s.out, "  ");
	sparkline_draw(&line, t->s.style->utf8, t->s.out);
}

static void numbers(struct table *t, const json_t *benchmark)
{
	const json_t *pooled = pooled_main(benchmark);
	const char *name = main_name(benchmark), *unit = text_of(pooled, "unit");
	double failed = failures(benchmark);
	char text[32];

	count_text(text, json_is_object(pooled) ? number_of(pooled, "n") : 0);
	screen_right(&t->s, TONE_PLAIN, text, N_WIDTH);
	name = name ? name : "latency";
	if (t->mean)
		value_cell(t, TONE_PLAIN, over_runs(benchmark, name, "mean"), unit);
	value_cell(t, TONE_BOLD, over_runs(benchmark, name, "median"), unit);
	percentile_cell(t, benchmark, "p95");
	percentile_cell(t, benchmark, "p99");
	value_cell(t, TONE_PLAIN, number_of(pooled, "max"), unit);
	count_text(text, failed);
	screen_right(&t->s, failed > 0 ? TONE_BAD : TONE_PLAIN, text, FAIL_WIDTH);
	if (t->spark && name)
		spark_cell(t, benchmark);
	screen_line_end(&t->s);
}

/* "throughput 863 KiB/s [850 KiB/s, 870 KiB/s]": what the case is about, where that is not the latency. */
static void headline(const struct table *t, const json_t *benchmark)
{
	const char *name = text_of(benchmark, "headline");
	const json_t *metric = json_object_get(json_object_get(benchmark, "metrics"), name);
	const json_t *summary = json_object_get(metric, "summary");
	const json_t *ci = json_object_get(summary, "median_ci");
	const char *unit = text_of(metric, "unit");
	char value[NUM_TEXT_MAX], lo[NUM_TEXT_MAX], hi[NUM_TEXT_MAX], line[256];
	bool bounded =
		json_is_number(json_array_get(ci, 0)) && json_is_number(json_array_get(ci, 1));

	if (!metric || strncmp(name, "latency.", 8) == 0 ||
	    !json_is_number(json_object_get(summary, "median")))
		return;
	num_format_unit(value, number_of(summary, "median"), unit);
	if (bounded)
		snprintf(line, sizeof(line), "%s %s  [%s, %s]", name, value,
			 num_format_unit(lo, json_number_value(json_array_get(ci, 0)), unit),
			 num_format_unit(hi, json_number_value(json_array_get(ci, 1)), unit));
	else
		snprintf(line, sizeof(line), "%s %s", name, value);
	buf_adds(t->s.out, "    ");
	screen_left(&t->s, TONE_BOLD, line, t->s.style->width - 4);
	screen_line_end(&t->s);
}

/* "3.00 syscalls/op: read 2.00, write 1.00", where they were counted. */
static void syscalls(const struct table *t, const json_t *benchmark)
{
	json_t *metrics = json_object_get(benchmark, "metrics"), *metric;
	const json_t *total = json_object_get(metrics, "syscalls.total");
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	const char *key, *before = ": ";

	if (!total)
		return;
	buf_addf(&line, "%s%.2f syscalls/op",
		 strcmp(text_of(total, "assume"), "exact") == 0 ? "" : "about ",
		 over_runs(benchmark, "syscalls.total", ""));
	json_object_foreach(metrics, key, metric)
	{
		CLEANUP_FREE char *name = NULL;

		if (strncmp(key, "syscalls.", 9) != 0 || metric == total)
			continue;
		name = screen_safe(&t->s, key + 9);
		buf_addf(&line, "%s%s %.2f", before, name ? name : "",
			 over_runs(benchmark, key, ""));
		before = ", ";
	}
	screen_wrap(&t->s, TONE_DIM, "    ", screen_part(&t->s, &line));
}

/* Name and parameters of a case as one line of text. */
static void case_title(const struct screen *s, const json_t *benchmark, struct buf *out)
{
	CLEANUP_FREE char *name = screen_safe(s, text_of(benchmark, "name"));
	json_t *params = json_object_get(benchmark, "params"), *value;
	const char *key;

	buf_adds(out, name ? name : "");
	json_object_foreach(params, key, value)
	{
		CLEANUP_FREE char *safe = screen_safe(s, key);
		CLEANUP_FREE char *text = json_is_string(value)
						  ? screen_safe(s, json_string_value(value))
						  : json_dumps(value, JSON_ENCODE_ANY);

		out->failed = out->failed || !text;
		buf_addf(out, " %s=%s", safe ? safe : "", text ? text : "");
	}
	s->out->failed = s->out->failed || out->failed;
}

static void target_row(struct table *t, const json_t *benchmark, const char *indent,
		       const char *label)
{
	CLEANUP_FREE char *safe = screen_safe(&t->s, label);

	buf_adds(t->s.out, indent);
	screen_left(&t->s, TONE_PLAIN, safe ? safe : "", t->label - screen_columns(indent));
	numbers(t, benchmark);
	headline(t, benchmark);
	syscalls(t, benchmark);
	if (t->s.style->verbose)
		table_details(&t->s, benchmark);
}

static bool is_first_of_case(const json_t *all, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (same_case(json_array_get(all, i), json_array_get(all, index)))
			return false;
	return true;
}

static void one_case(struct table *t, const json_t *all, size_t index)
{
	CLEANUP(buf_done) struct buf title = BUF_INIT;
	const json_t *first = json_array_get(all, index);

	case_title(&t->s, first, &title);
	if (!t->several && screen_columns(screen_part(&t->s, &title)) <= t->label) {
		screen_left(&t->s, TONE_BOLD, screen_part(&t->s, &title), t->label);
		numbers(t, first);
		headline(t, first);
		syscalls(t, first);
		if (t->s.style->verbose)
			table_details(&t->s, first);
		return;
	}
	screen_left(&t->s, TONE_BOLD, screen_part(&t->s, &title), t->s.style->width);
	screen_line_end(&t->s);
	for (size_t i = index; i < json_array_size(all); i++) {
		const json_t *b = json_array_get(all, i);

		if (same_case(b, first))
			target_row(t, b, "  ", t->several ? text_of(b, "target") : "");
	}
}

/* The label column takes what the longest label needs, the histogram the rest. */
static void lay_out(struct table *t)
{
	const json_t *all = json_object_get(t->root, "benchmarks"), *b;
	unsigned fixed, rest, need = 8;
	size_t i;

	t->several = json_array_size(json_object_get(t->root, "targets")) > 1;
	t->mean = t->s.style->width >= NARROW;
	fixed = N_WIDTH + (t->mean ? 5 : 4) * VALUE_WIDTH + 2 + FAIL_WIDTH;
	rest = t->s.style->width - fixed;
	json_array_foreach(all, i, b)
	{
		unsigned len = t->several ? 2 + screen_columns(text_of(b, "target"))
					  : screen_columns(text_of(b, "name"));

		need = len > need ? len : need;
	}
	t->spark = t->mean && rest > need + 2 + SPARK_MIN ? rest - need - 2
		   : t->mean				  ? SPARK_MIN
							  : 0;
	t->spark = t->spark > SPARK_BEST ? SPARK_BEST : t->spark;
	t->label = t->spark ? rest - t->spark - 2 : rest;
	if (t->label > need + 2 && t->label > 16)
		t->label = need + 2 > 16 ? need + 2 : 16;
}

static void footnotes(const struct table *t)
{
	buf_addc(t->s.out, '\n');
	screen_wrap(&t->s, TONE_DIM, "",
		    "Columns are medians over the runs; max is of all samples.");
	if (t->pooled)
		screen_wrap(&t->s, TONE_DIM, "* ",
			    "from the samples of all runs together, as one run has too few.");
	if (t->unbounded)
		screen_wrap(
			&t->s, TONE_DIM, "",
			"P95 of fewer than 72 and P99 of fewer than 368 samples have no upper bound.");
	if (t->dash)
		screen_wrap(
			&t->s, TONE_DIM, "- ",
			"too few samples: P95 needs 20, P99 needs 100 to differ from the maximum.");
}

static void cases(struct table *t)
{
	const json_t *all = json_object_get(t->root, "benchmarks");

	if (json_array_size(all) == 0) {
		if (json_object_size(json_object_get(t->root, "extensions")))
			return; /* what was measured is there */
		screen_wrap(&t->s, TONE_PLAIN, "", "Nothing was measured.");
		return;
	}
	columns_head(t, t->several && t->label > 12 ? "case / target" : "case");
	for (size_t i = 0; i < json_array_size(all); i++)
		if (is_first_of_case(all, i))
			one_case(t, all, i);
	footnotes(t);
}

int table_result(const json_t *root, const struct table_style *style, struct buf *out,
		 struct err *e)
{
	struct table_style fitting = *style;
	struct table t = { .s = { .out = out, .style = &fitting }, .root = root };

	fitting.width = style->width < 60 ? 60 : style->width > 200 ? 200 : style->width;
	lay_out(&t);
	table_head(&t.s, root);
	cases(&t);
	table_ratios(&t.s, root);
	table_phases(&t.s, root);
	table_notes(&t.s, root);
	return out->failed ? err_nomem(e) : 0;
}
