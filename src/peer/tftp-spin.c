#include "peer/tftp-spin.h"

enum {
	TRIAL = 32,
	FIRST_STAY = 512,
	LAST_STAY = 8192,
	MISSES = 3,
	/* a packet that something else held up says nothing of either way */
	MOST_NS = 4 * TFTP_SPIN_NS,
};

static void enter(struct tftp_spin *s, int phase, bool asks, uint32_t left)
{
	s->phase = phase;
	s->asks = asks;
	s->left = left;
	s->missed = 0;
}

static void try_sleeping(struct tftp_spin *s)
{
	s->sum_ns[0] = s->sum_ns[1] = 0;
	enter(s, TFTP_SPIN_SLEEP, false, TRIAL);
}

static void decide(struct tftp_spin *s, bool ask)
{
	if (ask != s->chose || !s->stay)
		s->stay = FIRST_STAY;
	else if (s->stay < LAST_STAY)
		s->stay *= 2;
	s->chose = ask;
	enter(s, TFTP_SPIN_DECIDED, ask, s->stay);
}

void tftp_spin_came(struct tftp_spin *s, uint64_t ns, bool missed)
{
	s->sum_ns[s->asks] += ns < MOST_NS ? ns : MOST_NS;
	s->missed = missed ? s->missed + 1 : 0;
	if (s->missed == MISSES) {
		decide(s, false);
		return;
	}
	if (s->left && --s->left)
		return;
	if (s->phase == TFTP_SPIN_SLEEP)
		enter(s, TFTP_SPIN_ASK, true, TRIAL);
	else if (s->phase == TFTP_SPIN_ASK)
		decide(s, s->sum_ns[1] < s->sum_ns[0]);
	else
		try_sleeping(s);
}
