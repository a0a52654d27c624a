/* cmd - the descriptor that every subcommand file ends in */
#pragma once

#include "base/err.h"
#include "base/opt.h"

enum cmd_group { CMD_MEASURE, CMD_TRACE, CMD_SERVE, CMD_JUDGE, CMD_LOOK, CMD_MACHINE, CMD_HIDDEN };

/*
 * name       as typed; the file name is the same
 * operands   synopsis after the options ("TARGET...")
 * summary    one line for the list of subcommands and NAME of the man page
 * about      a short paragraph for --help and DESCRIPTION
 * examples   NULL-terminated pairs {command, what it does}; the commands work
 * table      the options; `defaults` is an object of the struct the table describes
 * run        argv[0] is the subcommand's name; returns the exit status, or -1 with *e filled (then main prints
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

/* Prints `mpbench NAME --help` to stdout; fits 80 columns. Returns 0, or -1 when stdout failed. */
int cmd_help(const struct cmd *c, struct err *e);
