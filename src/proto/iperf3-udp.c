#include "proto/iperf3-udp.h"

#include <stdlib.h>
#include <string.h>

enum { WORD = 64, WORDS = IPERF3_WINDOW / WORD };

const uint8_t iperf3_udp_hello[IPERF3_HELLO] = { '9', '8', '7', '6' };
const uint8_t iperf3_udp_reply[IPERF3_HELLO] = { '6', '7', '8', '9' };
static const uint8_t old_hello[IPERF3_HELLO] = { 0x15, 0xcd, 0x5b, 0x07 };
static const uint8_t old_reply[IPERF3_HELLO] = { 0xb1, 0x68, 0xde, 0x3a };

static bool is_either(const uint8_t *bytes, size_t len, const uint8_t *a, const uint8_t *b)
{
	return len == IPERF3_HELLO &&
	       (memcmp(bytes, a, IPERF3_HELLO) == 0 || memcmp(bytes, b, IPERF3_HELLO) == 0);
}

bool iperf3_udp_is_hello(const uint8_t *bytes, size_t len)
{
	return is_either(bytes, len, iperf3_udp_hello, old_hello);
}

bool iperf3_udp_is_reply(const uint8_t *bytes, size_t len)
{
	return is_either(bytes, len, iperf3_udp_reply, old_reply);
}

static void put32(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void iperf3_udp_encode(uint8_t *out, const struct iperf3_udp_header *h, bool wide)
{
	put32(out, h->sec);
	put32(out + 4, h->usec);
	if (wide)
		put32(out + 8, (uint32_t)(h->number >> 32));
	put32(out + (wide ? 12 : 8), (uint32_t)h->number);
}

bool iperf3_udp_decode(struct iperf3_udp_header *out, const uint8_t *bytes, size_t len, bool wide)
{
	if (len < iperf3_udp_header_size(wide))
		return false;
	out->sec = get32(bytes);
	out->usec = get32(bytes + 4);
	out->number =
		wide ? (uint64_t)get32(bytes + 8) << 32 | get32(bytes + 12) : get32(bytes + 8);
	return out->number != 0 && out->number >> 62 == 0;
}

int iperf3_udp_account_init(struct iperf3_udp_account *a, struct err *e)
{
	memset(a, 0, sizeof(*a));
	a->seen = calloc(WORDS, sizeof(*a->seen));
	return a->seen ? 0 : err_nomem(e);
}

void iperf3_udp_account_done(struct iperf3_udp_account *a)
{
	free(a->seen);
	a->seen = NULL;
}

static uint64_t *word_of(struct iperf3_udp_account *a, uint64_t number)
{
	return &a->seen[number % IPERF3_WINDOW / WORD];
}

static uint64_t bit_of(uint64_t number)
{
	return UINT64_C(1) << (number % WORD);
}

/* Forgets the numbers that leave the window when `number` becomes the highest. */
static void advance(struct iperf3_udp_account *a, uint64_t number)
{
	if (number - a->highest >= IPERF3_WINDOW) {
		memset(a->seen, 0, WORDS * sizeof(*a->seen));
	} else {
		for (uint64_t n = a->highest + 1; n <= number;) {
			if (n % WORD == 0 && number - n >= WORD) {
				*word_of(a, n) = 0;
				n += WORD;
			} else {
				*word_of(a, n) &= ~bit_of(n);
				n++;
			}
		}
	}
	a->highest = number;
}

static void count(struct iperf3_udp_account *a, uint64_t number)
{
	if (number > a->highest) {
		a->peer_errors += (int64_t)(number - a->highest - 1);
		advance(a, number);
		*word_of(a, number) |= bit_of(number);
		a->unique++;
		return;
	}
	a->peer_reordered++;
	if (a->peer_errors > 0)
		a->peer_errors--;
	if (a->highest - number >= IPERF3_WINDOW) {
		a->late++;
	} else if (*word_of(a, number) & bit_of(number)) {
		a->duplicates++;
	} else {
		*word_of(a, number) |= bit_of(number);
		a->unique++;
		a->reordered++;
	}
}

/* Only differences of transits mean anything: the clocks are of two hosts, and of different kinds in old versions. */
static int64_t time_it(struct iperf3_udp_account *a, const struct iperf3_udp_header *h,
		       uint64_t now_ns)
{
	uint64_t sent_ns = (uint64_t)h->sec * 1000000000U + (uint64_t)h->usec * 1000U;
	int64_t transit = (int64_t)(now_ns - sent_ns);
	double d;

	if (!a->has_transit) {
		a->has_transit = true;
		a->transit_ns = a->smallest_ns = transit;
		return 0;
	}
	d = (double)transit - (double)a->transit_ns;
	a->jitter_ns += ((d < 0 ? -d : d) - a->jitter_ns) / 16;
	a->transit_ns = transit;
	if (transit < a->smallest_ns)
		a->smallest_ns = transit;
	return transit - a->smallest_ns;
}

int64_t iperf3_udp_account_add(struct iperf3_udp_account *a, const uint8_t *bytes, size_t len,
			       bool wide, uint64_t now_ns)
{
	struct iperf3_udp_header h;

	if (!iperf3_udp_decode(&h, bytes, len, wide)) {
		a->alien++;
		return -1;
	}
	a->received++;
	a->bytes += len;
	count(a, h.number);
	return time_it(a, &h, now_ns);
}
