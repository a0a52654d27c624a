/* The server half of mpbench iperf: options in, lines or documents out. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/stop.h"
#include "iperf-opts.h"
#include "peer/iperf-server.h"

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

static void print_test(void *ctx, const struct iperf_server_event *ev)
{
	char client[80];

	(void)ctx;
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

static void print_json(void *ctx, const struct iperf_server_event *ev)
{
	CLEANUP(buf_done) struct buf ours = BUF_INIT;
	CLEANUP(buf_done) struct buf params = BUF_INIT;
	struct err ignored;
	char client[80];

	(void)ctx;
	if ((ev->params && iperf3_params_encode(ev->params, &params, &ignored) < 0) ||
	    (ev->ours && iperf3_results_encode(ev->ours, &ours, &ignored) < 0))
		return;
	printf("{\"client\":\"%s\",\"complete\":%s,\"code\":\"%s\",\"parameters\":%s,\"results\":%s}\n",
	       addr_format(ev->client, client), ev->failure ? "false" : "true",
	       ev->failure ? ev->failure->code : "", params.len ? buf_text(&params) : "null",
	       ours.len ? buf_text(&ours) : "null");
	fflush(stdout);
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
		.stop_fd = stop_fd(),
		.ended = o->common.quiet  ? NULL
			 : o->common.json ? print_json
					  : print_test,
	};
	CLEANUP(iperf_server_free) struct iperf_server *s = NULL;

	if (iperf_server_open(&s, &p, e) < 0 || tell_ready(o, s, e) < 0)
		return -1;
	return iperf_server_run(s, e);
}
