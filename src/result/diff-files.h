/* diff-files - whether the files of two sides belong together, and what to know about them */
#pragma once

#include "result/diff.h"

/* Notes on what makes the comparison weaker: unlike config.how, other machines, noise, incomplete files, repeated CI
 * attempts; fills same_machine and noisy. */
int diff_notes(const struct side *base, const struct side *new, struct report *out,
	       struct err *e) ERR_MUST_CHECK;
