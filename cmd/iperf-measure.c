/* The client half of mpbench iperf: cases in, document, table and words out. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "iperf-cases.h"
#include "iperf-json.h"

static void say_latency(const double m[IPERF_M_COUNT], struct buf *out)
{
	char idle[NUM_TEXT_MAX], loaded[NUM_TEXT_MAX], rpm[NUM_TEXT_MAX];

	if (isnan(m[IPERF_M_RPM]) || isnan(m[IPERF_M_RPM_IDLE]))
		return;
	buf_addf(out, "    round trip %s idle, %s under load (%s round trips a minute)\n",
		 num_format_ns(idle, 60e9 / m[IPERF_M_RPM_IDLE]),
		 num_format_ns(loaded, 60e9 / m[IPERF_M_RPM]),
		 num_format_count(rpm, m[IPERF_M_RPM]));
}

static void say_losses(const double m[IPERF_M_COUNT], struct buf *out)
{
	char jitter[NUM_TEXT_MAX];

	if (isnan(m[IPERF_M_LOSS]))
		return;
	buf_addf(out, "    lost %.3g %% (%.0f datagrams)", 100 * m[IPERF_M_LOSS], m[IPERF_M_LOST]);
	if (!isnan(m[IPERF_M_DUPLICATES]))
		buf_addf(out, ", %.0f twice, %.0f out of order", m[IPERF_M_DUPLICATES],
			 m[IPERF_M_REORDERED]);
	if (!isnan(m[IPERF_M_JITTER]))
		buf_addf(out, ", jitter %s", num_format_ns(jitter, m[IPERF_M_JITTER]));
	buf_addc(out, '\n');
}

static void say_cpu(const double m[IPERF_M_COUNT], struct buf *out)
{
	if (isnan(m[IPERF_M_CLIENT_CPU]))
		return;
	buf_addf(out, "    CPU %.3g s/GB here", m[IPERF_M_CLIENT_CPU] / 1e9);
	if (!isnan(m[IPERF_M_PEER_CPU]))
		buf_addf(out, ", %.3g s/GB there", m[IPERF_M_PEER_CPU] / 1e9);
	if (!isnan(m[IPERF_M_RETRANSMITS]))
		buf_addf(out, "; %.0f retransmits", m[IPERF_M_RETRANSMITS]);
	if (!isnan(m[IPERF_M_PACING]))
		buf_addf(out, "; %.2g %% off the rate asked for", 100 * m[IPERF_M_PACING]);
	buf_addc(out, '\n');
}

void iperf_metrics_say(const struct iperf_cases *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_cases; i++) {
		const struct iperf_cell *cell = &c->cell[i];

		if (!cell->has_last)
			continue;
		buf_addf(out, "\n%s, %zu bytes\n", cell->target->target->label, cell->len);
		say_latency(cell->median, out);
		say_losses(cell->median, out);
		say_cpu(cell->median, out);
	}
}

static int print_after(const struct iperf_cases *c, struct err *e)
{
	const struct common_opts *o = &c->opts->common;
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	if (o->json || o->quiet || (o->output && strcmp(o->output, "-") == 0))
		return 0;
	iperf_metrics_say(c, &out);
	if (out.failed)
		return err_nomem(e);
	fputs(buf_text(&out), stdout);
	return 0;
}

static pid_t builtin_server(void *ctx, size_t i)
{
	const struct iperf_cases *c = ctx;

	return c->target[i].is_builtin ? c->target[i].child.pid : 0;
}

/* With iperf3's own output, nothing else goes to stdout. */
static int go(const struct bench *b, struct iperf_cases *c, const struct iperf_opts *o,
	      struct err *e)
{
	struct err lost = { 0 };
	int rc = bench_go(b, e);

	if (!o->iperf3_json && (rc >= 0 || e->kind == ERR_TARGET) && print_after(c, &lost) < 0) {
		*e = lost;
		return -1;
	}
	if (!o->iperf3_json)
		return rc;
	if (iperf_json_print(&c->cell[c->n_cases - 1], e, &lost) < 0) {
		*e = lost;
		return -1;
	}
	return rc;
}

int iperf_measure(const struct cmd *cmd, char **argv, struct iperf_opts *o,
		  const char *const *operands, size_t n, struct err *e)
{
	CLEANUP(common_done) struct common common = { 0 };
	CLEANUP(iperf_cases_done) struct iperf_cases c = { 0 };
	struct bench_target shown[IPERF_TARGETS_MAX];
	struct engine_probe probe;
	struct bench b = { .cmd = cmd, .argv = argv, .options = o, .plan = &o->plan };

	if (o->iperf3_json || o->json_stream)
		o->common.quiet = true;
	if (common_init(&common, &o->common, cmd->name, e) < 0 ||
	    iperf_cases_make(&c, o, &common, operands, n, e) < 0)
		return -1;
	for (size_t i = 0; i < c.n_targets; i++)
		shown[i] = (struct bench_target){ .target = &c.parsed[i] };
	probe = iperf_cases_probe(&c);
	b.common = &common;
	b.targets = shown;
	b.n_targets = c.n_targets;
	b.started = c.parsed;
	b.n_started = c.n_targets;
	b.cases = c.cases;
	b.n_cases = c.n_cases;
	b.probes = &probe;
	b.n_probes = 1;
	b.syscalls = &o->syscalls;
	b.ctx = &c;
	b.derive = iperf_metrics_derive;
	b.extend = iperf_metrics_extend;
	b.identity = iperf_metrics_identity;
	b.server = builtin_server;
	return go(&b, &c, o, e);
}
