#include "io/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"

enum { FIRST_FD = 3 };

static int take_socket(int fd, struct err *e)
{
	int listening = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof(listening);

	if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
	    !listening)
		return err_set(
			e, ERR_USAGE, "activation",
			"descriptor %d, passed by the service manager, is no listening socket", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "descriptor %d", fd);
	return 0;
}

int service_sockets(const char *pid, const char *fds, const char *names,
		    struct service_socket out[SERVICE_SOCKETS_MAX], size_t *n, struct err *e)
{
	uint64_t for_pid, count;

	*n = 0;
	if (!pid || !fds)
		return 0;
	if (num_parse_u64(pid, &for_pid, e) < 0 || num_parse_u64(fds, &count, e) < 0)
		return err_wrap(e, "LISTEN_PID, LISTEN_FDS");
	if (for_pid != (uint64_t)getpid())
		return 0;
	if (count > SERVICE_SOCKETS_MAX)
		return err_set(e, ERR_USAGE, "activation", "LISTEN_FDS=%s: at most %d", fds,
			       SERVICE_SOCKETS_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t len = names ? strcspn(names, ":") : 0;

		out[i].fd = FIRST_FD + (int)i;
		snprintf(out[i].name, sizeof(out[i].name), "%.*s", (int)len, names ? names : "");
		if (names)
			names += len + (names[len] == ':');
		if (take_socket(out[i].fd, e) < 0)
			return -1;
	}
	*n = count;
	return 0;
}

int service_notify(const char *socket_name, const char *state, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = socket_name ? strlen(socket_name) : 0;
	CLEANUP_FD int fd = -1;

	if (!socket_name)
		return 0;
	if (len < 2 || len >= sizeof(to.sun_path) || (*socket_name != '/' && *socket_name != '@'))
		return err_set(e, ERR_MACHINE, "notify", "NOTIFY_SOCKET=%s is no socket",
			       socket_name);
	memcpy(to.sun_path, socket_name, len);
	if (*socket_name == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_sys(e, ERR_MACHINE, "NOTIFY_SOCKET=%s", socket_name);
	return 0;
}
