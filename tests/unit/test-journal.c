/* Lines that are appended, put aside, and found again after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "result/journal.h"

static char dir[64], path[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/mpbench-journal-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/watch.jsonl", dir);
	return 0;
}

static void name_of(int number, char out[128])
{
	snprintf(out, 128, number ? "%s.%d" : "%s", path, number);
}

static int tear_down(void **state)
{
	char name[128];

	(void)state;
	for (int i = 0; i < 10; i++) {
		name_of(i, name);
		unlink(name);
	}
	rmdir(dir);
	return 0;
}

static void expect(int number, const char *text)
{
	char name[128], there[4096];
	ssize_t n;
	int fd;

	name_of(number, name);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (!text) {
		assert_true(fd < 0);
		return;
	}
	assert_true(fd >= 0);
	n = read(fd, there, sizeof(there) - 1);
	assert_true(n >= 0);
	there[n] = '\0';
	close(fd);
	assert_string_equal(there, text);
}

static void open_it(struct journal *j, uint64_t max, uint32_t keep)
{
	struct err e;

	if (journal_open(j, path, max, keep, &e) < 0)
		fail_msg("%s", e.msg);
}

static void append(struct journal *j, const char *line)
{
	struct err e;

	if (journal_append(j, line, &e) < 0)
		fail_msg("%s", e.msg);
}

static void large_files_are_put_aside(void **state)
{
	CLEANUP(journal_close) struct journal j = JOURNAL_CLOSED;
	char line[16];

	(void)state;
	open_it(&j, 16, 2);
	for (int i = 0; i < 8; i++) {
		snprintf(line, sizeof(line), "line %02d", i);
		append(&j, line);
	}
	expect(0, "line 06\nline 07\n");
	expect(1, "line 04\nline 05\n");
	expect(2, "line 02\nline 03\n");
	expect(3, NULL);
	/* A line of its own that is larger than a file. */
	append(&j, "a line that is far too long");
	append(&j, "short");
	expect(0, "short\n");
	expect(1, "a line that is far too long\n");
}

static void nothing_is_kept_when_so_asked(void **state)
{
	CLEANUP(journal_close) struct journal j = JOURNAL_CLOSED;

	(void)state;
	open_it(&j, 8, 0);
	append(&j, "first");
	append(&j, "second");
	expect(0, "second\n");
	expect(1, NULL);
}

static void a_torn_line_is_ended(void **state)
{
	CLEANUP(journal_close) struct journal j = JOURNAL_CLOSED;
	CLEANUP(buf_done) struct buf tail = BUF_INIT;
	struct err e;

	(void)state;
	open_it(&j, 1000, 2);
	append(&j, "whole");
	assert_int_equal(write(j.fd, "{\"to", 4), 4);
	journal_close(&j);
	open_it(&j, 1000, 2);
	append(&j, "after");
	expect(0, "whole\n{\"to\nafter\n");
	assert_int_equal(journal_tail(&j, 1000, &tail, &e), 0);
	assert_string_equal(buf_text(&tail), "whole\n{\"to\nafter\n");
}

static void the_tail_is_of_whole_lines_and_of_both_files(void **state)
{
	CLEANUP(journal_close) struct journal j = JOURNAL_CLOSED;
	CLEANUP(buf_done) struct buf tail = BUF_INIT;
	char line[16];
	struct err e;

	(void)state;
	open_it(&j, 16, 2);
	assert_int_equal(journal_tail(&j, 100, &tail, &e), 0);
	assert_int_equal(tail.len, 0);
	for (int i = 0; i < 5; i++) {
		snprintf(line, sizeof(line), "line %02d", i);
		append(&j, line);
	}
	assert_int_equal(journal_tail(&j, 100, &tail, &e), 0);
	assert_string_equal(buf_text(&tail), "line 02\nline 03\nline 04\n");
	buf_clear(&tail);
	/* 12 bytes from the end is in the middle of a line. */
	assert_int_equal(journal_tail(&j, 12, &tail, &e), 0);
	assert_string_equal(buf_text(&tail), "line 03\nline 04\n");
}

/* A disk that is full for a while. */
static void a_line_that_could_not_be_written_does_not_spoil_the_next(void **state)
{
	CLEANUP(journal_close) struct journal j = JOURNAL_CLOSED;
	struct rlimit old, small;
	struct err e;

	(void)state;
	open_it(&j, 1000, 2);
	append(&j, "first");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 10, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(journal_append(&j, "second", &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	append(&j, "third");
	expect(0, "first\nseco\nthird\n");
}

static void one_writer_at_a_time(void **state)
{
	CLEANUP(journal_close) struct journal j = JOURNAL_CLOSED;
	CLEANUP(journal_close) struct journal other = JOURNAL_CLOSED;
	struct err e;

	(void)state;
	open_it(&j, 16, 2);
	assert_int_equal(journal_open(&other, path, 16, 2, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	/* Also of the file that took its place. */
	append(&j, "line 01");
	append(&j, "line 02");
	append(&j, "line 03");
	assert_int_equal(journal_open(&other, path, 16, 2, &e), -1);
	journal_close(&j);
	assert_int_equal(journal_open(&other, path, 16, 2, &e), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	struct journal j = JOURNAL_CLOSED;
	struct err e;

	(void)state;
	assert_int_equal(journal_open(&j, dir, 16, 2, &e), -1);
	assert_int_equal(journal_open(&j, "/dev/null", 16, 2, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(j.fd, -1);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(journal_open(&j, path, 16, 2, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(large_files_are_put_aside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_kept_when_so_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_torn_line_is_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_tail_is_of_whole_lines_and_of_both_files,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_line_that_could_not_be_written_does_not_spoil_the_next, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(one_writer_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
