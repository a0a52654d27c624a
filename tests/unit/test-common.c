/* common, progress, term: what every bench does the same way. cmd/ is no library, so the files are taken in whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../cmd/common.c"
#include "../../cmd/progress.c"
#include "../../cmd/rank.c"
#include "../../cmd/term.c"

static void reads_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{ "@0", 0 },
		{ "@1772366400", UINT64_C(1772366400000000000) },
		{ "@1772366400.25", UINT64_C(1772366400250000000) },
		{ "2026-03-01T12:00:00Z", UINT64_C(1772366400000000000) },
		{ "2026-03-01T12:00:00.5Z", UINT64_C(1772366400500000000) },
		{ "2026-03-01T14:00:00+02:00", UINT64_C(1772366400000000000) },
		{ "2026-03-01T08:30:00-03:30", UINT64_C(1772366400000000000) },
		{ "1970-01-01T00:00:00.000000001z", 1 },
	};
	static const char *const bad[] = { "",
					   "now",
					   "@",
					   "@1s",
					   "@-1",
					   "12:00",
					   "2026-03-01",
					   "2026-03-01T12:00:00",
					   "2026-03-01T12:00:00.Z",
					   "2026-03-01T12:00:00+2",
					   "2026-03-01T12:00:00+25:00",
					   "2026-03-01T12:00:00Zx",
					   "1969-12-31T23:59:59Z" };
	uint64_t ns;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (common_parse_time(rows[i].text, &ns, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_true(ns == rows[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (common_parse_time(bad[i], &ns, &e) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

static void checks_options_first(void **state)
{
	static const struct {
		struct common_opts opts;
		enum err_kind kind;
		const char *message;
	} rows[] = {
		{ { .labels = { 1, { "board" } } }, ERR_USAGE, "K=V" },
		{ { .labels = { 2, { "a=b", "=c" } } }, ERR_USAGE, "'=c'" },
		{ { .output = "" }, ERR_USAGE, "file name" },
		{ { .output = "/" }, ERR_USAGE, "file name" },
		{ { .output = "tests" }, ERR_USAGE, "file name" },
		{ { .output = "/nonexistent/x.json" }, ERR_INTERNAL, "/nonexistent" },
		{ { .start_at = "soon" }, ERR_USAGE, "--start-at" },
		{ { .output = "x.%r.json" }, ERR_USAGE, "rank" },
		{ { .output = "x.%d.json" }, ERR_USAGE, "only %r" },
		{ { .output = "x.%" }, ERR_USAGE, "only %r" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(common_done) struct common c = { 0 };
		struct err e = { 0 };

		assert_int_equal(common_init(&c, &rows[i].opts, "x", &e), -1);
		assert_int_equal(e.kind, rows[i].kind);
		assert_non_null(strstr(e.msg, rows[i].message));
	}
}

static void the_rank_is_part_of_the_name(void **state)
{
	static const struct {
		const char *variable, *value, *expanded;
	} rows[] = {
		{ "PARALLEL_SEQ", "1", "out.1.json" },
		{ "JOB_COMPLETION_INDEX", "7", "out.7.json" },
		{ "SLURM_ARRAY_TASK_ID", "12", "out.12.json" },
		{ "SLURM_PROCID", "0", "out.0.json" },
		{ "PMI_RANK", "3", "out.3.json" },
		{ "OMPI_COMM_WORLD_RANK", "2", "out.2.json" },
	};

	(void)state;
	/* Each is told before those that came earlier: the launcher nearest to the process. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP_FREE char *out = NULL;
		struct err e;

		setenv(rows[i].variable, rows[i].value, 1);
		assert_int_equal(rank_expand("out.%r.json", &out, &e), 0);
		assert_string_equal(out, rows[i].expanded);
	}
	setenv("OMPI_COMM_WORLD_RANK", "../x", 1);
	{
		CLEANUP_FREE char *out = NULL;
		struct err e;

		assert_int_equal(rank_expand("100%%-%r", &out, &e), 0);
		assert_string_equal(out, "100%-3");
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		unsetenv(rows[i].variable);
}

static void keeps_each_warning_once(void **state)
{
	const struct common_opts opts = { .quiet = true };
	CLEANUP(common_done) struct common c = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(common_init(&c, &opts, "x", &e), 0);
	log_say(&c.log, LOG_NOTE, "note", "not kept");
	for (int i = 0; i < 3; i++)
		log_say(&c.log, LOG_WARNING, "same", "text");
	assert_int_equal(c.n_warnings, 1);
	log_say(&c.log, LOG_WARNING, "same", "other text");
	assert_int_equal(c.n_warnings, 2);
	for (int i = 0; i < COMMON_WARNINGS_MAX; i++)
		log_say(&c.log, LOG_WARNING, "many", "number %d", i);
	assert_int_equal(c.n_warnings, COMMON_WARNINGS_MAX);
	assert_int_equal(c.dropped, 2);
	assert_string_equal(c.warning[0].code, "same");
}

/* A document that has only what warnings need. */
static void warnings_reach_the_document(void **state)
{
	const struct common_opts opts = { .quiet = true };
	CLEANUP(common_done) struct common c = { 0 };
	CLEANUP(document_done) struct document d = { .root = json_object() };
	struct err e = { 0 };

	(void)state;
	json_object_set_new(d.root, "warnings", json_array());
	assert_int_equal(common_init(&c, &opts, "x", &e), 0);
	for (int i = 0; i < COMMON_WARNINGS_MAX + 3; i++)
		log_say(&c.log, LOG_WARNING, "many", "number %d", i);
	assert_int_equal(common_add_warnings(&c, &d, &e), 0);
	assert_int_equal(json_array_size(json_object_get(d.root, "warnings")),
			 COMMON_WARNINGS_MAX + 1);
}

static void a_start_of_another_day_is_refused(void **state)
{
	const struct common_opts opts = { .quiet = true, .start_at = "2020-01-01T00:00:00Z" };
	CLEANUP(common_done) struct common c = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(common_init(&c, &opts, "x", &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.msg, "--start-at"));
}

static void a_late_start_is_a_warning(void **state)
{
	struct common_opts opts = { .quiet = true };
	CLEANUP(common_done) struct common c = { 0 };
	struct timespec now;
	char text[48];
	struct err e = { 0 };

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, sizeof(text), "@%lld", (long long)now.tv_sec - 60);
	opts.start_at = text;
	assert_int_equal(common_init(&c, &opts, "x", &e), 0);
	assert_int_equal(common_wait_start(&c, &e), 0);
	assert_int_equal(c.n_warnings, 1);
	assert_string_equal(c.warning[0].code, "start-late");
}

/* Far away: only the wish to stop can end it. */
static void a_stop_ends_the_wait(void **state)
{
	const struct common_opts opts = { .quiet = true, .start_at = "2200-01-01T00:00:00Z" };
	CLEANUP(common_done) struct common c = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(common_init(&c, &opts, "x", &e), 0);
	assert_int_equal(stop_install(&e), 0);
	stop_set(2);
	assert_int_equal(common_wait_start(&c, &e), 0);
	assert_int_equal(c.n_warnings, 0);
	stop_set(0);
}

static void the_start_is_not_before_its_time(void **state)
{
	struct common_opts opts = { .quiet = true };
	CLEANUP(common_done) struct common c = { 0 };
	struct timespec now;
	char text[48];
	struct err e = { 0 };

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, sizeof(text), "@%lld.%09ld", (long long)now.tv_sec + 1, now.tv_nsec);
	opts.start_at = text;
	assert_int_equal(common_init(&c, &opts, "x", &e), 0);
	assert_int_equal(common_wait_start(&c, &e), 0);
	now.tv_sec++;
	if (c.n_warnings == 0) {
		struct timespec after;

		clock_gettime(CLOCK_REALTIME, &after);
		assert_true(after.tv_sec > now.tv_sec ||
			    (after.tv_sec == now.tv_sec && after.tv_nsec >= now.tv_nsec));
	}
}

static void tells_where_it_is(void **state)
{
	const struct engine_case c = { .name = "repl.exec", .target = "fast" };
	struct engine_progress p = { .event = ENGINE_ESTIMATE, .estimate_ns = 24100 * NS_PER_MS };
	char line[PROGRESS_LINE_MAX];

	(void)state;
	progress_text(&p, 0, p.estimate_ns, 80, line);
	assert_string_equal(line, "about 25 s in all");
	p = (struct engine_progress){
		.event = ENGINE_RUN_BEGIN, .now = &c, .run = 2, .runs = 10, .step = 0, .steps = 40
	};
	progress_text(&p, 4 * NS_PER_SEC, 24 * NS_PER_SEC, 80, line);
	assert_string_equal(line, "0/40  repl.exec on fast, run 3 of 10, about 20 s left");
	p.step = 20;
	progress_text(&p, 7 * NS_PER_SEC, 24 * NS_PER_SEC, 80, line);
	assert_string_equal(line, "20/40  repl.exec on fast, run 3 of 10, about 7 s left");
	progress_text(&p, 7 * NS_PER_SEC, 24 * NS_PER_SEC, 20, line);
	assert_int_equal(strlen(line), 19);
}

static void knows_the_terminal(void **state)
{
	(void)state;
	assert_true(term_color(-1, TERM_COLOR_ALWAYS));
	assert_false(term_color(-1, TERM_COLOR_NEVER));
	assert_false(term_color(-1, TERM_COLOR_AUTO));
	assert_int_equal(term_width(-1), 80);
	setenv("LC_ALL", "", 1);
	setenv("LC_CTYPE", "de_DE.utf8", 1);
	setenv("LANG", "C", 1);
	assert_true(term_utf8());
	setenv("LC_ALL", "C", 1);
	assert_false(term_utf8());
	setenv("TERM", "dumb", 1);
	assert_false(term_can_redraw());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_times),
		cmocka_unit_test(checks_options_first),
		cmocka_unit_test(the_rank_is_part_of_the_name),
		cmocka_unit_test(keeps_each_warning_once),
		cmocka_unit_test(warnings_reach_the_document),
		cmocka_unit_test(a_start_of_another_day_is_refused),
		cmocka_unit_test(a_late_start_is_a_warning),
		cmocka_unit_test(a_stop_ends_the_wait),
		cmocka_unit_test(the_start_is_not_before_its_time),
		cmocka_unit_test(tells_where_it_is),
		cmocka_unit_test(knows_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
