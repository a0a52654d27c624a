#include "peer/bridge-trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"

enum { FLUSH_AT = 32768 };

struct bridge_trace {
	int fd, failed; /* errno of the first failure */
	uint64_t start_ns;
	struct buf text;
	char *path;
};

int bridge_trace_open(struct bridge_trace **out, const char *path, uint64_t now_ns, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct bridge_trace *t;

	if (fd < 0)
		return err_sys(e, ERR_USAGE, "--trace: cannot write %s", path);
	t = calloc(1, sizeof(*t));
	if (!t || !(t->path = strdup(path))) {
		free(t);
		close(fd);
		return err_nomem(e);
	}
	t->fd = fd;
	t->start_ns = now_ns;
	buf_adds(&t->text, "# mpbench trace 1\n");
	*out = t;
	return 0;
}

void bridge_trace_flush(struct bridge_trace *t)
{
	size_t at = 0;

	while (!t->failed && at < t->text.len) {
		ssize_t n = write(t->fd, t->text.data + at, t->text.len - at);

		if (n < 0 && errno != EINTR)
			t->failed = errno;
		if (n > 0)
			at += (size_t)n;
	}
	if (t->text.failed && !t->failed)
		t->failed = ENOMEM;
	buf_clear(&t->text);
}

bool bridge_trace_pending(const struct bridge_trace *t)
{
	return t->text.len > 0;
}

int bridge_trace_close(struct bridge_trace *t, struct err *e)
{
	int rc = 0;

	if (!t)
		return 0;
	bridge_trace_flush(t);
	if (close(t->fd) < 0 && !t->failed)
		t->failed = errno;
	errno = t->failed;
	if (t->failed)
		rc = err_sys(e, ERR_INTERNAL, "--trace: %s is not complete", t->path);
	buf_done(&t->text);
	free(t->path);
	free(t);
	return rc;
}

static void add_time(struct bridge_trace *t, uint64_t now_ns)
{
	uint64_t ns = ns_since(t->start_ns, now_ns);

	buf_addf(&t->text, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_SEC, ns % NS_PER_SEC);
}

/* By hand: this is called for all bytes that pass. */
static void add_line(struct bridge_trace *t, const uint8_t *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char line[4 * BRIDGE_TRACE_LINE + 8];
	size_t n = 0;

	for (size_t i = 0; i < BRIDGE_TRACE_LINE; i++) {
		line[n++] = ' ';
		line[n++] = i < len ? hex[data[i] >> 4] : ' ';
		line[n++] = i < len ? hex[data[i] & 15] : ' ';
	}
	line[n++] = ' ';
	line[n++] = ' ';
	line[n++] = '|';
	for (size_t i = 0; i < len; i++)
		line[n++] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '.';
	line[n++] = '|';
	line[n++] = '\n';
	buf_add(&t->text, line, n);
}

void bridge_trace_bytes(struct bridge_trace *t, uint64_t now_ns, bool to_device, const void *data,
			size_t len)
{
	const uint8_t *p = data;

	for (size_t at = 0; at < len; at += BRIDGE_TRACE_LINE) {
		add_time(t, now_ns);
		buf_adds(&t->text, to_device ? " >" : " <");
		add_line(t, p + at, len - at < BRIDGE_TRACE_LINE ? len - at : BRIDGE_TRACE_LINE);
		if (t->text.len > FLUSH_AT)
			bridge_trace_flush(t);
	}
}

void bridge_trace_remark(struct bridge_trace *t, uint64_t now_ns, const char *text)
{
	add_time(t, now_ns);
	buf_addf(&t->text, " ! %s\n", text);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int bad_line(const char *line, struct err *e)
{
	return err_set(e, ERR_USAGE, "trace", "no line of a trace: '%.60s'", line);
}

int bridge_trace_parse(const char *line, struct bridge_trace_line *out, struct err *e)
{
	const char *blank = strchr(line, ' ');
	char time[32];
	struct err why;

	if (*line == '#' || *line == '\n' || *line == '\0')
		return 0;
	if (!blank ||
	    snprintf(time, sizeof(time), "%.*s", (int)(blank - line), line) >= (int)sizeof(time))
		return bad_line(line, e);
	if (num_parse_duration(time, &out->at_ns, &why) < 0 || !blank[1])
		return bad_line(line, e);
	if (blank[1] == '!')
		return 0;
	if (blank[1] != '<' && blank[1] != '>')
		return bad_line(line, e);
	out->to_device = blank[1] == '>';
	out->len = 0;
	for (const char *p = blank + 2; p[0] == ' ' && p[1] != ' ' && p[1]; p += 3) {
		int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);

		if (low < 0 || out->len == BRIDGE_TRACE_LINE)
			return bad_line(line, e);
		out->data[out->len++] = (uint8_t)(high << 4 | low);
	}
	return out->len ? 1 : bad_line(line, e);
}
