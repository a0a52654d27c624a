#include "cmd.h"

#include <string.h>

extern const struct cmd cmd_completion;
extern const struct cmd cmd_help;
extern const struct cmd cmd_manpage;
extern const struct cmd cmd_ports;
extern const struct cmd cmd_serve;
extern const struct cmd cmd_serve_repl;
extern const struct cmd cmd_validate;

/* One line here and one above per subcommand; the order is that of the list. */
const struct cmd *const cmd_list[] = {
	&cmd_validate,
	&cmd_serve,
	&cmd_ports,
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
