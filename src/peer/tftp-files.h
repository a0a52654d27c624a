/* tftp-files - the files that a TFTP server gives and takes, kept below one directory */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "proto/tftp.h"

/*
 * All names are resolved by the kernel with openat2(RESOLVE_BENEATH): neither "..", nor an absolute name, nor a symbolic link leads out of
 * the directory, whatever is renamed meanwhile. Leading slashes and a leading "./" are taken off first; '\' counts as '/'.
 */
struct tftp_files {
	int read_fd, write_fd; /* write_fd -1: nothing is taken */
	bool overwrite;
};
/* write_root NULL: read-only. ERR_USAGE when a directory cannot be opened, ERR_MACHINE where the kernel has no openat2 (before 5.6). */
int tftp_files_open(struct tftp_files *f, const char *root, const char *write_root,
		    struct err *e) ERR_MUST_CHECK;
void tftp_files_close(struct tftp_files *f);
CLEANUP_OBJ(struct tftp_files, tftp_files_close)

enum { TFTP_AHEAD = 64 << 10, TFTP_NETASCII_MAX = 16 << 20 };

/* An open file: a read in pieces of TFTP_AHEAD bytes (so that 512-byte blocks do not cost a system call each), or an upload
 * under a temporary name until it is complete. */
struct tftp_file {
	int fd;
	uint64_t
		size; /* of what is sent: netascii is translated as a whole, up to TFTP_NETASCII_MAX */
	uint8_t *ahead;
	size_t room, held;
	uint64_t at; /* file offset of ahead[0] */
	bool whole;  /* ahead is all of it */
	int dir_fd;  /* upload: directory of the name */
	char *name, temporary[48];
	bool overwrite, text, text_cr;
};
/* What failed is told to the client: code and a literal text. */
struct tftp_refusal {
	uint16_t code;
	const char *text;
};
int tftp_file_read_open(struct tftp_file *out, const struct tftp_files *f, const char *name,
			enum tftp_mode mode, struct tftp_refusal *why) ERR_MUST_CHECK;
/* len bytes at offset (within size), valid until the next call; NULL when the file became shorter or cannot be read. */
const uint8_t *tftp_file_at(struct tftp_file *file, uint64_t offset, size_t len);
/* serial makes the temporary name unique among the uploads of this process. */
int tftp_file_write_open(struct tftp_file *out, const struct tftp_files *f, const char *name,
			 enum tftp_mode mode, uint64_t serial,
			 struct tftp_refusal *why) ERR_MUST_CHECK;
int tftp_file_write(struct tftp_file *file, const void *data, size_t len,
		    struct tftp_refusal *why) ERR_MUST_CHECK;
/* Gives it its name. */
int tftp_file_commit(struct tftp_file *file, struct tftp_refusal *why) ERR_MUST_CHECK;
/* Closes; an upload that was not committed disappears. */
void tftp_file_close(struct tftp_file *file);
