/* vectors - reading the expected numbers of tests/data/stats-vectors.json */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS_UNUSED __attribute__((unused))

static VECTORS_UNUSED json_t *vectors_load(void)
{
	json_error_t error;
	json_t *root =
		json_load_file("tests/data/stats-vectors.json", JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("stats-vectors.json:%d: %s", error.line, error.text);
	return root;
}

/* Every key of `object` must be in the NULL-terminated list: nothing is skipped silently. */
static VECTORS_UNUSED void vectors_check_keys(const json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			fail_msg("unknown key \"%s\" in the vectors", key);
	}
}

static VECTORS_UNUSED bool vectors_close(double expected, double actual, double relative,
					 double absolute)
{
	return fabs(expected - actual) <= relative * fabs(expected) + absolute;
}

/* `expected` null (or absent, where the caller passes NULL) stands for NaN or an infinite end. */
static VECTORS_UNUSED void vectors_number(const char *set, const char *what, const json_t *expected,
					  double actual, double absolute)
{
	if (!expected || json_is_null(expected)) {
		if (isfinite(actual))
			fail_msg("%s: %s is %.17g, not undefined", set, what, actual);
		return;
	}
	assert_true(json_is_number(expected));
	if (!vectors_close(json_number_value(expected), actual, 1e-9, absolute))
		fail_msg("%s: %s is %.17g, expected %.17g", set, what, actual,
			 json_number_value(expected));
}

/* As vectors_number, relative tolerance only; `key` of `object`. */
static VECTORS_UNUSED void vectors_key(const char *set, const json_t *object, const char *key,
				       double actual)
{
	vectors_number(set, key, json_object_get(object, key), actual, 0);
}

/* A p value: 1e-9 absolute. */
static VECTORS_UNUSED void vectors_p(const char *set, const json_t *object, const char *key,
				     double actual)
{
	vectors_number(set, key, json_object_get(object, key), actual, 1e-9);
}

static VECTORS_UNUSED uint64_t vectors_integer(const json_t *value)
{
	assert_true(json_is_integer(value));
	return (uint64_t)json_integer_value(value);
}

/* A JSON array as doubles, one malloc'ed block; *n its length. */
static VECTORS_UNUSED double *vectors_doubles(const json_t *array, size_t *n)
{
	double *out;

	assert_true(json_is_array(array));
	*n = json_array_size(array);
	out = calloc(*n ? *n : 1, sizeof(*out));
	assert_non_null(out);
	for (size_t i = 0; i < *n; i++) {
		assert_true(json_is_number(json_array_get(array, i)));
		out[i] = json_number_value(json_array_get(array, i));
	}
	return out;
}
