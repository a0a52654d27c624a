#include "peer/bridge-repl.h"

#include <string.h>

#define RAW_BANNER "raw REPL; CTRL-B to exit\r\n>"
#define PROMPT ">>> "
#define REBOOT "soft reboot\r\n"

enum { CTRL_B = 2 };

void bridge_repl_input(struct bridge_repl *r, const void *data, size_t len)
{
	if (r->mode == BRIDGE_REPL_RAW && !r->leaving)
		r->leaving = memchr(data, CTRL_B, len) != NULL;
}

static bool ends_with(const char *data, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(data + len - n, word, n) == 0;
}

/* What ends in data, seen together with what came before it. */
static void note_prompt(struct bridge_repl *r, const char *data, size_t len)
{
	if (memmem(data, len, RAW_BANNER, strlen(RAW_BANNER))) {
		r->mode = BRIDGE_REPL_RAW;
		r->leaving = false;
	}
	if (r->mode == BRIDGE_REPL_UNKNOWN && memmem(data, len, "\n" PROMPT, strlen("\n" PROMPT)))
		r->mode = BRIDGE_REPL_FRIENDLY;
	if (ends_with(data, len, PROMPT) && (r->mode != BRIDGE_REPL_RAW || r->leaving)) {
		r->mode = BRIDGE_REPL_FRIENDLY;
		r->leaving = false;
	}
}

/* Keeps the last bytes, for words that arrive in pieces. */
static void keep_tail(struct bridge_repl *r, const char *data, size_t len)
{
	size_t old = r->tail_len;

	if (len >= sizeof(r->tail)) {
		memcpy(r->tail, data + len - sizeof(r->tail), sizeof(r->tail));
		r->tail_len = sizeof(r->tail);
		return;
	}
	if (old > sizeof(r->tail) - len) {
		old = sizeof(r->tail) - len;
		memmove(r->tail, r->tail + r->tail_len - old, old);
	}
	memcpy(r->tail + old, data, len);
	r->tail_len = old + len;
}

static void follow(struct bridge_repl *r, const char *data, size_t len)
{
	char seam[2 * BRIDGE_REPL_TAIL];
	size_t n = len < sizeof(r->tail) ? len : sizeof(r->tail);

	memcpy(seam, r->tail, r->tail_len);
	memcpy(seam + r->tail_len, data, n);
	note_prompt(r, seam, r->tail_len + n);
	if (len > n)
		note_prompt(r, data, len);
	keep_tail(r, data, len);
}

void bridge_repl_give_up(struct bridge_repl *r, struct bridge_repl_bytes *out)
{
	r->state = BRIDGE_REPL_PASS;
	*out = (struct bridge_repl_bytes){ r->held, r->held_len };
	follow(r, r->held, r->held_len);
	r->held_len = 0;
}

/* What boot.py and main.py printed is the client's; the banner, which a board would not show, is not. */
static bool prompt_came(struct bridge_repl *r, struct bridge_repl_bytes *out)
{
	const char *banner;

	if (!ends_with(r->held, r->held_len, PROMPT))
		return false;
	banner = memmem(r->held, r->held_len, "MicroPython v", strlen("MicroPython v"));
	*out = (struct bridge_repl_bytes){ r->held, banner ? (size_t)(banner - r->held) : 0 };
	r->held_len = 0;
	r->state = BRIDGE_REPL_WAIT_RAW;
	return true;
}

static void raw_came(struct bridge_repl *r, struct bridge_repl_bytes *out)
{
	const char *raw = memmem(r->held, r->held_len, RAW_BANNER, strlen(RAW_BANNER));

	if (!raw)
		return;
	r->state = BRIDGE_REPL_PASS;
	*out = (struct bridge_repl_bytes){ raw, r->held_len - (size_t)(raw - r->held) };
	follow(r, raw, out->len);
	r->held_len = 0;
}

bool bridge_repl_output(struct bridge_repl *r, const void *data, size_t len,
			struct bridge_repl_bytes *out)
{
	*out = (struct bridge_repl_bytes){ data, len };
	if (r->state == BRIDGE_REPL_PASS) {
		follow(r, data, len);
		return false;
	}
	/* more than a start prints: the oldest part of it is given up */
	if (len > BRIDGE_REPL_HELD) {
		data = (const char *)data + (len - BRIDGE_REPL_HELD);
		len = BRIDGE_REPL_HELD;
	}
	if (len > BRIDGE_REPL_HELD - r->held_len) {
		size_t drop = len - (BRIDGE_REPL_HELD - r->held_len);

		r->held_len -= drop;
		memmove(r->held, r->held + drop, r->held_len);
	}
	memcpy(r->held + r->held_len, data, len);
	r->held_len += len;
	*out = (struct bridge_repl_bytes){ r->held, 0 };
	if (r->state == BRIDGE_REPL_WAIT_PROMPT)
		return prompt_came(r, out);
	raw_came(r, out);
	return false;
}

const char *bridge_repl_restart(struct bridge_repl *r, bool exited)
{
	bool rebooted = ends_with(r->tail, r->tail_len, REBOOT);
	enum bridge_repl_mode mode = r->mode;

	r->held_len = 0;
	r->tail_len = 0;
	r->leaving = false;
	r->mode = BRIDGE_REPL_UNKNOWN;
	r->state = BRIDGE_REPL_PASS;
	if (!exited || mode == BRIDGE_REPL_UNKNOWN)
		return "";
	if (mode == BRIDGE_REPL_RAW)
		r->state = BRIDGE_REPL_WAIT_PROMPT;
	return rebooted ? "" : "MPY: " REBOOT;
}
