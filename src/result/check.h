/* check - the structure of a JSON document against tables of fields, with the path of what is wrong */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "result/json.h"

enum { CHECK_PATH_MAX = 300 };

/* Where the check is; the path is shown when something is wrong there. */
struct where {
	char path[CHECK_PATH_MAX];
	size_t len;
	struct err *e;
};

/* Types of a value; a rule allows any union of them. */
enum check_type {
	OBJECT = 1,
	ARRAY = 2,
	STRING = 4,
	NUMBER = 8,   /* any */
	INTEGER = 16, /* within +-(2^53 - 1) */
	COUNT = 32,   /* an integer from 0 on */
	BOOLEAN = 64,
	NONE = 128, /* null */
};

struct field;
typedef int check_fn(struct where *w, const json_t *value);

struct field {
	const char *key;
	unsigned types;
	bool required;
	check_fn *check;	  /* not called for null */
	const char *const *words; /* the only strings allowed; NULL: any */
};

/* ERR_USAGE "PATH: what"; -1. The path stays where it was then. */
int check_wrong(struct where *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Every field of the table, which ends with a NULL key; unknown keys are allowed. */
int check_fields(struct where *w, const json_t *object, const struct field *fields);
/* Each element (member) against one rule. */
int check_each(struct where *w, const json_t *array, const struct field *rule);
int check_members(struct where *w, const json_t *object, const struct field *rule);

/* Ready-made rules: elements of arrays, members of objects. */
int check_strings(struct where *w, const json_t *v);
int check_counts(struct where *w, const json_t *v);
int check_numbers_or_null(struct where *w, const json_t *v);
int check_string_members(struct where *w, const json_t *v);
int check_string_or_null_members(struct where *w, const json_t *v);
int check_count_members(struct where *w, const json_t *v);
/* Two numbers or nulls. */
int check_interval(struct where *w, const json_t *v);
/* RFC 3339: YYYY-MM-DDThh:mm:ss[.fff](Z|+hh:mm) */
int check_timestamp(struct where *w, const json_t *v);
/* Whether p[0..n) are digits, at least one. */
bool check_digits(const char *p, size_t n);
