/* rank - which of several processes a launcher has made this one */
#pragma once

#include "base/err.h"

/*
 * The value of the first variable that is set: Open MPI, MPICH (PMI), PMIx, Slurm, then job index variables: Slurm arrays,
 * Kubernetes indexed jobs, Nomad, PBS, Grid Engine, LSF, AWS Batch, GNU parallel. *variable gets its name. NULL when none is
 * set or the value is no number. From the environment, so it lasts as long as that.
 */
const char *rank_find(const char **variable);
/*
 * `path` with every %r replaced by the rank and %% by one %; malloc'ed. ERR_USAGE for another letter behind the %, and where a
 * rank is wanted and no launcher has given one.
 */
int rank_expand(const char *path, char **out, struct err *e) ERR_MUST_CHECK;
