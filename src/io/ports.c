#include "io/ports.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PORTS_MAX = 4096, PARENTS_MAX = 8 };

/* The first line of dir/file; false (and "") where it cannot be read. */
static bool read_line(const char *dir, const char *file, char *out, size_t size)
{
	char path[PATH_MAX];
	CLEANUP_FD int fd = -1;
	ssize_t n;

	out[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, size - 1);
	if (n < 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

/* The last part of what a link points to. */
static void read_link(const char *path, char *out, size_t size)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	out[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(out, size, "%.*s", (int)size - 1, base ? base + 1 : target);
}

/* Climbs from the tty's device to the USB interface and the USB device above it. */
static void read_usb(struct port *p, const char *device)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", device);
	for (int i = 0; i < PARENTS_MAX; i++) {
		char *slash;

		if (!p->interface[0])
			read_line(dir, "interface", p->interface, sizeof(p->interface));
		if (read_line(dir, "idVendor", p->vid, sizeof(p->vid))) {
			read_line(dir, "idProduct", p->pid, sizeof(p->pid));
			read_line(dir, "manufacturer", p->manufacturer, sizeof(p->manufacturer));
			read_line(dir, "product", p->product, sizeof(p->product));
			read_line(dir, "serial", p->serial, sizeof(p->serial));
			return;
		}
		slash = strrchr(dir, '/');
		if (!slash || slash == dir)
			return;
		*slash = '\0';
	}
}

static void read_by_id(struct port *p, const char *root)
{
	char dir[PATH_MAX], path[PATH_MAX], target[64];
	struct dirent *d;
	DIR *list;

	snprintf(dir, sizeof(dir), "%s/dev/serial/by-id", root);
	list = opendir(dir);
	if (!list)
		return;
	while ((d = readdir(list))) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, d->d_name) >= (int)sizeof(path))
			continue;
		read_link(path, target, sizeof(target));
		if (strcmp(target, p->name) == 0)
			snprintf(p->by_id, sizeof(p->by_id), "%s", d->d_name);
	}
	closedir(list);
}

/* False for a terminal that is no serial port. */
static bool read_port(struct port *p, const char *root, const char *name)
{
	char dir[PATH_MAX - 64], path[PATH_MAX], text[16];
	CLEANUP_FREE char *device = NULL;

	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%.63s", name);
	snprintf(dir, sizeof(dir), "%s/sys/class/tty/%s", root, name);
	snprintf(path, sizeof(path), "%s/device", dir);
	device = realpath(path, NULL);
	if (!device || (read_line(dir, "type", text, sizeof(text)) && strcmp(text, "0") == 0))
		return false;
	snprintf(path, sizeof(path), "%s/device/driver", dir);
	read_link(path, p->driver, sizeof(p->driver));
	snprintf(path, sizeof(path), "%s/device", dir);
	p->latency_timer_ms = -1;
	if (read_line(path, "latency_timer", text, sizeof(text)))
		sscanf(text, "%4d", &p->latency_timer_ms);
	read_usb(p, device);
	read_by_id(p, root);
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strverscmp(((const struct port *)a)->name, ((const struct port *)b)->name);
}

static int add(struct ports *out, const struct port *p)
{
	struct port *v = reallocarray(out->v, out->n + 1, sizeof(*v));

	if (!v)
		return -1;
	out->v = v;
	out->v[out->n++] = *p;
	return 0;
}

int ports_read(struct ports *out, const char *root, struct err *e)
{
	char dir[PATH_MAX];
	struct dirent *d;
	int rc = 0;
	DIR *list;

	memset(out, 0, sizeof(*out));
	snprintf(dir, sizeof(dir), "%s/sys/class/tty", root);
	list = opendir(dir);
	if (!list)
		return err_sys(e, ERR_MACHINE, "cannot list serial ports: %s", dir);
	while (rc == 0 && out->n < PORTS_MAX && (d = readdir(list))) {
		struct port p;

		if (d->d_name[0] != '.' && read_port(&p, root, d->d_name))
			rc = add(out, &p);
	}
	closedir(list);
	if (rc < 0) {
		ports_done(out);
		return err_nomem(e);
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), compare_names);
	return 0;
}

void ports_done(struct ports *p)
{
	free(p->v);
	p->v = NULL;
	p->n = 0;
}
