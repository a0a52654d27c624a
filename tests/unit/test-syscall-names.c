/* Tests of measure/syscall-names: the tables against this machine's own headers, and what has no name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "measure/syscall-names.h"

static void names_are_those_of_the_headers(void **state)
{
	(void)state;
	assert_string_equal(syscall_name(false, SYS_read), "read");
	assert_string_equal(syscall_name(false, SYS_recvmmsg), "recvmmsg");
	assert_string_equal(syscall_name(false, SYS_clone3), "clone3");
	assert_int_equal(syscall_number("sendmmsg"), SYS_sendmmsg);
	assert_int_equal(syscall_number("exit_group"), SYS_exit_group);
	assert_int_equal(syscall_number("no_such_call"), -1);
	assert_string_equal(syscall_names_aarch64[63], "read");
	assert_string_equal(syscall_names_x86_64[0], "read");
	assert_string_equal(syscall_names_i386[3], "i386.read");
}

static void every_number_has_a_name_of_its_own(void **state)
{
	(void)state;
	assert_string_equal(syscall_name(false, 500), "syscall_500");
	assert_string_equal(syscall_name(false, 400), "syscall_400");
	assert_string_equal(syscall_name(false, 511), "syscall_other");
	assert_string_equal(syscall_name(false, 4000), "syscall_other");
	assert_non_null(strstr(syscall_name(true, 509), ".syscall_509"));
	for (uint32_t a = 0; a < SYSCALL_NUMBERS; a++) {
		for (uint32_t b = 0; b < a; b++) {
			assert_string_not_equal(syscall_name(false, a), syscall_name(false, b));
			assert_string_not_equal(syscall_name(true, a), syscall_name(true, b));
		}
		assert_string_not_equal(syscall_name(false, a), syscall_name(true, a));
	}
}

static void families_hold_whole_words(void **state)
{
	(void)state;
	assert_string_equal(syscall_family("read"), "read");
	assert_string_equal(syscall_family("readv"), "read");
	assert_string_equal(syscall_family("i386.recvmsg"), "recv");
	assert_string_equal(syscall_family("sendmmsg"), "send");
	assert_string_equal(syscall_family("epoll_wait"), "poll");
	assert_string_equal(syscall_family("ead"), "other");
	assert_string_equal(syscall_family("rea"), "other");
	assert_string_equal(syscall_family("syscall_499"), "other");
	assert_string_equal(syscall_family(""), "other");
}

static void errors_and_operations_have_names(void **state)
{
	(void)state;
	assert_string_equal(syscall_errno_name(EAGAIN), "EAGAIN");
	assert_string_equal(syscall_errno_name(512), "ERESTARTSYS");
	assert_string_equal(syscall_errno_name(516), "ERESTART_RESTARTBLOCK");
	assert_string_equal(syscall_errno_name(0), "E???");
	assert_string_equal(syscall_errno_name(4000), "E???");
	assert_string_equal(syscall_uring_name(IORING_OP_READ), "read");
	assert_string_equal(syscall_uring_name(IORING_OP_SENDMSG_ZC), "sendmsg_zc");
	assert_string_equal(syscall_uring_name(IORING_OP_SEND_ZC), "send_zc");
	assert_string_equal(syscall_uring_name(63), "opcode_other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_headers),
		cmocka_unit_test(every_number_has_a_name_of_its_own),
		cmocka_unit_test(families_hold_whole_words),
		cmocka_unit_test(errors_and_operations_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
