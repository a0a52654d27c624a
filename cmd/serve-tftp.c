/* mpbench serve tftp - a TFTP server for a directory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "cmd.h"
#include "peer/tftp-server.h"

struct serve_opts {
	const char *host, *allow_write, *user, *batch;
	uint32_t port, threads, max_transfers, max_per_client, retries;
	uint64_t blksize_max, windowsize_max, max_upload, timeout_ns, batch_timeout_ns;
	uint32_t ready_fd;
	bool overwrite, segment, single_port, options, verbose, ready;
};

static const struct serve_opts defaults = {
	.port = TFTP_PORT,
	.threads = 1,
	.batch = "on",
	.segment = true,
	.options = true,
	.max_transfers = 4096,
	.max_per_client = 4096,
	.retries = 5,
	.timeout_ns = UINT64_C(1000000000),
	.blksize_max = TFTP_BLKSIZE_MAX,
	.windowsize_max = TFTP_WINDOWSIZE_MAX,
	.max_upload = UINT64_C(1) << 30,
};

static const struct opt opts[] = {
	OPT_STRING_ROW(0, "host", OPT_WHAT, struct serve_opts, host, "ADDRESS",
		       "address to bind to (127.0.0.1; 0.0.0.0 or :: for all)"),
	OPT_U32_ROW('p', "port", OPT_WHAT, struct serve_opts, port, "PORT",
		    "UDP port, 0: the kernel chooses", .max = 65535),
	OPT_STRING_ROW(0, "allow-write", OPT_WHAT, struct serve_opts, allow_write, "DIR",
		       "accept uploads into DIR (nothing is accepted otherwise)"),
	OPT_FLAG_ROW(0, "overwrite", OPT_WHAT, struct serve_opts, overwrite,
		     "uploads may replace files"),
	OPT_SIZE_ROW(0, "max-upload", OPT_WHAT, struct serve_opts, max_upload, "SIZE",
		     "largest upload", .min = 1, .max = UINT64_C(1) << 40),
	OPT_STRING_ROW(
		'u', "user", OPT_WHAT, struct serve_opts, user, "NAME",
		"become this user after binding (nobody, when started by root; 'root' stays)"),
	OPT_U32_ROW(0, "threads", OPT_WHAT, struct serve_opts, threads, "N",
		    "threads that share the port", .min = 1, .max = 64),
	OPT_STRING_ROW(0, "batch", OPT_WHAT, struct serve_opts, batch, "on|off|N",
		       "datagrams per recvmmsg and sendmmsg; off: recvfrom and sendto"),
	OPT_DURATION_ROW(0, "batch-timeout", OPT_WHAT, struct serve_opts, batch_timeout_ns, "TIME",
			 "let requests gather so long before they are read",
			 .max = UINT64_C(1000000000)),
	OPT_FLAG_ROW(0, "segment", OPT_WHAT, struct serve_opts, segment,
		     "let the kernel cut and join datagrams (UDP_SEGMENT, UDP_GRO)"),
	OPT_FLAG_ROW(0, "single-port", OPT_WHAT, struct serve_opts, single_port,
		     "answer from the listening port, so that batches span clients"),
	OPT_FLAG_ROW(0, "options", OPT_WHAT, struct serve_opts, options,
		     "negotiate options (RFC 2347)"),
	OPT_SIZE_ROW(0, "blksize-max", OPT_WHAT, struct serve_opts, blksize_max, "BYTES",
		     "largest block size agreed to", .min = TFTP_BLKSIZE_MIN,
		     .max = TFTP_BLKSIZE_MAX),
	OPT_SIZE_ROW(0, "windowsize-max", OPT_WHAT, struct serve_opts, windowsize_max, "N",
		     "largest window agreed to", .min = 1, .max = TFTP_WINDOWSIZE_MAX),
	OPT_DURATION_ROW(0, "timeout", OPT_WHAT, struct serve_opts, timeout_ns, "TIME",
			 "until the first retransmission, where the client names none",
			 .min = 1000000, .max = UINT64_C(255000000000)),
	OPT_U32_ROW(0, "retries", OPT_WHAT, struct serve_opts, retries, "N",
		    "retransmissions before giving up", .max = 100),
	OPT_U32_ROW(0, "max-transfers", OPT_WHAT, struct serve_opts, max_transfers, "N",
		    "transfers at once, per thread", .min = 1, .max = 1000000),
	OPT_U32_ROW(0, "max-per-client", OPT_WHAT, struct serve_opts, max_per_client, "N",
		    "of them for one address", .min = 1, .max = 1000000),
	OPT_FLAG_ROW('v', "verbose", OPT_OUT, struct serve_opts, verbose,
		     "one line per transfer on stderr"),
	OPT_U32_ROW(0, "ready-fd", OPT_OUT, struct serve_opts, ready_fd, "FD",
		    "write the port there when serving", .hidden = true,
		    .given = OPT_GIVEN(struct serve_opts, ready)),
	OPT_END,
};

static void log_transfer(void *ctx, const struct tftp_server_event *ev)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT;
	char client[80], size[NUM_TEXT_MAX], time[NUM_TEXT_MAX];

	(void)ctx;
	if (buf_add_safe(&name, ev->file, strlen(ev->file)) < 0)
		return;
	fprintf(stderr,
		"%s %s %s: %s in %s, blksize %u windowsize %u, %" PRIu64 " timeouts, %" PRIu64
		" resent: %s\n",
		addr_format(ev->client, client), ev->write ? "write" : "read", buf_text(&name),
		num_format_bytes(size, (double)ev->bytes),
		num_format_ns(time, (double)ev->duration_ns), ev->blksize, ev->windowsize,
		ev->timeouts, ev->resent, ev->why ? ev->why : "ok");
}

static int parse_batch(const char *text, unsigned *out, struct err *e)
{
	uint64_t n = 0;

	if (strcmp(text, "off") == 0)
		n = 1;
	else if (strcmp(text, "on") == 0)
		n = 64;
	else if (num_parse_u64(text, &n, e) < 0 || n < 1 || n > 64)
		return err_set(e, ERR_USAGE, "batch", "--batch: '%s' is none of on, off, 1..64",
			       text);
	*out = (unsigned)n;
	return 0;
}

static int make_params(const struct serve_opts *o, const char *root, struct tftp_server_params *p,
		       struct err *e)
{
	*p = (struct tftp_server_params){
		.root = root,
		.write_root = o->allow_write,
		.overwrite = o->overwrite,
		.host = o->host,
		.port = (uint16_t)o->port,
		.threads = o->threads,
		.batch_timeout_ns = o->batch_timeout_ns,
		.segment = o->segment,
		.single_port = o->single_port,
		.max_transfers = o->max_transfers,
		.max_per_client = o->max_per_client,
		.limits = TFTP_LIMITS_DEFAULT,
		.ended = o->verbose ? log_transfer : NULL,
	};
	p->limits.blksize_max = (uint32_t)o->blksize_max;
	p->limits.windowsize_max = (uint32_t)o->windowsize_max;
	p->limits.timeout_ns = o->timeout_ns;
	p->limits.retries = o->retries;
	p->limits.max_bytes = o->max_upload;
	if (!o->options)
		p->limits.options = 0;
	return parse_batch(o->batch, &p->batch, e);
}

static int drop(const struct serve_opts *o, struct err *e)
{
	const char *user = o->user ? o->user : "nobody";

	if (geteuid() != 0)
		return o->user ? err_set(e, ERR_MACHINE, "user",
					 "--user: only root can become '%s'", o->user)
			       : 0;
	if (strcmp(user, "root") == 0)
		return 0;
	return tftp_server_drop(user, e);
}

static int tell_ready(const struct serve_opts *o, const struct tftp_server *s, struct err *e)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "%u\n", addr_port(tftp_server_address(s)));

	if (o->ready && write((int)o->ready_fd, text, (size_t)n) != n)
		return err_sys(e, ERR_INTERNAL, "--ready-fd");
	if (o->ready)
		close((int)o->ready_fd);
	if (o->verbose)
		fprintf(stderr, "serving on %s\n", addr_format(tftp_server_address(s), text));
	return 0;
}

static void print_stats(const struct tftp_server *s)
{
	struct tftp_server_stats st;

	tftp_server_stats(s, &st);
	fprintf(stderr,
		"%" PRIu64 " requests: %" PRIu64 " complete, %" PRIu64 " failed, %" PRIu64
		" refused; %" PRIu64 " bytes; at most %" PRIu64 " at once; %" PRIu64
		" datagrams in %" PRIu64 " receive calls, %" PRIu64 " in %" PRIu64 " send calls\n",
		st.requests, st.complete, st.failed, st.refused, st.bytes, st.peak, st.received,
		st.receive_calls, st.sent, st.send_calls);
}

extern const struct cmd cmd_serve_tftp;

static int run(int argc, char **argv, struct err *e)
{
	struct serve_opts o = defaults;
	CLEANUP(tftp_server_close) struct tftp_server *server = NULL;
	struct tftp_server_params p;
	const char *root;
	size_t n;
	int rc = cmd_parse(&cmd_serve_tftp, argc, argv, &o, &root, 1, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand",
			       "which directory? (mpbench serve tftp --port 6969 /srv/tftp)");
	if (make_params(&o, root, &p, e) < 0 || tftp_server_open(&server, &p, e) < 0)
		return -1;
	if (drop(&o, e) < 0 || tell_ready(&o, server, e) < 0 || tftp_server_run(server, e) < 0)
		return -1;
	if (o.verbose)
		print_stats(server);
	return 0;
}

static const char *const examples[] = {
	"mpbench serve tftp --port 6969 /srv/tftp",
	"serve on loopback, without root",
	"mpbench serve tftp --host 0.0.0.0 -v /srv/tftp",
	"on port 69 of all addresses; root's rights are dropped",
	"mpbench serve tftp --port 6969 --batch off /srv/tftp",
	"one datagram per system call",
	NULL,
};

const struct cmd cmd_serve_tftp = {
	.group = CMD_SERVE,
	.name = "serve tftp",
	.operands = "DIR",
	.summary = "a TFTP server for a directory, read-only",
	.about =
		"Serves the files below DIR (RFC 1350 with blksize, tsize, timeout, windowsize and rollover). Names that "
		"lead out of DIR, by '..' or by symbolic links, are refused. Ends at SIGINT or SIGTERM.",
	.examples = examples,
	.table = opts,
	.defaults = &defaults,
	.run = run,
};
