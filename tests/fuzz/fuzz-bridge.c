/* The bridge between clients that do anything and a port that comes and goes: it stays within its bounds, nothing leaks, no
 * byte reaches the device that nobody sent. The bytes of the fuzzer are a script of who does what. */
#include <asm/termbits.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/serial-port.h"
#include "peer/bridge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CLIENTS = 6,
	STEPS_MAX = 60,
	CONNECT_RAW = 0,
	CONNECT_RFC2217,
	SEND,
	READ,
	CLOSE,
	FINISH,
	DEVICE_SENDS,
	DEVICE_READS,
	UNPLUG,
	WAIT,
	OPS
};

struct play {
	struct serial_layer layer;
	struct loop *loop;
	struct url url;
	struct bridge *bridge;
	struct sockaddr_un at[2];
	socklen_t at_len[2];
	int client[CLIENTS], device;
	uint64_t sent, received;
	const uint8_t *data;
	size_t size;
};

static void check(int condition)
{
	if (!condition)
		abort();
}

static uint8_t next(struct play *p)
{
	if (!p->size)
		return 0;
	p->size--;
	return *p->data++;
}

static int port_open(void *ctx, const char *path, int flags)
{
	struct play *p = ctx;
	int pair[2];

	(void)path;
	(void)flags;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	if (p->device >= 0)
		close(p->device);
	p->device = pair[1];
	return pair[0];
}

/* A port that has settings and no lines. */
static int port_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	(void)ctx;
	(void)fd;
	if (request == TCGETS2)
		memset(arg, 0, sizeof(struct termios2));
	if (request == TCGETS2 || request == TCSETS2 || request == TCFLSH)
		return 0;
	errno = ENOTTY;
	return -1;
}

static int port_flock(void *ctx, int fd, int operation)
{
	(void)ctx;
	(void)fd;
	(void)operation;
	return 0;
}

static void add_port(struct play *p, int i, enum bridge_kind kind)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct err e;

	p->at[i] = (struct sockaddr_un){ .sun_family = AF_UNIX };
	p->at_len[i] = sizeof(p->at[i]);
	/* a name of the kernel's choice */
	check(bind(fd, (struct sockaddr *)&p->at[i], sizeof(sa_family_t)) == 0);
	check(listen(fd, 16) == 0);
	check(getsockname(fd, (struct sockaddr *)&p->at[i], &p->at_len[i]) == 0);
	check(bridge_add_port(p->bridge, fd, kind, &e) == 0);
}

static void drain(int fd, uint64_t *received)
{
	uint8_t sink[65536];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, sink, sizeof(sink))) > 0)
		if (received)
			*received += (uint64_t)n;
}

static void say(struct play *p, int fd, uint64_t *sent)
{
	size_t n = next(p) * 8u;
	ssize_t done;

	n = n < p->size ? n : p->size;
	if (fd < 0 || n == 0)
		return;
	done = send(fd, p->data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (done > 0 && sent)
		*sent += (uint64_t)done;
	p->data += n;
	p->size -= n;
}

static void connect_client(struct play *p, int *fd, int port)
{
	if (*fd >= 0)
		close(*fd);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(*fd, (struct sockaddr *)&p->at[port], p->at_len[port]) < 0) {
		close(*fd);
		*fd = -1;
	}
}

static void step(struct play *p, uint64_t ns)
{
	enum loop_end why;
	struct err e;

	for (int i = 0; i < 4; i++)
		check(loop_run(p->loop, loop_now(p->loop) + ns, &why, &e) == 0);
}

static void act(struct play *p, uint8_t op, int *fd)
{
	switch (op) {
	case CONNECT_RAW:
	case CONNECT_RFC2217:
		connect_client(p, fd, op == CONNECT_RFC2217);
		break;
	case SEND:
		say(p, *fd, &p->sent);
		break;
	case READ:
		drain(*fd, NULL);
		break;
	case CLOSE:
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		break;
	case FINISH:
		if (*fd >= 0)
			shutdown(*fd, SHUT_WR);
		break;
	case DEVICE_SENDS:
		say(p, p->device, NULL);
		break;
	case DEVICE_READS:
		drain(p->device, &p->received);
		break;
	case UNPLUG:
		drain(p->device, &p->received);
		close(p->device);
		p->device = -1;
		break;
	default:
		step(p, next(p) * 20 * NS_PER_MS);
	}
}

static void begin(struct play *p, const uint8_t *data, size_t size)
{
	struct bridge_params params = { .signature = "fuzz" };
	uint8_t how;
	struct err e;

	*p = (struct play){ .device = -1, .data = data, .size = size };
	for (int i = 0; i < CLIENTS; i++)
		p->client[i] = -1;
	p->layer = (struct serial_layer){ p, port_open, port_ioctl, port_flock, "/nonexistent" };
	check(url_parse(&p->url, "/dev/ttyS0", &e) == 0);
	check(loop_new_fake(&p->loop, NS_PER_SEC, &e) == 0);
	params.link.url = &p->url;
	params.link.serial = &p->layer;
	how = next(p);
	params.shared = how & 1;
	params.chardelay_ns = how & 2 ? 5 * NS_PER_MS : 0;
	if (bridge_new(&p->bridge, p->loop, &params, &e) < 0) {
		p->bridge = NULL;
		return;
	}
	add_port(p, 0, BRIDGE_RAW);
	add_port(p, 1, BRIDGE_RFC2217);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play p;
	struct err e;

	begin(&p, data, size);
	for (int i = 0; p.bridge && p.size && i < STEPS_MAX; i++) {
		uint8_t op = next(&p);

		act(&p, op % OPS, &p.client[op / OPS % CLIENTS]);
		step(&p, 0);
		/* what watchers and refused clients send goes nowhere, and telnet only takes away */
		check(p.received <= p.sent);
	}
	check(bridge_free(p.bridge, &e) == 0);
	for (int i = 0; i < CLIENTS; i++)
		if (p.client[i] >= 0)
			close(p.client[i]);
	if (p.device >= 0)
		close(p.device);
	loop_free(p.loop);
	url_done(&p.url);
	return 0;
}
