#include "io/serial-port.h"

/* termios2 lives in the kernel's header only, which clashes with <termios.h>: hence this file. */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

/* <linux/tty_flags.h>, named as the UAPI names it */
enum { LOW_LATENCY = 1 << 13 };

enum { NAME_SIZE = 64 };

static int real_open(void *ctx, const char *path, int flags)
{
	(void)ctx;
	return open(path, flags);
}

static int real_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	(void)ctx;
	return ioctl(fd, request, arg);
}

static int real_flock(void *ctx, int fd, int operation)
{
	(void)ctx;
	return flock(fd, operation);
}

const struct serial_layer serial_layer_real = {
	.open = real_open,
	.ioctl = real_ioctl,
	.flock = real_flock,
	.sysfs = "/sys",
};

static int control(const struct serial_layer *l, int fd, unsigned long request, void *arg)
{
	return l->ioctl(l->ctx, fd, request, arg);
}

static void lacks(const struct log *log, const char *what)
{
	log_say(log, LOG_NOTE, "serial-lacks", "the port has no %s (%s)", what, strerror(errno));
}

static int lock(const struct serial_layer *l, const char *path, int fd, struct err *e)
{
	if (l->flock(l->ctx, fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, ERR_USAGE, "%s is in use by another program", path);
	/* keeps out programs that do not lock; root passes it */
	control(l, fd, TIOCEXCL, NULL);
	return 0;
}

static unsigned control_flags(const struct serial_settings *s)
{
	static const unsigned size[] = { CS5, CS6, CS7, CS8 };
	static const unsigned parity[] = { 0, PARENB | PARODD, PARENB, PARENB | CMSPAR | PARODD,
					   PARENB | CMSPAR };
	unsigned flags = CREAD | CLOCAL | BOTHER | size[s->bits - 5] | parity[s->parity];

	if (s->stop != SERIAL_STOP_1)
		flags |= CSTOPB; /* with 5 bits the hardware makes it 1.5 */
	if (s->flow == SERIAL_RTSCTS)
		flags |= CRTSCTS;
	return flags;
}

int serial_configure(const struct serial_layer *l, const char *path, int fd,
		     const struct serial_settings *s, struct err *e)
{
	const unsigned ours =
		CBAUD | (CBAUD << IBSHIFT) | CSIZE | PARENB | PARODD | CMSPAR | CSTOPB | CRTSCTS;
	struct termios2 t = { 0 };

	if (control(l, fd, TCGETS2, &t) < 0)
		return err_sys(e, errno == ENOTTY ? ERR_USAGE : ERR_MACHINE, "%s is no serial port",
			       path);
	t.c_cflag = (t.c_cflag & ~ours) | control_flags(s);
	if (s->line_keep)
		t.c_cflag &= ~(unsigned)HUPCL;
	t.c_ispeed = t.c_ospeed = s->baud;
	t.c_iflag = s->flow == SERIAL_XONXOFF ? IXON | IXOFF : 0;
	t.c_oflag = 0;
	t.c_lflag = 0;
	t.c_cc[VMIN] = 1; /* end of file is the end, not an empty read */
	t.c_cc[VTIME] = 0;
	if (control(l, fd, TCSETS2, &t) < 0)
		return err_sys(e, ERR_MACHINE,
			       "%s refuses %u baud, %u bits or another of its settings", path,
			       s->baud, s->bits);
	return 0;
}

static void set_low_latency(const struct serial_layer *l, int fd, const struct log *log)
{
	struct serial_struct ss = { 0 };

	if (control(l, fd, TIOCGSERIAL, &ss) < 0) {
		lacks(log, "low-latency flag");
		return;
	}
	ss.flags |= LOW_LATENCY;
	if (control(l, fd, TIOCSSERIAL, &ss) < 0)
		lacks(log, "low-latency flag that may be set");
}

int serial_open(const struct serial_layer *layer, const char *path, const struct serial_settings *s,
		const struct log *log, int *out, struct err *e)
{
	CLEANUP_FD int fd =
		layer->open(layer->ctx, path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	uint32_t real;

	if (fd < 0)
		return err_sys(e, errno == EACCES || errno == EPERM ? ERR_MACHINE : ERR_USAGE,
			       "cannot open %s", path);
	if ((s->exclusive && lock(layer, path, fd, e) < 0) ||
	    serial_configure(layer, path, fd, s, e) < 0)
		return -1;
	real = serial_baud(layer, fd);
	if (real && real != s->baud)
		log_say(log, LOG_WARNING, "serial-baud", "%s runs at %u baud instead of %u", path,
			real, s->baud);
	if (s->low_latency)
		set_low_latency(layer, fd, log);
	serial_set_lines(layer, fd, s->dtr, s->rts, log);
	*out = fd_take(&fd);
	return 0;
}

void serial_set_lines(const struct serial_layer *layer, int fd, int dtr, int rts,
		      const struct log *log)
{
	int on = (dtr == SERIAL_ON ? TIOCM_DTR : 0) | (rts == SERIAL_ON ? TIOCM_RTS : 0);
	int off = (dtr == SERIAL_OFF ? TIOCM_DTR : 0) | (rts == SERIAL_OFF ? TIOCM_RTS : 0);

	if ((on && control(layer, fd, TIOCMBIS, &on) < 0) ||
	    (off && control(layer, fd, TIOCMBIC, &off) < 0))
		lacks(log, "modem lines");
}

void serial_purge(const struct serial_layer *layer, int fd)
{
	control(layer, fd, TCFLSH, (void *)(uintptr_t)TCIOFLUSH);
}

uint32_t serial_baud(const struct serial_layer *layer, int fd)
{
	struct termios2 t = { 0 };

	return control(layer, fd, TCGETS2, &t) < 0 ? 0 : t.c_ospeed;
}

/* The port's own name, behind links like those in /dev/serial/by-id; at most size - 1 bytes of it. */
static void port_name(const char *path, char *out, size_t size)
{
	CLEANUP_FREE char *real = realpath(path, NULL);
	const char *name = strrchr(real ? real : path, '/');

	snprintf(out, size, "%s", name ? name + 1 : path);
}

bool serial_driver(const struct serial_layer *layer, const char *path, char *out, size_t size)
{
	char name[NAME_SIZE], link[512], target[512];
	const char *slash;
	ssize_t n;

	port_name(path, name, sizeof(name));
	snprintf(link, sizeof(link), "%s/class/tty/%s/device/driver", layer->sysfs, name);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(out, size, "%s", slash ? slash + 1 : target);
	return true;
}

int serial_latency_timer(const struct serial_layer *layer, const char *path)
{
	char name[NAME_SIZE], file[512], text[16];
	CLEANUP_FD int fd = -1;
	ssize_t n;
	int value = 0;

	port_name(path, name, sizeof(name));
	snprintf(file, sizeof(file), "%s/bus/usb-serial/devices/%s/latency_timer", layer->sysfs,
		 name);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n <= 0 || text[0] < '0' || text[0] > '9')
		return -1;
	for (ssize_t i = 0; i < n && i < 4 && text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

void serial_discard(const struct serial_layer *layer, int fd, bool received, bool unsent)
{
	if (received)
		control(layer, fd, TCFLSH, (void *)(uintptr_t)TCIFLUSH);
	if (unsent)
		control(layer, fd, TCFLSH, (void *)(uintptr_t)TCOFLUSH);
}

void serial_break(const struct serial_layer *layer, int fd, bool on)
{
	control(layer, fd, on ? TIOCSBRK : TIOCCBRK, NULL);
}

int serial_lines(const struct serial_layer *layer, int fd)
{
	int now = 0;

	if (control(layer, fd, TIOCMGET, &now) < 0)
		return -1;
	return (now & TIOCM_CAR ? SERIAL_LINE_CD : 0) | (now & TIOCM_RNG ? SERIAL_LINE_RI : 0) |
	       (now & TIOCM_DSR ? SERIAL_LINE_DSR : 0) | (now & TIOCM_CTS ? SERIAL_LINE_CTS : 0);
}

int serial_count(const struct serial_layer *layer, int fd, struct serial_counts *out)
{
	struct serial_icounter_struct c = { 0 };

	if (control(layer, fd, TIOCGICOUNT, &c) < 0)
		return -1;
	*out = (struct serial_counts){
		.overrun = (uint32_t)(c.overrun + c.buf_overrun),
		.parity = (uint32_t)c.parity,
		.frame = (uint32_t)c.frame,
		.brk = (uint32_t)c.brk,
	};
	return 0;
}
