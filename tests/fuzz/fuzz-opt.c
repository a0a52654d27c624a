/*
 * opt: an argv (words end at NUL) against a table with a row of every type. Whatever it is, parsing ends with values in
 * their ranges; and every value, written as text and read again, is the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"

struct inner {
	uint64_t count, wait_ns;
};

struct all {
	bool flag, given;
	uint32_t verbose, port;
	uint64_t big, size, rate;
	double share;
	const char *output, *trace;
	int mode;
	struct opt_strings labels, cases, kinds;
	struct opt_numbers sizes, numbers;
	struct inner inner;
};

static const char *const modes[] = { "auto", "raw", "paste", NULL };

static const struct opt inner_opts[] = {
	OPT_TITLE("Plan"),
	OPT_U64_ROW('n', "iterations", OPT_HOW, struct inner, count, "N", "count"),
	OPT_DURATION_ROW('w', "wait", OPT_HOW, struct inner, wait_ns, "TIME", "pause", .min = 5),
	OPT_END,
};

static const struct opt all_opts[] = {
	OPT_FLAG_ROW('f', "flag", OPT_WHAT, struct all, flag, "flag"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct all, verbose, "count"),
	OPT_U32_ROW('p', "port", OPT_WHAT, struct all, port, "PORT", "port", .min = 1,
		    .max = 65535),
	OPT_U64_ROW('b', "big", OPT_HOW, struct all, big, "N", "big"),
	OPT_SIZE_ROW('s', "size", OPT_WHAT, struct all, size, "SIZE", "size",
		     .given = OPT_GIVEN(struct all, given)),
	OPT_RATE_ROW('r', "rate", OPT_HOW, struct all, rate, "RATE", "rate"),
	OPT_DOUBLE_ROW('d', "share", OPT_HOW, struct all, share, "SHARE", "share", .max = 1),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct all, output, "FILE", "file"),
	OPT_STRING_ROW('t', "trace", OPT_OUT, struct all, trace, "WHAT", "trace",
		       .optional_value = "self"),
	OPT_ENUM_ROW('m', "mode", OPT_WHAT, struct all, mode, modes, "mode"),
	OPT_STRINGS_ROW('l', "label", OPT_OUT, struct all, labels, "K=V", "label"),
	OPT_WORDS_ROW('c', "case", OPT_WHAT, struct all, cases, "A,B", "cases"),
	OPT_WORDS_ROW('k', "kind", OPT_WHAT, struct all, kinds, "A,B", "kinds", .choices = modes),
	OPT_SIZES_ROW('S', "sizes", OPT_WHAT, struct all, sizes, "SIZE,...", "sizes",
		      .max = 1 << 20),
	OPT_NUMBERS_ROW('N', "numbers", OPT_WHAT, struct all, numbers, "N,...", "numbers"),
	OPT_GROUP(inner_opts, struct inner, struct all, inner),
	OPT_END,
};

enum { ARGS_MAX = 100, OPERANDS_MAX = 5, INPUT_MAX = 4096 };

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static int text_reads_back(void *ctx, const struct opt *row, const void *field)
{
	CLEANUP(buf_done) struct buf first = BUF_INIT, second = BUF_INIT, arg = BUF_INIT;
	struct all again = { 0 };
	struct opt_parse p = { .table = all_opts, .base = &again };
	char *argv[3] = { NULL };
	size_t offset = (size_t)((const char *)field - (const char *)ctx);
	struct err e;

	if (row->type == OPT_FLAG || row->type == OPT_COUNT || row->type == OPT_STRINGS)
		return 0;
	must(opt_value_text(row, field, &first) == 0, "text");
	if (first.len == 0)
		return 0;
	buf_addf(&arg, "--%s=%s", row->name, first.data);
	argv[1] = arg.data;
	must(opt_parse(&p, 2, argv, &e) == 0, "a value's text is not read");
	opt_value_text(row, (const char *)&again + offset, &second);
	must(strcmp(first.data, buf_text(&second)) == 0, "a value's text reads as another value");
	return 0;
}

static void check(const struct all *a, const struct opt_parse *p)
{
	must(p->n_operands <= OPERANDS_MAX, "operands");
	must(a->port <= 65535 && a->mode >= 0 && a->mode < 3, "ranges");
	must(a->share >= 0 && a->share <= 1, "share");
	must(a->sizes.n <= OPT_LIST_MAX && a->cases.n <= OPT_LIST_MAX, "lists");
	for (size_t i = 0; i < a->sizes.n; i++)
		must(a->sizes.v[i] <= 1 << 20, "list item");
	must(!a->size || a->given, "given");
	opt_each(all_opts, a, text_reads_back, (void *)(uintptr_t)a);
}

static void parse(char *text, size_t len, bool stop)
{
	const char *operands[OPERANDS_MAX];
	struct all a = { 0 };
	struct opt_parse p = { .table = all_opts,
			       .base = &a,
			       .operands = operands,
			       .max_operands = OPERANDS_MAX,
			       .stop_at_operand = stop };
	char *argv[ARGS_MAX + 1] = { NULL };
	struct err e = { 0 };
	int argc = 0;

	for (size_t i = 0; i < len && argc < ARGS_MAX; i += strlen(text + i) + 1)
		argv[argc++] = text + i;
	if (argc == 0)
		return;
	if (opt_parse(&p, argc, argv, &e) == 0)
		check(&a, &p);
	else
		must(e.kind == ERR_USAGE && e.msg[0], "an error says what it is");
}

static void split(const char *text)
{
	char **words = NULL;
	struct err e;

	if (opt_split_command(text, &words, &e) == 0)
		for (char **w = words; *w; w++)
			must(strlen(*w) <= strlen(text), "a word longer than its text");
	free(words);
	opt_nearest(text, modes, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = NULL;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	text = malloc(size);
	must(text != NULL, "memory");
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	split(text);
	parse(text, size, data[0] & 1);
	return 0;
}
