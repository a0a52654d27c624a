#include "peer/repl-program.h"

#include <inttypes.h>
#include <string.h>

#include "base/sha256.h"
#include "proto/pyliteral.h"
#include "proto/repl-statement.h"

enum { FLUSH_AT = 16 << 10 };

/* One program under way. fail() is called at most once. */
struct run {
	struct repl_program *p;
	const struct repl_sink *sink;
	struct buf *out, *error;
};

void repl_program_init(struct repl_program *p)
{
	memset(p, 0, sizeof(*p));
}

void repl_program_done(struct repl_program *p)
{
	for (size_t i = 0; i < p->n_files; i++)
		buf_done(&p->file[i].data);
	buf_done(&p->value);
	p->n_files = 0;
}

void repl_program_reset(struct repl_program *p)
{
	p->open = NULL;
	p->decoder = p->coder = REPL_NO_CODING;
	p->os = false;
}

static int fail(struct run *r, const char *exception)
{
	buf_addf(
		r->error,
		"Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, in <module>\r\n%s\r\n",
		exception);
	return -1;
}

static struct repl_file *find(struct repl_program *p, const char *path)
{
	for (size_t i = 0; i < p->n_files; i++)
		if (strcmp(p->file[i].path, path) == 0)
			return &p->file[i];
	return NULL;
}

/* The path of a statement without a leading '/', in p->value; NULL (and an exception) for one that cannot be. */
static const char *path_of(struct run *r, const struct repl_statement *s)
{
	const char *path;

	buf_clear(&r->p->value);
	if (!pyliteral_parse_str(s->data, s->len, &r->p->value)) {
		fail(r, "MemoryError: ");
		return NULL;
	}
	path = buf_text(&r->p->value);
	path += *path == '/';
	if (strlen(path) >= REPL_PATH_MAX || strlen(buf_text(&r->p->value)) != r->p->value.len) {
		fail(r, "OSError: [Errno 36] ENAMETOOLONG");
		return NULL;
	}
	return path;
}

static struct repl_file *make(struct run *r, const char *path, bool directory)
{
	struct repl_program *p = r->p;
	struct repl_file *f;

	if (p->n_files == REPL_FILES_MAX) {
		fail(r, "OSError: [Errno 28] ENOSPC");
		return NULL;
	}
	f = &p->file[p->n_files++];
	memset(f, 0, sizeof(*f));
	memcpy(f->path, path, strlen(path) + 1);
	f->directory = directory;
	return f;
}

static int open_file(struct run *r, const struct repl_statement *s)
{
	const char *path = path_of(r, s);
	struct repl_file *f = path ? find(r->p, path) : NULL;

	if (!path)
		return -1;
	if (f && f->directory)
		return fail(r, "OSError: [Errno 21] EISDIR");
	if (s->kind == REPL_OPEN_READ && !f)
		return fail(r, "OSError: [Errno 2] ENOENT");
	if (!f)
		f = make(r, path, false);
	if (!f)
		return -1;
	if (s->kind == REPL_OPEN_WRITE)
		buf_clear(&f->data);
	r->p->open = f;
	r->p->position = 0;
	return 0;
}

static size_t stored(const struct repl_program *p)
{
	size_t sum = 0;

	for (size_t i = 0; i < p->n_files; i++)
		sum += p->file[i].data.len;
	return sum;
}

static int write_file(struct run *r, const struct repl_statement *s)
{
	struct repl_program *p = r->p;
	struct buf *data;
	int rc = 0;

	if (!p->open)
		return fail(r, "NameError: name 'w' isn't defined");
	data = &p->open->data;
	/* The literal is never shorter than what it says. */
	if (stored(p) + s->len > REPL_STORE_MAX)
		return fail(r, "OSError: [Errno 28] ENOSPC");
	if (s->kind == REPL_WRITE)
		return pyliteral_parse_bytes(s->data, s->len, data) ? 0 : fail(r, "MemoryError: ");
	if (p->decoder == REPL_NO_CODING)
		return fail(r, "NameError: name 'd' isn't defined");
	buf_clear(&p->value);
	if (!pyliteral_parse_bytes(s->data, s->len, &p->value))
		return fail(r, "MemoryError: ");
	rc = p->decoder == REPL_HEX_CODING
		     ? pyliteral_parse_hex(buf_text(&p->value), p->value.len, data)
		     : pyliteral_parse_base64(buf_text(&p->value), p->value.len, data);
	return rc < 0 ? fail(r, "ValueError: incorrect padding") : 0;
}

static int read_file(struct run *r, const struct repl_statement *s)
{
	struct repl_program *p = r->p;
	const char *data;
	size_t n;

	if (!p->open)
		return fail(r, "NameError: name 'r' isn't defined");
	if (s->kind == REPL_READ_CODED && p->coder == REPL_NO_CODING)
		return fail(r, "NameError: name 'c' isn't defined");
	n = p->open->data.len - p->position;
	if (n > s->number[0])
		n = (size_t)s->number[0];
	data = buf_text(&p->open->data) + p->position;
	p->position += n;
	if (s->kind == REPL_READ) {
		pyliteral_add_bytes(r->out, data, n);
	} else if (p->coder == REPL_HEX_CODING) {
		buf_adds(r->out, "b'");
		pyliteral_add_hex(r->out, data, n);
		buf_addc(r->out, '\'');
	} else {
		buf_adds(r->out, "b'");
		pyliteral_add_base64(r->out, data, n);
		buf_adds(r->out, "\\n'");
	}
	buf_adds(r->out, "\r\n");
	return 0;
}

static int hash_file(struct run *r, const struct repl_statement *s)
{
	const char *path = path_of(r, s);
	const struct repl_file *f = path ? find(r->p, path) : NULL;
	struct sha256 sum;
	char hex[65];

	if (!path)
		return -1;
	if (!f || f->directory)
		return fail(r, "OSError: [Errno 2] ENOENT");
	sha256_init(&sum);
	sha256_add(&sum, buf_text(&f->data), f->data.len);
	sha256_hex(&sum, hex);
	buf_addf(r->out, "b'%s'\r\n", hex);
	return 0;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	if (n == 0)
		return !strchr(path, '/');
	return strncmp(path, directory, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

static int list_directory(struct run *r, const char *path)
{
	const struct repl_file *f = find(r->p, path);
	bool first = true;

	if (*path && (!f || !f->directory))
		return fail(r, "OSError: [Errno 2] ENOENT");
	buf_addc(r->out, '[');
	for (size_t i = 0; i < r->p->n_files; i++) {
		const char *name = r->p->file[i].path;

		if (!is_below(name, path))
			continue;
		if (!first)
			buf_adds(r->out, ", ");
		first = false;
		name += *path ? strlen(path) + 1 : 0;
		pyliteral_add_str(r->out, name, strlen(name));
	}
	buf_adds(r->out, "]\r\n");
	return 0;
}

static int remove_entry(struct run *r, const char *path, bool directory)
{
	struct repl_program *p = r->p;
	struct repl_file *f = find(p, path);
	struct repl_file *last = p->n_files ? &p->file[p->n_files - 1] : NULL;

	if (!f || !last)
		return fail(r, "OSError: [Errno 2] ENOENT");
	if (f->directory != directory)
		return fail(r, directory ? "OSError: [Errno 20] ENOTDIR"
					 : "OSError: [Errno 21] EISDIR");
	for (size_t i = 0; directory && i < p->n_files; i++)
		if (is_below(p->file[i].path, path))
			return fail(r, "OSError: [Errno 39] ENOTEMPTY");
	buf_done(&f->data);
	if (p->open == f)
		p->open = NULL;
	else if (p->open == last)
		p->open = f;
	if (f != last)
		*f = *last;
	p->n_files--;
	return 0;
}

static int file_system(struct run *r, const struct repl_statement *s)
{
	const char *path = path_of(r, s);
	const struct repl_file *f;

	if (!path)
		return -1;
	if (!r->p->os)
		return fail(r, "NameError: name 'os' isn't defined");
	switch (s->kind) {
	case REPL_MKDIR:
		if (find(r->p, path))
			return fail(r, "OSError: [Errno 17] EEXIST");
		return make(r, path, true) ? 0 : -1;
	case REPL_STAT:
		f = find(r->p, path);
		if (!f)
			return fail(r, "OSError: [Errno 2] ENOENT");
		buf_addf(r->out, "(%d, 0, 0, 0, 0, 0, %zu, 0, 0, 0)\r\n",
			 f->directory ? 0x4000 : 0x8000, f->data.len);
		return 0;
	case REPL_LIST:
		return list_directory(r, path);
	default:
		return remove_entry(r, path, s->kind == REPL_RMDIR);
	}
}

static int flood(struct run *r, const struct repl_statement *s)
{
	if (s->number[0] > REPL_STORE_MAX)
		return fail(r, "MemoryError: memory allocation failed");
	for (uint64_t i = 0; i < s->number[1]; i++) {
		for (uint64_t left = s->number[0]; left;) {
			size_t n = left < FLUSH_AT ? (size_t)left : FLUSH_AT;

			if (buf_reserve(r->out, n) < 0)
				return fail(r, "MemoryError: ");
			memset(r->out->data + r->out->len, 'U', n);
			r->out->len += n;
			r->out->data[r->out->len] = '\0';
			left -= n;
			if (r->out->len >= FLUSH_AT && !r->sink->flush(r->sink->ctx))
				return fail(r, "KeyboardInterrupt: ");
		}
	}
	return 0;
}

static int refuse(struct run *r)
{
	return fail(r, "NotImplementedError: the mpbench builtin device evaluates nothing");
}

static int evaluate(struct run *r, const struct repl_statement *s)
{
	struct buf *value = &r->p->value;
	int64_t sum = 0, part;
	size_t at = 0, n;

	buf_clear(value);
	if (pyliteral_parse_bytes(s->data, s->len, value) == s->len) {
		pyliteral_add_bytes(r->out, buf_text(value), value->len);
		buf_adds(r->out, "\r\n");
		return 0;
	}
	buf_clear(value);
	if (pyliteral_parse_str(s->data, s->len, value) == s->len) {
		pyliteral_add_str(r->out, buf_text(value), value->len);
		buf_adds(r->out, "\r\n");
		return 0;
	}
	while ((n = pyliteral_parse_int(s->data + at, s->len - at, &part)) > 0) {
		if (__builtin_add_overflow(sum, part, &sum))
			return refuse(r);
		at += n;
		if (at == s->len) {
			buf_addf(r->out, "%" PRId64 "\r\n", sum);
			return 0;
		}
		if (s->data[at++] != '+')
			return refuse(r);
	}
	return refuse(r);
}

static int print_text(struct run *r, const struct repl_statement *s)
{
	size_t from = r->out->len;

	if (!pyliteral_parse_str(s->data, s->len, r->out))
		return fail(r, "MemoryError: ");
	if (memchr(buf_text(r->out) + from, '\n', r->out->len - from)) {
		/* As boards do: each \n leaves as \r\n. */
		buf_clear(&r->p->value);
		buf_add(&r->p->value, r->out->data + from, r->out->len - from);
		r->out->len = from;
		for (size_t i = 0; i < r->p->value.len; i++)
			buf_adds(r->out, r->p->value.data[i] == '\n'
						 ? "\r\n"
						 : (char[]){ r->p->value.data[i], '\0' });
	}
	buf_adds(r->out, "\r\n");
	return 0;
}

static int run_statement(struct run *r, const struct repl_statement *s)
{
	switch (s->kind) {
	case REPL_PASS:
		return 0;
	case REPL_IMPORT_OS:
		r->p->os = true;
		return 0;
	case REPL_IMPORT_UNHEX:
		r->p->decoder = REPL_HEX_CODING;
		return 0;
	case REPL_IMPORT_UNBASE64:
		r->p->decoder = REPL_BASE64_CODING;
		return 0;
	case REPL_IMPORT_HEX:
		r->p->coder = REPL_HEX_CODING;
		return 0;
	case REPL_IMPORT_BASE64:
		r->p->coder = REPL_BASE64_CODING;
		return 0;
	case REPL_OPEN_WRITE:
	case REPL_OPEN_READ:
		return open_file(r, s);
	case REPL_WRITE:
	case REPL_WRITE_CODED:
		return write_file(r, s);
	case REPL_READ:
	case REPL_READ_CODED:
		return read_file(r, s);
	case REPL_CLOSE:
		r->p->open = NULL;
		return 0;
	case REPL_SHA256:
		return hash_file(r, s);
	case REPL_MKDIR:
	case REPL_STAT:
	case REPL_LIST:
	case REPL_REMOVE:
	case REPL_RMDIR:
		return file_system(r, s);
	case REPL_MEMORY:
		buf_addf(r->out, "%zu\r\n", REPL_STORE_MAX - stored(r->p));
		return 0;
	case REPL_FLOOD:
		return flood(r, s);
	case REPL_PRINT_INT:
		buf_addf(r->out, "%" PRIu64 "\r\n", s->number[0]);
		return 0;
	case REPL_PRINT_STR:
		return print_text(r, s);
	case REPL_EVAL:
		return evaluate(r, s);
	case REPL_IDENTITY:
		buf_adds(r->out, "mpbench builtin device\r\n");
		return 0;
	default:
		return refuse(r);
	}
}

void repl_program_run(struct repl_program *p, const char *code, size_t len,
		      const struct repl_sink *sink, struct buf *error)
{
	struct run r = { .p = p, .sink = sink, .out = sink->out, .error = error };

	while (len) {
		struct repl_statement s;
		size_t n = *code == '\n' || *code == '\r' ? 1 : repl_statement_match(code, len, &s);

		if (n == 0) {
			refuse(&r);
			return;
		}
		if (*code != '\n' && *code != '\r' && run_statement(&r, &s) < 0)
			return;
		code += n;
		len -= n;
	}
}
