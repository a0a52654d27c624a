/* Names that clients send must not lead out of the directory, however they are spelt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/tftp-files.h"

static char base[64], root[96], up[96];

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void link_to(const char *target, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

static int set_up(void **state)
{
	char path[128];

	(void)state;
	snprintf(base, sizeof(base), "build/tftp-files-%d", (int)getpid());
	snprintf(root, sizeof(root), "%s/root", base);
	snprintf(up, sizeof(up), "%s/up", base);
	if (mkdir("build", 0700) < 0 && access("build", W_OK) < 0)
		return -1;
	if (mkdir(base, 0700) < 0 || mkdir(root, 0700) < 0 || mkdir(up, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/sub", root);
	if (mkdir(path, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/pipe", root);
	if (mkfifo(path, 0600) < 0)
		return -1;
	put(base, "secret", "secret");
	put(root, "plain", "plain text");
	put(root, "lines", "a\nb\r\nc\r");
	put(root, "sub/inner", "inner");
	link_to("plain", "inside");
	link_to("sub/../plain", "roundabout");
	link_to("../secret", "outside");
	link_to("/etc/passwd", "absolute");
	link_to("..", "parent");
	return 0;
}

static int tear_down(void **state)
{
	static const char *const made[] = {
		"root/plain",	"root/lines",	 "root/sub/inner", "root/inside", "root/roundabout",
		"root/outside", "root/absolute", "root/parent",	   "root/pipe",	  "secret",
		"up/new",	"up/two",	 "root/sub",	   "root",	  "up"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		char path[160];

		snprintf(path, sizeof(path), "%s/%s", base, made[i]);
		(void)remove(path);
	}
	return rmdir(base);
}

static int try_read(const struct tftp_files *f, const char *name, uint64_t *size)
{
	struct tftp_file file;
	struct tftp_refusal why = { 99, NULL };

	if (tftp_file_read_open(&file, f, name, TFTP_OCTET, &why) < 0) {
		assert_non_null(why.text);
		return why.code;
	}
	*size = file.size;
	tftp_file_close(&file);
	return -1;
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int code; /* -1: readable */
	} cases[] = {
		{ "plain", -1 },
		{ "/plain", -1 },
		{ "///plain", -1 },
		{ "./plain", -1 },
		{ "sub/inner", -1 },
		{ "sub\\inner", -1 },
		{ "\\sub\\inner", -1 },
		{ "sub/../plain", -1 },
		{ "inside", -1 },
		{ "roundabout", -1 },
		{ "missing", TFTP_E_NOT_FOUND },
		{ "plain/x", TFTP_E_NOT_FOUND },
		{ "../secret", TFTP_E_ACCESS },
		{ "..\\secret", TFTP_E_ACCESS },
		{ "/../secret", TFTP_E_ACCESS },
		{ "sub/../../secret", TFTP_E_ACCESS },
		{ "outside", TFTP_E_ACCESS },
		{ "absolute", TFTP_E_ACCESS },
		{ "parent/secret", TFTP_E_ACCESS },
		{ "sub", TFTP_E_ACCESS },
		{ ".", TFTP_E_ACCESS },
		{ "/", TFTP_E_NOT_FOUND },
		{ "pipe", TFTP_E_ACCESS },
	};
	CLEANUP(tftp_files_close) struct tftp_files f;
	struct err e;

	(void)state;
	assert_int_equal(tftp_files_open(&f, root, NULL, &e), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 0;
		int code = try_read(&f, cases[i].name, &size);

		if (code != cases[i].code)
			print_message("%s\n", cases[i].name);
		assert_int_equal(code, cases[i].code);
		assert_true(code >= 0 || size > 0);
	}
}

static void test_read_and_translate(void **state)
{
	CLEANUP(tftp_files_close) struct tftp_files f;
	struct tftp_file file;
	struct tftp_refusal why;
	struct err e;

	(void)state;
	assert_int_equal(tftp_files_open(&f, root, NULL, &e), 0);
	assert_int_equal(tftp_file_read_open(&file, &f, "lines", TFTP_OCTET, &why), 0);
	assert_int_equal(file.size, 7);
	assert_memory_equal(tftp_file_at(&file, 2, 5), "b\r\nc\r", 5);
	assert_non_null(tftp_file_at(&file, 7, 0));
	assert_null(tftp_file_at(&file, 3, 5));
	assert_null(tftp_file_at(&file, 8, 0));
	tftp_file_close(&file);
	assert_int_equal(tftp_file_read_open(&file, &f, "lines", TFTP_NETASCII, &why), 0);
	assert_int_equal(file.size, 11);
	assert_memory_equal(tftp_file_at(&file, 0, 11), "a\r\nb\r\0\r\nc\r\0", 11);
	tftp_file_close(&file);
	assert_int_equal(tftp_file_read_open(&file, &f, "plain", TFTP_MODE_OTHER, &why), -1);
	assert_int_equal(why.code, TFTP_E_ILLEGAL);
}

/* A file that is cut while it is sent ends the transfer; it does not kill the server (a mapping would). */
static void test_file_shrinks(void **state)
{
	CLEANUP(tftp_files_close) struct tftp_files f;
	struct tftp_file file;
	struct tftp_refusal why;
	struct err e;
	char path[160];
	static char big[200000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	put(root, "plain", big);
	assert_int_equal(tftp_files_open(&f, root, NULL, &e), 0);
	assert_int_equal(tftp_file_read_open(&file, &f, "plain", TFTP_OCTET, &why), 0);
	assert_non_null(tftp_file_at(&file, 0, 512));
	snprintf(path, sizeof(path), "%s/plain", root);
	assert_int_equal(truncate(path, 100000), 0);
	assert_non_null(tftp_file_at(&file, 65024, 512));
	assert_null(tftp_file_at(&file, 131072, 512));
	tftp_file_close(&file);
	put(root, "plain", "plain text");
}

static unsigned entries(const char *dir)
{
	char command[160];
	unsigned n = 0;
	FILE *p;

	snprintf(command, sizeof(command), "find %s -mindepth 1 | wc -l", dir);
	p = popen(command, "re");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%u", &n), 1); // NOLINT(cert-err34-c): a count of our own find
	pclose(p);
	return n;
}

static void test_upload(void **state)
{
	CLEANUP(tftp_files_close) struct tftp_files f;
	struct tftp_file file;
	struct tftp_refusal why;
	struct err e;
	char got[16] = "", path[160];
	int fd;

	(void)state;
	f.overwrite = false;
	assert_int_equal(tftp_files_open(&f, root, up, &e), 0);
	assert_int_equal(tftp_file_write_open(&file, &f, "/new", TFTP_NETASCII, 1, &why), 0);
	assert_int_equal(tftp_file_write(&file, "a\r\nb\r", 5, &why), 0);
	assert_int_equal(tftp_file_write(&file, "\0c\r", 3, &why), 0);
	assert_int_equal(tftp_file_commit(&file, &why), 0);
	tftp_file_close(&file);
	snprintf(path, sizeof(path), "%s/new", up);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got)), 6);
	close(fd);
	assert_memory_equal(got, "a\nb\rc\r", 6);
	/* there already; outside; no name; a directory that is not there */
	assert_int_equal(tftp_file_write_open(&file, &f, "new", TFTP_OCTET, 2, &why), -1);
	assert_int_equal(why.code, TFTP_E_EXISTS);
	assert_int_equal(tftp_file_write_open(&file, &f, "../x", TFTP_OCTET, 3, &why), -1);
	assert_int_equal(why.code, TFTP_E_ACCESS);
	assert_int_equal(tftp_file_write_open(&file, &f, "..", TFTP_OCTET, 3, &why), -1);
	assert_int_equal(tftp_file_write_open(&file, &f, "/", TFTP_OCTET, 3, &why), -1);
	assert_int_equal(tftp_file_write_open(&file, &f, "a/b", TFTP_OCTET, 3, &why), -1);
	assert_int_equal(why.code, TFTP_E_NOT_FOUND);
	/* an upload that is given up leaves nothing behind */
	assert_int_equal(tftp_file_write_open(&file, &f, "two", TFTP_OCTET, 4, &why), 0);
	assert_int_equal(tftp_file_write(&file, "half", 4, &why), 0);
	assert_int_equal(entries(up), 2);
	tftp_file_close(&file);
	assert_int_equal(entries(up), 1);
	/* and without a directory for uploads there are none */
	fd_close(&f.write_fd);
	assert_int_equal(tftp_file_write_open(&file, &f, "two", TFTP_OCTET, 5, &why), -1);
	assert_int_equal(why.code, TFTP_E_ACCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_read_and_translate),
		cmocka_unit_test(test_file_shrinks),
		cmocka_unit_test(test_upload),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
