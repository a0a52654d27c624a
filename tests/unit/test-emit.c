/* Writing documents: `test-emit write FILE [TARGETS]` writes the fixture's document and nothing else, for the tests that
 * kill it, fill its disk and fail its system calls (tests/cli/test_result.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "result-fixture.h"
#include "result/emit.h"
#include "result/load.h"

static int make_directory(void **state)
{
	char *path = strdup("/tmp/test-emit-XXXXXX");

	*state = path;
	return path && mkdtemp(path) ? 0 : -1;
}

/* Removes the directory with all files in it. */
static int remove_directory(void **state)
{
	char *path = *state;
	DIR *d = opendir(path);

	for (struct dirent *entry; d && (entry = readdir(d));)
		if (*entry->d_name != '.')
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
	free(path);
	return 0;
}

static size_t files_in(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d));)
		n += *entry->d_name != '.';
	closedir(d);
	return n;
}

static void file_is_replaced_whole(void **state)
{
	CLEANUP(json_decref) json_t *first = json_pack("{s:i}", "a", 1);
	CLEANUP(json_decref)
	json_t *second = json_pack("{s:[i,i],s:{},s:[{s:n}]}", "list", 1, 2, "none", "deep", "x");
	CLEANUP(json_decref) json_t *back = NULL;
	char path[256], link_path[256];
	struct stat st;
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/result.json", (const char *)*state);
	snprintf(link_path, sizeof(link_path), "%s/link.json", (const char *)*state);
	assert_int_equal(emit_file(first, path, &e), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(symlink("result.json", link_path), 0);
	assert_int_equal(emit_file(second, link_path, &e), 0);
	assert_int_equal(lstat(link_path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(load_json(path, &back, &e), 0);
	assert_true(json_equal(back, second));
	assert_int_equal(files_in(*state), 2);
}

static void failure_names_the_file(void **state)
{
	CLEANUP(json_decref) json_t *root = json_pack("{s:i}", "a", 1);
	char path[256];
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/none/result.json", (const char *)*state);
	assert_int_equal(emit_file(root, path, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_non_null(strstr(e.msg, path));
	assert_int_equal(emit_file(root, *state, &e), -1);
	assert_int_equal(e.sys, EISDIR);
	assert_int_equal(emit_file(root, "/dev/full", &e), -1);
	assert_int_equal(e.sys, ENOSPC);
	assert_int_equal(files_in(*state), 0);
}

static void stale_temporary_does_not_stop_us(void **state)
{
	CLEANUP(json_decref) json_t *root = json_pack("{s:i}", "a", 1);
	char path[200], temporary[256];
	struct err e = { 0 };
	int fd;

	snprintf(path, sizeof(path), "%s/result.json", (const char *)*state);
	snprintf(temporary, sizeof(temporary), "%s.tmp.%ld", path, (long)getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(emit_file(root, path, &e), 0);
	assert_int_equal(files_in(*state), 1);
}

static void text_is_indented_and_flat_arrays_are_not(void **state)
{
	CLEANUP(json_decref)
	json_t *root = json_pack("{s:[i,f],s:[],s:[{s:s}]}", "a\"b", 1, 0.1, "e", "d", "k", "v");
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(emit_text(root, &text, &len, &e), 0);
	assert_string_equal(
		text,
		"{\n \"a\\\"b\": [1,0.1],\n \"e\": [],\n \"d\": [\n  {\n   \"k\": \"v\"\n  }\n ]\n}\n");
	assert_int_equal(len, strlen(text));
}

static int write_fixture(const char *path, size_t targets)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct err e = { 0 };

	if (fixture_document(&d, targets, false, &e) == 0 && emit_file(d.root, path, &e) == 0)
		return 0;
	fprintf(stderr, "%s\n", e.msg);
	return e.kind;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(file_is_replaced_whole, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(failure_names_the_file, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(stale_temporary_does_not_stop_us, make_directory,
						remove_directory),
		cmocka_unit_test(text_is_indented_and_flat_arrays_are_not),
	};

	if (argc > 2 && strcmp(argv[1], "write") == 0)
		return write_fixture(argv[2], argc > 3 && *argv[3] == '2' ? 2 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
