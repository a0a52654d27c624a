/* ports - the serial ports of a machine, as sysfs describes them */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { PORT_TEXT_MAX = 128 };

/* Texts are "" where the machine does not say; vid and pid are four hex digits. */
struct port {
	char name[64]; /* "ttyUSB0" */
	char driver[PORT_TEXT_MAX], vid[8], pid[8];
	char manufacturer[PORT_TEXT_MAX], product[PORT_TEXT_MAX], serial[PORT_TEXT_MAX];
	char interface[PORT_TEXT_MAX];
	char by_id[256];      /* the link in /dev/serial/by-id */
	int latency_timer_ms; /* FTDI; -1: none */
};

struct ports {
	struct port *v;
	size_t n;
};

/* Reads ROOT/sys/class/tty and ROOT/dev/serial/by-id ("" is the machine itself), sorted by name. Terminals without a
 * device (consoles, ptys) and 8250 ports without a chip are left out. ERR_MACHINE where there is no sysfs. */
int ports_read(struct ports *out, const char *root, struct err *e) ERR_MUST_CHECK;
void ports_done(struct ports *p);
CLEANUP_OBJ(struct ports, ports_done)
