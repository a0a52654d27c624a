/* mpbench iperf - network throughput and latency under load, against any iperf3 server; and such a server. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "iperf-opts.h"
#include "proto/iperf3.h"

enum { TARGETS_MAX = 16 };

const struct iperf_opts iperf_defaults = {
	.plan = { .runs = 10,
		  .iterations = 1,
		  .concurrency = 1,
		  .threads = 1,
		  .budget_ns = 30 * NS_PER_SEC,
		  .seed = 1,
		  .max_errors = 0.01 },
	.parallel = 1,
	.time_ns = NS_PER_SEC,
	.cpu = -1,
	.server_cpu = -1,
	.latency = true,
	.rcvbuf = UINT64_MAX,
	.connect_timeout_ns = 5 * NS_PER_SEC,
	.interval_ns = 100 * NS_PER_MS,
	.port = IPERF3_PORT,
	.max_clients = 1,
	.idle_timeout_ns = 60 * NS_PER_SEC,
};

static const char *const switches[] = { "auto", "on", "off", NULL };

/* clang-format off */
/* Groups of rows of the same struct: named only, where --help would be too long. */
#define OWN_GROUP(rows) { .type = OPT_GROUP_, .child = (rows) }

static const struct opt tcp_opts[] = {
	OPT_TITLE("TCP"),
	OPT_SIZE_ROW('w', "window", OPT_WHAT, struct iperf_opts, window, "SIZE", "socket buffers", .max = 512 << 20),
	OPT_U32_ROW('M', "mss", OPT_WHAT, struct iperf_opts, mss, "BYTES", "segment size", .max = 9216),
	OPT_STRING_ROW('C', "congestion", OPT_WHAT, struct iperf_opts, congestion, "NAME", "congestion control (cubic, bbr, ...)"),
	OPT_FLAG_ROW('N', "no-delay", OPT_WHAT, struct iperf_opts, nodelay, "no Nagle"),
	OPT_STRING_ROW('Z', "zerocopy", OPT_WHAT, struct iperf_opts, zerocopy, "HOW", "send page references: vmsplice, sendfile, or msg (MSG_ZEROCOPY, slower on loopback)", .optional_value = "auto"),
	OPT_FLAG_ROW(0, "skip-rx-copy", OPT_WHAT, struct iperf_opts, skip_rx_copy, "receive without copying (MSG_TRUNC)"),
	OPT_FLAG_ROW(0, "latency", OPT_WHAT, struct iperf_opts, latency, "tag sends to time their acknowledgement"),
	OPT_END,
};

static const struct opt udp_opts[] = {
	OPT_TITLE("UDP"),
	OPT_FLAG_ROW(0, "udp-counters-64bit", OPT_WHAT, struct iperf_opts, wide, "64-bit datagram numbers"),
	OPT_ENUM_ROW(0, "gso", OPT_WHAT, struct iperf_opts, gso, switches, "let the kernel cut datagrams"),
	OPT_ENUM_ROW(0, "gro", OPT_WHAT, struct iperf_opts, gro, switches, "let the kernel join datagrams"),
	OPT_SIZE_ROW(0, "rcvbuf", OPT_WHAT, struct iperf_opts, rcvbuf, "SIZE", "receive buffer to ask for (by the rate: 4M to 32M); 0: leave it", .max = 1 << 30),
	OPT_FLAG_ROW(0, "dont-fragment", OPT_WHAT, struct iperf_opts, dont_fragment, "set DF on IPv4"),
	OPT_END,
};

static const struct opt path_opts[] = {
	OPT_TITLE("The path"),
	OPT_STRING_ROW('B', "bind", OPT_WHAT, struct iperf_opts, bind, "HOST", "our address; a server's (default: loopback)"),
	OPT_U32_ROW(0, "cport", OPT_WHAT, struct iperf_opts, cport, "PORT", "our port of the first stream", .max = 65535),
	OPT_U32_ROW('p', "port", OPT_WHAT, struct iperf_opts, port, "PORT", "where the URL names none; a server's", .max = 65535),
	OPT_FLAG_ROW('4', "ipv4", OPT_WHAT, struct iperf_opts, ipv4, "IPv4 only"),
	OPT_FLAG_ROW('6', "ipv6", OPT_WHAT, struct iperf_opts, ipv6, "IPv6 only"),
	OPT_U32_ROW(0, "dscp", OPT_WHAT, struct iperf_opts, dscp, "N", "differentiated services code point", .max = 63),
	OPT_RATE_ROW(0, "fq-rate", OPT_WHAT, struct iperf_opts, fq_rate, "RATE", "pacing by the kernel, bits per second"),
	OPT_FLAG_ROW(0, "repeating-payload", OPT_WHAT, struct iperf_opts, repeating, "digits instead of random bytes"),
	OPT_STRING_ROW('A', "affinity", OPT_WHAT, struct iperf_opts, affinity, "CPU[,CPU]", "of our streams, and of the server's"),
	OPT_DURATION_ROW(0, "connect-timeout", OPT_HOW, struct iperf_opts, connect_timeout_ns, "TIME", "longest wait for a connection", .min = 1000000, .max = UINT64_C(3600000000000)),
	OPT_DURATION_ROW(0, "busy-retry", OPT_HOW, struct iperf_opts, busy_retry_ns, "TIME", "ask a busy server again for so long", .max = UINT64_C(86400000000000)),
	OPT_END,
};

static const struct opt words_opts[] = {
	OPT_TITLE("In iperf3's words"),
	OPT_FLAG_ROW(0, "get-server-output", OPT_OUT, struct iperf_opts, get_server_output, "keep what the server prints"),
	OPT_FLAG_ROW(0, "iperf3-json", OPT_OUT, struct iperf_opts, iperf3_json, "print what iperf3 --json would"),
	OPT_FLAG_ROW(0, "json-stream", OPT_OUT, struct iperf_opts, json_stream, "print start, intervals and end as JSON lines"),
	OPT_END,
};

static const struct opt server_opts[] = {
	OPT_TITLE("The server"),
	OPT_FLAG_ROW('s', "server", OPT_WHAT, struct iperf_opts, server, "serve instead of measuring"),
	OPT_FLAG_ROW('1', "one-off", OPT_HOW, struct iperf_opts, one_off, "end after one client"),
	OPT_U32_ROW(0, "max-clients", OPT_HOW, struct iperf_opts, max_clients, "N", "tests at once", .min = 1, .max = 64),
	OPT_DURATION_ROW(0, "idle-timeout", OPT_HOW, struct iperf_opts, idle_timeout_ns, "TIME", "end a test in which nothing moves", .min = 1000000, .max = UINT64_C(86400000000000)),
	OPT_RATE_ROW(0, "rate-limit", OPT_HOW, struct iperf_opts, rate_limit, "RATE", "refuse clients that ask for more"),
	OPT_U32_ROW(0, "ready-fd", OPT_OUT, struct iperf_opts, ready_fd, "FD", "write the port there when serving", .hidden = true, .given = OPT_GIVEN(struct iperf_opts, ready)),
	OPT_END,
};

static const struct opt table[] = {
	OPT_TITLE("What is measured"),
	OPT_FLAG_ROW('u', "udp", OPT_WHAT, struct iperf_opts, udp, "UDP instead of TCP"),
	OPT_FLAG_ROW('R', "reverse", OPT_WHAT, struct iperf_opts, reverse, "the server sends"),
	OPT_FLAG_ROW(0, "bidir", OPT_WHAT, struct iperf_opts, bidir, "both send"),
	OPT_U32_ROW('P', "parallel", OPT_WHAT, struct iperf_opts, parallel, "N", "streams, each with a thread", .min = 1, .max = IPERF3_STREAMS_MAX),
	OPT_DURATION_ROW('t', "time", OPT_HOW, struct iperf_opts, time_ns, "TIME", "of one test", .max = UINT64_C(86400000000000), .given = OPT_GIVEN(struct iperf_opts, has_time)),
	OPT_SIZE_ROW(0, "bytes", OPT_WHAT, struct iperf_opts, bytes, "SIZE", "exactly so many instead of a time"),
	OPT_U64_ROW('k', "blocks", OPT_WHAT, struct iperf_opts, blocks, "N", "exactly so many of --length"),
	OPT_DURATION_ROW('O', "omit", OPT_WHAT, struct iperf_opts, omit_ns, "TIME", "do not count the beginning (whole seconds)", .max = UINT64_C(600000000000)),
	OPT_SIZES_ROW('l', "length", OPT_WHAT, struct iperf_opts, lengths, "SIZE", "block or datagram; a list is a sweep (128K, UDP 1460)", .min = 1, .max = IPERF3_LEN_MAX, .given = OPT_GIVEN(struct iperf_opts, has_lengths)),
	OPT_STRING_ROW('b', "bandwidth", OPT_WHAT, struct iperf_opts, bandwidth, "RATE", "bits per second and stream (UDP 1M); 100M/10: bursts"),
	OPT_DURATION_ROW('i', "interval", OPT_HOW, struct iperf_opts, interval_ns, "TIME", "between looks at throughput", .min = 10000000, .max = UINT64_C(3600000000000)),
	OWN_GROUP(tcp_opts),
	OWN_GROUP(udp_opts),
	OWN_GROUP(path_opts),
	OWN_GROUP(server_opts),
	OWN_GROUP(words_opts),
	OPT_GROUP(plan_matrix_opts, struct plan, struct iperf_opts, plan),
	OPT_GROUP(syscalls_opts, struct syscalls_opts, struct iperf_opts, syscalls),
	OPT_GROUP(common_opts, struct common_opts, struct iperf_opts, common),
	OPT_END,
};
/* clang-format on */

/* "100M", "1G/10". */
static int parse_bandwidth(struct iperf_opts *o, struct err *e)
{
	char text[64];
	char *slash;
	uint64_t burst = 0;

	o->rate = o->udp ? 1048576 : 0;
	if (!o->bandwidth)
		return 0;
	if (snprintf(text, sizeof(text), "%s", o->bandwidth) >= (int)sizeof(text))
		return err_set(e, ERR_USAGE, "usage", "--bandwidth: '%.40s...' is no rate", text);
	slash = strchr(text, '/');
	if (slash && slash[1] >= '0' && slash[1] <= '9') {
		*slash = '\0';
		if (num_parse_u64(slash + 1, &burst, e) < 0 || burst > 1000)
			return err_set(e, ERR_USAGE, "usage",
				       "--bandwidth: a burst is 1 to 1000 blocks");
	}
	o->burst = (uint32_t)burst;
	return num_parse_rate(text, &o->rate, e) < 0 ? err_wrap(e, "--bandwidth") : 0;
}

static int parse_affinity(struct iperf_opts *o, struct err *e)
{
	char text[32];
	char *comma;
	uint64_t n = 0;

	if (!o->affinity)
		return 0;
	snprintf(text, sizeof(text), "%s", o->affinity);
	comma = strchr(text, ',');
	if (comma)
		*comma++ = '\0';
	if (*text && (num_parse_u64(text, &n, e) < 0 || n > 4095))
		return err_set(e, ERR_USAGE, "usage", "--affinity: '%s' is no CPU[,CPU]",
			       o->affinity);
	if (*text)
		o->cpu = (int32_t)n;
	if (comma && (num_parse_u64(comma, &n, e) < 0 || n > 4095))
		return err_set(e, ERR_USAGE, "usage", "--affinity: '%s' is no CPU[,CPU]",
			       o->affinity);
	if (comma)
		o->server_cpu = (int32_t)n;
	return 0;
}

static int check_lengths(struct iperf_opts *o, struct err *e)
{
	if (!o->has_lengths) {
		o->lengths.n = 1;
		o->lengths.v[0] = o->udp ? 1460 : 128 << 10;
	}
	for (size_t i = 0; o->udp && i < o->lengths.n; i++)
		if (o->lengths.v[i] < IPERF3_UDP_LEN_MIN || o->lengths.v[i] > IPERF3_UDP_LEN_MAX)
			return err_set(e, ERR_USAGE, "usage",
				       "--length: a datagram has %d to %d bytes",
				       IPERF3_UDP_LEN_MIN, IPERF3_UDP_LEN_MAX);
	return 0;
}

static int check_zerocopy(const struct iperf_opts *o, struct err *e)
{
	static const char *const ways[] = { "auto", "vmsplice", "sendfile", "msg" };

	if (o->zerocopy && o->udp)
		return err_set(e, ERR_USAGE, "usage", "--zerocopy is for TCP");
	for (size_t i = 0; o->zerocopy && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(o->zerocopy, ways[i]) == 0)
			return 0;
	return o->zerocopy
		       ? err_set(e, ERR_USAGE, "usage",
				 "--zerocopy: '%s' is none of vmsplice, sendfile, msg", o->zerocopy)
		       : 0;
}

int iperf_opts_check(struct iperf_opts *o, struct err *e)
{
	unsigned limits = (o->bytes != 0) + (o->blocks != 0) + o->has_time;

	if (o->reverse && o->bidir)
		return err_set(e, ERR_USAGE, "usage", "--reverse and --bidir exclude each other");
	if (o->ipv4 && o->ipv6)
		return err_set(e, ERR_USAGE, "usage", "--ipv4 and --ipv6 exclude each other");
	if (limits > 1)
		return err_set(e, ERR_USAGE, "usage",
			       "--time, --bytes and --blocks: only one of them ends a test");
	if (o->plan.rate || o->plan.duration_ns)
		return err_set(e, ERR_USAGE, "usage", "%s is not for iperf: try %s",
			       o->plan.rate ? "--rate" : "--duration",
			       o->plan.rate ? "--bandwidth" : "--time");
	if (o->iperf3_json && o->json_stream)
		return err_set(e, ERR_USAGE, "usage",
			       "--iperf3-json and --json-stream exclude each other");
	if (o->plan.warmup == UINT64_MAX)
		o->plan.warmup = 0;
	o->omit_ns = (o->omit_ns + NS_PER_SEC - 1) / NS_PER_SEC * NS_PER_SEC;
	if (!o->plan.timeout_ns)
		o->plan.timeout_ns = o->bytes || o->blocks || o->endless
					     ? 3600 * NS_PER_SEC
					     : o->time_ns + o->omit_ns + o->busy_retry_ns +
						       o->connect_timeout_ns + 60 * NS_PER_SEC;
	if (parse_bandwidth(o, e) < 0 || parse_affinity(o, e) < 0 || check_lengths(o, e) < 0 ||
	    check_zerocopy(o, e) < 0)
		return -1;
	return plan_check(&o->plan, e);
}

extern const struct cmd cmd_iperf;

static int run(int argc, char **argv, struct err *e)
{
	struct iperf_opts o = iperf_defaults;
	const char *operands[TARGETS_MAX + 1];
	size_t n = 0;
	int rc = cmd_parse(&cmd_iperf, argc, argv, &o, operands, TARGETS_MAX, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (iperf_opts_check(&o, e) < 0)
		return -1;
	if (!o.server)
		return iperf_measure(&cmd_iperf, argv, &o, operands, n, e);
	if (n)
		return err_set(e, ERR_USAGE, "operand", "a server has no target ('%s')",
			       operands[0]);
	return iperf_serve(&o, e);
}

static const char *const examples[] = {
	"mpbench iperf",
	"the floor of this machine: against a server of our own",
	"mpbench iperf iperf3://192.0.2.1",
	"ten tests of a second",
	"mpbench iperf -l 1K,8K,64K,512K iperf3://192.0.2.1",
	"a sweep",
	"mpbench iperf -u -b 1G -R iperf3://192.0.2.1",
	"datagrams from the server",
	"mpbench iperf --server --bind 0.0.0.0",
	"serve iperf3 clients",
	NULL,
};

const struct cmd cmd_iperf = {
	.group = CMD_MEASURE,
	.name = "iperf",
	.operands = "[TARGET...]",
	.summary = "throughput and latency under load, against any iperf3",
	.about =
		"Speaks iperf3's protocol with every version of it, as client and as server. Targets: "
		"iperf3://HOST[:PORT], builtin: (the default: a server of our own in a child). mpbench iperf3 takes iperf3's "
		"own command line.",
	.examples = examples,
	.table = table,
	.defaults = &iperf_defaults,
	.run = run,
};
