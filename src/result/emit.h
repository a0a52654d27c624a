/* emit - a JSON document onto disk or stdout, whole or not at all */
#pragma once

#include "result/document.h"

/* The text of a document (indent 1, keys in insertion order, arrays of plain values on one line, newline at the end); *out
 * is malloc'ed. */
int emit_text(json_t *root, char **out, size_t *len, struct err *e) ERR_MUST_CHECK;
/*
 * Bytes that are no JSON as well, whole or not at all:
 * FILE.tmp.PID, write loop (EINTR, short writes), fsync, rename, fsync of the directory. "-" is stdout; symbolic links are
 * followed; what exists and is no regular file (a pipe, /dev/stdout) is written to directly. An old file keeps its
 * permissions. On failure (ERR_INTERNAL naming the file) the old file is untouched and no temporary file stays; only when
 * the last step fails is the new file in place, though not known to survive a power cut.
 */
int emit_bytes(const char *data, size_t len, const char *path, struct err *e) ERR_MUST_CHECK;
/* emit_text, then emit_bytes. */
int emit_file(json_t *root, const char *path, struct err *e) ERR_MUST_CHECK;
/* Writes all bytes to a descriptor; EPIPE is an error too. */
int emit_fd(int fd, const char *data, size_t len, const char *name, struct err *e) ERR_MUST_CHECK;
