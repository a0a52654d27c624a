#include "peer/repl-replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/bridge-trace.h"

enum { LINE_MAX_BYTES = 256, INPUT_MAX = 4096 };

struct replay {
	int in_fd, out_fd;
	bool paced, gone;
	uint64_t line, taken;	    /* of the trace; bytes of the input */
	uint64_t trace_ns, real_ns; /* of the last thing that happened */
	uint8_t input[INPUT_MAX];
	size_t at, len;
};

static void make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return;
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
}

/* Reads until there is a byte or the peer is gone. */
static bool need_input(struct replay *r)
{
	while (r->at == r->len && !r->gone) {
		ssize_t n = read(r->in_fd, r->input, sizeof(r->input));

		if (n < 0 && errno == EINTR)
			continue;
		r->at = 0;
		r->len = n > 0 ? (size_t)n : 0;
		r->gone = n <= 0;
	}
	return !r->gone;
}

/* How a host gets to a prompt differs with how it is connected: interrupts and empty lines may be more or fewer. */
static bool is_knocking(uint8_t c)
{
	return c == '\r' || c == 3;
}

static int expect(struct replay *r, const struct bridge_trace_line *l, struct err *e)
{
	for (size_t i = 0; i < l->len; i++) {
		uint8_t got;

		if (!need_input(r))
			return 0;
		got = r->input[r->at];
		if (got != l->data[i] && is_knocking(l->data[i]))
			continue;
		r->at++;
		if (got != l->data[i] && is_knocking(got)) {
			i--;
			continue;
		}
		if (got != l->data[i])
			return err_set(e, ERR_TARGET, "mismatch",
				       "replay: byte %" PRIu64 " sent to the device is 0x%02x, "
				       "the trace (line %" PRIu64 ") has 0x%02x",
				       r->taken, got, r->line, l->data[i]);
		r->taken++;
	}
	return 0;
}

static void wait_until(uint64_t at_ns)
{
	struct timespec t = { .tv_sec = (time_t)(at_ns / NS_PER_SEC),
			      .tv_nsec = (long)(at_ns % NS_PER_SEC) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void say(struct replay *r, const struct bridge_trace_line *l)
{
	size_t at = 0;

	if (r->paced)
		wait_until(r->real_ns + ns_since(r->trace_ns, l->at_ns));
	while (at < l->len && !r->gone) {
		ssize_t n = write(r->out_fd, l->data + at, l->len - at);

		if (n < 0 && errno != EINTR)
			r->gone = true;
		if (n > 0)
			at += (size_t)n;
	}
}

static int play_line(struct replay *r, const char *text, struct err *e)
{
	struct bridge_trace_line l;
	int rc = bridge_trace_parse(text, &l, e);

	if (rc <= 0)
		return rc < 0 ? err_wrap(e, "line %" PRIu64, r->line) : 0;
	if (l.to_device) {
		if (expect(r, &l, e) < 0)
			return -1;
	} else {
		say(r, &l);
	}
	r->trace_ns = l.at_ns;
	r->real_ns = r->paced ? clock_now() : 0;
	return 0;
}

int repl_replay_run(int in_fd, int out_fd, const char *path, bool paced, struct err *e)
{
	struct replay r = { .in_fd = in_fd, .out_fd = out_fd, .paced = paced };
	char text[LINE_MAX_BYTES];
	FILE *f = fopen(path, "re");
	int rc = 0;

	if (!f)
		return err_sys(e, ERR_USAGE, "replay: cannot read %s", path);
	make_raw(in_fd);
	r.real_ns = clock_now();
	while (rc == 0 && !r.gone && fgets(text, sizeof(text), f)) {
		r.line++;
		rc = play_line(&r, text, e);
	}
	fclose(f);
	/* a device does not leave before its peer does; what it is told now is heard by nobody */
	while (rc == 0 && need_input(&r))
		r.at = r.len;
	return rc;
}
