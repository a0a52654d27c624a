#include "proto/rawrepl.h"

#include <string.h>

/* Neither text repeats its first byte, so a failed match can only begin anew at the failing byte. */
static const char raw_prompt[] = "raw REPL; CTRL-B to exit\r\n>";
static const char reboot_text[] = "soft reboot\r\n";
static const char friendly_prompt[] = ">>> ";
enum {
	RAW_PROMPT_LEN = sizeof(raw_prompt) - 1,
	REBOOT_LEN = sizeof(reboot_text) - 1,
	FRIENDLY_LEN = sizeof(friendly_prompt) - 1,
};

void rawrepl_init(struct rawrepl *r)
{
	memset(r, 0, sizeof(*r));
}

static void text_clear(struct rawrepl_text *t)
{
	t->total = 0;
	t->len = 0;
	t->data[0] = '\0';
}

static void text_add(struct rawrepl_text *t, uint8_t c)
{
	t->total++;
	if (t->len < sizeof(t->data) - 1) {
		t->data[t->len++] = (char)c;
		t->data[t->len] = '\0';
	}
}

/* Takes back the n last bytes: what was awaited is not part of the text before it. */
static void text_cut(struct rawrepl_text *t, size_t n)
{
	uint64_t keep = t->total > n ? t->total - n : 0;

	t->total = keep;
	if (t->len > keep)
		t->len = (size_t)keep;
	t->data[t->len] = '\0';
}

static void begin(struct rawrepl *r, enum rawrepl_state state)
{
	r->state = state;
	r->code = NULL;
	r->code_len = r->code_sent = 0;
	r->control_len = 0;
	r->step = r->reboot_step = 0;
	r->line_start = true;
	r->pasting = false;
	r->reset_ok = false;
	r->interrupted = false;
}

static void control(struct rawrepl *r, const char *bytes, size_t len)
{
	if (r->control_len + len > sizeof(r->control))
		return;
	memcpy(r->control + r->control_len, bytes, len);
	r->control_len += len;
}

void rawrepl_enter(struct rawrepl *r, enum rawrepl_entry how)
{
	static const struct {
		const char *bytes;
		size_t len;
	} entry[] = {
		[RAWREPL_ENTER_PLAIN] = { "\x01", 1 },
		[RAWREPL_ENTER_INTERRUPT] = { "\r\x03\r\x01", 4 },
		[RAWREPL_ENTER_STOP] = { "\r\x03", 2 },
		[RAWREPL_ENTER_START] = { "\r\x01", 2 },
	};

	begin(r, how == RAWREPL_ENTER_STOP ? RAWREPL_IDLE : RAWREPL_WAIT_RAW);
	r->skip_angle = false;
	text_clear(&r->text);
	control(r, entry[how].bytes, entry[how].len);
}

void rawrepl_wait_prompt(struct rawrepl *r)
{
	begin(r, RAWREPL_WAIT_PROMPT);
	text_clear(&r->text);
}

void rawrepl_exit(struct rawrepl *r)
{
	rawrepl_wait_prompt(r);
	control(r, "\x02", 1);
}

int rawrepl_soft_reset(struct rawrepl *r)
{
	if (r->state != RAWREPL_READY)
		return -1;
	begin(r, RAWREPL_WAIT_RESET);
	text_clear(&r->text);
	control(r, "\x04", 1);
	return 0;
}

static void begin_execution(struct rawrepl *r, enum rawrepl_state state)
{
	begin(r, state);
	r->stdout_bytes = r->stderr_bytes = 0;
	r->error_len = r->line_len = 0;
	r->error[0] = r->line[0] = '\0';
	r->line_ended = r->aborted = r->eof_in_output = false;
	r->windows = 0;
	r->credit = 0;
}

static int start_code(struct rawrepl *r, const void *code, size_t len, enum rawrepl_state state)
{
	const uint8_t *bytes = code;

	if (r->state != RAWREPL_READY || len == 0 || bytes[len] != RAWREPL_CTRL_D)
		return -1;
	begin_execution(r, state);
	r->code = bytes;
	r->code_len = len + 1;
	return 0;
}

int rawrepl_exec(struct rawrepl *r, const void *code, size_t len)
{
	return start_code(r, code, len, RAWREPL_WAIT_OK);
}

int rawrepl_paste(struct rawrepl *r, const void *code, size_t len)
{
	if (start_code(r, code, len, RAWREPL_WAIT_WINDOW) < 0)
		return -1;
	r->pasting = true;
	control(r,
		"\x05"
		"A\x01",
		3);
	return 0;
}

int rawrepl_follow(struct rawrepl *r)
{
	if (r->state != RAWREPL_READY)
		return -1;
	begin_execution(r, RAWREPL_WAIT_OK);
	return 0;
}

bool rawrepl_code_ok(const void *code, size_t len)
{
	const uint8_t *p = code;

	for (size_t i = 0; i < len; i++)
		if (p[i] >= RAWREPL_CTRL_A && p[i] <= RAWREPL_CTRL_E)
			return false;
	return len > 0;
}

/*
 * What the device makes of 0x03 (pyexec.c): in plain raw input it empties the line and answers nothing; in raw-paste
 * input it takes the place of the closing 0x04, so no 0x04 may follow: at an empty raw line that would be a reset.
 */
bool rawrepl_interrupt(struct rawrepl *r)
{
	bool text_incomplete = r->state == RAWREPL_WAIT_OK && r->code && r->code_sent < r->code_len;

	control(r, "\x03", 1);
	r->interrupted = true;
	r->code_sent = r->code_len;
	if (text_incomplete) {
		r->state = RAWREPL_READY;
		return false;
	}
	if (r->state == RAWREPL_WAIT_CREDIT)
		r->state = RAWREPL_WAIT_END;
	return r->state != RAWREPL_READY && r->state != RAWREPL_IDLE && r->state != RAWREPL_LOST;
}

size_t rawrepl_unsent(const struct rawrepl *r)
{
	return r->code_len - r->code_sent;
}

static size_t pull_code(struct rawrepl *r, size_t max, const uint8_t **data)
{
	size_t left = rawrepl_unsent(r);
	size_t n = left;

	if (left == 0)
		return 0;
	/* The closing 0x04 needs no credit. */
	if (r->pasting && n - 1 > r->credit)
		n = r->credit;
	if (max && n > max)
		n = max;
	*data = r->code + r->code_sent;
	r->code_sent += n;
	if (r->pasting) {
		size_t counted = n == left ? n - 1 : n;

		r->credit -= (uint32_t)counted;
		if (n == left)
			r->state = RAWREPL_WAIT_END;
	}
	return n;
}

size_t rawrepl_pull(struct rawrepl *r, size_t max, const uint8_t **data)
{
	size_t n = r->control_len;

	if (n) {
		*data = r->control;
		r->control_len = 0;
		return n;
	}
	if (r->state == RAWREPL_WAIT_OK || r->state == RAWREPL_WAIT_CREDIT)
		return pull_code(r, max, data);
	return 0;
}

static void quote_byte(struct rawrepl *r, uint8_t c)
{
	r->got_total++;
	if (r->got_len < sizeof(r->got))
		r->got[r->got_len++] = c;
}

static enum rawrepl_event_kind lost(struct rawrepl *r, const char *expected, uint8_t got)
{
	/* Two sections were seen where one was due: the output itself held the byte that ends it. */
	r->eof_in_output = r->state == RAWREPL_WAIT_ANGLE && got == RAWREPL_CTRL_D;
	r->state = RAWREPL_LOST;
	r->expected = expected;
	r->got_len = 0;
	r->got_total = 0;
	r->code_sent = r->code_len;
	r->control_len = 0;
	quote_byte(r, got);
	return RAWREPL_EV_LOST;
}

/* One byte against a fixed text; true when it completes. */
static bool match(unsigned *step, const char *text, unsigned len, uint8_t c)
{
	if (c == (uint8_t)text[*step])
		++*step;
	else
		*step = c == (uint8_t)text[0];
	if (*step < len)
		return false;
	*step = 0;
	return true;
}

static enum rawrepl_event_kind feed_friendly(struct rawrepl *r, uint8_t c)
{
	bool may_begin = r->line_start;

	text_add(&r->text, c);
	r->line_start = c == '\n' || c == '\r';
	if (r->step == 0 && !may_begin)
		return RAWREPL_EV_MORE;
	if (c != (uint8_t)friendly_prompt[r->step]) {
		r->step = 0;
		return RAWREPL_EV_MORE;
	}
	if (++r->step < FRIENDLY_LEN)
		return RAWREPL_EV_MORE;
	r->step = 0;
	text_cut(&r->text, FRIENDLY_LEN);
	r->state = RAWREPL_IDLE;
	return RAWREPL_EV_PROMPT;
}

static enum rawrepl_event_kind feed_raw_prompt(struct rawrepl *r, uint8_t c)
{
	text_add(&r->text, c);
	if (!match(&r->step, raw_prompt, RAW_PROMPT_LEN, c))
		return RAWREPL_EV_MORE;
	text_cut(&r->text, RAW_PROMPT_LEN);
	r->state = RAWREPL_READY;
	return RAWREPL_EV_READY;
}

static enum rawrepl_event_kind feed_ok(struct rawrepl *r, uint8_t c, enum rawrepl_state next)
{
	if (r->step == 0 && r->skip_angle) {
		r->skip_angle = false;
		if (c == '>')
			return RAWREPL_EV_MORE;
	}
	if (r->code_sent < r->code_len)
		return lost(r, "nothing before the code is complete", c);
	if (c != (uint8_t) "OK"[r->step])
		return lost(r, "OK", c);
	if (r->step++ == 0)
		return RAWREPL_EV_MORE;
	r->step = 0;
	r->state = next;
	return RAWREPL_EV_ACCEPTED;
}

/* "OK" and the reboot text come in the same state; reboot_step beyond its length marks the text as passed. */
static enum rawrepl_event_kind feed_reset(struct rawrepl *r, uint8_t c)
{
	if (!r->reset_ok) {
		enum rawrepl_event_kind kind = feed_ok(r, c, RAWREPL_WAIT_RESET);

		r->reset_ok = kind == RAWREPL_EV_ACCEPTED;
		return kind;
	}
	if (r->reboot_step <= REBOOT_LEN && match(&r->reboot_step, reboot_text, REBOOT_LEN, c)) {
		r->reboot_step = REBOOT_LEN + 1;
		text_clear(&r->text);
		r->step = 0;
		return RAWREPL_EV_REBOOT;
	}
	return feed_raw_prompt(r, c);
}

/* Answers to 05 41 01: R 00, R 01 window(2, little-endian), or the banner of a device that took 01 alone. */
static enum rawrepl_event_kind feed_window(struct rawrepl *r, uint8_t c)
{
	switch (r->step++) {
	case 0:
		if (c == 'r') {
			r->state = RAWREPL_WAIT_RAW;
			r->step = 1;
			text_clear(&r->text);
			text_add(&r->text, c);
			return RAWREPL_EV_MORE;
		}
		return c == 'R' ? RAWREPL_EV_MORE : lost(r, "R or a raw prompt", c);
	case 1:
		if (c == 1)
			return RAWREPL_EV_MORE;
		if (c != 0)
			return lost(r, "0x00 or 0x01 after R", c);
		r->paste_reply = RAWREPL_PASTE_REFUSED;
		r->state = RAWREPL_READY;
		r->skip_angle = true;
		r->step = 0;
		return RAWREPL_EV_NO_PASTE;
	case 2:
		r->window = c;
		return RAWREPL_EV_MORE;
	default:
		r->window = (uint16_t)(r->window | c << 8);
		if (r->window == 0)
			return lost(r, "a window above 0", c);
		r->paste_reply = RAWREPL_PASTE_YES;
		r->credit = r->window;
		r->step = 0;
		r->state = r->code_sent < r->code_len ? RAWREPL_WAIT_CREDIT : RAWREPL_WAIT_END;
		return RAWREPL_EV_WINDOW;
	}
}

static enum rawrepl_event_kind feed_credit(struct rawrepl *r, uint8_t c)
{
	if (c == RAWREPL_CTRL_A) {
		if (__builtin_add_overflow(r->credit, r->window, &r->credit))
			r->credit = UINT32_MAX;
		r->windows++;
		return r->code_sent < r->code_len ? RAWREPL_EV_CREDIT : RAWREPL_EV_MORE;
	}
	if (c != RAWREPL_CTRL_D)
		return lost(r, "a flow byte (0x01 or 0x04)", c);
	if (r->state == RAWREPL_WAIT_END) {
		r->state = RAWREPL_STDOUT;
		return RAWREPL_EV_ACCEPTED;
	}
	r->code_sent = r->code_len;
	r->aborted = true;
	r->state = RAWREPL_STDOUT;
	control(r, "\x04", 1);
	return RAWREPL_EV_ABORTED;
}

static void keep_error(struct rawrepl *r, const uint8_t *data, size_t len)
{
	size_t room = sizeof(r->error) - 1 - r->error_len;
	size_t n = len < room ? len : room;

	memcpy(r->error + r->error_len, data, n);
	r->error_len += n;
	r->error[r->error_len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || data[i] == '\r') {
			r->line_ended = true;
			continue;
		}
		if (r->line_ended) {
			r->line_ended = false;
			r->line_len = 0;
		}
		if (r->line_len < sizeof(r->line) - 1)
			r->line[r->line_len++] = (char)data[i];
	}
	r->line[r->line_len] = '\0';
}

/* Program output and error text: whole pieces up to the 0x04. Returns the bytes taken. */
static size_t feed_section(struct rawrepl *r, const uint8_t *data, size_t len,
			   struct rawrepl_event *ev)
{
	const uint8_t *end = memchr(data, RAWREPL_CTRL_D, len);
	size_t n = end ? (size_t)(end - data) : len;
	bool is_stdout = r->state == RAWREPL_STDOUT;

	if (n == 0) {
		r->state = is_stdout ? RAWREPL_STDERR : RAWREPL_WAIT_ANGLE;
		return 1;
	}
	ev->kind = is_stdout ? RAWREPL_EV_STDOUT : RAWREPL_EV_STDERR;
	ev->data = data;
	ev->len = n;
	if (is_stdout) {
		r->stdout_bytes += n;
	} else {
		r->stderr_bytes += n;
		keep_error(r, data, n);
	}
	return n;
}

static enum rawrepl_event_kind feed_byte(struct rawrepl *r, uint8_t c)
{
	switch (r->state) {
	case RAWREPL_IDLE:
		text_add(&r->text, c);
		return RAWREPL_EV_MORE;
	case RAWREPL_WAIT_PROMPT:
		return feed_friendly(r, c);
	case RAWREPL_WAIT_RAW: {
		enum rawrepl_event_kind kind = feed_raw_prompt(r, c);

		if (kind == RAWREPL_EV_READY && r->pasting) {
			r->pasting = false;
			r->paste_reply = RAWREPL_PASTE_OLD;
			return RAWREPL_EV_NO_PASTE;
		}
		return kind;
	}
	case RAWREPL_WAIT_RESET:
		return feed_reset(r, c);
	case RAWREPL_READY:
		if (r->skip_angle && c == '>') {
			r->skip_angle = false;
			return RAWREPL_EV_MORE;
		}
		return lost(r, "nothing after the raw prompt", c);
	case RAWREPL_WAIT_OK:
		return feed_ok(r, c, RAWREPL_STDOUT);
	case RAWREPL_WAIT_WINDOW:
		return feed_window(r, c);
	case RAWREPL_WAIT_CREDIT:
	case RAWREPL_WAIT_END:
		return feed_credit(r, c);
	case RAWREPL_WAIT_ANGLE:
		if (c != '>')
			return lost(r, "> after the error text", c);
		r->state = RAWREPL_READY;
		return RAWREPL_EV_DONE;
	default:
		quote_byte(r, c);
		return RAWREPL_EV_MORE;
	}
}

size_t rawrepl_feed(struct rawrepl *r, const void *data, size_t len, struct rawrepl_event *ev)
{
	const uint8_t *p = data;
	size_t used = 0;

	ev->kind = RAWREPL_EV_MORE;
	ev->data = NULL;
	ev->len = 0;
	while (used < len && ev->kind == RAWREPL_EV_MORE) {
		if (r->state == RAWREPL_STDOUT || r->state == RAWREPL_STDERR)
			used += feed_section(r, p + used, len - used, ev);
		else
			ev->kind = feed_byte(r, p[used++]);
	}
	return used;
}

const char *rawrepl_awaits(const struct rawrepl *r)
{
	switch (r->state) {
	case RAWREPL_WAIT_PROMPT:
		return "the prompt \">>> \"";
	case RAWREPL_WAIT_RAW:
		return "\"raw REPL; CTRL-B to exit\"";
	case RAWREPL_WAIT_RESET:
		return r->reset_ok ? "the raw prompt after the soft reset"
				   : "OK for the soft reset";
	case RAWREPL_WAIT_OK:
		return "OK for the code";
	case RAWREPL_WAIT_WINDOW:
		return "the answer to the raw-paste request";
	case RAWREPL_WAIT_CREDIT:
		return "a raw-paste window";
	case RAWREPL_WAIT_END:
		return "the end of compilation";
	case RAWREPL_STDOUT:
		return "the end of the program's output";
	case RAWREPL_STDERR:
		return "the end of the error text";
	case RAWREPL_WAIT_ANGLE:
		return "the raw prompt after the program";
	default:
		return "nothing";
	}
}

int rawrepl_error(const struct rawrepl *r, struct err *e)
{
	char quoted[RAWREPL_QUOTE_MAX * 4 + 4];

	if (r->state != RAWREPL_LOST) {
		const struct rawrepl_text *t = &r->text;
		size_t n = t->len < RAWREPL_QUOTE_MAX ? t->len : RAWREPL_QUOTE_MAX;
		bool shows =
			n && (r->state == RAWREPL_WAIT_RAW || r->state == RAWREPL_WAIT_PROMPT ||
			      r->state == RAWREPL_WAIT_RESET);

		if (!shows)
			return err_set(e, ERR_TARGET, "timeout", "no answer while waiting for %s",
				       rawrepl_awaits(r));
		rawrepl_quote(quoted, sizeof(quoted), t->data + t->len - n, n);
		return err_set(e, ERR_TARGET, "timeout",
			       "no answer while waiting for %s; last of %llu bytes: \"%s\"",
			       rawrepl_awaits(r), (unsigned long long)t->total, quoted);
	}
	rawrepl_quote(quoted, sizeof(quoted), r->got, r->got_len);
	return err_set(e, ERR_TARGET, "desync",
		       "the raw REPL is out of step: expected %s, got \"%s\"%s", r->expected,
		       quoted, r->eof_in_output ? " (does the program print 0x04?)" : "");
}

char *rawrepl_quote(char *out, size_t size, const void *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = data;
	size_t used = 0, dots_at = 0;

	if (size == 0)
		return out;
	for (size_t i = 0; i < len; i++) {
		char text[4] = { '\\', 'x', hex[p[i] >> 4], hex[p[i] & 15] };
		size_t n = 4;

		if (p[i] == '\r' || p[i] == '\n') {
			text[1] = p[i] == '\r' ? 'r' : 'n';
			n = 2;
		} else if (p[i] == '"' || p[i] == '\\') {
			text[1] = (char)p[i];
			n = 2;
		} else if (p[i] >= 0x20 && p[i] < 0x7f) {
			text[0] = (char)p[i];
			n = 1;
		}
		if (used + 3 < size)
			dots_at = used;
		if (used + n >= size) {
			used = dots_at;
			for (int dots = 0; dots < 3 && used + 1 < size; dots++)
				out[used++] = '.';
			break;
		}
		memcpy(out + used, text, n);
		used += n;
	}
	out[used] = '\0';
	return out;
}
