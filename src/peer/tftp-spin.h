/* tftp-spin - whether a lone client sleeps until the next packet comes, or asks for it again and again */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* So long it is worth while to ask, counted from the packet before: two wake-ups across CPUs take less. */
enum { TFTP_SPIN_NS = 100000 };

/*
 * In lockstep only one side ever runs. Where the server has another CPU, the client's sleep and wake-up are half of a
 * round trip on loopback, and asking avoids them; where both share a CPU, asking keeps the server from it. Neither can be asked
 * for, and the scheduler changes it at will: so both ways are tried for a few packets, and the quicker one is kept for ever longer spans
 * between trials. All zero: no packet yet.
 */
struct tftp_spin {
	enum { TFTP_SPIN_BEGIN, TFTP_SPIN_SLEEP, TFTP_SPIN_ASK, TFTP_SPIN_DECIDED } phase;
	bool asks;	     /* now */
	bool chose;	     /* to ask, when it last decided */
	uint32_t left, stay; /* packets until the phase ends; that the next decision holds for */
	uint32_t missed;     /* in a row: asked in vain until TFTP_SPIN_NS */
	uint64_t sum_ns[2];  /* of the trial: slept, asked */
};

/* A packet came, ns after the one before; `missed`: it had been asked for in vain, then slept. */
void tftp_spin_came(struct tftp_spin *s, uint64_t ns, bool missed);
