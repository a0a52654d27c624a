/* mpbench serve - servers of the protocols that mpbench measures: `serve tftp` is the command of that name. */
#include <string.h>

#include "cmd.h"

extern const struct cmd cmd_serve;

enum { PROTOCOLS_MAX = 16 };

static int unknown(const char *protocol, struct err *e)
{
	const char *names[PROTOCOLS_MAX], *near;
	size_t n = 0;

	for (const struct cmd *const *c = cmd_list; *c && n < PROTOCOLS_MAX; c++)
		if (cmd_is_child(&cmd_serve, *c))
			names[n++] = strchr((*c)->name, ' ') + 1;
	near = opt_nearest(protocol, names, n);
	if (near)
		return err_set(e, ERR_USAGE, "protocol", "no server for '%s', did you mean '%s'?",
			       protocol, near);
	return err_set(e, ERR_USAGE, "protocol", "no server for '%s' (mpbench serve lists them)",
		       protocol);
}

static int run(int argc, char **argv, struct err *e)
{
	const char *operands[1];
	size_t n;
	int rc = cmd_parse(&cmd_serve, argc > 2 ? 2 : argc, argv, NULL, operands, 1, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return n ? unknown(operands[0], e) : cmd_print_help(&cmd_serve, false, e);
}

static const struct opt opts[] = { OPT_END };

static const char *const examples[] = {
	"mpbench serve",
	"which protocols there are",
	"mpbench serve tftp --port 6969 /srv/tftp",
	"serve a directory on loopback",
	NULL,
};

const struct cmd cmd_serve = {
	.group = CMD_SERVE,
	.name = "serve",
	.operands = "PROTOCOL [ARGUMENTS]",
	.summary = "run a server of a protocol that mpbench measures",
	.about =
		"Runs one of mpbench's own servers: a target that shows what is possible, and the embedded "
		"default of the benchmarks. Servers bind to loopback unless told otherwise.",
	.examples = examples,
	.table = opts,
	.run = run,
};
