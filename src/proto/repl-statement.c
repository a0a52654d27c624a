#include "proto/repl-statement.h"

#include <inttypes.h>
#include <string.h>

#include "proto/pyliteral.h"

/* %s a str literal, %b a bytes literal, %u a number, %e an expression up to the rest of its line. */
static const char *const templates[REPL_STATEMENTS] = {
	[REPL_PASS] = "pass",
	[REPL_IMPORT_OS] = "import os",
	[REPL_IMPORT_UNHEX] = "from binascii import unhexlify as d",
	[REPL_IMPORT_UNBASE64] = "from binascii import a2b_base64 as d",
	[REPL_IMPORT_HEX] = "from binascii import hexlify as c",
	[REPL_IMPORT_BASE64] = "from binascii import b2a_base64 as c",
	[REPL_OPEN_WRITE] = "f=open(%s,'wb')\nw=f.write",
	[REPL_OPEN_READ] = "f=open(%s,'rb')\nr=f.read",
	[REPL_WRITE] = "w(%b)",
	[REPL_WRITE_CODED] = "w(d(%b))",
	[REPL_READ] = "print(r(%u))",
	[REPL_READ_CODED] = "print(c(r(%u)))",
	[REPL_CLOSE] = "f.close()",
	[REPL_SHA256] = "import hashlib,binascii\n"
			"h=hashlib.sha256()\n"
			"with open(%s,'rb') as f:\n"
			" b=f.read(512)\n"
			" while b:\n"
			"  h.update(b)\n"
			"  b=f.read(512)\n"
			"print(binascii.hexlify(h.digest()))",
	[REPL_MKDIR] = "os.mkdir(%s)",
	[REPL_STAT] = "print(os.stat(%s))",
	[REPL_LIST] = "print(os.listdir(%s))",
	[REPL_REMOVE] = "os.remove(%s)",
	[REPL_RMDIR] = "os.rmdir(%s)",
	[REPL_MEMORY] = "import gc\ngc.collect()\nprint(gc.mem_free())",
	[REPL_FLOOD] = "s='U'*%u\nfor _ in range(%u):\n print(s,end='')",
	[REPL_PRINT_INT] = "print(%u)",
	[REPL_PRINT_STR] = "print(%s)",
	[REPL_EVAL] = "print(repr(%e))",
	[REPL_IDENTITY] = "import sys\nprint(sys.version)",
};

int repl_statement_add(struct buf *b, const struct repl_statement *s)
{
	const char *t = templates[s->kind];
	int number = 0, rc = 0;

	if (b->len && b->data[b->len - 1] != '\n')
		rc = buf_addc(b, '\n');
	while (*t && rc == 0) {
		size_t run = strcspn(t, "%");

		rc = buf_add(b, t, run);
		t += run;
		if (!*t || rc < 0)
			break;
		if (t[1] == 's')
			rc = pyliteral_add_str(b, s->data, s->len);
		else if (t[1] == 'b')
			rc = pyliteral_add_bytes(b, s->data, s->len);
		else if (t[1] == 'e')
			rc = buf_add(b, s->data, s->len);
		else
			rc = buf_addf(b, "%" PRIu64, s->number[number++ & 1]);
		t += 2;
	}
	return rc;
}

int repl_statement_add_kind(struct buf *b, enum repl_statement_kind kind)
{
	return repl_statement_add(b, &(struct repl_statement){ .kind = kind });
}

int repl_statement_add_path(struct buf *b, enum repl_statement_kind kind, const char *path)
{
	return repl_statement_add(b, &(struct repl_statement){
					     .kind = kind,
					     .data = path,
					     .len = strlen(path),
				     });
}

/* The expression ends before what the template still has on this line. */
static size_t expression(const char *code, size_t len, const char *rest)
{
	const char *end = memchr(code, '\n', len);
	size_t line = end ? (size_t)(end - code) : len;
	size_t tail = strlen(rest);

	return line > tail ? line - tail : 0;
}

/* A value in the code for the placeholder `type`; returns its length. */
static size_t match_value(const char *code, size_t len, char type, const char *rest,
			  struct repl_statement *out, int *number)
{
	int64_t value = 0;
	size_t n;

	if (type == 'u') {
		n = pyliteral_parse_int(code, len, &value);
		if (value < 0)
			return 0;
		out->number[(*number)++ & 1] = (uint64_t)value;
		return n;
	}
	n = type == 's'	  ? pyliteral_parse_str(code, len, NULL)
	    : type == 'b' ? pyliteral_parse_bytes(code, len, NULL)
			  : expression(code, len, rest);
	out->data = code;
	out->len = n;
	return n;
}

static size_t match_one(const char *code, size_t len, const char *t, struct repl_statement *out)
{
	int number = 0;
	size_t at = 0;

	while (*t) {
		size_t run = strcspn(t, "%");
		size_t n;

		if (run > len - at || memcmp(code + at, t, run) != 0)
			return 0;
		at += run;
		t += run;
		if (!*t)
			break;
		n = match_value(code + at, len - at, t[1], t + 2, out, &number);
		if (n == 0)
			return 0;
		at += n;
		t += 2;
	}
	if (at < len && code[at] != '\n')
		return 0;
	return at < len ? at + 1 : at;
}

size_t repl_statement_match(const char *code, size_t len, struct repl_statement *out)
{
	for (int i = 0; i < REPL_STATEMENTS; i++) {
		size_t n;

		*out = (struct repl_statement){ .kind = (enum repl_statement_kind)i };
		n = match_one(code, len, templates[i], out);
		if (n)
			return n;
	}
	return 0;
}
