#include "peer/repl-execute.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/repl-facts.h"

enum { READ_SIZE = 16384, READS_MAX = 16, PACE_BYTES = 256 };
/* What clients of plain raw mode wait after each piece, for want of flow control (mpremote's transport_serial.py). */
#define PACE_NS (10 * NS_PER_MS)
/* A board that is still booting (opening the port may have reset it) swallows what it is sent: ask again. */
#define SYNC_AGAIN_NS NS_PER_SEC

const char *const repl_mode_names[] = { "auto", "raw", "paste", NULL };
const char *const repl_style_names[] = { "native", "pyserial", "mpremote", NULL };
const char *const repl_session_phases[] = {
	"phase.connect", "phase.negotiate", "phase.banner", "phase.enter",
	"phase.exec",	 "phase.exit",	    "phase.close",  NULL,
};
const char *const repl_negotiate_subs[] = {
	"negotiate.binary",
	"negotiate.com-port",
	"negotiate.baud",
	"negotiate.datasize",
	"negotiate.parity",
	"negotiate.stopsize",
	"negotiate.flow",
	"negotiate.dtr",
	"negotiate.rts",
	"negotiate.purge-rx",
	"negotiate.purge-tx",
	"negotiate.signature",
	NULL,
};

static void advance(struct repl_session *rs);
static void on_chan(void *ctx, struct chan *c, enum chan_event ev);

bool repl_is_spawned(const struct url *u)
{
	return strcmp(u->scheme, "exec") == 0 || strcmp(u->scheme, "builtin") == 0;
}

/* Failure words are literals; channel errors bring theirs in a struct that does not last. */
static const char *failure_word(const char *code)
{
	static const char *const words[] = { "timeout", "closed",    "refused",	   "unreachable",
					     "desync",	"not-found", "permission", "busy",
					     "no-fds",	"no-answer", "no-com-port" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], code) == 0)
			return words[i];
	return "channel";
}

/* The first failure of an operation is the one that is told. */
void repl_fail(struct repl_session *rs, const char *word, const char *detail, bool broken)
{
	rs->s.broken |= broken;
	if (rs->out.failure)
		return;
	rs->out.failure = word;
	if (detail)
		snprintf(rs->detail, sizeof(rs->detail), "%s", detail);
	else
		rs->detail[0] = '\0';
	rs->out.detail = rs->detail;
}

static void fail_err(struct repl_session *rs, const struct err *why)
{
	repl_fail(rs, failure_word(why->code), why->msg, true);
}

/* Plain raw mode has no flow control: real ports overrun without a pause, and the imitated clients make one. */
static bool is_paced(const struct repl_session *rs)
{
	return !rs->r.pasting &&
	       (rs->w->style != REPL_STYLE_NATIVE || strcmp(rs->url->scheme, "serial") == 0);
}

static void pace_over(struct timer *t, uint64_t now);

/* Sends what the raw REPL's state allows. */
void repl_send_now(struct repl_session *rs)
{
	const uint8_t *data;
	struct err e;
	size_t n;

	while (!rs->pacing && rs->chan) {
		size_t unsent = rawrepl_unsent(&rs->r), max = 0;

		if (is_paced(rs))
			max = PACE_BYTES;
		else if (rs->r.pasting && rs->w->style == REPL_STYLE_MPREMOTE && unsent > 1)
			max = unsent - 1; /* mpremote writes the closing 0x04 by itself */
		n = rawrepl_pull(&rs->r, max, &data);
		if (n == 0)
			return;
		if (chan_write(rs->chan, data, n, &e) < 0) {
			fail_err(rs, &e);
			return;
		}
		if (is_paced(rs) && unsent && rawrepl_unsent(&rs->r)) {
			rs->pacing = true;
			timer_set(rs->s.loop, &rs->timer, loop_now(rs->s.loop) + PACE_NS,
				  pace_over);
		}
	}
}

static void pace_over(struct timer *t, uint64_t now)
{
	struct repl_session *rs = CONTAINER_OF(t, struct repl_session, timer);

	(void)now;
	rs->pacing = false;
	repl_send_now(rs);
	advance(rs);
}

static void gap_over(struct timer *t, uint64_t now)
{
	struct repl_session *rs = CONTAINER_OF(t, struct repl_session, timer);

	(void)now;
	rs->gap_over = true;
	advance(rs);
}

static void on_prompt(struct repl_session *rs)
{
	repl_facts_banner(rs->w->seen, rs->r.text.data);
	if (rs->respawning || rs->tidying) {
		rs->asked_again = rs->tidying = false;
		rawrepl_enter(&rs->r, RAWREPL_ENTER_PLAIN);
		repl_send_now(rs);
		return;
	}
	rs->repl_over = true;
}

/* A device that was deaf for a while answers every request it was sent. Leaving raw mode has an answer of its own, which
 * comes after all of them. */
static void on_ready(struct repl_session *rs)
{
	rs->respawning = false;
	if (rs->asked_again) {
		rs->tidying = true;
		rawrepl_exit(&rs->r);
		repl_send_now(rs);
		return;
	}
	rs->repl_over = true;
}

static void on_event(struct repl_session *rs, const struct rawrepl_event *ev)
{
	struct err e;

	switch (ev->kind) {
	case RAWREPL_EV_PROMPT:
		on_prompt(rs);
		break;
	case RAWREPL_EV_READY:
		on_ready(rs);
		break;
	case RAWREPL_EV_NO_PASTE:
		repl_facts_paste(rs->w->seen, &rs->r);
		if (rs->list && rs->next < rs->list->n)
			repl_snippet_begin(rs);
		break;
	case RAWREPL_EV_WINDOW:
		repl_facts_paste(rs->w->seen, &rs->r);
		break;
	case RAWREPL_EV_ACCEPTED:
		if (!rs->out.first_ns)
			rs->out.first_ns = loop_now(rs->s.loop);
		break;
	case RAWREPL_EV_STDOUT:
		repl_output_feed(&rs->output, ev->data, ev->len);
		break;
	case RAWREPL_EV_DONE:
		if (rs->list && rs->next < rs->list->n)
			repl_snippet_over(rs);
		break;
	case RAWREPL_EV_LOST:
		rawrepl_error(&rs->r, &e);
		fail_err(rs, &e);
		break;
	default:
		break;
	}
}

static bool respawn(struct repl_session *rs);

/* The channel ended. What a process said before it died often says why. */
static void lost(struct repl_session *rs)
{
	const struct rawrepl_text *said = &rs->r.text;
	char text[160];
	struct err e, why;

	if (respawn(rs))
		return;
	e = why = *chan_error(rs->chan);
	if (strcmp(e.code, "closed") == 0 && rs->r.state == RAWREPL_WAIT_PROMPT && said->len) {
		rawrepl_quote(text, sizeof(text), said->data, said->len);
		err_set(&why, e.kind, e.code, "%.300s; it said \"%s\"", e.msg, text);
	}
	fail_err(rs, &why);
}

/* One read a wake-up unless it filled the buffer, and not for ever: time-outs must get their turn beside a flood. The loop
 * tells again when there is more. An end found by reading is told only there. */
static void take_bytes(struct repl_session *rs)
{
	uint8_t data[READ_SIZE];
	unsigned reads = 0;
	ssize_t n;

	do {
		struct chan *c = rs->chan;

		n = chan_read(c, data, sizeof(data));
		for (ssize_t at = 0; at < n;) {
			struct rawrepl_event ev;

			at += (ssize_t)rawrepl_feed(&rs->r, data + at, (size_t)(n - at), &ev);
			on_event(rs, &ev);
		}
		if (n > 0)
			repl_send_now(rs);
	} while (n == READ_SIZE && ++reads < READS_MAX && !rs->out.failure);
	if (n < 0)
		lost(rs);
}

/* A process that ends on soft reset (the unix port) is started anew, and that is part of what its reset costs. */
static bool respawn(struct repl_session *rs)
{
	struct err e;

	if (!rs->spawned || rs->idle || rs->respawning || rs->program.step[rs->at] != STEP_RESET ||
	    !rs->begun)
		return false;
	rs->connected = rs->ready = false;
	rs->respawning = true;
	if (rs->w->seen)
		rs->w->seen->respawned = true;
	if (chan_respawn(rs->chan, &e) < 0) {
		fail_err(rs, &e);
		return true;
	}
	return true;
}

static void pin_device(const struct repl_session *rs)
{
	pid_t pid = chan_pid(rs->chan);
	cpu_set_t set;

	if (rs->w->seen)
		rs->w->seen->pid = pid;
	if (pid <= 0 || rs->w->server_cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)rs->w->server_cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) < 0)
		log_say(rs->w->log, LOG_WARNING, "pin", "the device could not be pinned to CPU %d",
			rs->w->server_cpu);
}

static void on_chan(void *ctx, struct chan *c, enum chan_event ev)
{
	struct repl_session *rs = ctx;

	if (c != rs->chan)
		return;
	switch (ev) {
	case CHAN_CONNECTED:
		rs->connected = true;
		pin_device(rs);
		break;
	case CHAN_READY:
		rs->ready = true;
		repl_facts_channel(rs->w->seen, rs->chan);
		if (rs->respawning)
			rawrepl_wait_prompt(&rs->r);
		break;
	case CHAN_SETTLED:
		rs->settled = true;
		repl_facts_options(rs->w, rs->chan, rs->sink);
		break;
	case CHAN_READABLE:
		take_bytes(rs);
		break;
	case CHAN_FAILED:
		lost(rs);
		break;
	default:
		break;
	}
	advance(rs);
}

static void on_closed(void *ctx, struct chan *c)
{
	struct repl_session *rs = ctx;

	if (c != rs->chan)
		return;
	rs->closed_chan = c;
	rs->chan = NULL;
	advance(rs);
}

static void chan_begin(struct repl_session *rs)
{
	struct chan_params p = {
		.url = rs->url,
		.style = &rs->style,
		.log = rs->w->log,
		.option_timeout_ns = rs->w->option_timeout_ns,
		.raise_dtr = true,
		.raise_rts = true,
		.set_lines = true,
		.purge = true,
		.handler = on_chan,
		.ctx = rs,
	};
	struct err e;

	chan_free(rs->closed_chan);
	rs->closed_chan = NULL;
	chan_free(rs->chan);
	rs->chan = NULL;
	rs->connected = rs->ready = rs->settled = rs->respawning = false;
	rawrepl_init(&rs->r);
	if (chan_new(&rs->chan, rs->s.loop, &p, &e) < 0) {
		rs->chan = NULL;
		fail_err(rs, &e);
	}
}

/* mpremote interrupts with one write, looks for leftovers, and asks for raw mode with another. */
static void enter_begin(struct repl_session *rs, bool sync)
{
	if (rs->w->style == REPL_STYLE_MPREMOTE) {
		rawrepl_enter(&rs->r, RAWREPL_ENTER_STOP);
		repl_send_now(rs);
		rawrepl_enter(&rs->r, RAWREPL_ENTER_START);
	} else {
		rawrepl_enter(&rs->r, sync ? RAWREPL_ENTER_INTERRUPT : RAWREPL_ENTER_PLAIN);
	}
	repl_send_now(rs);
}

static void sync_again(struct timer *t, uint64_t now)
{
	struct repl_session *rs = CONTAINER_OF(t, struct repl_session, again);

	if (rs->idle || rs->repl_over || rs->program.step[rs->at] != STEP_SYNC)
		return;
	rs->asked_again = true;
	rs->tidying = false;
	enter_begin(rs, true);
	timer_set(rs->s.loop, t, now + SYNC_AGAIN_NS, sync_again);
	advance(rs);
}

static void reset_begin(struct repl_session *rs)
{
	if (rawrepl_soft_reset(&rs->r) < 0)
		repl_fail(rs, "desync", "the device is not at its raw prompt", true);
	repl_send_now(rs);
}

static void step_begin(struct repl_session *rs, unsigned step)
{
	rs->repl_over = rs->asked_again = rs->tidying = false;
	switch (step) {
	case STEP_NEW:
		chan_begin(rs);
		break;
	case STEP_CONNECT:
		if (rs->chan)
			chan_start(rs->chan);
		break;
	case STEP_PROMPT:
		rawrepl_wait_prompt(&rs->r);
		break;
	case STEP_SYNC:
	case STEP_ENTER:
		enter_begin(rs, step == STEP_SYNC);
		if (step == STEP_SYNC)
			timer_set(rs->s.loop, &rs->again, loop_now(rs->s.loop) + SYNC_AGAIN_NS,
				  sync_again);
		break;
	case STEP_EXIT:
		rawrepl_exit(&rs->r);
		repl_send_now(rs);
		break;
	case STEP_RESET:
		reset_begin(rs);
		break;
	case STEP_SETUP:
		repl_list_begin(rs, &rs->w->job->setup);
		break;
	case STEP_TIMED:
		repl_list_begin(rs, &rs->w->job->timed);
		break;
	case STEP_AFTER:
		repl_list_begin(rs, rs->read_back ? &rs->w->job->instead : &rs->w->job->after);
		break;
	case STEP_CLOSE:
		if (rs->chan)
			chan_close(rs->chan, on_closed);
		break;
	case STEP_GAP:
		rs->gap_over = false;
		timer_set(rs->s.loop, &rs->timer, loop_now(rs->s.loop) + rs->w->gap_ns, gap_over);
		break;
	case STEP_SENT:
		rs->out.sent_ns = loop_now(rs->s.loop);
		break;
	case STEP_STAMP:
		rs->out.done_ns = loop_now(rs->s.loop);
		break;
	default:
		if (step >= STEP_MARK0 && step < STEP_END)
			rs->out.mark_ns[step - STEP_MARK0] = loop_now(rs->s.loop);
		break;
	}
}

static bool step_is_over(struct repl_session *rs, unsigned step)
{
	switch (step) {
	case STEP_CONNECT:
		return rs->connected;
	case STEP_NEGOTIATE:
		return rs->ready;
	case STEP_SETTLE:
		return rs->settled;
	case STEP_PROMPT:
	case STEP_SYNC:
	case STEP_ENTER:
	case STEP_EXIT:
	case STEP_RESET:
		return rs->repl_over;
	case STEP_SETUP:
	case STEP_TIMED:
	case STEP_AFTER:
		return rs->next >= rs->list->n;
	case STEP_CLOSE:
		return rs->chan == NULL;
	case STEP_GAP:
		return rs->gap_over;
	default:
		return true;
	}
}

static void deliver(struct repl_session *rs)
{
	struct outcome o = rs->out;

	rs->idle = true;
	rs->list = NULL;
	timer_cancel(rs->s.loop, &rs->again);
	if (!o.sent_ns)
		o.sent_ns = loop_now(rs->s.loop);
	if (!o.done_ns)
		o.done_ns = loop_now(rs->s.loop);
	if (rs->w->job && !o.failure)
		o.bytes = rs->w->job->bytes;
	rs->s.done(&rs->s, &o);
}

/* Goes as far as can be gone without waiting. Events that arrive from inside a step only change what step_is_over sees;
 * the outer round goes on. */
static void advance(struct repl_session *rs)
{
	if (rs->running || rs->idle)
		return;
	rs->running = true;
	for (;;) {
		unsigned step = rs->program.step[rs->at];

		if (step == STEP_END)
			break;
		if (!rs->begun) {
			rs->begun = true;
			step_begin(rs, step);
		}
		if (rs->out.failure)
			break;
		if (!step_is_over(rs, step)) {
			rs->running = false;
			return;
		}
		rs->begun = false;
		rs->at++;
	}
	rs->running = false;
	if (rs->out.failure) {
		/* an exception leaves the device at its prompt; in a session of one operation nothing is reused */
		if (!rs->s.broken && rs->w->kind != REPL_JOB)
			rs->s.broken = true;
	}
	deliver(rs);
}

static void begin(struct repl_session *rs, enum repl_part part)
{
	memset(&rs->out, 0, sizeof(rs->out));
	rs->program = repl_steps_make(rs->w, part, rs->spawned);
	rs->at = 0;
	rs->begun = rs->idle = false;
	rs->list = NULL;
	advance(rs);
}

static void session_open(struct session *s)
{
	begin(CONTAINER_OF(s, struct repl_session, s), REPL_PART_OPEN);
}

static void session_start(struct session *s)
{
	begin(CONTAINER_OF(s, struct repl_session, s), REPL_PART_OPERATION);
}

static void session_close(struct session *s)
{
	begin(CONTAINER_OF(s, struct repl_session, s), REPL_PART_CLOSE);
}

static void session_cancel(struct session *s)
{
	struct repl_session *rs = CONTAINER_OF(s, struct repl_session, s);

	rs->idle = true;
	timer_cancel(s->loop, &rs->timer);
	timer_cancel(s->loop, &rs->again);
	if (rs->chan)
		chan_kill(rs->chan);
}

/* What a time-out cut short. */
static void session_stalled(struct session *s, char *out, size_t size)
{
	const struct repl_session *rs = CONTAINER_OF(s, struct repl_session, s);
	const char *shown = rs->w->target->member[0].shown, *what = NULL;
	struct err e;

	switch (rs->program.step[rs->at]) {
	case STEP_CONNECT:
		what = "did not accept the connection in time";
		break;
	case STEP_NEGOTIATE:
		what = "did not finish the negotiation in time";
		break;
	case STEP_CLOSE:
		what = "could not be closed in time";
		break;
	default:
		rawrepl_error(&rs->r, &e);
		snprintf(out, size, "%s", e.msg);
		return;
	}
	snprintf(out, size, "%s %s", shown, what);
}

static void session_free(struct session *s)
{
	struct repl_session *rs = CONTAINER_OF(s, struct repl_session, s);

	timer_cancel(s->loop, &rs->timer);
	timer_cancel(s->loop, &rs->again);
	chan_free(rs->chan);
	chan_free(rs->closed_chan);
	repl_output_done(&rs->output);
	url_done(&rs->own);
	free(rs);
}

static const struct session_ops repl_ops = {
	.open = session_open,
	.start = session_start,
	.cancel = session_cancel,
	.close = session_close,
	.free = session_free,
	.stalled = session_stalled,
};

static int choose_url(struct repl_session *rs, const struct url *u, struct err *e)
{
	rs->url = u;
	if (strcmp(u->scheme, "builtin") != 0)
		return 0;
	if (u->path[0] && strcmp(u->path, "repl") != 0)
		return err_set(
			e, ERR_USAGE, "usage",
			"there is no builtin:%s here; builtin: or builtin:repl is the device",
			u->path);
	rs->url = &rs->own;
	return repl_builtin_url(&rs->own, u, e);
}

int repl_session_make(void *workload, struct loop *loop, unsigned index, struct sub_sink *sink,
		      struct session **out, struct err *e)
{
	static const struct chan_style *const styles[] = { &chan_style_native, &chan_style_pyserial,
							   &chan_style_mpremote };
	const struct repl_workload *w = workload;
	struct repl_session *rs = calloc(1, sizeof(*rs));
	const struct url *u = &w->target->member[index % w->target->n_members];

	if (!rs)
		return err_nomem(e);
	if (choose_url(rs, u, e) < 0) {
		free(rs);
		return -1;
	}
	rs->s.ops = &repl_ops;
	rs->s.loop = loop;
	rs->w = w;
	rs->sink = sink;
	rs->spawned = repl_is_spawned(u);
	rs->style = *styles[w->style];
	rs->idle = true;
	rawrepl_init(&rs->r);
	*out = &rs->s;
	return 0;
}
