/* version - which mpbench this is */
#pragma once

/* `git describe` of the source it was built from, or the file VERSION of a source archive. Same in --version and in every
 * result. */
const char *version_text(void);
