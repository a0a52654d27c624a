#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/stop.h"
#include "rank.h"
#include "result/emit.h"
#include "term.h"

#define START_LATEST (3600 * NS_PER_SEC)

/* clang-format off */
#define PLAIN_ROWS \
	OPT_TITLE("Result"), \
	OPT_STRING_ROW('o', "output", OPT_OUT, struct common_opts, output, "FILE", \
		       "write the result document here"), \
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct common_opts, json, \
		     "print the document instead of a table"), \
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct common_opts, quiet, "print errors only"), \
	OPT_COUNT_ROW('v', "verbose", OPT_OUT, struct common_opts, verbose, \
		      "say more; -vv says all"), \
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct common_opts, color, term_color_names, \
		     "colours in the table"), \
	OPT_STRINGS_ROW(0, "label", OPT_OUT, struct common_opts, labels, "K=V", \
			"note in the document; may be repeated"), \
	OPT_STRING_ROW(0, "commit", OPT_OUT, struct common_opts, commit, "ID", \
		       "commit of what is measured"), \
	OPT_FLAG_ROW(0, "host-name", OPT_OUT, struct common_opts, host_name, \
		     "store the name of this machine"), \
	OPT_STRING_ROW(0, "start-at", OPT_OUT, struct common_opts, start_at, "TIME", \
		       "begin at this time (RFC 3339 or @SECONDS)")

const struct opt common_plain_opts[] = {
	PLAIN_ROWS,
	OPT_END,
};

const struct opt common_opts[] = {
	PLAIN_ROWS,
	OPT_STRING_ROW(0, "baseline", OPT_OUT, struct common_opts, baseline, "FILE",
		       "compare with this result; exit with 1 on a regression"),
	OPT_STRINGS_ROW(0, "that", OPT_OUT, struct common_opts, that, "EXPR",
			"[CASE] METRIC OP VALUE must hold, else exit with 1"),
	OPT_END,
};
/* clang-format on */

const struct opt compare_opts[] = {
	OPT_STRINGS_ROW(0, "compare-client", OPT_WHAT, struct compare_opts, clients, "CMD",
			"time your own client beside ours; {} is the target"),
	OPT_END,
};

const struct opt syscalls_opts[] = {
	OPT_STRING_ROW(
		0, "syscalls", OPT_WHAT, struct syscalls_opts, syscalls, "WHOSE",
		"count system calls of pid:N, port:69/udp, server or self; ,auto: where it can be done",
		.optional_value = "server"),
	OPT_END,
};

static void print_log(const struct common *c, enum log_level level, const char *text)
{
	bool shown = level == LOG_WARNING ? c->opts->json || c->opts->verbose > 0
					  : c->opts->verbose >= (level == LOG_NOTE ? 1 : 2);

	if (shown && !c->opts->quiet)
		fprintf(stderr, "mpbench %s: %s%s\n", c->subcommand,
			level == LOG_WARNING ? "warning: " : "", text);
}

/* False when the very same was said before. */
static bool remember(struct common *c, const char *code, const char *text)
{
	struct common_warning *w;

	for (size_t i = 0; i < c->n_warnings; i++)
		if (strcmp(c->warning[i].code, code) == 0 && strcmp(c->warning[i].text, text) == 0)
			return false;
	if (c->n_warnings == COMMON_WARNINGS_MAX) {
		c->dropped++;
		return true;
	}
	w = &c->warning[c->n_warnings++];
	snprintf(w->code, sizeof(w->code), "%s", code);
	snprintf(w->text, sizeof(w->text), "%s", text);
	return true;
}

/* The lock of the stream that it prints to also guards the list: threads may say something. */
static void say(void *ctx, enum log_level level, const char *code, const char *text)
{
	struct common *c = ctx;

	flockfile(stderr);
	if (level != LOG_WARNING || remember(c, code, text))
		print_log(c, level, text);
	funlockfile(stderr);
}

static int check_labels(const struct opt_strings *labels, struct err *e)
{
	for (size_t i = 0; i < labels->n; i++) {
		const char *equals = strchr(labels->v[i], '=');

		if (!equals || equals == labels->v[i])
			return err_set(e, ERR_USAGE, "label",
				       "--label: '%s' is not K=V (try --label board=pico2)",
				       labels->v[i]);
	}
	return 0;
}

/* Half a minute of measuring is too much to find out that its result cannot be kept. */
int common_check_output(const char *option, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	struct stat st;

	if (strcmp(path, "-") == 0)
		return 0;
	if (!dir)
		return err_nomem(e);
	if (*path == '\0' || (slash && slash[1] == '\0') ||
	    (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
		return err_set(e, ERR_USAGE, "output", "%s: '%s' is not a file name", option, path);
	if (access(dir, W_OK | X_OK) < 0)
		return err_sys(e, ERR_INTERNAL, "%s %s: cannot write into %s", option, path, dir);
	return 0;
}

static uint64_t wall_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Who comes a little late measures all the same, with a warning; a time long past is a mistake: another day, another zone. */
static int check_start(const char *text, struct err *e)
{
	uint64_t at = 0, now = wall_now_ns();

	if (common_parse_time(text, &at, e) < 0)
		return -1;
	if (now > at && now - at > START_LATEST)
		return err_set(e, ERR_USAGE, "time",
			       "--start-at: %s passed more than an hour ago (as UTC: "
			       "date -u -d '+10 seconds' +%%Y-%%m-%%dT%%H:%%M:%%SZ)",
			       text);
	return 0;
}

int common_init(struct common *c, const struct common_opts *opts, const char *subcommand,
		struct err *e)
{
	*c = (struct common){ .opts = opts, .subcommand = subcommand };
	if (check_labels(&opts->labels, e) < 0 ||
	    (opts->output && rank_expand(opts->output, &c->output, e) < 0) ||
	    (c->output && common_check_output("-o", c->output, e) < 0) ||
	    (opts->start_at && check_start(opts->start_at, e) < 0))
		return -1;
	c->warning = calloc(COMMON_WARNINGS_MAX, sizeof(*c->warning));
	if (!c->warning)
		return err_nomem(e);
	c->log = (struct log){ say, c };
	c->style = (struct table_style){
		.width = term_width(STDOUT_FILENO),
		.color = term_color(STDOUT_FILENO, (enum term_color)opts->color),
		.utf8 = term_utf8(),
		.verbose = opts->verbose,
	};
	return 0;
}

void common_done(struct common *c)
{
	free(c->warning);
	c->warning = NULL;
	free(c->output);
	c->output = NULL;
	c->n_warnings = 0;
}

static int bad_time(const char *text, struct err *e)
{
	return err_set(e, ERR_USAGE, "time",
		       "--start-at: '%s' is not a time (try 2026-03-01T12:00:00Z or @1772366400)",
		       text);
}

/* "Z" or +HH:MM, as seconds east of Greenwich. */
static int parse_zone(const char *zone, long *east)
{
	unsigned hours, minutes;
	char sign, end;

	*east = 0;
	if (strcmp(zone, "Z") == 0 || strcmp(zone, "z") == 0)
		return 0;
	if (sscanf(zone, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3 || hours > 23 ||
	    minutes > 59 || (sign != '+' && sign != '-'))
		return -1;
	*east = (long)hours * 3600 + (long)minutes * 60;
	if (sign == '-')
		*east = -*east;
	return 0;
}

static int parse_rfc3339(const char *text, uint64_t *out_ns, struct err *e)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t fraction_ns = 0;
	long east;
	time_t t;

	if (rest && *rest == '.') {
		uint64_t unit = NS_PER_SEC / 10;

		if (rest[1] < '0' || rest[1] > '9')
			return bad_time(text, e);
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			fraction_ns += (uint64_t)(*rest - '0') * unit;
	}
	if (!rest || parse_zone(rest, &east) < 0)
		return bad_time(text, e);
	t = timegm(&tm) - east;
	if (t < 0)
		return bad_time(text, e);
	*out_ns = (uint64_t)t * NS_PER_SEC + fraction_ns;
	return 0;
}

int common_parse_time(const char *text, uint64_t *out_ns, struct err *e)
{
	struct err why;

	if (*text != '@')
		return parse_rfc3339(text, out_ns, e);
	if (text[1] == '\0' || strspn(text + 1, "0123456789.") != strlen(text + 1) ||
	    num_parse_duration(text + 1, out_ns, &why) < 0)
		return bad_time(text, e);
	return 0;
}

static int wait_until(const struct itimerspec *when, struct err *e)
{
	CLEANUP_FD int timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
	struct pollfd fds[2];

	if (timer < 0 || timerfd_settime(timer, TFD_TIMER_ABSTIME, when, NULL) < 0)
		return err_sys(e, ERR_MACHINE, "--start-at: timer");
	fds[0] = (struct pollfd){ .fd = timer, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = stop_fd(), .events = POLLIN };
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(e, ERR_MACHINE, "--start-at: poll");
	return 0;
}

int common_wait_start(struct common *c, struct err *e)
{
	struct itimerspec when = { 0 };
	uint64_t at = 0;

	if (!c->opts->start_at)
		return 0;
	if (common_parse_time(c->opts->start_at, &at, e) < 0)
		return -1;
	if (wall_now_ns() > at) {
		log_say(&c->log, LOG_WARNING, "start-late", "--start-at %s has passed already",
			c->opts->start_at);
		return 0;
	}
	when.it_value.tv_sec = (time_t)(at / NS_PER_SEC);
	when.it_value.tv_nsec = (long)(at % NS_PER_SEC);
	return wait_until(&when, e);
}

int common_add_warnings(struct common *c, struct document *d, struct err *e)
{
	char text[64];

	for (size_t i = 0; i < c->n_warnings; i++)
		if (document_add_warning(d, c->warning[i].code, c->warning[i].text, e) < 0)
			return -1;
	if (c->dropped == 0)
		return 0;
	snprintf(text, sizeof(text), "%zu further warnings were left out", c->dropped);
	return document_add_warning(d, "warnings-dropped", text, e);
}

static int print_json(json_t *root, struct err *e)
{
	CLEANUP_FREE char *text = NULL;
	size_t len;

	if (emit_text(root, &text, &len, e) < 0)
		return -1;
	if (fflush(stdout) != 0)
		return err_sys(e, ERR_INTERNAL, "standard output");
	return emit_fd(STDOUT_FILENO, text, len, "standard output", e);
}

static int print_table(const struct common *c, json_t *root, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;

	if (table_result(root, &c->style, &out, e) < 0)
		return -1;
	if (fflush(stdout) != 0)
		return err_sys(e, ERR_INTERNAL, "standard output");
	return emit_fd(STDOUT_FILENO, buf_text(&out), out.len, "standard output", e);
}

int common_write(const struct common *c, json_t *root, struct err *e)
{
	bool taken = c->output && strcmp(c->output, "-") == 0;

	if (c->output && emit_file(root, c->output, e) < 0)
		return -1;
	if (c->opts->json && !taken)
		return print_json(root, e);
	if (c->opts->quiet || c->opts->json || taken)
		return 0;
	return print_table(c, root, e);
}
