#include "result/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "result/emit.h"

static int open_locked(const char *path, struct err *e)
{
	CLEANUP_FD int fd =
		open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	struct stat st;

	if (fd < 0)
		return err_sys(e, ERR_USAGE, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "history", "%s: not a regular file", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_USAGE, "history", "%s: another mpbench watch writes it",
			       path);
	return fd_take(&fd);
}

/* Its size; a last line without end is ended at the next append. */
static int look(struct journal *j, struct err *e)
{
	struct stat st;
	char last = '\n';

	if (fstat(j->fd, &st) < 0 ||
	    (st.st_size > 0 && pread(j->fd, &last, 1, st.st_size - 1) != 1))
		return err_sys(e, ERR_USAGE, "read %s", j->path);
	j->size = (uint64_t)st.st_size;
	j->torn = last != '\n';
	return 0;
}

int journal_open(struct journal *j, const char *path, uint64_t max_bytes, uint32_t keep,
		 struct err *e)
{
	*j = (struct journal){ .path = path, .max_bytes = max_bytes, .keep = keep, .fd = -1 };
	j->fd = open_locked(path, e);
	if (j->fd < 0)
		return -1;
	if (look(j, e) < 0) {
		journal_close(j);
		return -1;
	}
	return 0;
}

void journal_close(struct journal *j)
{
	fd_close(&j->fd);
}

/* The end of a file, from the first line that begins there. */
static int add_end(int fd, const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t at = size > (off_t)max_bytes ? size - (off_t)max_bytes : 0;
	size_t start = out->len, first;
	char chunk[16384];

	if (size < 0)
		return err_sys(e, ERR_USAGE, "read %s", path);
	while (at < size) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_USAGE, "read %s", path);
		if (n == 0)
			break;
		if (buf_add(out, chunk, (size_t)n) < 0)
			return err_nomem(e);
		at += n;
	}
	if (size <= (off_t)max_bytes || out->len == start)
		return 0;
	first = start;
	while (first < out->len && out->data[first] != '\n')
		first++;
	first = first < out->len ? first + 1 : first;
	memmove(out->data + start, out->data + first, out->len - first + 1);
	out->len -= first - start;
	return 0;
}

static int aside_name(const struct journal *j, uint32_t number, struct buf *out, struct err *e)
{
	buf_clear(out);
	if (number)
		buf_addf(out, "%s.%u", j->path, number);
	else
		buf_adds(out, j->path);
	return out->failed ? err_nomem(e) : 0;
}

int journal_tail(const struct journal *j, size_t max_bytes, struct buf *out, struct err *e)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT;
	CLEANUP_FD int before = -1;

	if (aside_name(j, 1, &name, e) < 0)
		return -1;
	before = open(buf_text(&name), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (before >= 0 && add_end(before, buf_text(&name), max_bytes, out, e) < 0)
		return -1;
	if (out->len && out->data[out->len - 1] != '\n' && buf_addc(out, '\n') < 0)
		return err_nomem(e);
	return add_end(j->fd, j->path, max_bytes, out, e);
}

/* FILE.2 becomes FILE.3..., FILE becomes FILE.1. */
static int put_aside(struct journal *j, struct err *e)
{
	CLEANUP(buf_done) struct buf from = BUF_INIT, to = BUF_INIT;
	int fd;

	for (uint32_t i = j->keep; i > 0; i--) {
		if (aside_name(j, i - 1, &from, e) < 0 || aside_name(j, i, &to, e) < 0)
			return -1;
		if (rename(buf_text(&from), buf_text(&to)) < 0 && errno != ENOENT)
			return err_sys(e, ERR_INTERNAL, "rename %s", buf_text(&from));
	}
	if (j->keep == 0 && unlink(j->path) < 0 && errno != ENOENT)
		return err_sys(e, ERR_INTERNAL, "remove %s", j->path);
	fd = open_locked(j->path, e);
	if (fd < 0) {
		e->kind = ERR_INTERNAL;
		return -1;
	}
	fd_close(&j->fd);
	j->fd = fd;
	return look(j, e);
}

int journal_append(struct journal *j, const char *line, struct err *e)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct err why;

	buf_addf(&text, "%s%s\n", j->torn ? "\n" : "", line);
	if (text.failed)
		return err_nomem(e);
	/* Where it cannot be put aside it goes on growing: better than to lose what was measured. */
	if (j->size && j->size + text.len > j->max_bytes && put_aside(j, &why) == 0) {
		buf_clear(&text);
		buf_addf(&text, "%s\n", line);
		if (text.failed)
			return err_nomem(e);
	}
	if (emit_fd(j->fd, buf_text(&text), text.len, j->path, e) < 0) {
		j->torn = true;
		return -1;
	}
	j->torn = false;
	j->size += text.len;
	return fdatasync(j->fd) < 0 ? err_sys(e, ERR_INTERNAL, "write %s", j->path) : 0;
}
