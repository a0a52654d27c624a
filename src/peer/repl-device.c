#include "peer/repl-device.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/repl-program.h"
#include "peer/repl-replay.h"
#include "proto/rawrepl.h"

enum { CODE_MAX = 1 << 20, INPUT_MAX = 64 << 10 };

#define RAW_BANNER "raw REPL; CTRL-B to exit\r\n>"
#define BANNER "mpbench builtin device (speaks the raw REPL, evaluates nothing)\r\n"
#define PROMPT ">>> "

const char *const repl_fault_names[] = { "none",    "silent",	     "garbage", "half",
					 "endless", "eof",	     "no-raw",	"no-paste",
					 "old",	    "exit-on-reset", "raise",	NULL };

const struct opt repl_device_opts[] = {
	OPT_ENUM_ROW(0, "fault", OPT_WHAT, struct repl_device_params, fault, repl_fault_names,
		     "misbehave in this way"),
	OPT_SIZE_ROW(0, "drop-after", OPT_WHAT, struct repl_device_params, drop_after_bytes, "SIZE",
		     "end after so many bytes written"),
	OPT_DURATION_ROW(0, "delay", OPT_WHAT, struct repl_device_params, delay_ns, "TIME",
			 "wait before each answer"),
	OPT_SIZE_ROW(0, "piece", OPT_WHAT, struct repl_device_params, piece_bytes, "SIZE",
		     "write in pieces of this size"),
	OPT_DURATION_ROW(0, "piece-pause", OPT_WHAT, struct repl_device_params, piece_pause_ns,
			 "TIME", "wait between pieces"),
	OPT_U32_ROW(0, "window", OPT_WHAT, struct repl_device_params, window, "BYTES",
		    "raw-paste window increment", .min = 1, .max = 32767),
	OPT_STRING_ROW(0, "replay", OPT_WHAT, struct repl_device_params, replay, "FILE",
		       "play the device's part of a trace of mpbench bridge"),
	OPT_FLAG_ROW(0, "replay-paced", OPT_WHAT, struct repl_device_params, replay_paced,
		     "taking the times of the trace"),
	OPT_END,
};

enum mode { MODE_FRIENDLY, MODE_RAW, MODE_PASTE };

struct device {
	const struct repl_device_params *params;
	int in_fd, out_fd;
	enum mode mode;
	struct buf code, out, error;
	struct repl_program program;
	uint8_t input[INPUT_MAX];
	size_t input_at, input_len;
	uint32_t paste_read;
	uint64_t written;
	bool too_long, gone, half_sent;
};

static void wait_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / NS_PER_SEC),
			      .tv_nsec = (long)(ns % NS_PER_SEC) };

	while (ns && clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

/* Writes all or finds the peer gone. */
static void put(struct device *d, const char *data, size_t len)
{
	uint64_t limit = d->params->drop_after_bytes;

	if (limit && d->written + len > limit)
		len = (size_t)(limit - d->written);
	while (len && !d->gone) {
		ssize_t n = write(d->out_fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			d->gone = true;
			return;
		}
		data += n;
		len -= (size_t)n;
		d->written += (uint64_t)n;
	}
	if (limit && d->written == limit)
		d->gone = true;
}

static void flush(struct device *d)
{
	uint64_t piece = d->params->piece_bytes;
	size_t at = 0;

	if (d->params->fault == REPL_FAULT_SILENT)
		buf_clear(&d->out);
	while (at < d->out.len && !d->gone) {
		size_t n = d->out.len - at;

		if (piece && n > piece)
			n = (size_t)piece;
		if (at)
			wait_ns(d->params->piece_pause_ns);
		put(d, d->out.data + at, n);
		at += n;
	}
	buf_clear(&d->out);
}

/* More input behind what is there, without waiting. */
static void look_for_input(struct device *d)
{
	struct pollfd p = { .fd = d->in_fd, .events = POLLIN };
	ssize_t n;

	if (d->input_at) {
		memmove(d->input, d->input + d->input_at, d->input_len - d->input_at);
		d->input_len -= d->input_at;
		d->input_at = 0;
	}
	if (d->input_len == sizeof(d->input) || poll(&p, 1, 0) <= 0)
		return;
	n = read(d->in_fd, d->input + d->input_len, sizeof(d->input) - d->input_len);
	if (n > 0)
		d->input_len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		d->gone = true;
}

/* A running program's output goes out; 0x03 in the input meanwhile interrupts it. */
static bool flush_running(void *ctx)
{
	struct device *d = ctx;
	uint8_t *stop;

	flush(d);
	look_for_input(d);
	stop = memchr(d->input, RAWREPL_CTRL_C, d->input_len);
	if (stop)
		d->input_at = (size_t)(stop - d->input) + 1;
	return !stop && !d->gone;
}

static void run_endless(struct device *d)
{
	do {
		for (int i = 0; i < 256; i++)
			buf_adds(&d->out,
				 "mpbench builtin device prints and prints and prints\r\n");
	} while (flush_running(d));
	buf_adds(&d->error, "KeyboardInterrupt: \r\n");
}

/* The output section and what goes wrong with it; then both ends. */
static void run_code(struct device *d)
{
	struct repl_sink sink = { .out = &d->out, .flush = flush_running, .ctx = d };

	buf_clear(&d->error);
	if (d->params->delay_ns) {
		flush(d);
		wait_ns(d->params->delay_ns);
	}
	if (d->params->fault == REPL_FAULT_ENDLESS)
		run_endless(d);
	else if (d->params->fault == REPL_FAULT_RAISE)
		buf_adds(&d->error, "Traceback (most recent call last):\r\n"
				    "RuntimeError: the builtin device was told to raise\r\n");
	else if (d->too_long)
		buf_adds(&d->error, "MemoryError: memory allocation failed\r\n");
	else
		repl_program_run(&d->program, buf_text(&d->code), d->code.len, &sink, &d->error);
	if (d->params->fault == REPL_FAULT_EOF_IN_OUTPUT)
		buf_add(&d->out, "x\x04y", 3);
	d->too_long = false;
	buf_clear(&d->code);
}

static void execute(struct device *d)
{
	if (d->params->fault == REPL_FAULT_GARBAGE) {
		static const char garbage[] = "\xff\x00\x01#!garbage\x80\r\n\x1b[2J";

		d->out.len = 0;
		buf_add(&d->out, garbage, sizeof(garbage) - 1);
		buf_clear(&d->code);
		return;
	}
	run_code(d);
	if (d->params->fault == REPL_FAULT_HALF) {
		buf_adds(&d->out, "half an ans");
		flush(d);
		d->half_sent = true;
		return;
	}
	buf_addc(&d->out, RAWREPL_CTRL_D);
	buf_add(&d->out, buf_text(&d->error), d->error.len);
	buf_adds(&d->out, "\x04>");
}

static void soft_reset(struct device *d)
{
	buf_adds(&d->out, d->mode == MODE_RAW ? "OK\r\n" : "\r\n");
	if (d->params->fault == REPL_FAULT_EXIT_ON_RESET) {
		flush(d);
		d->gone = true;
		return;
	}
	repl_program_reset(&d->program);
	buf_adds(&d->out, "mpbench builtin device: soft reboot\r\n");
	buf_adds(&d->out, d->mode == MODE_RAW ? RAW_BANNER : BANNER PROMPT);
}

/* 0x01 in raw mode: the banner again, or the end of a request 0x05 X 0x01. */
static void raw_request(struct device *d)
{
	const char *line = buf_text(&d->code);
	bool request = d->code.len == 2 && line[0] == RAWREPL_CTRL_E;
	bool paste = request && line[1] == 'A';

	buf_clear(&d->code);
	d->too_long = false;
	if (!request || d->params->fault == REPL_FAULT_OLD) {
		buf_adds(&d->out, RAW_BANNER);
	} else if (!paste || d->params->fault == REPL_FAULT_NO_PASTE) {
		buf_add(&d->out, "R\0>", 3);
	} else {
		const char answer[] = { 'R', 1, (char)d->params->window,
					(char)(d->params->window >> 8), RAWREPL_CTRL_A };

		buf_add(&d->out, answer, sizeof(answer));
		d->paste_read = 0;
		d->mode = MODE_PASTE;
	}
}

static void add_code(struct device *d, const uint8_t *data, size_t len)
{
	if (d->too_long || d->code.len + len > CODE_MAX || buf_add(&d->code, data, len) < 0)
		d->too_long = true;
}

static void raw_byte(struct device *d, uint8_t c)
{
	switch (c) {
	case RAWREPL_CTRL_A:
		raw_request(d);
		return;
	case RAWREPL_CTRL_B:
		d->mode = MODE_FRIENDLY;
		buf_clear(&d->code);
		d->too_long = false;
		buf_adds(&d->out, "\r\n" BANNER PROMPT);
		return;
	case RAWREPL_CTRL_C:
		buf_clear(&d->code);
		d->too_long = false;
		return;
	case RAWREPL_CTRL_D:
		if (d->code.len == 0 && !d->too_long) {
			soft_reset(d);
			return;
		}
		buf_adds(&d->out, "OK");
		execute(d);
		return;
	default:
		add_code(d, &c, 1);
	}
}

static void friendly_line(struct device *d)
{
	if (d->code.len == 0) {
		buf_adds(&d->out, "\r\n" PROMPT);
		return;
	}
	buf_adds(&d->out, "\r\n");
	run_code(d);
	buf_add(&d->out, buf_text(&d->error), d->error.len);
	buf_adds(&d->out, PROMPT);
}

static void friendly_byte(struct device *d, uint8_t c)
{
	switch (c) {
	case RAWREPL_CTRL_A:
		if (d->params->fault == REPL_FAULT_NO_RAW)
			return;
		d->mode = MODE_RAW;
		buf_clear(&d->code);
		buf_adds(&d->out, "\r\n" RAW_BANNER);
		return;
	case RAWREPL_CTRL_B:
		buf_adds(&d->out, "\r\n" BANNER PROMPT);
		break;
	case RAWREPL_CTRL_C:
		buf_adds(&d->out, "\r\n" PROMPT);
		break;
	case RAWREPL_CTRL_D:
		if (d->code.len == 0)
			soft_reset(d);
		return;
	case '\r':
	case '\n':
		friendly_line(d);
		break;
	default:
		if (c >= 0x20) {
			add_code(d, &c, 1);
			buf_addc(&d->out, (char)c);
		}
		return;
	}
	buf_clear(&d->code);
	d->too_long = false;
}

static void end_paste(struct device *d, bool interrupted)
{
	d->mode = MODE_RAW;
	buf_addc(&d->out, RAWREPL_CTRL_D);
	if (interrupted) {
		buf_clear(&d->code);
		d->too_long = false;
		buf_adds(&d->out, "\x04KeyboardInterrupt: \r\n\x04>");
	} else {
		execute(d);
	}
}

/* Code in one piece, a flow byte for each window read. */
static void paste_code(struct device *d, const uint8_t *p, size_t len)
{
	uint32_t window = d->params->window;

	add_code(d, p, len);
	for (d->paste_read += (uint32_t)len; d->paste_read >= window; d->paste_read -= window)
		buf_addc(&d->out, RAWREPL_CTRL_A);
}

/* How many bytes from p on are code, before the next control byte. */
static size_t code_run(enum mode mode, const uint8_t *p, size_t len)
{
	size_t n = 0;

	if (mode == MODE_PASTE)
		while (n < len && p[n] != RAWREPL_CTRL_C && p[n] != RAWREPL_CTRL_D)
			n++;
	else if (mode == MODE_RAW)
		while (n < len && (p[n] == 0 || p[n] > RAWREPL_CTRL_D))
			n++;
	return n;
}

/* Input counts as taken before it is acted on: a running program looks into the input itself. */
static void take_input(struct device *d)
{
	while (d->input_at < d->input_len && !d->gone && !d->half_sent) {
		const uint8_t *p = d->input + d->input_at;
		size_t n = code_run(d->mode, p, d->input_len - d->input_at);
		uint8_t c = *p;

		d->input_at += n ? n : 1;
		if (n && d->mode == MODE_PASTE)
			paste_code(d, p, n);
		else if (n)
			add_code(d, p, n);
		else if (d->mode == MODE_PASTE)
			end_paste(d, c == RAWREPL_CTRL_C);
		else if (d->mode == MODE_RAW)
			raw_byte(d, c);
		else
			friendly_byte(d, c);
	}
	if (d->half_sent)
		d->input_at = d->input_len;
}

static void make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return;
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
}

static int serve(struct device *d, struct err *e)
{
	buf_adds(&d->out, BANNER PROMPT);
	while (!d->gone) {
		ssize_t n;

		flush(d);
		if (d->gone)
			break;
		n = read(d->in_fd, d->input, sizeof(d->input));
		if (n == 0 || (n < 0 && errno == EIO))
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_INTERNAL, "builtin device: reading its terminal");
		d->input_at = 0;
		d->input_len = (size_t)n;
		take_input(d);
		if (d->out.failed || d->error.failed)
			return err_nomem(e);
	}
	return 0;
}

int repl_device_run(int in_fd, int out_fd, const struct repl_device_params *p, struct err *e)
{
	struct device d = { .params = p, .in_fd = in_fd, .out_fd = out_fd };
	int rc;

	if (p->window == 0 || p->window > UINT16_MAX)
		return err_set(e, ERR_USAGE, "window", "builtin device: a window of %u bytes",
			       p->window);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if (p->replay)
		return repl_replay_run(in_fd, out_fd, p->replay, p->replay_paced, e);
	make_raw(in_fd);
	repl_program_init(&d.program);
	rc = serve(&d, e);
	repl_program_done(&d.program);
	buf_done(&d.code);
	buf_done(&d.out);
	buf_done(&d.error);
	return rc;
}
