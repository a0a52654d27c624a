#include "iperf-json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "base/version.h"
#include "result/emit.h"

static int put(json_t *o, const char *key, json_t *value, struct err *e)
{
	return json_put(o, key, value, e);
}

static json_t *connected_json(const struct iperf_report *r, struct err *e)
{
	CLEANUP(json_decref) json_t *list = json_array();

	for (unsigned i = 0; i < r->n_streams; i++) {
		const struct iperf_stream_shown *s = &r->stream[i];
		char local[80], remote[80];

		addr_format(&s->local, local);
		addr_format(&s->remote, remote);
		/* without the port, which iperf3 keeps apart */
		if (strrchr(local, ':'))
			*strrchr(local, ':') = '\0';
		if (strrchr(remote, ':'))
			*strrchr(remote, ':') = '\0';
		if (json_push(list,
			      json_pack("{s:i, s:s, s:i, s:s, s:i}", "socket", s->fd, "local_host",
					local, "local_port", addr_port(&s->local), "remote_host",
					remote, "remote_port", addr_port(&s->remote)),
			      e) < 0)
			return NULL;
	}
	return TAKE(list);
}

static json_t *test_start_json(const struct iperf_cell *c)
{
	const struct iperf3_params *p = &c->plan.client.params;

	return json_pack("{s:s, s:i, s:I, s:i, s:I, s:I, s:I, s:i, s:i, s:I, s:i, s:I}", "protocol",
			 p->udp ? "UDP" : "TCP", "num_streams", (int)p->parallel, "blksize",
			 (json_int_t)c->len, "omit", (int)p->omit_s, "duration",
			 (json_int_t)p->time_s, "bytes", (json_int_t)p->num, "blocks",
			 (json_int_t)p->blockcount, "reverse", (int)p->reverse, "tos", (int)p->tos,
			 "target_bitrate", (json_int_t)c->plan.client.work.rate, "bidir",
			 (int)p->bidir, "fqrate", (json_int_t)p->fqrate);
}

static json_t *timestamp_json(double wall_s)
{
	time_t seconds = (time_t)wall_s;
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return json_pack("{s:s, s:I, s:I}", "time", text, "timesecs", (json_int_t)seconds,
			 "timemillisecs", (json_int_t)(wall_s * 1000));
}

/* What every document begins with, also that of a test that failed. */
static int put_ourselves(json_t *o, json_t *connected, struct err *e)
{
	struct utsname name = { 0 };
	char system[400];

	uname(&name);
	snprintf(system, sizeof(system), "%s %s %s", name.sysname, name.release, name.machine);
	return put(o, "connected", connected, e) < 0 ||
			       put(o, "version", json_pack("s+", "mpbench ", version_text()), e) <
				       0 ||
			       put(o, "system_info", json_outside_text(system), e) < 0
		       ? -1
		       : 0;
}

static json_t *start_json(const struct iperf_cell *c, const struct iperf_report *r, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	const struct url *u = c->target->url;

	if (put_ourselves(o, connected_json(r, e), e) < 0 ||
	    put(o, "timestamp", timestamp_json(r->wall_s), e) < 0 ||
	    put(o, "connecting_to",
		json_pack("{s:o, s:i}", "host",
			  json_outside_text(u->host && *u->host ? u->host : "127.0.0.1"), "port",
			  addr_port(&c->target->address)),
		e) < 0 ||
	    put(o, "cookie", json_string((const char *)r->cookie), e) < 0 ||
	    (!c->plan.client.work.udp && put(o, "tcp_mss_default", json_integer(r->mss), e) < 0) ||
	    put(o, "target_bitrate", json_u64(c->plan.client.work.rate), e) < 0 ||
	    put(o, "fq_rate", json_u64(c->plan.client.params.fqrate), e) < 0 ||
	    put(o, "sock_bufsize", json_u64(c->plan.client.params.window), e) < 0 ||
	    put(o, "sndbuf_actual", json_u64(r->sndbuf), e) < 0 ||
	    put(o, "rcvbuf_actual", json_u64(r->rcvbuf), e) < 0 ||
	    put(o, "test_start", test_start_json(c), e) < 0)
		return NULL;
	return TAKE(o);
}

static double percent(double part, double all)
{
	return all > 0 ? 100 * part / all : 0;
}

/* Who sends knows only how many. */
static int put_interval_datagrams(json_t *o, const struct iperf_row *w, bool sends, struct err *e)
{
	if (put(o, "packets", json_u64(w->packets), e) < 0)
		return -1;
	if (sends)
		return 0;
	return put(o, "jitter_ms", json_number((double)w->jitter_ns / 1e6), e) < 0 ||
			       put(o, "lost_packets", json_u64(w->lost), e) < 0 ||
			       put(o, "lost_percent",
				   json_number(percent((double)w->lost, (double)w->packets)), e) < 0
		       ? -1
		       : 0;
}

static json_t *row_json(const struct iperf_cell *c, const struct iperf_stream_shown *s,
			const struct iperf_row *w, struct err *e)
{
	double seconds = w->end_s - w->start_s;
	CLEANUP(json_decref)
	json_t *o =
		json_pack("{s:i, s:f, s:f, s:f, s:I, s:f}", "socket", s->fd, "start", w->start_s,
			  "end", w->end_s, "seconds", seconds, "bytes", (json_int_t)w->bytes,
			  "bits_per_second", seconds > 0 ? (double)w->bytes * 8 / seconds : 0);

	if (w->retransmits >= 0 && put(o, "retransmits", json_integer(w->retransmits), e) < 0)
		return NULL;
	if (s->sends && !c->plan.client.work.udp &&
	    (put(o, "snd_cwnd", json_u64(w->cwnd_bytes), e) < 0 ||
	     put(o, "snd_wnd", json_u64(w->snd_wnd), e) < 0 ||
	     put(o, "rtt", json_u64(w->rtt_ns / 1000), e) < 0 ||
	     put(o, "rttvar", json_u64(w->rttvar_ns / 1000), e) < 0 ||
	     put(o, "pmtu", json_u64(w->pmtu), e) < 0 ||
	     put(o, "reorder", json_u64(w->reorder), e) < 0))
		return NULL;
	if (c->plan.client.work.udp && put_interval_datagrams(o, w, s->sends, e) < 0)
		return NULL;
	if (put(o, "omitted", json_boolean(w->omitted), e) < 0 ||
	    put(o, "sender", json_boolean(s->sends), e) < 0)
		return NULL;
	return TAKE(o);
}

/* The streams of one direction together; NULL when there are none, or memory is short. */
static json_t *sum_json(const struct iperf_cell *c, const struct iperf_report *r,
			const struct iperf_row *rows, unsigned n, bool sends)
{
	struct iperf_row sum = { 0 };
	unsigned counted = 0;
	bool known = false;
	double seconds = rows[0].end_s - rows[0].start_s;
	CLEANUP(json_decref) json_t *o = NULL;
	struct err ignored;

	for (unsigned i = 0; i < n; i++) {
		if (rows[i].stream >= r->n_streams || r->stream[rows[i].stream].sends != sends)
			continue;
		counted++;
		sum.bytes += rows[i].bytes;
		sum.packets += rows[i].packets;
		sum.lost += rows[i].lost;
		sum.jitter_ns += rows[i].jitter_ns;
		known = known || rows[i].retransmits >= 0;
		sum.retransmits += rows[i].retransmits > 0 ? rows[i].retransmits : 0;
	}
	if (!counted)
		return NULL;
	sum.jitter_ns /= counted;
	o = json_pack("{s:f, s:f, s:f, s:I, s:f, s:b, s:b}", "start", rows[0].start_s, "end",
		      rows[0].end_s, "seconds", seconds, "bytes", (json_int_t)sum.bytes,
		      "bits_per_second", seconds > 0 ? (double)sum.bytes * 8 / seconds : 0,
		      "omitted", (int)rows[0].omitted, "sender", (int)sends);
	if (!o || (known && put(o, "retransmits", json_integer(sum.retransmits), &ignored) < 0) ||
	    (c->plan.client.work.udp && put_interval_datagrams(o, &sum, sends, &ignored) < 0))
		return NULL;
	return TAKE(o);
}

static json_t *interval_json(const struct iperf_cell *c, const struct iperf_report *r,
			     const struct iperf_row *rows, unsigned n, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	CLEANUP(json_decref) json_t *list = json_array();
	json_t *up = sum_json(c, r, rows, n, true), *down = sum_json(c, r, rows, n, false);

	for (unsigned i = 0; i < n; i++) {
		if (rows[i].stream < r->n_streams &&
		    json_push(list, row_json(c, &r->stream[rows[i].stream], &rows[i], e), e) < 0) {
			json_decref(up);
			json_decref(down);
			return NULL;
		}
	}
	if (!up) {
		up = down;
		down = NULL;
	}
	if (put(o, "streams", TAKE(list), e) < 0 || put(o, "sum", up, e) < 0) {
		json_decref(down);
		return NULL;
	}
	if (down && put(o, "sum_bidir_reverse", down, e) < 0)
		return NULL;
	return TAKE(o);
}

static json_t *intervals_json(const struct iperf_cell *c, const struct iperf_report *r,
			      struct err *e)
{
	CLEANUP(json_decref) json_t *list = json_array();

	for (size_t i = 0; r->n_streams && i + r->n_streams <= r->n_rows; i += r->n_streams)
		if (json_push(list, interval_json(c, r, &r->row[i], r->n_streams, e), e) < 0)
			return NULL;
	return TAKE(list);
}

static json_t *flow_part(double seconds, uint64_t bytes, int64_t retransmits, bool sender)
{
	json_t *o = json_pack("{s:i, s:f, s:f, s:I, s:f, s:b}", "start", 0, "end", seconds,
			      "seconds", seconds, "bytes", (json_int_t)bytes, "bits_per_second",
			      seconds > 0 ? (double)bytes * 8 / seconds : 0, "sender", (int)sender);

	if (o && retransmits >= 0)
		json_object_set_new(o, "retransmits", json_integer(retransmits));
	return o;
}

/* Of UDP: jitter and loss. */
static int put_datagrams(json_t *o, double jitter_ns, int64_t lost, int64_t packets, struct err *e)
{
	lost = lost > 0 ? lost : 0;
	packets = packets > 0 ? packets : 0;
	return put(o, "jitter_ms", json_number(jitter_ns / 1e6), e) < 0 ||
			       put(o, "lost_packets", json_integer(lost), e) < 0 ||
			       put(o, "packets", json_integer(packets), e) < 0 ||
			       put(o, "lost_percent",
				   json_number(percent((double)lost, (double)packets)), e) < 0
		       ? -1
		       : 0;
}

/* One UDP stream, told by its receiver; what was sent and did not come was lost, wherever it is known. */
static json_t *udp_stream_json(const struct iperf_report *r, unsigned i,
			       const struct iperf3_stream_result *from,
			       const struct iperf3_stream_result *to, struct err *e)
{
	const struct iperf3_stream_result *known = to ? to : from;
	int64_t sent = from->packets - (from->has_omitted ? from->omitted_packets : 0);
	int64_t lost = to && to->has_exact ? sent - to->unique : known->errors;
	int64_t unordered = to && to->has_exact ? to->reordered : 0;
	CLEANUP(json_decref)
	json_t *o = flow_part(known->end_s, known->bytes, -1, r->stream[i].sends);

	if (put(o, "socket", json_integer(r->stream[i].fd), e) < 0 ||
	    put_datagrams(o, known->jitter_s * 1e9, lost, sent, e) < 0 ||
	    put(o, "out_of_order", json_integer(unordered), e) < 0)
		return NULL;
	return TAKE(o);
}

/* Extremes over the intervals of a stream; zeros for one that the peer sends. */
static int put_extremes(json_t *o, const struct iperf_report *r, unsigned i, struct err *e)
{
	uint64_t cwnd = 0, wnd = 0, most = 0, least = UINT64_MAX, sum = 0, n = 0;

	for (size_t k = 0; k < r->n_rows; k++) {
		const struct iperf_row *w = &r->row[k];

		if (w->stream != i || w->omitted || !r->stream[i].sends)
			continue;
		cwnd = w->cwnd_bytes > cwnd ? w->cwnd_bytes : cwnd;
		wnd = w->snd_wnd > wnd ? w->snd_wnd : wnd;
		most = w->rtt_ns > most ? w->rtt_ns : most;
		least = w->rtt_ns < least ? w->rtt_ns : least;
		sum += w->rtt_ns;
		n++;
	}
	if (put(o, "max_snd_cwnd", json_u64(cwnd), e) < 0 ||
	    put(o, "max_snd_wnd", json_u64(wnd), e) < 0 ||
	    put(o, "max_rtt", json_u64(most / 1000), e) < 0 ||
	    put(o, "min_rtt", json_u64(n ? least / 1000 : 0), e) < 0 ||
	    put(o, "mean_rtt", json_u64(n ? sum / n / 1000 : 0), e) < 0)
		return -1;
	return 0;
}

/* One end of a TCP stream; `i` is its index. */
static int put_end(json_t *o, const char *key, const struct iperf3_stream_result *x,
		   const struct iperf_report *r, unsigned i, bool sender, struct err *e)
{
	bool ours = r->stream[i].sends;
	CLEANUP(json_decref)
	json_t *part = flow_part(x->end_s, x->bytes, sender ? x->retransmits : -1, ours);

	if (put(part, "socket", json_integer(r->stream[i].fd), e) < 0 ||
	    (sender && put_extremes(part, r, i, e) < 0))
		return -1;
	return put(o, key, TAKE(part), e);
}

static json_t *end_stream_json(const struct iperf_cell *c, const struct iperf_report *r, unsigned i,
			       struct err *e)
{
	const struct iperf3_stream_result *ours = &r->ours.stream[i];
	const struct iperf3_stream_result *theirs = iperf3_results_find(&r->theirs, ours->id);
	const struct iperf3_stream_result *from = r->stream[i].sends ? ours : theirs;
	const struct iperf3_stream_result *to = r->stream[i].sends ? theirs : ours;
	CLEANUP(json_decref) json_t *o = json_object();

	if (c->plan.client.work.udp)
		return put(o, "udp", from ? udp_stream_json(r, i, from, to, e) : json_object(), e) <
				       0
			       ? NULL
			       : TAKE(o);
	if ((from && put_end(o, "sender", from, r, i, true, e) < 0) ||
	    (to && put_end(o, "receiver", to, r, i, false, e) < 0))
		return NULL;
	return TAKE(o);
}

/* What one direction came to: of TCP what was sent and received; of UDP with losses, and both in one. */
static int put_flow(json_t *o, const struct iperf_flow *f, bool up, const char *const names[3],
		    bool udp, struct err *e)
{
	CLEANUP(json_decref)
	json_t *sent = flow_part(f->sent_s, f->sent_bytes, f->retransmits, udp || up);
	CLEANUP(json_decref)
	json_t *got = flow_part(f->received_s, f->received_bytes, -1, !udp && up);

	if (udp) {
		CLEANUP(json_decref)
		json_t *sum = flow_part(f->received_s, f->received_bytes, -1, up);

		if (put_datagrams(sum, f->jitter_ns, f->lost, f->packets, e) < 0 ||
		    put_datagrams(sent, 0, 0, f->packets, e) < 0 ||
		    put_datagrams(got, f->jitter_ns, f->lost, f->packets, e) < 0 ||
		    put(o, names[0], TAKE(sum), e) < 0)
			return -1;
	}
	return put(o, names[1], TAKE(sent), e) < 0 || put(o, names[2], TAKE(got), e) < 0 ? -1 : 0;
}

static int put_sums(json_t *o, const struct iperf_cell *c, const struct iperf_report *r,
		    struct err *e)
{
	static const char *const names[2][3] = {
		{ "sum", "sum_sent", "sum_received" },
		{ "sum_bidir_reverse", "sum_sent_bidir_reverse", "sum_received_bidir_reverse" },
	};

	for (int k = 0; k < 2; k++)
		if (r->flow[k].used &&
		    put_flow(o, &r->flow[k], k == IPERF_UP, names[k == 1 && r->flow[0].used],
			     c->plan.client.work.udp, e) < 0)
			return -1;
	return 0;
}

static json_t *end_json(const struct iperf_cell *c, const struct iperf_report *r, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	CLEANUP(json_decref) json_t *list = json_array();
	const struct iperf3_results *a = &r->ours, *b = &r->theirs;
	bool up = r->flow[IPERF_UP].used;

	for (unsigned i = 0; i < r->n_streams && i < a->n; i++)
		if (json_push(list, end_stream_json(c, r, i, e), e) < 0)
			return NULL;
	if (put(o, "streams", TAKE(list), e) < 0 || put_sums(o, c, r, e) < 0 ||
	    put(o, "cpu_utilization_percent",
		json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "host_total", a->cpu_total, "host_user",
			  a->cpu_user, "host_system", a->cpu_system, "remote_total", b->cpu_total,
			  "remote_user", b->cpu_user, "remote_system", b->cpu_system),
		e) < 0)
		return NULL;
	if (!c->plan.client.work.udp &&
	    (put(o, "sender_tcp_congestion", json_outside_text(up ? a->congestion : b->congestion),
		 e) < 0 ||
	     put(o, "receiver_tcp_congestion",
		 json_outside_text(up ? b->congestion : a->congestion), e) < 0))
		return NULL;
	return TAKE(o);
}

static json_t *document_json(const struct iperf_cell *c, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	const struct iperf_report *r = &c->last;

	if (put(o, "start", start_json(c, r, e), e) < 0 ||
	    put(o, "intervals", intervals_json(c, r, e), e) < 0 ||
	    put(o, "end", end_json(c, r, e), e) < 0)
		return NULL;
	if (c->plan.client.params.title[0] &&
	    put(o, "title", json_outside_text(c->plan.client.params.title), e) < 0)
		return NULL;
	if (c->plan.client.params.extra_data[0] &&
	    put(o, "extra_data", json_outside_text(c->plan.client.params.extra_data), e) < 0)
		return NULL;
	/* 3.12's server goes on to send it to clients that did not ask */
	if (c->plan.client.params.get_server_output && r->theirs.server_output &&
	    put(o, r->theirs.output_is_json ? "server_output_json" : "server_output_text",
		r->theirs.output_is_json
			? json_loads(r->theirs.server_output, JSON_DECODE_ANY, NULL)
			: json_outside_text(r->theirs.server_output),
		e) < 0)
		return NULL;
	return TAKE(o);
}

static json_t *failure_json(const struct err *failure, struct err *e)
{
	CLEANUP(json_decref) json_t *start = json_object();

	if (put_ourselves(start, json_array(), e) < 0)
		return NULL;
	return json_pack("{s:o, s:[], s:{}, s:o}", "start", TAKE(start), "intervals", "end",
			 "error", json_outside_text(failure->msg));
}

int iperf_json_print(const struct iperf_cell *cell, const struct err *failure, struct err *e)
{
	CLEANUP(json_decref)
	json_t *o = cell && cell->has_last ? document_json(cell, e) : failure_json(failure, e);
	CLEANUP_FREE char *text = NULL;

	if (!o)
		return e->kind ? -1 : err_nomem(e);
	text = json_dumps(o, JSON_INDENT(4));
	if (!text)
		return err_nomem(e);
	puts(text);
	return 0;
}

/* One line, flushed, so that a reader at the other end of a pipe sees it at once. */
static void print_event(const char *name, json_t *data)
{
	CLEANUP(json_decref)
	json_t *o = data ? json_pack("{s:s, s:o}", "event", name, "data", data) : NULL;
	CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (!text)
		return;
	puts(text);
	fflush(stdout);
}

void iperf_json_stream_start(void *ctx, const struct iperf_report *r)
{
	struct err e = { 0 };

	struct iperf_cell *c = ctx;

	c->live = r;
	print_event("start", start_json(c, r, &e));
}

void iperf_json_stream_interval(void *ctx, const struct iperf_row *rows, unsigned n)
{
	struct iperf_cell *c = ctx;
	struct err e = { 0 };

	if (c->live)
		print_event("interval", interval_json(c, c->live, rows, n, &e));
}

void iperf_json_stream_end(const struct iperf_cell *cell)
{
	const struct iperf3_results *peer = &cell->last.theirs;
	struct err e = { 0 };

	if (cell->plan.client.params.get_server_output && peer->server_output)
		print_event(peer->output_is_json ? "server_output_json" : "server_output_text",
			    peer->output_is_json
				    ? json_loads(peer->server_output, JSON_DECODE_ANY, NULL)
				    : json_outside_text(peer->server_output));
	print_event("end", end_json(cell, &cell->last, &e));
}

void iperf_json_stream_error(const struct err *failure)
{
	print_event("error", json_outside_text(failure->msg));
}
