/* test-chan-serial - serial channels on a made-up driver, and on a pty */
#include <asm/termbits.h>
#include <errno.h>
#include <linux/serial.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chan-bench.h"
#include "io/serial-port.h"
#include "io/spawn.h"

/* A driver: what it lacks or refuses (errno values), and what was done to it. */
struct port {
	int no_open, no_termios, no_settings, no_lines, no_serial, no_serial_set, busy;
	uint32_t only_baud; /* it runs at this one whatever is asked */
	struct termios2 t;
	struct serial_struct serial;
	int lines, raised, lowered, locked, flushed, flags;
	bool exclusive;
	int device; /* the other end of the line */
	struct serial_layer layer;
};

static int refuse(int sys)
{
	errno = sys;
	return sys ? -1 : 0;
}

static int port_open(void *ctx, const char *path, int flags)
{
	struct port *p = ctx;
	int pair[2];

	assert_string_equal(path, "/dev/ttyUSB7");
	p->flags = flags;
	if (p->no_open)
		return refuse(p->no_open);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	p->device = pair[1];
	return pair[0];
}

static int set_termios(struct port *p, const struct termios2 *t)
{
	if (p->no_settings)
		return refuse(p->no_settings);
	p->t = *t;
	if (p->only_baud)
		p->t.c_ospeed = p->only_baud;
	return 0;
}

static int set_lines(struct port *p, unsigned long request, int lines)
{
	if (p->no_lines)
		return refuse(p->no_lines);
	if (request == TIOCMBIS) {
		p->lines |= lines;
		p->raised |= lines;
	} else {
		p->lines &= ~lines;
		p->lowered |= lines;
	}
	return 0;
}

static int port_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct port *p = ctx;

	(void)fd;
	switch (request) {
	case TCGETS2:
		if (p->no_termios)
			return refuse(p->no_termios);
		*(struct termios2 *)arg = p->t;
		return 0;
	case TCSETS2:
		return set_termios(p, arg);
	case TIOCMBIS:
	case TIOCMBIC:
		return set_lines(p, request, *(int *)arg);
	case TIOCGSERIAL:
		*(struct serial_struct *)arg = p->serial;
		return refuse(p->no_serial);
	case TIOCSSERIAL:
		if (p->no_serial_set)
			return refuse(p->no_serial_set);
		p->serial = *(struct serial_struct *)arg;
		return 0;
	case TIOCEXCL:
		p->exclusive = true;
		return 0;
	case TCFLSH:
		p->flushed = (int)(uintptr_t)arg;
		return 0;
	default:
		return refuse(ENOTTY);
	}
}

static int port_flock(void *ctx, int fd, int operation)
{
	struct port *p = ctx;

	(void)fd;
	p->locked = operation;
	return refuse(p->busy);
}

static char sysfs[64] = "/nonexistent";

static const struct port fresh = { .t = { .c_cflag = B9600 | CS7 | PARENB | HUPCL,
					  .c_iflag = ICRNL | IXANY,
					  .c_oflag = OPOST,
					  .c_lflag = ICANON | ECHO | ISIG },
				   .flushed = -1,
				   .device = -1 };

/* Makes and starts a channel on p, with fake time. p must outlive it. */
static void start(struct bench *b, struct port *p, const char *query, struct chan_params params)
{
	char url[160];

	p->layer = (struct serial_layer){ .ctx = p,
					  .open = port_open,
					  .ioctl = port_ioctl,
					  .flock = port_flock,
					  .sysfs = sysfs };
	snprintf(url, sizeof(url), "serial:///dev/ttyUSB7%s", query);
	params.serial = &p->layer;
	bench_make(b, url, params, true);
	chan_start(b->chan);
}

/* The same until it is ready or has failed. */
static void begin(struct bench *b, struct port *p, const char *query, struct chan_params params)
{
	start(b, p, query, params);
	bench_run(b);
}

static void end(struct bench *b, struct port *p)
{
	bench_end(b);
	if (p->device >= 0)
		close(p->device);
}

static void settings_reach_the_driver(void **state)
{
	static const struct {
		const char *query;
		uint32_t baud;
		unsigned flags, iflag;
	} cases[] = {
		{ "", 115200, CS8, 0 },
		{ "?baud=123456&bits=7&parity=E", 123456, CS7 | PARENB, 0 },
		{ "?baud=3000000&parity=O&stop=2", 3000000, CS8 | PARENB | PARODD | CSTOPB, 0 },
		{ "?bits=5&stop=1.5&parity=M", 115200, CS5 | CSTOPB | PARENB | CMSPAR | PARODD, 0 },
		{ "?bits=6&parity=S&flow=rtscts", 115200, CS6 | PARENB | CMSPAR | CRTSCTS, 0 },
		{ "?flow=xonxoff&parity=N", 115200, CS8, IXON | IXOFF },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct port p = fresh;
		struct bench b;
		char baud[16];

		begin(&b, &p, cases[i].query, (struct chan_params){ 0 });
		assert_int_equal(b.ready, 1);
		assert_int_equal(p.flags, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		assert_int_equal(p.t.c_cflag, cases[i].flags | BOTHER | CREAD | CLOCAL | HUPCL);
		assert_int_equal(p.t.c_ispeed, cases[i].baud);
		assert_int_equal(p.t.c_ospeed, cases[i].baud);
		assert_int_equal(p.t.c_iflag, cases[i].iflag);
		assert_int_equal(p.t.c_oflag | p.t.c_lflag, 0);
		snprintf(baud, sizeof(baud), "%u", cases[i].baud);
		assert_string_equal(chan_identity(b.chan, "baud"), baud);
		assert_int_equal(p.flushed, -1);
		assert_string_equal(b.logged, "");
		end(&b, &p);
	}
}

static void another_baud_rate_is_a_warning(void **state)
{
	struct port p = fresh;
	struct bench b;

	(void)state;
	p.only_baud = 9600;
	begin(&b, &p, "?baud=123456", (struct chan_params){ .purge = true });
	assert_int_equal(b.ready, 1);
	assert_non_null(strstr(b.logged, "0 serial-baud"));
	assert_non_null(strstr(b.logged, "runs at 9600 baud instead of 123456"));
	assert_string_equal(chan_identity(b.chan, "baud"), "9600");
	assert_int_equal(p.flushed, TCIOFLUSH);
	end(&b, &p);
}

static void lines_are_raised_lowered_or_left_alone(void **state)
{
	static const struct {
		const char *query;
		bool set, dtr, rts;
		int raised, lowered;
		bool hangs_up;
	} cases[] = {
		{ "", false, false, false, 0, 0, true },
		{ "?dtr=on", false, false, false, TIOCM_DTR, 0, true },
		{ "?dtr=off&rts=on", false, false, false, TIOCM_RTS, TIOCM_DTR, true },
		{ "", true, true, false, TIOCM_DTR, TIOCM_RTS, true },
		{ "?dtr=off", true, true, true, TIOCM_RTS, TIOCM_DTR, true },
		{ "?dtr=keep&rts=keep", true, true, true, 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct port p = fresh;
		struct bench b;

		begin(&b, &p, cases[i].query,
		      (struct chan_params){ .set_lines = cases[i].set,
					    .raise_dtr = cases[i].dtr,
					    .raise_rts = cases[i].rts });
		assert_int_equal(b.ready, 1);
		assert_int_equal(p.raised, cases[i].raised);
		assert_int_equal(p.lowered, cases[i].lowered);
		assert_int_equal(!!(p.t.c_cflag & HUPCL), cases[i].hangs_up);
		end(&b, &p);
	}
}

static void mpremote_lowers_the_lines_at_the_end(void **state)
{
	struct port p = fresh;
	struct bench b;

	(void)state;
	begin(&b, &p, "?dtr=on&rts=on", (struct chan_params){ .style = &chan_style_mpremote });
	assert_int_equal(p.lines, TIOCM_DTR | TIOCM_RTS);
	chan_close(b.chan, bench_count_close);
	assert_int_equal(b.closed, 1);
	assert_int_equal(p.lines, 0);
	end(&b, &p);
}

static void the_port_is_ours_alone(void **state)
{
	struct port p = fresh;
	struct bench b;

	(void)state;
	begin(&b, &p, "", (struct chan_params){ 0 });
	assert_int_equal(p.locked, LOCK_EX | LOCK_NB);
	assert_true(p.exclusive);
	end(&b, &p);

	p = fresh;
	begin(&b, &p, "?exclusive=0", (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	assert_int_equal(p.locked, 0);
	assert_false(p.exclusive);
	end(&b, &p);

	p = fresh;
	p.busy = EWOULDBLOCK;
	begin(&b, &p, "", (struct chan_params){ 0 });
	assert_int_equal(b.failed, 1);
	assert_int_equal(chan_error(b.chan)->kind, ERR_USAGE);
	assert_non_null(strstr(chan_error(b.chan)->msg, "/dev/ttyUSB7 is in use"));
	assert_int_equal(p.t.c_cflag, fresh.t.c_cflag);
	end(&b, &p);
}

static void low_latency_is_asked_for_where_there_is_any(void **state)
{
	static const struct {
		int get, set;
		const char *note;
	} cases[] = {
		{ 0, 0, NULL },
		{ ENOTTY, 0, "1 serial-lacks the port has no low-latency flag (" },
		{ 0, EPERM, "1 serial-lacks the port has no low-latency flag that may be set" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct port p = fresh;
		struct bench b;

		p.serial.flags = 1;
		p.no_serial = cases[i].get;
		p.no_serial_set = cases[i].set;
		begin(&b, &p, "?low_latency=1", (struct chan_params){ 0 });
		assert_int_equal(b.ready, 1);
		assert_int_equal(p.serial.flags, cases[i].note ? 1 : 1 | 1 << 13);
		assert_true(cases[i].note ? !!strstr(b.logged, cases[i].note) : !b.logged[0]);
		end(&b, &p);
	}
}

static void what_cannot_be_is_said(void **state)
{
	static const struct {
		struct port p;
		enum err_kind kind;
		const char *why;
	} cases[] = {
		{ { .no_open = ENOENT }, ERR_USAGE, "cannot open /dev/ttyUSB7" },
		{ { .no_open = EACCES }, ERR_MACHINE, "cannot open /dev/ttyUSB7" },
		{ { .no_termios = ENOTTY }, ERR_USAGE, "/dev/ttyUSB7 is no serial port" },
		{ { .no_settings = EINVAL }, ERR_MACHINE, "/dev/ttyUSB7 refuses 115200 baud" },
	};
	struct port p;
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p = cases[i].p;
		p.device = -1;
		begin(&b, &p, "", (struct chan_params){ 0 });
		assert_int_equal(b.failed, 1);
		assert_int_equal(chan_error(b.chan)->kind, cases[i].kind);
		assert_non_null(strstr(chan_error(b.chan)->msg, cases[i].why));
		end(&b, &p);
	}
	p = fresh;
	p.no_lines = ENOTTY;
	begin(&b, &p, "?dtr=on", (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	assert_non_null(strstr(b.logged, "1 serial-lacks the port has no modem lines"));
	end(&b, &p);
}

static void device_says(struct port *p, const char *text)
{
	assert_int_equal(write(p->device, text, strlen(text)), strlen(text));
}

static void it_settles_before_use(void **state)
{
	struct port p = fresh;
	struct bench b;
	struct err e;

	(void)state;
	begin(&b, &p, "", (struct chan_params){ 0 }); /* without: ready at once */
	assert_int_equal(loop_now(b.loop), NS_PER_SEC);
	end(&b, &p);

	p = fresh;
	start(&b, &p, "?settle=2s", (struct chan_params){ 0 });
	assert_int_equal(b.connected, 1);
	assert_int_equal(b.ready, 0);
	device_says(&p, "rst:0x1 (POWERON)\r\n>>> ");
	bench_run(&b);
	assert_int_equal(b.ready, 1);
	assert_int_equal(loop_now(b.loop), 3 * NS_PER_SEC);
	assert_non_null(strstr(b.logged, "23 bytes that came while it settled are dropped"));
	device_says(&p, "fresh");
	b.want = 5;
	bench_run(&b);
	assert_int_equal(b.n_in, 5);
	assert_memory_equal(b.in, "fresh", 5);
	assert_int_equal(chan_write(b.chan, "x", 1, &e), 0);
	end(&b, &p);
}

static void a_port_that_goes_while_it_settles_fails(void **state)
{
	struct port p = fresh;
	struct bench b;

	(void)state;
	start(&b, &p, "?settle=2s", (struct chan_params){ 0 });
	close(p.device);
	p.device = -1;
	bench_run(&b);
	assert_int_equal(b.failed, 1);
	assert_string_equal(chan_error(b.chan)->code, "closed");
	assert_int_equal(loop_now(b.loop), NS_PER_SEC);
	assert_int_equal(bench_run_for(&b, 5000), LOOP_IDLE);
	assert_int_equal(b.ready, 0);
	end(&b, &p);
}

static void make_at(const char *dir, const char *rest, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, rest);
	if (!text) {
		assert_int_equal(mkdir(path, 0700), 0);
		return;
	}
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void sysfs_tells_driver_and_latency(void **state)
{
	static const char *const dirs[] = { "bus",
					    "bus/usb-serial",
					    "bus/usb-serial/devices",
					    "bus/usb-serial/devices/ttyUSB7",
					    "class",
					    "class/tty",
					    "class/tty/ttyUSB7",
					    "class/tty/ttyUSB7/device" };
	struct port p = fresh;
	struct bench b;
	char path[256];

	(void)state;
	begin(&b, &p, "", (struct chan_params){ 0 });
	assert_null(chan_identity(b.chan, "driver"));
	assert_null(chan_identity(b.chan, "latency_timer_ms"));
	end(&b, &p);

	snprintf(sysfs, sizeof(sysfs), "build/test-serial-XXXXXX");
	assert_non_null(mkdtemp(sysfs));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make_at(sysfs, dirs[i], NULL);
	make_at(sysfs, "bus/usb-serial/devices/ttyUSB7/latency_timer", "16\n");
	snprintf(path, sizeof(path), "%s/class/tty/ttyUSB7/device/driver", sysfs);
	assert_int_equal(symlink("../../../bus/usb-serial/drivers/ftdi_sio", path), 0);
	p = fresh;
	begin(&b, &p, "", (struct chan_params){ 0 });
	assert_string_equal(chan_identity(b.chan, "driver"), "ftdi_sio");
	assert_string_equal(chan_identity(b.chan, "latency_timer_ms"), "16");
	end(&b, &p);
	unlink(path);
	snprintf(path, sizeof(path), "%s/bus/usb-serial/devices/ttyUSB7/latency_timer", sysfs);
	unlink(path);
	for (size_t i = sizeof(dirs) / sizeof(dirs[0]); i-- > 0;) {
		snprintf(path, sizeof(path), "%s/%s", sysfs, dirs[i]);
		rmdir(path);
	}
	assert_int_equal(rmdir(sysfs), 0);
}

static void a_pty_serves_as_serial_port(void **state)
{
	struct bench b, second;
	int master, slave;
	char path[64], url[160], back[8];
	struct err e;

	(void)state;
	assert_int_equal(pty_open(&master, &slave, path, &e), 0);
	snprintf(url, sizeof(url), "serial://%s?baud=123456&dtr=on&low_latency=1", path);
	bench_begin(&b, url, (struct chan_params){ 0 });
	assert_int_equal(b.ready, 1);
	assert_string_equal(chan_identity(b.chan, "baud"), "123456");
	assert_non_null(strstr(b.logged, "1 serial-lacks the port has no modem lines"));
	bench_begin(&second, url, (struct chan_params){ 0 });
	assert_int_equal(second.failed, 1);
	assert_non_null(strstr(chan_error(second.chan)->msg, "in use"));
	bench_end(&second);
	assert_int_equal(chan_write(b.chan, "out", 3, &e), 0);
	assert_int_equal(read(master, back, sizeof(back)), 3);
	assert_int_equal(write(master, "in!", 3), 3);
	b.want = 3;
	bench_run(&b);
	assert_memory_equal(b.in, "in!", 3);
	close(slave);
	close(master);
	bench_run(&b);
	assert_int_equal(b.closed, 1);
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_reach_the_driver),
		cmocka_unit_test(another_baud_rate_is_a_warning),
		cmocka_unit_test(lines_are_raised_lowered_or_left_alone),
		cmocka_unit_test(mpremote_lowers_the_lines_at_the_end),
		cmocka_unit_test(the_port_is_ours_alone),
		cmocka_unit_test(low_latency_is_asked_for_where_there_is_any),
		cmocka_unit_test(what_cannot_be_is_said),
		cmocka_unit_test(it_settles_before_use),
		cmocka_unit_test(a_port_that_goes_while_it_settles_fails),
		cmocka_unit_test(sysfs_tells_driver_and_latency),
		cmocka_unit_test(a_pty_serves_as_serial_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
