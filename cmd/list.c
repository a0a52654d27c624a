#include "cmd.h"

#include <string.h>

extern const struct cmd cmd_bench_repl;
extern const struct cmd cmd_bench_rpc;
extern const struct cmd cmd_bench_tftp;
extern const struct cmd cmd_bridge;
extern const struct cmd cmd_check;
extern const struct cmd cmd_completion;
extern const struct cmd cmd_diff;
extern const struct cmd cmd_doctor;
extern const struct cmd cmd_export;
extern const struct cmd cmd_help;
extern const struct cmd cmd_manpage;
extern const struct cmd cmd_iperf;
extern const struct cmd cmd_iperf3;
extern const struct cmd cmd_merge;
extern const struct cmd cmd_pair;
extern const struct cmd cmd_ports;
extern const struct cmd cmd_relay;
extern const struct cmd cmd_report;
extern const struct cmd cmd_serve;
extern const struct cmd cmd_serve_http;
extern const struct cmd cmd_serve_repl;
extern const struct cmd cmd_serve_rpyc;
extern const struct cmd cmd_serve_tftp;
extern const struct cmd cmd_trace_rpc;
extern const struct cmd cmd_trace_syscalls;
extern const struct cmd cmd_trend;
extern const struct cmd cmd_validate;
extern const struct cmd cmd_watch;

/* One line here and one above per subcommand; the order is that of the list. */
/* clang-format off */
const struct cmd *const cmd_list[] = {
	&cmd_bench_repl,
	&cmd_bench_rpc,
	&cmd_bench_tftp,
	&cmd_iperf,
	&cmd_iperf3,
	&cmd_diff,
	&cmd_check,
	&cmd_pair,
	&cmd_merge,
	&cmd_export,
	&cmd_validate,
	&cmd_watch,
	&cmd_trend,
	&cmd_report,
	&cmd_trace_syscalls,
	&cmd_trace_rpc,
	&cmd_bridge,
	&cmd_relay,
	&cmd_serve,
	&cmd_doctor,
	&cmd_ports,
	&cmd_serve_http,
	&cmd_serve_tftp,
	&cmd_serve_rpyc,
	&cmd_completion,
	&cmd_help,
	&cmd_manpage,
	&cmd_serve_repl,
	NULL,
};
/* clang-format on */

const struct cmd *cmd_find(const char *name)
{
	for (const struct cmd *const *c = cmd_list; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

bool cmd_is_child(const struct cmd *parent, const struct cmd *c)
{
	size_t n = strlen(parent->name);

	return c->group != CMD_HIDDEN && strncmp(c->name, parent->name, n) == 0 &&
	       c->name[n] == ' ';
}

bool cmd_has_children(const struct cmd *parent)
{
	for (const struct cmd *const *c = cmd_list; *c; c++)
		if (cmd_is_child(parent, *c))
			return true;
	return false;
}
