/* A capture of trace-rpc, and through it whatever two peers say to each other: the tracker stays within its bounds, and at
 * its end nothing is held. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "peer/rpc-tracker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
	if (!condition)
		abort();
}

static void check_rows(const struct rpc_tracker *t)
{
	for (size_t i = 0; i < t->rows.n; i++) {
		const struct rpc_row *r = t->rows.row[i];

		check(r->answered <= r->n && r->errors <= r->answered);
		check(memchr(r->name, 0, sizeof(r->name)) != NULL);
		check(rpc_row_percentile(r, 500000) <= r->max_ns);
	}
}

static void check_end(const struct rpc_tracker *t)
{
	uint64_t created = 0, released = 0, left = 0;

	check(t->active == 0 && t->objects.alive == 0 && t->memory == 0);
	check(t->n_slow <= RPC_SLOW_MAX && t->n_events <= t->p.max_events);
	check(t->rows.n <= RPC_ROWS_MAX && t->chatty.n <= RPC_CHATTY_MAX);
	for (size_t i = 0; i < t->objects.n; i++) {
		const struct rpc_class *k = &t->objects.kind[i];

		check(k->alive == 0 && k->released <= k->created);
		created += k->created;
		released += k->released;
		left += k->left;
	}
	check(created == t->objects.created && released == t->objects.released &&
	      left == t->objects.left);
	for (size_t i = 1; i < t->n_slow; i++)
		check(t->slow[i].ns <= t->slow[i - 1].ns);
	for (size_t i = 0; i < t->n_events; i++)
		check(t->event[i].parent < (int32_t)i && t->event[i].row < t->rows.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_tracker_params p = { .slow_ns = 1000, .max_events = 500 };
	struct rpc_capture_record r;
	struct rpc_tracker t;
	struct err e;
	size_t at = 0;
	int64_t n = 1;

	if (size >= RPC_CAPTURE_MAGIC_SIZE &&
	    memcmp(data, RPC_CAPTURE_MAGIC, RPC_CAPTURE_MAGIC_SIZE) == 0)
		at = RPC_CAPTURE_MAGIC_SIZE;
	check(rpc_tracker_init(&t, &p, &e) == 0);
	while ((n = rpc_capture_get(&r, data + at, size - at, &e)) > 0) {
		check((size_t)n <= size - at && r.len <= RPC_CAPTURE_BYTES_MAX);
		if (rpc_tracker_take(&t, &r, &e) < 0)
			break;
		at += (size_t)n;
	}
	check_rows(&t);
	rpc_tracker_finish(&t);
	check_end(&t);
	rpc_tracker_done(&t);
	return 0;
}
