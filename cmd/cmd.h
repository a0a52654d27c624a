/* cmd - the descriptor that every subcommand file ends in */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"

enum cmd_group { CMD_MEASURE, CMD_TRACE, CMD_SERVE, CMD_JUDGE, CMD_LOOK, CMD_MACHINE, CMD_HIDDEN };

/*
 * name       as typed; the file name is the same. Two words ("serve tftp") make a child of the first's command
 * operands   synopsis after the options ("TARGET...")
 * summary    one line for the list of subcommands and NAME of the man page
 * about      a short paragraph for --help and DESCRIPTION
 * examples   NULL-terminated pairs {command, what it does}; the commands work
 * table      the options; `defaults` is an object of the struct the table describes
 * run        argv[0] is the subcommand's name (its last word); returns the exit status, or -1 with *e filled (then main prints
 *            "mpbench NAME: message" to stderr and exits with e->kind)
 */
struct cmd {
	enum cmd_group group;
	const char *name;
	const char *operands;
	const char *summary;
	const char *about;
	const char *const *examples;
	const struct opt *table;
	const void *defaults;
	int (*run)(int argc, char **argv, struct err *e);
};

/* All subcommands, NULL-terminated, in the order of the list. */
extern const struct cmd *const cmd_list[];

/* The entry of that name, hidden ones too; NULL when there is none. */
const struct cmd *cmd_find(const char *name);

/* Whether c is "PARENT word", and whether there is any such. */
bool cmd_is_child(const struct cmd *parent, const struct cmd *c);
bool cmd_has_children(const struct cmd *parent);

/* Both print to stdout (main checks at the end that it took everything). The list of all subcommands in groups; and
 * `mpbench NAME --help`, 80 columns: when it would be longer than a screen, the options that all benches share are
 * named only, unless `all`. */
int cmd_print_list(struct err *e) ERR_MUST_CHECK;
int cmd_print_help(const struct cmd *c, bool all, struct err *e) ERR_MUST_CHECK;
/* The same as text. */
int cmd_help_text(const struct cmd *c, bool all, struct buf *out);

/* For run(): opt_parse over the command's table into `options` (which holds the defaults). Returns 1 when --help was
 * asked for and printed (run then returns 0), 0 to go on, -1 with *e. `operands` takes at most `max`. */
int cmd_parse(const struct cmd *c, int argc, char **argv, void *options, const char **operands,
	      size_t max, size_t *n, struct err *e) ERR_MUST_CHECK;

/* The command line as the user typed it, program name first, from the argv that run() was given: opt_parse splits word
 * lists in place, so run() works on a copy. */
char *const *cmd_original(char **argv, int *argc);
