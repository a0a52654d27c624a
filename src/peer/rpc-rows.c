#include "peer/rpc-rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rpc_rows_done(struct rpc_rows *r)
{
	for (size_t i = 0; i < r->n; i++) {
		histogram_done(&r->row[i]->latency_ns);
		free(r->row[i]);
	}
	*r = (struct rpc_rows){ 0 };
}

/* FNV-1a. */
static size_t hash(const char *name, bool from_server)
{
	uint32_t h = 2166136261u ^ from_server;

	for (const char *p = name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	return h;
}

static int add(struct rpc_rows *r, int64_t handler, bool from_server, const char *name,
	       struct err *e)
{
	struct rpc_row *row = calloc(1, sizeof(*row));

	if (!row)
		return err_nomem(e);
	if (histogram_init(&row->latency_ns, e) < 0) {
		free(row);
		return -1;
	}
	snprintf(row->name, sizeof(row->name), "%s", name);
	row->handler = handler;
	row->from_server = from_server;
	r->row[r->n++] = row;
	return 0;
}

int rpc_rows_find(struct rpc_rows *r, int64_t handler, bool from_server, const char *name,
		  uint16_t *out, struct err *e)
{
	size_t room = sizeof(r->slot) / sizeof(r->slot[0]), at = hash(name, from_server) % room;

	for (; r->slot[at]; at = (at + 1) % room) {
		const struct rpc_row *row = r->row[r->slot[at] - 1];

		if (row->from_server == from_server && strcmp(row->name, name) == 0) {
			*out = (uint16_t)(r->slot[at] - 1);
			return 0;
		}
	}
	if (r->n == RPC_ROWS_MAX) {
		*out = RPC_ROWS_MAX - 1;
		return 0;
	}
	if (r->n == RPC_ROWS_MAX - 1) {
		name = "others";
		handler = 0;
	}
	if (add(r, handler, from_server, name, e) < 0)
		return -1;
	r->slot[at] = (uint16_t)r->n;
	*out = (uint16_t)(r->n - 1);
	return 0;
}

void rpc_row_answered(struct rpc_row *row, uint64_t ns, bool failed)
{
	if (row->answered == 0 || ns < row->min_ns)
		row->min_ns = ns;
	if (ns > row->max_ns)
		row->max_ns = ns;
	row->answered++;
	row->errors += failed;
	row->total_ns += ns;
	histogram_add(&row->latency_ns, ns, 1);
}

uint64_t rpc_row_percentile(const struct rpc_row *row, uint32_t ppm)
{
	uint64_t ns = histogram_percentile(&row->latency_ns, ppm);

	return ns > row->max_ns ? row->max_ns : ns < row->min_ns ? row->min_ns : ns;
}
