#include "measure/call-table.h"

#include <stdlib.h>
#include <string.h>

#include "measure/syscall-names.h"

enum { TABLE_MAX = 1 << 20 };

void call_table_done(struct call_table *t)
{
	free(t->entry);
	free(t->detail);
	free(t->thread);
	memset(t, 0, sizeof(*t));
}

/* Room for one more of an array that doubles; n is its present length. */
static int grow(void **array, size_t n, size_t size, struct err *e)
{
	void *p;

	if (n & (n - 1))
		return 0;
	if (n >= TABLE_MAX)
		return err_set(e, ERR_INTERNAL, "too-many", "more than %d counters", TABLE_MAX);
	p = realloc(*array, (n ? 2 * n : 1) * size);
	if (!p)
		return err_nomem(e);
	*array = p;
	return 0;
}

static int add_entry(struct call_table *t, const struct call_entry *c, struct err *e)
{
	void *p = t->entry;

	if (grow(&p, t->n_entries, sizeof(*c), e) < 0)
		return -1;
	t->entry = p;
	t->entry[t->n_entries++] = *c;
	return 0;
}

static int add_detail(struct call_table *t, const struct call_detail *d, struct err *e)
{
	void *p = t->detail;

	if (grow(&p, t->n_details, sizeof(*d), e) < 0)
		return -1;
	t->detail = p;
	t->detail[t->n_details++] = *d;
	return 0;
}

static int add_thread(struct call_table *t, const struct call_thread *c, struct err *e)
{
	void *p = t->thread;

	if (grow(&p, t->n_threads, sizeof(*c), e) < 0)
		return -1;
	t->thread = p;
	t->thread[t->n_threads++] = *c;
	return 0;
}

static int take_thread(struct call_table *t, const struct trace_record *r, struct err *e)
{
	struct call_thread c = {
		.target = r->target, .slot = r->slot, .pid = r->nr, .tid = r->index
	};

	c.ended = r->value[0] == TRACE_SLOT_ENDED;
	memcpy(c.comm, r->text + sizeof(r->value[0]), TRACE_COMM);
	c.comm[TRACE_COMM - 1] = 0;
	return add_thread(t, &c, e);
}

static int take_call(struct call_table *t, const struct trace_record *r, struct err *e)
{
	struct call_entry c = {
		.target = r->target, .slot = r->slot, .compat = r->compat, .nr = r->nr
	};

	c.calls = r->value[0];
	memcpy(&c.detail, &r->value[1], sizeof(c.detail));
	return add_entry(t, &c, e);
}

/* What indexes something must lie within it; it came from another program. */
static bool makes_sense(const struct trace_record *r)
{
	switch (r->type) {
	case TRACE_CALL:
		return r->target < TRACE_TARGETS_MAX && r->compat <= 1;
	case TRACE_THREAD:
	case TRACE_STATE:
		return r->target < TRACE_TARGETS_MAX;
	case TRACE_ERRNO:
		return r->target < TRACE_TARGETS_MAX && r->compat <= 1 && r->index < TRACE_ERRNOS;
	case TRACE_BUCKET:
		return r->target < TRACE_TARGETS_MAX && r->compat <= 1 && r->index < TRACE_BUCKETS;
	case TRACE_BATCH:
		return r->target < TRACE_TARGETS_MAX && r->nr <= 1 && r->index < TRACE_BATCHES;
	case TRACE_URING:
		return r->target < TRACE_TARGETS_MAX && r->nr < TRACE_OPCODES;
	default:
		return true;
	}
}

int call_table_add(struct call_table *t, const struct trace_record *r, struct err *e)
{
	struct call_detail d = { r->type, r->target, r->compat, r->nr, r->index, r->value[0] };

	if (!makes_sense(r))
		return err_set(e, ERR_MACHINE, "tracer", "mpbench-bpf answers nonsense");
	switch (r->type) {
	case TRACE_CALL:
		return take_call(t, r, e);
	case TRACE_THREAD:
		return take_thread(t, r, e);
	case TRACE_STATE:
		memcpy(&t->state[r->target], r->value, sizeof(t->state[0]));
		return 0;
	case TRACE_ERRNO:
	case TRACE_BUCKET:
	case TRACE_BATCH:
	case TRACE_URING:
		return add_detail(t, &d, e);
	case TRACE_END:
		t->at_ns = r->value[0];
		t->still = r->value[1];
		t->settle_ns = r->value[2];
		return 0;
	default:
		return 0;
	}
}

static int order(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int entry_order(const void *pa, const void *pb)
{
	const struct call_entry *a = pa, *b = pb;
	int d = order(a->target, b->target);

	d = d ? d : order(a->slot, b->slot);
	d = d ? d : order(a->compat, b->compat);
	return d ? d : order(a->nr, b->nr);
}

static int detail_order(const void *pa, const void *pb)
{
	const struct call_detail *a = pa, *b = pb;
	int d = order(a->type, b->type);

	d = d ? d : order(a->target, b->target);
	d = d ? d : order(a->compat, b->compat);
	d = d ? d : order(a->nr, b->nr);
	return d ? d : order(a->index, b->index);
}

static int thread_order(const void *pa, const void *pb)
{
	const struct call_thread *a = pa, *b = pb;
	int d = order(a->target, b->target);

	return d ? d : order(a->slot, b->slot);
}

static void count_restarts(struct call_table *t)
{
	for (size_t i = 0; i < t->n_entries; i++) {
		struct call_entry *c = &t->entry[i];
		const struct call_detail *d;
		size_t n;

		c->restarts = 0;
		if (c->slot)
			continue;
		d = call_table_details(t, TRACE_ERRNO, c->target, c->compat, c->nr, &n);
		for (size_t k = 0; k < n; k++)
			if (trace_errno_restarts(trace_errno_value(d[k].index)))
				c->restarts += d[k].n;
	}
}

void call_table_sort(struct call_table *t)
{
	if (t->n_entries)
		qsort(t->entry, t->n_entries, sizeof(t->entry[0]), entry_order);
	if (t->n_details)
		qsort(t->detail, t->n_details, sizeof(t->detail[0]), detail_order);
	if (t->n_threads)
		qsort(t->thread, t->n_threads, sizeof(t->thread[0]), thread_order);
	count_restarts(t);
}

const struct call_entry *call_table_find(const struct call_table *t, uint32_t target, uint32_t slot,
					 uint32_t compat, uint32_t nr)
{
	struct call_entry key = { .target = target, .slot = slot, .compat = compat, .nr = nr };

	if (!t->n_entries)
		return NULL;
	return bsearch(&key, t->entry, t->n_entries, sizeof(key), entry_order);
}

static const struct call_detail *find_detail(const struct call_table *t,
					     const struct call_detail *key)
{
	return t->n_details ? bsearch(key, t->detail, t->n_details, sizeof(*key), detail_order)
			    : NULL;
}

/* Index of the first detail that is not before the key. */
static size_t lower_bound(const struct call_table *t, const struct call_detail *key)
{
	size_t lo = 0, hi = t->n_details;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (detail_order(&t->detail[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct call_detail *call_table_details(const struct call_table *t, enum trace_type type,
					     uint32_t target, uint32_t compat, uint32_t nr,
					     size_t *n)
{
	struct call_detail key = { .type = type, .target = target, .compat = compat, .nr = nr };
	size_t first = lower_bound(t, &key), last;

	key.index = UINT32_MAX;
	last = lower_bound(t, &key);
	*n = last - first;
	return *n ? &t->detail[first] : NULL;
}

static const struct call_thread *find_thread(const struct call_table *t, uint32_t target,
					     uint32_t slot)
{
	struct call_thread key = { .target = target, .slot = slot };

	return t->n_threads ? bsearch(&key, t->thread, t->n_threads, sizeof(key), thread_order)
			    : NULL;
}

/* A row that went to another thread in between begins at zero. */
static bool same_row(const struct call_table *after, const struct call_table *before,
		     const struct call_entry *c)
{
	const struct call_thread *a, *b;

	if (c->slot == 0)
		return true;
	a = find_thread(after, c->target, c->slot);
	b = find_thread(before, c->target, c->slot);
	return a && b && a->pid == b->pid && a->tid == b->tid;
}

static void subtract(struct call_entry *c, const struct call_entry *old)
{
	c->calls -= old->calls;
	c->detail.done -= old->detail.done;
	c->detail.errors -= old->detail.errors;
	c->detail.ended -= old->detail.ended;
	c->detail.bytes -= old->detail.bytes;
	c->detail.messages -= old->detail.messages;
	c->detail.time_ns -= old->detail.time_ns;
	c->detail.off_ns -= old->detail.off_ns;
}

static int minus_entries(struct call_table *out, const struct call_table *after,
			 const struct call_table *before, struct err *e)
{
	for (size_t i = 0; i < after->n_entries; i++) {
		struct call_entry c = after->entry[i];
		const struct call_entry *old =
			call_table_find(before, c.target, c.slot, c.compat, c.nr);

		if (old && same_row(after, before, &c))
			subtract(&c, old);
		/* a call that only returned in the window still shows its error and its time */
		if ((c.calls || c.detail.done || c.detail.ended) && add_entry(out, &c, e) < 0)
			return -1;
	}
	return 0;
}

static int minus_details(struct call_table *out, const struct call_table *after,
			 const struct call_table *before, struct err *e)
{
	for (size_t i = 0; i < after->n_details; i++) {
		struct call_detail d = after->detail[i];
		const struct call_detail *old = find_detail(before, &d);

		if (old)
			d.n -= old->n;
		if (d.n && add_detail(out, &d, e) < 0)
			return -1;
	}
	return 0;
}

static void bound_maxima(struct call_table *out, const struct call_table *before)
{
	for (size_t i = 0; i < out->n_entries; i++) {
		struct call_entry *c = &out->entry[i];
		const struct call_entry *old =
			call_table_find(before, c->target, c->slot, c->compat, c->nr);
		const struct call_detail *d;
		size_t n;

		if (!old || c->detail.max_ns > old->detail.max_ns)
			continue;
		d = call_table_details(out, TRACE_BUCKET, c->target, c->compat, c->nr, &n);
		if (!n)
			c->detail.max_ns = 0;
		else if (call_bucket_high(d[n - 1].index) < c->detail.max_ns)
			c->detail.max_ns = call_bucket_high(d[n - 1].index);
	}
}

int call_table_minus(struct call_table *out, const struct call_table *after,
		     const struct call_table *before, struct err *e)
{
	if (minus_entries(out, after, before, e) < 0 || minus_details(out, after, before, e) < 0)
		return -1;
	for (size_t i = 0; i < after->n_threads; i++)
		if (add_thread(out, &after->thread[i], e) < 0)
			return -1;
	call_table_sort(out);
	bound_maxima(out, before);
	for (size_t i = 0; i < TRACE_TARGETS_MAX; i++) {
		out->state[i] = after->state[i];
		out->state[i].started -= before->state[i].started;
	}
	out->at_ns = after->at_ns - before->at_ns;
	out->settle_ns =
		after->settle_ns > before->settle_ns ? after->settle_ns : before->settle_ns;
	out->still = after->still && before->still;
	return 0;
}

uint64_t call_table_percentile(const struct call_table *t, const struct call_entry *c, uint32_t ppm)
{
	uint64_t total = 0, seen = 0, rank;
	const struct call_detail *d;
	size_t n;

	d = call_table_details(t, TRACE_BUCKET, c->target, c->compat, c->nr, &n);
	for (size_t i = 0; i < n; i++)
		total += d[i].n;
	rank = (uint64_t)(((unsigned __int128)ppm * total + 999999) / 1000000);
	for (size_t i = 0; i < n; i++) {
		uint64_t high = call_bucket_high(d[i].index);

		seen += d[i].n;
		if (seen >= rank)
			return high < c->detail.max_ns ? high : c->detail.max_ns;
	}
	return 0;
}

uint64_t call_table_total(const struct call_table *t, uint32_t target)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < t->n_entries; i++)
		if (t->entry[i].target == target && t->entry[i].slot == 0)
			sum += t->entry[i].calls;
	return sum;
}

const char *call_table_doubt(const struct call_table *difference)
{
	const struct call_state *s = &difference->state[0];

	if (s->storage_failed)
		return "the kernel had no memory to watch some threads";
	if (s->missed)
		return "the kernel skipped runs of the counting programs";
	if (!difference->still)
		return "the counters did not come to rest at an end of the window";
	return NULL;
}

int call_table_window(const struct call_table *difference, uint32_t target,
		      struct syscall_window *out, struct err *e)
{
	struct syscall_count *count = calloc(difference->n_entries + 1, sizeof(*count));
	size_t n = 0;

	if (!count)
		return err_nomem(e);
	for (size_t i = 0; i < difference->n_entries; i++) {
		const struct call_entry *c = &difference->entry[i];

		if (c->target != target || c->slot != 0 || !c->calls)
			continue;
		count[n++] = (struct syscall_count){
			.name = syscall_name(c->compat, c->nr),
			.calls = c->calls,
			.errors = c->detail.errors,
			.bytes = c->detail.bytes,
			.messages = c->detail.messages,
			.time_ns = c->detail.time_ns,
		};
	}
	free(out->count);
	*out = (struct syscall_window){ .known = true, .count = count, .n = n };
	out->why_not_exact = call_table_doubt(difference);
	out->exact = !out->why_not_exact;
	return 0;
}

uint64_t call_bucket_low(uint32_t index)
{
	uint32_t e;

	if (index < 2 << TRACE_BUCKET_BITS)
		return index;
	e = (index >> TRACE_BUCKET_BITS) - 1;
	return (uint64_t)(index - (e << TRACE_BUCKET_BITS)) << e;
}

uint64_t call_bucket_high(uint32_t index)
{
	return index + 1 >= TRACE_BUCKETS ? UINT64_MAX : call_bucket_low(index + 1) - 1;
}

uint32_t call_batch_low(uint32_t index)
{
	if (index <= 65)
		return index;
	return 128u << (index - 66);
}
