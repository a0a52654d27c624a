#include "rows.h"

#include <stddef.h>
#include <string.h>

enum { FIELDS = sizeof(struct trace_detail) / sizeof(uint64_t), FIELD_MAX = FIELDS - 1 };
_Static_assert(offsetof(struct trace_detail, max_ns) == FIELD_MAX * sizeof(uint64_t),
	       "max_ns is last");
_Static_assert(FIELDS + 1 <= TRACE_VALUES, "a CALL record holds all fields");

static bool in_use(const struct rows *r, uint32_t row)
{
	return row < 2 * r->n ||
	       __atomic_load_n(&r->slots[row].state, __ATOMIC_ACQUIRE) != TRACE_SLOT_FREE;
}

uint64_t rows_activity(const struct rows *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n_rows; i++) {
		if (!in_use(r, i))
			continue;
		for (int nr = 0; nr < TRACE_NR; nr++)
			sum += r->counts[i].n[nr];
		for (int nr = 0; r->level > TRACE_COUNT && nr < TRACE_NR; nr++)
			sum += r->details[i].of[nr].done;
	}
	return sum;
}

static void fold_detail(struct trace_detail *to, const struct trace_detail *from)
{
	uint64_t *t = (uint64_t *)to;
	const uint64_t *f = (const uint64_t *)from;

	for (int i = 0; i < FIELD_MAX; i++)
		if (f[i])
			__atomic_fetch_add(&t[i], f[i], __ATOMIC_RELAXED);
	if (from->max_ns > to->max_ns)
		to->max_ns = from->max_ns;
}

void rows_fold(const struct rows *r, uint32_t slot)
{
	uint32_t to = r->slots[slot].target;

	for (int nr = 0; nr < TRACE_NR; nr++) {
		if (!r->counts[slot].n[nr])
			continue;
		__atomic_fetch_add(&r->counts[to].n[nr], r->counts[slot].n[nr], __ATOMIC_RELAXED);
		if (r->level > TRACE_COUNT)
			fold_detail(&r->details[to].of[nr], &r->details[slot].of[nr]);
	}
	memset(&r->counts[slot], 0, sizeof(r->counts[slot]));
	if (r->level > TRACE_COUNT)
		memset(&r->details[slot], 0, sizeof(r->details[slot]));
}

/* Adds one row's counters of a number to a CALL record. */
static void sum_call(const struct rows *r, uint32_t row, uint32_t nr, struct trace_record *out)
{
	const uint64_t *f;

	if (!r->counts[row].n[nr])
		return;
	out->value[0] += r->counts[row].n[nr];
	if (r->level == TRACE_COUNT)
		return;
	f = (const uint64_t *)&r->details[row].of[nr];
	for (int i = 0; i < FIELD_MAX; i++)
		out->value[1 + i] += f[i];
	if (f[FIELD_MAX] > out->value[1 + FIELD_MAX])
		out->value[1 + FIELD_MAX] = f[FIELD_MAX];
}

/* One sparse array of counts as records. */
static int put_counts(struct trace_record *out, enum trace_type type, const uint64_t *n,
		      uint32_t size, row_sink *put, void *ctx)
{
	out->type = (uint16_t)type;
	for (uint32_t i = 0; i < size; i++) {
		if (!n[i])
			continue;
		out->index = i;
		out->value[0] = n[i];
		if (put(ctx, out))
			return -1;
	}
	return 0;
}

static int put_tables(const struct rows *r, const struct trace_record *call, row_sink *put,
		      void *ctx)
{
	uint32_t table = (call->compat * r->n + call->target) * TRACE_NR + call->nr;
	struct trace_record out = { .target = call->target,
				    .compat = call->compat,
				    .nr = call->nr };

	if (r->level > TRACE_COUNT &&
	    put_counts(&out, TRACE_ERRNO, r->errnos[table].n, TRACE_ERRNOS, put, ctx))
		return -1;
	if (r->level >= TRACE_LATENCY &&
	    put_counts(&out, TRACE_BUCKET, r->buckets[table].n, TRACE_BUCKETS, put, ctx))
		return -1;
	return 0;
}

static int put_call(const struct rows *r, const struct trace_record *call, row_sink *put, void *ctx)
{
	if (!call->value[0])
		return 0;
	return put(ctx, call) || put_tables(r, call, put, ctx) ? -1 : 0;
}

static int put_calls(const struct rows *r, uint32_t target, row_sink *put, void *ctx)
{
	for (uint32_t nr = 0; nr < TRACE_NR; nr++) {
		struct trace_record out = { .type = TRACE_CALL, .target = target, .nr = nr };

		sum_call(r, target, nr, &out);
		for (uint32_t i = 2 * r->n; i < r->n_rows; i++)
			if (r->slots[i].target == target && in_use(r, i))
				sum_call(r, i, nr, &out);
		if (put_call(r, &out, put, ctx))
			return -1;
	}
	for (uint32_t nr = 0; nr < TRACE_NR; nr++) {
		struct trace_record out = {
			.type = TRACE_CALL, .target = target, .compat = 1, .nr = nr
		};

		sum_call(r, r->n + target, nr, &out);
		if (put_call(r, &out, put, ctx))
			return -1;
	}
	return 0;
}

static int put_threads(const struct rows *r, uint32_t target, row_sink *put, void *ctx)
{
	for (uint32_t i = 2 * r->n; i < r->n_rows; i++) {
		const struct trace_slot *s = &r->slots[i];
		struct trace_record out = { .type = TRACE_THREAD, .target = target, .slot = i };

		if (s->target != target || !in_use(r, i))
			continue;
		out.nr = s->pid;
		out.index = s->tid;
		out.value[0] = s->state;
		memcpy(out.text + sizeof(out.value[0]), s->comm, TRACE_COMM);
		if (put(ctx, &out))
			return -1;
		for (uint32_t nr = 0; nr < TRACE_NR; nr++) {
			struct trace_record call = {
				.type = TRACE_CALL, .target = target, .slot = i, .nr = nr
			};

			sum_call(r, i, nr, &call);
			if (call.value[0] && put(ctx, &call))
				return -1;
		}
	}
	return 0;
}

static int put_state(const struct rows *r, uint32_t target, uint64_t missed, row_sink *put,
		     void *ctx)
{
	const struct trace_gauges *g = r->gauges;
	uint64_t ended = g->of[target].ended, started = g->of[target].started;
	struct trace_record out = {
		.type = TRACE_STATE,
		.target = target,
		.value = { started > ended ? started - ended : 0, started, g->storage_failed,
			   g->of[target].shared, g->of[target].found_open, g->of[target].left_uid,
			   g->of[target].compat, missed },
	};

	return put(ctx, &out);
}

int rows_read(const struct rows *r, bool threads, uint64_t missed, row_sink *put, void *ctx)
{
	for (uint32_t t = 0; t < r->n; t++) {
		struct trace_record out = { .target = t };

		if (put_state(r, t, missed, put, ctx) || put_calls(r, t, put, ctx))
			return -1;
		for (uint32_t kind = 0; r->level > TRACE_COUNT && kind < 2; kind++) {
			out.nr = kind;
			if (put_counts(&out, TRACE_BATCH, r->batches[t].n[kind], TRACE_BATCHES, put,
				       ctx))
				return -1;
		}
		out.nr = 0;
		for (uint32_t i = 0; i < TRACE_OPCODES; i++) {
			struct trace_record op = { .type = TRACE_URING, .target = t, .nr = i };

			op.value[0] = r->opcodes[t].n[i];
			if (op.value[0] && put(ctx, &op))
				return -1;
		}
		if (threads && put_threads(r, t, put, ctx))
			return -1;
	}
	return 0;
}
