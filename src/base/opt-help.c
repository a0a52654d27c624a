#include <string.h>

#include "base/opt.h"

/* Where the descriptions begin; longer option names push theirs to the next line. */
enum { HELP_COLUMN = 27, BRIEF_INDENT = 2 };

struct help {
	const struct opt *const *brief;
	unsigned width;
	struct buf *out;
};

/* Columns of UTF-8 text, continuation bytes not counted. */
static unsigned columns(const char *text, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

static void add_blanks(struct buf *out, unsigned n)
{
	buf_addf(out, "%*s", (int)n, "");
}

int opt_wrap(struct buf *out, const char *text, unsigned column, unsigned indent, unsigned width)
{
	unsigned at = column;
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " \n");
		unsigned need = columns(text, len);

		if (!first && at + 1 + need > width) {
			buf_addc(out, '\n');
			add_blanks(out, indent);
			at = indent;
		} else if (!first) {
			buf_addc(out, ' ');
			at++;
		}
		buf_add(out, text, len);
		at += need;
		first = false;
		text += len;
		if (*text == '\n') {
			buf_addc(out, '\n');
			if (text[1] && text[1] != '\n')
				add_blanks(out, indent);
			at = indent;
			first = true;
			text++;
		} else {
			text += strspn(text, " ");
		}
	}
	return buf_addc(out, '\n');
}

static void add_names(const struct opt *row, const char *between, struct buf *out)
{
	CLEANUP(buf_done) struct buf arg = BUF_INIT;
	const char *before = row->optional_value ? "[=" : "=";

	if (opt_arg_text(row, &arg) < 0)
		out->failed = true;
	if (row->short_name)
		buf_addf(out, "-%c", row->short_name);
	if (row->short_name && row->name)
		buf_adds(out, between);
	if (row->name)
		buf_addf(out, "--%s", row->name);
	if (arg.len)
		buf_addf(out, "%s%s%s", row->name ? before : " ", arg.data,
			 row->optional_value ? "]" : "");
}

static void add_row(const struct help *h, const struct opt *row, const void *field)
{
	CLEANUP(buf_done) struct buf names = BUF_INIT, text = BUF_INIT, value = BUF_INIT;
	unsigned used;

	add_blanks(&names, row->short_name ? 2 : 6);
	add_names(row, ", ", &names);
	used = columns(buf_text(&names), names.len);
	buf_adds(&text, row->help ? row->help : "");
	if (field)
		opt_value_text(row, field, &value);
	if (value.len)
		buf_addf(&text, " [%s]", value.data);
	if (names.failed || text.failed || value.failed)
		h->out->failed = true;
	buf_adds(h->out, buf_text(&names));
	if (used + 2 > HELP_COLUMN) {
		buf_addc(h->out, '\n');
		used = 0;
	}
	add_blanks(h->out, HELP_COLUMN - used);
	opt_wrap(h->out, buf_text(&text), HELP_COLUMN, HELP_COLUMN, h->width);
}

/* No blank within an option's names: lines break between options only. */
static int add_brief(void *ctx, const struct opt *row, const void *field)
{
	struct buf *out = ctx;

	(void)field;
	if (row->hidden)
		return 0;
	if (out->len)
		buf_addc(out, ' ');
	add_names(row, ",", out);
	return out->failed ? -1 : 0;
}

static bool is_brief(const struct help *h, const struct opt *table)
{
	for (const struct opt *const *b = h->brief; b && *b; b++)
		if (*b == table)
			return true;
	return false;
}

static const char *title_of(const struct opt *table)
{
	return table && table->type == OPT_TITLE_ ? table->help : NULL;
}

static void add_table(const struct help *h, const struct opt *table, const void *base)
{
	for (const struct opt *r = table; r && r->type != OPT_END_; r++) {
		const char *field = base ? (const char *)base + r->offset : NULL;

		if (r->type == OPT_TITLE_) {
			buf_addf(h->out, "%s:\n", r->help);
		} else if (r->type == OPT_GROUP_ && is_brief(h, r->child)) {
			CLEANUP(buf_done) struct buf names = BUF_INIT;

			if (title_of(r->child))
				buf_addf(h->out, "%s:\n", title_of(r->child));
			if (opt_each(r->child, NULL, add_brief, &names) < 0)
				h->out->failed = true;
			add_blanks(h->out, BRIEF_INDENT);
			opt_wrap(h->out, buf_text(&names), BRIEF_INDENT, BRIEF_INDENT, h->width);
		} else if (r->type == OPT_GROUP_) {
			add_table(h, r->child, field);
		} else if (!r->hidden) {
			add_row(h, r, field);
		}
	}
}

int opt_help(const struct opt *table, const void *base, const struct opt *const *brief,
	     unsigned width, struct buf *out)
{
	struct help h = { brief, width, out };

	add_table(&h, table, base);
	return out->failed ? -1 : 0;
}
