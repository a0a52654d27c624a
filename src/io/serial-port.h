/* serial-port - a serial line's descriptor, behind a table of functions so that tests can be the hardware */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "io/serial-settings.h"

/* What touches the machine. ioctl's arg is a pointer or a number cast to one. All as the calls of their names: -1 with
 * errno. */
struct serial_layer {
	void *ctx;
	int (*open)(void *ctx, const char *path, int flags);
	int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
	int (*flock)(void *ctx, int fd, int operation);
	const char *sysfs; /* "/sys" */
};
extern const struct serial_layer serial_layer_real;

/* Opens path raw with the settings of s: non-blocking, CLOEXEC, no controlling terminal. What a driver lacks (modem
 * lines or the low-latency flag on a pty) is a note in log. ERR_USAGE not found or busy, ERR_MACHINE no permission or a
 * setting refused, naming it. */
int serial_open(const struct serial_layer *layer, const char *path, const struct serial_settings *s,
		const struct log *log, int *fd, struct err *e) ERR_MUST_CHECK;
/* Sets DTR and RTS: SERIAL_KEEP, ON or OFF each. Missing lines are a note. */
void serial_set_lines(const struct serial_layer *layer, int fd, int dtr, int rts,
		      const struct log *log);
/* Puts the speed, size, parity, stop bits and flow control of s into effect on an open port. */
int serial_configure(const struct serial_layer *layer, const char *path, int fd,
		     const struct serial_settings *s, struct err *e) ERR_MUST_CHECK;
/* Drops what the driver has received, or what it has not sent yet. */
void serial_discard(const struct serial_layer *layer, int fd, bool received, bool unsent);
/* Begins or ends a break. */
void serial_break(const struct serial_layer *layer, int fd, bool on);
/* The lines that the port reads: SERIAL_LINE_* bits; -1 where it has none (a pty). */
enum { SERIAL_LINE_CD = 128, SERIAL_LINE_RI = 64, SERIAL_LINE_DSR = 32, SERIAL_LINE_CTS = 16 };
int serial_lines(const struct serial_layer *layer, int fd);
/* How often the driver met each since it was loaded; -1 where it does not count. */
struct serial_counts {
	uint32_t overrun, parity, frame, brk;
};
int serial_count(const struct serial_layer *layer, int fd, struct serial_counts *out);
/* Drops what is in the driver's buffers, both ways. */
void serial_purge(const struct serial_layer *layer, int fd);
/* The speed that the driver set, 0 unknown. */
uint32_t serial_baud(const struct serial_layer *layer, int fd);
/* The name of the port's driver from sysfs, into out; false where it has none. */
bool serial_driver(const struct serial_layer *layer, const char *path, char *out, size_t size);
/* An FTDI adapter's latency timer in ms from sysfs, -1 where there is none. */
int serial_latency_timer(const struct serial_layer *layer, const char *path);
