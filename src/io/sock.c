#include "io/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { LISTEN_BACKLOG = 1024 };

int addr_resolve(struct addr *out, size_t max, size_t *n, const char *host, uint16_t port,
		 int socktype, struct err *e)
{
	bool any = !host || !*host;
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = socktype,
				  .ai_flags = AI_NUMERICSERV | (any ? AI_PASSIVE : 0) };
	struct addrinfo *list = NULL;
	char service[8];
	int rc;

	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(any ? NULL : host, service, &hints, &list);
	if (rc == EAI_SYSTEM)
		return err_sys(e, ERR_TARGET, "cannot resolve %s", any ? "any address" : host);
	if (rc == EAI_MEMORY)
		return err_nomem(e);
	if (rc != 0)
		return err_set(e, ERR_TARGET, "resolve", "cannot resolve %s: %s",
			       any ? "any address" : host, gai_strerror(rc));
	*n = 0;
	for (struct addrinfo *i = list; i && *n < max; i = i->ai_next) {
		struct addr *a = &out[*n];

		if (i->ai_addrlen > sizeof(a->sa))
			continue;
		memset(a, 0, sizeof(*a));
		memcpy(&a->sa, i->ai_addr, i->ai_addrlen);
		a->len = i->ai_addrlen;
		(*n)++;
	}
	freeaddrinfo(list);
	if (*n == 0)
		return err_set(e, ERR_TARGET, "resolve", "%s has no address",
			       any ? "any address" : host);
	return 0;
}

char *addr_format(const struct addr *a, char *out)
{
	enum { ADDR_TEXT = 80 };
	char text[INET6_ADDRSTRLEN] = "";

	if (a->sa.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;

		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		snprintf(out, ADDR_TEXT, "[%s]:%u", text, addr_port(a));
	} else if (a->sa.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		snprintf(out, ADDR_TEXT, "%s:%u", text, addr_port(a));
	} else {
		snprintf(out, ADDR_TEXT, "?");
	}
	return out;
}

uint16_t addr_port(const struct addr *a)
{
	if (a->sa.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
	if (a->sa.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
	return 0;
}

static int no_socket(const char *what, struct err *e)
{
	struct rlimit lim = { 0 };

	if (errno != EMFILE)
		return err_sys(e, ERR_MACHINE, "%s", what);
	getrlimit(RLIMIT_NOFILE, &lim);
	errno = EMFILE;
	return err_sys(e, ERR_MACHINE, "%s: all %llu descriptors of this process are in use", what,
		       (unsigned long long)lim.rlim_cur);
}

int sock_connect(int *fd, const struct addr *a, struct err *e)
{
	char text[80];
	CLEANUP_FD int s = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (s < 0)
		return no_socket("cannot make a socket", e);
	if (connect(s, (const struct sockaddr *)&a->sa, a->len) < 0 && errno != EINPROGRESS &&
	    errno != EINTR)
		return err_sys(e, ERR_TARGET, "connect to %s", addr_format(a, text));
	*fd = fd_take(&s);
	return 0;
}

int sock_connected(int fd, const struct addr *a, struct err *e)
{
	char text[80];
	int sys = 0;
	socklen_t len = sizeof(sys);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
		sys = errno;
	if (sys == 0)
		return 0;
	errno = sys;
	return err_sys(e, ERR_TARGET, "connect to %s", addr_format(a, text));
}

int sock_listen_at(int *fd, const struct addr *a, struct addr *bound, struct err *e)
{
	const int one = 1;
	char text[80];
	CLEANUP_FD int s = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (s < 0)
		return no_socket("cannot make a socket", e);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (const struct sockaddr *)&a->sa, a->len) < 0 || listen(s, LISTEN_BACKLOG) < 0)
		return err_sys(e, errno == EACCES ? ERR_MACHINE : ERR_USAGE, "cannot listen on %s",
			       addr_format(a, text));
	if (bound) {
		bound->len = sizeof(bound->sa);
		if (getsockname(s, (struct sockaddr *)&bound->sa, &bound->len) < 0)
			return err_sys(e, ERR_INTERNAL, "getsockname");
	}
	*fd = fd_take(&s);
	return 0;
}

int sock_listen(int *fd, const char *host, uint16_t port, struct addr *bound, struct err *e)
{
	struct addr a = { 0 };
	size_t n;

	if (addr_resolve(&a, 1, &n, host ? host : "127.0.0.1", port, SOCK_STREAM, e) < 0) {
		e->kind = ERR_USAGE;
		return -1;
	}
	return sock_listen_at(fd, &a, bound, e);
}

int sock_accept(int listener, int *fd, struct addr *peer, struct err *e)
{
	struct addr sink;

	if (!peer)
		peer = &sink;
	memset(peer, 0, sizeof(*peer));
	peer->len = sizeof(peer->sa);
	*fd = accept4(listener, (struct sockaddr *)&peer->sa, &peer->len,
		      SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (*fd >= 0)
		return 0;
	switch (errno) {
	case EAGAIN:
	case EINTR:
	/* the client gave up between its SYN and our accept, see accept(2) */
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return 0;
	default:
		return no_socket("cannot accept a connection", e);
	}
}

void sock_nodelay(int fd, bool on)
{
	int value = on;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
}

void sock_keepalive(int fd, int idle_s, int interval_s, int count)
{
	const int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

uint64_t sock_raise_nofile(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 0;
	if (lim.rlim_cur < lim.rlim_max) {
		struct rlimit more = { .rlim_cur = lim.rlim_max, .rlim_max = lim.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			lim = more;
	}
	return lim.rlim_cur;
}
