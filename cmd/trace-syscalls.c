/* mpbench trace-syscalls - exact system call counts of running processes or of a command. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/stop.h"
#include "cmd.h"
#include "measure/host.h"
#include "measure/syscall-names.h"
#include "result/emit.h"
#include "term.h"
#include "trace.h"

static const char *const level_names[] = { "count", "errors", "latency", "offcpu", NULL };
static const char *const sort_names[] = { "count", "time", "errors", "bytes", NULL };
static const char *const by_names[] = { "target", "process", "thread", NULL };

static const struct trace_opts defaults = { .children = true,
					    .level = TRACE_ERRORS,
					    .threads = 256 };

/* clang-format off */
static const struct opt table[] = {
	OPT_TITLE("Whom to watch"),
	OPT_NUMBERS_ROW('p', "pid", OPT_WHAT, struct trace_opts, pids, "PID", "this process with its threads; several are told apart", .min = 1, .max = INT32_MAX),
	OPT_WORDS_ROW(0, "comm", OPT_WHAT, struct trace_opts, comms, "NAME", "all processes of that name (the first 15 characters), also later ones"),
	OPT_WORDS_ROW(0, "cgroup", OPT_WHAT, struct trace_opts, cgroups, "DIR", "all processes in a version 2 cgroup"),
	OPT_WORDS_ROW(0, "target-port", OPT_WHAT, struct trace_opts, ports, "PORT", "who serves it: 69/udp, 80/tcp, 8080"),
	OPT_FLAG_ROW('a', "all", OPT_WHAT, struct trace_opts, all, "the whole machine but mpbench"),
	OPT_FLAG_ROW(0, "wait", OPT_HOW, struct trace_opts, wait, "wait for a port that nobody serves yet"),
	OPT_FLAG_ROW(0, "children", OPT_WHAT, struct trace_opts, children, "count child processes too (the default)"),
	OPT_TITLE("What to record"),
	OPT_ENUM_ROW('l', "level", OPT_HOW, struct trace_opts, level, level_names, "count, errors (with bytes and batches), latency, offcpu"),
	OPT_FLAG_ROW(0, "errors", OPT_HOW, struct trace_opts, errors, "at least level errors"),
	OPT_FLAG_ROW(0, "latency", OPT_HOW, struct trace_opts, latency, "at least level latency"),
	OPT_DURATION_ROW('d', "duration", OPT_HOW, struct trace_opts, duration_ns, "TIME", "end after it"),
	OPT_U32_ROW(0, "max-threads", OPT_HOW, struct trace_opts, threads, "N", "threads with counters of their own; the rest shares", .min = 1, .max = TRACE_THREADS_MAX),
	OPT_U64_ROW(0, "operations", OPT_WHAT, struct trace_opts, operations, "N", "what was done meanwhile: shows calls per operation", .min = 1),
	OPT_TITLE("What to show"),
	OPT_DURATION_ROW('i', "interval", OPT_OUT, struct trace_opts, interval_ns, "TIME", "show again and again; with --json one line each", .min = 10000000),
	OPT_WORDS_ROW(0, "filter", OPT_OUT, struct trace_opts, filter, "NAME", "only these system calls"),
	OPT_ENUM_ROW(0, "sort", OPT_OUT, struct trace_opts, sort, sort_names, "order of the table"),
	OPT_U32_ROW(0, "top", OPT_OUT, struct trace_opts, top, "N", "only the first N", .min = 1),
	OPT_ENUM_ROW(0, "by", OPT_OUT, struct trace_opts, by, by_names, "also one line per process or thread"),
	OPT_GROUP(common_plain_opts, struct common_opts, struct trace_opts, common),
	OPT_END,
};
/* clang-format on */

/* Where the table goes: CMD's output stays its own. */
struct screenful {
	const struct trace_watch *w;
	const struct common *common;
	FILE *to;
	bool redraw, lines;
};

/* A signal that comes while the reader is slow must not cost a line. */
static int put(const struct screenful *s, const struct buf *text, struct err *e)
{
	const char *name = s->to == stderr ? "standard error" : "standard output";

	return emit_fd(fileno(s->to), buf_text(text), text->len, name, e);
}

static int print_line(const struct screenful *s, const char *type, const struct call_table *t,
		      struct err *e)
{
	CLEANUP(json_decref) json_t *one = trace_json(s->w, t, e);
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	CLEANUP_FREE char *text = NULL;

	if (!one || json_put(one, "type", json_string(type), e) < 0)
		return -1;
	text = json_dumps(one, JSON_COMPACT);
	if (!text)
		return err_nomem(e);
	if (buf_addf(&line, "%s\n", text) < 0)
		return err_nomem(e);
	return put(s, &line, e);
}

static unsigned lines_of(const struct buf *text)
{
	unsigned n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += buf_text(text)[i] == '\n';
	return n;
}

static void cut(struct buf *text, unsigned lines)
{
	size_t at = 0;

	for (unsigned n = 0; n < lines && at < text->len; at++)
		n += buf_text(text)[at] == '\n';
	text->len = at;
}

/* As many calls as fit on the screen with what stands around them; what does not fit even so is cut off. */
static int fit(const struct screenful *s, const struct call_table *t, struct buf *out,
	       struct err *e)
{
	unsigned room = term_height(fileno(s->to)) - 1, n = lines_of(out);
	struct trace_watch w = *s->w;
	struct trace_opts o = *w.opts;
	unsigned tables = w.n > 0 ? (unsigned)w.n : 1;

	w.opts = &o;
	o.top = o.top && o.top < room ? o.top : room;
	while (n > room && o.top > 1) {
		unsigned less = (n - room + tables - 1) / tables;

		o.top = o.top > less ? o.top - less : 1;
		buf_clear(out);
		if (trace_text(&w, t, &s->common->style, out, e) < 0)
			return -1;
		n = lines_of(out);
	}
	cut(out, room);
	return 0;
}

static int print_text(const struct screenful *s, const struct call_table *t, bool redraw,
		      struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT, screen = BUF_INIT;

	if (trace_text(s->w, t, &s->common->style, &out, e) < 0)
		return -1;
	if (redraw) {
		if (fit(s, t, &out, e) < 0)
			return -1;
		if (buf_addf(&screen, "\033[H\033[2J%s", buf_text(&out)) < 0)
			return err_nomem(e);
	}
	return put(s, redraw ? &screen : &out, e);
}

static int view(void *ctx, const struct call_table *now, const struct call_table *step,
		struct err *e)
{
	const struct screenful *s = ctx;

	(void)now;
	if (s->common->opts->quiet)
		return 0;
	return s->lines ? print_line(s, "interval", step, e) : print_text(s, step, s->redraw, e);
}

static int check_filter(const struct opt_strings *filter, struct err *e)
{
	for (size_t i = 0; i < filter->n; i++)
		if (syscall_number(filter->v[i]) < 0 && !strchr(filter->v[i], '.') &&
		    strncmp(filter->v[i], "syscall_", 8) != 0)
			return err_set(e, ERR_USAGE, "usage",
				       "--filter: there is no system call \"%s\"", filter->v[i]);
	return 0;
}

extern const struct cmd cmd_trace_syscalls;

static int write_document(const struct trace_watch *w, const struct call_table *t,
			  struct common *common, char **argv, struct err *e)
{
	CLEANUP(document_done) struct document d = { 0 };
	const struct common_opts *o = common->opts;
	struct host host;
	struct document_head head = { .subcommand = "trace-syscalls",
				      .table = table,
				      .options = w->opts,
				      .labels = &o->labels,
				      .commit = o->commit,
				      .host = &host };

	head.argv = cmd_original(argv, &head.argc);
	host_read(&host, "", o->host_name);
	if (document_new(&d, &head, e) < 0 || trace_document(&d, w, t, e) < 0 ||
	    common_add_warnings(common, &d, e) < 0 ||
	    document_finish(&d, w->interrupted ? "interrupted" : "complete", NULL, e) < 0)
		return -1;
	if (common->output && emit_file(d.root, common->output, e) < 0)
		return -1;
	return o->json && !w->opts->interval_ns ? emit_file(d.root, "-", e) : 0;
}

static int show(struct screenful *s, const struct call_table *t, char **argv, struct common *common,
		struct err *e)
{
	const struct common_opts *o = common->opts;
	const char *doubt = call_table_doubt(t);

	if (doubt)
		log_say(&common->log, LOG_WARNING, "syscalls-not-exact",
			"the counts are not exact: %s", doubt);
	if (s->lines && print_line(s, "summary", t, e) < 0)
		return -1;
	if (!o->json && !o->quiet && !(common->output && strcmp(common->output, "-") == 0) &&
	    print_text(s, t, false, e) < 0)
		return -1;
	return o->output || o->json ? write_document(s->w, t, common, argv, e) : 0;
}

static int trace(const struct trace_opts *o, struct common *common, char **argv,
		 const char *const *words, size_t n, int *status, struct err *e)
{
	CLEANUP(trace_watch_done) struct trace_watch w = { 0 };
	CLEANUP(call_table_done) struct call_table t = { 0 };
	bool data = o->common.json || (o->common.output && strcmp(o->common.output, "-") == 0);
	struct screenful s = { .w = &w, .common = common, .to = n && !data ? stderr : stdout };

	s.lines = o->common.json && o->interval_ns;
	s.redraw = o->interval_ns && !s.lines && isatty(fileno(s.to)) && term_can_redraw();
	if (trace_choose(&w, o, words, n, e) < 0 ||
	    trace_run(&w, n ? words : NULL, data, view, &s, &t, e) < 0 ||
	    show(&s, &t, argv, common, e) < 0)
		return -1;
	*status = n ? w.status : 0;
	/* without a duration, the user's stop is how it ends */
	if (n || !o->duration_ns)
		stop_set(0);
	return 0;
}

/* As env(1): 127 not found, 126 not runnable, 125 anything else of ours. */
static int command_failure(const struct err *e)
{
	fprintf(stderr, "mpbench trace-syscalls: %s\n", e->msg);
	if (strcmp(e->code, "exec-missing") == 0)
		return 127;
	return strcmp(e->code, "exec-refused") == 0 ? 126 : 125;
}

enum { WORDS_MAX = 4096 };

/* Whether a command was meant, where the options cannot be read. */
static bool names_command(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return true;
	return false;
}

static int run(int argc, char **argv, struct err *e)
{
	static const char *words[WORDS_MAX + 1];
	struct trace_opts o = defaults;
	CLEANUP(common_done) struct common common = { 0 };
	struct opt_parse p = { .table = table,
			       .base = &o,
			       .operands = words,
			       .max_operands = WORDS_MAX,
			       .stop_at_operand = true };
	int status = 0;

	if (opt_parse(&p, argc, argv, e) < 0)
		return names_command(argc, argv) ? command_failure(e) : -1;
	if (p.help)
		return cmd_print_help(&cmd_trace_syscalls, false, e);
	words[p.n_operands] = NULL;
	if (check_filter(&o.filter, e) < 0 ||
	    common_init(&common, &o.common, "trace-syscalls", e) < 0 ||
	    common_wait_start(&common, e) < 0 ||
	    trace(&o, &common, argv, words, p.n_operands, &status, e) < 0)
		return p.n_operands ? command_failure(e) : -1;
	return status;
}

static const char *const examples[] = {
	"mpbench trace-syscalls -- ls /",
	"what a command does, to the last call",
	"mpbench trace-syscalls -p 4711 -d 10s --operations 1000",
	"calls per operation of a running server, errors and batches",
	"mpbench trace-syscalls --target-port 7001/udp --target-port 7002/udp",
	"two servers against each other, until ^C",
	"mpbench trace-syscalls -l latency --by thread -i 1s -p 4712",
	"a live view with latencies",
	NULL,
};

const struct cmd cmd_trace_syscalls = {
	.group = CMD_TRACE,
	.name = "trace-syscalls",
	.operands = "[-- CMD ARGS...]",
	.summary = "count system calls exactly, by eBPF",
	.about =
		"Counts every system call of processes, a command, a cgroup or the machine, with errors, bytes, "
		"batch sizes and times. Needs root, or once: setcap cap_bpf,cap_perfmon+ep mpbench-bpf. Meanwhile a "
		"watched call took 30 to 150 ns longer on the machines where it was measured (latency: 115 to 390), "
		"any other call of the machine 30 to 190 (60 to 290); -v and the result tell this machine's. With CMD "
		"the exit status is CMD's (125, 126, 127: ours) and the table goes to stderr.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
