/* mpbench watch - a benchmark again and again: history, alerts, outages. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/stop.h"
#include "cmd.h"
#include "measure/timetable.h"
#include "result/emit.h"
#include "result/journal.h"
#include "result/watcher.h"
#include "term.h"
#include "watch-hook.h"
#include "watch-run.h"

extern const struct cmd cmd_watch;

struct options {
	uint64_t every_ns, max_wait_ns, timeout_ns;
	uint64_t count;
	struct opt_strings that;
	const char *baseline, *on_alert;
	bool once_bad, json, quiet;
	const char *output, *prom;
	uint64_t rotate_bytes;
	uint32_t keep;
	int color;
};

static const struct opt table[] = {
	OPT_TITLE("When"),
	OPT_DURATION_ROW(0, "every", OPT_HOW, struct options, every_ns, "TIME",
			 "from one start to the next", .min = 10 * NS_PER_MS,
			 .max = 366 * 86400 * NS_PER_SEC),
	OPT_U64_ROW('n', "count", OPT_HOW, struct options, count, "N", "end after so many runs"),
	OPT_DURATION_ROW(0, "max-wait", OPT_HOW, struct options, max_wait_ns, "TIME",
			 "while the target is down starts are left out, up to so long"),
	OPT_DURATION_ROW(0, "timeout", OPT_HOW, struct options, timeout_ns, "TIME",
			 "end a run that takes longer", .min = NS_PER_MS),
	OPT_TITLE("Alerts"),
	OPT_STRINGS_ROW(0, "that", OPT_HOW, struct options, that, "EXPR",
			"[CASE] METRIC OP VALUE must hold in each run; may be repeated"),
	OPT_STRING_ROW(0, "baseline", OPT_HOW, struct options, baseline, "FILE",
		       "result that changes (+3%, -3%) are counted from"),
	OPT_STRING_ROW(0, "on-alert", OPT_HOW, struct options, on_alert, "CMD",
		       "run this when an alert or an outage begins or ends; {} is what happened"),
	OPT_FLAG_ROW(0, "once-bad", OPT_HOW, struct options, once_bad,
		     "end with the first run that is not fine"),
	OPT_TITLE("Output"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct options, output, "FILE",
		       "append one line of JSON a run here, and go on from what it holds"),
	OPT_SIZE_ROW(0, "rotate", OPT_OUT, struct options, rotate_bytes, "SIZE",
		     "put the file aside as FILE.1, FILE.2... when it is larger", .min = 1),
	OPT_U32_ROW(0, "keep", OPT_OUT, struct options, keep, "N", "keep so many of them",
		    .max = 1000),
	OPT_STRING_ROW(0, "prom", OPT_OUT, struct options, prom, "FILE",
		       "the last values for Prometheus' textfile collector"),
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct options, json, "print the lines of JSON"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct options, quiet, "print alerts only"),
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct options, color, term_color_names,
		     "colours on a terminal"),
	OPT_END,
};

static const struct options defaults = {
	.every_ns = 60 * NS_PER_SEC,
	.max_wait_ns = 300 * NS_PER_SEC,
	.timeout_ns = 600 * NS_PER_SEC,
	.rotate_bytes = 16 << 20,
	.keep = 5,
};

enum { LOG_LINES = 8, LOG_LENGTH = 360, DIR_LENGTH = 400, TAIL_MAX = 8 << 20 };
#define BUDGET_LEAST (100 * NS_PER_MS)
#define BUDGET_MOST (30 * NS_PER_SEC)
#define HOOK_TIMEOUT (60 * NS_PER_SEC)

struct watching {
	const struct options *o;
	struct loop *loop;
	struct watcher w;
	struct journal journal;
	struct timetable times;
	struct timer due, redraw;
	struct bench_run run;
	struct hook hook;
	struct limit *limit;
	struct side base;
	char **hook_words;
	char dir[DIR_LENGTH], file[DIR_LENGTH + 16];
	struct buf head;
	char log[LOG_LINES][LOG_LENGTH];
	size_t n_log;
	struct table_style style;
	bool live, unwritten, over;
	uint64_t begun_ns, done, skipped;
	struct err failure; /* of our own, or of the first run */
};

static void watching_done(struct watching *w)
{
	bench_run_stop(&w->run);
	hook_stop(&w->hook);
	if (*w->file)
		unlink(w->file);
	if (*w->dir)
		rmdir(w->dir);
	journal_close(&w->journal);
	watcher_done(&w->w);
	side_done(&w->base);
	buf_done(&w->head);
	free(w->limit);
	free(w->hook_words);
	loop_free(w->loop);
}
CLEANUP_OBJ(struct watching, watching_done)

static void end(struct watching *w, const struct err *why)
{
	if (why && w->failure.kind == ERR_NONE)
		w->failure = *why;
	w->over = true;
	loop_stop(w->loop);
}

/* --- what is shown --- */

static unsigned rows(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row - 1U
									       : 23;
}

static void put(const struct buf *out)
{
	struct err ignored;

	if (emit_fd(STDOUT_FILENO, buf_text(out), out->len, "standard output", &ignored) < 0)
		stop_set(SIGPIPE);
}

static void now_text(const struct watching *w, char out[80])
{
	uint64_t now = loop_now(w->loop), due = timetable_due(&w->times);

	if (w->run.running)
		snprintf(out, 80, "running");
	else
		snprintf(out, 80, "next run in %llu s",
			 (unsigned long long)((ns_since(now, due) + NS_PER_SEC - 1) / NS_PER_SEC));
}

static void draw(struct watching *w)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT, out = BUF_INIT;
	const char *log[LOG_LINES];
	char now[80];
	struct watch_screen screen = { .style = &w->style,
				       .rows = rows(),
				       .head = buf_text(&w->head),
				       .now = now,
				       .log = log,
				       .n_log = w->n_log };

	if (!w->live)
		return;
	w->style.width = term_width(STDOUT_FILENO);
	for (size_t i = 0; i < w->n_log; i++)
		log[i] = w->log[i];
	now_text(w, now);
	if (watcher_screen(&w->w, &screen, &text) < 0)
		return;
	buf_adds(&out, "\033[H");
	for (const char *p = buf_text(&text); *p; p++)
		buf_adds(&out, *p == '\n' ? "\033[K\n" : (char[]){ *p, '\0' });
	buf_adds(&out, "\033[J");
	put(&out);
}

static void live_begin(struct watching *w)
{
	static char on[] = "\033[?1049h\033[?25l\033[2J";

	if (w->live)
		put(&(struct buf){ .data = on, .len = sizeof(on) - 1 });
}

static void live_end(struct watching *w)
{
	static char off[] = "\033[?25h\033[?1049l";

	if (w->live)
		put(&(struct buf){ .data = off, .len = sizeof(off) - 1 });
	w->live = false;
}

/* Between two runs only: nothing of ours moves while a benchmark measures. */
static void on_redraw(struct timer *t, uint64_t now_ns)
{
	struct watching *w = CONTAINER_OF(t, struct watching, redraw);

	if (w->run.running)
		return;
	draw(w);
	timer_set(w->loop, t, now_ns + NS_PER_SEC, on_redraw);
}

static void log_line(struct watching *w, const char *text)
{
	if (w->n_log == LOG_LINES) {
		memmove(w->log[0], w->log[1], sizeof(w->log) - sizeof(w->log[0]));
		w->n_log--;
	}
	snprintf(w->log[w->n_log++], LOG_LENGTH, "%s", text);
}

/* On the screen where there is one, and on standard error unless that is the same terminal. */
static void say(struct watching *w, const char *what, const char *text)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	char at[32];

	clock_rfc3339(at);
	buf_addf(&line, "%.19sZ %s: ", at, what);
	buf_add_safe(&line, text, strlen(text));
	log_line(w, buf_text(&line));
	if (!w->live || !isatty(STDERR_FILENO))
		fprintf(stderr, "mpbench watch: %s\n", buf_text(&line));
}

static void hook_failed(struct hook *h, const char *why)
{
	say(CONTAINER_OF(h, struct watching, hook), "--on-alert", why);
}

static void tell(struct watching *w)
{
	for (size_t i = 0; i < w->w.n_events; i++) {
		const struct watch_event *event = &w->w.event[i];

		say(w, watch_event_name(event->kind), event->text);
		if (event->news)
			hook_tell(&w->hook, event->kind, event->text);
	}
}

/* --- a run --- */

static void write_line(struct watching *w, const char *line)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct err e;

	if (w->journal.fd >= 0 && journal_append(&w->journal, line, &e) < 0) {
		w->unwritten = true;
		say(w, "history", e.msg);
	}
	if (w->live || w->o->quiet)
		return;
	if (w->o->json)
		buf_addf(&out, "%s\n", line);
	else if (watcher_plain(&w->w, &w->style, &out) < 0)
		return;
	put(&out);
}

static void write_prom(struct watching *w, const struct watch_run *run)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct err e;

	if (!w->o->prom)
		return;
	if (watcher_prom(&w->w, run, &out, &e) < 0 ||
	    emit_bytes(buf_text(&out), out.len, w->o->prom, &e) < 0)
		say(w, "--prom", e.msg);
}

/* What cannot run at all is a mistake of the command line, and no outage. */
static bool is_hopeless(const struct watching *w, const struct watch_run *run)
{
	return w->done == 0 && !run->root &&
	       (run->exit_status == ERR_USAGE || run->exit_status == ERR_MACHINE ||
		run->exit_status == ERR_INTERNAL);
}

static int judge(struct watching *w, const struct watch_run *run, struct err *e)
{
	CLEANUP_FREE char *line = NULL;

	if (is_hopeless(w, run))
		return err_set(e, (enum err_kind)run->exit_status, "benchmark", "%s: %s",
			       w->run.words[0], *run->message ? run->message : "it failed");
	if (!run->root && run->exit_status == 0)
		return err_set(e, ERR_USAGE, "output",
			       "%s left no result (it must have no -o of its own)",
			       w->run.words[0]);
	if (watcher_take(&w->w, run, &line, e) < 0)
		return -1;
	w->done++;
	tell(w);
	write_line(w, line);
	write_prom(w, run);
	return 0;
}

static void on_due(struct timer *t, uint64_t now_ns);

static void plan_next(struct watching *w)
{
	bool bad = w->w.last != WATCH_OK;

	if ((w->o->count && w->done >= w->o->count) || (w->o->once_bad && bad)) {
		end(w, NULL);
		return;
	}
	w->skipped = timetable_next(&w->times, loop_now(w->loop), w->w.down);
	timer_set(w->loop, &w->due, timetable_due(&w->times), on_due);
	if (w->live)
		on_redraw(&w->redraw, loop_now(w->loop));
}

static void on_run(struct bench_run *r)
{
	struct watching *w = CONTAINER_OF(r, struct watching, run);
	CLEANUP(json_decref) json_t *root = NULL;
	char message[256];
	struct watch_run run = { .at_ns = r->begun_wall_ns,
				 .duration_ns = ns_since(r->begun_ns, r->ended_ns),
				 .skipped = w->skipped,
				 .message = message };
	struct err e;

	if (bench_run_result(r, &root, &run.exit_status, message, &e) < 0) {
		end(w, &e);
		return;
	}
	run.root = root;
	if (judge(w, &run, &e) < 0)
		end(w, &e);
	else
		plan_next(w);
}

static void on_due(struct timer *t, uint64_t now_ns)
{
	struct watching *w = CONTAINER_OF(t, struct watching, due);
	struct err e;

	(void)now_ns;
	if (bench_run_start(&w->run, &e) < 0)
		end(w, &e);
	else
		draw(w);
}

/* --- before and after --- */

static int take_limits(struct watching *w, struct err *e)
{
	const struct limit *relative;

	if (limit_add(&w->o->that, &w->limit, &w->w.n_limits, e) < 0)
		return err_wrap(e, "--that");
	w->w.limit = w->limit;
	relative = limit_find_relative(w->limit, w->w.n_limits);
	if (relative && !w->o->baseline)
		return err_set(e, ERR_USAGE, "limit",
			       "--that: '%s' is a change: of what? (--baseline FILE)",
			       relative->text);
	if (w->o->baseline && side_load(&w->base, w->o->baseline, e) < 0)
		return err_wrap(e, "--baseline");
	w->w.base = w->o->baseline ? &w->base : NULL;
	return 0;
}

static int open_history(struct watching *w, struct err *e)
{
	CLEANUP(buf_done) struct buf tail = BUF_INIT;

	if (!w->o->output)
		return 0;
	if (journal_open(&w->journal, w->o->output, w->o->rotate_bytes, w->o->keep, e) < 0 ||
	    journal_tail(&w->journal, TAIL_MAX, &tail, e) < 0)
		return err_wrap(e, "-o");
	return watcher_resume(&w->w, w->o->output, buf_text(&tail), tail.len, e);
}

static int make_dir(struct watching *w, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(w->dir, sizeof(w->dir), "%s/mpbench-watch-XXXXXX",
			 tmp && *tmp ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(w->dir) || !mkdtemp(w->dir)) {
		*w->dir = '\0';
		return err_sys(e, ERR_INTERNAL, "temporary directory");
	}
	snprintf(w->file, sizeof(w->file), "%s/result.json", w->dir);
	return 0;
}

/* So that a run without -n or --duration is over before the next is due. */
static uint64_t budget_of(uint64_t every_ns)
{
	uint64_t budget = every_ns / 5 * 4;

	return budget < BUDGET_LEAST ? BUDGET_LEAST : budget > BUDGET_MOST ? BUDGET_MOST : budget;
}

static int take_command(struct watching *w, char *const *words, struct err *e)
{
	const struct cmd *c = words[0] ? cmd_find(words[0]) : NULL;
	char every[NUM_TEXT_MAX];

	if (!c || c->group != CMD_MEASURE)
		return err_set(e, ERR_USAGE, "operand",
			       "'%.80s' is no benchmark of mpbench (try mpbench watch --every 60s "
			       "-- bench-repl builtin:)",
			       words[0] ? words[0] : "");
	buf_addf(&w->head, "every %s:", num_format_ns(every, (double)w->o->every_ns));
	for (size_t i = 0; words[i]; i++)
		buf_addf(&w->head, " %s", words[i]);
	if (w->head.failed)
		return err_nomem(e);
	w->run = (struct bench_run){
		.loop = w->loop,
		.words = words,
		.file = w->file,
		.budget_ns = budget_of(w->o->every_ns),
		.timeout_ns = w->o->timeout_ns,
		.done = on_run,
		.err_fd = -1,
	};
	return 0;
}

static int take_hook(struct watching *w, struct err *e)
{
	if (w->o->on_alert && opt_split_command(w->o->on_alert, &w->hook_words, e) < 0)
		return err_wrap(e, "--on-alert");
	w->hook = (struct hook){ .loop = w->loop,
				 .words = w->hook_words,
				 .timeout_ns = HOOK_TIMEOUT,
				 .output = w->live ? -1 : STDERR_FILENO,
				 .failed = hook_failed };
	return 0;
}

static void summarize(struct watching *w)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	if (w->o->quiet || w->o->json || w->done == 0)
		return;
	if (watcher_summary(&w->w, &w->style, ns_since(w->begun_ns, clock_now()), &out) == 0)
		put(&out);
}

/* The worst of what was seen, where the watch had an end of its own. */
static int status_of(const struct watching *w)
{
	const uint64_t *runs = w->w.runs;

	if (w->unwritten)
		return ERR_INTERNAL;
	if (!w->o->once_bad && !w->o->count)
		return 0;
	return runs[WATCH_DOWN] || runs[WATCH_FAILED] ? ERR_TARGET
	       : runs[WATCH_BAD]		      ? ERR_CHECK
						      : 0;
}

/* The user's command has heard of the end and may take a while; a moment only where the user wants to end. */
static int wait_for_hook(struct watching *w, struct err *e)
{
	uint64_t most = stop_signal() ? 2 * NS_PER_SEC : HOOK_TIMEOUT;
	enum loop_end why;

	timer_cancel(w->loop, &w->due);
	timer_cancel(w->loop, &w->redraw);
	loop_ignore_stop(w->loop, stop_signal() != 0);
	return w->hook.running ? loop_run(w->loop, loop_now(w->loop) + most, &why, e) : 0;
}

static int go(struct watching *w, struct err *e)
{
	enum loop_end why;
	int rc;

	w->begun_ns = loop_now(w->loop);
	timetable_init(&w->times, w->begun_ns, w->o->every_ns, w->o->max_wait_ns);
	timer_set(w->loop, &w->due, w->begun_ns, on_due);
	live_begin(w);
	do
		rc = loop_run(w->loop, 0, &why, e);
	while (rc == 0 && !w->over && why == LOOP_STOPPED);
	live_end(w);
	bench_run_stop(&w->run);
	summarize(w);
	if (rc < 0 || wait_for_hook(w, e) < 0)
		return -1;
	if (w->failure.kind != ERR_NONE) {
		*e = w->failure;
		return -1;
	}
	return stop_signal() ? 128 + stop_signal() : status_of(w);
}

static int watch(const struct options *o, char *const *words, struct err *e)
{
	CLEANUP(watching_done)
	struct watching w = { .o = o, .journal = JOURNAL_CLOSED, .run.err_fd = -1 };

	w.live = !o->quiet && !o->json && isatty(STDOUT_FILENO) && term_can_redraw();
	w.style = (struct table_style){
		.width = term_width(STDOUT_FILENO),
		.color = term_color(STDOUT_FILENO, (enum term_color)o->color),
		.utf8 = term_utf8(),
	};
	if (loop_new(&w.loop, e) < 0 || take_command(&w, words, e) < 0 || take_hook(&w, e) < 0 ||
	    take_limits(&w, e) < 0 || open_history(&w, e) < 0 || make_dir(&w, e) < 0)
		return -1;
	return go(&w, e);
}

/* Of the benchmark: it would print it and leave no result. */
static bool asks_for_help(const char *const *words)
{
	for (size_t i = 1; words[0] && words[i]; i++)
		if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
			return cmd_find(words[0]) != NULL;
	return false;
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	CLEANUP_FREE const char **words = calloc((size_t)argc + 1, sizeof(*words));
	size_t n;
	int rc;

	if (!words)
		return err_nomem(e);
	rc = cmd_parse(&cmd_watch, argc, argv, &o, words, (size_t)argc, &n, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (asks_for_help(words))
		return cmd_print_help(cmd_find(words[0]), false, e);
	return watch(&o, (char *const *)(uintptr_t)words, e);
}

static const char *const examples[] = {
	"mpbench watch --every 60s -o watch.jsonl -- bench-repl exec:micropython",
	"a run a minute, kept in watch.jsonl",
	"mpbench watch --that 'latency.p99<5s' --that 'error_ratio<5%' -- bench-repl",
	"a line on standard error when it is not so",
	"mpbench watch --once-bad --on-alert 'logger {}' -- bench-tftp builtin:",
	"end with the first run that is not fine, and tell syslog",
	NULL,
};

const struct cmd cmd_watch = {
	.group = CMD_LOOK,
	.name = "watch",
	.operands = "-- BENCHMARK [ARGUMENT...]",
	.summary = "run a benchmark again and again, with alerts",
	.about =
		"Runs a benchmark of mpbench at fixed times, never two at once; a run that is too long costs the starts that "
		"pass meanwhile. Shows the history on a terminal, else a line a run; appends one line of JSON a run "
		"to a file that is put aside when large, and goes on from it when started again. While nothing "
		"succeeds the target is down: outages are counted, starts left out (1, 2, 4...), and the first success "
		"ends them. Ctrl-C ends with a summary.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
