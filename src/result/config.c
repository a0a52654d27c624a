#include "result/config.h"

#include <stdio.h>

static const char *unit_suffix(enum opt_type type)
{
	switch (type) {
	case OPT_DURATION:
		return "_ns";
	case OPT_SIZE:
	case OPT_SIZES:
		return "_bytes";
	case OPT_RATE:
		return "_per_second";
	default:
		return "";
	}
}

static json_t *words(const struct opt_strings *list, struct err *e)
{
	CLEANUP(json_decref) json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		if (!array || json_push(array, json_masked_text(list->v[i]), e) < 0)
			return NULL;
	return TAKE(array);
}

static json_t *numbers(const struct opt_numbers *list, struct err *e)
{
	CLEANUP(json_decref) json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		if (!array || json_push(array, json_u64(list->v[i]), e) < 0)
			return NULL;
	return TAKE(array);
}

static json_t *choice(const struct opt *row, int index)
{
	for (int i = 0; row->choices[i]; i++)
		if (i == index)
			return json_string(row->choices[i]);
	return json_null();
}

/* The fields have the types that OPT_AT checked at compile time. */
static json_t *field_value(const struct opt *row, const void *field, struct err *e)
{
	switch (row->type) {
	case OPT_FLAG:
		return json_boolean(*(const bool *)field);
	case OPT_U32:
	case OPT_COUNT:
		return json_u64(*(const uint32_t *)field);
	case OPT_U64:
	case OPT_DURATION:
	case OPT_SIZE:
	case OPT_RATE:
		return json_u64(*(const uint64_t *)field);
	case OPT_DOUBLE:
		return json_number(*(const double *)field);
	case OPT_STRING:
		return json_masked_text(*(const char *const *)field);
	case OPT_ENUM:
		return choice(row, *(const int *)field);
	case OPT_STRINGS:
	case OPT_WORDS:
		return words(field, e);
	case OPT_SIZES:
	case OPT_NUMBERS:
		return numbers(field, e);
	default:
		return json_null();
	}
}

struct making {
	json_t *role[3];
	struct err *e;
};

static int add_row(void *ctx, const struct opt *row, const void *field)
{
	struct making *m = ctx;
	char key[96];
	int n;

	if (!row->name || row->type >= OPT_GROUP_)
		return 0;
	n = snprintf(key, sizeof(key), "%s%s", row->name, unit_suffix(row->type));
	if (n < 0 || (size_t)n >= sizeof(key))
		return err_set(m->e, ERR_INTERNAL, "bug", "option name %s is too long", row->name);
	for (char *p = key; *p; p++)
		if (*p == '-')
			*p = '_';
	return json_put(m->role[row->role], key, field_value(row, field, m->e), m->e);
}

json_t *config_make(const struct opt *table, const void *options, struct err *e)
{
	CLEANUP(json_decref) json_t *config = json_object();
	struct making m = { .e = e };

	if (!config) {
		err_nomem(e);
		return NULL;
	}
	m.role[OPT_WHAT] = json_put_object(config, "what", e);
	m.role[OPT_HOW] = m.role[OPT_WHAT] ? json_put_object(config, "how", e) : NULL;
	m.role[OPT_OUT] = m.role[OPT_HOW] ? json_put_object(config, "out", e) : NULL;
	if (!m.role[OPT_OUT])
		return NULL;
	if (table && options && opt_each(table, options, add_row, &m) != 0)
		return NULL;
	return TAKE(config);
}
