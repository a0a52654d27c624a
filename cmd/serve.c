/* mpbench serve - servers of the protocols that mpbench measures. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"

extern const struct cmd cmd_serve_tftp;

/* One line per protocol: `mpbench serve NAME` is the command called "serve NAME". */
static const struct cmd *const servers[] = {
	&cmd_serve_tftp,
	NULL,
};

static const char *protocol_of(const struct cmd *c)
{
	return c->name + strlen("serve ");
}

static int list_servers(void)
{
	printf("Usage: mpbench serve PROTOCOL [OPTIONS] ...\n\n");
	for (const struct cmd *const *c = servers; *c; c++)
		printf("  %-8s%s\n", protocol_of(*c), (*c)->summary);
	printf("\n  mpbench serve PROTOCOL --help   options and examples\n");
	return 0;
}

static int run(int argc, char **argv, struct err *e)
{
	const char *names[16];
	size_t n = 0;

	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return list_servers();
	for (const struct cmd *const *c = servers; *c && n < 16; c++) {
		if (strcmp(protocol_of(*c), argv[1]) == 0)
			return (*c)->run(argc - 1, argv + 1, e);
		names[n++] = protocol_of(*c);
	}
	if (opt_nearest(argv[1], names, n))
		return err_set(e, ERR_USAGE, "protocol", "no server for '%s', did you mean '%s'?",
			       argv[1], opt_nearest(argv[1], names, n));
	return err_set(e, ERR_USAGE, "protocol", "no server for '%s' (mpbench serve lists them)",
		       argv[1]);
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
