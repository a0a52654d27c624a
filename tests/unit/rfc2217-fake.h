/* rfc2217-fake.h - an RFC 2217 server of one connection with the faults of real and hostile ones */
#pragma once

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan-bench.h"
#include "io/sock.h"
#include "io/thread.h"
#include "proto/rfc2217.h"

enum fake_garbage { FAKE_SENSE, FAKE_NOISE, FAKE_OPTIONS };

struct fake {
	int listener;
	struct thread *thread;
	char url[96];
	/* what it does; all zero: everything right */
	uint32_t silent;   /* bit per command that is never answered */
	bool silent_lines; /* only DTR and RTS of SET-CONTROL */
	bool mute, refuse, split, cisco, leave;
	enum fake_garbage garbage; /* sent without end instead of answers */
	size_t early, late;	   /* device bytes before the first answer; before the signature */
	atomic_bool go;		   /* what FAKE_HOLD waits for */
	/* what it saw */
	uint32_t baud;
	uint8_t control[64]; /* SET-CONTROL values in order */
	size_t n_control;
	bool obeyed; /* FAKE_HOLD: nothing came while data was suspended */
};

/* At one of these bytes the server suspends the client, says "s" and waits for `go`; then it resumes, or asks about
 * options instead. */
enum { FAKE_HOLD = 'H', FAKE_ASK = 'A' };

static inline void fake_send(const struct fake *f, int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t k = send(fd, p, f->split ? 1 : n, MSG_NOSIGNAL);

		if (k < 0 && errno == EAGAIN) {
			struct pollfd w = { .fd = fd, .events = POLLOUT };

			poll(&w, 1, PATIENCE_S * 1000);
			continue;
		}
		if (k < 0)
			return;
		p += k;
		n -= (size_t)k;
	}
}

/* Device bytes, telnet-escaped. */
static inline void fake_send_data(const struct fake *f, int fd, const void *data, size_t n)
{
	uint8_t out[8192];
	const uint8_t *p = data;

	while (n) {
		size_t used, k = telnet_escape(out, sizeof(out), p, n, &used);

		fake_send(f, fd, out, k);
		p += used;
		n -= used;
	}
}

static inline void fake_send_filled(const struct fake *f, int fd, size_t n)
{
	char *data = n ? malloc(n) : NULL;

	if (!data)
		return;
	bench_fill(data, n);
	fake_send_data(f, fd, data, n);
	free(data);
}

static inline void fake_command(const struct fake *f, int fd, uint8_t command, const void *data,
				size_t n)
{
	uint8_t out[RFC2217_PUT_MAX];

	fake_send(f, fd, out,
		  rfc2217_put(out, sizeof(out), (uint8_t)(command + RFC2217_ANSWER), data, n));
}

static inline void fake_answer_baud(struct fake *f, int fd, const struct telnet_event *ev)
{
	uint8_t code;

	f->baud = ev->len == 5 ? rfc2217_get_u32(ev->data + 1) : 0;
	code = rfc2217_baud_to_cisco(f->baud);
	if (f->cisco)
		fake_command(f, fd, RFC2217_SET_BAUDRATE, &code, 1);
	else
		fake_command(f, fd, RFC2217_SET_BAUDRATE, ev->data + 1, ev->len - 1);
}

static inline void fake_answer_sub(struct fake *f, int fd, const struct telnet_event *ev)
{
	uint8_t command = ev->data[0];

	if (command == RFC2217_SET_CONTROL && ev->len > 1) {
		if (f->n_control < sizeof(f->control))
			f->control[f->n_control++] = ev->data[1];
		if (f->silent_lines && ev->data[1] >= RFC2217_DTR_ON &&
		    ev->data[1] <= RFC2217_RTS_OFF)
			return;
	}
	if (command == RFC2217_SIGNATURE)
		fake_send_filled(f, fd, f->late);
	if (f->silent & 1U << (command & 31))
		return;
	if (command == RFC2217_SET_BAUDRATE)
		fake_answer_baud(f, fd, ev);
	else if (command == RFC2217_SIGNATURE)
		fake_command(f, fd, command, "fake", 4);
	else
		fake_command(f, fd, command, ev->data + 1, ev->len - 1);
}

/* DO for options that nobody knows. */
static inline void fake_fill_options(uint8_t out[4095])
{
	for (size_t i = 0; i < 4095; i += 3)
		telnet_put_option(out + i, TELNET_DO, (uint8_t)(50 + i % 100));
}

static inline void fake_hold(struct fake *f, int fd, bool resume)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t options[4095];

	fake_command(f, fd, RFC2217_FLOWCONTROL_SUSPEND, NULL, 0);
	fake_send(f, fd, "s", 1);
	while (!atomic_load(&f->go))
		poll(NULL, 0, 1);
	f->obeyed = poll(&p, 1, 0) == 0;
	if (resume) {
		fake_command(f, fd, RFC2217_FLOWCONTROL_RESUME, NULL, 0);
		return;
	}
	fake_fill_options(options);
	fake_send(f, fd, options, sizeof(options));
}

static inline void fake_event(struct fake *f, int fd, const struct telnet_event *ev)
{
	uint8_t out[3];

	if (ev->kind == TELNET_EV_DATA && ev->len == 1 &&
	    (ev->data[0] == FAKE_HOLD || ev->data[0] == FAKE_ASK)) {
		fake_hold(f, fd, ev->data[0] == FAKE_HOLD);
	} else if (ev->kind == TELNET_EV_DATA) {
		fake_send_data(f, fd, ev->data, ev->len);
	} else if (ev->kind == TELNET_EV_OPTION && ev->option == TELNET_COM_PORT &&
		   ev->command == TELNET_WILL) {
		fake_send_filled(f, fd, f->early);
		fake_send(f, fd, out,
			  telnet_put_option(out, f->refuse ? TELNET_DONT : TELNET_DO,
					    TELNET_COM_PORT));
	} else if (ev->kind == TELNET_EV_SUB && ev->option == TELNET_COM_PORT && ev->len > 0) {
		fake_answer_sub(f, fd, ev);
	}
}

/* Until the client goes: noise without a pattern, or requests for options it cannot know. */
static inline void fake_rave(const struct fake *f, int fd)
{
	uint8_t out[4095];
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	bench_fill((char *)out, sizeof(out));
	if (f->garbage == FAKE_OPTIONS)
		fake_fill_options(out);
	while (poll(&p, 1, PATIENCE_S * 1000) == 1 && send(fd, out, sizeof(out), MSG_NOSIGNAL) > 0)
		;
}

static inline void fake_serve(void *arg)
{
	struct fake *f = arg;
	struct pollfd p = { .fd = f->listener, .events = POLLIN };
	struct telnet t = { 0 };
	uint8_t in[4096];
	struct err e;
	ssize_t n;
	int fd = -1;

	if (poll(&p, 1, PATIENCE_S * 1000) != 1 || sock_accept(f->listener, &fd, NULL, &e) < 0 ||
	    fd < 0)
		return;
	p.fd = fd;
	sock_nodelay(fd, true); /* many small answers */
	if (f->garbage != FAKE_SENSE)
		fake_rave(f, fd);
	while (!f->leave && poll(&p, 1, PATIENCE_S * 1000) == 1 &&
	       (n = recv(fd, in, sizeof(in), MSG_DONTWAIT)) > 0)
		for (size_t i = 0; !f->mute && i < (size_t)n;) {
			struct telnet_event ev;

			i += telnet_feed(&t, in + i, (size_t)n - i, &ev);
			fake_event(f, fd, &ev);
		}
	close(fd);
}

/* query: "" or "?..." for the URL. */
static inline void fake_start(struct fake *f, const char *query)
{
	struct addr bound;
	struct err e;

	assert_int_equal(sock_listen(&f->listener, NULL, 0, &bound, &e), 0);
	snprintf(f->url, sizeof(f->url), "rfc2217://127.0.0.1:%u%s", addr_port(&bound), query);
	assert_int_equal(thread_start(&f->thread, "fake", -1, fake_serve, f, &e), 0);
}

static inline void fake_end(struct fake *f)
{
	thread_join(f->thread);
	close(f->listener);
}
