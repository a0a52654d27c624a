#include "cmd.h"

#include <string.h>

extern const struct cmd cmd_completion, cmd_help, cmd_manpage, cmd_serve, cmd_serve_repl,
	cmd_validate;

/* One line per subcommand; the order is that of the list. */
const struct cmd *const cmd_list[] = {
	&cmd_validate,
	&cmd_serve,
	&cmd_completion,
	&cmd_help,
	&cmd_manpage,
	&cmd_serve_repl,
	NULL,
};

const struct cmd *cmd_find(const char *name)
{
	for (const struct cmd *const *c = cmd_list; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}
