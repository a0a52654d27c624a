/* What a machine is, read from trees that look like /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "measure/host.h"
#include "measure/sysfile.h"

static void clear_ci(void)
{
	unsetenv("GITHUB_ACTIONS");
	unsetenv("GITHUB_RUN_ATTEMPT");
	unsetenv("GITLAB_CI");
	unsetenv("CI");
}

static void bare_metal(void **state)
{
	struct host h;

	(void)state;
	clear_ci();
	host_read(&h, "tests/data/host-metal", true);
	assert_string_equal(h.os, "Debian GNU/Linux 12 (bookworm)");
	assert_string_equal(h.kernel, "6.1.0-28-amd64");
	assert_string_equal(h.arch, "x86_64");
	assert_string_equal(h.host_name, "lab7");
	assert_string_equal(h.cpu_model, "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz");
	assert_int_equal(h.cpus_logical, 4);
	assert_int_equal(h.cpus_physical, 2);
	assert_string_equal(h.governor, "powersave");
	assert_string_equal(h.driver, "intel_pstate");
	assert_int_equal(h.max_khz, 3400000);
	assert_int_equal(h.turbo, 1);
	assert_int_equal(h.smt, 1);
	assert_int_equal(h.aslr, 1);
	assert_int_equal(h.container, 0);
	assert_string_equal(h.virt,
			    "none"); /* a name in the firmware alone makes no virtual machine */
	assert_string_equal(h.affinity, "0-1,3");
	assert_int_equal(h.memory_bytes, UINT64_C(16284412) * 1024);
	assert_string_equal(h.boot_id, "0a1b2c3d-0001-4000-8000-00000000beef");
	assert_true(h.nofile_limit > 0);
	assert_true(h.clock.resolution_ns > 0);
	assert_false(h.ci);
}

static void guest_in_a_container(void **state)
{
	struct host h;

	(void)state;
	host_read(&h, "tests/data/host-vm", false);
	assert_string_equal(h.os, "Alpine");
	assert_string_equal(h.virt, "kvm");
	assert_int_equal(h.container, 1);
	assert_int_equal(h.turbo, 1);
	assert_int_equal(h.aslr, 0);
	assert_int_equal(h.smt, -1);
	assert_string_equal(h.host_name, "");
	assert_int_equal(h.cpus_logical, 1);
	assert_int_equal(h.cpus_physical, 0);
}

static void nothing_to_read(void **state)
{
	struct host h;

	(void)state;
	host_read(&h, "tests/data/host-nowhere", true);
	assert_string_equal(h.os, "");
	assert_string_equal(h.kernel, "");
	assert_string_equal(h.virt, "");
	assert_string_equal(h.host_name, "");
	assert_true(h.arch[0]); /* asked of the kernel itself */
	assert_int_equal(h.container, -1);
	assert_int_equal(h.smt, -1);
	assert_int_equal(h.turbo, -1);
	assert_int_equal(h.aslr, -1);
	assert_int_equal(h.memory_bytes, 0);
	assert_int_equal(h.cpus_logical, 0);
}

static void fingerprint_tells_machines_apart(void **state)
{
	struct host metal, again, vm;

	(void)state;
	host_read(&metal, "tests/data/host-metal", true);
	host_read(&again, "tests/data/host-metal", false);
	host_read(&vm, "tests/data/host-vm", false);
	assert_int_equal(strlen(metal.fingerprint), 16);
	assert_string_equal(metal.fingerprint, again.fingerprint);
	assert_string_not_equal(metal.fingerprint, vm.fingerprint);
}

static void ci_by_its_variables(void **state)
{
	struct host h;

	(void)state;
	clear_ci();
	setenv("CI", "false", 1);
	host_read(&h, "tests/data/host-vm", false);
	assert_false(h.ci);
	setenv("CI", "true", 1);
	setenv("GITHUB_RUN_ATTEMPT", "3", 1);
	host_read(&h, "tests/data/host-vm", false);
	assert_true(h.ci);
	assert_string_equal(h.ci_name, "generic");
	assert_string_equal(h.ci_attempt, "");
	setenv("GITLAB_CI", "true", 1);
	host_read(&h, "tests/data/host-vm", false);
	assert_string_equal(h.ci_name, "gitlab");
	setenv("GITHUB_ACTIONS", "true", 1);
	host_read(&h, "tests/data/host-vm", false);
	assert_string_equal(h.ci_name, "github");
	assert_string_equal(h.ci_attempt, "3");
	clear_ci();
}

static void this_machine(void **state)
{
	struct host h;

	(void)state;
	host_read(&h, "", false);
	assert_true(h.kernel[0] && h.arch[0] && h.affinity[0]);
	assert_true(h.cpus_logical > 0 && h.memory_bytes > 0);
}

static void numbers_of_small_files(void **state)
{
	const char *end;
	uint64_t v = 7;

	(void)state;
	assert_false(sysfile_parse_u64("", &v, NULL));
	assert_false(sysfile_parse_u64("-1", &v, NULL));
	assert_false(sysfile_parse_u64("18446744073709551616", &v, NULL));
	assert_int_equal(v, 7);
	assert_true(sysfile_parse_u64(" 18446744073709551615 x", &v, &end));
	assert_true(v == UINT64_MAX);
	assert_string_equal(end, " x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_metal),
		cmocka_unit_test(guest_in_a_container),
		cmocka_unit_test(nothing_to_read),
		cmocka_unit_test(fingerprint_tells_machines_apart),
		cmocka_unit_test(ci_by_its_variables),
		cmocka_unit_test(this_machine),
		cmocka_unit_test(numbers_of_small_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
