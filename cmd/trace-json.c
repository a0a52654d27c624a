/* What trace-syscalls writes for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "measure/syscall-names.h"
#include "result/wall.h"
#include "trace.h"

static const char *const level_names[] = { "count", "errors", "latency", "offcpu" };

static int level_of(const struct trace_opts *o)
{
	int level = o->level;

	if (o->errors && level < TRACE_ERRORS)
		level = TRACE_ERRORS;
	return o->latency && level < TRACE_LATENCY ? TRACE_LATENCY : level;
}

static int put_errnos(json_t *one, const struct call_table *t, const struct call_entry *c,
		      struct err *e)
{
	const struct call_detail *d;
	json_t *errnos;
	size_t n;

	d = call_table_details(t, TRACE_ERRNO, c->target, c->compat, c->nr, &n);
	errnos = n ? json_put_object(one, "errno", e) : NULL;
	if (n && !errnos)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (json_put(errnos, syscall_errno_name(trace_errno_value(d[i].index)),
			     json_u64(d[i].n), e) < 0)
			return -1;
	return 0;
}

/* [low, high, count] of each bucket that is not empty. */
static int put_histogram(json_t *one, const struct call_table *t, const struct call_entry *c,
			 struct err *e)
{
	const struct call_detail *d;
	json_t *list;
	size_t n;

	d = call_table_details(t, TRACE_BUCKET, c->target, c->compat, c->nr, &n);
	list = json_put_array(one, "latency_buckets", e);
	if (!list)
		return -1;
	for (size_t i = 0; i < n; i++) {
		json_t *bucket = json_array();

		if (json_push(list, bucket, e) < 0 ||
		    json_push(bucket, json_u64(call_bucket_low(d[i].index)), e) < 0 ||
		    json_push(bucket, json_u64(call_bucket_high(d[i].index)), e) < 0 ||
		    json_push(bucket, json_u64(d[i].n), e) < 0)
			return -1;
	}
	return 0;
}

static int put_times(json_t *one, const struct call_table *t, const struct call_entry *c, int level,
		     struct err *e)
{
	if (json_put(one, "time_ns", json_u64(c->detail.time_ns), e) < 0 ||
	    json_put(one, "max_ns", json_u64(c->detail.max_ns), e) < 0 ||
	    json_put(one, "p50_ns", json_u64(call_table_percentile(t, c, 500000)), e) < 0 ||
	    json_put(one, "p99_ns", json_u64(call_table_percentile(t, c, 990000)), e) < 0)
		return -1;
	if (level >= TRACE_OFFCPU && json_put(one, "off_cpu_ns", json_u64(c->detail.off_ns), e) < 0)
		return -1;
	return put_histogram(one, t, c, e);
}

static int put_call(json_t *calls, const struct trace_watch *w, const struct call_table *t,
		    const struct call_entry *c, struct err *e)
{
	const struct trace_detail *d = &c->detail;
	int level = level_of(w->opts);
	json_t *one = json_put_object(calls, syscall_name(c->compat, c->nr), e);

	if (!one || json_put(one, "calls", json_u64(c->calls), e) < 0)
		return -1;
	if (w->opts->operations &&
	    json_put(one, "per_operation",
		     json_number((double)c->calls / (double)w->opts->operations), e) < 0)
		return -1;
	if (level < TRACE_ERRORS)
		return 0;
	if (json_put(one, "returned", json_u64(d->done), e) < 0 ||
	    json_put(one, "ended_with_thread", json_u64(d->ended), e) < 0 ||
	    json_put(one, "errors", json_u64(d->errors), e) < 0 ||
	    (!c->slot && json_put(one, "interrupted", json_u64(c->restarts), e) < 0) ||
	    json_put(one, "bytes", json_u64(d->bytes), e) < 0 ||
	    json_put(one, "messages", json_u64(d->messages), e) < 0)
		return -1;
	if (c->slot)
		return 0;
	if (put_errnos(one, t, c, e) < 0)
		return -1;
	return level >= TRACE_LATENCY ? put_times(one, t, c, level, e) : 0;
}

static int put_calls(json_t *target, const struct trace_watch *w, const struct call_table *t,
		     uint32_t index, uint32_t slot, struct err *e)
{
	CLEANUP(trace_rows_done) struct trace_rows rows = { 0 };
	json_t *calls = json_put_object(target, "calls", e);

	if (!calls || trace_rows_make(&rows, w->opts, t, index, slot, e) < 0)
		return -1;
	for (size_t i = 0; i < rows.n; i++)
		if (put_call(calls, w, t, rows.row[i], e) < 0)
			return -1;
	return json_put(target, "total", json_u64(rows.sum.calls), e);
}

static int put_families(json_t *target, const struct call_table *t, uint32_t index, struct err *e)
{
	json_t *families = json_put_object(target, "families", e);

	for (size_t i = 0; families && i < t->n_entries; i++) {
		const struct call_entry *c = &t->entry[i];
		const char *name = syscall_family(syscall_name(c->compat, c->nr));
		json_int_t sum = json_integer_value(json_object_get(families, name));

		if (c->target == index && c->slot == 0 && c->calls &&
		    json_put(families, name, json_u64((uint64_t)sum + c->calls), e) < 0)
			return -1;
	}
	return families ? 0 : -1;
}

static int put_batches(json_t *target, const struct call_table *t, uint32_t index, struct err *e)
{
	static const char *const names[] = { "recvmmsg", "sendmmsg" };
	json_t *batches = NULL;

	for (uint32_t kind = 0; kind < 2; kind++) {
		const struct call_detail *d;
		json_t *list;
		size_t n;

		d = call_table_details(t, TRACE_BATCH, index, 0, kind, &n);
		if (!n)
			continue;
		batches = batches ? batches : json_put_object(target, "batches", e);
		list = batches ? json_put_array(batches, names[kind], e) : NULL;
		for (size_t i = 0; list && i < n; i++) {
			json_t *one = json_push_object(list, e);

			if (!one ||
			    json_put(one, "messages", json_u64(call_batch_low(d[i].index)), e) <
				    0 ||
			    json_put(one, "calls", json_u64(d[i].n), e) < 0)
				return -1;
		}
		if (!list)
			return -1;
	}
	return 0;
}

static int put_urings(json_t *target, const struct call_table *t, uint32_t index, struct err *e)
{
	json_t *ops = json_put_object(target, "io_uring", e);

	for (size_t i = 0; ops && i < t->n_details; i++) {
		const struct call_detail *d = &t->detail[i];

		if (d->type == TRACE_URING && d->target == index &&
		    json_put(ops, syscall_uring_name(d->nr), json_u64(d->n), e) < 0)
			return -1;
	}
	return ops ? 0 : -1;
}

static int put_threads(json_t *target, const struct trace_watch *w, const struct call_table *t,
		       uint32_t index, struct err *e)
{
	json_t *threads = json_put_array(target, "threads", e);

	for (size_t i = 0; threads && i < t->n_threads; i++) {
		const struct call_thread *c = &t->thread[i];
		json_t *one;

		if (c->target != index)
			continue;
		one = json_push_object(threads, e);
		if (!one || json_put(one, "pid", json_u64(c->pid), e) < 0 ||
		    json_put(one, "tid", json_u64(c->tid), e) < 0 ||
		    json_put(one, "comm", json_outside_text(c->comm), e) < 0 ||
		    json_put(one, "ended", json_boolean(c->ended), e) < 0 ||
		    put_calls(one, w, t, index, c->slot, e) < 0)
			return -1;
	}
	return threads ? 0 : -1;
}

static int put_gauges(json_t *target, const struct call_state *s, struct err *e)
{
	json_t *g = json_put_object(target, "gauges", e);

	if (!g || json_put(g, "threads_now", json_u64(s->live), e) < 0 ||
	    json_put(g, "threads_came", json_u64(s->started), e) < 0 ||
	    json_put(g, "threads_lost", json_u64(s->storage_failed), e) < 0 ||
	    json_put(g, "threads_sharing", json_u64(s->shared), e) < 0 ||
	    json_put(g, "found_under_way", json_u64(s->found_open), e) < 0 ||
	    json_put(g, "left_by_set_uid", json_u64(s->left_uid), e) < 0 ||
	    json_put(g, "calls_32_bit", json_u64(s->compat), e) < 0 ||
	    json_put(g, "runs_skipped", json_u64(s->missed), e) < 0)
		return -1;
	return 0;
}

static int put_target(json_t *list, const struct trace_watch *w, const struct call_table *t,
		      uint32_t i, struct err *e)
{
	json_t *one = json_push_object(list, e);

	if (!one || json_put(one, "label", json_outside_text(w->target[i].label), e) < 0 ||
	    put_calls(one, w, t, i, 0, e) < 0 || put_families(one, t, i, e) < 0 ||
	    put_batches(one, t, i, e) < 0 || put_urings(one, t, i, e) < 0 ||
	    put_gauges(one, &t->state[i], e) < 0)
		return -1;
	return w->opts->by == TRACE_BY_TARGET ? 0 : put_threads(one, w, t, i, e);
}

json_t *trace_json(const struct trace_watch *w, const struct call_table *t, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();
	const char *doubt = call_table_doubt(t);
	json_t *targets;

	if (!root || json_put(root, "level", json_string(level_names[level_of(w->opts)]), e) < 0 ||
	    json_put(root, "window_ns", json_u64(t->at_ns), e) < 0 ||
	    json_put(root, "exact", json_boolean(!doubt), e) < 0 ||
	    json_put(root, "why_not_exact", doubt ? json_string(doubt) : json_null(), e) < 0 ||
	    json_put(root, "others_ns_per_call", json_u64(tracer_others_ns(w->tracer)), e) < 0 ||
	    json_put(root, "sees_io_uring", json_boolean(tracer_sees_uring(w->tracer)), e) < 0)
		return NULL;
	targets = json_put_array(root, "targets", e);
	for (uint32_t i = 0; targets && i < w->n; i++)
		if (put_target(targets, w, t, i, e) < 0)
			return NULL;
	return targets ? TAKE(root) : NULL;
}

/* A run of one window; calls per operation where the user said how many there were, else plain counts. */
static int add_benchmark(struct benchmark *b, const struct trace_watch *w,
			 const struct call_table *t, uint32_t i, struct err *e)
{
	const struct syscall_window *s;
	uint64_t operations = w->opts->operations ? w->opts->operations : 1;
	const char *unit = w->opts->operations ? "count_per_op" : "count";

	snprintf(b->name, sizeof(b->name), "trace");
	snprintf(b->target, sizeof(b->target), "%.63s", w->target[i].label);
	b->headline = "syscalls.total";
	b->n_runs = 1;
	b->run = calloc(1, sizeof(*b->run));
	if (!b->run)
		return err_nomem(e);
	b->run->index = 0;
	b->run->order = i;
	b->run->pair = -1;
	b->run->ok = w->opts->operations;
	b->run->duration_ns = t->at_ns;
	if (call_table_window(t, i, &b->run->syscalls, e) < 0)
		return -1;
	s = &b->run->syscalls;
	for (size_t k = 0; s->exact && k <= s->n; k++) {
		struct extra_metric *x;
		char name[64];

		snprintf(name, sizeof(name), "syscalls.%s", k < s->n ? s->count[k].name : "total");
		x = benchmark_add_metric(b, name, unit, BETTER_LOWER, true);
		if (!x)
			return err_nomem(e);
		x->totals[0] = k < s->n ? s->count[k].calls : call_table_total(t, i);
		x->operations[0] = operations;
		x->values[0] = (double)x->totals[0] / (double)operations;
	}
	return 0;
}

static int add_targets(struct document *d, const struct trace_watch *w, struct err *e)
{
	for (size_t i = 0; i < w->n; i++) {
		struct trace_target copy = w->target[i];
		struct target shown = { .label = copy.label, .n_members = 1 };
		char scheme[16] = { 0 };

		memcpy(scheme, copy.url, strcspn(copy.url, ":") % sizeof(scheme));
		shown.member[0].scheme = scheme;
		shown.member[0].shown = copy.url;
		if (document_add_target(d, &shown, NULL, e) < 0)
			return -1;
	}
	return 0;
}

/* The document is made when all is over; the counting began its length before. */
static int add_beginning(struct document *d, uint64_t length_ns, struct err *e)
{
	struct timespec now;
	char text[WALL_MAX];

	clock_gettime(CLOCK_REALTIME, &now);
	wall_format((int64_t)now.tv_sec * (int64_t)NS_PER_SEC + now.tv_nsec - (int64_t)length_ns, 1,
		    text);
	return json_put(d->root, "started_at", json_string(text), e);
}

int trace_document(struct document *d, const struct trace_watch *w, const struct call_table *t,
		   struct err *e)
{
	CLEANUP(measurement_done) struct measurement m = { .n = w->n, .duration_ns = t->at_ns };
	json_t *extension;

	m.benchmark = calloc(w->n, sizeof(*m.benchmark));
	if (!m.benchmark)
		return err_nomem(e);
	for (uint32_t i = 0; i < w->n; i++)
		if (add_benchmark(&m.benchmark[i], w, t, i, e) < 0)
			return -1;
	if (add_beginning(d, t->at_ns, e) < 0 || add_targets(d, w, e) < 0 ||
	    document_add_measurement(d, &m, false, e) < 0)
		return -1;
	extension = trace_json(w, t, e);
	return extension ? document_add_extension(d, "trace", extension, e) : -1;
}
