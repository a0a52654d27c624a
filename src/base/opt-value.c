#include "base/opt-value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

struct scale {
	const char *name;
	uint64_t factor;
};

static const struct scale durations[] = {
	{ "h", 3600 * NS_PER_SEC }, { "m", 60 * NS_PER_SEC }, { "s", NS_PER_SEC },
	{ "ms", NS_PER_MS },	    { "us", NS_PER_US },      { "ns", 1 },
};
static const struct scale sizes[] = {
	{ "T", UINT64_C(1) << 40 },
	{ "G", UINT64_C(1) << 30 },
	{ "M", UINT64_C(1) << 20 },
	{ "K", UINT64_C(1) << 10 },
	{ "", 1 },
};
static const struct scale rates[] = {
	{ "T", UINT64_C(1000000000000) },
	{ "G", UINT64_C(1000000000) },
	{ "M", UINT64_C(1000000) },
	{ "K", UINT64_C(1000) },
	{ "", 1 },
};

/* The largest unit that leaves a whole number, so that the text reads back as the same value. */
static void put_exact(char out[NUM_TEXT_MAX], uint64_t value, const struct scale *s)
{
	while (s->factor > 1 && value % s->factor != 0)
		s++;
	snprintf(out, NUM_TEXT_MAX, "%" PRIu64 "%s", value / s->factor, s->name);
}

static void put_number(char out[NUM_TEXT_MAX], enum opt_type type, uint64_t value)
{
	if (type == OPT_DURATION && value)
		put_exact(out, value, durations);
	else if ((type == OPT_SIZE || type == OPT_SIZES) && value)
		put_exact(out, value, sizes);
	else if (type == OPT_RATE && value)
		put_exact(out, value, rates);
	else
		snprintf(out, NUM_TEXT_MAX, "%" PRIu64, value);
}

static int check_range(const struct opt *row, const char *text, bool below, bool above,
		       uint64_t max, struct err *e)
{
	char low[NUM_TEXT_MAX], high[NUM_TEXT_MAX];

	if (!below && !above)
		return 0;
	put_number(low, row->type, row->min);
	put_number(high, row->type, max);
	if (max == UINT64_MAX)
		return err_set(e, ERR_USAGE, "range", "%s is below %s", text, low);
	return err_set(e, ERR_USAGE, "range", "%s is outside %s..%s", text, low, high);
}

static int parse_number(const struct opt *row, const char *text, uint64_t *out, struct err *e)
{
	uint64_t max = row->max ? row->max : row->type == OPT_U32 ? UINT32_MAX : UINT64_MAX;
	uint64_t v = 0;
	int rc;

	switch (row->type) {
	case OPT_DURATION:
		rc = num_parse_duration(text, &v, e);
		break;
	case OPT_SIZE:
	case OPT_SIZES:
		rc = num_parse_size(text, &v, e);
		break;
	case OPT_RATE:
		rc = num_parse_rate(text, &v, e);
		break;
	default:
		rc = num_parse_u64(text, &v, e);
		break;
	}
	if (rc < 0 || check_range(row, text, v<row->min, v> max, max, e) < 0)
		return -1;
	*out = v;
	return 0;
}

static int store_double(const struct opt *row, const char *text, double *out, struct err *e)
{
	double v;

	if (num_parse_double(text, &v, e) < 0 ||
	    check_range(row, text, v < (double)row->min, row->max && v > (double)row->max,
			row->max ? row->max : UINT64_MAX, e) < 0)
		return -1;
	*out = v;
	return 0;
}

static int find_choice(const struct opt *row, const char *text, int *out, struct err *e)
{
	CLEANUP(buf_done) struct buf list = BUF_INIT;
	size_t n = 0;

	for (; row->choices[n]; n++)
		if (strcmp(row->choices[n], text) == 0) {
			*out = (int)n;
			return 0;
		}
	for (size_t i = 0; i < n; i++)
		buf_addf(&list, "%s%s", i ? ", " : "", row->choices[i]);
	if (opt_nearest(text, row->choices, n))
		return err_set(e, ERR_USAGE, "choice", "'%s' is none of %s; did you mean '%s'?",
			       text, buf_text(&list), opt_nearest(text, row->choices, n));
	return err_set(e, ERR_USAGE, "choice", "'%s' is none of %s", text, buf_text(&list));
}

/* Empties a list at its first mention, so that it replaces the default. */
static int begin_list(struct opt_seen *seen, const void *list, size_t *n, struct err *e)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->list[i] == list)
			return 0;
	if (seen->n == OPT_LIST_MAX)
		return err_set(e, ERR_INTERNAL, "option", "more than %d lists in one table",
			       OPT_LIST_MAX);
	seen->list[seen->n++] = list;
	*n = 0;
	return 0;
}

static int add_item(const struct opt *row, void *field, char *item, struct err *e)
{
	bool number = row->type == OPT_SIZES || row->type == OPT_NUMBERS;
	struct opt_strings *strings = field;
	struct opt_numbers *numbers = field;
	size_t *n = number ? &numbers->n : &strings->n;
	int choice;

	if (*item == '\0' && row->type != OPT_STRINGS)
		return err_set(e, ERR_USAGE, "list", "an empty item in the list");
	if (*n >= OPT_LIST_MAX)
		return err_set(e, ERR_USAGE, "list", "more than %d values", OPT_LIST_MAX);
	if (number) {
		if (parse_number(row, item, &numbers->v[*n], e) < 0)
			return -1;
	} else {
		if (row->choices && find_choice(row, item, &choice, e) < 0)
			return -1;
		strings->v[*n] = item;
	}
	++*n;
	return 0;
}

static int store_list(const struct opt *row, void *field, char *text, struct opt_seen *seen,
		      struct err *e)
{
	struct opt_strings *strings = field;
	struct opt_numbers *numbers = field;
	bool number = row->type == OPT_SIZES || row->type == OPT_NUMBERS;

	if (begin_list(seen, field, number ? &numbers->n : &strings->n, e) < 0)
		return -1;
	if (row->type == OPT_STRINGS)
		return add_item(row, field, text, e);
	for (char *comma; (comma = strchr(text, ',')); text = comma + 1) {
		*comma = '\0';
		if (add_item(row, field, text, e) < 0)
			return -1;
	}
	return add_item(row, field, text, e);
}

/* A row's own value is a literal: lists could not split it in place, so it is one item of theirs. */
static int store_optional(const struct opt *row, void *field, struct opt_seen *seen, struct err *e)
{
	struct opt_strings *strings = field;
	struct opt plain = *row;

	plain.optional_value = NULL;
	if (row->type == OPT_STRING) {
		*(const char **)field = row->optional_value;
		return 0;
	}
	if (row->type == OPT_STRINGS || row->type == OPT_WORDS) {
		if (begin_list(seen, field, &strings->n, e) < 0)
			return -1;
		if (strings->n >= OPT_LIST_MAX)
			return err_set(e, ERR_USAGE, "list", "more than %d values", OPT_LIST_MAX);
		strings->v[strings->n++] = row->optional_value;
		return 0;
	}
	char text[64];

	snprintf(text, sizeof(text), "%s", row->optional_value);
	return opt_store(&plain, field, text, false, seen, e);
}

int opt_store(const struct opt *row, void *field, char *value, bool negated, struct opt_seen *seen,
	      struct err *e)
{
	uint64_t number = 0;

	if (row->type == OPT_FLAG) {
		*(bool *)field = !negated;
		return 0;
	}
	if (row->type == OPT_COUNT) {
		if (*(uint32_t *)field < UINT32_MAX)
			++*(uint32_t *)field;
		return 0;
	}
	if (!value)
		return store_optional(row, field, seen, e);
	switch (row->type) {
	case OPT_U32:
		if (parse_number(row, value, &number, e) < 0)
			return -1;
		*(uint32_t *)field = (uint32_t)number;
		return 0;
	case OPT_DOUBLE:
		return store_double(row, value, field, e);
	case OPT_STRING:
		*(const char **)field = value;
		return 0;
	case OPT_ENUM:
		return find_choice(row, value, field, e);
	case OPT_STRINGS:
	case OPT_WORDS:
	case OPT_SIZES:
	case OPT_NUMBERS:
		return store_list(row, field, value, seen, e);
	default:
		return parse_number(row, value, field, e);
	}
}

static int add_list_text(const struct opt *row, const void *field, struct buf *out)
{
	const struct opt_strings *strings = field;
	const struct opt_numbers *numbers = field;
	char text[NUM_TEXT_MAX];

	if (row->type == OPT_STRINGS || row->type == OPT_WORDS) {
		for (size_t i = 0; i < strings->n; i++)
			buf_addf(out, "%s%s", i ? "," : "", strings->v[i]);
	} else {
		for (size_t i = 0; i < numbers->n; i++) {
			put_number(text, row->type, numbers->v[i]);
			buf_addf(out, "%s%s", i ? "," : "", text);
		}
	}
	return out->failed ? -1 : 0;
}

static int add_number_text(enum opt_type type, uint64_t value, uint64_t largest, struct buf *out)
{
	char text[NUM_TEXT_MAX];

	if (value == 0 || value == largest)
		return 0;
	put_number(text, type, value);
	return buf_adds(out, text);
}

int opt_value_text(const struct opt *row, const void *field, struct buf *out)
{
	const char *text;

	switch (row->type) {
	case OPT_FLAG:
		return *(const bool *)field ? buf_adds(out, "on") : 0;
	case OPT_U32:
	case OPT_COUNT:
		return add_number_text(row->type, *(const uint32_t *)field, UINT32_MAX, out);
	case OPT_DOUBLE:
		if (*(const double *)field == 0) /* unset */
			return 0;
		return buf_addf(out, "%.10g", *(const double *)field);
	case OPT_STRING:
		text = *(const char *const *)field;
		return text ? buf_adds(out, text) : 0;
	case OPT_ENUM:
		return buf_adds(out, row->choices[*(const int *)field]);
	case OPT_STRINGS:
	case OPT_WORDS:
	case OPT_SIZES:
	case OPT_NUMBERS:
		return add_list_text(row, field, out);
	default:
		return add_number_text(row->type, *(const uint64_t *)field, UINT64_MAX, out);
	}
}

int opt_arg_text(const struct opt *row, struct buf *out)
{
	static const char *const names[OPT_END_ + 1] = {
		[OPT_U32] = "N",	  [OPT_U64] = "N",	   [OPT_DURATION] = "TIME",
		[OPT_SIZE] = "SIZE",	  [OPT_RATE] = "RATE",	   [OPT_DOUBLE] = "NUMBER",
		[OPT_STRING] = "TEXT",	  [OPT_STRINGS] = "TEXT",  [OPT_WORDS] = "A,B",
		[OPT_SIZES] = "SIZE,...", [OPT_NUMBERS] = "N,...",
	};

	if (row->arg)
		return buf_adds(out, row->arg);
	if (row->type != OPT_ENUM)
		return names[row->type] ? buf_adds(out, names[row->type]) : 0;
	for (size_t i = 0; row->choices[i]; i++)
		buf_addf(out, "%s%s", i ? "|" : "", row->choices[i]);
	return out->failed ? -1 : 0;
}
