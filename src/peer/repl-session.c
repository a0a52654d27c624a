#include "peer/repl-session.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "peer/repl-output.h"
#include "peer/repl-steps.h"

enum {
	READ_SIZE = 16384,
	READS_MAX = 16,
	PACE_BYTES = 256,
	DETAIL_MAX = ERR_MSG_MAX,
	SELF_MAX = 4096
};
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

struct repl_session {
	struct session s;
	const struct repl_workload *w;
	const struct url *url; /* the target's, or `own` */
	struct url own;	       /* how the builtin device is started */
	bool spawned;
	struct chan_style style;
	struct sub_sink *sink;

	struct chan *chan, *closed_chan; /* a closed one is freed outside its own callback */
	struct rawrepl r;
	bool connected, ready, settled, repl_over, gap_over;

	struct repl_steps program;
	unsigned at;
	bool begun, running, idle;

	const struct repl_snippets *list; /* being executed, NULL: none */
	size_t next;
	struct repl_output output;
	bool respawning, pacing, read_back;
	bool asked_again, tidying; /* STEP_SYNC: answers to several requests may come */

	struct timer timer; /* gap or pace */
	struct timer again; /* STEP_SYNC without an answer */
	struct outcome out;
	char detail[DETAIL_MAX];
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
static void fail(struct repl_session *rs, const char *word, const char *detail, bool broken)
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
	fail(rs, failure_word(why->code), why->msg, true);
}

/* Plain raw mode has no flow control: real ports overrun without a pause, and the imitated clients make one. */
static bool is_paced(const struct repl_session *rs)
{
	return !rs->r.pasting &&
	       (rs->w->style != REPL_STYLE_NATIVE || strcmp(rs->url->scheme, "serial") == 0);
}

static void pace_over(struct timer *t, uint64_t now);

/* Sends what the raw REPL's state allows. */
static void send_now(struct repl_session *rs)
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
	send_now(rs);
	advance(rs);
}

static void gap_over(struct timer *t, uint64_t now)
{
	struct repl_session *rs = CONTAINER_OF(t, struct repl_session, timer);

	(void)now;
	rs->gap_over = true;
	advance(rs);
}

/* Begins the next execution of the list. */
static void snippet_begin(struct repl_session *rs)
{
	const struct repl_snippet *s = &rs->list->v[rs->next];
	bool paste = rs->w->mode != REPL_MODE_RAW && rs->r.paste_reply <= RAWREPL_PASTE_YES;
	int rc;

	repl_output_begin(&rs->output, s);
	if (!paste && rs->w->mode == REPL_MODE_PASTE) {
		fail(rs, "no-raw-paste", "the device has no raw-paste mode: use --mode auto or raw",
		     false);
		return;
	}
	rc = paste ? rawrepl_paste(&rs->r, s->code, s->len) : rawrepl_exec(&rs->r, s->code, s->len);
	if (rc < 0)
		fail(rs, "desync", "the device is not at its raw prompt", true);
	send_now(rs);
}

static void list_begin(struct repl_session *rs, const struct repl_snippets *list)
{
	rs->list = list;
	rs->next = 0;
	repl_output_restart(&rs->output, rs->w->job);
	if (list->n)
		snippet_begin(rs);
}

static void learn_paste(struct repl_session *rs)
{
	struct repl_seen *seen = rs->w->seen;

	if (!seen)
		return;
	if (rs->r.paste_reply == RAWREPL_PASTE_YES && rs->r.window)
		seen->window = rs->r.window;
	seen->paste = rs->r.paste_reply == RAWREPL_PASTE_YES	   ? "yes"
		      : rs->r.paste_reply == RAWREPL_PASTE_REFUSED ? "refused"
		      : rs->r.paste_reply == RAWREPL_PASTE_OLD	   ? "old"
								   : seen->paste;
}

/* A device without hashlib has its file read back instead; later operations begin with that. */
static bool choose_instead(struct repl_session *rs)
{
	struct repl_job *j = rs->w->job;

	if (rs->list != &j->after || !j->instead.n || !strstr(rs->r.line, "ImportError"))
		return false;
	rs->read_back = true;
	list_begin(rs, &j->instead);
	return true;
}

/* An execution ended: judge it, go on with the next. */
static void snippet_over(struct repl_session *rs)
{
	const struct repl_snippet *s = &rs->list->v[rs->next];
	const char *verified = rs->list == &rs->w->job->after || rs->list == &rs->w->job->instead
				       ? "corrupt"
				       : "wrong-output";
	const char *why = NULL;

	if (rs->r.stderr_bytes && !s->may_fail) {
		char text[DETAIL_MAX];

		if (choose_instead(rs))
			return;
		rawrepl_quote(text, sizeof(text), rs->r.line, rs->r.line_len);
		fail(rs, "remote-error", text, false);
	} else if (!rs->r.stderr_bytes && repl_output_end(&rs->output, &why) < 0) {
		fail(rs, verified, why, false);
	}
	if (rs->output.has_value) {
		rs->out.value = rs->output.value;
		rs->out.has_value = true;
	}
	if (s->mark >= 0 && s->mark < OUTCOME_MARKS)
		rs->out.mark_ns[s->mark] = loop_now(rs->s.loop);
	rs->next++;
	if (rs->out.failure)
		return;
	if (rs->next < rs->list->n)
		snippet_begin(rs);
	else if (repl_output_complete(&rs->output, &why) < 0)
		fail(rs, "corrupt", why, false);
}

static void take_banner(struct repl_session *rs)
{
	const char *text = rs->r.text.data, *start = strstr(text, "MicroPython");
	struct repl_seen *seen = rs->w->seen;
	CLEANUP(buf_done) struct buf safe = BUF_INIT;
	size_t len;

	if (!seen || seen->banner[0])
		return;
	if (!start)
		start = strstr(text, "mpbench");
	if (!start)
		return;
	len = strcspn(start, "\r\n");
	if (buf_add_safe(&safe, start, len) == 0)
		snprintf(seen->banner, sizeof(seen->banner), "%s", buf_text(&safe));
}

static void on_prompt(struct repl_session *rs)
{
	take_banner(rs);
	if (rs->respawning || rs->tidying) {
		rs->asked_again = rs->tidying = false;
		rawrepl_enter(&rs->r, RAWREPL_ENTER_PLAIN);
		send_now(rs);
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
		send_now(rs);
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
		learn_paste(rs);
		if (rs->list && rs->next < rs->list->n)
			snippet_begin(rs);
		break;
	case RAWREPL_EV_WINDOW:
		learn_paste(rs);
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
			snippet_over(rs);
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
			send_now(rs);
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

/* Adds "NAME" or "NAME=VALUE" to a blank-separated list. */
static void append(char *out, size_t size, const char *name, bool with_value, unsigned value)
{
	size_t used = strlen(out);

	if (used >= size)
		return;
	if (with_value)
		snprintf(out + used, size - used, "%s%s=%u", used ? " " : "", name, value);
	else
		snprintf(out + used, size - used, "%s%s", used ? " " : "", name);
}

static void learn(struct repl_session *rs, const char *key, char *to, size_t size)
{
	const char *value = chan_identity(rs->chan, key);

	if (value && !to[0])
		snprintf(to, size, "%s", value);
}

static void learn_facts(struct repl_session *rs)
{
	struct repl_seen *seen = rs->w->seen;

	if (!seen)
		return;
	learn(rs, "signature", seen->signature, sizeof(seen->signature));
	learn(rs, "latency_timer_ms", seen->latency_timer, sizeof(seen->latency_timer));
	learn(rs, "driver", seen->driver, sizeof(seen->driver));
}

/* What the negotiation brought: sub-samples for its case, facts for the document. */
static void negotiated(struct repl_session *rs)
{
	const struct chan_option *o;
	struct repl_seen *seen = rs->w->seen;
	bool first = seen && !seen->options[0] && !seen->missing[0];
	size_t n = 0;

	o = chan_options(rs->chan, &n);
	for (size_t i = 0; i < n; i++) {
		if (first && o[i].asked_ns && o[i].answered_ns)
			append(seen->options, sizeof(seen->options), o[i].name, true,
			       o[i].answered);
		else if (first && o[i].asked_ns)
			append(seen->missing, sizeof(seen->missing), o[i].name, false, 0);
		if (!rs->sink || rs->w->kind != REPL_NEGOTIATE || !o[i].asked_ns ||
		    !o[i].answered_ns)
			continue;
		for (unsigned k = 0; repl_negotiate_subs[k]; k++)
			if (strcmp(repl_negotiate_subs[k] + strlen("negotiate."), o[i].name) == 0)
				rs->sink->record(rs->sink, k,
						 ns_since(o[i].asked_ns, o[i].answered_ns));
	}
	learn_facts(rs);
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
		learn_facts(rs);
		if (rs->respawning)
			rawrepl_wait_prompt(&rs->r);
		break;
	case CHAN_SETTLED:
		rs->settled = true;
		negotiated(rs);
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
		send_now(rs);
		rawrepl_enter(&rs->r, RAWREPL_ENTER_START);
	} else {
		rawrepl_enter(&rs->r, sync ? RAWREPL_ENTER_INTERRUPT : RAWREPL_ENTER_PLAIN);
	}
	send_now(rs);
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
		fail(rs, "desync", "the device is not at its raw prompt", true);
	send_now(rs);
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
		send_now(rs);
		break;
	case STEP_RESET:
		reset_begin(rs);
		break;
	case STEP_SETUP:
		list_begin(rs, &rs->w->job->setup);
		break;
	case STEP_TIMED:
		list_begin(rs, &rs->w->job->timed);
		break;
	case STEP_AFTER:
		list_begin(rs, rs->read_back ? &rs->w->job->instead : &rs->w->job->after);
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

/* As one word: a value may hold blanks (a file name), and quotes and backslashes of its own. */
static void add_option(struct buf *text, const struct url_param *p)
{
	buf_addf(text, " \"--%s%s", p->key, p->value[0] ? "=" : "");
	for (const char *c = p->value; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_addc(text, '\\');
		buf_addc(text, *c);
	}
	buf_addc(text, '"');
}

int repl_builtin_url(struct url *out, const struct url *u, struct err *e)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	char self[SELF_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return err_sys(e, ERR_MACHINE, "the builtin device needs /proc/self/exe");
	self[n] = '\0';
	buf_addf(&text, "exec:\"%s\" serve-repl", self);
	for (size_t i = 0; i < u->n_query; i++)
		add_option(&text, &u->query[i]);
	if (text.failed)
		return err_nomem(e);
	return url_parse(out, buf_text(&text), e);
}

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
