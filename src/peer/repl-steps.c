#include "peer/repl-steps.h"

static void put_all(struct repl_steps *p, const uint8_t *steps, size_t n)
{
	size_t at = 0;

	while (p->step[at] != STEP_END)
		at++;
	for (size_t i = 0; i < n; i++)
		p->step[at++] = steps[i];
	p->step[at] = STEP_END;
}

#define PUT(p, ...) \
	put_all(p, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Until the device is known to be at its friendly (raw false) or raw prompt. */
static void put_ready(struct repl_steps *p, const struct repl_workload *w, bool spawned, bool raw)
{
	PUT(p, STEP_NEW, STEP_CONNECT, STEP_NEGOTIATE);
	PUT(p, spawned ? STEP_PROMPT : STEP_SYNC);
	if (spawned && (raw || w->soft_reset))
		PUT(p, STEP_ENTER);
	if (w->soft_reset)
		PUT(p, STEP_RESET);
	if (!raw && (!spawned || w->soft_reset))
		PUT(p, STEP_EXIT);
}

static void program_open(struct repl_steps *p, const struct repl_workload *w, bool spawned)
{
	switch (w->kind) {
	case REPL_CONNECT:
	case REPL_NEGOTIATE:
	case REPL_RECONNECT:
	case REPL_SESSION:
		break; /* every operation is a session of its own */
	case REPL_BANNER:
		if (!spawned)
			put_ready(p, w, spawned, false);
		break;
	case REPL_ENTER:
		put_ready(p, w, spawned, false);
		break;
	case REPL_EXIT:
	case REPL_SOFT_RESET:
		put_ready(p, w, spawned, true);
		break;
	case REPL_JOB:
		put_ready(p, w, spawned, true);
		PUT(p, STEP_SETUP);
		break;
	}
}

/* One whole use of a device, phase by phase, in the order of repl_session_phases. */
static void program_session(struct repl_steps *p, const struct repl_workload *w, bool spawned)
{
	PUT(p, STEP_NEW, STEP_SENT, STEP_CONNECT, STEP_MARK0, STEP_NEGOTIATE, STEP_MARK0 + 1);
	if (spawned)
		PUT(p, STEP_PROMPT, STEP_MARK0 + 2, STEP_ENTER);
	else
		PUT(p, STEP_SYNC);
	if (w->soft_reset)
		PUT(p, STEP_RESET);
	PUT(p, STEP_MARK0 + 3, STEP_TIMED, STEP_MARK0 + 4, STEP_EXIT, STEP_MARK0 + 5, STEP_CLOSE,
	    STEP_MARK0 + 6, STEP_STAMP);
}

/* The session before the gap is a real one: a server may not even have accepted a connection that closes unused. */
static void program_reconnect(struct repl_steps *p, bool spawned)
{
	PUT(p, STEP_NEW, STEP_CONNECT, STEP_NEGOTIATE);
	if (spawned)
		PUT(p, STEP_PROMPT);
	else
		PUT(p, STEP_SYNC, STEP_EXIT);
	PUT(p, STEP_CLOSE, STEP_GAP, STEP_NEW, STEP_SENT, STEP_CONNECT, STEP_NEGOTIATE);
	if (spawned)
		PUT(p, STEP_PROMPT, STEP_STAMP, STEP_CLOSE);
	else
		PUT(p, STEP_SYNC, STEP_STAMP, STEP_EXIT, STEP_CLOSE);
}

static void program_operation(struct repl_steps *p, const struct repl_workload *w, bool spawned)
{
	switch (w->kind) {
	case REPL_CONNECT:
		PUT(p, STEP_NEW, STEP_SENT, STEP_CONNECT, STEP_STAMP, STEP_NEGOTIATE, STEP_CLOSE);
		break;
	case REPL_NEGOTIATE:
		PUT(p, STEP_NEW, STEP_CONNECT, STEP_SENT, STEP_NEGOTIATE, STEP_STAMP, STEP_SETTLE,
		    STEP_CLOSE);
		break;
	case REPL_BANNER:
		if (spawned)
			PUT(p, STEP_NEW, STEP_CONNECT, STEP_SENT, STEP_NEGOTIATE, STEP_PROMPT,
			    STEP_STAMP, STEP_CLOSE);
		else
			PUT(p, STEP_SENT, STEP_EXIT, STEP_STAMP);
		break;
	case REPL_ENTER:
		PUT(p, STEP_SENT, STEP_ENTER, STEP_STAMP, STEP_EXIT);
		break;
	case REPL_EXIT:
		PUT(p, STEP_SENT, STEP_EXIT, STEP_STAMP, STEP_ENTER);
		break;
	case REPL_SOFT_RESET:
		PUT(p, STEP_SENT, STEP_RESET, STEP_STAMP);
		break;
	case REPL_JOB:
		PUT(p, STEP_SENT, STEP_TIMED, STEP_STAMP, STEP_AFTER);
		break;
	case REPL_RECONNECT:
		program_reconnect(p, spawned);
		break;
	case REPL_SESSION:
		program_session(p, w, spawned);
		break;
	}
}

struct repl_steps repl_steps_make(const struct repl_workload *w, enum repl_part part, bool spawned)
{
	struct repl_steps p = { .step = { STEP_END } };

	if (part == REPL_PART_OPEN)
		program_open(&p, w, spawned);
	else if (part == REPL_PART_OPERATION)
		program_operation(&p, w, spawned);
	else if (w->kind == REPL_EXIT || w->kind == REPL_SOFT_RESET || w->kind == REPL_JOB)
		PUT(&p, STEP_EXIT, STEP_CLOSE);
	else
		PUT(&p, STEP_CLOSE);
	return p;
}
