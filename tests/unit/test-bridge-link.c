/* test-bridge-link - a serial port on a made-up driver as the link of a bridge: settings, lines, ends, returns */
#include <asm/termbits.h>
#include <errno.h>
#include <linux/serial.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/serial-port.h"
#include "peer/bridge-link.h"

/* The driver, and what the link told its bridge. */
struct fixture {
	struct serial_layer layer;
	struct bridge_link_ops ops;
	struct loop *loop;
	struct url url;
	struct bridge_link *link;
	int device, opened, refuse_open;
	struct termios2 t;
	struct serial_icounter_struct counts;
	int refuse_baud, modem, raised, lowered, flushed, breaks, breaks_over;
	char got[64];
	size_t n_got;
	int ups, downs, drains, line_news;
	bool final;
	uint8_t lines, errors;
};

static int driver_open(void *ctx, const char *path, int flags)
{
	struct fixture *f = ctx;
	int pair[2];

	(void)flags;
	assert_string_equal(path, "/dev/ttyUSB7");
	f->opened++;
	if (f->refuse_open) {
		errno = f->refuse_open;
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	f->device = pair[1];
	return pair[0];
}

static int refuse(void)
{
	errno = EINVAL;
	return -1;
}

static int driver_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct fixture *f = ctx;
	const struct termios2 *t = arg;

	(void)fd;
	switch (request) {
	case TCGETS2:
		*(struct termios2 *)arg = f->t;
		return 0;
	case TCSETS2:
		if (f->refuse_baud && t->c_ospeed == (speed_t)f->refuse_baud)
			return refuse();
		f->t = *t;
		return 0;
	case TIOCMBIS:
		f->raised |= *(int *)arg;
		return 0;
	case TIOCMBIC:
		f->lowered |= *(int *)arg;
		return 0;
	case TIOCMGET:
		*(int *)arg = f->modem;
		return 0;
	case TIOCGICOUNT:
		*(struct serial_icounter_struct *)arg = f->counts;
		return 0;
	case TIOCSBRK:
		f->breaks++;
		return 0;
	case TIOCCBRK:
		f->breaks_over++;
		return 0;
	case TCFLSH:
		f->flushed |= 1 << (int)(uintptr_t)arg;
		return 0;
	case TIOCEXCL:
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

static int driver_flock(void *ctx, int fd, int operation)
{
	(void)ctx;
	(void)fd;
	(void)operation;
	return 0;
}

static void told_data(void *ctx, const void *data, size_t len, uint64_t read_ns)
{
	struct fixture *f = ctx;

	assert_true(read_ns > 0 && f->n_got + len <= sizeof(f->got));
	memcpy(f->got + f->n_got, data, len);
	f->n_got += len;
}

static void told_drained(void *ctx)
{
	((struct fixture *)ctx)->drains++;
}

static void told_up(void *ctx)
{
	((struct fixture *)ctx)->ups++;
}

static void told_down(void *ctx, bool final, const struct err *why)
{
	struct fixture *f = ctx;

	f->downs++;
	f->final = final;
	assert_non_null(strstr(why->msg, "/dev/ttyUSB7"));
}

static void told_lines(void *ctx, uint8_t levels)
{
	struct fixture *f = ctx;

	f->line_news++;
	f->lines = levels;
}

static void told_errors(void *ctx, uint8_t bits)
{
	((struct fixture *)ctx)->errors |= bits;
}

static const struct bridge_link_ops link_ops = { told_data, told_drained, told_up,
						 told_down, told_lines,	  told_errors };

static int try_begin(struct fixture *f, const char *query, struct err *e)
{
	struct bridge_link_params p = {
		.url = &f->url, .serial = &f->layer, .ops = &link_ops, .ctx = f
	};
	char url[96];

	f->layer =
		(struct serial_layer){ f, driver_open, driver_ioctl, driver_flock, "/nonexistent" };
	f->device = -1;
	snprintf(url, sizeof(url), "serial:///dev/ttyUSB7%s", query);
	assert_int_equal(url_parse(&f->url, url, e), 0);
	assert_int_equal(loop_new_fake(&f->loop, NS_PER_SEC, e), 0);
	return bridge_link_open(&f->link, f->loop, &p, e);
}

static void begin(struct fixture *f, const char *query)
{
	struct err e;

	assert_int_equal(try_begin(f, query, &e), 0);
}

static void end(struct fixture *f)
{
	bridge_link_close(f->link);
	loop_free(f->loop);
	url_done(&f->url);
	if (f->device >= 0)
		close(f->device);
}

/* Lets so much time pass. */
static void pass(struct fixture *f, uint64_t ns)
{
	enum loop_end why;
	struct err e;

	assert_int_equal(loop_run(f->loop, loop_now(f->loop) + ns, &why, &e), 0);
}

static void unplug(struct fixture *f)
{
	close(f->device);
	f->device = -1;
}

static void bytes_go_both_ways(void **state)
{
	struct fixture f = { 0 };
	char got[8];

	(void)state;
	begin(&f, "");
	assert_int_equal(bridge_link_write(f.link, "out", 3), 0);
	assert_int_equal(read(f.device, got, sizeof(got)), 3);
	assert_int_equal(write(f.device, "in", 2), 2);
	pass(&f, 1);
	assert_int_equal(f.n_got, 2);
	bridge_link_pause(f.link, true);
	assert_int_equal(write(f.device, "more", 4), 4);
	pass(&f, NS_PER_MS);
	assert_int_equal(f.n_got, 2);
	bridge_link_pause(f.link, false);
	pass(&f, 1);
	assert_memory_equal(f.got, "inmore", 6);
	end(&f);
}

static void settings_reach_the_driver_and_are_answered(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	begin(&f, "?baud=9600");
	assert_int_equal(bridge_link_port(f.link)->settings.baud, 9600);
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_BAUDRATE, 250000), 250000);
	assert_int_equal(f.t.c_ospeed, 250000);
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_DATASIZE, 7), 7);
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_PARITY, RFC2217_PARITY_ODD),
			 RFC2217_PARITY_ODD);
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_STOPSIZE, RFC2217_STOP_2),
			 RFC2217_STOP_2);
	assert_int_equal(f.t.c_cflag & (CSIZE | PARENB | PARODD | CSTOPB),
			 CS7 | PARENB | PARODD | CSTOPB);
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_FLOW_HARDWARE),
			 RFC2217_FLOW_HARDWARE);
	assert_true(f.t.c_cflag & CRTSCTS);
	/* one switch for both directions: inbound is what both are */
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_INBOUND_XONXOFF),
			 bridge_link_port(f.link)->inbound);
	assert_false(f.t.c_iflag & IXOFF);
	/* what the driver refuses is not in effect, and the old value is the answer */
	f.refuse_baud = 1;
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_BAUDRATE, 1), 250000);
	assert_int_equal(f.t.c_ospeed, 250000);
	assert_int_equal(bridge_link_port(f.link)->settings.baud, 250000);
	end(&f);
}

static void lines_breaks_and_purges_reach_the_driver(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	begin(&f, "");
	f.raised = f.lowered = f.flushed = 0;
	bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_DTR_OFF);
	assert_int_equal(f.lowered, TIOCM_DTR);
	bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_RTS_OFF);
	assert_int_equal(f.lowered, TIOCM_DTR | TIOCM_RTS);
	assert_int_equal(f.raised, 0);
	bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_DTR_ON);
	bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_RTS_ON);
	assert_int_equal(f.raised, TIOCM_DTR | TIOCM_RTS);
	bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_BREAK_ON);
	assert_int_equal(f.breaks, 1);
	assert_int_equal(f.breaks_over, 0);
	bridge_link_apply(f.link, RFC2217_SET_CONTROL, RFC2217_BREAK_OFF);
	assert_int_equal(f.breaks_over, 1);
	/* a telnet BREAK has no end of its own */
	bridge_link_break(f.link);
	assert_int_equal(f.breaks, 2);
	pass(&f, NS_PER_SEC);
	assert_int_equal(f.breaks_over, 2);
	bridge_link_purge(f.link, RFC2217_PURGE_RX);
	assert_int_equal(f.flushed, 1 << TCIFLUSH);
	bridge_link_purge(f.link, RFC2217_PURGE_TX);
	assert_int_equal(f.flushed, 1 << TCIFLUSH | 1 << TCOFLUSH);
	end(&f);
}

static void lines_and_errors_are_seen_while_somebody_wants_to_know(void **state)
{
	struct fixture f = { .modem = TIOCM_CAR };

	(void)state;
	begin(&f, "");
	assert_int_equal(f.lines, RFC2217_MODEM_CD);
	f.modem |= TIOCM_CTS;
	pass(&f, NS_PER_SEC);
	assert_int_equal(f.lines, RFC2217_MODEM_CD);
	bridge_link_observe(f.link, true);
	assert_int_equal(f.lines, RFC2217_MODEM_CD | RFC2217_MODEM_CTS);
	f.modem = TIOCM_DSR | TIOCM_RNG;
	f.counts.frame++;
	f.counts.overrun += 3;
	pass(&f, 200 * NS_PER_MS);
	assert_int_equal(f.lines, RFC2217_MODEM_DSR | RFC2217_MODEM_RI);
	assert_int_equal(f.errors, 8 | 2);
	f.errors = 0;
	pass(&f, 200 * NS_PER_MS);
	assert_int_equal(f.errors, 0);
	bridge_link_observe(f.link, false);
	f.counts.brk++;
	pass(&f, NS_PER_SEC);
	assert_int_equal(f.errors, 0);
	end(&f);
}

static void an_unplugged_port_comes_back_with_its_settings(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	begin(&f, "");
	bridge_link_apply(f.link, RFC2217_SET_BAUDRATE, 57600);
	f.refuse_open = ENOENT;
	unplug(&f);
	pass(&f, NS_PER_MS);
	assert_int_equal(f.downs, 1);
	assert_false(f.final);
	assert_false(bridge_link_up(f.link));
	assert_int_equal(bridge_link_write(f.link, "x", 1), -1);
	assert_true(bridge_link_busy(f.link));
	/* settings that come meanwhile are kept for it; tries have longer and longer pauses between them */
	assert_int_equal(bridge_link_apply(f.link, RFC2217_SET_PARITY, RFC2217_PARITY_EVEN),
			 RFC2217_PARITY_EVEN);
	f.opened = 0;
	pass(&f, 100 * NS_PER_SEC);
	assert_in_range(f.opened, 10, 20);
	assert_int_equal(f.ups, 0);
	f.refuse_open = 0;
	f.t = (struct termios2){ 0 };
	pass(&f, 11 * NS_PER_SEC);
	assert_int_equal(f.ups, 1);
	assert_true(bridge_link_up(f.link));
	assert_false(bridge_link_busy(f.link));
	assert_int_equal(f.t.c_ospeed, 57600);
	assert_int_equal(f.t.c_cflag & (PARENB | PARODD), PARENB);
	end(&f);
}

static void a_port_that_is_not_there_at_first_is_an_error(void **state)
{
	struct fixture f = { .refuse_open = ENOENT };
	struct err e;

	(void)state;
	assert_int_equal(try_begin(&f, "", &e), -1);
	assert_non_null(strstr(e.msg, "/dev/ttyUSB7"));
	f.link = NULL;
	end(&f);
}

static void a_slow_port_is_waited_for(void **state)
{
	struct fixture f = { 0 };
	char piece[4096] = { 1 };
	size_t sent = 0, got = 0;

	(void)state;
	begin(&f, "");
	while (!bridge_link_busy(f.link)) {
		assert_int_equal(bridge_link_write(f.link, piece, sizeof(piece)), 0);
		sent += sizeof(piece);
	}
	assert_true(bridge_link_pending(f.link) > 0);
	f.drains = 0;
	while (got < sent) {
		ssize_t n = read(f.device, piece, sizeof(piece));

		assert_true(n > 0);
		got += (size_t)n;
		pass(&f, 1);
	}
	assert_int_equal(f.drains, 1);
	assert_false(bridge_link_busy(f.link));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(settings_reach_the_driver_and_are_answered),
		cmocka_unit_test(lines_breaks_and_purges_reach_the_driver),
		cmocka_unit_test(lines_and_errors_are_seen_while_somebody_wants_to_know),
		cmocka_unit_test(an_unplugged_port_comes_back_with_its_settings),
		cmocka_unit_test(a_port_that_is_not_there_at_first_is_an_error),
		cmocka_unit_test(a_slow_port_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
