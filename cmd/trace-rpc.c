/* mpbench trace-rpc - what an RPyC application does on the wire, from between its two sides. */
#include "trace-rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "address.h"
#include "base/clock.h"
#include "base/stop.h"
#include "cmd.h"
#include "io/spawn.h"
#include "peer/rpc-feed.h"
#include "result/emit.h"
#include "term.h"

enum { WORDS_MAX = 4096, CONNECTIONS_MAX = 4096, READ_SIZE = 2 << 20 };

static const uint64_t look_ns = 500 * NS_PER_MS;
/* What connections may take to end after the client has. */
static const uint64_t ends_ns = NS_PER_SEC;

static const struct rpc_opts defaults = {
	.slow_ns = 100 * NS_PER_MS, .max_events = 100000, .top = 30, .lines = 50
};

/* clang-format off */
static const struct opt table[] = {
	OPT_TITLE("Where to stand"),
	OPT_STRING_ROW('l', "listen", OPT_WHAT, struct rpc_opts, listen, "[HOST:]PORT", "where the client comes in (127.0.0.1; 0: any port)"),
	OPT_STRING_ROW('t', "to", OPT_WHAT, struct rpc_opts, to, "HOST:PORT", "the RPyC server"),
	OPT_STRING_ROW('r', "read", OPT_WHAT, struct rpc_opts, read, "FILE", "take what --record wrote, instead of a connection"),
	OPT_FLAG_ROW(0, "delayed-acks", OPT_WHAT, struct rpc_opts, delayed_acks, "acknowledge as servers do, for 40 ms stalls to show"),
	OPT_TITLE("What to look for"),
	OPT_DURATION_ROW('s', "slow", OPT_HOW, struct rpc_opts, slow_ns, "TIME", "list calls that take at least this; 0: none", .max = 86400 * NS_PER_SEC),
	OPT_U64_ROW(0, "max-events", OPT_HOW, struct rpc_opts, max_events, "N", "calls kept for tree, timeline and --trace", .max = RPC_EVENTS_MAX),
	OPT_TITLE("What to show and write"),
	OPT_FLAG_ROW(0, "tree", OPT_OUT, struct rpc_opts, tree, "each call below the one it was made from"),
	OPT_FLAG_ROW(0, "timeline", OPT_OUT, struct rpc_opts, timeline, "calls in order, with bars"),
	OPT_U32_ROW(0, "lines", OPT_OUT, struct rpc_opts, lines, "N", "of tree and timeline", .min = 1),
	OPT_U32_ROW(0, "top", OPT_OUT, struct rpc_opts, top, "N", "rows of each table", .min = 1),
	OPT_FLAG_ROW(0, "live", OPT_OUT, struct rpc_opts, live, "redraw twice a second (default on a terminal, without CMD)"),
	OPT_STRING_ROW(0, "trace", OPT_OUT, struct rpc_opts, chrome, "FILE", "Chrome trace-event JSON, for Perfetto"),
	OPT_STRING_ROW('w', "record", OPT_OUT, struct rpc_opts, record, "FILE", "keep all bytes with their times, for --read"),
	OPT_GROUP(common_plain_opts, struct common_opts, struct rpc_opts, common),
	OPT_END,
};
/* clang-format on */

/* One trace; the tracker is the decoder's thread's while there is a feed. */
struct session {
	const struct rpc_opts *o;
	struct common *common;
	struct loop *loop;
	struct rpc_tracker tracker;
	struct relay_tcp *relay;
	struct rpc_feed *feed;
	struct addr listen, to;
	int capture, signals;
	struct watch signalled, ended;
	struct timer look;
	struct child child;
	bool has_child, live, interrupted;
	FILE *out; /* where text goes, and how it looks there */
	struct table_style style;
};

static void session_done(struct session *s)
{
	if (s->has_child) {
		spawn_stop(&s->child, NS_PER_SEC);
		term_give(getpgrp());
	}
	relay_tcp_close(s->relay);
	rpc_feed_free(s->feed);
	if (s->loop) {
		loop_remove(&s->signalled);
		loop_remove(&s->ended);
		timer_cancel(s->loop, &s->look);
	}
	loop_free(s->loop);
	rpc_tracker_done(&s->tracker);
	fd_close(&s->capture);
	fd_close(&s->signals);
}
CLEANUP_OBJ(struct session, session_done)

static int write_text(const struct session *s, struct buf *text, struct err *e)
{
	fwrite(buf_text(text), 1, text->len, s->out);
	return fflush(s->out) == 0 ? 0 : err_sys(e, ERR_INTERNAL, "writing");
}

static int print_text(const struct session *s, const struct rpc_tracker *t, struct err *e)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	return rpc_text(t, s->o, &s->style, &text, e) < 0 ? -1 : write_text(s, &text, e);
}

/* Over the screen before, line by line: it does not flicker. */
static int redraw(const struct session *s, const struct rpc_tracker *t, struct err *e)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT, out = BUF_INIT;
	struct table_style style = s->style;

	style.width = term_width(fileno(s->out));
	if (rpc_text_view(t, &style, term_height(fileno(s->out)) - 1, &text, e) < 0)
		return -1;
	buf_adds(&out, "\033[H");
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\n')
			buf_adds(&out, "\033[K");
		buf_addc(&out, text.data[i]);
	}
	buf_adds(&out, "\033[J");
	return out.failed ? err_nomem(e) : write_text(s, &out, e);
}

/* In the decoder's thread. */
static void looked(void *ctx, const struct rpc_tracker *t)
{
	const struct session *s = ctx;
	struct err e;

	if ((s->live ? redraw(s, t, &e) : print_text(s, t, &e)) < 0)
		log_say(&s->common->log, LOG_WARNING, "view", "%s", e.msg);
}

static void signalled(struct watch *w, uint32_t events)
{
	struct session *s = CONTAINER_OF(w, struct session, signalled);
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		continue;
	rpc_feed_look(s->feed);
}

static void look_again(struct timer *t, uint64_t now_ns)
{
	struct session *s = CONTAINER_OF(t, struct session, look);

	rpc_feed_look(s->feed);
	timer_set(s->loop, t, now_ns + look_ns, look_again);
}

static void ended(struct watch *w, uint32_t events)
{
	struct session *s = CONTAINER_OF(w, struct session, ended);

	(void)events;
	if (!spawn_poll(&s->child))
		return;
	loop_remove(w);
	term_give(getpgrp());
	loop_stop(s->loop);
}

static int watch_signal(struct session *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, ERR_INTERNAL, "sigprocmask");
	s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signals < 0)
		return err_sys(e, ERR_INTERNAL, "signalfd");
	return loop_add(s->loop, &s->signalled, s->signals, EPOLLIN, signalled, e);
}

static int open_relay(struct session *s, struct err *e)
{
	struct rpc_feed_params p = { .tracker = &s->tracker,
				     .capture = s->capture,
				     .delayed_acks = s->o->delayed_acks,
				     .looked = looked,
				     .ctx = s };
	char host[80], *colon;
	int fd;

	addr_format(&s->listen, host);
	colon = strrchr(host, ':');
	*colon = '\0';
	if (host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = '\0';
	}
	if (sock_listen(&fd, host, addr_port(&s->listen), &s->listen, e) < 0)
		return err_wrap(e, "--listen");
	if (relay_tcp_open(&s->relay, s->loop, fd, &s->to, CONNECTIONS_MAX, e) < 0 ||
	    rpc_feed_start(&s->feed, &p, e) < 0)
		return -1;
	relay_tcp_tap(s->relay, rpc_feed_tap(s->feed));
	return 0;
}

/* {} is HOST:PORT of the relay, {host} and {port} its parts. */
static char *substitute(const struct session *s, const char *word)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	char whole[80], host[80];
	const char *at = word;

	addr_format(&s->listen, whole);
	snprintf(host, sizeof(host), "%s", whole);
	*strrchr(host, ':') = '\0';
	while (*at) {
		if (strncmp(at, "{}", 2) == 0) {
			buf_adds(&out, whole);
			at += 2;
		} else if (strncmp(at, "{host}", 6) == 0) {
			buf_adds(&out, host);
			at += 6;
		} else if (strncmp(at, "{port}", 6) == 0) {
			buf_adds(&out, strrchr(whole, ':') + 1);
			at += 6;
		} else {
			buf_addc(&out, *at++);
		}
	}
	return out.failed ? NULL : *word ? buf_take(&out) : strdup("");
}

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

static int start_client(struct session *s, const char *const *words, size_t n, struct err *e)
{
	struct spawn_params p = SPAWN_DEFAULT;
	char **argv = calloc(n + 1, sizeof(*argv));
	int rc;

	for (size_t i = 0; argv && i < n; i++) {
		argv[i] = substitute(s, words[i]);
		if (!argv[i]) {
			free_words(argv);
			return err_nomem(e);
		}
	}
	if (!argv)
		return err_nomem(e);
	p.argv = argv;
	p.in = STDIN_FILENO;
	p.out = STDOUT_FILENO;
	p.err = STDERR_FILENO;
	p.hold = true;
	rc = spawn_start(&s->child, &p, e);
	free_words(argv);
	if (rc < 0)
		return -1;
	s->has_child = true;
	term_give(s->child.pid);
	if (spawn_release(&s->child, e) < 0) {
		snprintf(e->code, sizeof(e->code), "%s",
			 e->sys == ENOENT ? "exec-missing" : "exec-refused");
		return -1;
	}
	return loop_add(s->loop, &s->ended, s->child.pidfd, EPOLLIN, ended, e);
}

/* Connections of a client that has ended are at their end in a moment. */
static int wait_for_ends(struct session *s, struct err *e)
{
	uint64_t end = loop_now(s->loop) + ends_ns;
	enum loop_end why = LOOP_DEADLINE;

	while (why == LOOP_DEADLINE && relay_tcp_counts(s->relay)->active &&
	       loop_now(s->loop) < end)
		if (loop_run(s->loop, loop_now(s->loop) + NS_PER_MS, &why, e) < 0)
			return -1;
	return 0;
}

static int relay(struct session *s, const char *const *words, size_t n, struct err *e)
{
	enum loop_end why;
	char text[80];

	if (loop_new(&s->loop, e) < 0 || watch_signal(s, e) < 0 || open_relay(s, e) < 0)
		return -1;
	if (!s->common->opts->quiet)
		fprintf(stderr, "trace-rpc on %s\n", addr_format(&s->listen, text));
	if (n && start_client(s, words, n, e) < 0)
		return -1;
	if (s->live)
		timer_set(s->loop, &s->look, loop_now(s->loop) + look_ns, look_again);
	if (loop_run(s->loop, 0, &why, e) < 0)
		return -1;
	s->interrupted = n && why == LOOP_SIGNAL;
	timer_cancel(s->loop, &s->look);
	if (why == LOOP_STOPPED && wait_for_ends(s, e) < 0)
		return -1;
	if (n && !relay_tcp_counts(s->relay)->connections)
		log_say(&s->common->log, LOG_WARNING, "no-connections",
			"the command made no connection to here ({} among its words is the address)");
	if (relay_tcp_counts(s->relay)->failed)
		log_say(&s->common->log, LOG_WARNING, "connections-failed",
			"%llu connections did not reach %s, or were reset",
			(unsigned long long)relay_tcp_counts(s->relay)->failed, s->o->to);
	relay_tcp_close(TAKE(s->relay));
	return rpc_feed_finish(s->feed, e);
}

static int read_records(struct session *s, struct buf *b, struct err *e)
{
	struct rpc_capture_record r;
	size_t at = 0;
	int64_t n;

	while ((n = rpc_capture_get(&r, buf_text(b) + at, b->len - at, e)) > 0) {
		if (rpc_tracker_take(&s->tracker, &r, e) < 0)
			return -1;
		at += (size_t)n;
	}
	buf_drop(b, at);
	return n < 0 ? err_wrap(e, "%s", s->o->read) : 0;
}

static int read_capture(struct session *s, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	CLEANUP_FD int fd = open(s->o->read, O_RDONLY | O_CLOEXEC);
	bool begun = false;

	if (fd < 0)
		return err_sys(e, ERR_USAGE, "%s", s->o->read);
	for (;;) {
		ssize_t n;

		if (buf_reserve(&b, READ_SIZE) < 0)
			return err_nomem(e);
		n = read(fd, b.data + b.len, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_USAGE, "%s", s->o->read);
		if (n == 0)
			break;
		b.len += (size_t)n;
		if (!begun && b.len < RPC_CAPTURE_MAGIC_SIZE)
			continue;
		if (!begun && memcmp(b.data, RPC_CAPTURE_MAGIC, RPC_CAPTURE_MAGIC_SIZE) != 0)
			break;
		if (!begun)
			buf_drop(&b, RPC_CAPTURE_MAGIC_SIZE);
		begun = true;
		if (read_records(s, &b, e) < 0)
			return -1;
	}
	if (!begun)
		return err_set(e, ERR_USAGE, "capture", "%s is no capture of trace-rpc",
			       s->o->read);
	if (b.len)
		log_say(&s->common->log, LOG_WARNING, "capture-cut",
			"%s ends in the middle of a record", s->o->read);
	return 0;
}

extern const struct cmd cmd_trace_rpc;

static int write_document(const struct session *s, char **argv, struct err *e)
{
	CLEANUP(document_done) struct document d = { 0 };
	const struct common_opts *o = s->common->opts;
	struct host host;
	struct document_head head = { .subcommand = "trace-rpc",
				      .table = table,
				      .options = s->o,
				      .labels = &o->labels,
				      .commit = o->commit,
				      .host = &host };
	json_t *seen = rpc_json(&s->tracker, e);

	if (!seen)
		return -1;
	head.argv = cmd_original(argv, &head.argc);
	host_read(&host, "", o->host_name);
	if (document_new(&d, &head, e) < 0) {
		json_decref(seen);
		return -1;
	}
	if (document_add_extension(&d, "trace_rpc", seen, e) < 0 ||
	    common_add_warnings(s->common, &d, e) < 0 ||
	    document_finish(&d, s->interrupted ? "interrupted" : "complete", NULL, e) < 0)
		return -1;
	if (s->common->output && emit_file(d.root, s->common->output, e) < 0)
		return -1;
	return o->json ? emit_file(d.root, "-", e) : 0;
}

static int write_chrome(const struct session *s, struct err *e)
{
	CLEANUP(json_decref) json_t *root = rpc_json_chrome(&s->tracker, e);

	return root ? emit_file(root, s->o->chrome, e) : -1;
}

static void warn(const struct session *s)
{
	const struct rpc_tracker *t = &s->tracker;
	const struct log *log = &s->common->log;

	if (t->undecoded)
		log_say(log, LOG_WARNING, "not-decoded",
			"%llu connections were passed on without being understood (%s)",
			(unsigned long long)t->undecoded, t->why);
	if (t->lost)
		log_say(log, LOG_WARNING, "not-seen-whole",
			"%llu connections brought more than could be decoded in time; they were passed on",
			(unsigned long long)t->lost);
	if (t->dropped_events && (s->o->chrome || s->o->tree || s->o->timeline))
		log_say(log, LOG_WARNING, "events-dropped",
			"%llu calls are in the tables only (--max-events)",
			(unsigned long long)t->dropped_events);
}

static int report(struct session *s, char **argv, struct err *e)
{
	const struct common_opts *o = s->common->opts;
	bool data = o->json || (s->common->output && strcmp(s->common->output, "-") == 0);

	rpc_tracker_finish(&s->tracker);
	warn(s);
	for (size_t i = 0; i < s->common->n_warnings && !o->quiet; i++)
		fprintf(stderr, "mpbench trace-rpc: %s\n", s->common->warning[i].text);
	if (s->live && !data)
		fputs("\033[H\033[J", s->out);
	if (!o->quiet && !data && print_text(s, &s->tracker, e) < 0)
		return -1;
	if (s->o->chrome && write_chrome(s, e) < 0)
		return -1;
	return o->output || o->json ? write_document(s, argv, e) : 0;
}

static int check(const struct rpc_opts *o, size_t n, struct session *s, struct err *e)
{
	if (o->read && (o->listen || o->to || o->record || n))
		return err_set(e, ERR_USAGE, "usage",
			       "--read takes a capture: no --listen, --to, --record or CMD");
	if (!o->read && !o->to)
		return err_set(
			e, ERR_USAGE, "usage",
			"which server? (mpbench trace-rpc --listen 18813 --to 127.0.0.1:18812)");
	if (!o->read && !o->listen && !n)
		return err_set(e, ERR_USAGE, "usage",
			       "where shall the client come in? (--listen PORT)");
	if (o->chrome && common_check_output("--trace", o->chrome, e) < 0)
		return -1;
	if (o->read)
		return 0;
	if (address_parse("--listen", o->listen ? o->listen : "0", "127.0.0.1", SOCK_STREAM,
			  &s->listen, e) < 0 ||
	    address_parse("--to", o->to, NULL, SOCK_STREAM, &s->to, e) < 0)
		return -1;
	if (!o->record)
		return 0;
	s->capture = open(o->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return s->capture < 0 ? err_sys(e, ERR_USAGE, "--record: %s", o->record) : 0;
}

static int trace(const struct rpc_opts *o, struct common *common, char **argv,
		 const char *const *words, size_t n, int *status, struct err *e)
{
	CLEANUP(session_done)
	struct session s = { .o = o, .common = common, .capture = -1, .signals = -1 };
	struct rpc_tracker_params p = { .slow_ns = o->slow_ns,
					.max_events = o->max_events,
					.delayed_acks = o->delayed_acks };

	s.out = n ? stderr : stdout;
	s.style = common->style;
	s.style.width = term_width(fileno(s.out));
	s.style.color = term_color(fileno(s.out), (enum term_color)o->common.color);
	s.live = !o->read && !common->opts->quiet && !common->opts->json &&
		 (o->live || (!n && isatty(fileno(s.out)) && term_can_redraw()));
	if (check(o, n, &s, e) < 0 || rpc_tracker_init(&s.tracker, &p, e) < 0)
		return -1;
	if ((o->read ? read_capture(&s, e) : relay(&s, words, n, e)) < 0 || report(&s, argv, e) < 0)
		return -1;
	if (s.has_child && s.child.reaped)
		*status = WIFEXITED(s.child.status) ? WEXITSTATUS(s.child.status)
						    : 128 + WTERMSIG(s.child.status);
	/* the user's stop is how it ends */
	if (!n)
		stop_set(0);
	return 0;
}

/* As env(1): 127 not found, 126 not runnable, 125 anything else of ours. */
static int command_failure(const struct err *e)
{
	fprintf(stderr, "mpbench trace-rpc: %s\n", e->msg);
	if (strcmp(e->code, "exec-missing") == 0)
		return 127;
	return strcmp(e->code, "exec-refused") == 0 ? 126 : 125;
}

static int run(int argc, char **argv, struct err *e)
{
	static const char *words[WORDS_MAX + 1];
	struct rpc_opts o = defaults;
	CLEANUP(common_done) struct common common = { 0 };
	struct opt_parse p = { .table = table,
			       .base = &o,
			       .operands = words,
			       .max_operands = WORDS_MAX,
			       .stop_at_operand = true };
	int status = 0;

	if (opt_parse(&p, argc, argv, e) < 0)
		return -1;
	if (p.help)
		return cmd_print_help(&cmd_trace_rpc, false, e);
	words[p.n_operands] = NULL;
	if (common_init(&common, &o.common, "trace-rpc", e) < 0 ||
	    common_wait_start(&common, e) < 0 ||
	    trace(&o, &common, argv, words, p.n_operands, &status, e) < 0)
		return p.n_operands ? command_failure(e) : -1;
	return status;
}

static const char *const examples[] = {
	"mpbench trace-rpc --listen 18813 --to 127.0.0.1:18812",
	"stand between a client and its server, until ^C",
	"mpbench trace-rpc --to 127.0.0.1:18812 --tree -- python3 - {host} {port}",
	"run a client (here from standard input), show what it called",
	"mpbench trace-rpc -l 18813 -t 127.0.0.1:18812 -w calls.rpc --trace calls.json",
	"keep the bytes, and a trace for ui.perfetto.dev",
	"mpbench trace-rpc --read calls.rpc --slow 5ms --timeline",
	"look at them again",
	NULL,
};

const struct cmd cmd_trace_rpc = {
	.group = CMD_TRACE,
	.name = "trace-rpc",
	.operands = "[-- CMD ARGS...]",
	.summary = "what an RPyC application does on the wire",
	.about =
		"Passes connections on and decodes RPyC both ways beside that: calls by name, objects held and left, "
		"callbacks, slow calls, loops of round trips, exceptions, bytes. Neither side is changed; what is no RPyC "
		"is passed on all the same. In CMD, {} is the relay's HOST:PORT, {host} and {port} its parts; its exit "
		"status becomes ours and the text goes to stderr. SIGUSR1 shows the summary so far.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
