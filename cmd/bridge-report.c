#include "bridge-report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/num.h"
#include "result/distribution.h"
#include "result/emit.h"
#include "result/table.h"
#include "term.h"

enum { BARS = 40 };

static int copy_way(struct bridge_way *to, const struct bridge_way *from, struct err *e)
{
	*to = *from;
	to->added_ns = (struct histogram){ 0 };
	return histogram_init(&to->added_ns, e) < 0 ||
			       histogram_merge(&to->added_ns, &from->added_ns, e) < 0
		       ? -1
		       : 0;
}

int bridge_report_take(struct bridge_report *r, const struct bridge *b, struct err *e)
{
	const struct bridge_stats *s = bridge_stats(b);

	r->stats = *s;
	r->stats.to_client.added_ns = r->stats.to_device.added_ns = (struct histogram){ 0 };
	bridge_link_counts(b, &r->link);
	bridge_calls(b, &r->calls);
	if (copy_way(&r->stats.to_client, &s->to_client, e) < 0 ||
	    copy_way(&r->stats.to_device, &s->to_device, e) < 0)
		return -1;
	r->taken = true;
	return 0;
}

void bridge_report_done(struct bridge_report *r)
{
	bridge_stats_done(&r->stats);
}

/* The percentile, never beyond what was really seen. */
static uint64_t added(const struct bridge_way *w, uint32_t ppm)
{
	uint64_t ns = histogram_percentile(&w->added_ns, ppm);

	return ns > w->max_ns ? w->max_ns : ns < w->min_ns ? w->min_ns : ns;
}

static int put_way(json_t *parent, const char *name, const struct bridge_way *w, struct err *e)
{
	static const struct {
		const char *name;
		uint32_t ppm;
	} points[] = {
		{ "p50", 500000 }, { "p90", 900000 }, { "p99", 990000 }, { "p999", 999000 }
	};
	json_t *o = json_put_object(parent, name, e), *ns;

	if (!o || json_put(o, "bytes", json_u64(w->bytes), e) < 0 ||
	    json_put(o, "pieces", json_u64(w->pieces), e) < 0 ||
	    json_put(o, "queued", json_u64(w->queued), e) < 0)
		return -1;
	ns = json_put_object(o, "added_latency_ns", e);
	if (!ns || json_put(ns, "n", json_u64(w->added_ns.n), e) < 0 ||
	    json_put(ns, "min", json_u64(w->min_ns), e) < 0 ||
	    json_put(ns, "max", json_u64(w->max_ns), e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (json_put(ns, points[i].name,
			     w->added_ns.n ? json_u64(added(w, points[i].ppm)) : json_null(),
			     e) < 0)
			return -1;
	return distribution_put_hist(ns, &w->added_ns, e);
}

/* How the added times are spread, on a logarithmic axis. */
static void print_spread(const struct bridge_way *w)
{
	CLEANUP(json_decref) json_t *o = json_object();
	CLEANUP(buf_done) struct buf bars = BUF_INIT;
	char min[NUM_TEXT_MAX], max[NUM_TEXT_MAX];
	struct err ignored;

	if (!o || !w->added_ns.n || put_way(o, "way", w, &ignored) < 0 ||
	    table_sparkline(json_object_get(json_object_get(o, "way"), "added_latency_ns"), BARS,
			    term_utf8(), &bars) < 0)
		return;
	fprintf(stderr, "             %s [%s] %s\n", num_format_ns(min, (double)w->min_ns),
		buf_text(&bars), num_format_ns(max, (double)w->max_ns));
}

static void print_way(const char *name, const struct bridge_way *w)
{
	char bytes[NUM_TEXT_MAX], p50[NUM_TEXT_MAX], p99[NUM_TEXT_MAX], max[NUM_TEXT_MAX];

	fprintf(stderr,
		"  %-10s %s in %" PRIu64 " pieces (%" PRIu64 " had to wait)\n"
		"             added: median %s, P99 %s, max %s\n",
		name, num_format_bytes(bytes, (double)w->bytes), w->pieces, w->queued,
		num_format_ns(p50, (double)added(w, 500000)),
		num_format_ns(p99, (double)added(w, 990000)),
		num_format_ns(max, (double)w->max_ns));
	print_spread(w);
}

static double reads_per_wakeup(const struct bridge_report *r)
{
	return r->calls.wakeups ? (double)r->calls.reads / (double)r->calls.wakeups : 0;
}

void bridge_report_print(const struct bridge_report *r)
{
	const struct bridge_stats *s = &r->stats;

	fprintf(stderr,
		"mpbench bridge: %" PRIu64 " sessions, %" PRIu64 " refused, %" PRIu64
		" not allowed, %" PRIu64 " watchers\n",
		s->sessions, s->refused, s->denied, s->watchers);
	print_way("to client", &s->to_client);
	print_way("to device", &s->to_device);
	fprintf(stderr,
		"  device     started %u times, %u of them soft resets; %" PRIu64 " reads, %" PRIu64
		" writes,\n"
		"             %" PRIu64 " bytes without a client\n"
		"  wake-ups   %" PRIu64 ", with %" PRIu64 " reads: %.2f each\n",
		r->link.starts, r->link.reboots, r->link.reads, r->link.writes, s->dropped_bytes,
		r->calls.wakeups, r->calls.reads, reads_per_wakeup(r));
}

static int put_counts(json_t *o, const struct bridge_report *r, struct err *e)
{
	const struct {
		const char *name;
		uint64_t value;
	} count[] = {
		{ "sessions", r->stats.sessions },
		{ "refused", r->stats.refused },
		{ "denied", r->stats.denied },
		{ "watchers", r->stats.watchers },
		{ "dropped_bytes", r->stats.dropped_bytes },
		{ "device_starts", r->link.starts },
		{ "soft_resets", r->link.reboots },
		{ "device_reads", r->link.reads },
		{ "device_writes", r->link.writes },
		{ "wakeups", r->calls.wakeups },
		{ "reads", r->calls.reads },
	};

	for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		if (json_put(o, count[i].name, json_u64(count[i].value), e) < 0)
			return -1;
	return json_put(o, "last_exit", json_known_text(r->link.last_end), e) < 0 ||
			       json_put(o, "reads_per_wakeup", json_number(reads_per_wakeup(r)),
					e) < 0 ||
			       put_way(o, "to_client", &r->stats.to_client, e) < 0 ||
			       put_way(o, "to_device", &r->stats.to_device, e) < 0
		       ? -1
		       : 0;
}

int bridge_report_emit(const struct bridge_report *r, const struct bridge_opts *o,
		       const struct target *t, const struct cmd *c, char **argv,
		       const struct err *failed, struct err *e)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct document_head head = { .subcommand = c->name, .table = c->table, .options = o };
	struct host host;
	json_t *counts = json_object();

	if (!counts)
		return err_nomem(e);
	host_read(&host, "", false);
	head.host = &host;
	head.argv = cmd_original(argv, &head.argc);
	if (put_counts(counts, r, e) < 0 || document_new(&d, &head, e) < 0 ||
	    document_add_target(&d, t, NULL, e) < 0) {
		json_decref(counts);
		return -1;
	}
	if (document_add_extension(&d, "bridge", counts, e) < 0 ||
	    document_finish(&d, failed ? "failed" : "complete", failed, e) < 0)
		return -1;
	return emit_file(d.root, o->output, e);
}
