#include "peer/tftp-files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/netascii.h"

static int open_beneath(int dir, const char *name, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

int tftp_files_open(struct tftp_files *f, const char *root, const char *write_root, struct err *e)
{
	int probe;

	f->read_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->write_fd = -1;
	if (f->read_fd < 0)
		return err_sys(e, ERR_USAGE, "cannot serve %s", root);
	if (write_root) {
		f->write_fd = open(write_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (f->write_fd < 0) {
			err_sys(e, ERR_USAGE, "cannot write to %s", write_root);
			tftp_files_close(f);
			return -1;
		}
	}
	probe = open_beneath(f->read_fd, ".", O_PATH);
	if (probe < 0) {
		err_sys(e, ERR_MACHINE, "openat2, which keeps file names below %s", root);
		tftp_files_close(f);
		return -1;
	}
	close(probe);
	return 0;
}

void tftp_files_close(struct tftp_files *f)
{
	fd_close(&f->read_fd);
	fd_close(&f->write_fd);
}

static int refuse(struct tftp_refusal *why, uint16_t code, const char *text)
{
	why->code = code;
	why->text = text;
	return -1;
}

static int refuse_errno(struct tftp_refusal *why, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return refuse(why, TFTP_E_NOT_FOUND, "file not found");
	case EXDEV:
	case ELOOP:
	case EACCES:
	case EPERM:
	case EROFS:
	case EISDIR:
		return refuse(why, TFTP_E_ACCESS, "access violation");
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return refuse(why, TFTP_E_FULL, "disk full or allocation exceeded");
	case EEXIST:
		return refuse(why, TFTP_E_EXISTS, "file already exists");
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return refuse(why, TFTP_E_OTHER, "server out of resources");
	default:
		return refuse(why, TFTP_E_OTHER, "cannot read or write the file");
	}
}

/* A copy of the name, relative and with slashes; NULL without memory. */
static char *relative_name(const char *name)
{
	char *copy, *from;

	copy = strdup(name);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++) {
		if (*p == '\\')
			*p = '/';
	}
	from = copy;
	while (*from == '/' || (from[0] == '.' && from[1] == '/'))
		from++;
	memmove(copy, from, strlen(from) + 1);
	return copy;
}

static int fill(struct tftp_file *file, uint64_t offset)
{
	size_t done = 0;
	uint64_t want = file->size - offset < file->room ? file->size - offset : file->room;

	while (done < want) {
		ssize_t n =
			pread(file->fd, file->ahead + done, want - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	file->at = offset;
	file->held = done;
	return done == want ? 0 : -1;
}

/* The whole file, translated, in place of the file. */
static int translate(struct tftp_file *file, struct tftp_refusal *why)
{
	CLEANUP_FREE uint8_t *plain = NULL;
	size_t n;

	if (file->size > TFTP_NETASCII_MAX)
		return refuse(why, TFTP_E_OTHER, "too large for netascii");
	free(file->ahead);
	file->room = (size_t)file->size;
	file->ahead = malloc(file->room + 1);
	if (!file->ahead || fill(file, 0) < 0)
		return refuse(why, TFTP_E_OTHER, "cannot read the file");
	plain = file->ahead;
	n = netascii_length(plain, file->held);
	file->ahead = malloc(n + 1);
	if (!file->ahead)
		return refuse(why, TFTP_E_OTHER, "server out of resources");
	netascii_encode(file->ahead, plain, file->held);
	file->size = file->held = file->room = n;
	return 0;
}

int tftp_file_read_open(struct tftp_file *out, const struct tftp_files *f, const char *name,
			enum tftp_mode mode, struct tftp_refusal *why)
{
	CLEANUP_FREE char *path = relative_name(name);
	struct stat st;

	memset(out, 0, sizeof(*out));
	out->fd = out->dir_fd = -1;
	if (!path)
		return refuse_errno(why, ENOMEM);
	if (mode == TFTP_MODE_OTHER)
		return refuse(why, TFTP_E_ILLEGAL, "mode must be octet or netascii");
	/* O_NONBLOCK: a FIFO would hold up everyone */
	out->fd = open_beneath(f->read_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (out->fd < 0)
		return refuse_errno(why, errno);
	if (fstat(out->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		tftp_file_close(out);
		return refuse(why, TFTP_E_ACCESS, "not a regular file");
	}
	out->size = (uint64_t)st.st_size;
	out->room = out->size < TFTP_AHEAD ? (size_t)out->size : TFTP_AHEAD;
	out->ahead = malloc(out->room + 1);
	if (!out->ahead || (mode == TFTP_NETASCII && translate(out, why) < 0)) {
		if (!out->ahead)
			refuse_errno(why, ENOMEM);
		tftp_file_close(out);
		return -1;
	}
	out->whole = mode == TFTP_NETASCII;
	return 0;
}

const uint8_t *tftp_file_at(struct tftp_file *file, uint64_t offset, size_t len)
{
	if (offset > file->size || len > file->size - offset)
		return NULL;
	if (offset < file->at || offset + len > file->at + file->held) {
		if (file->whole || len > file->room || fill(file, offset) < 0)
			return NULL;
		/* it is all here: the descriptor is not needed any more */
		if (offset == 0 && file->held == file->size) {
			file->whole = true;
			fd_close(&file->fd);
		}
	}
	return file->ahead + (offset - file->at);
}

int tftp_file_write_open(struct tftp_file *out, const struct tftp_files *f, const char *name,
			 enum tftp_mode mode, uint64_t serial, struct tftp_refusal *why)
{
	CLEANUP_FREE char *path = relative_name(name);
	struct stat st;
	char *slash;

	memset(out, 0, sizeof(*out));
	out->fd = out->dir_fd = -1;
	if (f->write_fd < 0)
		return refuse(why, TFTP_E_ACCESS, "this server is read-only");
	if (mode == TFTP_MODE_OTHER)
		return refuse(why, TFTP_E_ILLEGAL, "mode must be octet or netascii");
	out->room = TFTP_AHEAD;
	out->ahead = malloc(out->room);
	slash = path ? strrchr(path, '/') : NULL;
	if (path)
		out->name = strdup(slash ? slash + 1 : path);
	if (!path || !out->name || !out->ahead) {
		tftp_file_close(out);
		return refuse_errno(why, ENOMEM);
	}
	if (slash)
		*slash = '\0';
	if (!*out->name || strcmp(out->name, ".") == 0 || strcmp(out->name, "..") == 0) {
		tftp_file_close(out);
		return refuse(why, TFTP_E_ACCESS, "access violation");
	}
	out->dir_fd = open_beneath(f->write_fd, slash ? path : ".", O_PATH | O_DIRECTORY);
	if (out->dir_fd < 0) {
		refuse_errno(why, errno);
		tftp_file_close(out);
		return -1;
	}
	out->overwrite = f->overwrite;
	out->text = mode == TFTP_NETASCII;
	if (!out->overwrite && fstatat(out->dir_fd, out->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		tftp_file_close(out);
		return refuse_errno(why, EEXIST);
	}
	snprintf(out->temporary, sizeof(out->temporary), ".upload-%d-%" PRIu64, (int)getpid(),
		 serial);
	out->fd = openat(out->dir_fd, out->temporary,
			 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (out->fd < 0) {
		refuse_errno(why, errno);
		out->temporary[0] = '\0';
		tftp_file_close(out);
		return -1;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_held(struct tftp_file *file, struct tftp_refusal *why)
{
	size_t n = file->held;

	file->held = 0;
	return write_all(file->fd, file->ahead, n) < 0 ? refuse_errno(why, errno) : 0;
}

int tftp_file_write(struct tftp_file *file, const void *data, size_t len, struct tftp_refusal *why)
{
	uint8_t plain[4096];
	const uint8_t *from = data;

	while (len) {
		/* a decoded piece is at most one byte longer */
		size_t n = file->text && len > sizeof(plain) - 1 ? sizeof(plain) - 1 : len, m = n;
		const uint8_t *what = from;

		if (n > file->room - 1)
			n = m = file->room - 1;
		if (file->text) {
			struct netascii d = { .cr = file->text_cr };

			m = netascii_decode(&d, plain, from, n, false);
			file->text_cr = d.cr;
			what = plain;
		}
		if (m > file->room - file->held && write_held(file, why) < 0)
			return -1;
		memcpy(file->ahead + file->held, what, m);
		file->held += m;
		from += n;
		len -= n;
	}
	return 0;
}

int tftp_file_commit(struct tftp_file *file, struct tftp_refusal *why)
{
	if (write_held(file, why) < 0)
		return -1;
	if (file->text_cr && write_all(file->fd, (const uint8_t *)"\r", 1) < 0)
		return refuse_errno(why, errno);
	if (close(file->fd) < 0) {
		file->fd = -1;
		return refuse_errno(why, errno);
	}
	file->fd = -1;
	if (renameat2(file->dir_fd, file->temporary, file->dir_fd, file->name,
		      file->overwrite ? 0 : RENAME_NOREPLACE) < 0)
		return refuse_errno(why, errno);
	file->temporary[0] = '\0';
	return 0;
}

void tftp_file_close(struct tftp_file *file)
{
	if (file->temporary[0] && file->dir_fd >= 0)
		unlinkat(file->dir_fd, file->temporary, 0);
	file->temporary[0] = '\0';
	fd_close(&file->fd);
	fd_close(&file->dir_fd);
	free(file->ahead);
	free(file->name);
	file->ahead = NULL;
	file->name = NULL;
}
