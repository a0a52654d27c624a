/* mpbench completion - scripts for the shells, made from the option tables. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"

static const struct opt no_opts[] = { OPT_END };

/* Single quotes for sh and fish; zsh descriptions too. */
static void put_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	putchar('\'');
}

static bool takes_value(const struct opt *row)
{
	return row->type != OPT_FLAG && row->type != OPT_COUNT;
}

static bool takes_file(const struct opt *row)
{
	return row->arg && (strstr(row->arg, "FILE") || strstr(row->arg, "DIR"));
}

static bool operand_is_command(const struct cmd *c)
{
	return c->operands && strstr(c->operands, "SUBCOMMAND");
}

static bool operand_is_file(const struct cmd *c)
{
	return c->operands && (strstr(c->operands, "FILE") || strstr(c->operands, "DIR"));
}

static bool is_shown(const struct cmd *c)
{
	return c->group != CMD_HIDDEN;
}

/* "serve tftp" is completed as the word tftp behind serve. */
static const char *second_word(const struct cmd *c)
{
	const char *blank = strchr(c->name, ' ');

	return blank ? blank + 1 : NULL;
}

static void put_command_names(void)
{
	for (size_t i = 0; cmd_list[i]; i++)
		if (is_shown(cmd_list[i]) && !second_word(cmd_list[i]))
			printf(" %s", cmd_list[i]->name);
}

/* The words that an operand may be, where they are known. */
static bool has_operand_words(const struct cmd *c)
{
	return strcmp(c->name, "completion") == 0 || operand_is_command(c) || cmd_has_children(c);
}

static void put_operand_words(const struct cmd *c)
{
	if (strcmp(c->name, "completion") == 0)
		fputs("bash zsh fish", stdout);
	if (operand_is_command(c))
		put_command_names();
	for (size_t i = 0; cmd_list[i]; i++)
		if (cmd_is_child(c, cmd_list[i]))
			printf(" %s", second_word(cmd_list[i]));
}

/* A word for the script's own use: the blank in a name of two words becomes a dash. */
static void put_key(const struct cmd *c)
{
	for (const char *p = c->name; *p; p++)
		putchar(*p == ' ' ? '-' : *p);
}

static int bash_option(void *ctx, const struct opt *row, const void *field)
{
	(void)ctx;
	(void)field;
	if (row->hidden || !row->name)
		return 0;
	printf(" --%s%s", row->name, takes_value(row) && !row->optional_value ? "=" : "");
	return 0;
}

static int bash_values(void *ctx, const struct opt *row, const void *field)
{
	const struct cmd *c = ctx;

	(void)field;
	if (row->hidden || !row->name || !(row->choices || takes_file(row)))
		return 0;
	putchar('\t');
	put_key(c);
	printf(":--%s)", row->name);
	if (row->choices) {
		printf(" values='");
		for (size_t i = 0; row->choices[i]; i++)
			printf("%s%s", i ? " " : "", row->choices[i]);
		puts("' ;;");
	} else {
		puts(" files=1 ;;");
	}
	return 0;
}

/* Options that take the next word, so that it is not completed as something else. */
static int bash_wants_word(void *ctx, const struct opt *row, const void *field)
{
	const struct cmd *c = ctx;

	(void)field;
	if (row->hidden || !row->name || !takes_value(row) || row->optional_value)
		return 0;
	putchar(' ');
	put_key(c);
	printf(":--%s", row->name);
	if (row->short_name) {
		putchar(' ');
		put_key(c);
		printf(":-%c", row->short_name);
	}
	return 0;
}

static int bash_short(void *ctx, const struct opt *row, const void *field)
{
	const struct cmd *c = ctx;

	(void)field;
	if (row->hidden || !row->short_name || !row->name || !takes_value(row))
		return 0;
	putchar('\t');
	put_key(c);
	printf(":-%c) option=--%s ;;\n", row->short_name, row->name);
	return 0;
}

static void each_option(opt_visit *visit)
{
	for (size_t i = 0; cmd_list[i]; i++)
		if (is_shown(cmd_list[i]))
			opt_each(cmd_list[i]->table, NULL, visit, (void *)(uintptr_t)cmd_list[i]);
}

static void bash_begin(void)
{
	fputs("# bash completion for mpbench, made by `mpbench completion bash`\n"
	      "_mpbench() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal sub=${COMP_WORDS[1]} option='' values='' files='' options='' operands=''\n"
	      "\tlocal wants=' ",
	      stdout);
	each_option(bash_wants_word);
	fputs(" '\n\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '",
	      stdout);
	put_command_names();
	fputs(" --help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n"
	      "\tif [ \"$COMP_CWORD\" -gt 2 ]; then\n\t\tcase \"$sub ${COMP_WORDS[2]}\" in\n",
	      stdout);
	for (size_t i = 0; cmd_list[i]; i++) {
		if (!is_shown(cmd_list[i]) || !second_word(cmd_list[i]))
			continue;
		printf("\t\t'%s') sub=", cmd_list[i]->name);
		put_key(cmd_list[i]);
		puts(" ;;");
	}
	fputs("\t\tesac\n\tfi\n", stdout);
}

static void bash_command(const struct cmd *c)
{
	putchar('\t');
	put_key(c);
	fputs(") options='--help", stdout);
	opt_each(c->table, NULL, bash_option, NULL);
	putchar('\'');
	if (has_operand_words(c)) {
		fputs(" operands='", stdout);
		put_operand_words(c);
		putchar('\'');
	}
	puts(operand_is_file(c) ? " files=1 ;;" : " ;;");
}

/* bash splits words at '=' (COMP_WORDBREAKS), so "--x=v" comes as three of them. */
static void bash(void)
{
	bash_begin();
	fputs("\tif [ \"$cur\" = = ]; then option=$prev cur=''\n"
	      "\telif [ \"$prev\" = = ]; then option=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\telse case \"$wants\" in *\" $sub:$prev \"*) option=$prev ;; esac\n\tfi\n"
	      "\tcase \"$sub:$option\" in\n",
	      stdout);
	each_option(bash_short);
	fputs("\tesac\n\tcase \"$sub:$option\" in\n", stdout);
	each_option(bash_values);
	fputs("\tesac\n"
	      "\tif [ -n \"$option\" ]; then\n"
	      "\t\tif [ -n \"$values\" ]; then COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
	      "\t\telif [ -n \"$files\" ]; then compopt -o filenames 2>/dev/null\n"
	      "\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n\t\tfi\n\t\treturn\n\tfi\n"
	      "\tcase \"$sub\" in\n",
	      stdout);
	for (size_t i = 0; cmd_list[i]; i++)
		if (is_shown(cmd_list[i]))
			bash_command(cmd_list[i]);
	fputs("\tesac\n"
	      "\tcase \"$cur\" in\n"
	      "\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
	      "\t\tcase \"${COMPREPLY[0]}\" in *=) compopt -o nospace 2>/dev/null ;; esac ;;\n"
	      "\t*) if [ -n \"$files\" ]; then compopt -o filenames 2>/dev/null\n"
	      "\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\t\telse COMPREPLY=($(compgen -W \"$operands\" -- \"$cur\"))\n\t\tfi ;;\n"
	      "\tesac\n}\ncomplete -F _mpbench mpbench\n",
	      stdout);
}

/* The parts of a zsh spec stand between brackets and colons, which text may hold as well. */
static void zsh_text(const char *text)
{
	for (; text && *text; text++) {
		if (strchr("[]:\\", *text))
			putchar('\\');
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

static void zsh_action(const struct opt *row)
{
	if (!takes_value(row))
		return;
	fputs(row->optional_value ? "::" : ":", stdout);
	zsh_text(row->arg ? row->arg : "value");
	putchar(':');
	if (row->choices) {
		putchar('(');
		for (size_t i = 0; row->choices[i]; i++)
			printf("%s%s", i ? " " : "", row->choices[i]);
		putchar(')');
	} else if (takes_file(row)) {
		fputs("_files", stdout);
	}
}

static int zsh_option(void *ctx, const struct opt *row, const void *field)
{
	(void)ctx;
	(void)field;
	if (row->hidden || !row->name)
		return 0;
	printf("\t\t'*--%s%s[", row->name,
	       !takes_value(row)     ? ""
	       : row->optional_value ? "=-"
				     : "=");
	zsh_text(row->help);
	putchar(']');
	zsh_action(row);
	fputs("' \\\n", stdout);
	if (row->short_name) {
		printf("\t\t'*-%c%s[", row->short_name,
		       takes_value(row) && !row->optional_value ? "+" : "");
		zsh_text(row->help);
		putchar(']');
		if (!row->optional_value)
			zsh_action(row);
		fputs("' \\\n", stdout);
	}
	return 0;
}

static void zsh_begin(void)
{
	fputs("#compdef mpbench\n# zsh completion for mpbench, made by `mpbench completion zsh`\n"
	      "_mpbench() {\n"
	      "\tlocal -a subcommands\n\tsubcommands=(\n",
	      stdout);
	for (size_t i = 0; cmd_list[i]; i++) {
		if (!is_shown(cmd_list[i]) || second_word(cmd_list[i]))
			continue;
		printf("\t\t'%s:", cmd_list[i]->name);
		zsh_text(cmd_list[i]->summary);
		puts("'");
	}
	fputs("\t)\n"
	      "\tif (( CURRENT == 2 )); then\n"
	      "\t\t_describe subcommand subcommands\n\t\treturn\n\tfi\n"
	      "\tlocal sub=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n"
	      "\tif (( CURRENT > 2 )); then\n\t\tcase \"$sub $words[2]\" in\n",
	      stdout);
	for (size_t i = 0; cmd_list[i]; i++) {
		if (!is_shown(cmd_list[i]) || !second_word(cmd_list[i]))
			continue;
		printf("\t\t'%s') sub=", cmd_list[i]->name);
		put_key(cmd_list[i]);
		puts("; shift words; (( CURRENT-- )) ;;");
	}
	fputs("\t\tesac\n\tfi\n\tcase $sub in\n", stdout);
}

static void zsh(void)
{
	zsh_begin();
	for (size_t i = 0; cmd_list[i]; i++) {
		const struct cmd *c = cmd_list[i];

		if (!is_shown(c))
			continue;
		putchar('\t');
		put_key(c);
		puts(")\n\t\t_arguments -s -S \\\n\t\t'--help[show help]' \\");
		opt_each(c->table, NULL, zsh_option, NULL);
		if (has_operand_words(c)) {
			fputs("\t\t'*:argument:(", stdout);
			put_operand_words(c);
			puts(")' ;;");
		} else {
			printf("\t\t'*:argument:%s' ;;\n", operand_is_file(c) ? "_files" : "");
		}
	}
	fputs("\tesac\n}\n"
	      "if [ \"$funcstack[1]\" = _mpbench ]; then\n\t_mpbench \"$@\"\nelse\n"
	      "\tcompdef _mpbench mpbench\nfi\n",
	      stdout);
}

/* When this command's words are being typed: both of them, for one of two. */
static void fish_condition(const struct cmd *c)
{
	const char *second = second_word(c);

	printf("complete -c mpbench -n '__fish_seen_subcommand_from %.*s%s%s'",
	       (int)strcspn(c->name, " "), c->name,
	       second ? "; and __fish_seen_subcommand_from " : "", second ? second : "");
}

static int fish_option(void *ctx, const struct opt *row, const void *field)
{
	const struct cmd *c = ctx;

	(void)field;
	if (row->hidden || !row->name)
		return 0;
	fish_condition(c);
	printf(" -l %s", row->name);
	if (row->short_name)
		printf(" -s %c", row->short_name);
	if (row->choices && takes_value(row)) {
		fputs(" -x -a '", stdout);
		for (size_t i = 0; row->choices[i]; i++)
			printf("%s%s", i ? " " : "", row->choices[i]);
		putchar('\'');
	} else if (takes_value(row) && !row->optional_value) {
		fputs(takes_file(row) ? " -r -F" : " -x", stdout);
	}
	fputs(" -d ", stdout);
	put_quoted(row->help ? row->help : "");
	putchar('\n');
	return 0;
}

static void fish_command(const struct cmd *c)
{
	if (!second_word(c)) {
		printf("complete -c mpbench -n __fish_use_subcommand -a %s -d ", c->name);
		put_quoted(c->summary);
		putchar('\n');
	}
	fish_condition(c);
	puts(" -l help -d 'show help'");
	opt_each(c->table, NULL, fish_option, (void *)(uintptr_t)c);
	if (operand_is_file(c)) {
		fish_condition(c);
		puts(" -F");
	}
	if (has_operand_words(c)) {
		fish_condition(c);
		fputs(" -a '", stdout);
		put_operand_words(c);
		puts("'");
	}
}

static void fish(void)
{
	fputs("# fish completion for mpbench, made by `mpbench completion fish`\n"
	      "complete -c mpbench -f\n"
	      "complete -c mpbench -n __fish_use_subcommand -l version -d 'print the version'\n",
	      stdout);
	for (size_t i = 0; cmd_list[i]; i++)
		if (is_shown(cmd_list[i]))
			fish_command(cmd_list[i]);
}

extern const struct cmd cmd_completion;

static int run(int argc, char **argv, struct err *e)
{
	const char *shell;
	size_t n;
	int rc = cmd_parse(&cmd_completion, argc, argv, NULL, &shell, 1, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand", "which shell: bash, zsh or fish?");
	if (strcmp(shell, "bash") == 0)
		bash();
	else if (strcmp(shell, "zsh") == 0)
		zsh();
	else if (strcmp(shell, "fish") == 0)
		fish();
	else
		return err_set(e, ERR_USAGE, "operand",
			       "no completion for '%s' (bash, zsh or fish)", shell);
	return 0;
}

static const char *const examples[] = {
	"source <(mpbench completion bash)",
	"for this bash",
	"mpbench completion fish",
	"print it for a file in fish's completions directory",
	NULL,
};

const struct cmd cmd_completion = {
	.group = CMD_MACHINE,
	.name = "completion",
	.operands = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.about =
		"Prints a script that completes subcommands, options, their values and file names. It is made from the "
		"same tables that parse the options.",
	.examples = examples,
	.table = no_opts,
	.run = run,
};
