#include "peer/bridge-stats.h"

#include "base/clock.h"

int bridge_stats_init(struct bridge_stats *s, struct err *e)
{
	*s = (struct bridge_stats){ 0 };
	return histogram_init(&s->to_client.added_ns, e) < 0 ||
			       histogram_init(&s->to_device.added_ns, e) < 0
		       ? -1
		       : 0;
}

void bridge_stats_done(struct bridge_stats *s)
{
	histogram_done(&s->to_client.added_ns);
	histogram_done(&s->to_device.added_ns);
}

static void record(struct bridge_way *w, uint64_t since_ns)
{
	uint64_t ns = ns_since(since_ns, clock_now());

	if (w->added_ns.n == 0 || ns < w->min_ns)
		w->min_ns = ns;
	if (ns > w->max_ns)
		w->max_ns = ns;
	histogram_add(&w->added_ns, ns, 1);
}

void bridge_way_add(struct bridge_way *w, size_t len, uint64_t read_ns, bool queued)
{
	w->bytes += len;
	w->pieces++;
	w->queued += queued;
	if (!read_ns)
		return;
	if (!queued)
		record(w, read_ns);
	else if (!w->waiting_ns)
		w->waiting_ns = read_ns;
}

void bridge_way_drained(struct bridge_way *w)
{
	if (w->waiting_ns)
		record(w, w->waiting_ns);
	w->waiting_ns = 0;
}
