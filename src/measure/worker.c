#include "measure/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "measure/tally.h"

/* Bounds that keep a run with a dead or wild target short. */
enum { OPEN_TRIES = 3, TIMEOUTS_IN_ROW = 3, FAILURES_IN_ROW = 100 };
enum { CLOSE_WAIT_MS = 2000, OPEN_WAIT_MS = 5000 /* at least, also where --timeout is shorter */ };

enum slot_state { SLOT_EMPTY, SLOT_OPENING, SLOT_IDLE, SLOT_BUSY, SLOT_CLOSING, SLOT_DEAD };
enum stage { STAGE_PREPARE, STAGE_WARMUP, STAGE_MEASURE, STAGE_CLOSE };

struct slot {
	struct worker *w;
	struct session *session;
	struct timer
		patience; /* fires at or after deadline_ns; set again when the operation is newer */
	struct timer renewal; /* replaces a broken session outside its own call stack */
	enum slot_state state;
	uint64_t deadline_ns, planned_ns;
	unsigned index, open_failures;
};

struct worker {
	struct work work;
	struct loop *loop;
	struct slot *slot;
	unsigned *idle; /* stack of slot indexes */
	unsigned n_idle, n_busy, n_opening, n_dead, n_closing;
	enum stage stage;
	bool pumping, again, interrupted, give_up;
	uint64_t issued, limit, start_ns, end_ns, cut_ns;
	unsigned timeouts_in_row, failures_in_row;
	struct timer pace;
	struct tally tally;
	struct err trouble; /* of our own, met inside a callback */
};

static void pump(struct worker *w);
static void session_done(struct session *s, struct outcome *o);

int worker_new(struct worker **out, const struct work *work, struct loop *loop, struct err *e)
{
	CLEANUP(worker_free) struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(e);
	w->work = *work;
	w->loop = loop;
	w->slot = calloc(work->sessions, sizeof(*w->slot));
	w->idle = calloc(work->sessions, sizeof(*w->idle));
	if (!w->slot || !w->idle)
		return err_nomem(e);
	for (unsigned i = 0; i < work->sessions; i++) {
		w->slot[i].w = w;
		w->slot[i].index = i;
	}
	if (tally_init(&w->tally, work, e) < 0)
		return -1;
	*out = TAKE(w);
	return 0;
}

static void slot_release(struct slot *slot)
{
	timer_cancel(slot->w->loop, &slot->patience);
	timer_cancel(slot->w->loop, &slot->renewal);
	if (slot->session)
		slot->session->ops->free(slot->session);
	slot->session = NULL;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	for (unsigned i = 0; w->slot && i < w->work.sessions; i++)
		slot_release(&w->slot[i]);
	if (w->loop)
		timer_cancel(w->loop, &w->pace);
	tally_done(&w->tally);
	free(w->slot);
	free(w->idle);
	free(w);
}

/* Whether this stage of the run is over. */
static bool stage_over(const struct worker *w)
{
	switch (w->stage) {
	case STAGE_PREPARE:
		return w->n_opening == 0;
	case STAGE_CLOSE:
		return w->n_closing == 0;
	default:
		return w->n_busy == 0 && w->n_opening == 0 &&
		       (w->issued >= w->limit || w->give_up || w->n_dead == w->work.sessions);
	}
}

static void check_over(struct worker *w)
{
	if (stage_over(w) || w->trouble.kind)
		loop_stop(w->loop);
}

/* An operation or an opening has taken too long. */
static void patience_fired(struct timer *t, uint64_t now)
{
	struct slot *slot = CONTAINER_OF(t, struct slot, patience);
	char detail[ERR_MSG_MAX] = "no answer in time";
	struct outcome o = { .failure = "timeout", .done_ns = now, .detail = detail };

	if (slot->state != SLOT_BUSY && slot->state != SLOT_OPENING && slot->state != SLOT_CLOSING)
		return;
	if (now < slot->deadline_ns) {
		timer_set(slot->w->loop, t, slot->deadline_ns, patience_fired);
		return;
	}
	if (slot->session->ops->stalled)
		slot->session->ops->stalled(slot->session, detail, sizeof(detail));
	slot->session->ops->cancel(slot->session);
	slot->session->broken = true;
	session_done(slot->session, &o);
}

/* The timer is left running from one operation to the next and looks at deadline_ns only when it fires: no heap work in
 * the timed path. */
static void arm(struct slot *slot, uint64_t wait_ns)
{
	slot->deadline_ns = loop_now(slot->w->loop) + wait_ns;
	if (!timer_is_set(&slot->patience) || slot->patience.at_ns > slot->deadline_ns)
		timer_set(slot->w->loop, &slot->patience, slot->deadline_ns, patience_fired);
}

static void slot_open(struct slot *slot)
{
	struct worker *w = slot->w;
	const struct engine_case *c = w->work.c;

	slot->session = NULL;
	if (c->make(c->ctx, w->loop, w->work.first_index + slot->index, &w->tally.sink,
		    &slot->session, &w->trouble) < 0) {
		slot->session = NULL;
		slot->state = SLOT_DEAD;
		w->n_dead++;
		loop_stop(w->loop);
		return;
	}
	slot->session->done = session_done;
	slot->session->owner = slot;
	slot->session->loop = w->loop;
	slot->state = SLOT_OPENING;
	w->n_opening++;
	arm(slot, w->work.timeout_ns > OPEN_WAIT_MS * NS_PER_MS ? w->work.timeout_ns
								: OPEN_WAIT_MS * NS_PER_MS);
	slot->session->ops->open(slot->session);
}

static void renewal_fired(struct timer *t, uint64_t now)
{
	struct slot *slot = CONTAINER_OF(t, struct slot, renewal);

	(void)now;
	slot_release(slot);
	slot->w->n_opening--; /* counted as opening while it waited */
	slot_open(slot);
	check_over(slot->w);
}

/* Replaces a broken session soon, unless that has failed too often or nothing is left to do. */
static void slot_renew(struct slot *slot)
{
	struct worker *w = slot->w;
	/* after the last operation of the warm-up the window still wants it */
	bool needed = w->stage != STAGE_MEASURE || w->issued < w->limit;

	if (slot->open_failures >= OPEN_TRIES || !needed || w->stage == STAGE_CLOSE ||
	    (w->give_up && w->stage == STAGE_MEASURE)) {
		slot->state = SLOT_DEAD;
		w->n_dead++;
		return;
	}
	if (w->stage != STAGE_PREPARE)
		w->tally.reopened++;
	slot->state = SLOT_EMPTY;
	w->n_opening++;
	timer_set(w->loop, &slot->renewal, loop_now(w->loop), renewal_fired);
}

static void opened(struct slot *slot, const struct outcome *o)
{
	struct worker *w = slot->w;

	w->n_opening--;
	if (!o->failure) {
		slot->open_failures = 0;
		slot->state = SLOT_IDLE;
		w->idle[w->n_idle++] = slot->index;
		return;
	}
	/* a silent target would cost its whole time-out again and again */
	slot->open_failures += strcmp(o->failure, "timeout") == 0 ? OPEN_TRIES : 1;
	tally_failure(&w->tally, o);
	slot_renew(slot);
}

static void operated(struct slot *slot, struct outcome *o)
{
	struct worker *w = slot->w;
	bool timed_out = o->failure && strcmp(o->failure, "timeout") == 0;

	w->n_busy--;
	o->planned_ns = slot->planned_ns;
	tally_operation(&w->tally, o, w->stage == STAGE_MEASURE);
	w->failures_in_row = o->failure ? w->failures_in_row + 1 : 0;
	w->timeouts_in_row = timed_out	  ? w->timeouts_in_row + 1
			     : o->failure ? w->timeouts_in_row
					  : 0;
	if (w->timeouts_in_row >= TIMEOUTS_IN_ROW || w->failures_in_row >= FAILURES_IN_ROW)
		w->give_up = true;
	if (slot->session->broken) {
		slot_renew(slot);
		return;
	}
	slot->state = SLOT_IDLE;
	w->idle[w->n_idle++] = slot->index;
}

static void session_done(struct session *s, struct outcome *o)
{
	struct slot *slot = s->owner;
	struct worker *w = slot->w;

	switch (slot->state) {
	case SLOT_OPENING:
		opened(slot, o);
		break;
	case SLOT_BUSY:
		operated(slot, o);
		break;
	case SLOT_CLOSING:
		slot->state = SLOT_EMPTY;
		w->n_closing--;
		break;
	default:
		return; /* an answer after its time-out */
	}
	pump(w);
}

static void pace_fired(struct timer *t, uint64_t now)
{
	(void)now;
	pump(CONTAINER_OF(t, struct worker, pace));
}

/* Open loop: the planned time of the next operation; false when it has not come (the pace timer is set then). */
static bool due(struct worker *w, uint64_t now)
{
	uint64_t at = w->start_ns + w->work.offset_ns + w->issued * w->work.interval_ns;

	if (at <= now)
		return true;
	timer_set(w->loop, &w->pace, at, pace_fired);
	return false;
}

static bool may_issue(struct worker *w, uint64_t now)
{
	if (w->issued >= w->limit || w->give_up || w->interrupted)
		return false;
	if (w->stage == STAGE_MEASURE && w->cut_ns && now >= w->cut_ns) {
		if (w->work.interval_ns)
			tally_not_sent(&w->tally, w->limit - w->issued);
		w->limit = w->issued;
		return false;
	}
	return w->stage != STAGE_MEASURE || !w->work.interval_ns || due(w, now);
}

static void issue(struct worker *w, uint64_t now)
{
	struct slot *slot = &w->slot[w->idle[--w->n_idle]];

	slot->planned_ns = 0;
	if (w->stage == STAGE_MEASURE && w->work.interval_ns)
		slot->planned_ns =
			w->start_ns + w->work.offset_ns + w->issued * w->work.interval_ns;
	w->issued++;
	w->n_busy++;
	slot->state = SLOT_BUSY;
	slot->deadline_ns = now + w->work.timeout_ns;
	if (!timer_is_set(&slot->patience) || slot->patience.at_ns > slot->deadline_ns)
		timer_set(w->loop, &slot->patience, slot->deadline_ns, patience_fired);
	slot->session->ops->start(slot->session);
}

/* Starts what may start. Sessions may answer from inside their call: then the outer round goes on, not a deeper one. */
static void pump(struct worker *w)
{
	if (w->pumping) {
		w->again = true;
		return;
	}
	w->pumping = true;
	do {
		w->again = false;
		while ((w->stage == STAGE_WARMUP || w->stage == STAGE_MEASURE) && w->n_idle > 0) {
			uint64_t now = loop_now(w->loop);

			if (!may_issue(w, now))
				break;
			issue(w, now);
		}
	} while (w->again);
	w->pumping = false;
	check_over(w);
}

/* Runs the loop until the stage is over. */
static int run_stage(struct worker *w, uint64_t deadline_ns, struct err *e)
{
	enum loop_end why = LOOP_STOPPED;

	while (!stage_over(w) && !w->trouble.kind) {
		if (loop_run(w->loop, deadline_ns, &why, e) < 0)
			return -1;
		if (why == LOOP_SIGNAL)
			w->interrupted = true;
		if (why != LOOP_STOPPED)
			break;
	}
	if (w->trouble.kind) {
		*e = w->trouble;
		return -1;
	}
	if (why == LOOP_IDLE && !stage_over(w))
		return err_set(e, ERR_INTERNAL, "bug",
			       "%s: sessions are busy and nothing is awaited", w->work.c->name);
	return 0;
}

int worker_prepare(struct worker *w, struct err *e)
{
	w->stage = STAGE_PREPARE;
	for (unsigned i = 0; i < w->work.sessions && !w->trouble.kind; i++)
		slot_open(&w->slot[i]);
	if (run_stage(w, 0, e) < 0)
		return -1;
	if (w->interrupted || w->n_dead == w->work.sessions)
		return 0;
	w->stage = STAGE_WARMUP;
	w->issued = 0;
	w->limit = w->work.warmup;
	pump(w);
	return run_stage(w, 0, e);
}

int worker_measure(struct worker *w, struct err *e)
{
	const struct work *k = &w->work;
	int rc = 0;

	w->stage = STAGE_MEASURE;
	w->issued = 0;
	w->start_ns = w->end_ns = loop_now(w->loop);
	if (w->interrupted || w->n_dead == k->sessions || w->give_up)
		return 0;
	w->limit = k->iterations ? k->iterations : UINT64_MAX;
	w->cut_ns = k->duration_ns ? w->start_ns + k->duration_ns : 0;
	if (k->interval_ns) {
		uint64_t span = k->iterations ? k->iterations * k->interval_ns : k->duration_ns;

		if (!k->iterations)
			w->limit = k->duration_ns / k->interval_ns ? k->duration_ns / k->interval_ns
								   : 1;
		w->tally.planned = w->limit;
		/* a target that cannot keep up is given as long again, then the rest counts as not sent */
		w->cut_ns = w->start_ns + 2 * span + k->timeout_ns;
		loop_spin(w->loop, 60 * NS_PER_US);
	}
	w->failures_in_row = w->timeouts_in_row = 0;
	w->tally.listening = true;
	pump(w);
	rc = run_stage(w, 0, e);
	w->tally.listening = false;
	loop_spin(w->loop, 0);
	w->end_ns = loop_now(w->loop);
	timer_cancel(w->loop, &w->pace);
	return rc;
}

int worker_finish(struct worker *w, struct err *e)
{
	int rc;

	w->stage = STAGE_CLOSE;
	loop_ignore_stop(w->loop, true);
	for (unsigned i = 0; i < w->work.sessions; i++) {
		struct slot *slot = &w->slot[i];

		if (slot->state == SLOT_BUSY || slot->state == SLOT_OPENING) {
			slot->session->ops->cancel(slot->session);
			slot->state = SLOT_DEAD;
		}
		if (slot->state != SLOT_IDLE || slot->session->broken)
			continue;
		slot->state = SLOT_CLOSING;
		w->n_closing++;
		arm(slot, CLOSE_WAIT_MS * NS_PER_MS);
		slot->session->ops->close(slot->session);
	}
	rc = run_stage(w, 0, e);
	loop_ignore_stop(w->loop, false);
	for (unsigned i = 0; i < w->work.sessions; i++)
		slot_release(&w->slot[i]);
	return rc;
}

bool worker_interrupted(const struct worker *w)
{
	return w->interrupted;
}

bool worker_dead(const struct worker *w)
{
	return w->n_dead == w->work.sessions;
}

int worker_collect(const struct worker *w, struct run *run, uint64_t *start_ns, uint64_t *end_ns,
		   struct err *e)
{
	*start_ns = w->start_ns;
	*end_ns = w->end_ns;
	return tally_add_to_run(&w->tally, run, e);
}
