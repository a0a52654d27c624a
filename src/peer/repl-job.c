#include "peer/repl-job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "proto/pyliteral.h"
#include "proto/rawrepl.h"
#include "proto/repl-statement.h"

enum { CONTENT_MAX = 64 << 20, CODE_MAX = 16 << 20, SNIPPETS_MAX = 1 << 20 };

const char *const repl_encoding_names[] = { "repr", "hex", "base64", NULL };
const char *const repl_fs_phases[] = { "phase.mkdir", "phase.put", "phase.stat", "phase.ls",
				       "phase.get",   "phase.rm",  NULL };

static void snippets_done(struct repl_snippets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].code);
		free(s->v[i].text);
	}
	free(s->v);
}

void repl_job_free(struct repl_job *j)
{
	if (!j)
		return;
	snippets_done(&j->setup);
	snippets_done(&j->timed);
	snippets_done(&j->after);
	snippets_done(&j->instead);
	free(j->content);
	free(j);
}

/* Takes the code in b (empties it) as the next snippet; NULL on failure. */
static struct repl_snippet *add(struct repl_snippets *s, struct buf *b, enum repl_expect expect,
				struct err *e)
{
	struct repl_snippet *new;
	size_t len = b->len;

	if (b->failed || len == 0 || len > CODE_MAX || s->n >= SNIPPETS_MAX) {
		if (b->failed)
			err_nomem(e);
		else
			err_set(e, ERR_USAGE, "usage", "the code for the device is %s",
				len == 0 ? "empty"
					 : "too long (at most 16 MiB, 1,048,576 executions)");
		return NULL;
	}
	if (!rawrepl_code_ok(b->data, len)) {
		err_set(e, ERR_USAGE, "usage",
			"the code has control bytes 0x01 to 0x05, which a raw REPL cannot carry");
		return NULL;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 8;
		struct repl_snippet *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v) {
			err_nomem(e);
			return NULL;
		}
		s->v = v;
		s->cap = cap;
	}
	if (buf_addc(b, RAWREPL_CTRL_D) < 0) {
		err_nomem(e);
		return NULL;
	}
	new = &s->v[s->n++];
	*new = (struct repl_snippet){
		.code = buf_take(b), .len = len, .expect = expect, .mark = -1
	};
	return new;
}

static int add_statement(struct repl_snippets *s, const struct repl_statement *what,
			 enum repl_expect expect, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	repl_statement_add(&b, what);
	return add(s, &b, expect, e) ? 0 : -1;
}

static int add_kind(struct repl_snippets *s, enum repl_statement_kind kind, enum repl_expect expect,
		    struct err *e)
{
	return add_statement(s, &(struct repl_statement){ .kind = kind }, expect, e);
}

static int add_path(struct repl_snippets *s, enum repl_statement_kind kind, const char *path,
		    enum repl_expect expect, struct err *e)
{
	return add_statement(
		s, &(struct repl_statement){ .kind = kind, .data = path, .len = strlen(path) },
		expect, e);
}

static int new_job(struct repl_job **out, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : err_nomem(e);
}

int repl_job_exec(struct repl_job **out, const char *code, enum repl_expect expect,
		  const char *text, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	struct repl_snippet *s;

	if (new_job(&j, e) < 0)
		return -1;
	buf_adds(&b, code);
	s = add(&j->timed, &b, expect, e);
	if (!s)
		return -1;
	if (text && !(s->text = strdup(text)))
		return err_nomem(e);
	*out = TAKE(j);
	return 0;
}

int repl_job_eval(struct repl_job **out, const char *expression, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;

	if (new_job(&j, e) < 0 ||
	    add_path(&j->timed, REPL_EVAL, expression, REPL_EXPECT_ANY, e) < 0)
		return -1;
	*out = TAKE(j);
	return 0;
}

int repl_job_batch(struct repl_job **out, uint32_t statements, bool one_execution, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	CLEANUP(buf_done) struct buf code = BUF_INIT, text = BUF_INIT;
	struct repl_snippet *s;

	if (new_job(&j, e) < 0)
		return -1;
	for (uint32_t i = 0; i < statements; i++) {
		repl_statement_add(
			&code, &(struct repl_statement){ .kind = REPL_PRINT_INT, .number = { i } });
		buf_addf(&text, "%u\n", i);
		if (one_execution && i + 1 < statements)
			continue;
		s = add(&j->timed, &code, REPL_EXPECT_TEXT, e);
		if (!s)
			return -1;
		s->text = buf_take(&text);
		if (!s->text)
			return err_nomem(e);
	}
	*out = TAKE(j);
	return 0;
}

/* Seeded content: the same for every run of one command line. */
static int make_content(struct repl_job *j, const struct repl_file *f, struct err *e)
{
	uint64_t x = f->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	if (f->size > CONTENT_MAX)
		return err_set(e, ERR_USAGE, "usage", "files for a device are at most 64 MiB here");
	if (f->chunk == 0 || f->chunk > 65536)
		return err_set(e, ERR_USAGE, "usage", "a chunk has 1 byte to 64K");
	j->content = malloc(f->size ? f->size : 1);
	if (!j->content)
		return err_nomem(e);
	j->content_len = f->size;
	j->bytes = f->size;
	j->encoding = f->encoding;
	for (size_t i = 0; i < f->size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j->content[i] = f->random      ? (uint8_t)(x >> 32)
				: i % 64 == 63 ? (uint8_t)'\n'
					       : (uint8_t)('a' + (x >> 32) % 26);
	}
	return 0;
}

static int check_path(const char *path, struct err *e)
{
	for (const char *p = path; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-",
			    *p))
			return err_set(
				e, ERR_USAGE, "usage",
				"device path \"%s\": only letters, digits and / . _ - are taken",
				path);
	return *path ? 0 : err_set(e, ERR_USAGE, "usage", "the device path is empty");
}

/* One write of a piece in the job's encoding. */
static int add_write(struct repl_snippets *s, const struct repl_job *j, const uint8_t *data,
		     size_t len, struct err *e)
{
	CLEANUP(buf_done) struct buf coded = BUF_INIT;
	struct repl_statement w = { .kind = REPL_WRITE, .data = (const char *)data, .len = len };

	if (j->encoding != REPL_REPR) {
		int rc = j->encoding == REPL_HEX ? pyliteral_add_hex(&coded, data, len)
						 : pyliteral_add_base64(&coded, data, len);

		if (rc < 0)
			return err_nomem(e);
		w = (struct repl_statement){ .kind = REPL_WRITE_CODED,
					     .data = buf_text(&coded),
					     .len = coded.len };
	}
	return add_statement(s, &w, REPL_EXPECT_NOTHING, e);
}

static int add_upload(struct repl_snippets *s, const struct repl_job *j, const struct repl_file *f,
		      struct err *e)
{
	if (add_path(s, REPL_OPEN_WRITE, f->path, REPL_EXPECT_NOTHING, e) < 0)
		return -1;
	for (size_t at = 0; at < j->content_len; at += f->chunk) {
		size_t n = j->content_len - at < f->chunk ? j->content_len - at : f->chunk;

		if (add_write(s, j, j->content + at, n, e) < 0)
			return -1;
	}
	return add_kind(s, REPL_CLOSE, REPL_EXPECT_NOTHING, e);
}

static int add_download(struct repl_snippets *s, const struct repl_job *j,
			const struct repl_file *f, struct err *e)
{
	struct repl_statement r = { .kind = j->encoding == REPL_REPR ? REPL_READ : REPL_READ_CODED,
				    .number = { f->chunk } };

	if (add_path(s, REPL_OPEN_READ, f->path, REPL_EXPECT_NOTHING, e) < 0)
		return -1;
	for (size_t at = 0; at < j->content_len; at += f->chunk)
		if (add_statement(s, &r, REPL_EXPECT_PIECE, e) < 0)
			return -1;
	return add_kind(s, REPL_CLOSE, REPL_EXPECT_NOTHING, e);
}

static int add_imports(struct repl_job *j, bool write, bool read, struct err *e)
{
	static const enum repl_statement_kind in[] = { REPL_PASS, REPL_IMPORT_UNHEX,
						       REPL_IMPORT_UNBASE64 };
	static const enum repl_statement_kind out[] = { REPL_PASS, REPL_IMPORT_HEX,
							REPL_IMPORT_BASE64 };

	if (j->encoding == REPL_REPR)
		return 0;
	if (write && add_kind(&j->setup, in[j->encoding], REPL_EXPECT_NOTHING, e) < 0)
		return -1;
	return read ? add_kind(&j->setup, out[j->encoding], REPL_EXPECT_NOTHING, e) : 0;
}

static int add_hash(struct repl_snippets *s, const struct repl_job *j, const char *path,
		    struct err *e)
{
	struct sha256 h;
	char hex[65], *text = NULL;

	sha256_init(&h);
	sha256_add(&h, j->content, j->content_len);
	sha256_hex(&h, hex);
	if (add_path(s, REPL_SHA256, path, REPL_EXPECT_TEXT, e) < 0)
		return -1;
	if (asprintf(&text, "b'%s'\n", hex) < 0)
		return err_nomem(e);
	s->v[s->n - 1].text = text;
	return 0;
}

int repl_job_upload(struct repl_job **out, const struct repl_file *f, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;

	if (check_path(f->path, e) < 0 || new_job(&j, e) < 0 || make_content(j, f, e) < 0 ||
	    add_imports(j, true, true, e) < 0 || add_upload(&j->timed, j, f, e) < 0 ||
	    add_hash(&j->after, j, f->path, e) < 0 || add_download(&j->instead, j, f, e) < 0)
		return -1;
	*out = TAKE(j);
	return 0;
}

int repl_job_download(struct repl_job **out, const struct repl_file *f, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;

	if (check_path(f->path, e) < 0 || new_job(&j, e) < 0 || make_content(j, f, e) < 0 ||
	    add_imports(j, true, true, e) < 0 || add_upload(&j->setup, j, f, e) < 0 ||
	    add_download(&j->timed, j, f, e) < 0)
		return -1;
	*out = TAKE(j);
	return 0;
}

/* Several statements in one execution, ending a phase. */
static int add_joined(struct repl_snippets *s, const struct repl_statement *what, size_t n,
		      enum repl_expect expect, int mark, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	struct repl_snippet *new;

	for (size_t i = 0; i < n; i++)
		repl_statement_add(&b, &what[i]);
	new = add(s, &b, expect, e);
	if (!new)
		return -1;
	new->mark = mark;
	return 0;
}

int repl_job_fs(struct repl_job **out, const struct repl_file *f, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	CLEANUP_FREE char *file = NULL;
	struct repl_statement mkdir, path, put[3], get[3], rm[2];

	if (check_path(f->path, e) < 0 || new_job(&j, e) < 0 || make_content(j, f, e) < 0)
		return -1;
	if (asprintf(&file, "%s/data", f->path) < 0)
		return err_nomem(e);
	mkdir = (struct repl_statement){ .kind = REPL_MKDIR,
					 .data = f->path,
					 .len = strlen(f->path) };
	path = (struct repl_statement){ .data = file, .len = strlen(file) };
	put[0] = get[0] = rm[0] = path;
	put[0].kind = REPL_OPEN_WRITE;
	put[1] = (struct repl_statement){ .kind = REPL_WRITE,
					  .data = (char *)j->content,
					  .len = j->content_len };
	put[2] = (struct repl_statement){ .kind = REPL_CLOSE };
	get[0].kind = REPL_OPEN_READ;
	get[1] = (struct repl_statement){ .kind = REPL_READ, .number = { f->size } };
	get[2] = put[2];
	rm[0].kind = REPL_REMOVE;
	rm[1] = mkdir;
	rm[1].kind = REPL_RMDIR;
	/* what an interrupted run left behind */
	if (add_kind(&j->setup, REPL_IMPORT_OS, REPL_EXPECT_NOTHING, e) < 0 ||
	    add_path(&j->setup, REPL_REMOVE, file, REPL_EXPECT_ANY, e) < 0 ||
	    add_path(&j->setup, REPL_RMDIR, f->path, REPL_EXPECT_ANY, e) < 0)
		return -1;
	j->setup.v[1].may_fail = j->setup.v[2].may_fail = true;
	if (add_joined(&j->timed, &mkdir, 1, REPL_EXPECT_NOTHING, 0, e) < 0 ||
	    add_joined(&j->timed, put, 3, REPL_EXPECT_NOTHING, 1, e) < 0)
		return -1;
	path.kind = REPL_STAT;
	if (add_joined(&j->timed, &path, 1, REPL_EXPECT_ANY, 2, e) < 0)
		return -1;
	mkdir.kind = REPL_LIST;
	if (add_joined(&j->timed, &mkdir, 1, REPL_EXPECT_ANY, 3, e) < 0 ||
	    add_joined(&j->timed, get, 3, REPL_EXPECT_PIECE, 4, e) < 0 ||
	    add_joined(&j->timed, rm, 2, REPL_EXPECT_NOTHING, 5, e) < 0)
		return -1;
	*out = TAKE(j);
	return 0;
}

int repl_job_memory(struct repl_job **out, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;

	if (new_job(&j, e) < 0 || add_kind(&j->timed, REPL_MEMORY, REPL_EXPECT_NUMBER, e) < 0)
		return -1;
	*out = TAKE(j);
	return 0;
}

int repl_job_throughput(struct repl_job **out, uint64_t bytes, struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	struct repl_statement s = { .kind = REPL_FLOOD, .number = { 64, bytes / 64 } };

	if (new_job(&j, e) < 0 || add_statement(&j->timed, &s, REPL_EXPECT_BYTES, e) < 0)
		return -1;
	j->bytes = j->timed.v[0].bytes = bytes / 64 * 64;
	*out = TAKE(j);
	return 0;
}

/* Runs one of MicroPython's perf_bench files: chooses the largest parameters that suit a CPU of n MHz with m KiB of
 * heap, as its tests/README.md describes, and prints "TIME NORM RESULT". */
static const char perf_bench[] = "\n"
				 "def mpbench_run(n,m):\n"
				 " try:\n"
				 "  from time import ticks_us,ticks_diff\n"
				 " except ImportError:\n"
				 "  from time import perf_counter\n"
				 "  ticks_us=lambda:int(perf_counter()*1000000)\n"
				 "  ticks_diff=lambda a,b:a-b\n"
				 " best=(0,0)\n"
				 " args=None\n"
				 " for k in bm_params:\n"
				 "  if 10*k[0]<=12*n and k[1]<=m and k>best:\n"
				 "   best=k\n"
				 "   args=bm_params[k]\n"
				 " if args is None:\n"
				 "  raise ValueError('no parameters suit N=%d M=%d'%(n,m))\n"
				 " run,result=bm_setup(args)\n"
				 " t=ticks_us()\n"
				 " run()\n"
				 " t=ticks_diff(ticks_us(),t)\n"
				 " norm,res=result()\n"
				 " print(t,norm,res)\n";

int repl_job_script(struct repl_job **out, const char *source, size_t len, uint32_t n, uint32_t m,
		    struct err *e)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	bool bench;

	if (new_job(&j, e) < 0)
		return -1;
	buf_add(&b, source, len);
	bench = len && memmem(source, len, "bm_params", 9) && memmem(source, len, "bm_setup", 8);
	if (bench) {
		buf_adds(&b, perf_bench);
		buf_addf(&b, "mpbench_run(%u,%u)\n", n, m);
	}
	if (!add(&j->timed, &b, bench ? REPL_EXPECT_DEVICE_TIME : REPL_EXPECT_ANY, e))
		return -1;
	*out = TAKE(j);
	return 0;
}
