/* Which calls are shown, and in what order. */
#include <stdlib.h>
#include <string.h>

#include "measure/syscall-names.h"
#include "trace.h"

static uint64_t key_of(const struct call_entry *c, int sort)
{
	switch (sort) {
	case TRACE_SORT_TIME:
		return c->detail.time_ns;
	case TRACE_SORT_ERRORS:
		return c->detail.errors;
	case TRACE_SORT_BYTES:
		return c->detail.bytes;
	default:
		return c->calls;
	}
}

static int compare(const void *pa, const void *pb, void *ctx)
{
	const struct call_entry *a = *(const struct call_entry *const *)pa,
				*b = *(const struct call_entry *const *)pb;
	uint64_t x = key_of(a, *(const int *)ctx), y = key_of(b, *(const int *)ctx);

	if (x != y)
		return x < y ? 1 : -1;
	if (a->calls != b->calls)
		return a->calls < b->calls ? 1 : -1;
	return strcmp(syscall_name(a->compat, a->nr), syscall_name(b->compat, b->nr));
}

/* By name, by family ("recv*" stays a name: no patterns), with or without the 32-bit prefix. */
static bool is_wanted(const struct trace_opts *o, const struct call_entry *c)
{
	const char *name = syscall_name(c->compat, c->nr), *dot = strchr(name, '.');

	if (o->filter.n == 0)
		return true;
	for (size_t i = 0; i < o->filter.n; i++)
		if (strcmp(o->filter.v[i], name) == 0 ||
		    (dot && strcmp(o->filter.v[i], dot + 1) == 0))
			return true;
	return false;
}

static void add(struct call_entry *sum, const struct call_entry *c)
{
	sum->calls += c->calls;
	sum->restarts += c->restarts;
	sum->detail.done += c->detail.done;
	sum->detail.errors += c->detail.errors;
	sum->detail.ended += c->detail.ended;
	sum->detail.bytes += c->detail.bytes;
	sum->detail.messages += c->detail.messages;
	sum->detail.time_ns += c->detail.time_ns;
	sum->detail.off_ns += c->detail.off_ns;
}

int trace_rows_make(struct trace_rows *out, const struct trace_opts *o, const struct call_table *t,
		    uint32_t target, uint32_t slot, struct err *e)
{
	int sort = o->sort;

	memset(out, 0, sizeof(*out));
	out->row = calloc(t->n_entries + 1, sizeof(const struct call_entry *));
	if (!out->row)
		return err_nomem(e);
	for (size_t i = 0; i < t->n_entries; i++) {
		const struct call_entry *c = &t->entry[i];

		if (c->target != target || c->slot != slot || (!c->calls && !c->detail.done))
			continue;
		add(&out->sum, c);
		if (is_wanted(o, c))
			out->row[out->n++] = c;
		else
			out->hidden++;
	}
	qsort_r(out->row, out->n, sizeof(const struct call_entry *), compare, &sort);
	if (o->top && out->n > o->top) {
		out->hidden += out->n - o->top;
		out->n = o->top;
	}
	return 0;
}

void trace_rows_done(struct trace_rows *r)
{
	free(r->row);
	r->row = NULL;
}
