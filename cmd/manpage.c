/* mpbench manpage - the scdoc source of a man page: what the tables know, around what was written by hand. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

enum { PROSE_MAX = 256 << 10, PAGE_NAME_MAX = 64 };

struct manpage_opts {
	bool list;
};

static const struct opt manpage_opts[] = {
	OPT_FLAG_ROW(0, "list", OPT_OUT, struct manpage_opts, list, "print the names of all pages"),
	OPT_END,
};

/* scdoc reads * _ and backslash anywhere, other marks at the start of a line. */
static void put_text(struct buf *out, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (strchr("*_\\`~^<>", *text) || (start && strchr("#-.|[]:!;+'", *text)))
			buf_addc(out, '\\');
		buf_addc(out, *text);
		start = *text == '\n';
	}
}

static void put_names(struct buf *out, const struct opt *row)
{
	CLEANUP(buf_done) struct buf arg = BUF_INIT;

	if (row->short_name)
		buf_addf(out, "*-%c*, ", row->short_name);
	if (row->type == OPT_FLAG)
		buf_adds(out, "*--[no-]");
	else
		buf_adds(out, "*--");
	put_text(out, row->name);
	buf_addc(out, '*');
	opt_arg_text(row, &arg);
	if (arg.len) {
		buf_adds(out, row->optional_value ? "[=" : "=");
		put_text(out, arg.data);
		buf_adds(out, row->optional_value ? "]" : "");
	}
	buf_addc(out, '\n');
}

/* Help texts begin small, sentences do not. */
static void put_sentence(struct buf *out, const char *text)
{
	char first = (char)toupper((unsigned char)*text);

	if (!isalpha((unsigned char)first)) {
		put_text(out, text);
		return;
	}
	buf_addc(out, first);
	put_text(out, text + 1);
}

static int put_option(void *ctx, const struct opt *row, const void *field)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct buf *out = ctx;

	if (row->type == OPT_TITLE_) {
		buf_addf(out, "## %s\n\n", row->help);
		return 0;
	}
	if (row->hidden || !row->name)
		return 0;
	put_names(out, row);
	buf_addc(out, '\t');
	put_sentence(out, row->help ? row->help : "");
	buf_addc(out, '.');
	if (row->optional_value)
		buf_addf(out, " Alone it means *%s*.", row->optional_value);
	if (field)
		opt_value_text(row, field, &value);
	if (value.len) {
		buf_adds(out, " Default: ");
		put_text(out, value.data);
		buf_addc(out, '.');
	}
	buf_adds(out, "\n\n");
	return 0;
}

/* The hand-written section of that name: from behind its heading to the next one. NULL when there is none. */
static const char *section(const char *prose, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *p = prose; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		const char *end;

		if (strncmp(p, "# ", 2) != 0 || strncmp(p + 2, name, n) != 0 || p[2 + n] != '\n')
			continue;
		p += 3 + n;
		end = strncmp(p, "# ", 2) == 0 ? p : strstr(p, "\n# ");
		*len = end ? (size_t)(end - p) : strlen(p);
		return p;
	}
	return NULL;
}

static bool put_section(struct buf *out, const char *prose, const char *name)
{
	size_t len;
	const char *text = section(prose, name, &len);

	if (!text)
		return false;
	buf_addf(out, "# %s\n", name);
	buf_add(out, text, len);
	if (len == 0 || text[len - 1] != '\n')
		buf_addc(out, '\n');
	buf_addc(out, '\n');
	return true;
}

/* Sections that stand between OPTIONS and EXIT STATUS because nothing here makes them. */
static void put_other_sections(struct buf *out, const char *prose)
{
	static const char *const made[] = { "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES",
					    "SEE ALSO" };

	for (const char *p = prose; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		char name[64] = "";
		bool known = false;

		if (strncmp(p, "# ", 2) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p + 2, "\n"), p + 2);
		for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
			known = known || strcmp(name, made[i]) == 0;
		if (!known)
			put_section(out, prose, name);
	}
}

static void put_exit_status(struct buf *out, const char *prose)
{
	static const char *const rows[][2] = {
		{ "0", "Done; every check and comparison held." },
		{ "1", "A check or a comparison failed." },
		{ "2", "Wrong options or operands, or input that cannot be read." },
		{ "3", "This machine cannot: a privilege, a feature or a program is missing." },
		{ "4",
		  "The target failed: nothing succeeded, a transfer was short or corrupt, or failures went beyond "
		  "their limit. The document is written all the same and says which." },
		{ "5", "The result could not be written, or a fault in mpbench." },
		{ "128+n",
		  "Ended by signal n (130: interrupted). What was measured is written, marked interrupted." },
	};

	if (put_section(out, prose, "EXIT STATUS"))
		return;
	buf_adds(out, "# EXIT STATUS\n\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		buf_addf(out, "*%s*\n\t%s\n\n", rows[i][0], rows[i][1]);
}

static void put_examples(struct buf *out, const struct cmd *c, const char *prose)
{
	size_t len;
	const char *text = section(prose, "EXAMPLES", &len);

	if (!text && !c->examples)
		return;
	buf_adds(out, "# EXAMPLES\n\n");
	for (const char *const *x = c->examples; x && x[0] && x[1]; x += 2) {
		put_sentence(out, x[1]);
		buf_addf(out, ":\n\n```\n%s\n```\n\n", x[0]);
	}
	if (text)
		buf_add(out, text, len);
	buf_adds(out, text ? "\n\n" : "");
}

/* "serve tftp" has the page mpbench-serve-tftp. */
static void page_name(char out[PAGE_NAME_MAX], const struct cmd *c)
{
	snprintf(out, PAGE_NAME_MAX, "mpbench-%s", c->name);
	for (char *p = out; *p; p++)
		if (*p == ' ')
			*p = '-';
}

static const struct cmd *page_command(const char *page)
{
	char name[PAGE_NAME_MAX];

	for (size_t i = 0; cmd_list[i]; i++) {
		page_name(name, cmd_list[i]);
		if (strcmp(name, page) == 0)
			return cmd_list[i];
	}
	return NULL;
}

static void put_children(struct buf *out, const struct cmd *parent)
{
	char page[PAGE_NAME_MAX];

	if (cmd_has_children(parent))
		buf_adds(out, "# SUBCOMMANDS\n\n");
	for (size_t i = 0; cmd_list[i]; i++) {
		if (!cmd_is_child(parent, cmd_list[i]))
			continue;
		page_name(page, cmd_list[i]);
		buf_addf(out, "*%s*\n\t", cmd_list[i]->name);
		put_sentence(out, cmd_list[i]->summary);
		buf_addf(out, ". See *%s*(1).\n\n", page);
	}
}

static void put_command(struct buf *out, const struct cmd *c, const char *prose)
{
	char page[PAGE_NAME_MAX];

	page_name(page, c);
	buf_addf(out, "%s(1) \"\" \"mpbench\"\n\n# NAME\n\n%s - ", page, page);
	put_text(out, c->summary);
	buf_addf(out, "\n\n# SYNOPSIS\n\n*mpbench %s*%s", c->name,
		 c->table && c->table->type != OPT_END_ ? " [_OPTIONS_]" : "");
	if (c->operands && *c->operands) {
		buf_addc(out, ' ');
		put_text(out, c->operands);
	}
	buf_adds(out, "\n\n");
	if (!put_section(out, prose, "DESCRIPTION")) {
		buf_adds(out, "# DESCRIPTION\n\n");
		put_text(out, c->about ? c->about : c->summary);
		buf_adds(out, "\n\n");
	}
	buf_adds(out, "# OPTIONS\n\n");
	opt_walk(c->table, c->defaults, put_option, out);
	buf_adds(out, "*-h*, *--help*\n\tPrint a summary of the options and examples.\n\n");
	put_children(out, c);
	put_other_sections(out, prose);
	put_exit_status(out, prose);
	put_examples(out, c, prose);
	if (!put_section(out, prose, "SEE ALSO"))
		buf_adds(out, "# SEE ALSO\n\n*mpbench*(1)\n");
}

static void put_overview(struct buf *out, const char *prose)
{
	char page[PAGE_NAME_MAX];
	static const char *const groups[] = { "Measure", "Trace", "Serve",
					      "Judge",	 "Look",  "Machine" };

	buf_adds(
		out,
		"mpbench(1) \"\" \"mpbench\"\n\n# NAME\n\nmpbench - benchmark and profile devices and servers\n\n"
		"# SYNOPSIS\n\n*mpbench* _SUBCOMMAND_ [_OPTIONS_] ...\n\n*mpbench* --version | --help\n\n");
	put_section(out, prose, "DESCRIPTION");
	buf_adds(out, "# SUBCOMMANDS\n\n");
	for (size_t g = 0; g < CMD_HIDDEN; g++) {
		bool first = true;

		for (size_t i = 0; cmd_list[i]; i++) {
			if (cmd_list[i]->group != g)
				continue;
			if (first)
				buf_addf(out, "## %s\n\n", groups[g]);
			first = false;
			buf_addf(out, "*%s*\n\t", cmd_list[i]->name);
			put_sentence(out, cmd_list[i]->summary);
			page_name(page, cmd_list[i]);
			buf_addf(out, ". See *%s*(1).\n\n", page);
		}
	}
	put_other_sections(out, prose);
	put_exit_status(out, prose);
	put_section(out, prose, "EXAMPLES");
	if (!put_section(out, prose, "SEE ALSO"))
		buf_adds(out, "# SEE ALSO\n\nThe page of each subcommand.\n");
}

static void print_names(void)
{
	char page[PAGE_NAME_MAX];

	puts("mpbench");
	for (size_t i = 0; cmd_list[i]; i++) {
		page_name(page, cmd_list[i]);
		if (cmd_list[i]->group != CMD_HIDDEN)
			puts(page);
	}
}

static int read_prose(const char *path, struct buf *out, struct err *e)
{
	char block[4096];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return err_sys(e, ERR_USAGE, "%s", path);
	while ((n = fread(block, 1, sizeof(block), f)) > 0 && buf_add(out, block, n) == 0)
		;
	n = (size_t)ferror(f);
	fclose(f);
	if (n || out->failed)
		return err_set(e, ERR_USAGE, "manpage", "%s: cannot be read", path);
	return 0;
}

extern const struct cmd cmd_manpage;

static int run(int argc, char **argv, struct err *e)
{
	CLEANUP(buf_done) struct buf prose = { .max = PROSE_MAX }, out = BUF_INIT;
	struct manpage_opts o = { 0 };
	const struct cmd *c = NULL;
	const char *operands[2];
	size_t n;
	int rc = cmd_parse(&cmd_manpage, argc, argv, &o, operands, 2, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (o.list) {
		print_names();
		return 0;
	}
	if (n == 0)
		return err_set(e, ERR_USAGE, "operand", "which page? (mpbench manpage --list)");
	c = page_command(operands[0]);
	if (!c && strcmp(operands[0], "mpbench") != 0)
		return err_set(e, ERR_USAGE, "operand", "no page '%s' (mpbench manpage --list)",
			       operands[0]);
	if (n > 1 && read_prose(operands[1], &prose, e) < 0)
		return -1;
	if (c)
		put_command(&out, c, buf_text(&prose));
	else
		put_overview(&out, buf_text(&prose));
	if (out.failed)
		return err_nomem(e);
	fwrite(buf_text(&out), 1, out.len, stdout); /* main looks at ferror(stdout) */
	return 0;
}

const struct cmd cmd_manpage = {
	.group = CMD_HIDDEN,
	.name = "manpage",
	.operands = "PAGE [PROSE_FILE]",
	.summary = "print the scdoc source of a man page",
	.about =
		"Prints the source of a man page for scdoc: names, options, defaults and examples from the tables, "
		"descriptions from the file.",
	.table = manpage_opts,
	.run = run,
};
