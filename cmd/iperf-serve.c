/* The server half of mpbench iperf: options in, lines or documents out. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/stop.h"
#include "iperf-opts.h"
#include "peer/iperf-server.h"
#include "result/emit.h"

#define STEP_TIMEOUT (10 * NS_PER_SEC)

static void print_stream(const struct iperf_server_event *ev, const struct iperf3_stream_result *r)
{
	char bytes[NUM_TEXT_MAX], rate[NUM_TEXT_MAX];

	printf("  [%3d] %8.3f s  %10s  %s", r->id, r->end_s,
	       num_format_bytes(bytes, (double)r->bytes),
	       num_format_unit(rate, r->end_s > 0 ? (double)r->bytes * 8 / r->end_s : 0,
			       "bits_per_second"));
	if (ev->params->udp && r->errors >= 0 && !ev->params->reverse)
		printf("  jitter %.3f ms  lost %" PRId64 " of %" PRId64, r->jitter_s * 1e3,
		       r->errors, r->packets);
	if (r->retransmits > 0)
		printf("  %" PRId64 " retransmits", r->retransmits);
	putchar('\n');
}

static void print_test(const struct iperf_server_event *ev)
{
	char client[80];

	printf("%s %s %s, %u streams: %s\n", addr_format(ev->client, client),
	       !ev->params	 ? "?"
	       : ev->params->udp ? "UDP"
				 : "TCP",
	       !ev->params	     ? ""
	       : ev->params->bidir   ? "both ways"
	       : ev->params->reverse ? "down"
				     : "up",
	       ev->params ? ev->params->parallel : 0, ev->failure ? ev->failure->msg : "complete");
	for (size_t i = 0; ev->params && ev->ours && i < ev->ours->n; i++)
		print_stream(ev, &ev->ours->stream[i]);
	fflush(stdout);
}

/* The JSON of one side; null where the test did not get so far, or memory is short. */
static json_t *results_json(const struct iperf3_results *r)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct err ignored;
	json_t *o = NULL;

	if (r && iperf3_results_encode(r, &text, &ignored) == 0)
		o = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
	return o ? o : json_null();
}

static json_t *params_json(const struct iperf3_params *p)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct err ignored;
	json_t *o = NULL;

	if (p && iperf3_params_encode(p, &text, &ignored) == 0)
		o = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
	return o ? o : json_null();
}

/* One line for each test, flushed: whoever reads it may wait for it. */
static void write_test(FILE *to, const struct iperf_server_event *ev)
{
	char client[80], now[32];
	CLEANUP(json_decref) json_t *o = NULL;
	CLEANUP_FREE char *text = NULL;

	clock_rfc3339(now);
	o = json_pack("{s:s, s:s, s:b, s:s, s:o, s:I, s:o, s:o, s:o}", "ended_at", now, "client",
		      addr_format(ev->client, client), "complete", ev->failure == NULL, "code",
		      ev->failure ? ev->failure->code : "", "message",
		      json_outside_text(ev->failure ? ev->failure->msg : ""), "duration_ns",
		      (json_int_t)ev->duration_ns, "parameters", params_json(ev->params), "results",
		      results_json(ev->ours), "client_results", results_json(ev->theirs));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text)
		fprintf(to, "%s\n", text);
	fflush(to);
}

/* Where tests are told. */
struct told {
	const struct common_opts *opts;
	FILE *record; /* -o; NULL: none */
};

static void tell(void *ctx, const struct iperf_server_event *ev)
{
	const struct told *t = ctx;

	if (t->record)
		write_test(t->record, ev);
	if (t->opts->quiet)
		return;
	if (t->opts->json)
		write_test(stdout, ev);
	else
		print_test(ev);
}

static int tell_ready(const struct iperf_opts *o, const struct iperf_server *s, struct err *e)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "%u\n", addr_port(iperf_server_address(s)));

	if (o->ready && write((int)o->ready_fd, text, (size_t)n) != n)
		return err_sys(e, ERR_INTERNAL, "--ready-fd");
	if (o->ready)
		close((int)o->ready_fd);
	if (!o->common.quiet && !o->common.json) {
		printf("serving iperf3 clients on %s\n",
		       addr_format(iperf_server_address(s), text));
		fflush(stdout);
	}
	return 0;
}

int iperf_serve(const struct iperf_opts *o, struct err *e)
{
	struct told told = { .opts = &o->common };
	struct iperf_server_params p = {
		.host = o->bind	       ? o->bind
			: o->as_iperf3 ? (o->ipv4 ? "0.0.0.0" : "::")
				       : NULL,
		.port = (uint16_t)o->port,
		.max_clients = o->max_clients,
		.one_off = o->one_off,
		.idle_timeout_ns = o->idle_timeout_ns,
		.step_timeout_ns = STEP_TIMEOUT,
		.rate_limit = o->rate_limit,
		.file = o->file,
		.stop_fd = stop_fd(),
		.ended = tell,
		.ctx = &told,
	};
	CLEANUP(iperf_server_free) struct iperf_server *s = NULL;
	int rc;

	if (o->common.output) {
		told.record = fopen(o->common.output, "ae");
		if (!told.record)
			return err_sys(e, ERR_USAGE, "-o %s", o->common.output);
	}
	rc = iperf_server_open(&s, &p, e) < 0 || tell_ready(o, s, e) < 0 ? -1
									 : iperf_server_run(s, e);
	/* guests that are still there tell their tests first */
	iperf_server_free(TAKE(s));
	if (told.record && fclose(told.record) != 0 && rc == 0)
		return err_sys(e, ERR_INTERNAL, "-o %s", o->common.output);
	return rc;
}
