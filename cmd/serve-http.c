/* mpbench serve http - the builtin HTTP server, alone. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"
#include "peer/http-server.h"

struct serve_http_opts {
	const char *host;
	uint32_t port, max_connections, ready_fd;
	uint64_t max_body;
	bool verbose, ready;
};

static const struct serve_http_opts defaults = { .port = 8080,
						 .max_connections = 4096,
						 .max_body = UINT64_C(64) << 20 };

/* clang-format off */
static const struct opt opts[] = {
	OPT_STRING_ROW(0, "host", OPT_WHAT, struct serve_http_opts, host, "ADDRESS", "address to bind to (127.0.0.1; 0.0.0.0 or :: for all)"),
	OPT_U32_ROW('p', "port", OPT_WHAT, struct serve_http_opts, port, "PORT", "TCP port, 0: the kernel chooses", .max = 65535),
	OPT_U32_ROW(0, "max-connections", OPT_WHAT, struct serve_http_opts, max_connections, "N", "at once; more wait", .min = 1, .max = 1000000),
	OPT_SIZE_ROW(0, "max-body", OPT_WHAT, struct serve_http_opts, max_body, "SIZE", "largest body that /echo takes", .min = 1, .max = UINT64_C(1) << 32),
	OPT_FLAG_ROW('v', "verbose", OPT_OUT, struct serve_http_opts, verbose, "counts on stderr at the end"),
	OPT_U32_ROW(0, "ready-fd", OPT_OUT, struct serve_http_opts, ready_fd, "FD", "write the port there when serving", .hidden = true, .given = OPT_GIVEN(struct serve_http_opts, ready)),
	OPT_END,
};
/* clang-format on */

static int tell_ready(const struct serve_http_opts *o, const struct http_server *s, struct err *e)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "%u\n", addr_port(http_server_address(s)));

	if (o->ready && write((int)o->ready_fd, text, (size_t)n) != n)
		return err_sys(e, ERR_INTERNAL, "--ready-fd");
	if (o->ready)
		close((int)o->ready_fd);
	if (o->verbose)
		fprintf(stderr, "serving on %s\n", addr_format(http_server_address(s), text));
	return 0;
}

extern const struct cmd cmd_serve_http;

static int run(int argc, char **argv, struct err *e)
{
	struct serve_http_opts o = defaults;
	CLEANUP(http_server_close) struct http_server *server = NULL;
	struct http_server_params p;
	struct http_server_stats stats;
	size_t n;
	int rc = cmd_parse(&cmd_serve_http, argc, argv, &o, NULL, 0, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	p = (struct http_server_params){ .host = o.host,
					 .port = (uint16_t)o.port,
					 .max_connections = o.max_connections,
					 .max_body = o.max_body };
	sock_raise_nofile();
	if (http_server_open(&server, &p, e) < 0 || tell_ready(&o, server, e) < 0 ||
	    http_server_run(server, e) < 0)
		return -1;
	http_server_stats(server, &stats);
	if (o.verbose)
		fprintf(stderr, "%" PRIu64 " requests, %" PRIu64 " refused\n", stats.requests,
			stats.refused);
	return 0;
}

static const char *const examples[] = {
	"mpbench serve http --port 8080",
	"serve on loopback; then: mpbench bench-rpc http://127.0.0.1:8080",
	"mpbench serve http --host 0.0.0.0 -v",
	"on all addresses, with counts at the end",
	NULL,
};

const struct cmd cmd_serve_http = {
	.group = CMD_SERVE,
	.name = "serve http",
	.operands = "",
	.summary = "an HTTP server for bench-rpc: ping, echo, upload, download",
	.about =
		"Serves /ping, /null (204, no body), /echo, /upload, /download/N and /compute/N on libmicrohttpd, in one "
		"thread: the target builtin:http of bench-rpc, alone. Ends at SIGINT or SIGTERM.",
	.examples = examples,
	.table = opts,
	.defaults = &defaults,
	.run = run,
};
