/* thread - the only place that makes threads */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct thread;

/* Starts fn(arg) with all signals blocked (they go to the main thread), named `name`, pinned to `cpu` when >= 0. */
int thread_start(struct thread **out, const char *name, int cpu, void (*fn)(void *arg), void *arg,
		 struct err *e) ERR_MUST_CHECK;
/* Waits for it and frees it; NULL is legal. */
void thread_join(struct thread *t);
/* Pins the calling thread; ERR_MACHINE when the CPU does not exist or may not be used. */
int thread_pin(int cpu, struct err *e) ERR_MUST_CHECK;

/* A barrier for n threads; bounded by nothing, so every participant must reach it. */
struct gate;
int gate_new(struct gate **out, unsigned n, struct err *e) ERR_MUST_CHECK;
void gate_wait(struct gate *g);
void gate_free(struct gate *g);
