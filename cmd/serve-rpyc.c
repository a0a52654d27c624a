/* mpbench serve rpyc - an RPyC server that does nothing, quickly. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"
#include "peer/rpyc-server.h"
#include "proto/rpyc.h"

struct serve_opts {
	const char *host;
	uint32_t port, max_connections, ready_fd;
	uint64_t max_payload;
	bool compress, verbose, ready;
};

static const struct serve_opts defaults = {
	.port = RPYC_PORT,
	.max_connections = 10000,
	.max_payload = RPYC_PAYLOAD_USUAL,
};

static const struct opt opts[] = {
	OPT_STRING_ROW(0, "host", OPT_WHAT, struct serve_opts, host, "ADDRESS",
		       "address to bind to (127.0.0.1; 0.0.0.0 or :: for all)"),
	OPT_U32_ROW('p', "port", OPT_WHAT, struct serve_opts, port, "PORT",
		    "TCP port, 0: the kernel chooses", .max = 65535),
	OPT_FLAG_ROW(0, "compress", OPT_WHAT, struct serve_opts, compress,
		     "compress answers of more than 3,000 bytes, as Python does"),
	OPT_U32_ROW(0, "max-connections", OPT_WHAT, struct serve_opts, max_connections, "N",
		    "clients at once", .min = 1, .max = 1000000),
	OPT_SIZE_ROW(0, "max-payload", OPT_WHAT, struct serve_opts, max_payload, "SIZE",
		     "largest message, inflated", .min = 4096, .max = RPYC_PAYLOAD_MAX),
	OPT_FLAG_ROW('v', "verbose", OPT_OUT, struct serve_opts, verbose,
		     "say where it serves, and what it did at the end"),
	OPT_U32_ROW(0, "ready-fd", OPT_OUT, struct serve_opts, ready_fd, "FD",
		    "write the port there when serving", .hidden = true,
		    .given = OPT_GIVEN(struct serve_opts, ready)),
	OPT_END,
};

static int tell_ready(const struct serve_opts *o, const struct addr *bound, struct err *e)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "%u\n", addr_port(bound));

	if (o->ready && write((int)o->ready_fd, text, (size_t)n) != n)
		return err_sys(e, ERR_INTERNAL, "--ready-fd");
	if (o->ready)
		close((int)o->ready_fd);
	if (o->verbose)
		fprintf(stderr, "serving on %s\n", addr_format(bound, text));
	return 0;
}

extern const struct cmd cmd_serve_rpyc;

static int run(int argc, char **argv, struct err *e)
{
	struct serve_opts o = defaults;
	CLEANUP(loop_free) struct loop *loop = NULL;
	CLEANUP(rpyc_server_close) struct rpyc_server *server = NULL;
	struct rpyc_server_params p;
	struct rpyc_server_counts counts;
	struct addr bound;
	enum loop_end why;
	size_t n;
	int rc = cmd_parse(&cmd_serve_rpyc, argc, argv, &o, NULL, 0, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	p = (struct rpyc_server_params){ .host = o.host,
					 .port = (uint16_t)o.port,
					 .max_connections = o.max_connections,
					 .max_payload = o.max_payload,
					 .compress = o.compress };
	sock_raise_nofile();
	if (loop_new(&loop, e) < 0 || rpyc_server_open(&server, loop, &p, &bound, e) < 0 ||
	    tell_ready(&o, &bound, e) < 0 || loop_run(loop, 0, &why, e) < 0)
		return -1;
	counts = rpyc_server_counts(server);
	if (o.verbose)
		fprintf(stderr,
			"%" PRIu64 " connections (%" PRIu64 " refused), %" PRIu64 " requests\n",
			counts.connections, counts.refused, counts.requests);
	return 0;
}

static const char *const examples[] = {
	"mpbench serve rpyc --port 18812",
	"serve on loopback",
	"mpbench serve rpyc --host 0.0.0.0 --compress -v",
	"on all addresses, compressing as Python does",
	NULL,
};

const struct cmd cmd_serve_rpyc = {
	.group = CMD_SERVE,
	.name = "serve rpyc",
	.operands = "",
	.summary = "an RPyC server that does nothing, quickly",
	.about =
		"Answers RPyC 5 and 6 clients with a service that has ping, echo, upload, download, add, compute, thing, "
		"things, live and fail: what a call costs where there is no work and no Python. Ends at SIGINT or SIGTERM.",
	.examples = examples,
	.table = opts,
	.defaults = &defaults,
	.run = run,
};
