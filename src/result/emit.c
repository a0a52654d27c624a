#include "result/emit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

/* Reals carry 15 digits: what a double keeps through text and back. */
enum { LEAF_FLAGS = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) };

static void add_leaf(struct buf *b, const json_t *value)
{
	CLEANUP_FREE char *text = json_dumps(value, LEAF_FLAGS);

	if (!text)
		b->failed = true;
	else
		buf_adds(b, text);
}

static void add_key(struct buf *b, const char *key)
{
	CLEANUP(json_decref) json_t *text = json_string(key);

	if (!text)
		b->failed = true;
	else
		add_leaf(b, text);
	buf_adds(b, ": ");
}

static void new_line(struct buf *b, unsigned depth)
{
	buf_addc(b, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_addc(b, ' ');
}

static bool is_flat(const json_t *array)
{
	const json_t *value;
	size_t i;

	json_array_foreach(array, i,
			   value) if (json_is_object(value) || json_is_array(value)) return false;
	return true;
}

static void add_value(struct buf *b, json_t *value, unsigned depth)
{
	const char *key;
	json_t *member;
	size_t i;
	bool first = true;

	if (b->failed)
		return;
	if (json_is_object(value) && json_object_size(value)) {
		json_object_foreach(value, key, member)
		{
			buf_addc(b, first ? '{' : ',');
			new_line(b, depth + 1);
			add_key(b, key);
			add_value(b, member, depth + 1);
			first = false;
		}
		new_line(b, depth);
		buf_addc(b, '}');
	} else if (json_is_array(value) && !is_flat(value)) {
		json_array_foreach(value, i, member)
		{
			buf_addc(b, first ? '[' : ',');
			new_line(b, depth + 1);
			add_value(b, member, depth + 1);
			first = false;
		}
		new_line(b, depth);
		buf_addc(b, ']');
	} else {
		add_leaf(b, value);
	}
}

int emit_text(json_t *root, char **out, size_t *len, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	add_value(&b, root, 0);
	buf_addc(&b, '\n');
	if (b.failed)
		return err_nomem(e);
	*len = b.len;
	*out = buf_take(&b);
	return 0;
}

int emit_fd(int fd, const char *data, size_t len, const char *name, struct err *e)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_INTERNAL, "write %s", name);
		if (n == 0)
			return err_set(e, ERR_INTERNAL, "io", "write %s: nothing more is taken",
				       name);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_fd(int fd, const char *name, struct err *e)
{
	int rc;

	do
		rc = fsync(fd);
	while (rc < 0 && errno == EINTR);
	/* Some file systems know no fsync of what is no regular file. */
	if (rc < 0 && errno != EINVAL && errno != ENOSYS)
		return err_sys(e, ERR_INTERNAL, "flush %s to disk", name);
	return 0;
}

static int open_again(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int sync_directory(const char *path, struct err *e)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
	CLEANUP_FD int fd = -1;

	if (len >= sizeof(directory))
		return err_set(e, ERR_INTERNAL, "io", "write %s: the path is too long", path);
	memcpy(directory, len ? path : ".", len ? len : 1);
	directory[len ? len : 1] = '\0';
	fd = open_again(directory, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		/* A directory that may be written but not read cannot be flushed; the file itself is. */
		return errno == EACCES ? 0
				       : err_sys(e, ERR_INTERNAL, "open the directory of %s", path);
	return sync_fd(fd, directory, e);
}

/* A temporary file that is left behind when a process of the same id was killed is stale: it goes. */
static int open_temporary(const char *path)
{
	int fd = open_again(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);

	if (fd >= 0 || errno != EEXIST || unlink(path) < 0)
		return fd;
	return open_again(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
}

static int fill_temporary(int fd, const char *data, size_t len, const struct stat *old,
			  const char *path, struct err *e)
{
	if (old && fchmod(fd, old->st_mode & 07777) < 0)
		return err_sys(e, ERR_INTERNAL, "give %s the permissions of the old file", path);
	return emit_fd(fd, data, len, path, e) < 0 ? -1 : sync_fd(fd, path, e);
}

static int replace_file(const char *path, const struct stat *old, const char *data, size_t len,
			struct err *e)
{
	char temporary[PATH_MAX];
	CLEANUP_FD int fd = -1;
	int n = snprintf(temporary, sizeof(temporary), "%s.tmp.%ld", path, (long)getpid());
	int rc;

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return err_set(e, ERR_INTERNAL, "io", "write %s: the path is too long", path);
	fd = open_temporary(temporary);
	if (fd < 0)
		return err_sys(e, ERR_INTERNAL, "write %s", path);
	rc = fill_temporary(fd, data, len, old, path, e);
	/* close() is where some file systems (NFS, quotas) report a failed write; its EINTR has closed all the same. */
	if (close(fd_take(&fd)) < 0 && errno != EINTR && rc == 0)
		rc = err_sys(e, ERR_INTERNAL, "write %s", path);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = err_sys(e, ERR_INTERNAL, "rename %s to %s", temporary, path);
	if (rc < 0) {
		unlink(temporary);
		return -1;
	}
	return sync_directory(path, e);
}

static int write_special(const char *path, const char *data, size_t len, struct err *e)
{
	CLEANUP_FD int fd = open_again(path, O_WRONLY | O_NOCTTY, 0);

	if (fd < 0)
		return err_sys(e, ERR_INTERNAL, "write %s", path);
	return emit_fd(fd, data, len, path, e);
}

int emit_bytes(const char *data, size_t len, const char *path, struct err *e)
{
	CLEANUP_FREE char *real = NULL;
	struct stat old;

	if (strcmp(path, "-") == 0)
		return emit_fd(STDOUT_FILENO, data, len, "standard output", e);
	if (stat(path, &old) < 0)
		return replace_file(path, NULL, data, len, e);
	if (!S_ISREG(old.st_mode))
		return write_special(path, data, len, e);
	real = realpath(path, NULL);
	if (!real)
		return err_sys(e, ERR_INTERNAL, "write %s", path);
	return replace_file(real, &old, data, len, e);
}

int emit_file(json_t *root, const char *path, struct err *e)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;

	if (emit_text(root, &text, &len, e) < 0)
		return -1;
	return emit_bytes(text, len, path, e);
}
