#include "base/opt.h"

#include <stdio.h>
#include <string.h>

#include "base/opt-value.h"

/* A row and the object that its offsets count from. */
struct found {
	const struct opt *row;
	char *base;
	bool negated;
};

enum { NAMES_MAX = 256 };

struct parser {
	struct opt_parse *p;
	struct opt_seen seen;
	int argc, at;
	char **argv;
};

static bool is_end(const struct opt *row)
{
	return row->type == OPT_END_;
}

static bool find_short(const struct opt *table, char *base, char name, struct found *out)
{
	for (const struct opt *r = table; r && !is_end(r); r++) {
		if (r->type == OPT_GROUP_ && find_short(r->child, base + r->offset, name, out))
			return true;
		if (r->type < OPT_GROUP_ && r->short_name == name) {
			*out = (struct found){ r, base, false };
			return true;
		}
	}
	return false;
}

static bool find_long(const struct opt *table, char *base, const char *name, size_t len,
		      struct found *out)
{
	for (const struct opt *r = table; r && !is_end(r); r++) {
		if (r->type == OPT_GROUP_ && find_long(r->child, base + r->offset, name, len, out))
			return true;
		if (r->type < OPT_GROUP_ && r->name && strlen(r->name) == len &&
		    memcmp(r->name, name, len) == 0) {
			*out = (struct found){ r, base, false };
			return true;
		}
	}
	return false;
}

static int collect_name(void *ctx, const struct opt *row, const void *field)
{
	const char **names = ctx;
	size_t n = 0;

	(void)field;
	while (names[n])
		n++;
	if (row->name && !row->hidden && n < NAMES_MAX)
		names[n] = row->name;
	return 0;
}

static int unknown(const struct parser *s, const char *arg, size_t len, struct err *e)
{
	const char *names[NAMES_MAX + 1] = { "help" };
	const char *near = NULL;
	char word[64];
	size_t n = 0;

	opt_each(s->p->table, NULL, collect_name, names);
	while (names[n])
		n++;
	if (len > 3 && len - 2 < sizeof(word)) {
		memcpy(word, arg + 2, len - 2);
		word[len - 2] = '\0';
		near = opt_nearest(word, names, n);
	}
	if (near)
		return err_set(e, ERR_USAGE, "option",
			       "unknown option '%.*s', did you mean '--%s'?", (int)len, arg, near);
	return err_set(e, ERR_USAGE, "option", "unknown option '%.*s' (see --help)", (int)len, arg);
}

static int store(struct parser *s, const struct found *f, char *value, const char *shown,
		 struct err *e)
{
	char *field = f->base + f->row->offset;

	if (opt_store(f->row, field, value, f->negated, &s->seen, e) < 0)
		return err_wrap(e, "%s", shown);
	if (f->row->given)
		*(bool *)(f->base + f->row->given - 1) = true;
	return 0;
}

static bool takes_value(const struct opt *row)
{
	return row->type != OPT_FLAG && row->type != OPT_COUNT;
}

/* The value that an option without '=' has: the next argument, or the row's own when that may stand for it. */
static int next_value(struct parser *s, const struct found *f, const char *shown, char **value,
		      struct err *e)
{
	*value = NULL;
	if (!takes_value(f->row) || f->row->optional_value)
		return 0;
	if (s->at + 1 >= s->argc)
		return err_set(e, ERR_USAGE, "option", "%s needs a value", shown);
	*value = s->argv[++s->at];
	return 0;
}

static int parse_long(struct parser *s, char *arg, struct err *e)
{
	char *equals = strchr(arg, '='), *value = NULL, shown[64];
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
	struct found f;

	snprintf(shown, sizeof(shown), "%.*s", (int)(len < 63 ? len : 63), arg);
	if (!find_long(s->p->table, s->p->base, arg + 2, len - 2, &f)) {
		if (len == 6 && strncmp(arg, "--help", 6) == 0 && !equals) {
			s->p->help = true;
			return 0;
		}
		if (strncmp(arg, "--no-", 5) != 0 ||
		    !find_long(s->p->table, s->p->base, arg + 5, len - 5, &f) ||
		    f.row->type != OPT_FLAG)
			return unknown(s, arg, len, e);
		f.negated = true;
	}
	if (equals && !takes_value(f.row))
		return err_set(e, ERR_USAGE, "option", "%s takes no value", shown);
	if (equals)
		value = equals + 1;
	else if (next_value(s, &f, shown, &value, e) < 0)
		return -1;
	return store(s, &f, value, shown, e);
}

/* -x, -xVALUE, -x VALUE, and flags run together. */
static int parse_short(struct parser *s, char *arg, struct err *e)
{
	for (char *p = arg + 1; *p; p++) {
		char *value = NULL, shown[3] = { '-', *p, '\0' };
		struct found f;

		if (!find_short(s->p->table, s->p->base, *p, &f)) {
			if (*p != 'h')
				return unknown(s, shown, 2, e);
			s->p->help = true;
			return 0;
		}
		if (takes_value(f.row) && f.row->optional_value && p[1] == '=')
			value = p + 2;
		else if (takes_value(f.row) && !f.row->optional_value && p[1])
			value = p + 1;
		else if (next_value(s, &f, shown, &value, e) < 0)
			return -1;
		if (store(s, &f, value, shown, e) < 0)
			return -1;
		if (value)
			return 0;
	}
	return 0;
}

static int add_operand(struct opt_parse *p, const char *arg, struct err *e)
{
	if (p->n_operands >= p->max_operands)
		return err_set(e, ERR_USAGE, "operand", "unexpected argument '%s'", arg);
	p->operands[p->n_operands++] = arg;
	return 0;
}

int opt_parse(struct opt_parse *p, int argc, char **argv, struct err *e)
{
	struct parser s = { .p = p, .argc = argc, .argv = argv };
	bool options = true;

	p->n_operands = 0;
	p->help = false;
	for (s.at = 1; s.at < argc && !p->help; s.at++) {
		char *arg = argv[s.at];
		int rc;

		if (!options || arg[0] != '-' || arg[1] == '\0') {
			rc = add_operand(p, arg, e);
			options = options && !p->stop_at_operand;
		} else if (strcmp(arg, "--") == 0) {
			options = false;
			rc = 0;
		} else if (arg[1] == '-') {
			rc = parse_long(&s, arg, e);
		} else {
			rc = parse_short(&s, arg, e);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

int opt_walk(const struct opt *table, const void *base, opt_visit *visit, void *ctx)
{
	for (const struct opt *r = table; r && !is_end(r); r++) {
		const char *field =
			base && r->type != OPT_TITLE_ ? (const char *)base + r->offset : NULL;
		int rc = r->type == OPT_GROUP_ ? opt_walk(r->child, field, visit, ctx)
					       : visit(ctx, r, field);

		if (rc != 0)
			return rc;
	}
	return 0;
}

struct each {
	opt_visit *visit;
	void *ctx;
};

static int skip_titles(void *ctx, const struct opt *row, const void *field)
{
	const struct each *each = ctx;

	return row->type == OPT_TITLE_ ? 0 : each->visit(each->ctx, row, field);
}

int opt_each(const struct opt *table, const void *base, opt_visit *visit, void *ctx)
{
	struct each each = { visit, ctx };

	return opt_walk(table, base, skip_titles, &each);
}
