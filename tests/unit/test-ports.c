/* test-ports - serial ports read from a made-up sysfs tree */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/ports.h"

static char root[64];

static void path_of(char *out, const char *name)
{
	snprintf(out, 512, "%s/%s", root, name);
}

/* Makes every directory of the path. */
static void make_dir(const char *name)
{
	char path[512];

	path_of(path, name);
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(path, 0700);
			*p = '/';
		}
	mkdir(path, 0700);
}

static void make_file(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void make_link(const char *name, const char *target)
{
	char path[512];

	path_of(path, name);
	assert_int_equal(symlink(target, path), 0);
}

#define USB "sys/devices/usb1/1-2"

static int make_tree(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "build/test-ports-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	make_dir("sys/class/tty/tty0");
	make_dir("sys/class/tty/ttyUSB10");
	make_dir("sys/class/tty/ttyUSB2");
	make_dir("sys/class/tty/ttyS0");
	make_dir("sys/class/tty/ttyS1");
	make_dir("sys/devices/platform/serial8250");
	make_dir(USB "/1-2:1.0/ttyUSB10");
	make_dir(USB "/1-2:1.1/ttyUSB2");
	make_dir("dev/serial/by-id");
	make_link("sys/class/tty/ttyS0/device", "../../../devices/platform/serial8250");
	make_link("sys/class/tty/ttyS1/device", "../../../devices/platform/serial8250");
	make_file("sys/class/tty/ttyS0/type", "4\n");
	make_file("sys/class/tty/ttyS1/type", "0\n"); /* no chip */
	make_link("sys/class/tty/ttyUSB10/device", "../../../devices/usb1/1-2/1-2:1.0/ttyUSB10");
	make_link("sys/class/tty/ttyUSB2/device", "../../../devices/usb1/1-2/1-2:1.1/ttyUSB2");
	make_link(USB "/1-2:1.0/ttyUSB10/driver", "../../../../../bus/usb-serial/drivers/ftdi_sio");
	make_file(USB "/1-2:1.0/ttyUSB10/latency_timer", "16\n");
	make_file(USB "/1-2:1.0/interface", "Dual RS232 A\n");
	make_file(USB "/idVendor", "0403\n");
	make_file(USB "/idProduct", "6010\n");
	make_file(USB "/manufacturer", "FTDI\n");
	make_file(USB "/product", "Dual RS232-HS\n");
	make_file(USB "/serial", "FT1234\n");
	make_link("dev/serial/by-id/usb-FTDI_Dual-if00-port0", "../../ttyUSB10");
	return 0;
}

static int remove_tree(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command); /* NOLINT: a fixed name of our own */
}

static void ports_are_described(void **state)
{
	CLEANUP(ports_done) struct ports p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(ports_read(&p, root, &e), 0);
	assert_int_equal(p.n, 3);
	assert_string_equal(p.v[0].name, "ttyS0");
	assert_string_equal(p.v[0].vid, "");
	assert_int_equal(p.v[0].latency_timer_ms, -1);
	assert_string_equal(p.v[1].name, "ttyUSB2");
	assert_string_equal(p.v[1].by_id, "");
	assert_string_equal(p.v[1].vid, "0403");
	assert_string_equal(p.v[1].interface, "");
	assert_string_equal(p.v[2].name, "ttyUSB10");
	assert_string_equal(p.v[2].driver, "ftdi_sio");
	assert_string_equal(p.v[2].pid, "6010");
	assert_string_equal(p.v[2].manufacturer, "FTDI");
	assert_string_equal(p.v[2].product, "Dual RS232-HS");
	assert_string_equal(p.v[2].serial, "FT1234");
	assert_string_equal(p.v[2].interface, "Dual RS232 A");
	assert_string_equal(p.v[2].by_id, "usb-FTDI_Dual-if00-port0");
	assert_int_equal(p.v[2].latency_timer_ms, 16);
}

static void no_sysfs_is_an_error(void **state)
{
	struct ports p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ports_read(&p, "/no/such/root", &e), -1);
	assert_int_equal(e.kind, ERR_MACHINE);
	assert_non_null(strstr(e.msg, "/no/such/root"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_described),
		cmocka_unit_test(no_sysfs_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
