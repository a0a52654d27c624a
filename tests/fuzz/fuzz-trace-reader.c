/* The stream of mpbench-bpf: whatever comes, it is read as whole records or refused, and the tables that are made of it
 * keep their order and their sums. The first byte says after how many a second snapshot begins. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "measure/call-table.h"
#include "measure/syscall-names.h"
#include "measure/trace-reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_ = 60000 }; /* a pipe takes that at once */

static void check(int condition)
{
	if (!condition)
		abort();
}

/* A snapshot as src/measure/tracer.c takes it, from these bytes. */
static int take(struct call_table *t, const uint8_t *data, size_t size)
{
	struct trace_reader r = { .fd = -1 };
	const struct trace_record *record;
	size_t seen = 0;
	int fds[2], rc = -1;
	struct err e;

	check(pipe2(fds, O_CLOEXEC) == 0);
	check(write(fds[1], data, size) == (ssize_t)size);
	close(fds[1]);
	r.fd = fds[0];
	while ((record = trace_reader_next(&r, clock_now() + NS_PER_SEC, &e))) {
		check(memcmp(record, data + seen, sizeof(*record)) == 0);
		seen += sizeof(*record);
		check(seen <= size);
		if (call_table_add(t, record, &e) < 0)
			break;
		rc = record->type == TRACE_END ? 0 : rc;
		if (rc == 0)
			break;
	}
	close(fds[0]);
	call_table_sort(t);
	return rc;
}

static void look_at(const struct call_table *t)
{
	uint64_t sum[TRACE_TARGETS_MAX] = { 0 };

	for (size_t i = 0; i < t->n_entries; i++) {
		const struct call_entry *c = &t->entry[i];

		check(call_table_find(t, c->target, c->slot, c->compat, c->nr) != NULL);
		check(syscall_name(c->compat, c->nr)[0] != 0);
		check(call_table_percentile(t, c, 990000) <= c->detail.max_ns);
		if (c->slot == 0)
			sum[c->target] += c->calls;
	}
	for (size_t i = 0; i < t->n_details; i++) {
		const struct call_detail *d = &t->detail[i];
		size_t n;

		check(call_table_details(t, d->type, d->target, d->compat, d->nr, &n) && n > 0);
		if (d->type == TRACE_BUCKET)
			check(call_bucket_low(d->index) <= call_bucket_high(d->index));
		if (d->type == TRACE_BATCH)
			check(d->index == 0 || call_batch_low(d->index) > 0);
		if (d->type == TRACE_URING)
			check(syscall_uring_name(d->nr)[0] != 0);
	}
	for (size_t i = 0; i < t->n_threads; i++)
		check(memchr(t->thread[i].comm, 0, TRACE_COMM) != NULL);
	for (uint32_t i = 0; i < TRACE_TARGETS_MAX; i++)
		check(call_table_total(t, i) == sum[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(call_table_done) struct call_table a = { 0 }, b = { 0 }, d = { 0 };
	struct syscall_window w = { 0 };
	struct err e;
	size_t first;

	if (size < 1 || size > SIZE_MAX_)
		return 0;
	first = data[0] * sizeof(struct trace_record);
	first = first < size ? first : size - 1;
	if (take(&a, data + 1, first) < 0 || take(&b, data + 1 + first, size - 1 - first) < 0)
		return 0;
	look_at(&a);
	look_at(&b);
	check(call_table_minus(&d, &b, &a, &e) == 0);
	look_at(&d);
	check(call_table_window(&d, 0, &w, &e) == 0);
	check(w.exact == !call_table_doubt(&d) && w.n <= d.n_entries);
	free(w.count);
	return 0;
}
