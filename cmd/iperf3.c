/* mpbench iperf3 - iperf's tests under iperf3's own command line. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "iperf-opts.h"
#include "iperf3-words.h"
#include "proto/iperf3.h"

/* What only this spelling has; `o` is what both share. */
struct iperf3_opts {
	struct iperf_opts o;
	const char *client, *format, *debug, *timestamps;
	const char *tos, *dscp, *flow_label, *rate_limit;
	const char *pidfile, *logfile, *refused, *xbind;
	uint32_t connect_timeout_ms, pacing_timer_us, rcv_timeout_ms, nstreams;
	bool version, verbose, forceflush, daemon, zerocopy, iperf3_json, sctp;
	uint64_t interval_ns, length;
	uint32_t idle_s;
};

static const struct iperf3_opts defaults = {
	.interval_ns = NS_PER_SEC,
	.o = { .port = IPERF3_PORT, .parallel = 1, .time_ns = 10 * NS_PER_SEC },
};

#define IN struct iperf3_opts
/* clang-format off */
/* Groups of rows of the same struct: named only, where --help would be too long. */
#define OWN_GROUP(rows) { .type = OPT_GROUP_, .child = (rows) }

static const struct opt server_opts[] = {
	OPT_TITLE("Server"),
	OPT_FLAG_ROW('s', "server", OPT_WHAT, IN, o.server, "serve, on all addresses"),
	OPT_FLAG_ROW('1', "one-off", OPT_HOW, IN, o.one_off, "end after one client"),
	OPT_U32_ROW(0, "idle-timeout", OPT_HOW, IN, idle_s, "SECONDS", "end a test in which nothing moves", .max = 86400),
	OPT_STRING_ROW(0, "server-bitrate-limit", OPT_HOW, IN, rate_limit, "RATE", "refuse clients that ask for more"),
	OPT_FLAG_ROW('D', "daemon", OPT_HOW, IN, daemon, "serve in the background"),
	OPT_END,
};

static const struct opt more_opts[] = {
	OPT_TITLE("Client, more"),
	OPT_U32_ROW(0, "connect-timeout", OPT_HOW, IN, connect_timeout_ms, "MS", "longest wait for a connection", .max = 3600000),
	OPT_STRING_ROW(0, "bandwidth", OPT_WHAT, IN, o.bandwidth, "RATE[/BURST]", "the same", .hidden = true),
	OPT_U32_ROW(0, "pacing-timer", OPT_HOW, IN, pacing_timer_us, "US", "accepted; sends are timed one by one"),
	OPT_RATE_ROW(0, "fq-rate", OPT_WHAT, IN, o.fq_rate, "RATE", "pacing by the kernel"),
	OPT_SIZE_ROW('k', "blockcount", OPT_WHAT, IN, o.blocks, "N", "exactly so many blocks"),
	OPT_U32_ROW(0, "cport", OPT_WHAT, IN, o.cport, "PORT", "our port of the first stream", .max = 65535),
	OPT_SIZE_ROW('w', "window", OPT_WHAT, IN, o.window, "SIZE", "socket buffers", .max = 512 << 20),
	OPT_STRING_ROW('C', "congestion", OPT_WHAT, IN, o.congestion, "NAME", "congestion control"),
	OPT_U32_ROW('M', "set-mss", OPT_WHAT, IN, o.mss, "BYTES", "segment size", .max = 9216),
	OPT_FLAG_ROW('N', "no-delay", OPT_WHAT, IN, o.nodelay, "no Nagle"),
	OPT_FLAG_ROW('4', "version4", OPT_WHAT, IN, o.ipv4, "IPv4 only"),
	OPT_FLAG_ROW('6', "version6", OPT_WHAT, IN, o.ipv6, "IPv6 only"),
	OPT_STRING_ROW('S', "tos", OPT_WHAT, IN, tos, "N", "type of service (52, 064, 0x34)"),
	OPT_STRING_ROW(0, "dscp", OPT_WHAT, IN, dscp, "N", "differentiated services code point: 0 to 63, cs0, af11, ef ..."),
	OPT_STRING_ROW('L', "flowlabel", OPT_WHAT, IN, flow_label, "N", "flow label of IPv6"),
	OPT_STRING_ROW(0, "bind-dev", OPT_WHAT, IN, o.device, "DEVICE", "send through this device"),
	OPT_U32_ROW(0, "snd-timeout", OPT_HOW, IN, o.user_timeout_ms, "MS", "longest wait for an acknowledgement"),
	OPT_FLAG_ROW('Z', "zerocopy", OPT_WHAT, IN, zerocopy, "send page references"),
	OPT_FLAG_ROW(0, "skip-rx-copy", OPT_WHAT, IN, o.skip_rx_copy, "receive without copying"),
	OPT_STRING_ROW('T', "title", OPT_OUT, IN, o.title, "TEXT", "stands in the JSON"),
	OPT_STRING_ROW(0, "extra-data", OPT_OUT, IN, o.extra_data, "TEXT", "goes to the server"),
	OPT_FLAG_ROW(0, "get-server-output", OPT_OUT, IN, o.get_server_output, "keep what the server prints"),
	OPT_FLAG_ROW(0, "udp-counters-64bit", OPT_WHAT, IN, o.wide, "64-bit datagram numbers"),
	OPT_FLAG_ROW(0, "repeating-payload", OPT_WHAT, IN, o.repeating, "digits instead of random bytes"),
	OPT_FLAG_ROW(0, "dont-fragment", OPT_WHAT, IN, o.dont_fragment, "set DF on IPv4"),
	OPT_END,
};

static const struct opt rest_opts[] = {
	OPT_TITLE("Client or server, more"),
	OPT_STRING_ROW('I', "pidfile", OPT_OUT, IN, pidfile, "FILE", "write the process number there"),
	OPT_STRING_ROW(0, "logfile", OPT_OUT, IN, logfile, "FILE", "print there instead"),
	OPT_STRING_ROW(0, "timestamps", OPT_OUT, IN, timestamps, "FORMAT", "accepted; the JSON has times", .optional_value = "%c "),
	OPT_U32_ROW(0, "rcv-timeout", OPT_HOW, IN, rcv_timeout_ms, "MS", "of a server: end a test in which nothing moves"),
	OPT_FLAG_ROW(0, "sctp", OPT_WHAT, IN, sctp, "refused: not spoken here", .hidden = true),
	OPT_STRING_ROW('X', "xbind", OPT_WHAT, IN, xbind, "NAME", "refused likewise", .hidden = true),
	OPT_U32_ROW(0, "nstreams", OPT_WHAT, IN, nstreams, "N", "refused likewise", .hidden = true),
	OPT_STRING_ROW(0, "username", OPT_WHAT, IN, refused, "NAME", "refused: no authentication", .hidden = true),
	OPT_STRING_ROW(0, "rsa-public-key-path", OPT_WHAT, IN, refused, "FILE", "refused likewise", .hidden = true),
	OPT_STRING_ROW(0, "rsa-private-key-path", OPT_WHAT, IN, refused, "FILE", "refused likewise", .hidden = true),
	OPT_STRING_ROW(0, "authorized-users-path", OPT_WHAT, IN, refused, "FILE", "refused likewise", .hidden = true),
	OPT_STRING_ROW(0, "time-skew-threshold", OPT_WHAT, IN, refused, "SECONDS", "refused likewise", .hidden = true),
	OPT_END,
};

static const struct opt table[] = {
	OPT_TITLE("Client"),
	OPT_STRING_ROW('c', "client", OPT_WHAT, IN, client, "HOST", "connect to this server"),
	OPT_FLAG_ROW('u', "udp", OPT_WHAT, IN, o.udp, "UDP instead of TCP"),
	OPT_STRING_ROW('b', "bitrate", OPT_WHAT, IN, o.bandwidth, "RATE[/BURST]", "bits per second and stream (UDP 1M); 0: unlimited"),
	OPT_DURATION_ROW('t', "time", OPT_HOW, IN, o.time_ns, "SECONDS", "of the test; 0: until interrupted", .max = UINT64_C(86400000000000), .given = OPT_GIVEN(IN, o.has_time)),
	OPT_SIZE_ROW('n', "bytes", OPT_WHAT, IN, o.bytes, "SIZE", "exactly so many"),
	OPT_SIZE_ROW('l', "length", OPT_WHAT, IN, length, "SIZE", "block or datagram (128K, UDP 1460)", .max = IPERF3_LEN_MAX),
	OPT_U32_ROW('P', "parallel", OPT_WHAT, IN, o.parallel, "N", "streams", .min = 1, .max = IPERF3_STREAMS_MAX),
	OPT_FLAG_ROW('R', "reverse", OPT_WHAT, IN, o.reverse, "the server sends"),
	OPT_FLAG_ROW(0, "bidir", OPT_WHAT, IN, o.bidir, "both send"),
	OPT_DURATION_ROW('O', "omit", OPT_WHAT, IN, o.omit_ns, "SECONDS", "do not count the beginning", .max = UINT64_C(600000000000)),
	OPT_TITLE("Client or server"),
	OPT_U32_ROW('p', "port", OPT_WHAT, IN, o.port, "PORT", "to connect to, or to listen on", .max = 65535),
	OPT_STRING_ROW('B', "bind", OPT_WHAT, IN, o.bind, "HOST", "our address"),
	OPT_DURATION_ROW('i', "interval", OPT_HOW, IN, interval_ns, "SECONDS", "between reports", .max = UINT64_C(60000000000)),
	OPT_STRING_ROW('A', "affinity", OPT_WHAT, IN, o.affinity, "CPU[,CPU]", "of our streams, and of the server's"),
	OPT_FLAG_ROW('J', "json", OPT_OUT, IN, iperf3_json, "print JSON as iperf3 does"),
	OPT_FLAG_ROW(0, "json-stream", OPT_OUT, IN, o.json_stream, "print start, intervals and end as JSON lines"),
	OPT_STRING_ROW('F', "file", OPT_WHAT, IN, o.file, "FILE", "send it, or write it where we receive (TCP)"),
	OPT_STRING_ROW('f', "format", OPT_OUT, IN, format, "[kmgtKMGT]", "accepted; units are chosen"),
	OPT_FLAG_ROW('V', "verbose", OPT_OUT, IN, verbose, "say more"),
	OPT_STRING_ROW('d', "debug", OPT_OUT, IN, debug, "N", "say more still", .optional_value = "4"),
	OPT_FLAG_ROW(0, "forceflush", OPT_OUT, IN, forceflush, "accepted; every line is flushed"),
	OPT_FLAG_ROW('v', "version", OPT_OUT, IN, version, "print the version"),
	OWN_GROUP(server_opts),
	OWN_GROUP(more_opts),
	OWN_GROUP(rest_opts),
	OPT_END,
};
/* clang-format on */

/* iperf3's words in iperf's struct; what is given here and absent there keeps iperf's default. */
static void translate(struct iperf3_opts *x)
{
	struct iperf_opts *o = &x->o;

	o->plan = iperf_defaults.plan;
	o->plan.runs = 1;
	o->cpu = o->server_cpu = -1;
	o->latency = true;
	o->rcvbuf = iperf_defaults.rcvbuf;
	o->max_clients = 1;
	o->as_iperf3 = true;
	o->iperf3_json = x->iperf3_json && !o->server;
	o->common.json = x->iperf3_json && o->server;
	o->common.verbose = x->debug ? 2 : x->verbose ? 1 : 0;
	o->zerocopy = x->zerocopy ? "auto" : NULL;
	o->idle_timeout_ns = x->idle_s		 ? x->idle_s * NS_PER_SEC
			     : x->rcv_timeout_ms ? x->rcv_timeout_ms * NS_PER_MS
						 : iperf_defaults.idle_timeout_ns;
	o->connect_timeout_ns = x->connect_timeout_ms ? x->connect_timeout_ms * NS_PER_MS
						      : iperf_defaults.connect_timeout_ns;
	o->interval_ns = x->interval_ns ? x->interval_ns : 3600 * NS_PER_SEC;
	o->endless = o->has_time && o->time_ns == 0;
	if (x->length) {
		o->has_lengths = true;
		o->lengths.n = 1;
		o->lengths.v[0] = x->length;
	}
}

extern const struct cmd cmd_iperf3;

static int connect_to(struct iperf3_opts *x, char **argv, struct err *e)
{
	char url[300];
	const char *operand = url;
	bool bare6 = strchr(x->client, ':') && x->client[0] != '[';

	snprintf(url, sizeof(url), "iperf3://%s%s%s:%u", bare6 ? "[" : "", x->client,
		 bare6 ? "]" : "", x->o.port);
	return iperf_measure(&cmd_iperf3, argv, &x->o, &operand, 1, e);
}

/* What rows cannot parse. */
static int read_words(struct iperf3_opts *x, struct err *e)
{
	if ((x->tos && iperf3_number("--tos", x->tos, 255, &x->o.tos, e) < 0) ||
	    (x->dscp && iperf3_dscp(x->dscp, &x->o.tos, e) < 0) ||
	    (x->flow_label &&
	     iperf3_number("--flowlabel", x->flow_label, 0xfffff, &x->o.flow_label, e) < 0))
		return -1;
	return x->rate_limit ? iperf3_rate_limit(x->rate_limit, &x->o.rate_limit, e) : 0;
}

static int check(const struct iperf3_opts *x, struct err *e)
{
	if (x->refused)
		return err_set(e, ERR_USAGE, "usage",
			       "authentication (RSA) is not spoken here: leave out --username and "
			       "the options for keys and users");
	if (x->sctp || x->xbind || x->nstreams)
		return err_set(e, ERR_USAGE, "usage", "SCTP is not spoken here: TCP and UDP are");
	if ((x->client != NULL) == x->o.server)
		return err_set(e, ERR_USAGE, "usage",
			       "either -c HOST (client) or -s (server) is needed");
	if (x->daemon && !x->o.server)
		return err_set(e, ERR_USAGE, "usage", "-D is for a server");
	if (x->o.device && x->o.server)
		return err_set(e, ERR_USAGE, "usage",
			       "--bind-dev is for a client: a server has -B");
	return x->o.file && x->o.udp
		       ? err_set(e, ERR_USAGE, "usage", "-F is for TCP: datagrams are numbered")
		       : 0;
}

/* The process that goes on, its output and its number, before anything is open. */
static int settle(const struct iperf3_opts *x, struct err *e)
{
	FILE *f;

	/* relative names mean the same before and after */
	if (x->daemon && daemon(1, 0) < 0)
		return err_sys(e, ERR_MACHINE, "-D");
	if (x->logfile && !freopen(x->logfile, "ae", stdout))
		return err_sys(e, ERR_USAGE, "--logfile %s", x->logfile);
	if (!x->pidfile)
		return 0;
	f = fopen(x->pidfile, "we");
	if (!f)
		return err_sys(e, ERR_USAGE, "-I %s", x->pidfile);
	fprintf(f, "%d\n", (int)getpid());
	return fclose(f) == 0 ? 0 : err_sys(e, ERR_USAGE, "-I %s", x->pidfile);
}

static int run(int argc, char **argv, struct err *e)
{
	struct iperf3_opts x = defaults;
	const char *operands[1];
	size_t n = 0;
	int rc = cmd_parse(&cmd_iperf3, argc, argv, &x, operands, 0, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (x.version) {
		printf("mpbench %s, iperf3 protocol\n", version_text());
		return 0;
	}
	if (check(&x, e) < 0 || read_words(&x, e) < 0)
		return -1;
	translate(&x);
	if (iperf_opts_check(&x.o, e) < 0 || settle(&x, e) < 0)
		return -1;
	rc = x.o.server ? iperf_serve(&x.o, e) : connect_to(&x, argv, e);
	if (x.pidfile)
		unlink(x.pidfile);
	return rc;
}

static const char *const examples[] = {
	"mpbench iperf3 -c 192.0.2.1 -t 10 -P 4",
	"as iperf3 does",
	"mpbench iperf3 -c 192.0.2.1 -u -b 100M -R -J",
	"its JSON",
	"mpbench iperf3 -s -1",
	"serve one client",
	NULL,
};

const struct cmd cmd_iperf3 = {
	.group = CMD_MEASURE,
	.name = "iperf3",
	.operands = "",
	.summary = "iperf under iperf3's own command line",
	.about =
		"Takes the command lines of iperf3: put mpbench before one that is known to work. Every short option means "
		"what it means there. See mpbench iperf for what else there is.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
