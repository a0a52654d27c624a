/* The metrics of a benchmark: one value per run, computed from what the engine recorded. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "measure/measurement.h"

struct making {
	struct metric_list *list;
	const struct benchmark *b;
	struct err *e;
};

static struct metric *add(struct making *m, const char *unit, enum better better, const char *fmt,
			  ...) __attribute__((format(printf, 4, 5)));

/* As many as there can be: with one allocation none is needed while the list grows. */
static size_t most_metrics(const struct benchmark *b)
{
	enum { PLAIN = 8, PER_DISTRIBUTION = 6, ALL_SYSCALLS = 1 };
	size_t n = PLAIN + ALL_SYSCALLS + b->n_extra;

	for (size_t i = 0; i < b->n_runs; i++)
		n += PER_DISTRIBUTION * b->run[i].n_distributions + b->run[i].syscalls.n;
	return n;
}

/* A new metric, NaN for every run; NULL with m->e filled. */
static struct metric *add(struct making *m, const char *unit, enum better better, const char *fmt,
			  ...)
{
	struct metric *x;
	va_list ap;
	int len;

	x = &m->list->metric[m->list->n++];
	va_start(ap, fmt);
	len = vsnprintf(x->name, sizeof(x->name), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(x->name)) {
		err_set(m->e, ERR_INTERNAL, "bug", "metric name %s... is too long", x->name);
		return NULL;
	}
	x->unit = unit;
	x->better = better;
	x->values = m->list->value_store + (m->list->n - 1) * m->b->n_runs;
	for (size_t i = 0; i < m->b->n_runs; i++)
		x->values[i] = (double)NAN;
	return x;
}

/* A metric that no run has a value for says nothing. */
static void drop_empty(struct making *m)
{
	const struct metric *x = &m->list->metric[m->list->n - 1];

	for (size_t i = 0; i < m->b->n_runs; i++)
		if (!isnan(x->values[i]))
			return;
	memset(&m->list->metric[--m->list->n], 0, sizeof(*x));
}

typedef double run_value(const struct run *r);

static double throughput(const struct run *r)
{
	if (r->status != RUN_OK || r->bytes == 0 || r->duration_ns == 0)
		return (double)NAN;
	return (double)r->bytes * (double)NS_PER_SEC / (double)r->duration_ns;
}

static double rate(const struct run *r)
{
	if (r->status != RUN_OK || r->ok == 0 || r->duration_ns == 0)
		return (double)NAN;
	return (double)r->ok * (double)NS_PER_SEC / (double)r->duration_ns;
}

/* A failed run keeps its share of failures: without it, failures would vanish where there are most. */
static double error_ratio(const struct run *r)
{
	uint64_t all = r->ok + r->failed;

	return r->status == RUN_INTERRUPTED || all == 0 ? (double)NAN
							: (double)r->failed / (double)all;
}

static double first(const struct run *r)
{
	return r->status == RUN_OK && r->first_ns ? (double)r->first_ns : (double)NAN;
}

static double achieved_ratio(const struct run *r)
{
	return r->status == RUN_OK && r->planned ? (double)(r->ok + r->failed) / (double)r->planned
						 : (double)NAN;
}

static double cpu_per_operation(const struct run *r, const struct usage *u)
{
	uint64_t operations = r->ok + r->failed;

	if (r->status != RUN_OK || !u->known || operations == 0)
		return (double)NAN;
	return (double)(u->user_ns + u->system_ns) / (double)operations;
}

static double client_cpu(const struct run *r)
{
	return cpu_per_operation(r, &r->client);
}

static double server_cpu(const struct run *r)
{
	return cpu_per_operation(r, &r->server);
}

static int add_plain(struct making *m, const char *name, const char *unit, enum better better,
		     run_value *value)
{
	struct metric *x = add(m, unit, better, "%s", name);

	if (!x)
		return -1;
	for (size_t i = 0; i < m->b->n_runs; i++)
		x->values[i] = value(&m->b->run[i]);
	drop_empty(m);
	return 0;
}

enum statistic { MEAN, MEDIAN, P95, P99, MAX, MIN };

static double statistic_of(const struct series *s, enum statistic which)
{
	switch (which) {
	case MEAN:
		return s->mean;
	case MEDIAN:
		return series_median(s);
	case P95:
		return percentile_is_carried(s->n, 950000) ? (double)series_percentile(s, 950000)
							   : (double)NAN;
	case P99:
		return percentile_is_carried(s->n, 990000) ? (double)series_percentile(s, 990000)
							   : (double)NAN;
	case MAX:
		return (double)s->max;
	default:
		return (double)s->min;
	}
}

static int add_statistic(struct making *m, const struct distribution *like, const char *suffix,
			 enum statistic which)
{
	struct metric *x = add(m, like->unit, like->better, "%s.%s", like->name, suffix);

	if (!x)
		return -1;
	for (size_t i = 0; i < m->b->n_runs; i++) {
		const struct run *r = &m->b->run[i];
		const struct distribution *d = run_distribution(r, like->name);

		if (r->status == RUN_OK && d && d->series.n)
			x->values[i] = statistic_of(&d->series, which);
	}
	drop_empty(m);
	return 0;
}

static int add_distribution(struct making *m, const struct distribution *d)
{
	static const char *const suffix[] = { "mean", "median", "p95", "p99", "max", "min" };

	for (enum statistic which = MEAN; which <= MIN; which++)
		if (add_statistic(m, d, suffix[which], which) < 0)
			return -1;
	return 0;
}

/* Every distribution that any run has, in the order in which they first appear. */
static int add_distributions(struct making *m)
{
	for (size_t i = 0; i < m->b->n_runs; i++) {
		const struct run *r = &m->b->run[i];

		for (size_t k = 0; k < r->n_distributions; k++) {
			bool seen = false;

			for (size_t before = 0; before < i && !seen; before++)
				seen = run_distribution(&m->b->run[before],
							r->distribution[k].name) != NULL;
			if (!seen && add_distribution(m, &r->distribution[k]) < 0)
				return -1;
		}
	}
	return 0;
}

static void add_counts(struct making *m, struct metric *x)
{
	x->totals = m->list->count_store + 2 * (m->list->n - 1) * m->b->n_runs;
	x->operations = x->totals + m->b->n_runs;
}

/* name NULL: all calls together. */
static uint64_t calls_of(const struct syscall_window *w, const char *name)
{
	uint64_t calls = 0;

	for (size_t i = 0; i < w->n; i++)
		if (!name || strcmp(w->count[i].name, name) == 0)
			calls += w->count[i].calls;
	return calls;
}

static int add_syscall(struct making *m, const char *name)
{
	struct metric *x =
		add(m, "count_per_op", BETTER_LOWER, "syscalls.%s", name ? name : "total");

	if (!x)
		return -1;
	add_counts(m, x);
	x->exact = true;
	for (size_t i = 0; i < m->b->n_runs; i++) {
		const struct run *r = &m->b->run[i];
		uint64_t operations = r->ok + r->failed;

		if (r->status != RUN_OK || !r->syscalls.known || operations == 0)
			continue;
		x->totals[i] = calls_of(&r->syscalls, name);
		x->operations[i] = operations;
		x->values[i] = (double)x->totals[i] / (double)operations;
		x->exact = x->exact && r->syscalls.exact;
	}
	drop_empty(m);
	return 0;
}

static bool has_syscall(const struct syscall_window *w, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(w->count[i].name, name) == 0)
			return true;
	return false;
}

static int add_syscalls(struct making *m)
{
	bool known = false;

	for (size_t i = 0; i < m->b->n_runs; i++) {
		const struct syscall_window *w = &m->b->run[i].syscalls;

		known = known || w->known;
		for (size_t k = 0; w->known && k < w->n; k++) {
			bool seen = false;

			for (size_t before = 0; before < i && !seen; before++)
				seen = has_syscall(&m->b->run[before].syscalls,
						   m->b->run[before].syscalls.known
							   ? m->b->run[before].syscalls.n
							   : 0,
						   w->count[k].name);
			if (!seen && add_syscall(m, w->count[k].name) < 0)
				return -1;
		}
	}
	return known ? add_syscall(m, NULL) : 0;
}

static int add_extras(struct making *m)
{
	for (size_t i = 0; i < m->b->n_extra; i++) {
		const struct extra_metric *from = &m->b->extra[i];
		struct metric *x = add(m, from->unit, from->better, "%s", from->name);

		if (!x)
			return -1;
		x->exact = from->exact;
		memcpy(x->values, from->values, m->b->n_runs * sizeof(*x->values));
		if (!from->totals || !from->operations)
			continue;
		add_counts(m, x);
		memcpy(x->totals, from->totals, m->b->n_runs * sizeof(*x->totals));
		memcpy(x->operations, from->operations, m->b->n_runs * sizeof(*x->operations));
	}
	return 0;
}

int metric_list_make(struct metric_list *out, const struct benchmark *b, struct err *e)
{
	CLEANUP(metric_list_done) struct metric_list list = { 0 };
	struct making m = { .list = &list, .b = b, .e = e };
	size_t most = most_metrics(b), runs = b->n_runs ? b->n_runs : 1;

	memset(out, 0, sizeof(*out));
	list.metric = calloc(most, sizeof(*list.metric));
	list.value_store = calloc(most * runs, sizeof(*list.value_store));
	list.count_store = calloc(most * runs * 2, sizeof(*list.count_store));
	if (!list.metric || !list.value_store || !list.count_store)
		return err_nomem(e);
	if (add_distributions(&m) < 0 ||
	    add_plain(&m, "throughput", "bytes_per_second", BETTER_HIGHER, throughput) < 0 ||
	    add_plain(&m, "rate", "ops_per_second", BETTER_HIGHER, rate) < 0 ||
	    add_plain(&m, "error_ratio", "ratio", BETTER_LOWER, error_ratio) < 0 ||
	    add_plain(&m, "first", "ns", BETTER_LOWER, first) < 0 ||
	    (b->open_loop &&
	     add_plain(&m, "achieved_ratio", "ratio", BETTER_HIGHER, achieved_ratio) < 0) ||
	    add_plain(&m, "client.cpu", "ns", BETTER_LOWER, client_cpu) < 0 ||
	    add_plain(&m, "server.cpu", "ns", BETTER_LOWER, server_cpu) < 0 ||
	    add_syscalls(&m) < 0 || add_extras(&m) < 0)
		return -1;
	*out = list;
	memset(&list, 0, sizeof(list));
	return 0;
}

void metric_list_done(struct metric_list *l)
{
	free(l->metric);
	free(l->value_store);
	free(l->count_store);
	memset(l, 0, sizeof(*l));
}

const struct metric *metric_find(const struct metric_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->metric[i].name, name) == 0)
			return &l->metric[i];
	return NULL;
}
