/* mpbench serve-repl - the builtin device, run by mpbench itself on a terminal of its own */
#include "cmd.h"

#include <unistd.h>

#include "peer/repl-device.h"

extern const struct cmd cmd_serve_repl;

static const struct repl_device_params defaults = REPL_DEVICE_DEFAULT;

static int run(int argc, char **argv, struct err *e)
{
	struct repl_device_params params = defaults;
	struct opt_parse p = { .table = repl_device_opts, .base = &params };

	if (opt_parse(&p, argc, argv, e) < 0)
		return -1;
	return repl_device_run(STDIN_FILENO, STDOUT_FILENO, &params, e);
}

const struct cmd cmd_serve_repl = {
	.group = CMD_HIDDEN,
	.name = "serve-repl",
	.operands = "",
	.summary = "be the builtin REPL device on standard input and output",
	.about =
		"Speaks the device's side of raw REPL and raw-paste and evaluates nothing. bench-repl starts "
		"it for builtin: targets.",
	.table = repl_device_opts,
	.defaults = &defaults,
	.run = run,
};
