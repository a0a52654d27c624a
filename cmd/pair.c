/* mpbench pair - two benchmark command lines, run in turn. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "cmd.h"
#include "io/spawn.h"
#include "judge.h"
#include "result/emit.h"
#include "result/load.h"
#include "term.h"

extern const struct cmd cmd_pair;

struct options {
	uint32_t rounds;
	const char *keep;
	struct diff_opts diff;
	struct judge_output output;
};

static const struct opt table[] = {
	OPT_TITLE("Rounds"),
	OPT_U32_ROW('n', "rounds", OPT_HOW, struct options, rounds, "N",
		    "each is one run of both, in turns first", .min = 1, .max = 1000),
	OPT_STRING_ROW(0, "keep", OPT_OUT, struct options, keep, "DIR",
		       "keep the results there: a-001.json, b-001.json..."),
	OPT_GROUP(judge_opts, struct diff_opts, struct options, diff),
	OPT_GROUP(judge_output_opts, struct judge_output, struct options, output),
	OPT_END,
};

static const struct options defaults = { .rounds = 10 };

enum { FORCED = 12, PATH_LENGTH = 512, PAIR_RUNS = 1000 };

/* One of the two. */
struct party {
	char letter;
	const char *text; /* as typed */
	char **words;	  /* split; words[first] is the subcommand */
	size_t first, n;
	struct side side;
};

struct pairing {
	const struct options *o;
	struct party party[2];
	char dir[PATH_LENGTH], session[33];
	char program[PATH_LENGTH];
};

static void pairing_done(struct pairing *p)
{
	for (size_t i = 0; i < 2; i++) {
		side_done(&p->party[i].side);
		free(p->party[i].words);
	}
	if (*p->dir && !p->o->keep)
		rmdir(p->dir);
}
CLEANUP_OBJ(struct pairing, pairing_done)

static int split(struct party *party, char letter, const char *text, struct err *e)
{
	const struct cmd *c;

	*party = (struct party){ .letter = letter, .text = text, .side.by_name = true };
	if (opt_split_command(text, &party->words, e) < 0)
		return err_wrap(e, "%c", letter);
	while (party->words[party->n])
		party->n++;
	if (strcmp(party->words[0], "mpbench") == 0)
		party->first = 1;
	c = party->words[party->first] ? cmd_find(party->words[party->first]) : NULL;
	if (!c || c->group != CMD_MEASURE)
		return err_set(
			e, ERR_USAGE, "operand",
			"'%s' is no benchmark of mpbench (try 'bench-repl --chunk 64 builtin:')",
			text);
	return 0;
}

static int make_session(struct pairing *p, struct err *e)
{
	unsigned char random[16];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, ERR_INTERNAL, "random number for the session");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(p->session + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static int make_dir(struct pairing *p, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	int n = p->o->keep ? snprintf(p->dir, sizeof(p->dir), "%s", p->o->keep)
			   : snprintf(p->dir, sizeof(p->dir), "%s/mpbench-pair-XXXXXX",
				      tmp && *tmp ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(p->dir) - 32) {
		*p->dir = '\0';
		return err_set(e, ERR_USAGE, "keep", "the path of the directory is too long");
	}
	if (p->o->keep)
		return access(p->dir, W_OK | X_OK) < 0 ? err_sys(e, ERR_USAGE, "--keep %s", p->dir)
						       : 0;
	if (mkdtemp(p->dir))
		return 0;
	*p->dir = '\0';
	return err_sys(e, ERR_INTERNAL, "temporary directory");
}

static int find_program(struct pairing *p, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", p->program, sizeof(p->program) - 1);

	if (n < 0 || (size_t)n >= sizeof(p->program) - 1)
		return err_sys(e, ERR_MACHINE, "the path of mpbench");
	p->program[n] = '\0';
	return 0;
}

/* Until it has ended or the user asks to stop; then 128 + signal. */
static int wait_for(struct child *child, struct err *e)
{
	struct pollfd fds[2] = { { .fd = child->pidfd, .events = POLLIN },
				 { .fd = stop_fd(), .events = POLLIN } };

	while (!spawn_poll(child)) {
		if (stop_signal())
			return 128 + stop_signal();
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, ERR_INTERNAL, "poll");
	}
	return 0;
}

static int run_child(const struct pairing *p, const struct party *party, const char *file,
		     struct err *e)
{
	CLEANUP_FREE char **argv = calloc(party->n + FORCED, sizeof(*argv));
	struct spawn_params params = SPAWN_DEFAULT;
	struct child child = { 0 };
	char budget[32], how[64];
	size_t n = 0;
	int rc;

	if (!argv)
		return err_nomem(e);
	/* Half a minute altogether, unless the command says how long. */
	snprintf(budget, sizeof(budget), "--budget=%ums", 15000 / p->o->rounds + 100);
	argv[n++] = (char *)(uintptr_t)p->program;
	argv[n++] = party->words[party->first];
	argv[n++] = budget;
	argv[n++] = (char[]){ "--runs=1" };
	argv[n++] = (char[]){ "--quiet" };
	argv[n++] = (char[]){ "--output" };
	argv[n++] = (char *)(uintptr_t)file;
	for (size_t i = party->first + 1; i < party->n; i++)
		argv[n++] = party->words[i];
	params.argv = argv;
	params.err = STDERR_FILENO;
	if (spawn_start(&child, &params, e) < 0)
		return -1;
	rc = wait_for(&child, e);
	if (rc == 0 && child.status != 0)
		rc = err_set(e,
			     WIFEXITED(child.status) ? (enum err_kind)WEXITSTATUS(child.status)
						     : ERR_INTERNAL,
			     "pair", "%c (%s): %s", party->letter, party->text,
			     spawn_describe(&child, how, sizeof(how)));
	spawn_stop(&child, 2 * NS_PER_SEC);
	return rc;
}

/* Which round, and that the rounds belong together. */
static int mark(json_t *root, const struct pairing *p, uint32_t round, uint32_t place,
		struct err *e)
{
	json_t *extensions = json_object_get(root, "extensions"), *benchmark, *run, *mark;
	size_t i, k;

	json_array_foreach(json_object_get(root, "benchmarks"), i, benchmark)
		json_array_foreach(json_object_get(benchmark, "runs"), k, run)
	{
		if (json_put(run, "pair", json_u64((uint64_t)round * PAIR_RUNS + k), e) < 0)
			return -1;
	}
	mark = extensions ? json_put_object(extensions, "interleaved", e) : NULL;
	if (!mark || json_put(mark, "session", json_string(p->session), e) < 0 ||
	    json_put(mark, "round", json_u64(round), e) < 0 ||
	    json_put(mark, "place", json_u64(place), e) < 0)
		return extensions ? -1 : err_set(e, ERR_INTERNAL, "bug", "no extensions");
	return 0;
}

static int take_result(struct pairing *p, struct party *party, const char *file, uint32_t round,
		       uint32_t place, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL;

	if (load_result(file, &root, e) < 0 || mark(root, p, round, place, e) < 0)
		return -1;
	if (p->o->keep ? emit_file(root, file, e) < 0
		       : unlink(file) < 0 && err_sys(e, ERR_INTERNAL, "%s", file) < 0)
		return -1;
	return side_add(&party->side, party->text, root, e);
}

static int one(struct pairing *p, size_t which, uint32_t round, uint32_t place, struct err *e)
{
	struct party *party = &p->party[which];
	char file[PATH_LENGTH + 32];
	int rc;

	snprintf(file, sizeof(file), "%s/%c-%03u.json", p->dir, party->letter, round + 1);
	rc = run_child(p, party, file, e);
	if (rc == 0)
		rc = take_result(p, party, file, round, place, e);
	if (rc != 0 && !p->o->keep)
		unlink(file);
	return rc;
}

static void progress(const struct pairing *p, uint32_t round)
{
	if (!p->o->output.quiet && isatty(STDERR_FILENO) && term_can_redraw())
		fprintf(stderr, round < p->o->rounds ? "\rround %u of %u\033[K" : "\r\033[K",
			round + 1, p->o->rounds);
}

/* AB BA AB...: what drifts with time then meets both alike. */
static int measure(struct pairing *p, struct err *e)
{
	int rc = 0;

	for (uint32_t round = 0; rc == 0 && round < p->o->rounds; round++) {
		progress(p, round);
		for (uint32_t place = 0; rc == 0 && place < 2; place++)
			rc = one(p, (round + place) % 2, round, place, e);
	}
	progress(p, p->o->rounds);
	return rc;
}

/* The options in which they differ are what is asked about. */
static int note_what(const struct pairing *p, struct report *r, struct err *e)
{
	CLEANUP(buf_done) struct buf lines = BUF_INIT;
	const char *line;

	if (diff_what(&p->party[0].side, &p->party[1].side, &lines) < 0)
		return err_nomem(e);
	for (line = buf_text(&lines); *line; line += strcspn(line, "\n") + 1)
		if (report_note(r, e, "what", "the two differ in %.*s", (int)strcspn(line, "\n"),
				line) < 0)
			return -1;
	return 0;
}

static int judge(struct pairing *p, struct err *e)
{
	CLEANUP(report_done) struct report report = { 0 };
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));
	static const struct opt_strings any = { 1, { "*" } };

	if (!rules)
		return err_nomem(e);
	if (diff_rules_parse(rules, &p->o->diff, e) < 0)
		return -1;
	rules->allow = &any;
	if (diff_make(&p->party[0].side, &p->party[1].side, rules, &report, e) < 0 ||
	    note_what(p, &report, e) < 0 || judge_write(&report, &p->o->output, e) < 0)
		return -1;
	return diff_status(&report, &p->o->diff.fail_on);
}

static int pair(const struct options *o, const char *const *commands, struct err *e)
{
	CLEANUP(pairing_done) struct pairing p = { .o = o };
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));
	int rc;

	if (!rules)
		return err_nomem(e);
	/* A mistake in the options should not cost the time of measuring. */
	if (diff_rules_parse(rules, &o->diff, e) < 0 ||
	    split(&p.party[0], 'a', commands[0], e) < 0 ||
	    split(&p.party[1], 'b', commands[1], e) < 0 || make_session(&p, e) < 0 ||
	    find_program(&p, e) < 0 || make_dir(&p, e) < 0)
		return -1;
	rc = measure(&p, e);
	return rc != 0 ? rc : judge(&p, e);
}

static int run(int argc, char **argv, struct err *e)
{
	struct options o = defaults;
	const char *commands[2];
	size_t n;
	int rc = cmd_parse(&cmd_pair, argc, argv, &o, commands, 2, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (n != 2)
		return err_set(
			e, ERR_USAGE, "operand",
			"two command lines are needed, each in quotes (mpbench pair 'bench-repl "
			"--chunk 64 builtin:' 'bench-repl --chunk 256 builtin:')");
	return pair(&o, commands, e);
}

static const char *const examples[] = {
	"mpbench pair 'bench-repl --chunk 64' 'bench-repl --chunk 256'",
	"does a larger chunk pay?",
	"mpbench pair 'bench-repl --mode raw' 'bench-repl --mode paste'",
	"more rounds show smaller changes",
	NULL,
};

const struct cmd cmd_pair = {
	.group = CMD_JUDGE,
	.name = "pair",
	.operands = "'CMD A' 'CMD B'",
	.summary = "run two benchmarks in turn and compare them",
	.about =
		"Runs both command lines of mpbench again and again, A B then B A, one run each, and compares them pair by "
		"pair, so that what drifts with time meets both alike. Cases match by name. The options in which the two "
		"differ are listed. Exit status as that of mpbench diff.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
