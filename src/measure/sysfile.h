/* sysfile - the small text files of /proc and /sys */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* First line of root/path without its end, cut to size; false and "" where it cannot be read. */
bool sysfile_line(const char *root, const char *path, char *out, size_t size);
/* The leading decimal number of the file. */
bool sysfile_u64(const char *root, const char *path, uint64_t *out);
/* The rest of the first line that begins with `key`, blanks, tabs and colons after it skipped. */
bool sysfile_value(const char *root, const char *path, const char *key, char *out, size_t size);
bool sysfile_exists(const char *root, const char *path);
/* For reading line by line; NULL where it cannot be opened. The caller closes it. */
FILE *sysfile_open(const char *root, const char *path);
/* The leading decimal number of a text; false where there is none or it overflows. *end (NULL: not wanted) follows. */
bool sysfile_parse_u64(const char *text, uint64_t *out, const char **end);
