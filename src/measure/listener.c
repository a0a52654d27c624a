#include "measure/listener.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "measure/sysfile.h"

/* Of /proc/net/tcp: TCP_LISTEN; of /proc/net/udp: a socket that is not connected. */
enum { STATE_LISTEN = 0x0A, STATE_UNCONNECTED = 0x07 };
enum { INODES_MAX = 256 };

struct sockets {
	uint64_t inode[INODES_MAX];
	size_t n;
	unsigned uid; /* of the first one */
};

int listener_parse(const char *text, struct listener_port *out, struct err *e)
{
	const char *slash = strchr(text, '/');
	char number[8] = { 0 };
	struct err inner = { 0 };
	uint64_t port = 0;
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	out->tcp = !slash || strcmp(slash, "/tcp") == 0;
	out->udp = !slash || strcmp(slash, "/udp") == 0;
	if (len < sizeof(number))
		memcpy(number, text, len);
	if ((!out->tcp && !out->udp) || num_parse_u64(number, &port, &inner) < 0 || port < 1 ||
	    port > 65535)
		return err_set(e, ERR_USAGE, "usage",
			       "\"%s\" is no port; write for example 69/udp, 80/tcp or 8080", text);
	out->port = (uint16_t)port;
	return 0;
}

/* sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode */
static bool parse_line(const char *line, unsigned *port, unsigned *state, unsigned *uid,
		       uint64_t *inode)
{
	return sscanf(line,
		      " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*u %lu",
		      port, state, uid, inode) == 4;
}

static void scan_table(const char *root, const char *path, uint16_t wanted, unsigned wanted_state,
		       struct sockets *s)
{
	FILE *f = sysfile_open(root, path);
	unsigned port, state, uid;
	uint64_t inode;
	char line[512];

	if (!f)
		return;
	while (s->n < INODES_MAX && fgets(line, sizeof(line), f)) {
		if (!parse_line(line, &port, &state, &uid, &inode) || port != wanted ||
		    state != wanted_state || !inode)
			continue;
		if (s->n == 0)
			s->uid = uid;
		s->inode[s->n++] = inode;
	}
	fclose(f);
}

static bool is_wanted(const struct sockets *s, const char *link)
{
	uint64_t inode;

	if (sscanf(link, "socket:[%lu]", &inode) != 1)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (s->inode[i] == inode)
			return true;
	return false;
}

static bool holds_one(const char *root, const char *pid, const struct sockets *s)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT;
	bool found = false;
	DIR *dir;

	if (buf_addf(&path, "%s/proc/%s/fd", root, pid) < 0)
		return false;
	dir = opendir(buf_text(&path));
	if (!dir)
		return false;
	for (struct dirent *d; !found && (d = readdir(dir));) {
		char link[64];
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = 0;
		found = is_wanted(s, link);
	}
	closedir(dir);
	return found;
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static int unseen(const struct listener_port *port, unsigned uid, struct err *e)
{
	const struct passwd *pw = getpwuid(uid);
	char name[64];

	snprintf(name, sizeof(name), "uid %u", uid);
	return err_set(
		e, ERR_MACHINE, "owner",
		"port %u%s is served by %s, whose process cannot be seen from here: run as root, or name the "
		"process with -p PID, in a benchmark --syscalls=pid:PID (as root: ss -lnp 'sport = :%u')",
		port->port,
		port->tcp && port->udp ? ""
		: port->udp	       ? "/udp"
				       : "/tcp",
		pw ? pw->pw_name : name, port->port);
}

int listener_find(const char *root, const struct listener_port *port, pid_t out[LISTENERS_MAX],
		  size_t *n, struct err *e)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT;
	struct sockets s = { .n = 0 };
	DIR *dir;

	*n = 0;
	if (port->tcp) {
		scan_table(root, "/proc/net/tcp", port->port, STATE_LISTEN, &s);
		scan_table(root, "/proc/net/tcp6", port->port, STATE_LISTEN, &s);
	}
	if (port->udp) {
		scan_table(root, "/proc/net/udp", port->port, STATE_UNCONNECTED, &s);
		scan_table(root, "/proc/net/udp6", port->port, STATE_UNCONNECTED, &s);
	}
	if (s.n == 0)
		return 0;
	if (buf_addf(&path, "%s/proc", root) < 0)
		return err_nomem(e);
	dir = opendir(buf_text(&path));
	if (!dir)
		return err_sys(e, ERR_MACHINE, "%s", buf_text(&path));
	for (struct dirent *d; *n < LISTENERS_MAX && (d = readdir(dir));) {
		uint64_t pid;

		if (sysfile_parse_u64(d->d_name, &pid, NULL) && holds_one(root, d->d_name, &s))
			out[(*n)++] = (pid_t)pid;
	}
	closedir(dir);
	if (*n == 0)
		return unseen(port, s.uid, e);
	qsort(out, *n, sizeof(out[0]), by_number);
	return 0;
}
