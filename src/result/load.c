#include "result/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

static int read_all(const char *path, struct buf *b, struct err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	CLEANUP_FD int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int fd = is_stdin ? STDIN_FILENO : opened;
	char block[65536];

	if (fd < 0)
		return err_sys(e, ERR_USAGE, "open %s", path);
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_USAGE, "read %s", path);
		if (n == 0)
			return 0;
		if (b->len + (size_t)n > LOAD_FILE_MAX)
			return err_set(e, ERR_USAGE, "too-big", "%s: larger than %d MiB", path,
				       LOAD_FILE_MAX >> 20);
		if (buf_add(b, block, (size_t)n) < 0)
			return err_nomem(e);
	}
}

struct bounds {
	unsigned depth, line;
	size_t values;
	bool in_string, escaped;
};

/* One byte of text further; what is wrong is left to the parser, only depth and number of values are counted. */
static const char *step(struct bounds *at, char c)
{
	at->line += c == '\n';
	if (at->in_string) {
		at->in_string = at->escaped || c != '"';
		at->escaped = !at->escaped && c == '\\';
		return NULL;
	}
	at->in_string = c == '"';
	at->escaped = false;
	at->values += c == ',' || c == '[' || c == '{';
	if ((c == '[' || c == '{') && ++at->depth > LOAD_DEPTH_MAX)
		return "nested deeper than 64 levels";
	if ((c == ']' || c == '}') && at->depth)
		at->depth--;
	return at->values > LOAD_VALUES_MAX ? "more than 8 million values" : NULL;
}

static int check_bounds(const char *name, const char *text, size_t len, struct err *e)
{
	struct bounds at = { .line = 1 };

	for (size_t i = 0; i < len; i++) {
		const char *wrong = step(&at, text[i]);

		if (wrong)
			return err_set(e, ERR_USAGE, "too-big", "%s:%u: %s", name, at.line, wrong);
	}
	return 0;
}

int load_text(const char *name, const char *text, size_t len, json_t **out, struct err *e)
{
	json_error_t why = { 0 };

	*out = NULL;
	if (check_bounds(name, text, len, e) < 0)
		return -1;
	*out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (*out)
		return 0;
	/* Some of jansson's allocations fail without a word. */
	if (!*why.text || json_error_code(&why) == json_error_out_of_memory)
		return err_nomem(e);
	return err_set(e, ERR_USAGE, "json", "%s:%d: %s", name, why.line, why.text);
}

int load_json(const char *path, json_t **out, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	*out = NULL;
	if (read_all(path, &b, e) < 0)
		return -1;
	return load_text(path, buf_text(&b), b.len, out, e);
}

int load_result(const char *path, json_t **out, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL;

	*out = NULL;
	if (load_json(path, &root, e) < 0)
		return -1;
	if (load_check(root, e) < 0)
		return err_wrap(e, "%s", path);
	*out = TAKE(root);
	return 0;
}
