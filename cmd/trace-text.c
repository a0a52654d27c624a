/* What trace-syscalls prints for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "measure/syscall-names.h"
#include "result/screen.h"
#include "trace.h"

enum { LINE_MAX_TEXT = 400, P99_LEAST = 100 /* of fewer it would be the longest */ };

struct text {
	const struct trace_watch *w;
	const struct call_table *t;
	struct screen screen;
	int level;
	uint64_t operations;
	unsigned name_width, figure_width;
};

static void line(const struct text *x, enum tone tone, const char *first, const struct buf *words)
{
	if (words->len)
		screen_wrap(&x->screen, tone, first, buf_text(words));
}

static void figure(const struct text *x, enum tone tone, const char *text)
{
	screen_right(&x->screen, tone, text, x->figure_width);
}

/* To the last digit where it fits with a blank before it; the document has all digits. */
static void number(const struct text *x, enum tone tone, uint64_t n)
{
	char out[NUM_TEXT_MAX];

	if ((unsigned)snprintf(out, sizeof(out), "%lu", n) >= x->figure_width)
		num_format_count(out, (double)n);
	figure(x, tone, n ? out : "-");
}

static void per_operation(const struct text *x, enum tone tone, uint64_t n)
{
	char out[NUM_TEXT_MAX];
	int decimals = 3;

	while ((unsigned)snprintf(out, sizeof(out), "%.*f", decimals,
				  (double)n / (double)x->operations) >= x->figure_width &&
	       decimals > 0)
		decimals--;
	figure(x, tone, out);
}

static void duration(const struct text *x, enum tone tone, uint64_t ns)
{
	char out[NUM_TEXT_MAX];

	figure(x, tone, ns ? num_format_ns(out, (double)ns) : "-");
}

/* All columns together would be wider than a screen. */
static bool has_totals(const struct text *x)
{
	return x->level < TRACE_OFFCPU || !x->operations;
}

/* The columns that a level and the options bring: calls, per op, errors, then bytes or times. */
static void heads(const struct text *x, const char *first)
{
	screen_left(&x->screen, TONE_BOLD, first, x->name_width);
	figure(x, TONE_BOLD, "calls");
	if (x->operations)
		figure(x, TONE_BOLD, "per op");
	if (x->level >= TRACE_ERRORS) {
		figure(x, TONE_BOLD, "errors");
		figure(x, TONE_BOLD, "bytes");
	}
	if (x->level >= TRACE_LATENCY) {
		if (has_totals(x))
			figure(x, TONE_BOLD, "total");
		figure(x, TONE_BOLD, "mean");
		figure(x, TONE_BOLD, "p99");
	}
	if (x->level >= TRACE_OFFCPU)
		figure(x, TONE_BOLD, "off CPU");
	screen_line_end(&x->screen);
}

static void row(const struct text *x, enum tone tone, const char *name, const struct call_entry *c,
		bool percentile)
{
	const struct trace_detail *d = &c->detail;
	char out[NUM_TEXT_MAX + 8];

	screen_left(&x->screen, tone, name, x->name_width);
	number(x, tone, c->calls);
	if (x->operations)
		per_operation(x, tone, c->calls);
	if (x->level >= TRACE_ERRORS) {
		number(x, d->errors ? TONE_BAD : tone, d->errors);
		figure(x, tone, d->bytes ? num_format_bytes(out, (double)d->bytes) : "-");
	}
	if (x->level >= TRACE_LATENCY) {
		if (has_totals(x))
			duration(x, tone, d->time_ns);
		duration(x, tone, d->done ? d->time_ns / d->done : 0);
		duration(x, tone,
			 percentile && d->done >= P99_LEAST ? call_table_percentile(x->t, c, 990000)
							    : 0);
	}
	if (x->level >= TRACE_OFFCPU) {
		snprintf(out, sizeof(out), "%.1f %%",
			 100.0 * (double)d->off_ns / (double)d->time_ns);
		figure(x, tone, d->time_ns ? out : "-");
	}
	screen_line_end(&x->screen);
}

/* Calls by family, the largest first; a handful of words in one line. */
struct family {
	const char *name;
	uint64_t calls;
};
enum { FAMILIES_MAX = 24 };

static int by_calls(const void *a, const void *b)
{
	const struct family *x = a, *y = b;

	return (x->calls < y->calls) - (x->calls > y->calls);
}

static size_t count_families(const struct call_table *t, uint32_t target, struct family *out)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_entries; i++) {
		const struct call_entry *c = &t->entry[i];
		const char *name = syscall_family(syscall_name(c->compat, c->nr));
		size_t k = 0;

		if (c->target != target || c->slot != 0)
			continue;
		while (k < n && strcmp(out[k].name, name) != 0)
			k++;
		if (k == n && n == FAMILIES_MAX)
			continue;
		if (k == n)
			out[n++] = (struct family){ name, 0 };
		out[k].calls += c->calls;
	}
	qsort(out, n, sizeof(out[0]), by_calls);
	return n;
}

static void families(const struct text *x, uint32_t target)
{
	CLEANUP(buf_done) struct buf words = BUF_INIT;
	struct family f[FAMILIES_MAX];
	size_t n = count_families(x->t, target, f);

	for (size_t i = 0; i < n; i++)
		buf_addf(&words, "%s%s %lu", i ? ", " : "", f[i].name, f[i].calls);
	line(x, TONE_PLAIN, "families  ", &words);
}

static void errnos(const struct text *x, uint32_t target)
{
	CLEANUP(buf_done) struct buf words = BUF_INIT;

	for (size_t i = 0; i < x->t->n_details && words.len < LINE_MAX_TEXT; i++) {
		const struct call_detail *d = &x->t->detail[i];

		if (d->type == TRACE_ERRNO && d->target == target)
			buf_addf(&words, "%s%s %s %lu", words.len ? ", " : "",
				 syscall_name(d->compat, d->nr),
				 syscall_errno_name(trace_errno_value(d->index)), d->n);
	}
	line(x, TONE_PLAIN, "errors    ", &words);
}

static void add_batches(const struct text *x, uint32_t target, uint32_t kind, struct buf *words)
{
	uint64_t calls = 0, messages = 0;
	const struct call_detail *d;
	size_t n;

	d = call_table_details(x->t, TRACE_BATCH, target, 0, kind, &n);
	for (size_t i = 0; i < n; i++)
		calls += d[i].n;
	for (size_t i = 0; i < x->t->n_entries; i++) {
		const struct call_entry *c = &x->t->entry[i];

		if (c->target == target && c->slot == 0 &&
		    strstr(syscall_name(c->compat, c->nr), kind ? "sendmmsg" : "recvmmsg"))
			messages += c->detail.messages;
	}
	if (!calls)
		return;
	buf_addf(words, "%s%s %.2f messages a call (", words->len ? "; " : "",
		 kind ? "sendmmsg" : "recvmmsg", (double)messages / (double)calls);
	for (size_t i = 0; i < n && i < 12; i++)
		buf_addf(words, "%s%u%s x %lu", i ? ", " : "", call_batch_low(d[i].index),
			 d[i].index > 64 ? "+" : "", d[i].n);
	buf_addf(words, "%s)", n > 12 ? ", ..." : "");
}

static void batches(const struct text *x, uint32_t target)
{
	CLEANUP(buf_done) struct buf words = BUF_INIT;

	add_batches(x, target, 0, &words);
	add_batches(x, target, 1, &words);
	line(x, TONE_PLAIN, "batches   ", &words);
}

static void urings(const struct text *x, uint32_t target)
{
	CLEANUP(buf_done) struct buf words = BUF_INIT;
	const struct call_detail *d;
	bool used = false;

	for (size_t i = 0; i < x->t->n_details; i++) {
		d = &x->t->detail[i];
		if (d->type == TRACE_URING && d->target == target)
			buf_addf(&words, "%s%s %lu", words.len ? ", " : "",
				 syscall_uring_name(d->nr), d->n);
	}
	line(x, TONE_PLAIN, "io_uring  ", &words);
	for (size_t i = 0; i < x->t->n_entries; i++)
		used |= x->t->entry[i].target == target &&
			strncmp(syscall_name(x->t->entry[i].compat, x->t->entry[i].nr), "io_uring",
				8) == 0;
	if (used && !tracer_sees_uring(x->w->tracer))
		screen_wrap(&x->screen, TONE_BAD, "io_uring  ",
			    "used, but this kernel does not show its operations");
}

/* What is in the counts and what is not. */
static void notes(const struct text *x, uint32_t target, const struct trace_rows *rows)
{
	const struct call_state *s = &x->t->state[target];
	const struct trace_detail *d = &rows->sum.detail;
	CLEANUP(buf_done) struct buf words = BUF_INIT;
	uint64_t open = ns_since(d->done + d->ended, rows->sum.calls);

	if (x->level >= TRACE_ERRORS && open)
		buf_addf(&words, ", %lu not returned yet", open);
	if (d->ended)
		buf_addf(&words, ", %lu ended with their thread", d->ended);
	if (rows->sum.restarts)
		buf_addf(&words, ", %lu interrupted by signals", rows->sum.restarts);
	if (s->found_open)
		buf_addf(&words, ", %lu under way before and not counted", s->found_open);
	if (s->compat)
		buf_addf(&words, ", %lu of the 32-bit table", s->compat);
	if (s->left_uid)
		buf_addf(&words, ", %lu processes left by a set-uid program", s->left_uid);
	if (s->shared && x->w->opts->by != TRACE_BY_TARGET)
		buf_addf(&words, ", %lu threads share a row (--max-threads)", s->shared);
	if (rows->hidden)
		buf_addf(&words, ", %zu kinds of call not shown", rows->hidden);
	if (words.len > 2)
		screen_wrap(&x->screen, TONE_DIM, "of these  ", buf_text(&words) + 2);
}

static int calls(const struct text *x, uint32_t target, uint32_t slot, struct err *e)
{
	CLEANUP(trace_rows_done) struct trace_rows rows = { 0 };

	if (trace_rows_make(&rows, x->w->opts, x->t, target, slot, e) < 0)
		return -1;
	heads(x, slot ? "  syscall" : "syscall");
	for (size_t i = 0; i < rows.n; i++)
		row(x, TONE_PLAIN, syscall_name(rows.row[i]->compat, rows.row[i]->nr), rows.row[i],
		    slot == 0);
	if (slot == 0 || rows.n > 1)
		row(x, TONE_BOLD, "total", &rows.sum, false);
	if (slot)
		return 0;
	families(x, target);
	errnos(x, target);
	batches(x, target);
	urings(x, target);
	notes(x, target, &rows);
	return 0;
}

/* One line per thread, or per process: the sum of its threads. */
static int breakdown(const struct text *x, uint32_t target, struct err *e)
{
	bool by_process = x->w->opts->by == TRACE_BY_PROCESS, ended = false;

	screen_heading(&x->screen, by_process ? "by process" : "by thread");
	heads(x, by_process ? "process" : "thread");
	for (size_t i = 0; i < x->t->n_threads; i++) {
		const struct call_thread *c = &x->t->thread[i];
		struct call_entry sum = { .target = target };
		char name[64], safe[TRACE_COMM];
		bool first = true;

		if (c->target != target)
			continue;
		for (size_t k = 0; by_process && k < i; k++)
			first &= x->t->thread[k].target != target || x->t->thread[k].pid != c->pid;
		for (size_t k = i; first && k < x->t->n_threads; k++) {
			CLEANUP(trace_rows_done) struct trace_rows rows = { 0 };
			const struct call_thread *other = &x->t->thread[k];

			if (other->target != target || (by_process ? other->pid != c->pid : k != i))
				continue;
			if (trace_rows_make(&rows, x->w->opts, x->t, target, other->slot, e) < 0)
				return -1;
			sum.calls += rows.sum.calls;
			sum.detail.done += rows.sum.detail.done;
			sum.detail.errors += rows.sum.detail.errors;
			sum.detail.bytes += rows.sum.detail.bytes;
			sum.detail.time_ns += rows.sum.detail.time_ns;
			sum.detail.off_ns += rows.sum.detail.off_ns;
		}
		if (!first || !sum.calls)
			continue;
		snprintf(safe, sizeof(safe), "%s", c->comm);
		for (char *p = safe; *p; p++)
			if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
				*p = '?';
		snprintf(name, sizeof(name), "%u %s%s", by_process ? c->pid : c->tid, safe,
			 c->ended ? " +" : "");
		row(x, TONE_PLAIN, name, &sum, false);
		ended |= c->ended;
	}
	if (ended)
		screen_wrap(&x->screen, TONE_DIM, "+         ", "has ended");
	return 0;
}

static void head(const struct text *x, uint32_t target)
{
	const struct trace_target *t = &x->w->target[target];
	const struct call_state *s = &x->t->state[target];
	const char *doubt = call_table_doubt(x->t);
	char text[400], length[NUM_TEXT_MAX];

	snprintf(text, sizeof(text), "%s: %s, %lu thread%s now, %lu came, %s", t->label,
		 num_format_ns(length, (double)x->t->at_ns), s->live, s->live == 1 ? "" : "s",
		 s->started, doubt ? "NOT exact" : "exact");
	screen_heading(&x->screen, text);
	if (doubt)
		screen_wrap(&x->screen, TONE_BAD, "not exact ", doubt);
	if (t->is_port && !t->found)
		screen_wrap(&x->screen, TONE_BAD, "", "nobody listened on it");
}

static void compare(const struct text *x, const char *what, uint64_t base, uint64_t other)
{
	char a[32], b[32], change[32] = "";

	if (!base && !other)
		return;
	snprintf(a, sizeof(a), "%lu", base);
	snprintf(b, sizeof(b), "%lu", other);
	if (base)
		snprintf(change, sizeof(change), "%+.1f %%",
			 100.0 * ((double)other - (double)base) / (double)base);
	screen_left(&x->screen, TONE_PLAIN, what, x->name_width);
	figure(x, TONE_PLAIN, a);
	figure(x, TONE_PLAIN, b);
	figure(x, other < base ? TONE_GOOD : other > base ? TONE_BAD : TONE_PLAIN, change);
	screen_line_end(&x->screen);
}

static uint64_t family_of(const struct family *f, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].name, name) == 0)
			return f[i].calls;
	return 0;
}

/* Each further target against the first, family by family. */
static void compare_targets(const struct text *x, uint32_t target)
{
	struct family base[FAMILIES_MAX], other[FAMILIES_MAX];
	size_t n = count_families(x->t, 0, base), m = count_families(x->t, target, other);
	char text[200];

	snprintf(text, sizeof(text), "%s against %s", x->w->target[target].label,
		 x->w->target[0].label);
	screen_heading(&x->screen, text);
	compare(x, "all calls", call_table_total(x->t, 0), call_table_total(x->t, target));
	for (size_t i = 0; i < n; i++)
		compare(x, base[i].name, base[i].calls, family_of(other, m, base[i].name));
	for (size_t i = 0; i < m; i++)
		if (!family_of(base, n, other[i].name))
			compare(x, other[i].name, 0, other[i].calls);
}

int trace_text(const struct trace_watch *w, const struct call_table *t,
	       const struct table_style *style, struct buf *out, struct err *e)
{
	struct text x = {
		.w = w, .t = t, .screen = { out, style }, .operations = w->opts->operations
	};

	x.level = w->opts->level;
	if (w->opts->errors && x.level < TRACE_ERRORS)
		x.level = TRACE_ERRORS;
	if (w->opts->latency && x.level < TRACE_LATENCY)
		x.level = TRACE_LATENCY;
	/* 80 columns, but for the widest sets */
	x.figure_width = x.level >= TRACE_LATENCY ? 9 : 11;
	x.name_width = x.level >= TRACE_LATENCY ? 17 : 22;
	for (uint32_t i = 0; i < w->n; i++) {
		head(&x, i);
		if (calls(&x, i, 0, e) < 0 ||
		    (w->opts->by != TRACE_BY_TARGET && breakdown(&x, i, e) < 0))
			return -1;
	}
	for (uint32_t i = 1; i < w->n; i++)
		compare_targets(&x, i);
	if (style->verbose) {
		buf_addf(
			out,
			"\nEvery system call of a process that is not watched took %lu ns longer meanwhile.\n",
			tracer_others_ns(w->tracer));
	}
	return out->failed ? err_nomem(e) : 0;
}
