/* A watcher for people: a line for logs, a screen for terminals, a summary at the end; and for Prometheus. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "result/format.h"
#include "result/screen.h"
#include "result/single.h"
#include "result/sparkline.h"
#include "result/watcher.h"
#include "stats/summary.h"

enum { NAME_WIDTH = 32, VALUE_WIDTH = 11, PLAIN_MAX = 8 };

static uint64_t all_runs(const struct watcher *w)
{
	uint64_t n = 0;

	for (int i = 0; i < WATCH_STATUSES; i++)
		n += w->runs[i];
	return n;
}

/* Headlines that the last results still have. */
static bool is_current(const struct watcher *w, const struct history_series *s)
{
	if (!s->headline)
		return false;
	for (size_t i = w->h.n; i > 0; i--) {
		if (isfinite(s->value[i - 1]))
			return true;
		/* What was not down had its say. */
		if (strcmp(w->h.point[i - 1].status, "down") != 0)
			return false;
	}
	return false;
}

static double last_of(const struct watcher *w, const struct history_series *s)
{
	return w->h.n ? s->value[w->h.n - 1] : (double)NAN;
}

static void add_name(struct buf *out, const struct history_series *s)
{
	buf_add_safe(out, s->benchmark, strlen(s->benchmark));
	buf_addc(out, ' ');
	buf_add_safe(out, s->metric, strlen(s->metric));
	if (*s->params) {
		buf_addc(out, ' ');
		buf_add_safe(out, s->params, strlen(s->params));
	}
}

static void add_time(struct buf *out, const struct history_point *p)
{
	buf_addf(out, "%.19sZ", p->started_at);
}

int watcher_plain(const struct watcher *w, const struct table_style *style, struct buf *out)
{
	const struct screen s = { out, style };
	size_t shown = 0, more = 0;
	char value[NUM_TEXT_MAX];

	if (!w->h.n)
		return 0;
	add_time(out, &w->h.point[w->h.n - 1]);
	buf_addc(out, ' ');
	screen_left(&s, w->last == WATCH_OK ? TONE_GOOD : TONE_BAD, watch_status_name(w->last), 6);
	for (size_t i = 0; i < w->h.n_series; i++) {
		const struct history_series *series = &w->h.series[i];

		if (!series->headline || !isfinite(last_of(w, series)))
			continue;
		if (shown == PLAIN_MAX) {
			more++;
			continue;
		}
		buf_adds(out, shown++ ? ", " : " ");
		add_name(out, series);
		buf_addf(out, " %s", num_format_unit(value, last_of(w, series), series->unit));
	}
	if (more)
		buf_addf(out, ", %zu more", more);
	buf_addc(out, '\n');
	return out->failed ? -1 : 0;
}

/* Median and ends of what is in the history. */
static size_t range_of(const struct watcher *w, const struct history_series *s, double *median,
		       double *lo, double *hi)
{
	double sorted[WATCH_SHOWN];
	size_t n = 0;

	for (size_t i = 0; i < w->h.n && n < WATCH_SHOWN; i++)
		if (isfinite(s->value[i]))
			sorted[n++] = s->value[i];
	summary_sort(sorted, n);
	*median = summary_median_sorted(sorted, n);
	*lo = n ? sorted[0] : (double)NAN;
	*hi = n ? sorted[n - 1] : (double)NAN;
	return n;
}

static void series_row(const struct screen *s, const struct watcher *w,
		       const struct history_series *series)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT, spark = BUF_INIT;
	unsigned width = s->style->width;
	unsigned cells = width - NAME_WIDTH - 2 * VALUE_WIDTH - 3;
	size_t from = w->h.n > cells ? w->h.n - cells : 0;
	double median, lo, hi;
	char text[NUM_TEXT_MAX];

	add_name(&name, series);
	screen_left(s, TONE_BOLD, screen_part(s, &name), NAME_WIDTH);
	num_format_unit(text, last_of(w, series), series->unit);
	screen_right(s, TONE_BOLD, text, VALUE_WIDTH);
	range_of(w, series, &median, &lo, &hi);
	num_format_unit(text, median, series->unit);
	screen_right(s, TONE_PLAIN, text, VALUE_WIDTH);
	buf_adds(s->out, "  ");
	sparkline_values(series->value + from, w->h.n - from, cells, s->style->utf8, &spark);
	screen_text(s, TONE_PLAIN, screen_part(s, &spark));
	screen_line_end(s);
}

static void counts_text(const struct watcher *w, struct buf *out)
{
	char took[NUM_TEXT_MAX];

	buf_addf(out, "%llu run%s: %llu ok, %llu bad, %llu failed, %llu down",
		 (unsigned long long)all_runs(w), all_runs(w) == 1 ? "" : "s",
		 (unsigned long long)w->runs[WATCH_OK], (unsigned long long)w->runs[WATCH_BAD],
		 (unsigned long long)w->runs[WATCH_FAILED],
		 (unsigned long long)w->runs[WATCH_DOWN]);
	if (w->outages)
		buf_addf(out, "; %llu outage%s", (unsigned long long)w->outages,
			 w->outages == 1 ? "" : "s");
	if (w->down_ns)
		buf_addf(out, ", %s in all", num_format_ns(took, (double)w->down_ns));
	if (w->down)
		buf_adds(out, ", down now");
	if (w->skipped)
		buf_addf(out, "; %llu start%s left out", (unsigned long long)w->skipped,
			 w->skipped == 1 ? "" : "s");
}

/* One line, cut where the terminal ends. */
static void line_of(const struct screen *s, enum tone tone, const char *text)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	buf_add_safe(&safe, text, strlen(text));
	if (screen_columns(buf_text(&safe)) > s->style->width)
		screen_left(s, tone, screen_part(s, &safe), s->style->width);
	else
		screen_text(s, tone, screen_part(s, &safe));
	screen_line_end(s);
}

static enum tone tone_of(enum watch_status s)
{
	return s == WATCH_OK ? TONE_GOOD : TONE_BAD;
}

/* Limits that are broken now come first; how many rows they took. */
static size_t limit_rows(const struct screen *s, const struct watcher *w, size_t room)
{
	size_t used = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < w->n_limits && used < room; i++) {
			CLEANUP(buf_done) struct buf line = BUF_INIT;

			if (w->broken[i] == (pass != 0))
				continue;
			buf_addf(&line, "%-6s %s  (broken in %llu)",
				 w->broken[i] ? "BROKEN" : "kept", w->limit[i].text,
				 (unsigned long long)w->alerts_of[i]);
			line_of(s, w->broken[i] ? TONE_BAD : TONE_PLAIN, buf_text(&line));
			used++;
		}
	return used;
}

static size_t series_rows(const struct screen *s, const struct watcher *w, size_t room)
{
	size_t used = 0, more = 0, total = 0;

	for (size_t i = 0; i < w->h.n_series; i++)
		total += is_current(w, &w->h.series[i]);
	for (size_t i = 0; i < w->h.n_series; i++) {
		if (!is_current(w, &w->h.series[i]))
			continue;
		if (used + 1 >= room && total > room) {
			more++;
			continue;
		}
		series_row(s, w, &w->h.series[i]);
		used++;
	}
	if (more) {
		buf_addf(s->out, "%zu more", more);
		screen_line_end(s);
	}
	return used + (more > 0);
}

int watcher_screen(const struct watcher *w, const struct watch_screen *c, struct buf *out)
{
	const struct screen s = { out, c->style };
	CLEANUP(buf_done) struct buf counts = BUF_INIT;
	size_t room = c->rows > 8 ? c->rows - 5 : 3, log = c->n_log < 4 ? c->n_log : 4, used;

	line_of(&s, TONE_BOLD, c->head);
	counts_text(w, &counts);
	line_of(&s, all_runs(w) ? tone_of(w->last) : TONE_PLAIN, buf_text(&counts));
	line_of(&s, TONE_DIM, c->now);
	screen_left(&s, TONE_DIM, "metric", NAME_WIDTH);
	screen_right(&s, TONE_DIM, "last", VALUE_WIDTH);
	screen_right(&s, TONE_DIM, "median", VALUE_WIDTH);
	buf_adds(out, "  ");
	screen_text(&s, TONE_DIM, "oldest to newest, ! none");
	screen_line_end(&s);
	log = log < room / 3 ? log : room / 3;
	used = series_rows(&s, w, room - log - (w->n_limits < room / 3 ? w->n_limits : room / 3));
	limit_rows(&s, w, room > used + log ? room - used - log : 0);
	for (size_t i = c->n_log - log; i < c->n_log; i++)
		line_of(&s, TONE_PLAIN, c->log[i]);
	return out->failed ? -1 : 0;
}

static void summary_row(const struct screen *s, const struct watcher *w,
			const struct history_series *series)
{
	char median[NUM_TEXT_MAX], lo[NUM_TEXT_MAX], hi[NUM_TEXT_MAX];
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	double m, l, h;
	size_t n = range_of(w, series, &m, &l, &h);

	add_name(&line, series);
	buf_addf(&line, ": median %s, %s to %s in %zu result%s",
		 num_format_unit(median, m, series->unit), num_format_unit(lo, l, series->unit),
		 num_format_unit(hi, h, series->unit), n, n == 1 ? "" : "s");
	screen_wrap(s, TONE_PLAIN, "  ", screen_part(s, &line));
}

int watcher_summary(const struct watcher *w, const struct table_style *style, uint64_t elapsed_ns,
		    struct buf *out)
{
	const struct screen s = { out, style };
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	char took[NUM_TEXT_MAX];

	counts_text(w, &line);
	buf_addf(&line, ", in %s", num_format_ns(took, (double)elapsed_ns));
	screen_wrap(&s, TONE_BOLD, "", screen_part(&s, &line));
	for (size_t i = 0; i < w->h.n_series; i++)
		if (is_current(w, &w->h.series[i]))
			summary_row(&s, w, &w->h.series[i]);
	for (size_t i = 0; i < w->n_limits; i++) {
		CLEANUP(buf_done) struct buf limit = BUF_INIT;

		buf_addf(&limit, "%s: broken in %llu of %llu runs", w->limit[i].text,
			 (unsigned long long)w->alerts_of[i], (unsigned long long)all_runs(w));
		screen_wrap(&s, w->alerts_of[i] ? TONE_BAD : TONE_PLAIN, "  ",
			    screen_part(&s, &limit));
	}
	return out->failed ? -1 : 0;
}

static void gauge(struct buf *out, const char *type, const char *name, const char *help,
		  double value)
{
	buf_addf(out,
		 "# HELP mpbench_watch_%s %s\n# TYPE mpbench_watch_%s %s\nmpbench_watch_%s %.15g\n",
		 name, help, name, type, name, value);
}

int watcher_prom(const struct watcher *w, const struct watch_run *run, struct buf *out,
		 struct err *e)
{
	CLEANUP(side_done) struct side side = { 0 };
	CLEANUP(report_done) struct report report = { 0 };
	size_t broken = 0;

	for (size_t i = 0; i < w->n_limits; i++)
		broken += w->broken[i];
	if (!w->down && run->root &&
	    (side_add(&side, "this run", run->root, e) < 0 ||
	     single_make(&side, NULL, &report, e) < 0 ||
	     format_openmetrics(&report, false, out, e) < 0))
		return -1;
	gauge(out, "gauge", "up", "Whether something succeeded in the last run.", !w->down);
	gauge(out, "gauge", "ok", "Whether the last run was fine.", w->last == WATCH_OK);
	gauge(out, "gauge", "limits_broken", "Limits that the last result did not keep.",
	      (double)broken);
	gauge(out, "gauge", "last_run_timestamp_seconds", "When the last run began.",
	      (double)run->at_ns / 1e9);
	gauge(out, "gauge", "last_run_duration_seconds", "How long it took.",
	      (double)run->duration_ns / 1e9);
	gauge(out, "counter", "runs_total", "Runs since the watcher began.", (double)all_runs(w));
	gauge(out, "counter", "bad_runs_total", "Runs that were not fine.",
	      (double)(all_runs(w) - w->runs[WATCH_OK]));
	gauge(out, "counter", "outages_total", "Outages of the target.", (double)w->outages);
	gauge(out, "counter", "skipped_starts_total", "Starts that were left out.",
	      (double)w->skipped);
	return out->failed ? err_nomem(e) : 0;
}
