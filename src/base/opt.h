/* opt - one table per command: parsing, --help, completion, man page and the result's config */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum opt_type {
	OPT_FLAG,     /* bool; --x and --no-x */
	OPT_U32,      /* uint32_t */
	OPT_U64,      /* uint64_t */
	OPT_DURATION, /* uint64_t ns */
	OPT_SIZE,     /* uint64_t bytes */
	OPT_RATE,     /* uint64_t per second */
	OPT_DOUBLE,   /* double (percent allowed) */
	OPT_COUNT,    /* uint32_t: how often it was given (-vv) */
	OPT_STRING,   /* const char * (borrowed from argv) */
	OPT_ENUM,     /* int: index into choices (NULL-terminated) */
	OPT_STRINGS,  /* struct opt_strings: repeatable, not split */
	OPT_WORDS,    /* struct opt_strings: repeatable and split at commas */
	OPT_SIZES,    /* struct opt_numbers: sizes split at commas, repeatable */
	OPT_NUMBERS,  /* struct opt_numbers: plain numbers split at commas, repeatable */
	OPT_GROUP_,   /* a table of another module; made by OPT_GROUP */
	OPT_TITLE_,   /* a heading in --help; made by OPT_TITLE */
	OPT_END_,
};

/* What an option changes: what is measured, how it is measured, or only what is written. Echoed as
 * config.what / config.how / config.out; diff refuses, warns, ignores. */
enum opt_role { OPT_WHAT, OPT_HOW, OPT_OUT };

enum { OPT_LIST_MAX = 64 };

/* Lists: n items; a list given on the command line replaces the default list. Text is borrowed from argv; word lists
 * are split in place (opt_parse writes NULs over their commas), so who needs argv afterwards keeps a copy. */
struct opt_strings {
	size_t n;
	const char *v[OPT_LIST_MAX];
};

struct opt_numbers {
	size_t n;
	uint64_t v[OPT_LIST_MAX];
};

/*
 * One row. `min`/`max` bound the numeric types and list items (both 0: no bound; only max 0: no upper bound); `arg` is
 * the placeholder ("N", "TIME"; shells complete file names for "FILE" and "DIR"); `choices` belongs to OPT_ENUM and may
 * stand with OPT_WORDS (each word is then one of them); `optional_value`: may stand alone, then means this string (a value is taken
 * only after '='); `given`: OPT_GIVEN(struct, field), a bool that becomes true when the option was given, 0: none;
 * `hidden`: not shown in --help. `child` belongs to OPT_GROUP.
 */
struct opt {
	char short_name;
	bool hidden;
	const char *name;
	enum opt_type type;
	enum opt_role role;
	size_t offset;
	const char *arg;
	const char *help;
	uint64_t min, max;
	const char *const *choices;
	const char *optional_value;
	size_t given;
	const struct opt *child;
};

/* A compile-time check that the field has the type the row says; yields the offset. */
#define OPT_AT(type_, owner, field) \
	(offsetof(owner, field) + \
	 0 * sizeof(struct { \
		 _Static_assert( \
			 __builtin_types_compatible_p(__typeof__(((owner *)0)->field), type_), \
			 "option row and field differ in type"); \
		 int x; \
	 }))

/* `.given = OPT_GIVEN(struct, field)`: kept one up, so that a row without it needs no initialiser. */
#define OPT_GIVEN(owner, field) (OPT_AT(bool, owner, field) + 1)

/* clang-format off */
#define OPT_ROW_(s, n, t, ct, role_, owner, field, arg_, help_, ...)                               \
	{ .short_name = (s), .name = (n), .type = (t), .role = (role_), .offset = OPT_AT(ct, owner, field), \
	  .arg = (arg_), .help = (help_), ##__VA_ARGS__ }
/* The trailing arguments are further designated fields: `.min = 1, .max = 100`. */
#define OPT_FLAG_ROW(s, n, role, owner, field, help, ...) OPT_ROW_(s, n, OPT_FLAG, bool, role, owner, field, NULL, help, ##__VA_ARGS__)
#define OPT_U32_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_U32, uint32_t, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_U64_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_U64, uint64_t, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_DURATION_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_DURATION, uint64_t, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_SIZE_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_SIZE, uint64_t, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_RATE_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_RATE, uint64_t, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_DOUBLE_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_DOUBLE, double, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_COUNT_ROW(s, n, role, owner, field, help, ...) OPT_ROW_(s, n, OPT_COUNT, uint32_t, role, owner, field, NULL, help, ##__VA_ARGS__)
#define OPT_STRING_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_STRING, const char *, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_ENUM_ROW(s, n, role, owner, field, choices_, help, ...) OPT_ROW_(s, n, OPT_ENUM, int, role, owner, field, NULL, help, .choices = (choices_), ##__VA_ARGS__)
#define OPT_STRINGS_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_STRINGS, struct opt_strings, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_WORDS_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_WORDS, struct opt_strings, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_SIZES_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_SIZES, struct opt_numbers, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_NUMBERS_ROW(s, n, role, owner, field, arg, help, ...) OPT_ROW_(s, n, OPT_NUMBERS, struct opt_numbers, role, owner, field, arg, help, ##__VA_ARGS__)
#define OPT_GROUP(table, ct, owner, field) { .type = OPT_GROUP_, .offset = OPT_AT(ct, owner, field), .child = (table) }
#define OPT_TITLE(text) { .type = OPT_TITLE_, .help = (text) }
#define OPT_END { .type = OPT_END_ }
/* clang-format on */

/*
 * Parses argv[1..argc) into `base` (defaults are what base held before). Operands are collected in order into
 * operands[0..*n) (borrowed; at most max, more is an error); GNU habits: --x=v, --x v, -xv, -x v, "--" ends,
 * options anywhere. With `stop_at_operand` the first operand ends the options and it and all after it are
 * operands (for `-- CMD ARGS`). Short flags cluster (-qv). An unknown option is ERR_USAGE with the nearest name
 * suggested. Never prints.
 */
struct opt_parse {
	const struct opt *table;
	void *base;
	const char **operands;
	size_t max_operands, n_operands;
	bool stop_at_operand;
	bool help; /* set when -h or --help was met; parsing stops there and returns 0 */
};
int opt_parse(struct opt_parse *p, int argc, char **argv, struct err *e) ERR_MUST_CHECK;

/* Walks all options, hidden ones too, groups entered, titles left out, with the address of each field (NULL where base
 * is NULL). Stops at the first non-zero return and returns it. */
typedef int opt_visit(void *ctx, const struct opt *row, const void *field);
int opt_each(const struct opt *table, const void *base, opt_visit *visit, void *ctx);
/* As opt_each, and the titles (field NULL). */
int opt_walk(const struct opt *table, const void *base, opt_visit *visit, void *ctx);
/* Adds the value in a field as it would be typed ("10s", "64K", "a,b"); nothing for one that means "unset" (0, NULL,
 * false, the type's largest number, an empty list). */
int opt_value_text(const struct opt *row, const void *field, struct buf *out);
/* Adds "TIME", "a|b" or what the type suggests; nothing for flags. */
int opt_arg_text(const struct opt *row, struct buf *out);

/* The OPTIONS block of --help for a terminal of `width` columns, defaults shown from `base` (NULL: none). Groups whose
 * table is in `brief` (NULL-terminated, may be NULL) are shown by their names only, run together. */
int opt_help(const struct opt *table, const void *base, const struct opt *const *brief,
	     unsigned width, struct buf *out);
/* Adds text in lines of at most `width` columns; lines after the first begin with `indent` blanks; `column` is where the
 * first one begins. Ends with a newline. Blanks are where lines break; a newline in the text ends a line. */
int opt_wrap(struct buf *out, const char *text, unsigned column, unsigned indent, unsigned width);

/* A word list's nearest entry by edit distance, NULL when nothing is near (distance > 1 + length/3); then the only entry
 * that contains the word (of 3 letters or more). */
const char *opt_nearest(const char *word, const char *const *list, size_t n);

/*
 * Splits a command string into words (blanks, '...', "...", backslash), never through a shell. *out is a
 * NULL-terminated vector whose words and itself are one malloc'ed block (free(*out)). ERR_USAGE for an open
 * quote or no word at all.
 */
int opt_split_command(const char *text, char ***out, struct err *e) ERR_MUST_CHECK;
