#include "peer/bridge-gather.h"

#include "base/cleanup.h"

void bridge_gather_init(struct bridge_gather *g, struct loop *l, uint64_t delay_ns,
			void (*pass)(struct bridge_gather *, const void *, size_t, uint64_t))
{
	*g = (struct bridge_gather){ .loop = l, .delay_ns = delay_ns, .pass = pass };
	buf_init(&g->held, BRIDGE_GATHER_MAX);
}

void bridge_gather_done(struct bridge_gather *g)
{
	if (g->loop)
		timer_cancel(g->loop, &g->timer);
	buf_done(&g->held);
}

void bridge_gather_flush(struct bridge_gather *g)
{
	struct buf held = g->held;

	timer_cancel(g->loop, &g->timer);
	if (!held.len)
		return;
	/* whoever takes it may end what brings more */
	buf_init(&g->held, BRIDGE_GATHER_MAX);
	g->pass(g, held.data, held.len, g->read_ns);
	buf_clear(&held);
	if (g->held.len) {
		buf_done(&held);
		return;
	}
	buf_done(&g->held);
	g->held = held;
}

static void expired(struct timer *t, uint64_t now_ns)
{
	struct bridge_gather *g = CONTAINER_OF(t, struct bridge_gather, timer);

	(void)now_ns;
	if (!g->full)
		bridge_gather_flush(g);
}

void bridge_gather_full(struct bridge_gather *g, bool full)
{
	g->full = full;
	if (!full && g->held.len && !timer_is_set(&g->timer))
		bridge_gather_flush(g);
}

void bridge_gather_add(struct bridge_gather *g, const void *data, size_t len, uint64_t read_ns)
{
	if (g->held.len + len > BRIDGE_GATHER_MAX)
		bridge_gather_flush(g);
	if (!g->delay_ns || len > BRIDGE_GATHER_MAX) {
		g->pass(g, data, len, read_ns);
		return;
	}
	if (!g->held.len) {
		g->read_ns = read_ns;
		timer_set(g->loop, &g->timer, loop_now(g->loop) + g->delay_ns, expired);
	}
	if (buf_add(&g->held, data, len) < 0) {
		bridge_gather_flush(g);
		g->pass(g, data, len, read_ns);
	}
}
