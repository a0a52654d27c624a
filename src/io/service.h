/* service - what a service manager gives and is told: passed sockets, readiness (sd_listen_fds(3), sd_notify(3)) */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum { SERVICE_SOCKETS_MAX = 16 };

struct service_socket {
	int fd;	       /* non-blocking and CLOEXEC now; the caller's */
	char name[64]; /* FileDescriptorName=, "" where there is none */
};

/* The values of LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES (NULL: unset). What is meant for another process is none:
 * *n = 0. ERR_USAGE when a passed descriptor is no listening stream socket. */
int service_sockets(const char *pid, const char *fds, const char *names,
		    struct service_socket out[SERVICE_SOCKETS_MAX], size_t *n,
		    struct err *e) ERR_MUST_CHECK;
/* Sends a state ("READY=1\nSTATUS=...") to the socket of NOTIFY_SOCKET (a path, or '@' and an abstract name; NULL:
 * nobody wants to know). ERR_MACHINE when it is not there. */
int service_notify(const char *socket_name, const char *state, struct err *e) ERR_MUST_CHECK;
