/* The host side of the raw REPL against any device: the first bytes choose what the host does, the rest is fed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pyliteral.h"
#include "proto/rawrepl.h"
#include "proto/repl-statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char code[] = "print('0123456789')\x04";

static void check(int condition)
{
	if (!condition)
		abort();
}

static void operate(struct rawrepl *r, uint8_t what)
{
	int rc = 0;

	switch (what & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		rawrepl_enter(r, (enum rawrepl_entry)(what & 3));
		break;
	case 4:
		rawrepl_wait_prompt(r);
		break;
	case 5:
		rawrepl_exit(r);
		break;
	case 6:
		rc = rawrepl_soft_reset(r);
		break;
	case 7:
		rawrepl_interrupt(r);
		break;
	case 8:
		rc = rawrepl_follow(r);
		break;
	case 9:
	case 10:
	case 11:
		rc = rawrepl_exec(r, code, sizeof(code) - 2);
		break;
	default:
		rc = rawrepl_paste(r, code, sizeof(code) - 2);
	}
	check(rc == 0 || r->state != RAWREPL_READY);
}

static void pull(struct rawrepl *r, size_t max)
{
	const uint8_t *p;
	size_t n, left = rawrepl_unsent(r);

	while ((n = rawrepl_pull(r, max, &p)) > 0) {
		volatile uint8_t sum = 0;

		for (size_t i = 0; i < n; i++)
			sum = (uint8_t)(sum + p[i]);
		check(rawrepl_unsent(r) <= left);
	}
}

/* Each step: an operation byte, a length byte, so many bytes from the device. */
static void converse(const uint8_t *data, size_t size)
{
	struct rawrepl r;
	struct err e;

	rawrepl_init(&r);
	while (size >= 2) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;
		const uint8_t *in = data + 2;

		if (!(data[0] & 128))
			operate(&r, data[0]);
		data += 2 + len;
		size -= 2 + len;
		pull(&r, 5);
		for (size_t at = 0; at < len;) {
			struct rawrepl_event ev;
			size_t used = rawrepl_feed(&r, in + at, len - at, &ev);

			check(used > 0 && used <= len - at);
			if (ev.len)
				check(ev.data >= in && ev.data + ev.len <= in + len);
			at += used;
			pull(&r, 0);
		}
		rawrepl_error(&r, &e);
		check(r.error_len < sizeof(r.error) && r.text.len < sizeof(r.text.data));
	}
}

/* What is parsed must parse the same after it was printed again. */
static void literals(const uint8_t *data, size_t size)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	CLEANUP(buf_done) struct buf again = BUF_INIT;
	CLEANUP(buf_done) struct buf back = BUF_INIT;
	const char *text = (const char *)data;
	struct repl_statement s;
	int64_t number;

	repl_statement_match(text, size, &s);
	pyliteral_parse_int(text, size, &number);
	pyliteral_parse_hex(text, size, &back);
	buf_clear(&back);
	pyliteral_parse_base64(text, size, &back);
	buf_clear(&back);
	pyliteral_parse_str(text, size, &back);
	buf_clear(&back);
	if (pyliteral_parse_bytes(text, size, &value)) {
		check(pyliteral_add_bytes(&again, buf_text(&value), value.len) == 0);
		check(pyliteral_parse_bytes(again.data, again.len, &back) == again.len);
		check(back.len == value.len);
		check(back.len == 0 || memcmp(back.data, value.data, back.len) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	converse(data, size);
	literals(data, size);
	return 0;
}
