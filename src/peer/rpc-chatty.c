#include "peer/rpc-chatty.h"

#include <stdbool.h>
#include <string.h>

static uint16_t row_at(const struct rpc_chat *c, uint64_t back)
{
	return c->ring[(c->seen - 1 - back) % RPC_CHAT_RING].row;
}

/* The rotation that begins with the least name: a loop that is noticed in its middle is the same loop. */
static void names(const struct rpc_chat *c, uint16_t out[RPC_CHAT_PERIOD])
{
	size_t p = c->active, best = 0;
	uint16_t plain[RPC_CHAT_PERIOD];

	for (size_t i = 0; i < p; i++)
		plain[i] = row_at(c, p - 1 - i);
	for (size_t k = 1; k < p; k++)
		for (size_t i = 0; i < p; i++) {
			uint16_t a = plain[(k + i) % p], b = plain[(best + i) % p];

			if (a != b) {
				best = a < b ? k : best;
				break;
			}
		}
	memset(out, 0, RPC_CHAT_PERIOD * sizeof(*out));
	for (size_t i = 0; i < p; i++)
		out[i] = plain[(best + i) % p];
}

static struct rpc_loop *find(struct rpc_chatty *all, const uint16_t row[RPC_CHAT_PERIOD],
			     size_t period)
{
	struct rpc_loop *l;

	for (size_t i = 0; i < all->n; i++) {
		l = &all->loop[i];
		if (l->period == period && memcmp(l->row, row, sizeof(l->row)) == 0)
			return l;
	}
	if (all->n == RPC_CHATTY_MAX)
		return NULL;
	l = &all->loop[all->n++];
	*l = (struct rpc_loop){ .period = period };
	memcpy(l->row, row, sizeof(l->row));
	return l;
}

/* `row` is of the loop, not of what ended it. */
static void finish(struct rpc_chat *c, struct rpc_chatty *all, const uint16_t *row)
{
	struct rpc_loop *l = find(all, row, c->active);

	if (l) {
		l->loops++;
		l->repeats += c->trips / c->active;
		l->trips += c->trips;
		l->total_ns += c->total_ns;
		l->saved_ns += (c->trips - 1) * c->min_ns;
	} else {
		all->more++;
	}
	c->active = 0;
}

static void count(struct rpc_chat *c, uint64_t ns)
{
	c->trips++;
	c->total_ns += ns;
	if (ns < c->min_ns)
		c->min_ns = ns;
}

/* The shortest period that has repeated often enough; what it has taken so far lies in the ring. */
static void begin(struct rpc_chat *c)
{
	for (size_t p = 1; p <= RPC_CHAT_PERIOD && !c->active; p++)
		if (c->run[p] == (RPC_CHAT_REPEATS - 1) * p)
			c->active = p;
	if (!c->active)
		return;
	c->trips = c->total_ns = 0;
	c->min_ns = UINT64_MAX;
	for (uint64_t i = 0; i < RPC_CHAT_REPEATS * c->active; i++)
		count(c, c->ring[(c->seen - 1 - i) % RPC_CHAT_RING].ns);
}

void rpc_chat_push(struct rpc_chat *c, struct rpc_chatty *all, uint16_t row, uint64_t ns)
{
	uint16_t before[RPC_CHAT_PERIOD];

	if (c->active)
		names(c, before);
	c->ring[c->seen % RPC_CHAT_RING].row = row;
	c->ring[c->seen % RPC_CHAT_RING].ns = ns;
	c->seen++;
	for (size_t p = 1; p <= RPC_CHAT_PERIOD; p++)
		c->run[p] = c->seen > p && row_at(c, p) == row ? c->run[p] + 1 : 0;
	if (c->active && c->run[c->active]) {
		count(c, ns);
		return;
	}
	if (c->active)
		finish(c, all, before);
	begin(c);
}

void rpc_chat_end(struct rpc_chat *c, struct rpc_chatty *all)
{
	uint16_t row[RPC_CHAT_PERIOD];

	if (c->active) {
		names(c, row);
		finish(c, all, row);
	}
	*c = (struct rpc_chat){ 0 };
}
