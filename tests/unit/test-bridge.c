/* test-bridge - who gets the link, in the bridge's own time and with a device that is a socket */
#include <asm/termbits.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/serial-port.h"
#include "peer/bridge.h"

struct bench {
	struct serial_layer layer;
	struct loop *loop;
	struct url url;
	struct bridge *bridge;
	struct sockaddr_un at;
	socklen_t at_len;
	int device;
};

static int port_open(void *ctx, const char *path, int flags)
{
	struct bench *b = ctx;
	int pair[2];

	(void)path;
	(void)flags;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	b->device = pair[1];
	return pair[0];
}

static int port_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	(void)ctx;
	(void)fd;
	if (request == TCGETS2)
		memset(arg, 0, sizeof(struct termios2));
	if (request == TCGETS2 || request == TCSETS2 || request == TCFLSH)
		return 0;
	errno = ENOTTY;
	return -1;
}

static int port_flock(void *ctx, int fd, int operation)
{
	(void)ctx;
	(void)fd;
	(void)operation;
	return 0;
}

static void begin(struct bench *b, uint64_t chardelay_ns)
{
	struct bridge_params params = { .signature = "test", .chardelay_ns = chardelay_ns };
	struct err e;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*b = (struct bench){ .at = { .sun_family = AF_UNIX }, .at_len = sizeof(b->at) };
	b->layer = (struct serial_layer){ b, port_open, port_ioctl, port_flock, "/nonexistent" };
	assert_int_equal(url_parse(&b->url, "/dev/ttyS0", &e), 0);
	assert_int_equal(loop_new_fake(&b->loop, NS_PER_SEC, &e), 0);
	params.link.url = &b->url;
	params.link.serial = &b->layer;
	assert_int_equal(bridge_new(&b->bridge, b->loop, &params, &e), 0);
	/* a name of the kernel's choice */
	assert_int_equal(bind(fd, (struct sockaddr *)&b->at, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&b->at, &b->at_len), 0);
	assert_int_equal(bridge_add_port(b->bridge, fd, BRIDGE_RAW, &e), 0);
}

static void end(struct bench *b)
{
	struct err e;

	assert_int_equal(bridge_free(b->bridge, &e), 0);
	close(b->device);
	loop_free(b->loop);
	url_done(&b->url);
}

/* All that can happen at this time, then so much more time. */
static void pass_time(struct bench *b, uint64_t ns)
{
	enum loop_end why;
	struct err e;

	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_run(b->loop, loop_now(b->loop) + (i == 3 ? ns : 0), &why, &e),
				 0);
}

static int join(struct bench *b)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&b->at, b->at_len), 0);
	pass_time(b, 0);
	return fd;
}

/* What has come, as text. */
static const char *heard(int fd, char out[256])
{
	ssize_t n = read(fd, out, 255);

	out[n > 0 ? n : 0] = '\0';
	return out;
}

static void who_waits_longest_is_next(void **state)
{
	struct bench b;
	char text[256];
	int fd[4];

	(void)state;
	begin(&b, 0);
	for (int i = 0; i < 4; i++)
		fd[i] = join(&b);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(write(b.device, "!", 1), 1);
		pass_time(&b, 0);
		for (int k = i; k < 4; k++)
			assert_string_equal(heard(fd[k], text), k == i ? "!" : "");
		close(fd[i]);
		pass_time(&b, 0);
	}
	assert_int_equal(bridge_stats(b.bridge)->sessions, 4);
	assert_int_equal(bridge_stats(b.bridge)->refused, 0);
	end(&b);
}

static void who_waits_in_vain_is_told(void **state)
{
	struct bench b;
	char text[256];
	int owner, other;

	(void)state;
	begin(&b, 0);
	owner = join(&b);
	other = join(&b);
	pass_time(&b, 100 * NS_PER_MS);
	assert_string_equal(heard(other, text), "");
	pass_time(&b, 200 * NS_PER_MS);
	assert_non_null(strstr(heard(other, text), "in use by raw"));
	assert_int_equal(read(other, text, 1), 0);
	assert_int_equal(bridge_stats(b.bridge)->refused, 1);
	close(owner);
	close(other);
	end(&b);
}

static void held_bytes_are_nobody_elses(void **state)
{
	struct bench b;
	char text[256];
	int first, second;

	(void)state;
	begin(&b, 5 * NS_PER_MS);
	first = join(&b);
	assert_int_equal(write(b.device, "one", 3), 3);
	pass_time(&b, 0);
	assert_string_equal(heard(first, text), "");
	pass_time(&b, 6 * NS_PER_MS);
	assert_string_equal(heard(first, text), "one");
	assert_int_equal(write(b.device, "two", 3), 3);
	pass_time(&b, 0);
	close(first);
	pass_time(&b, 0);
	second = join(&b);
	pass_time(&b, 10 * NS_PER_MS);
	assert_string_equal(heard(second, text), "");
	assert_int_equal(bridge_stats(b.bridge)->dropped_bytes, 3);
	close(second);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_longest_is_next),
		cmocka_unit_test(who_waits_in_vain_is_told),
		cmocka_unit_test(held_bytes_are_nobody_elses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
