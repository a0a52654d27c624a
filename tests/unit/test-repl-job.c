/* The code that sessions send, and what must come back for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer/repl-job.h"
#include "proto/rawrepl.h"

/* Every snippet can be sent: it ends in 0x04 and has no other control byte. */
static void check_sendable(const struct repl_snippets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->v[i].len > 0);
		assert_int_equal(s->v[i].code[s->v[i].len], RAWREPL_CTRL_D);
		assert_true(rawrepl_code_ok(s->v[i].code, s->v[i].len));
		assert_true((s->v[i].expect == REPL_EXPECT_TEXT) == (s->v[i].text != NULL));
	}
}

static void check_job(const struct repl_job *j)
{
	check_sendable(&j->setup);
	check_sendable(&j->timed);
	check_sendable(&j->after);
	check_sendable(&j->instead);
}

static bool is_code(const struct repl_snippet *s, const char *code)
{
	return s->len == strlen(code) && memcmp(s->code, code, s->len) == 0;
}

static void executions(void **state)
{
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	CLEANUP(repl_job_free) struct repl_job *bad = NULL;
	struct err e;

	(void)state;
	assert_int_equal(repl_job_exec(&j, "print(1)", REPL_EXPECT_TEXT, "1\n", &e), 0);
	check_job(j);
	assert_int_equal(j->timed.n, 1);
	assert_true(is_code(&j->timed.v[0], "print(1)"));
	assert_int_equal(repl_job_exec(&bad, "", REPL_EXPECT_ANY, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "empty"));
	assert_int_equal(repl_job_exec(&bad, "print('\x04')", REPL_EXPECT_ANY, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.msg, "control bytes"));
	assert_null(bad);
}

static void a_batch_has_the_same_statements_in_both_forms(void **state)
{
	CLEANUP(repl_job_free) struct repl_job *one = NULL;
	CLEANUP(repl_job_free) struct repl_job *each = NULL;
	struct err e;

	(void)state;
	assert_int_equal(repl_job_batch(&one, 3, true, &e), 0);
	assert_int_equal(repl_job_batch(&each, 3, false, &e), 0);
	check_job(one);
	check_job(each);
	assert_int_equal(one->timed.n, 1);
	assert_string_equal(one->timed.v[0].text, "0\n1\n2\n");
	assert_int_equal(each->timed.n, 3);
	assert_true(is_code(&each->timed.v[2], "print(2)"));
	assert_string_equal(each->timed.v[2].text, "2\n");
}

static struct repl_file file_of(uint64_t size, uint64_t chunk, enum repl_encoding how)
{
	return (struct repl_file){ .size = size,
				   .chunk = chunk,
				   .seed = 1,
				   .encoding = how,
				   .random = true,
				   .path = "a/b.tmp" };
}

static void files_go_in_chunks(void **state)
{
	static const struct {
		uint64_t size, chunk;
		size_t pieces;
	} cases[] = {
		{ 1, 256, 1 }, { 256, 256, 1 }, { 257, 256, 2 }, { 5, 1, 5 }, { 65536, 4096, 16 }
	};

	(void)state;
	for (int how = REPL_REPR; how <= REPL_BASE64; how++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct repl_file f =
				file_of(cases[i].size, cases[i].chunk, (enum repl_encoding)how);
			CLEANUP(repl_job_free) struct repl_job *up = NULL;
			CLEANUP(repl_job_free) struct repl_job *down = NULL;
			struct err e;

			assert_int_equal(repl_job_upload(&up, &f, &e), 0);
			assert_int_equal(repl_job_download(&down, &f, &e), 0);
			check_job(up);
			check_job(down);
			/* open, the pieces, close; a coded file needs an import each way before */
			assert_int_equal(up->timed.n, cases[i].pieces + 2);
			assert_int_equal(up->setup.n, how == REPL_REPR ? 0 : 2);
			assert_int_equal(up->after.n, 1);
			assert_int_equal(up->bytes, f.size);
			assert_int_equal(down->timed.n, cases[i].pieces + 2);
			assert_int_equal(down->timed.v[1].expect, REPL_EXPECT_PIECE);
			/* the same seed gives the same content to both ways */
			assert_int_equal(down->content_len, up->content_len);
			assert_memory_equal(down->content, up->content, f.size);
		}
	}
}

static void content_follows_the_seed(void **state)
{
	struct repl_file f = file_of(1000, 100, REPL_REPR);
	CLEANUP(repl_job_free) struct repl_job *a = NULL;
	CLEANUP(repl_job_free) struct repl_job *b = NULL;
	CLEANUP(repl_job_free) struct repl_job *text = NULL;
	struct err e;

	(void)state;
	assert_int_equal(repl_job_upload(&a, &f, &e), 0);
	f.seed = 2;
	assert_int_equal(repl_job_upload(&b, &f, &e), 0);
	assert_memory_not_equal(a->content, b->content, 1000);
	f.random = false;
	assert_int_equal(repl_job_upload(&text, &f, &e), 0);
	for (size_t i = 0; i < 1000; i++)
		assert_true(i % 64 == 63 ? text->content[i] == '\n'
					 : text->content[i] >= 'a' && text->content[i] <= 'z');
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const paths[] = { "", "a b", "a'b", "a\"b", "a\\b", "\xc3\xa4", "a\nb" };
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	struct repl_file f = file_of(10, 10, REPL_REPR);
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		f.path = paths[i];
		assert_int_equal(repl_job_upload(&j, &f, &e), -1);
		assert_int_equal(repl_job_fs(&j, &f, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
	f = file_of(10, 0, REPL_REPR);
	assert_int_equal(repl_job_upload(&j, &f, &e), -1);
	f = file_of((64 << 20) + 1, 256, REPL_REPR);
	assert_int_equal(repl_job_download(&j, &f, &e), -1);
	assert_non_null(strstr(e.msg, "64 MiB"));
	assert_null(j);
}

static void the_file_system_workload_has_its_phases(void **state)
{
	struct repl_file f = file_of(256, 256, REPL_REPR);
	CLEANUP(repl_job_free) struct repl_job *j = NULL;
	struct err e;

	(void)state;
	assert_int_equal(repl_job_fs(&j, &f, &e), 0);
	check_job(j);
	assert_int_equal(j->timed.n, 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(j->timed.v[i].mark, i);
		assert_non_null(repl_fs_phases[i]);
	}
	assert_null(repl_fs_phases[6]);
	/* tidying up what an earlier run left may fail, nothing else */
	assert_true(j->setup.v[1].may_fail && j->setup.v[2].may_fail && !j->setup.v[0].may_fail);
}

static void scripts(void **state)
{
	static const char plain[] = "x = 1\nprint(x)\n",
			  bench[] = "bm_params = {}\ndef bm_setup(p): pass\n";
	CLEANUP(repl_job_free) struct repl_job *a = NULL;
	CLEANUP(repl_job_free) struct repl_job *b = NULL;
	CLEANUP(repl_job_free) struct repl_job *none = NULL;
	struct err e;

	(void)state;
	assert_int_equal(repl_job_script(&a, plain, strlen(plain), 168, 100, &e), 0);
	check_job(a);
	assert_true(is_code(&a->timed.v[0], plain));
	assert_int_equal(a->timed.v[0].expect, REPL_EXPECT_ANY);
	assert_int_equal(repl_job_script(&b, bench, strlen(bench), 168, 100, &e), 0);
	check_job(b);
	assert_int_equal(b->timed.v[0].expect, REPL_EXPECT_DEVICE_TIME);
	assert_non_null(memmem(b->timed.v[0].code, b->timed.v[0].len, "mpbench_run(168,100)", 20));
	assert_int_equal(repl_job_script(&none, "", 0, 1, 1, &e), -1);
}

static void amounts(void **state)
{
	CLEANUP(repl_job_free) struct repl_job *flood = NULL;
	CLEANUP(repl_job_free) struct repl_job *memory = NULL;
	struct err e;

	(void)state;
	assert_int_equal(repl_job_throughput(&flood, 1000, &e), 0);
	check_job(flood);
	assert_int_equal(flood->bytes, 960);
	assert_int_equal(flood->timed.v[0].bytes, 960);
	assert_int_equal(repl_job_memory(&memory, &e), 0);
	check_job(memory);
	assert_int_equal(memory->timed.v[0].expect, REPL_EXPECT_NUMBER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(executions),
		cmocka_unit_test(a_batch_has_the_same_statements_in_both_forms),
		cmocka_unit_test(files_go_in_chunks),
		cmocka_unit_test(content_follows_the_seed),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(the_file_system_workload_has_its_phases),
		cmocka_unit_test(scripts),
		cmocka_unit_test(amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
