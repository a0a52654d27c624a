/* tftp-advice - the grid of a matrix, its best cell, and what follows from it */
#pragma once

#include "tftp-cases.h"

/* Findings: the best window and block size, and from where on a larger one is not worth it; where the time of a block goes;
 * what the round trips alone cost on an impaired link. */
int tftp_advice_add(struct tftp_cases *c, struct document *d, const struct measurement *m,
		    struct err *e) ERR_MUST_CHECK;
/* Grids of all reads, writes and storms over block size (rows) and windowsize (columns), the best cell marked with '*'; nothing where
 * there is but one row and one column. */
int tftp_advice_grid(const struct tftp_cases *c, const struct measurement *m,
		     struct buf *out) ERR_MUST_CHECK;
