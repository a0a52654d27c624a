/* Where histories come from: result documents, lines of a watcher, directories of both. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "result/entry.h"
#include "result/history.h"
#include "result/load.h"

static int add_line(struct history *h, const char *name, const char *line, size_t len,
		    struct err *e)
{
	CLEANUP(json_decref) json_t *entry = NULL;

	return load_text(name, line, len, &entry, e) < 0 ? -1 : history_add(h, name, entry, e);
}

int history_add_lines(struct history *h, const char *name, const char *text, size_t len,
		      struct err *e)
{
	struct err first = { 0 };
	unsigned number = 0, good = 0;

	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;
		CLEANUP(buf_done) struct buf where = BUF_INIT;
		struct err why;

		number++;
		buf_addf(&where, "%s:%u", name, number);
		if (where.failed)
			return err_nomem(e);
		if (n && add_line(h, buf_text(&where), text + at, n, &why) == 0) {
			good++;
		} else if (n) {
			if (why.kind != ERR_USAGE || h->n == HISTORY_POINTS_MAX) {
				*e = why;
				return -1;
			}
			first = first.kind ? first : why;
			h->skipped++;
			log_say(&h->log, LOG_WARNING, "line", "%s", why.msg);
		}
		at += n + 1;
	}
	if (good)
		return 0;
	if (first.kind == ERR_NONE)
		return err_set(e, ERR_USAGE, "history", "%s: no line in it", name);
	*e = first;
	return -1;
}

static int read_all(int fd, struct buf *out, const char *path, struct err *e)
{
	char chunk[65536];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_USAGE, "read %s", path);
		if (n == 0)
			return 0;
		if (buf_add(out, chunk, (size_t)n) < 0)
			return out->len + (size_t)n > out->max
				       ? err_set(e, ERR_USAGE, "size", "%s: larger than %d MiB",
						 path, LOAD_FILE_MAX >> 20)
				       : err_nomem(e);
	}
}

/* Whether the first line is a whole object of a watcher: a result document has its schema there too, but not its end. */
static bool is_lines(const struct buf *text)
{
	const char *end = memchr(buf_text(text), '\n', text->len);
	size_t n = end ? (size_t)(end - buf_text(text)) : text->len;

	return memmem(buf_text(text), n, "\"mpbench.watch\"", strlen("\"mpbench.watch\"")) != NULL;
}

static int add_document(struct history *h, const char *path, const struct buf *text, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL, *entry = NULL;
	CLEANUP(side_done) struct side side = { 0 };

	if (load_text(path, buf_text(text), text->len, &root, e) < 0)
		return -1;
	if (load_check(root, e) < 0)
		return err_wrap(e, "%s", path);
	if (side_add(&side, path, root, e) < 0)
		return -1;
	entry = entry_make(&side, e);
	return entry ? history_add(h, path, entry, e) : -1;
}

static int load_file(struct history *h, const char *path, struct err *e)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	CLEANUP_FD int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
						   : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, ERR_USAGE, "open %s", path);
	buf_init(&text, LOAD_FILE_MAX);
	if (read_all(fd, &text, path, e) < 0)
		return -1;
	return is_lines(&text) ? history_add_lines(h, path, buf_text(&text), text.len, e)
			       : add_document(h, path, &text, e);
}

static int is_candidate(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return *d->d_name != '.' && ((n > 5 && strcmp(d->d_name + n - 5, ".json") == 0) ||
				     (n > 6 && strcmp(d->d_name + n - 6, ".jsonl") == 0));
}

static int load_named(struct history *h, const char *dir, const char *name, struct err *e)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT;
	struct err why;

	buf_addf(&path, "%s/%s", dir, name);
	if (path.failed)
		return err_nomem(e);
	if (load_file(h, buf_text(&path), &why) == 0)
		return 0;
	if (why.kind != ERR_USAGE || h->n == HISTORY_POINTS_MAX) {
		*e = why;
		return -1;
	}
	h->skipped++;
	log_say(&h->log, LOG_WARNING, "skipped", "%s", why.msg);
	return 0;
}

static int load_directory(struct history *h, const char *path, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, is_candidate, alphasort), rc = 0;
	size_t before = h->n, skipped = h->skipped;

	if (n < 0)
		return err_sys(e, ERR_USAGE, "open %s", path);
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = load_named(h, path, list[i]->d_name, e);
		free(list[i]);
	}
	free(list);
	if (rc == 0 && h->n == before && h->skipped == skipped)
		return err_set(e, ERR_USAGE, "history", "%s: no *.json or *.jsonl in it", path);
	if (rc == 0 && h->n == before)
		return err_set(e, ERR_USAGE, "history", "%s: no file in it is a result of mpbench",
			       path);
	return rc;
}

int history_load(struct history *h, const char *path, struct err *e)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return load_directory(h, path, e);
	return load_file(h, path, e);
}
