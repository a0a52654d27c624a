/* url: the spellings of targets, labels and groups; credentials never shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/url.h"

static void reads_every_spelling(void **state)
{
	static const struct {
		const char *text, *scheme, *host;
		unsigned port;
		const char *path, *shown;
	} rows[] = {
		{ "serial:///dev/ttyACM0?baud=115200", "serial", "", 0, "/dev/ttyACM0", NULL },
		{ "/dev/ttyACM0", "serial", "", 0, "/dev/ttyACM0", NULL },
		{ "/dev/ttyUSB1?baud=9600", "serial", "", 0, "/dev/ttyUSB1", NULL },
		{ "exec:python3 -c 'a?b'", "exec", "", 0, "python3 -c 'a?b'", NULL },
		{ "exec://bin/x", "exec", "", 0, "//bin/x", NULL },
		{ "socket://localhost:2217", "socket", "localhost", 2217, "", NULL },
		{ "RFC2217://[::1]:2217?a=b", "rfc2217", "::1", 2217, "", NULL },
		{ "rfc2217://10.0.0.1", "rfc2217", "10.0.0.1", 0, "", NULL },
		{ "builtin:", "builtin", "", 0, "", NULL },
		{ "builtin:rpyc?delay=1", "builtin", "", 0, "rpyc", NULL },
		{ "tftp://host/a%20b", "tftp", "host", 0, "/a b", NULL },
		{ "http://u:p%40@h:80/x?q=1&token=abc#f", "http", "h", 80, "/x?q=1&token=abc",
		  "http://h:80/x?q=1&token=***" },
		{ "rpyc://u@h:18812?password=hunter2&x=1", "rpyc", "h", 18812, "",
		  "rpyc://h:18812?password=***&x=1" },
		{ "iperf3://h", "iperf3", "h", 0, "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(url_done) struct url u = { 0 };
		struct err e = { 0 };

		if (url_parse(&u, rows[i].text, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_string_equal(u.scheme, rows[i].scheme);
		assert_string_equal(u.host, rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_string_equal(u.path, rows[i].path);
		assert_string_equal(u.shown, rows[i].shown ? rows[i].shown : rows[i].text);
	}
}

static void keeps_userinfo_apart(void **state)
{
	CLEANUP(url_done) struct url u = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(url_parse(&u, "https://me:p%40ss@h/", &e), 0);
	assert_string_equal(u.userinfo, "me:p@ss");
	assert_null(strstr(u.shown, "p@ss"));
	assert_null(strstr(u.shown, "me"));
}

static void refuses_with_a_hint(void **state)
{
	static const char *const rows[][2] = {
		{ "", "empty" },
		{ "localhost:2217", "socket://localhost:2217" },
		{ "ttyACM0", "/dev/ttyACM0" },
		{ "builtin", "builtin:" },
		{ "foo", "serial:///dev/" },
		{ "exec:  ", "exec:micropython" },
		{ "socket://", "host" },
		{ "socket://h:0", "port" },
		{ "socket://h:65536", "port" },
		{ "socket://h:12x", "port" },
		{ "socket://h:", "port" },
		{ "socket://[::1", "IPv6" },
		{ "socket://a b:1", "host" },
		{ "serial://ttyACM0", "serial:///dev/ttyACM0" },
		{ "socket://h:1?a=%zz", "%25" },
		{ "socket://h:1?a=%00", "%25" },
		{ "socket://h:1?=1", "without a name" },
		{ "socket://h:1\n", "control" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(url_done) struct url u = { 0 };
		struct err e = { 0 };

		if (url_parse(&u, rows[i][0], &e) == 0)
			fail_msg("'%s' was taken", rows[i][0]);
		assert_int_equal(e.kind, ERR_USAGE);
		if (!strstr(e.msg, rows[i][1]))
			fail_msg("'%s': no hint in: %s", rows[i][0], e.msg);
		assert_null(u.scheme);
	}
}

static void errors_hide_credentials(void **state)
{
	CLEANUP(url_done) struct url u = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(url_parse(&u, "socket://me:hunter2@h:0", &e), -1);
	assert_null(strstr(e.msg, "hunter2"));
	assert_int_equal(url_parse(&u, "socket://me:hunter2@h:1?a=%", &e), -1);
	assert_null(strstr(e.msg, "hunter2"));
	assert_int_equal(url_parse(&u, "socket://me:hunter2%@h:1", &e), -1);
	assert_null(strstr(e.msg, "hunter2"));
}

static void checks_query_and_scheme(void **state)
{
	static const char *const keys[] = { "baud", "parity", NULL };
	static const char *const schemes[] = { "socket", "rfc2217", NULL };
	CLEANUP(url_done) struct url u = { 0 }, v = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(url_parse(&u, "/dev/ttyACM0?boud=1", &e), 0);
	assert_string_equal(url_query(&u, "boud"), "1");
	assert_null(url_query(&u, "baud"));
	assert_int_equal(url_check_query(&u, keys, &e), -1);
	assert_non_null(strstr(e.msg, "did you mean 'baud'"));
	assert_int_equal(url_parse(&v, "sockt://h:1?parity=even", &e), 0);
	assert_int_equal(url_check_query(&v, keys, &e), 0);
	assert_int_equal(url_check_scheme(&v, schemes, &e), -1);
	assert_non_null(strstr(e.msg, "did you mean 'socket'"));
	assert_int_equal(url_check_scheme(&u, schemes, &e), -1);
	assert_non_null(strstr(e.msg, "rfc2217:"));
}

static void bounds_the_query(void **state)
{
	CLEANUP(url_done) struct url u = { 0 };
	char text[256] = "socket://h:1?a=1";
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < URL_QUERY_MAX; i++)
		strncat(text, "&a=1", sizeof(text) - strlen(text) - 1);
	assert_int_equal(url_parse(&u, text, &e), -1);
}

static void reads_targets(void **state)
{
	static const struct {
		const char *text, *label;
		size_t n;
		const char *last;
	} rows[] = {
		{ "fast=socket://h:1", "fast", 1, "socket" },
		{ "dev.1-a_b=/dev/ttyS0", "dev.1-a_b", 1, "serial" },
		{ "exec:env A=/b x", "", 1, "exec" },
		{ "exec:A=/b", "", 1, "exec" },
		{ "a=exec:env B=/c", "a", 1, "exec" },
		{ "socket://h:1+rfc2217://h:2", "", 2, "rfc2217" },
		{ "/dev/ttyS0+/dev/ttyS1+exec:x", "", 3, "exec" },
		{ "http://h/c++/x", "", 1, "http" },
		{ "exec:date +%s", "", 1, "exec" },
		{ "builtin:+builtin:", "", 2, "builtin" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(target_done) struct target t = { 0 };
		struct err e = { 0 };

		if (target_parse(&t, rows[i].text, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_string_equal(t.label, rows[i].label);
		assert_int_equal(t.n_members, rows[i].n);
		assert_string_equal(t.member[t.n_members - 1].scheme, rows[i].last);
	}
}

static void numbers_targets(void **state)
{
	struct target t[3];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(target_parse(&t[0], "builtin:", &e), 0);
	assert_int_equal(target_parse(&t[1], "b=builtin:", &e), 0);
	assert_int_equal(target_parse(&t[2], "builtin:", &e), 0);
	assert_int_equal(target_label(t, 3, &e), 0);
	assert_string_equal(t[0].label, "t1");
	assert_string_equal(t[1].label, "b");
	assert_string_equal(t[2].label, "t3");
	target_done(&t[1]);
	assert_int_equal(target_parse(&t[1], "t3=builtin:", &e), 0);
	assert_int_equal(target_label(t, 3, &e), -1);
	assert_non_null(strstr(e.msg, "'t3'"));
	for (size_t i = 0; i < 3; i++)
		target_done(&t[i]);
	assert_int_equal(target_parse(&t[0], "x=/dev/a+/dev/b?x=%", &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_spelling),
		cmocka_unit_test(keeps_userinfo_apart),
		cmocka_unit_test(refuses_with_a_hint),
		cmocka_unit_test(errors_hide_credentials),
		cmocka_unit_test(checks_query_and_scheme),
		cmocka_unit_test(bounds_the_query),
		cmocka_unit_test(reads_targets),
		cmocka_unit_test(numbers_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
