/* environment - host, noise and measured project as parts of the document */
#pragma once

#include "measure/host.h"
#include "result/json.h"

/* New references; NULL with *e filled. Unknown facts are null, never left out. */
json_t *environment_make(const struct host *h, struct err *e);
json_t *noise_make(const struct noise *n, struct err *e);
/* {commit, branch} of the project that is measured, from `commit` or else the variables of GitHub, GitLab, Jenkins,
 * Travis, CircleCI, Buildkite and Azure; an empty object where none says.
 * `variable` is getenv; NULL: no variables. */
json_t *vcs_make(const char *commit, char *(*variable)(const char *name), struct err *e);
