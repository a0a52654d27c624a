/* mpbench help - the list of subcommands, and the help of each. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"

enum { HELP_WIDTH = 80, HELP_LINES = 50, GROUPS_MAX = 8 };

struct help_opts {
	bool all;
};

static const struct opt help_opts[] = {
	OPT_FLAG_ROW('a', "all", OPT_OUT, struct help_opts, all,
		     "describe also the options that all benchmarks share"),
	OPT_END,
};

static const char *const group_names[] = {
	"measure", "trace", "serve", "judge", "look", "machine"
};

static int out_of(const struct buf *b, struct err *e)
{
	if (b->failed)
		return err_nomem(e);
	if (b->len)
		fwrite(b->data, 1, b->len, stdout); /* main looks at ferror(stdout) */
	return 0;
}

static void add_group(struct buf *out, enum cmd_group group)
{
	const char *title = group_names[group];

	for (size_t i = 0; cmd_list[i]; i++) {
		const struct cmd *c = cmd_list[i];

		if (c->group != group)
			continue;
		buf_addf(out, "  %-9s%-16s", title, c->name);
		opt_wrap(out, c->summary, 27, 27, HELP_WIDTH);
		title = "";
	}
}

int cmd_print_list(struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	buf_adds(
		&out,
		"Usage: mpbench SUBCOMMAND [OPTIONS] ...\n"
		"Measures devices and servers, traces their system calls, compares the results.\n\n");
	for (int g = CMD_MEASURE; g < CMD_HIDDEN; g++)
		add_group(&out, (enum cmd_group)g);
	buf_adds(&out, "\nNext:\n");
	if (cmd_find("bench-repl"))
		buf_adds(
			&out,
			"  mpbench bench-repl builtin:    a first benchmark, needs nothing else\n");
	if (cmd_find("doctor"))
		buf_adds(&out, "  mpbench doctor                 what this machine can do\n");
	buf_adds(&out, "  mpbench SUBCOMMAND --help      options and examples\n"
		       "  mpbench --version\n");
	return out_of(&out, e);
}

static size_t count_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

/* The groups with a title, last one first: those that benches share stand at the end. */
static size_t titled_groups(const struct cmd *c, const struct opt *out[], size_t max)
{
	size_t rows = 0, n = 0;

	while (c->table && c->table[rows].type != OPT_END_)
		rows++;
	for (const struct opt *r = c->table + rows; rows-- > 0 && n < max;) {
		r--;
		if (r->type == OPT_GROUP_ && r->child->type == OPT_TITLE_)
			out[n++] = r->child;
	}
	return n;
}

static void add_children(const struct cmd *parent, struct buf *out)
{
	if (cmd_has_children(parent))
		buf_addf(out, "\nEach has a --help of its own:\n");
	for (const struct cmd *const *c = cmd_list; *c; c++) {
		if (!cmd_is_child(parent, *c))
			continue;
		buf_addf(out, "  %-25s", (*c)->name);
		opt_wrap(out, (*c)->summary, 27, 27, HELP_WIDTH);
	}
}

static int help_text(const struct cmd *c, const struct opt *const *brief, struct buf *out)
{
	buf_addf(out, "Usage: mpbench %s%s%s%s\n", c->name, c->table ? " [OPTIONS]" : "",
		 c->operands && *c->operands ? " " : "", c->operands ? c->operands : "");
	opt_wrap(out, c->about ? c->about : c->summary, 0, 0, HELP_WIDTH);
	if (c->table && c->table->type != OPT_END_) {
		if (c->table->type != OPT_TITLE_ && c->table->type != OPT_GROUP_)
			buf_adds(out, "\nOptions:\n");
		else
			buf_addc(out, '\n');
		opt_help(c->table, c->defaults, brief, HELP_WIDTH, out);
	}
	add_children(c, out);
	if (c->examples && c->examples[0])
		buf_adds(out, "\nExamples:\n");
	for (const char *const *x = c->examples; x && x[0] && x[1]; x += 2) {
		size_t used = 2 + strlen(x[0]), what = strlen(x[1]);

		if (used + 4 + what <= HELP_WIDTH)
			buf_addf(out, "  %s  # %s\n", x[0], x[1]);
		else
			buf_addf(out, "  # %s\n  %s\n", x[1], x[0]);
	}
	return out->failed ? -1 : 0;
}

int cmd_help_text(const struct cmd *c, bool all, struct buf *out)
{
	const struct opt *groups[GROUPS_MAX], *brief[GROUPS_MAX + 1] = { NULL };
	size_t n = titled_groups(c, groups, GROUPS_MAX);

	if (help_text(c, NULL, out) < 0)
		return -1;
	for (size_t i = 0; i < n && !all && count_lines(out) > HELP_LINES - 2; i++) {
		brief[i] = groups[i];
		buf_clear(out);
		if (help_text(c, brief, out) < 0)
			return -1;
	}
	if (!brief[0])
		return 0;
	return buf_addf(out, "\nmpbench help --all %s and the man page describe every option.\n",
			c->name);
}

int cmd_print_help(const struct cmd *c, bool all, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	if (cmd_help_text(c, all, &out) < 0)
		return err_nomem(e);
	return out_of(&out, e);
}

int cmd_parse(const struct cmd *c, int argc, char **argv, void *options, const char **operands,
	      size_t max, size_t *n, struct err *e)
{
	struct opt_parse p = {
		.table = c->table, .base = options, .operands = operands, .max_operands = max
	};

	*n = 0;
	if (opt_parse(&p, argc, argv, e) < 0)
		return -1;
	*n = p.n_operands;
	if (!p.help)
		return 0;
	return cmd_print_help(c, false, e) < 0 ? -1 : 1;
}

/* The command that begins at names[*i], of one word or two; *i is moved to its last one. */
static const struct cmd *find(const char *const *names, size_t n, size_t *i)
{
	char two[64];
	const struct cmd *c = NULL;

	if (*i + 1 < n &&
	    snprintf(two, sizeof(two), "%s %s", names[*i], names[*i + 1]) < (int)sizeof(two))
		c = cmd_find(two);
	if (!c)
		return cmd_find(names[*i]);
	++*i;
	return c;
}

extern const struct cmd cmd_help;

static int run(int argc, char **argv, struct err *e)
{
	struct help_opts o = { 0 };
	const char *names[16];
	size_t n, printed = 0;
	int rc = cmd_parse(&cmd_help, argc, argv, &o, names, 16, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n == 0)
		return cmd_print_list(e);
	for (size_t i = 0; i < n; i++) {
		const struct cmd *c = find(names, n, &i);

		if (!c)
			return err_set(e, ERR_USAGE, "subcommand",
				       "no subcommand '%s' (mpbench lists them)", names[i]);
		if (printed++)
			putchar('\n');
		if (cmd_print_help(c, o.all, e) < 0)
			return -1;
	}
	return 0;
}

static const char *const examples[] = {
	"mpbench help",
	"the list of subcommands",
	"mpbench help completion",
	"the same as mpbench completion --help",
	NULL,
};

const struct cmd cmd_help = {
	.group = CMD_MACHINE,
	.name = "help",
	.operands = "[SUBCOMMAND...]",
	.summary = "what a subcommand does, its options and examples",
	.about = "Prints the list of subcommands, or the help of those named.",
	.examples = examples,
	.table = help_opts,
	.run = run,
};
