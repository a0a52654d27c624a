/* Programs timed whole, on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "peer/command-session.h"

struct seen {
	struct loop *loop;
	struct outcome out;
	char detail[160];
	unsigned answers;
};

static void done(struct session *s, struct outcome *o)
{
	struct seen *seen = s->owner;

	seen->out = *o;
	snprintf(seen->detail, sizeof(seen->detail), "%s", o->detail ? o->detail : "");
	if (++seen->answers == 2) /* the first is that of open */
		loop_stop(seen->loop);
}

/* One run of `command` as a client of `url`. */
static void run(struct seen *seen, const char *command, const char *url)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	struct command_workload w = { 0 };
	struct session *s = NULL;
	enum loop_end why;
	struct err e;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(command_workload_make(&w, command, url, &e), 0);
	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(command_session_make(&w, loop, 0, NULL, &s, &e), 0);
	seen->loop = loop;
	s->done = done;
	s->owner = seen;
	s->ops->open(s);
	assert_int_equal(seen->answers, 1);
	assert_null(seen->out.failure);
	s->ops->start(s);
	if (seen->answers < 2)
		assert_int_equal(loop_run(loop, loop_now(loop) + 20 * NS_PER_SEC, &why, &e), 0);
	assert_int_equal(seen->answers, 2);
	s->ops->free(s);
	free(w.argv);
}

static void success_and_failures(void **state)
{
	struct seen seen;

	(void)state;
	run(&seen, "true {}", "socket://h:1");
	assert_null(seen.out.failure);
	assert_true(seen.out.has_value);
	assert_true(seen.out.done_ns > seen.out.sent_ns);
	run(&seen, "false {}", "socket://h:1");
	assert_string_equal(seen.out.failure, "exit-status");
	run(&seen, "sh -c 'kill -9 $$' {}", "socket://h:1");
	assert_string_equal(seen.out.failure, "killed");
	run(&seen, "/does/not/exist {}", "socket://h:1");
	assert_string_equal(seen.out.failure, "not-run");
	assert_non_null(strstr(seen.detail, "/does/not/exist"));
}

static void the_target_takes_its_place(void **state)
{
	struct command_workload w = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(
		command_workload_make(&w, "mpremote connect {} eval '1 + 1'", "rfc2217://h:1", &e),
		0);
	assert_string_equal(w.argv[2], "rfc2217://h:1");
	assert_string_equal(w.argv[4], "1 + 1");
	assert_null(w.argv[5]);
	free(w.argv);
	assert_int_equal(command_workload_make(&w, "x {}", "exec:node a.mjs", &e), 0);
	assert_string_equal(w.argv[1], "exec:node a.mjs");
	assert_null(w.argv[2]);
	free(w.argv);
	assert_int_equal(command_workload_make(&w, "x --to={} -- '{}'", "socket://h:1", &e), 0);
	assert_string_equal(w.argv[1], "--to=socket://h:1");
	assert_string_equal(w.argv[3], "socket://h:1");
	free(w.argv);
	assert_int_equal(command_workload_make(&w, "mpremote connect", "socket://h:1", &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.msg, "{}"));
}

/* A cancelled one is killed and does not answer. */
static void a_cancelled_program_is_gone(void **state)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	struct command_workload w = { 0 };
	struct seen seen = { 0 };
	struct session *s = NULL;
	struct err e;

	(void)state;
	assert_int_equal(command_workload_make(&w, "sleep 600 {}", "1", &e), 0);
	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(command_session_make(&w, loop, 0, NULL, &s, &e), 0);
	seen.loop = loop;
	s->done = done;
	s->owner = &seen;
	s->ops->start(s);
	s->ops->cancel(s);
	assert_int_equal(seen.answers, 0);
	s->ops->free(s);
	free(w.argv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success_and_failures),
		cmocka_unit_test(the_target_takes_its_place),
		cmocka_unit_test(a_cancelled_program_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
