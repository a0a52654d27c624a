/* opt: every row type parsed, refused, shown; GNU habits; groups; suggestions; command splitting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/opt.h"

struct inner {
	uint64_t iterations, wait_ns;
};

struct all {
	bool flag, quiet, size_given;
	uint32_t port, verbose;
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
	OPT_U64_ROW('n', "iterations", OPT_HOW, struct inner, iterations, "N",
		    "operations per run"),
	OPT_DURATION_ROW(0, "wait", OPT_HOW, struct inner, wait_ns, "TIME", "pause",
			 .max = 60000000000),
	OPT_END,
};

static const struct opt all_opts[] = {
	OPT_FLAG_ROW('f', "flag", OPT_WHAT, struct all, flag, "a flag"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct all, quiet, "print less"),
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct all, verbose, "say more"),
	OPT_U32_ROW('p', "port", OPT_WHAT, struct all, port, "PORT", "port", .min = 1,
		    .max = 65535),
	OPT_U64_ROW(0, "big", OPT_HOW, struct all, big, "N", "big"),
	OPT_SIZE_ROW(0, "size", OPT_WHAT, struct all, size, "SIZE", "size",
		     .given = OPT_GIVEN(struct all, size_given)),
	OPT_RATE_ROW(0, "rate", OPT_HOW, struct all, rate, "RATE", "rate"),
	OPT_DOUBLE_ROW(0, "share", OPT_HOW, struct all, share, "SHARE", "share", .max = 1),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct all, output, "FILE", "file"),
	OPT_STRING_ROW('t', "trace", OPT_OUT, struct all, trace, "WHAT", "trace",
		       .optional_value = "self"),
	OPT_ENUM_ROW(0, "mode", OPT_WHAT, struct all, mode, modes, "mode"),
	OPT_STRINGS_ROW(0, "label", OPT_OUT, struct all, labels, "K=V", "label"),
	OPT_WORDS_ROW(0, "case", OPT_WHAT, struct all, cases, "A,B", "cases"),
	OPT_WORDS_ROW(0, "kind", OPT_WHAT, struct all, kinds, "A,B", "kinds", .choices = modes),
	OPT_SIZES_ROW(0, "sizes", OPT_WHAT, struct all, sizes, "SIZE,...", "sizes", .max = 1 << 20),
	OPT_NUMBERS_ROW(0, "numbers", OPT_WHAT, struct all, numbers, "N,...", "numbers"),
	OPT_U64_ROW(0, "secret-knob", OPT_HOW, struct all, big, "N", "not shown", .hidden = true),
	OPT_GROUP(inner_opts, struct inner, struct all, inner),
	OPT_END,
};

enum { ARGS_MAX = 80, OPERANDS_MAX = 4 };

struct parsed {
	struct all all;
	struct opt_parse p;
	const char *operands[OPERANDS_MAX];
	char *argv[ARGS_MAX];
	char *store;
	struct err e;
};

/* Parses `line`, split at blanks; argv is heap memory, so that a sanitizer sees every step outside. */
static int parse(struct parsed *r, const char *line)
{
	char *save = NULL;
	int argc = 0;

	r->store = strdup(line);
	r->argv[argc++] = strdup("x");
	for (char *w = strtok_r(r->store, " ", &save); w; w = strtok_r(NULL, " ", &save))
		r->argv[argc++] = w;
	r->p.table = all_opts;
	r->p.base = &r->all;
	r->p.operands = r->operands;
	r->p.max_operands = OPERANDS_MAX;
	return opt_parse(&r->p, argc, r->argv, &r->e);
}

static void parsed_done(struct parsed *r)
{
	free(r->store);
	free(r->argv[0]);
}
CLEANUP_OBJ(struct parsed, parsed_done)

static void reads_every_type(void **state)
{
	CLEANUP(parsed_done)
	struct parsed r = { .all = { .quiet = true, .cases = { 1, { "old" } } } };

	(void)state;
	if (parse(&r, "--flag --no-quiet -vv --port=80 --big 18446744073709551615 --size 64K "
		      "--rate=1.5M --share 5% --output=a=b --mode raw --label a=1,2 --label b "
		      "--case one,two --case three --kind raw,auto --sizes 1K,2 --numbers 1,2,3 "
		      "-n7 --wait 250ms") < 0)
		fail_msg("%s", r.e.msg);
	assert_true(r.all.flag);
	assert_false(r.all.quiet);
	assert_int_equal(r.all.verbose, 2);
	assert_int_equal(r.all.port, 80);
	assert_true(r.all.big == UINT64_MAX);
	assert_int_equal(r.all.size, 65536);
	assert_true(r.all.size_given);
	assert_int_equal(r.all.rate, 1500000);
	assert_true(r.all.share > 0.0499 && r.all.share < 0.0501);
	assert_string_equal(r.all.output, "a=b");
	assert_int_equal(r.all.mode, 1);
	assert_int_equal(r.all.labels.n, 2);
	assert_string_equal(r.all.labels.v[0], "a=1,2");
	assert_int_equal(r.all.cases.n, 3);
	assert_string_equal(r.all.cases.v[0], "one");
	assert_string_equal(r.all.cases.v[2], "three");
	assert_int_equal(r.all.kinds.n, 2);
	assert_int_equal(r.all.sizes.n, 2);
	assert_int_equal(r.all.sizes.v[0], 1024);
	assert_int_equal(r.all.numbers.v[2], 3);
	assert_int_equal(r.all.inner.iterations, 7);
	assert_int_equal(r.all.inner.wait_ns, 250000000);
	assert_int_equal(r.p.n_operands, 0);
}

static void has_gnu_habits(void **state)
{
	CLEANUP(parsed_done) struct parsed a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	(void)state;
	assert_int_equal(parse(&a, "one -p 80 two -fqo file - -- -p"), 0);
	assert_int_equal(a.p.n_operands, 4);
	assert_string_equal(a.operands[1], "two");
	assert_string_equal(a.operands[2], "-");
	assert_string_equal(a.operands[3], "-p");
	assert_true(a.all.flag && a.all.quiet);
	assert_string_equal(a.all.output, "file");
	assert_int_equal(parse(&b, "-p80 --trace one"), 0);
	assert_string_equal(b.all.trace, "self");
	assert_string_equal(b.operands[0], "one");
	assert_int_equal(parse(&c, "-t=pid:1 -qt -f"), 0);
	assert_string_equal(c.all.trace, "self");
	assert_true(c.all.flag);
	d.p.stop_at_operand = true;
	assert_int_equal(parse(&d, "-q cmd --size -q"), 0);
	assert_int_equal(d.p.n_operands, 3);
	assert_false(d.all.size_given);
}

static void stops_for_help(void **state)
{
	CLEANUP(parsed_done) struct parsed a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	assert_int_equal(parse(&a, "-q --help --nonsense"), 0);
	assert_true(a.p.help);
	assert_int_equal(parse(&b, "-h"), 0);
	assert_true(b.p.help);
	assert_int_equal(parse(&c, "-- --help"), 0);
	assert_false(c.p.help);
}

static void refuses_and_says_why(void **state)
{
	static const char *const rows[][2] = {
		{ "--prot 1", "did you mean '--port'" },
		{ "--iteratons=1", "did you mean '--iterations'" },
		{ "--hlep", "did you mean '--help'" },
		{ "--zzzzzz", "unknown option '--zzzzzz'" },
		{ "-z", "unknown option '-z'" },
		{ "-qz", "unknown option '-z'" },
		{ "--no-port", "unknown option" },
		{ "--port 0", "--port: 0 is outside 1..65535" },
		{ "--port 65536", "outside" },
		{ "--port", "--port needs a value" },
		{ "-p", "-p needs a value" },
		{ "--flag=1", "--flag takes no value" },
		{ "--no-flag=1", "takes no value" },
		{ "--wait 61s", "--wait: 61s is outside 0..1m" },
		{ "--share 1.5", "outside 0..1" },
		{ "--share x", "'x' is not a number" },
		{ "--mode ra", "did you mean 'raw'" },
		{ "--kind raw,xx", "none of auto, raw, paste" },
		{ "--case a,,b", "empty item" },
		{ "--case=", "empty item" },
		{ "--sizes 2M", "outside 0..1M" },
		{ "--numbers 1,x", "'x' is not a whole number" },
		{ "a b c d e", "unexpected argument 'e'" },
		{ "--secret-knbo 1", "unknown option '--secret-knbo' (see" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(parsed_done) struct parsed r = { 0 };

		if (parse(&r, rows[i][0]) == 0)
			fail_msg("'%s' was taken", rows[i][0]);
		assert_int_equal(r.e.kind, ERR_USAGE);
		if (!strstr(r.e.msg, rows[i][1]))
			fail_msg("'%s' gave: %s", rows[i][0], r.e.msg);
	}
}

static void bounds_lists(void **state)
{
	CLEANUP(parsed_done) struct parsed r = { 0 };
	CLEANUP(buf_done) struct buf line = BUF_INIT;

	(void)state;
	buf_adds(&line, "--case a");
	for (int i = 0; i < OPT_LIST_MAX; i++)
		buf_adds(&line, ",a");
	assert_int_equal(parse(&r, buf_text(&line)), -1);
	assert_non_null(strstr(r.e.msg, "more than 64"));
}

static int count_rows(void *ctx, const struct opt *row, const void *field)
{
	int *n = ctx;

	assert_non_null(field);
	assert_non_null(row->name);
	++*n;
	return 0;
}

static void visits_groups(void **state)
{
	struct all all = { 0 };
	int n = 0;

	(void)state;
	assert_int_equal(opt_each(all_opts, &all, count_rows, &n), 0);
	assert_int_equal(n, 19);
}

static void shows_help(void **state)
{
	static const struct opt *const brief[] = { inner_opts, NULL };
	const struct all all = {
		.port = 69, .size = 65536, .mode = 1, .inner = { .wait_ns = 250000000 }
	};
	CLEANUP(buf_done) struct buf full = BUF_INIT, less = BUF_INIT;

	(void)state;
	assert_int_equal(opt_help(all_opts, &all, NULL, 80, &full), 0);
	assert_non_null(strstr(full.data, "  -p, --port=PORT          port [69]\n"));
	assert_non_null(strstr(full.data, "      --size=SIZE          size [64K]\n"));
	assert_non_null(strstr(
		full.data, "      --mode=auto|raw|paste\n                           mode [raw]\n"));
	assert_non_null(strstr(full.data, "  -t, --trace[=WHAT]       trace\n"));
	assert_non_null(
		strstr(full.data, "Plan:\n  -n, --iterations=N       operations per run\n"));
	assert_non_null(strstr(full.data, "pause [250ms]\n"));
	assert_null(strstr(full.data, "secret"));
	assert_int_equal(opt_help(all_opts, &all, brief, 80, &less), 0);
	assert_non_null(strstr(less.data, "Plan:\n  -n,--iterations=N --wait=TIME\n"));
}

static void wraps_text(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	(void)state;
	opt_wrap(&out, "one two three four", 2, 4, 12);
	assert_string_equal(out.data, "one two\n    three\n    four\n");
	buf_clear(&out);
	opt_wrap(&out, "a b\nc", 0, 1, 80);
	assert_string_equal(out.data, "a b\n c\n");
}

static void finds_the_nearest(void **state)
{
	static const char *const list[] = { "bench-repl", "bench-rpc", "bench-tftp", "iperf",
					    "diff" };

	(void)state;
	assert_string_equal(opt_nearest("bench-tfpt", list, 5), "bench-tftp");
	assert_string_equal(opt_nearest("benchrepl", list, 5), "bench-repl");
	assert_string_equal(opt_nearest("IPERF", list, 5), "iperf");
	assert_string_equal(opt_nearest("tftp", list, 5), "bench-tftp");
	assert_string_equal(opt_nearest("dif", list, 5), "diff");
	assert_null(opt_nearest("bench", list, 5));
	assert_null(opt_nearest("xyzzy", list, 5));
	assert_null(opt_nearest("", list, 5));
}

static void splits_commands(void **state)
{
	static const char *const bad[] = { "", "   ", "a 'b", "a \"b", "a\\" };
	static const char *const want[] = { "mpy", "-X", "a b", "c\"d", "e f", "", "g'h\\n" };
	struct err e = { 0 };
	char **v = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(
		opt_split_command("  mpy -X 'a b' \"c\\\"d\" e\\ f '' \"g'h\\n\" ", &v, &e), 0);
	for (; v[n]; n++)
		assert_string_equal(v[n], want[n]);
	assert_int_equal(n, 7);
	free(v);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v = NULL;
		assert_int_equal(opt_split_command(bad[i], &v, &e), -1);
		assert_null(v);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_type),  cmocka_unit_test(has_gnu_habits),
		cmocka_unit_test(stops_for_help),    cmocka_unit_test(refuses_and_says_why),
		cmocka_unit_test(bounds_lists),	     cmocka_unit_test(visits_groups),
		cmocka_unit_test(shows_help),	     cmocka_unit_test(wraps_text),
		cmocka_unit_test(finds_the_nearest), cmocka_unit_test(splits_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
