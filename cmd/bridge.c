/* mpbench bridge - a serial port or a program on the network, by RFC 2217 and raw TCP. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/stop.h"
#include "base/version.h"
#include "bridge-report.h"
#include "cmd.h"
#include "common.h"
#include "io/service.h"
#include "io/sock.h"
#include "peer/bridge.h"
#include "peer/repl-session.h"

static const struct bridge_opts defaults = {
	.rfc2217 = "2217",
	.raw = "2218",
	.reboot_timeout_ns = 10 * NS_PER_SEC,
	.keepalive_ns = 10 * NS_PER_SEC,
};

static const struct opt opts[] = {
	OPT_TITLE("Ports"),
	OPT_STRING_ROW(0, "rfc2217", OPT_WHAT, struct bridge_opts, rfc2217, "[ADDR:]PORT",
		       "RFC 2217; PORT 0: the kernel chooses; off: none",
		       .given = OPT_GIVEN(struct bridge_opts, rfc2217_given)),
	OPT_STRING_ROW(0, "raw", OPT_WHAT, struct bridge_opts, raw, "[ADDR:]PORT",
		       "raw TCP, likewise", .given = OPT_GIVEN(struct bridge_opts, raw_given)),
	OPT_STRING_ROW(0, "pty", OPT_WHAT, struct bridge_opts, pty, "FILE",
		       "make a pty for local programs, and a link to it here"),
	OPT_FLAG_ROW(0, "shared", OPT_WHAT, struct bridge_opts, shared,
		     "further clients watch; else they are refused"),
	OPT_WORDS_ROW(0, "allow", OPT_WHAT, struct bridge_opts, allow, "CIDR",
		      "serve only clients from these addresses"),
	OPT_DURATION_ROW(0, "keepalive", OPT_WHAT, struct bridge_opts, keepalive_ns, "TIME",
			 "ask a silent client after this; 0: never", .max = 3600 * NS_PER_SEC),
	OPT_DURATION_ROW(0, "chardelay", OPT_WHAT, struct bridge_opts, chardelay_ns, "TIME",
			 "hold what the device says for more; 0: off", .max = NS_PER_SEC),
	OPT_TITLE("Process"),
	OPT_ENUM_ROW(0, "restart", OPT_WHAT, struct bridge_opts, restart, bridge_restart_names,
		     "start an ended process again (reboot: only after a soft reset)"),
	OPT_DURATION_ROW(0, "reboot-timeout", OPT_WHAT, struct bridge_opts, reboot_timeout_ns,
			 "TIME", "for its prompt after a soft reset", .min = NS_PER_MS),
	OPT_ENUM_ROW(
		0, "lines", OPT_WHAT, struct bridge_opts, lines, bridge_lines_names,
		"what DTR and RTS do to it (dtr: falling restarts; esp: RTS without DTR does)"),
	OPT_ENUM_ROW(0, "break", OPT_WHAT, struct bridge_opts, brk, bridge_break_names,
		     "what a break does to it"),
	OPT_TITLE("Records"),
	OPT_STRING_ROW(0, "trace", OPT_OUT, struct bridge_opts, trace, "FILE",
		       "write all bytes with times; builtin:repl?replay=FILE plays it"),
	OPT_FLAG_ROW(0, "stats", OPT_OUT, struct bridge_opts, stats,
		     "print bytes, calls and added latency at the end"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct bridge_opts, output, "FILE",
		       "write the result document here at the end"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct bridge_opts, verbose,
		      "tell sessions, restarts, changed settings; -vv: all"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct bridge_opts, quiet, "print errors only"),
	OPT_END,
};

static void say(void *ctx, enum log_level level, const char *code, const char *text)
{
	const struct bridge_opts *o = ctx;
	bool shown = level == LOG_WARNING || o->verbose >= (level == LOG_NOTE ? 1 : 2);

	(void)code;
	if (shown && !o->quiet)
		fprintf(stderr, "mpbench bridge: %s\n", text);
}

/* "2217", "0.0.0.0:2217", "[::]:2217". */
static int parse_port(const char *option, const char *text, char host[64], uint16_t *port,
		      struct err *e)
{
	const char *colon = strrchr(text, ':'), *number = colon ? colon + 1 : text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct err why;
	uint64_t n;

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= 64 || (colon && len == 0) || num_parse_u64(number, &n, &why) < 0 || n > 65535)
		return err_set(e, ERR_USAGE, "port",
			       "--%s: '%s' is no port (try 2217, 0.0.0.0:2217, [::1]:0 or off)",
			       option, text);
	snprintf(host, 64, "%.*s", (int)len, text);
	*port = (uint16_t)n;
	return 0;
}

static int tell_port(const struct bridge_opts *o, int fd, enum bridge_kind kind, struct err *e)
{
	struct addr a = { .len = sizeof(a.sa) };
	char text[80];

	if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) < 0)
		return err_sys(e, ERR_INTERNAL, "getsockname");
	if (!o->quiet)
		fprintf(stderr, "mpbench bridge: serving %s://%s\n",
			kind == BRIDGE_RAW ? "socket" : "rfc2217", addr_format(&a, text));
	return 0;
}

static int open_port(struct bridge *b, const struct bridge_opts *o, const char *text,
		     enum bridge_kind kind, struct err *e)
{
	const char *option = kind == BRIDGE_RAW ? "raw" : "rfc2217";
	char host[64];
	uint16_t port = 0;
	int fd;

	if (strcmp(text, "off") == 0)
		return 0;
	if (parse_port(option, text, host, &port, e) < 0)
		return -1;
	if (sock_listen(&fd, *host ? host : NULL, port, NULL, e) < 0)
		return err_wrap(e, "--%s", option);
	if (tell_port(o, fd, kind, e) < 0) {
		close(fd);
		return -1;
	}
	return bridge_add_port(b, fd, kind, e);
}

/* The first socket that a service manager passes is RFC 2217 and the second raw, unless they are named. */
static int take_passed(struct bridge *b, const struct bridge_opts *o, size_t *n, struct err *e)
{
	struct service_socket passed[SERVICE_SOCKETS_MAX];

	if (service_sockets(getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"),
			    passed, n, e) < 0)
		return -1;
	for (size_t i = 0; i < *n; i++) {
		enum bridge_kind kind = i == 1 ? BRIDGE_RAW : BRIDGE_RFC2217;

		if (strcmp(passed[i].name, "raw") == 0)
			kind = BRIDGE_RAW;
		else if (strcmp(passed[i].name, "rfc2217") == 0)
			kind = BRIDGE_RFC2217;
		if (tell_port(o, passed[i].fd, kind, e) < 0 ||
		    bridge_add_port(b, passed[i].fd, kind, e) < 0)
			return -1;
	}
	/* they are this process's, not the device's */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return 0;
}

static int open_ports(struct bridge *b, const struct bridge_opts *o, struct err *e)
{
	size_t passed;

	if (take_passed(b, o, &passed, e) < 0)
		return -1;
	if ((!passed || o->rfc2217_given) && open_port(b, o, o->rfc2217, BRIDGE_RFC2217, e) < 0)
		return -1;
	if ((!passed || o->raw_given) && open_port(b, o, o->raw, BRIDGE_RAW, e) < 0)
		return -1;
	if (bridge_pty_name(b) && !o->quiet)
		fprintf(stderr, "mpbench bridge: serving %s (%s)\n", o->pty, bridge_pty_name(b));
	return 0;
}

static int parse_allow(const struct bridge_opts *o, struct cidr *out, struct err *e)
{
	for (size_t i = 0; i < o->allow.n; i++)
		if (cidr_parse(&out[i], o->allow.v[i], e) < 0)
			return err_wrap(e, "--allow");
	return 0;
}

/* A manager that cannot be told is no reason not to serve. */
static void notify(const char *socket_name, const char *state, const struct log *log)
{
	struct err e;

	if (service_notify(socket_name, state, &e) < 0)
		log_say(log, LOG_WARNING, "notify", "%s", e.msg);
}

static int serve(struct bridge *b, const struct bridge_opts *o, const char *manager,
		 const struct log *log, struct err *e)
{
	int rc;

	if (open_ports(b, o, e) < 0)
		return -1;
	notify(manager, "READY=1", log);
	rc = bridge_run(b, e);
	notify(manager, "STOPPING=1", log);
	return rc;
}

static int run_bridge(const struct bridge_opts *o, const struct url *link,
		      struct bridge_report *report, struct err *e)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	struct cidr allow[OPT_LIST_MAX];
	struct log log = { say, (struct bridge_opts *)(uintptr_t)o };
	CLEANUP_FREE char *manager = NULL;
	const char *notify;
	char signature[64];
	struct bridge *b;
	struct err lost;
	int rc;

	snprintf(signature, sizeof(signature), "mpbench bridge %s", version_text());
	struct bridge_params p = {
		.link = { .url = link,
			  .log = &log,
			  .restart = (enum bridge_restart)o->restart,
			  .lines = (enum bridge_lines)o->lines,
			  .brk = (enum bridge_break)o->brk,
			  .reboot_timeout_ns = o->reboot_timeout_ns },
		.chardelay_ns = o->chardelay_ns,
		.shared = o->shared,
		.allow = allow,
		.n_allow = o->allow.n,
		.keepalive_ns = o->keepalive_ns,
		.signature = signature,
		.pty = o->pty,
		.trace = o->trace,
		.log = &log,
	};
	notify = getenv("NOTIFY_SOCKET");
	if (notify) {
		manager = strdup(notify);
		unsetenv("NOTIFY_SOCKET");
	}
	if (parse_allow(o, allow, e) < 0 || loop_new(&loop, e) < 0 ||
	    bridge_new(&b, loop, &p, e) < 0)
		return -1;
	rc = serve(b, o, manager, &log, e);
	if (bridge_report_take(report, b, e) < 0)
		rc = -1;
	if (bridge_free(b, rc < 0 ? &lost : e) < 0)
		rc = -1;
	return rc;
}

extern const struct cmd cmd_bridge;

/* A device that cannot be started is told at once; only a bridge that served has something to report. */
static int run_and_report(const struct bridge_opts *o, const struct target *t, char **argv,
			  struct err *e)
{
	CLEANUP(url_done) struct url own = { 0 };
	CLEANUP(bridge_report_done) struct bridge_report report = { 0 };
	const struct url *link = &t->member[0];
	struct err failed = { 0 }, lost;
	int rc;

	if (strcmp(link->scheme, "builtin") == 0) {
		if (repl_builtin_url(&own, link, e) < 0)
			return -1;
		link = &own;
	}
	rc = run_bridge(o, link, &report, &failed);
	if (rc < 0)
		*e = failed;
	if (!report.taken)
		return rc;
	if (o->stats && !o->quiet)
		bridge_report_print(&report);
	if (o->output && bridge_report_emit(&report, o, t, &cmd_bridge, argv,
					    rc < 0 ? &failed : NULL, &lost) < 0) {
		*e = lost;
		return -1;
	}
	return rc;
}

static int run(int argc, char **argv, struct err *e)
{
	struct bridge_opts o = defaults;
	CLEANUP(target_done) struct target t = { 0 };
	const char *link;
	size_t n;
	int rc = cmd_parse(&cmd_bridge, argc, argv, &o, &link, 1, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(
			e, ERR_USAGE, "operand",
			"a link to what? (mpbench bridge exec:micropython, or /dev/ttyACM0)");
	if (o.output && common_check_output("-o", o.output, e) < 0)
		return -1;
	if (target_parse(&t, link, e) < 0 || target_label(&t, 1, e) < 0)
		return -1;
	if (t.n_members != 1)
		return err_set(e, ERR_USAGE, "operand", "a bridge leads to one link, not to %zu",
			       t.n_members);
	return run_and_report(&o, &t, argv, e);
}

static const char *const examples[] = {
	"mpbench bridge exec:micropython",
	"MicroPython's unix port as a board on the network",
	"mpbench bridge --rfc2217 0.0.0.0:2217 --allow 192.0.2.0/24 /dev/ttyACM0",
	"a real port for one network",
	"mpbench bridge -v --pty /tmp/board --trace board.trace exec:micropython",
	"a local port as well, and a record of all bytes",
	NULL,
};

const struct cmd cmd_bridge = {
	.group = CMD_SERVE,
	.name = "bridge",
	.operands = "LINK",
	.summary = "a serial port or a program on the network",
	.about =
		"Offers LINK (exec:COMMAND, /dev/ttyACM0, serial:///dev/ttyUSB0?baud=9600, builtin:) by RFC 2217 and raw TCP "
		"on loopback. One client has it at a time. A process that ends on a soft reset is started again, and its client "
		"sees what a board would send.",
	.examples = examples,
	.table = opts,
	.defaults = &defaults,
	.run = run,
};
