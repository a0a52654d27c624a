#include "result/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int check_wrong(struct where *w, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(w->e, ERR_USAGE, "schema", "%s: %s", w->path, what);
}

__attribute__((format(printf, 2, 3))) static size_t enter(struct where *w, const char *fmt, ...)
{
	size_t before = w->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->path + w->len, sizeof(w->path) - w->len, fmt, ap);
	va_end(ap);
	w->len = n < 0 || w->len + (size_t)n >= sizeof(w->path) ? sizeof(w->path) - 1
								: w->len + (size_t)n;
	return before;
}

static void leave(struct where *w, size_t before)
{
	w->len = before;
	w->path[before] = '\0';
}

static bool is_safe_integer(const json_t *v)
{
	json_int_t i = json_integer_value(v);

	return json_is_integer(v) && i >= -JSON_INTEGER_MAX && i <= JSON_INTEGER_MAX;
}

static unsigned types_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return OBJECT;
	case JSON_ARRAY:
		return ARRAY;
	case JSON_STRING:
		return STRING;
	case JSON_INTEGER:
		return NUMBER |
		       (is_safe_integer(v) ? INTEGER | (json_integer_value(v) >= 0 ? COUNT : 0)
					   : 0);
	case JSON_REAL:
		return NUMBER;
	case JSON_NULL:
		return NONE;
	default:
		return BOOLEAN;
	}
}

static const char *expected(unsigned types)
{
	return types & OBJECT	 ? "an object"
	       : types & ARRAY	 ? "an array"
	       : types & STRING	 ? "a string"
	       : types & NUMBER	 ? "a number"
	       : types & COUNT	 ? "a whole number from 0 to 2^53 - 1"
	       : types & INTEGER ? "a whole number below 2^53"
	       : types & BOOLEAN ? "true or false"
				 : "null";
}

static int check_type(struct where *w, const json_t *v, unsigned types)
{
	if (types_of(v) & types)
		return 0;
	return check_wrong(w, "must be %s%s", expected(types),
			   types & NONE && types != NONE ? " or null" : "");
}

static int check_word(struct where *w, const char *text, const char *const *words)
{
	char list[120] = "";
	size_t used = 0;

	for (size_t i = 0; words[i]; i++) {
		int n;

		if (strcmp(text, words[i]) == 0)
			return 0;
		n = snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", words[i]);
		used += n > 0 && used + (size_t)n < sizeof(list) ? (size_t)n : 0;
	}
	return check_wrong(w, "must be one of %s", list);
}

static int check_value(struct where *w, const json_t *v, const struct field *f)
{
	if (check_type(w, v, f->types) < 0)
		return -1;
	if (f->words && json_is_string(v) && check_word(w, json_string_value(v), f->words) < 0)
		return -1;
	return f->check && !json_is_null(v) ? f->check(w, v) : 0;
}

/* fields end with a NULL key. */
int check_fields(struct where *w, const json_t *object, const struct field *fields)
{
	for (const struct field *f = fields; f->key; f++) {
		const json_t *v = json_object_get(object, f->key);
		size_t before;

		if (!v && f->required)
			return check_wrong(w, "%s is missing", f->key);
		if (!v)
			continue;
		before = enter(w, ".%s", f->key);
		if (check_value(w, v, f) < 0)
			return -1;
		leave(w, before);
	}
	return 0;
}

/* Each element (member) against one rule. */
int check_each(struct where *w, const json_t *array, const struct field *rule)
{
	const json_t *v;
	size_t i;

	json_array_foreach(array, i, v)
	{
		size_t before = enter(w, "[%zu]", i);

		if (check_value(w, v, rule) < 0)
			return -1;
		leave(w, before);
	}
	return 0;
}

int check_members(struct where *w, const json_t *object, const struct field *rule)
{
	/* jansson's iterators take no const, though they change nothing. */
	json_t *o = json_incref((json_t *)(uintptr_t)object);
	const char *key;
	json_t *v;
	int rc = 0;

	json_object_foreach(o, key, v)
	{
		size_t before = enter(w, ".%.80s", key);

		rc = check_value(w, v, rule);
		if (rc < 0)
			break;
		leave(w, before);
	}
	json_decref(o);
	return rc;
}

int check_strings(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = STRING });
}

int check_string_members(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = STRING });
}

int check_string_or_null_members(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = STRING | NONE });
}

int check_counts(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = COUNT });
}

int check_count_members(struct where *w, const json_t *v)
{
	return check_members(w, v, &(const struct field){ .types = COUNT });
}

int check_numbers_or_null(struct where *w, const json_t *v)
{
	return check_each(w, v, &(const struct field){ .types = NUMBER | NONE });
}

int check_interval(struct where *w, const json_t *v)
{
	if (json_array_size(v) != 2)
		return check_wrong(w, "must have two elements");
	return check_numbers_or_null(w, v);
}

bool check_digits(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return n > 0;
}

/* YYYY-MM-DDThh:mm:ss[.fff](Z|+hh:mm) */
int check_timestamp(struct where *w, const json_t *v)
{
	const char *p = json_string_value(v);
	size_t len = strlen(p), fraction;
	bool ok = len >= 20 && check_digits(p, 4) && p[4] == '-' && check_digits(p + 5, 2) &&
		  p[7] == '-' && check_digits(p + 8, 2) && (p[10] == 'T' || p[10] == 't') &&
		  check_digits(p + 11, 2) && p[13] == ':' && check_digits(p + 14, 2) &&
		  p[16] == ':' && check_digits(p + 17, 2);

	if (!ok)
		return check_wrong(w, "must be an RFC 3339 time such as 2026-01-31T12:00:00.000Z");
	p += 19;
	if (*p == '.') {
		fraction = strspn(p + 1, "0123456789");
		ok = fraction > 0;
		p += 1 + fraction;
	}
	ok = ok && (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0 ||
		    (strlen(p) == 6 && (*p == '+' || *p == '-') && check_digits(p + 1, 2) &&
		     p[3] == ':' && check_digits(p + 4, 2)));
	return ok ? 0 : check_wrong(w, "must be an RFC 3339 time such as 2026-01-31T12:00:00.000Z");
}
