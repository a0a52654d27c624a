/* opt-value - one option's text made its field's value (used by opt.c only) */
#pragma once

#include "base/opt.h"

/* The lists that this command line has already begun: the first item drops the default. */
struct opt_seen {
	const void *list[OPT_LIST_MAX];
	size_t n;
};

/*
 * Stores `value` (NULL: the row's optional value; flags and counts take none) in the field of the row's type. Word lists
 * are split in place. ERR_USAGE with the range or the choices; the field is then unspecified.
 */
int opt_store(const struct opt *row, void *field, char *value, bool negated, struct opt_seen *seen,
	      struct err *e) ERR_MUST_CHECK;
